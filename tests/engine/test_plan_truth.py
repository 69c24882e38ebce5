"""Truth of the plan: what a plan says is what happens, on the bytes of the LUNs; a refusal is one sentence."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine import commands
from engine.cli.common import run
from engine.cli.vxassist import TOOL as VXASSIST
from engine.commands import Command, Move, Target
from engine.errors import CommandRejected
from engine.plans import Plan
from engine.records import Disk, Kind, Record, Subdisk, Task, Volume
from engine.rules import can_take_subdisk
from engine.units import MIB
from tests.engine.engine_lab import EngineLab

COMMANDS = 50


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    made = EngineLab(tmp_path, lun_size=40 * MIB).start()
    yield made
    made.stop()


class Truth:
    """Compares LUN bytes before and after with what the plan has said."""

    def __init__(self, lab: EngineLab, rng: random.Random) -> None:
        self.lab = lab
        self.rng = rng
        self.legal = self.refused = 0

    def bytes_of(self, disk: Disk) -> bytes:
        with open(disk.lun, "rb") as file:
            file.seek(disk.public_offset)
            return file.read(disk.public_length)

    def records(self) -> set[Record]:
        """All of them; how much is dirty follows from time."""
        return {replace(one, dirty_bytes=0) if isinstance(one, Volume) else one for one in self.lab.config}

    def check(self, command: Command) -> None:
        plan = self.lab.engine.plan(command)
        before_config = self.records()
        disks = self.lab.config.disks_of(self.lab.group().ref)
        assert self.lab.engine.committer.freed.settle(60)
        before = {disk.ref: self.bytes_of(disk) for disk in disks}
        if plan.problems:
            self.refused += 1
            with pytest.raises(CommandRejected) as refusal:
                self.lab.engine.submit(command)
            assert refusal.value.problems == plan.problems
            assert self.records() == before_config
            assert {disk.ref: self.bytes_of(disk) for disk in disks} == before
            return
        self.legal += 1
        task = self.lab.do(command)
        assert self.lab.engine.committer.freed.settle(60)
        self._check_bytes(plan, task, disks, before)

    def _check_bytes(self, plan: Plan, task: Task, disks: list[Disk], before: dict[object, bytes]) -> None:
        assert abs(task.bytes_copied - plan.copies_bytes) <= plan.copies_bytes * 0.01
        if plan.task is not None:
            assert abs(task.bytes_done - plan.bytes_total) <= plan.bytes_total * 0.01
        for disk in disks:
            now = self.bytes_of(disk)
            expected = bytearray(before[disk.ref])
            for taken in plan.allocates:
                if taken.disk == disk.ref:
                    start = taken.offset - disk.public_offset
                    expected[start : start + taken.length] = now[start : start + taken.length]
            for freed in plan.frees:
                if freed.disk == disk.ref:
                    start = freed.offset - disk.public_offset
                    if not any(now[start : start + freed.length]):  # the host has it again
                        expected[start : start + freed.length] = bytes(freed.length)
            assert now == bytes(expected), f"{plan.title} wrote outside of what it allocates on {disk.name}"
        config = self.lab.config
        for taken in plan.allocates:
            covered = [sd for sd in config.subdisks_on(taken.disk) if _inside(sd, taken.offset, taken.length)]
            assert sum(_overlap(sd, taken.offset, taken.length) for sd in covered) == taken.length, plan.title
        for freed in plan.frees:
            assert any(
                gap.start <= freed.offset and freed.offset + freed.length <= gap.end for gap in config.free(freed.disk)
            ), plan.title

    # --- random commands, sensible and not ---
    def any_volume(self) -> Volume | None:
        volumes = self.lab.config.volumes_of(self.lab.group().ref)
        return self.rng.choice(volumes) if volumes else None

    def any_subdisk(self) -> Subdisk | None:
        found = self.lab.config.all(Kind.SUBDISK, Subdisk)
        return self.rng.choice(found) if found else None

    def any_disk(self) -> Disk:
        return self.rng.choice(self.lab.config.disks_of(self.lab.group().ref))

    def create(self) -> Command:
        return commands.CreateVolume(
            group=self.lab.group().ref,
            size=self.rng.choice([1, 3 * MIB, 8 * MIB, 12 * MIB + 5, 100 * MIB, -4]),
            name=self.rng.choice(["", "", "", "v", "a/b", "x" * 200]),
            striped=self.rng.random() < 0.4,
            mirrors=self.rng.choice([1, 1, 2, 2, 3, 40]),
            stripe_unit=self.rng.choice([0, 0, 4096, 5000]),
        )

    def delete(self) -> Command | None:
        volume = self.any_volume()
        return commands.DeleteVolumes(volumes=(volume.ref,)) if volume else None

    def grow(self) -> Command | None:
        volume = self.any_volume()
        if volume is None:
            return None
        return commands.GrowVolume(volume=volume.ref, size=volume.size + self.rng.choice([0, MIB, 5 * MIB, 1 << 40]))

    def mirror(self) -> Command | None:
        volume = self.any_volume()
        striped = self.rng.choice([None, False, True])
        count = self.rng.choice([1, 1, 2, 0])
        return commands.AddMirrors(volume=volume.ref, count=count, striped=striped) if volume else None

    def unmirror(self) -> Command | None:
        volume = self.any_volume()
        if volume is None:
            return None
        return commands.RemoveMirrors(plexes=(self.rng.choice(self.lab.config.plexes_of(volume.ref)).ref,))

    def move(self) -> Command | None:
        subdisk = self.any_subdisk()
        if subdisk is None:
            return None
        offset = self.rng.choice([-1, -1, self.any_disk().public_offset + self.rng.randrange(40) * MIB])
        targets = (Target(self.any_disk().ref, offset),) if self.rng.random() < 0.7 else ()
        return commands.MoveSubdisks(moves=(Move(subdisk.ref, targets),))

    def split(self) -> Command | None:
        subdisk = self.any_subdisk()
        if subdisk is None:
            return None
        return commands.SplitSubdisk(subdisk=subdisk.ref, size=self.rng.choice([MIB, subdisk.length, 0, 3 * MIB]))

    def evacuate(self) -> Command:
        return commands.EvacuateDisk(disk=self.any_disk().ref)

    def brk(self) -> Command | None:
        volume = self.any_volume()
        if volume is None:
            return None
        return commands.BreakMirror(plex=self.rng.choice(self.lab.config.plexes_of(volume.ref)).ref)

    def fill(self) -> None:
        """Other bytes everywhere, so that a copy that did not happen shows."""
        for volume in self.lab.config.volumes_of(self.lab.group().ref):
            if volume.size >= MIB:
                data = self.rng.randbytes(MIB)
                assert self.lab.write(data, self.rng.randrange(volume.size // MIB) * MIB, volume.name) == 0

    def kinds(self) -> list[Callable[[], Command | None]]:
        making = [self.create] * 4 + [self.mirror] * 2 + [self.grow] * 2
        return [*making, self.move, self.move, self.split, self.evacuate, self.brk, self.delete, self.unmirror]


def _inside(subdisk: Subdisk, offset: int, length: int) -> bool:
    return _overlap(subdisk, offset, length) > 0


def _overlap(subdisk: Subdisk, offset: int, length: int) -> int:
    return max(0, min(subdisk.disk_offset + subdisk.length, offset + length) - max(subdisk.disk_offset, offset))


def test_fifty_random_commands_do_what_their_plans_say(lab: EngineLab, seed: int) -> None:
    lab.make_group(6)
    truth = Truth(lab, random.Random(seed))
    while truth.legal + truth.refused < COMMANDS:
        command = truth.rng.choice(truth.kinds())()
        if command is not None:
            truth.check(command)
            truth.fill()
    assert truth.legal >= 10
    assert truth.refused >= 5


def test_a_write_outside_of_the_plan_would_be_seen(lab: EngineLab, seed: int) -> None:
    """The check bites: one byte beside what a plan allocates makes it fail."""
    lab.make_group(6)
    truth = Truth(lab, random.Random(seed))
    disks = lab.config.disks_of(lab.group().ref)
    before: dict[object, bytes] = {disk.ref: truth.bytes_of(disk) for disk in disks}
    command = commands.CreateVolume(group=lab.group().ref, size=4 * MIB, name="v")
    plan = lab.engine.plan(command)
    task = lab.do(command)
    with open(disks[-1].lun, "r+b") as file:
        file.seek(disks[-1].public_offset + 30 * MIB)
        file.write(b"!")
    with pytest.raises(AssertionError, match="wrote outside"):
        truth._check_bytes(plan, task, disks, before)


def test_hover_dialog_and_command_line_refuse_in_the_same_sentence(
    lab: EngineLab, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lab.make_group(4)
    lab.make_volume(mirrors=2, size=8 * MIB)
    first, second = (lab.config.subdisks_of(plex.ref)[0] for plex in lab.plexes())
    hover = can_take_subdisk(lab.config, [first], second.disk)
    assert hover is not None
    dialog = lab.engine.plan(commands.MoveSubdisks(moves=(Move(first.ref, (Target(second.disk),)),)))
    assert dialog.problems[0].text == hover.text
    words = ["--socket", str(tmp_path / "a" / "s"), "-g", "dg", "growto", "v", "4t"]
    assert run(VXASSIST, words) == 1
    said = capsys.readouterr().err
    plan = lab.engine.plan(commands.GrowVolume(volume=lab.volume().ref, size=4 << 40))
    assert plan.problems[0].text in said
