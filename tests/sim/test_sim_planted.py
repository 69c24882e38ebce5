"""Bugs that are planted on purpose: the simulator finds each of them in a few seeds."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from msgspec.structs import replace

import engine.commit
import engine.dataplane.dirty_map
import engine.dataplane.flusher
import engine.dataplane.gate
import engine.dataplane.raid5_log
import engine.dataplane.volume_io
import engine.disk_groups.groups
import engine.tasks.ledger
from engine.config import Config, Edit
from engine.maps.map_change import MapChange
from engine.records import LinkSide, Volume
from engine.state_folder.host_state import HostState
from tests.sim.snap_operations import SNAP_OPERATIONS
from tests.sim.world import Mix, play

if TYPE_CHECKING:
    from collections.abc import Iterable

SEEDS_MAX = 100
MIRROR = ("mirror", "mirrored stripe")


def focus(**fields: object) -> Mix:
    """A mix in which little else happens."""
    usual: dict[str, Any] = {
        "lives": 3, "requests": 60, "commands": 2, "clients": 2, "crash": True, "eager": 0.2, "durable": 0.2,
        "hot_sectors": 64, "flushes": 0.15, "pace_s": 0.002, "slow": 1.0, "faults": (), "layouts": MIRROR,
        "verbs": ("move", "add_mirror", "evacuate", "attach", "detach"),
    }  # fmt: skip
    return Mix(**{**usual, **fields})


def snap_focus(**fields: object) -> Mix:
    """Little else than snapshots of mirrors."""
    usual = {"commands": 12, "verbs": tuple(sorted(SNAP_OPERATIONS)), "snapshots": True, "crash": False}
    return focus(**{**usual, **fields})


def answers_at_once(self: Any, volumes: Iterable[Any]) -> None:
    """A FLUSH that flushes nothing."""
    for volume in volumes:
        volume.written.clear()


def no_mark(self: Any, offset: int, length: int) -> bool:
    """A write that does not wait until its region is marked."""
    return True


def no_log_write(self: Any, copy: Any, offset: int, data: Any, *, durable: bool = True) -> None:
    """A log that is written like data: it may be lost."""
    copy.device.write(offset, data)


def flush_soon(self: Any, sink: Any) -> None:
    """A sweep of the dirty map that believes a flush that never was."""
    sink.finish(mock.Mock(), 0)


_write = HostState._write


def no_names_kept(self: Any, next_number: int) -> None:
    """A file that takes another's name without its folder being told to keep that."""
    fsync = os.fsync
    with mock.patch.object(os, "fsync", lambda fd: None if stat.S_ISDIR(os.fstat(fd).st_mode) else fsync(fd)):
        _write(self, next_number)


def no_bytes_kept(self: Any, next_number: int) -> None:
    """A file that takes another's name before its bytes are kept."""
    fsync = os.fsync
    with mock.patch.object(os, "fsync", lambda fd: fsync(fd) if stat.S_ISDIR(os.fstat(fd).st_mode) else None):
        _write(self, next_number)


_union = MapChange._union


def forgets_a_run(self: Any, edit: Any, back: Any) -> Any:
    """A Snap Back that skips the first of the regions in which the two sides differ."""
    found = _union(self, edit, back)
    return found if found.runs is None else found._replace(runs=found.runs[1:])


_assemble = engine.commit.assemble


def keeps_the_plex(config: Config, volume: Volume, device_of: Any) -> Any:
    """A volume that goes on with the plex that has left it by a Snap Shot."""
    edit = Edit(config)
    for link in volume.links:
        if link.side is LinkSide.ORIGINAL and link.peer in config:
            for plex in config.plexes_of(link.peer):
                edit.put(replace(plex, volume=volume.ref))
    return _assemble(edit.config, volume, device_of)


def nothing(*args: Any, **kwargs: Any) -> None:
    """What should be done is not."""


PLANTED: dict[str, tuple[object, str, object, Mix]] = {
    "a FLUSH is answered at once": (engine.dataplane.flusher.Flusher, "_flush", answers_at_once, focus()),
    "tasks never flush": (engine.tasks.ledger.Ledger, "flush", nothing, focus(commands=6)),
    "nothing is mistrusted after a crash": (engine.disk_groups.groups, "mistrust", nothing, focus()),
    "a region is marked after its write": (engine.dataplane.dirty_map.DirtyMap, "note", no_mark, focus()),
    "regions are closed before a flush": (
        engine.dataplane.volume_io.VolumeIo,
        "flush_soon",
        flush_soon,
        focus(pace_s=15.0, hot_sectors=8, durable=0.0, flushes=0.0, commands=0),
    ),
    "a swap does not wait for who is inside": (
        engine.dataplane.gate.Gate,
        "_await_slots",
        nothing,
        focus(slow=300.0, commands=8, eager=0.5, crash=False, verbs=("add_mirror", "move", "remove_mirror")),
    ),
    "the host's file has its name before its bytes": (
        HostState,
        "_write",
        no_bytes_kept,
        focus(),
    ),
    "the host's file may lose its name": (
        HostState,
        "_write",
        no_names_kept,
        focus(commands=8),
    ),
    "a snap back skips one region": (MapChange, "_union", forgets_a_run, snap_focus()),
    "a write reaches the plex of a snapshot": (engine.commit, "assemble", keeps_the_plex, snap_focus()),
    "the log of RAID-5 is not durable": (
        engine.dataplane.raid5_log.Raid5Log,
        "_write",
        no_log_write,
        focus(layouts=("raid5", "raid5")),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bug_is_found(name: str) -> None:
    holder, attribute, planted, mix = PLANTED[name]
    with mock.patch.object(holder, attribute, planted):
        found = next((seed for seed in range(SEEDS_MAX) if play(seed, mix=mix).error is not None), None)
    assert found is not None, f"{SEEDS_MAX} seeds have not met it"


def test_the_same_mixes_are_sound() -> None:
    """What finds the planted bugs is not the mix itself."""
    errors = [play(seed, mix=mix).error for *_, mix in PLANTED.values() for seed in range(2)]
    assert not [error for error in errors if error is not None]
