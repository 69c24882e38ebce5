"""Scenes about what has to come before what, each about one rule: an AssertionError when the rule doesn't hold."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands import AddMirrors, ChangeSettings, PauseTask, RemoveMirrors, Rename, Rescan
from engine.dataplane.regions import STRIPES, RegionLocks
from engine.dataplane.request import Op, Request
from engine.dataplane.table import REGION
from engine.errors import EngineError
from engine.geometry import LABEL_OFFSET
from engine.records import Disk, Kind, Subdisk, Task, TaskDelay, TaskType
from engine.runtime import ThreadRuntime
from engine.states import COMPLETE
from engine.units import MIB
from tests.engine.rule_scenes_engine import PATIENCE_S, disk_of, on_disk, plex_on_disk, stage
from tests.engine.rule_scenes_plane import A, Looks, write
from tests.engine.rule_scenes_plane import stage as volume_stage

if TYPE_CHECKING:
    from engine.config import Config

SECRET = b"secret!!" * 512


# Requests


def what_was_parked_runs_again_on_the_new_table(_: Path) -> None:
    """From its beginning: it had reached one leg of the old table only."""
    with volume_stage(3) as scene:
        one, failing, other = scene.legs
        scene.volume.swap(scene.table([one, failing]))
        failing.fails = {"write"}
        written = scene.begin(lambda: write(scene.volume, A))
        while not scene.plane.faults and not written.wait(0.01):
            pass
        scene.volume.swap(scene.table([other, one]))
        assert written.wait(PATIENCE_S)
        assert scene.holds(2) == scene.holds(0) == A


def locks_of_regions_are_taken_in_one_order(_: Path) -> None:
    """Two that meet in two regions must not each have one of them."""
    locks = RegionLocks(ThreadRuntime())
    taken: list[int] = []

    class Noted:
        def __init__(self, number: int) -> None:
            self.number = number

        def acquire(self) -> None:
            taken.append(self.number)

        def release(self) -> None:
            pass

    locks.locks = tuple(Noted(number) for number in range(STRIPES))  # type: ignore[assignment]
    for first in (0, 5, STRIPES - 1, 3 * STRIPES - 2):
        taken.clear()
        with locks.hold(first * REGION + 4096, 5 * REGION):
            assert len(taken) == 6
            assert taken == sorted(taken), "two of them wait for each other for ever"


def a_discard_is_marked_as_a_write_is(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        assert lab.write(A) == 0
        lab.flush()
        dirty = lab.engine.committer.ios[lab.volume().ref].dirty
        assert dirty is not None
        before = dirty.dirty_bytes
        assert lab._io("v", Request(Op.DISCARD, 8 * MIB, MIB)) == 0
        assert dirty.dirty_bytes > before, "a crash within it would leave the mirrors different, and nobody knew where"


# Commits


def a_disk_that_fails_the_commit_is_out_when_it_returns(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        plex, disk = lab.plexes()[0].ref, disk_of(lab, 0)
        lab.lun(disk).fail("durable", persistent=True)
        lab.do(Rename(object=lab.volume().ref, name="renamed"))
        assert lab.config.disk(disk).failing
        assert plex_on_disk(lab, plex).state not in COMPLETE


def what_a_commit_frees_is_freed_when_nobody_writes_there_any_more(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        piece, lun = lab.config.subdisks_of(lab.plexes()[1].ref)[0], lab.lun(disk_of(lab, 1))
        path = lab.path_of(piece.disk)
        assert lab.write(A) == 0
        lun.barrier = threading.Event()
        writing = threading.Thread(target=lab.write, args=(SECRET,))
        writing.start()
        assert lun.stalled.wait(PATIENCE_S)
        removing = threading.Thread(target=lab.do, args=(RemoveMirrors(plexes=(lab.plexes()[1].ref,)),))
        removing.start()
        removing.join(Looks.for_what_must_not_s)
        lun.barrier.set()
        for thread in (writing, removing):
            thread.join(PATIENCE_S)
        assert lab.engine.committer.freed.settle(PATIENCE_S)
        with path.open("rb") as file:
            assert _read(file.fileno(), piece) == bytes(len(SECRET)), (
                "it would be readable in whatever comes there next"
            )


def _read(file: int, piece: Subdisk) -> bytes:
    return os.pread(file, len(SECRET), piece.disk_offset)


def no_lun_is_flushed_for_metadata(folder: Path) -> None:
    """Beside clients that write much, a commit would wait for all of that."""
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        disks = lab.config.disks_of(lab.group().ref)
        for disk in disks:
            lab.lun(disk.ref).fail("flush", persistent=True)
        with suppress(EngineError):
            lab.do(Rename(object=lab.volume().ref, name="renamed"))
        assert not any(lab.config.disk(disk.ref).failing for disk in disks)
        assert lab.volume("renamed").name == "renamed"


# Flushes


def what_a_failed_flush_leaves_in_doubt_is_out_before_the_answer(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        plex = lab.plexes()[0].ref
        assert lab.write(A) == 0
        lab.lun(disk_of(lab, 0)).fail("flush")
        assert lab.flush() == 0
        assert plex_on_disk(lab, plex).state not in COMPLETE, "what the kernel has lost would be read after a crash"


def a_checkpoint_follows_a_flush(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(size=24 * MIB)
        lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.ADD_MIRROR, 60_000),)))
        task = lab.engine.submit(AddMirrors(volume=lab.volume().ref))

        def has_begun(config: Config) -> bool:
            return config.task(task).bytes_done > 0

        assert lab.engine.committer.wait_until(has_begun, PATIENCE_S)
        lab.lun(disk_of(lab, 1)).fail("flush", persistent=True)
        lab.engine.submit(PauseTask(task=task))
        assert lab.engine.committer.wait_until(lambda config: _rests(config.task(task)), PATIENCE_S)
        found = on_disk(lab).get(task)
        assert not isinstance(found, Task) or not found.checkpoint, "what was never stable would not be copied again"


def _rests(task: Task) -> bool:
    return task.ended or task.state == "paused"


# Places


def a_lun_is_open_once_for_as_long_as_the_engine_lives(folder: Path) -> None:
    """The kernel tells a lost write to one descriptor only."""
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        lab.do(Rescan())
        assert lab.write(A) == 0
        luns = {disk.lun for disk in lab.config.all(Kind.DISK, Disk)}
        targets = []
        for entry in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                targets.append(os.readlink(f"/proc/self/fd/{entry}"))
        assert all(targets.count(lun) == 1 for lun in luns)


def what_lies_where_on_a_disk(folder: Path) -> None:
    """The beginning stays zero, so that nobody takes the disk for something else; pieces begin and end on MiB."""
    with stage(folder) as lab:
        lab.make_volume(size=3 * MIB + 512, mirrors=2)
        for disk in lab.config.disks_of(lab.group().ref):
            with lab.path_of(disk.ref).open("rb") as file:
                assert file.read(LABEL_OFFSET) == bytes(LABEL_OFFSET)
                assert file.read(4096) != bytes(4096)
        for piece in lab.config.all(Kind.SUBDISK, Subdisk):
            assert (piece.disk_offset % MIB, piece.length % MIB) == (0, 0)
