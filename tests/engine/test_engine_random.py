"""Random trouble for a whole engine, one disk at a time, against a flat byte array.

As long as one good copy of each block is there, no client may see an error, no acknowledged byte may be lost, and after
the trouble everything must come back by a rescan and a resynchronization alone.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.commands import (
    AbortTask,
    AddMirrors,
    Command,
    GrowVolume,
    Move,
    MoveSubdisks,
    ReactivateDisk,
    RemoveMirrors,
    Rescan,
    ResyncVolume,
    StartVolumes,
    StopVolumes,
)
from engine.errors import CommandRejected
from engine.records import Ref, Task, VolumeStatus
from engine.units import MIB
from tests.conftest import SOAK
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_faults import bring_back, pull

BLOCK = 32 * 1024
STEPS = 400 if SOAK else 60
SEEDS = range(200) if SOAK else range(12)


class Storm:
    """One engine, one mirrored volume, and what it must hold."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.lab = EngineLab(folder).start(frail=True)
        self.lab.make_group(5)
        choices = self.random.choice([{}, {"striped": True, "columns": 2}])
        volume = self.lab.make_volume(size=6 * MIB, mirrors=2, **choices)
        self.volume = volume.ref
        self.expected = bytearray(6 * MIB)
        self.admissible: dict[int, set[bytes]] = {}  # blocks of which the last write failed
        self.victim: Ref | None = None
        self.pulled: Path | None = None
        self.told: list[str] = []

    # --- steps ---
    def write(self) -> None:
        at = self.random.randrange(len(self.expected) // BLOCK)
        length = min(self.random.randint(1, 40), len(self.expected) // BLOCK - at) * BLOCK
        data = self.random.randbytes(length)
        error = self.lab.write(data, at * BLOCK)
        assert error in (0, errno.ENOSPC), f"a write failed with {errno.errorcode[error]}"
        for number in range(length // BLOCK):
            block = data[number * BLOCK : (number + 1) * BLOCK]
            where = at + number
            if error:
                before = bytes(self.expected[where * BLOCK : (where + 1) * BLOCK])
                self.admissible.setdefault(where, {before}).add(block)
            else:
                self.admissible.pop(where, None)
                self.expected[where * BLOCK : (where + 1) * BLOCK] = block

    def read(self) -> None:
        at = self.random.randrange(len(self.expected) // BLOCK)
        length = min(self.random.randint(1, 20), len(self.expected) // BLOCK - at) * BLOCK
        self._compare(at, self.lab.read(at * BLOCK, length))

    def _compare(self, at: int, data: bytes) -> None:
        for number in range(len(data) // BLOCK):
            where = at + number
            found = data[number * BLOCK : (number + 1) * BLOCK]
            choice = self.admissible.get(where, {bytes(self.expected[where * BLOCK : (where + 1) * BLOCK])})
            assert found in choice, f"block {where} has neither what was written nor what was there"
            if where in self.admissible:
                self.admissible.pop(where)
                self.expected[where * BLOCK : (where + 1) * BLOCK] = found

    def flush(self) -> None:
        assert self.lab.flush() == 0

    def fail(self) -> None:
        """One disk begins to fail, once or for good."""
        device = self.lab.lun(self._choose_victim())
        verb = self.random.choice(["read", "write", "flush", "durable", "zero"])
        device.fail(verb, nth=self.random.randint(1, 4), persistent=self.random.random() < 0.5)
        self.told.append(f"{verb} fails")

    def run_full(self) -> None:
        """The host has no space for one write."""
        self.lab.lun(self._choose_victim()).fail("write", nth=self.random.randint(1, 3), number=errno.ENOSPC)

    def pull(self) -> None:
        if self.pulled is None:
            self.pulled = pull(self.lab, self._choose_victim())
            self.rescan()

    def rescan(self) -> None:
        self._do(Rescan())

    def mend(self) -> None:
        """The trouble is over: everything has to come back."""
        if self.victim is None:
            return
        if self.pulled is not None:
            bring_back(self.pulled)
            self.pulled = None
        self.lab.lun(self.victim).heal()
        self._await_tasks()  # what they met before is told at their end, what flushes met by the next one
        self.flush()
        self.rescan()
        if self.lab.config.disk(self.victim).failing:
            self._do(ReactivateDisk(disk=self.victim))
            self._await_tasks()
        for _ in range(3):
            if self.lab.volume().status in (VolumeStatus.RESYNCHING, VolumeStatus.FAILED_REDUNDANCY):
                self._do(ResyncVolume(volume=self.volume))
                self._await_tasks()
        assert self.lab.volume().status is VolumeStatus.HEALTHY, self.lab.volume().status
        self.victim = None
        assert self.lab.equal()

    def kill(self) -> None:
        if self.pulled is None:
            self._again(self.lab.kill)

    def restart(self) -> None:
        if self.pulled is None:
            self._again(self.lab.stop)

    def stop_and_start(self) -> None:
        if self._do(StopVolumes(volumes=(self.volume,))):
            assert self._do(StartVolumes(volumes=(self.volume,)))

    def _redundant(self) -> bool:
        """Else the operator himself may put the last good copy on the disk that is in trouble."""
        return all(plex.complete for plex in self.lab.plexes())

    def move(self) -> None:
        if not self._redundant():
            return
        subdisks = self.lab.config.subdisks_of(self.random.choice(self.lab.plexes()).ref)
        self._do(MoveSubdisks(moves=(Move(self.random.choice(subdisks).ref),)), wait=False)

    def mirror(self) -> None:
        if len(self.lab.plexes()) < 3:
            self._do(AddMirrors(volume=self.volume, striped=self.random.choice([None, False, True])), wait=False)

    def unmirror(self) -> None:
        if len(self.lab.plexes()) > 2 and self._redundant():
            self._do(RemoveMirrors(plexes=(self.random.choice(self.lab.plexes()).ref,)))

    def grow(self) -> None:
        if len(self.expected) < 12 * MIB and self._do(GrowVolume(volume=self.volume, size=len(self.expected) + MIB)):
            self.expected += bytes(self.lab.volume().size - len(self.expected))

    def abort(self) -> None:
        for task in self._tasks():
            self._do(AbortTask(task=task.ref))

    # --- helpers ---
    def _choose_victim(self) -> Ref:
        if self.victim is None:
            self._await_tasks()
            if self.lab.volume().status is not VolumeStatus.HEALTHY:
                self._do(ResyncVolume(volume=self.volume))
                self._await_tasks()
            assert self.lab.volume().status is VolumeStatus.HEALTHY, self.lab.volume().status
            self.victim = self.random.choice(self.lab.config.disks_of(self.lab.group().ref)).ref
        return self.victim

    def _do(self, command: Command, *, wait: bool = True) -> bool:
        try:
            ref = self.lab.engine.submit(command)
        except CommandRejected:
            return False
        if wait:
            assert self.lab.engine.wait(ref, 60), f"{type(command).__name__} never ended"
            return self.lab.config.task(ref).state == "completed"
        return True

    def _tasks(self) -> list[Task]:
        return [task for task in self.lab.config.tasks_of(self.lab.group().ref) if not task.ended]

    def _await_tasks(self) -> None:
        for task in self._tasks():
            assert self.lab.engine.wait(task.ref, 60), f"{task.name} never ended"

    def _again(self, end: Callable[[], None]) -> None:
        """What was failing works again after a restart: a new engine has new devices."""
        end()
        self.lab.start(frail=True)
        assert self.lab.config.get(self.volume) is not None, "the volume was not imported"

    def run(self) -> None:
        steps = [self.write] * 12 + [self.read] * 6 + [self.flush] * 3 + [self.fail] * 3 + [self.mend] * 2
        steps += [self.run_full, self.pull, self.rescan, self.kill, self.restart, self.stop_and_start, self.move]
        steps += [self.move, self.mirror, self.unmirror, self.grow, self.abort]
        for _ in range(STEPS):
            step = self.random.choice(steps)
            self.told.append(step.__name__)
            step()
        self.mend()
        self._await_tasks()
        self._compare(0, self.lab.read(0, len(self.expected)))


@pytest.mark.allow_log("could not be marked clean")
@pytest.mark.parametrize("number", SEEDS)
def test_one_disk_in_trouble_is_nobodys_trouble(tmp_path: Path, number: int) -> None:
    storm = Storm(tmp_path, number)
    try:
        storm.run()
    except BaseException:
        print(" ".join(storm.told))
        raise
    finally:
        if storm.lab.opened is not None:
            storm.lab.stop()
