"""Regions that nobody writes any more become clean again, and the operator sees how much is dirty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.dataplane.needed import needed_bytes, together
from engine.records import Volume
from engine.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.dataplane.dirty_map import DirtyMap
    from engine.dataplane.request import Request
    from engine.dataplane.volume_io import VolumeIo
    from engine.records import Ref
    from engine.runtime import Runtime

SWEEP_S = 20.0
"""A region becomes clean when it has not been written for one to two of these."""


class Counts(NamedTuple):
    """What the maps of a volume tell now, in bytes."""

    dirty: int
    changed: tuple[tuple[str, int], ...]  # since each snapshot, by the link's generation
    apart: tuple[tuple[str, int], ...]  # that a Snap Back copies, by the link's generation


def changed_bytes(io: VolumeIo) -> tuple[tuple[str, int], ...]:
    """How much has been written since each snapshot, by the link's generation."""
    return tuple((key, needed_bytes(known)) for key, known in sorted(io.maps.items()) if known is not io.dirty)


def count(config: Config, ios: Mapping[Ref, VolumeIo], refs: Iterable[Ref]) -> dict[Ref, Counts]:
    """What is told of these volumes now: beside what a crash would take, which stays as it was."""
    wanted = {ref: volume for ref in refs if ref in ios and isinstance(volume := config.get(ref), Volume)}
    changed = {ref: changed_bytes(ios[ref]) for ref in wanted}
    same = {ref for ref, volume in wanted.items() if volume.changed == changed[ref]}
    apart: dict[str, int] = {}
    for ref, volume in wanted.items():
        for link in volume.links:
            known = dict(volume.apart).get(link.generation)
            if link.generation in apart:
                continue
            if known is not None and {ref, link.peer} <= same:
                apart[link.generation] = known  # cells are never taken back: as many are the same ones
                continue
            ends = [ios[one].maps.get(link.generation) for one in (ref, link.peer) if one in ios]
            maps = [one for one in ends if one is not None]
            if len(maps) == 2 and len({(one.size, one.region_size) for one in maps}) == 1:
                apart[link.generation] = together(*maps).length
    return {
        ref: Counts(
            volume.dirty_bytes,
            changed[ref],
            tuple((one.generation, apart[one.generation]) for one in volume.links if one.generation in apart),
        )
        for ref, volume in wanted.items()
    }


def show(edit: Edit, counts: Mapping[Ref, Counts]) -> None:
    """The records tell what has been counted."""
    for ref, (dirty, changed, apart) in counts.items():
        volume = edit.config.get(ref)
        if isinstance(volume, Volume):
            edit.put(msgspec.structs.replace(volume, dirty_bytes=dirty, changed=changed, apart=apart))


def differs(config: Config, ref: Ref, told: Counts) -> bool:
    """Whether a record tells something else."""
    volume = config.get(ref)
    return isinstance(volume, Volume) and (volume.dirty_bytes, volume.changed, volume.apart) != told


class DirtySweep:
    """Looks at every dirty map from time to time."""

    def __init__(self, committer: Committer, runtime: Runtime) -> None:
        self._committer = committer
        self._ticker = Ticker("vea-sweep", lambda: SWEEP_S, lambda _: self.sweep(), runtime, look_s=SWEEP_S)

    def close(self) -> None:
        """End the looks. Flushes that are under way end by themselves."""
        self._ticker.close()

    def sweep(self) -> None:
        """One look at every map."""
        ios = self._committer.ios.copy()
        counts = count(self._committer.config, ios, sorted(ios))
        for ref, told in counts.items():
            dirty = ios[ref].dirty
            if dirty is not None and dirty.is_marked:
                close_regions(ios[ref], dirty)
            counts[ref] = told._replace(dirty=dirty.dirty_bytes if dirty is not None else 0)
        changed = {ref: told for ref, told in counts.items() if differs(self._committer.config, ref, told)}
        if changed:
            self._committer.show(lambda edit: show(edit, changed))


def close_regions(io: VolumeIo, dirty: DirtyMap) -> None:
    """Begin to make regions clean that nobody has touched since the last time; the flush that it needs ends later."""
    turn = dirty.begin_closing()
    if turn:
        io.gate.pass_once()
        dirty.written_out(turn)
        io.flush_soon(_Flushed(dirty, turn))


class _Flushed:
    """Where the outcome of the flush goes."""

    def __init__(self, dirty: DirtyMap, turn: int) -> None:
        self._dirty = dirty
        self._turn = turn

    def finish(self, request: Request, error: int) -> None:
        self._dirty.end_closing(self._turn, not error)
