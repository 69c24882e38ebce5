"""Whatever befalls one LUN while every layout is written: never a wrong byte, and the way back is what is proposed."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from engine.commands import (
    AddLuns,
    ReactivateDisk,
    RemoveLuns,
    RepairVolumes,
    Rescan,
    ResyncVolume,
    UndoRelocation,
)
from engine.errors import CommandRejected
from engine.records import Disk, Kind, Task, Volume, VolumeStatus
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.frail_lun import BLOCK
from tests.engine.test_engine_faults import bring_back, pull
from tests.engine.test_engine_raid5 import parity_is_right

SIZE = 8 * MIB
LAYOUTS: dict[str, dict[str, object]] = {
    "mirror": {"mirrors": 2},
    "striped": {"mirrors": 2, "striped": True, "columns": 2},
    "parity": {"raid5": True, "columns": 3, "stripe_unit": 16 * KIB},
}
ROUNDS = 7


class Client:
    """Writes a volume, and reads back what it wrote, until it is told to stop."""

    def __init__(self, lab: EngineLab, name: str, seed: int) -> None:
        self._lab, self._name, self._random = lab, name, Random(seed)
        self._known: dict[int, bytes] = {}
        self._stop = threading.Event()
        self.wrong: list[str] = []
        self.turns = 0
        self._thread = threading.Thread(target=self._run, name=f"client of {name}")
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            at = self._random.randrange(SIZE // 512 - 16) * 512
            data = self._random.randbytes(self._random.choice((512, 4096, 8192)))
            if self._lab.write(data, at, self._name):
                self.wrong.append(f"{self._name}: a write at {at} failed")
                return
            for one in range(0, len(data), 512):
                self._known[at + one] = data[one : one + 512]
            self._look(*self._random.choice(list(self._known.items())))
            self.turns += 1

    def _look(self, at: int, wanted: bytes) -> None:
        if self._lab.read(at, 512, self._name) != wanted:
            self.wrong.append(f"{self._name}: a wrong byte at {at} after {self.turns} turns")

    def go_on(self, turns: int = 10) -> None:
        """Until it has done so much more."""
        wanted = self.turns + turns
        while self.turns < wanted and self._thread.is_alive():
            self._stop.wait(0.005)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for at, wanted in self._known.items():
            self._look(at, wanted)


class Mishaps:
    """What may befall one LUN of a group, and how it is over."""

    def __init__(self, lab: EngineLab, seed: int) -> None:
        self._lab, self._random = lab, Random(seed)
        self.log: list[str] = []

    def befall(self) -> None:
        """One LUN that something lies on has it; then it is over."""
        lab = self._lab
        used = [disk for disk in lab.config.disks_of(lab.group().ref) if lab.config.subdisks_on(disk.ref)]
        disk = self._random.choice(used)
        mishap: Callable[[Disk], None] = self._random.choice(
            [self._pulled, self._dead, self._latent, self._doubled, self._metadata_gone, self._exchanged]
        )
        self.log.append(f"{mishap.__name__} {disk.name}")
        mishap(disk)

    def _meanwhile(self) -> None:
        """Long enough that clients meet it, and relocation begins."""
        threading.Event().wait(0.3)

    def _pulled(self, disk: Disk) -> None:
        path = pull(self._lab, disk.ref)
        self._lab.do(Rescan())
        self._meanwhile()
        bring_back(path)
        self._lab.do(Rescan())

    def _dead(self, disk: Disk) -> None:
        verbs = ("read", "write", "durable", "zero", "flush")
        lun = self._lab.lun(disk.ref)
        lun.fail(*verbs, persistent=True)
        self._meanwhile()
        lun.heal()
        self._lab.do(Rescan())

    def _latent(self, disk: Disk) -> None:
        lun = self._lab.lun(disk.ref)
        for subdisk in self._lab.config.subdisks_on(disk.ref):
            for _ in range(3):
                lun.spoil(subdisk.disk_offset + self._random.randrange(subdisk.length // BLOCK) * BLOCK, BLOCK)
        self._meanwhile()
        lun.heal()

    def _doubled(self, disk: Disk) -> None:
        path = Path(disk.lun)
        twin = path.with_name("twin.img")
        shutil.copyfile(path, twin)
        self._lab.do(AddLuns(paths=(str(twin),)))
        self._lab.do(Rescan())
        self._meanwhile()
        found = next(one for one in self._lab.config.all(Kind.DISK, Disk) if one.lun == str(twin))
        assert found.group is None
        self._lab.do(RemoveLuns(disks=(found.ref,)))
        twin.unlink()
        self._lab.do(Rescan())

    def _metadata_gone(self, disk: Disk) -> None:
        with open(disk.lun, "r+b") as file:
            file.seek(MIB + 8192)
            file.write(self._random.randbytes(disk.public_offset - MIB - 8192))
        self._lab.do(Rescan())
        self._meanwhile()

    def _exchanged(self, disk: Disk) -> None:
        """An old copy of the LUN stands in its place for a while, then it is back."""
        path = Path(disk.lun)
        old, aside = path.with_name("old.img"), path.with_name("aside.img")
        shutil.copyfile(path, old)
        self._meanwhile()
        path.rename(aside)
        old.rename(path)
        self._lab.do(Rescan())
        self._meanwhile()


def mend(lab: EngineLab) -> None:
    """Do what is proposed, until every volume is healthy and no disk is failing."""
    committer = lab.engine.committer
    for _ in range(12):
        assert committer.wait_until(lambda config: all(task.ended for task in config.all(Kind.TASK, Task)), 60)
        failing = [disk for disk in lab.config.disks_of(lab.group().ref) if disk.failing]
        sick = [one for one in lab.config.all(Kind.VOLUME, Volume) if one.status is not VolumeStatus.HEALTHY]
        if not failing and not sick:
            return
        for command in (
            *(ReactivateDisk(disk=disk.ref) for disk in failing),
            *(RepairVolumes(volumes=(volume.ref,)) for volume in sick),
            *(ResyncVolume(volume=volume.ref) for volume in sick),
        ):
            with contextlib.suppress(CommandRejected):
                lab.engine.submit(command)
    pytest.fail(f"no way back: {[(one.name, one.status) for one in lab.config.all(Kind.VOLUME, Volume)]}")


lab = lab_fixture(8, luns=5, frail=True, relocates=True)


@pytest.mark.allow_log("could not")
def test_one_lun_after_the_other_has_a_mishap_under_every_layout(lab: EngineLab, seed: int) -> None:
    for name, choices in LAYOUTS.items():
        lab.make_volume(name, size=SIZE, **choices)
    mishaps = Mishaps(lab, seed)
    clients = [Client(lab, name, seed + number) for number, name in enumerate(LAYOUTS)]
    try:
        for _ in range(ROUNDS):
            mishaps.befall()
            mend(lab)
            for client in clients:
                client.go_on()
            for disk in lab.config.disks_of(lab.group().ref):
                with contextlib.suppress(CommandRejected):
                    lab.engine.submit(UndoRelocation(disk=disk.ref))
                    mishaps.log.append(f"undone to {disk.name}")
            mend(lab)
    finally:
        for client in clients:
            client.stop()
    assert [wrong for client in clients for wrong in client.wrong] == [], mishaps.log
    mend(lab)
    for name in LAYOUTS:
        assert lab.flush(name) == 0
    lab.stop()
    lab.start(frail=True)
    assert parity_is_right(lab, "parity"), mishaps.log
    assert lab.equal("mirror"), mishaps.log
    assert lab.equal("striped"), mishaps.log
