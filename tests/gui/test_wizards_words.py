"""What the plan page says and draws, without a window: figures, pictures of disks, devices of the host."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path

import msgspec
import pytest

from engine.commands import (
    AddMirrors,
    Command,
    CreateVolume,
    DeleteVolumes,
    EvacuateDisk,
    GrowVolume,
    Move,
    MoveSubdisks,
)
from engine.config import Config, Edit
from engine.planners import plan
from engine.records import Kind, Plex, PlexState, Record, Ref, Subdisk, Task, TaskState, TaskType, new_ref
from engine.units import GIB, MIB
from tests.gui import sample_lab
from tests.gui.sample_lab import GROUP, ref
from vea_gui.selection import Selection
from vea_gui.wizards.host_devices import block_devices
from vea_gui.wizards.picture import Fate, picture
from vea_gui.wizards.plan_words import COPYING, ZEROING, expected_s, facts
from vea_gui.wizards.scrub import repair_mirrors

EV, ST = ref(Kind.VOLUME, 1), ref(Kind.VOLUME, 2)


def make_ref(kind: Kind) -> Ref:
    return new_ref(kind, sample_lab.HOST_ID)


def lab(*more: Record) -> Config:
    return Config.of([*sample_lab.records(), *more])


def carried_out(config: Config, command: Command) -> Config:
    """The configuration after a command and after its task."""
    found = plan(config, command, make_ref)
    edit = Edit(config)
    for record in found.puts:
        edit.put(record)
    for gone in found.drops:
        edit.drop(gone)
    for subdisk in edit.config.all(Kind.SUBDISK, Subdisk):
        if subdisk.replaces is not None:
            if subdisk.replaces in edit.config:  # another piece of it may have come before
                edit.drop(subdisk.replaces)
            edit.put(msgspec.structs.replace(subdisk, replaces=None))
    for plex in edit.config.all(Kind.PLEX, Plex):
        edit.put(msgspec.structs.replace(plex, state=PlexState.ACTIVE))
    if found.task is not None and found.task.params.size and found.task.params.volume is not None:
        volume = edit.config.volume(found.task.params.volume)
        edit.put(msgspec.structs.replace(volume, size=found.task.params.size))
    return edit.result()[0]


def any_command(random_: random.Random, config: Config) -> Command:
    volumes = [volume.ref for volume in config.volumes_of(GROUP)]
    subdisks = [subdisk.ref for subdisk in config.all(Kind.SUBDISK, Subdisk)]
    some = random_.choice(volumes) if volumes else EV
    return random_.choice(
        [
            CreateVolume(group=GROUP, size=random_.randrange(1, 900) * MIB, mirrors=random_.randrange(1, 4)),
            CreateVolume(group=GROUP, size=random_.randrange(1, 300) * MIB, striped=True, columns=3),
            AddMirrors(volume=some),
            GrowVolume(volume=some, size=random_.randrange(400, 2000) * MIB),
            MoveSubdisks(moves=tuple(Move(one) for one in random_.sample(subdisks, min(2, len(subdisks))))),
            EvacuateDisk(disk=ref(Kind.DISK, random_.randrange(6))),
            DeleteVolumes(volumes=(some,), force=True),
        ]
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_picture_shows_each_byte_once_and_all_that_the_plan_changes(seed: int) -> None:
    random_, config, drawn = random.Random(seed), lab(), 0
    for _ in range(25):
        command = any_command(random_, config)
        found = plan(config, command, make_ref)
        if found.problems:
            continue
        rows = picture(config, found)
        assert {row.disk for row in rows} == {given.disk for given in (*found.allocates, *found.frees)}
        for row in rows:
            disk, end = config.disk(row.disk), 0
            for part in row.parts:
                assert part.start >= end
                end = part.start + part.length
            assert sum(part.length for part in row.parts) == disk.public_length
            for fate, ranges in ((Fate.TAKEN, found.allocates), (Fate.FREED, found.frees)):
                shown = {(part.start, part.length) for part in row.parts if part.fate is fate}
                assert shown == {(given.offset, given.length) for given in ranges if given.disk == row.disk}
                drawn += len(shown)
        config = carried_out(config, command)
    assert drawn > 10


def test_what_is_not_taken_of_a_disk_that_is_away_is_no_free_space() -> None:
    config = lab()
    lost = config.subdisks_on(next(sd.disk for sd in config.all(Kind.SUBDISK, Subdisk)))[0]
    away = msgspec.structs.replace(config.disk(lost.disk), present=False)
    config = lab(away)
    found = plan(config, DeleteVolumes(volumes=(config.plex(lost.plex).volume,), force=True), make_ref)
    words = {row.disk: {part.label for part in row.parts if part.fate is Fate.FREE} for row in picture(config, found)}
    assert words.pop(away.ref) == {"out of reach"}
    assert set().union(*words.values()) == {"free"}


def test_the_mirror_on_a_disk_with_errors_is_believed_last() -> None:
    config = lab()
    first, second = config.plexes_of(EV)
    bad = config.disk(config.subdisks_of(first.ref)[0].disk)
    config = lab(msgspec.structs.replace(bad, errors=3))
    fields = repair_mirrors(config, Selection(config, (EV,))).pages[0].fields
    (field,) = [each for each in fields if each.name == "source"]
    words = [option.text for option in field.options(config, {})]
    assert words[0] == f"{first.name} on {bad.name}, 3 errors seen"
    assert words[1].startswith(f"{second.name} on ")
    assert field.default == second.ref


def finished(number: int, kind: TaskType, copied: int, seconds: float, **more: object) -> Task:
    task = Task(ref=ref(Kind.TASK, number), name="done", type=kind, state=TaskState.COMPLETED, started_at=100.0)
    return msgspec.structs.replace(task, finished_at=100.0 + seconds, bytes_copied=copied, **more)


def test_expected_time_comes_from_what_was_measured() -> None:
    copied = finished(1, TaskType.MOVE_SUBDISK, GIB, 4.0)
    low, high, measured = expected_s(lab(copied), 2 * GIB, COPYING)
    assert measured
    assert low < 8.0 < high < 10.0


def test_space_that_is_zeroed_at_once_is_expected_at_once() -> None:
    zeroed = msgspec.structs.replace(finished(1, TaskType.CREATE_VOLUME, 0, 0.06), bytes_total=GIB)
    low, high, measured = expected_s(lab(zeroed), 2 * GIB, ZEROING)
    assert measured
    assert low < high < 1.0


@pytest.mark.parametrize(
    "task",
    [
        finished(1, TaskType.CREATE_VOLUME, GIB, 1.0),
        finished(1, TaskType.MOVE_SUBDISK, MIB, 1.0),
        finished(1, TaskType.MOVE_SUBDISK, GIB, 0.0),
        finished(1, TaskType.MOVE_SUBDISK, GIB, 9.0, iodelay_ms=100),
        finished(1, TaskType.MOVE_SUBDISK, GIB, 9.0, state=TaskState.FAILED),
    ],
)
def test_what_tells_no_speed_is_left_aside(task: Task) -> None:
    assert not expected_s(lab(task), GIB, COPYING)[2]


def test_a_plan_that_can_be_undone_says_so() -> None:
    config = lab()
    found = {fact.label: fact.text for fact in facts(config, plan(config, AddMirrors(volume=EV), make_ref))}
    assert found["Cannot be undone"] == "nothing"
    assert found["To copy"].startswith("512 MiB, about ")
    lost = {fact.label: fact.text for fact in facts(config, plan(config, DeleteVolumes(volumes=(ST,)), make_ref))}
    assert "st" in lost["Cannot be undone"]
    assert lost["Cannot be undone"] != "nothing"


def host(tmp_path: Path, devices: dict[str, dict[str, str]], mounts: str = "") -> list[str]:
    """Block devices of a host whose /sys and mounts are these."""
    for name, files in devices.items():
        for path, text in files.items():
            place = tmp_path / "sys" / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                place.mkdir()
            else:
                place.write_text(text)
    (tmp_path / "mounts").write_text(mounts)
    return [f"{each.words}|{each.used}" for each in block_devices(tmp_path / "sys", tmp_path / "mounts")]


def test_devices_say_what_they_are_and_who_has_them(tmp_path: Path) -> None:
    found = host(
        tmp_path,
        {
            "sda": {"size": "4194304\n", "device/vendor": "ATA  ", "device/model": "Disk One", "sda1/partition": "1"},
            "sdb": {"size": "2097152", "device/vendor": "0x1af4"},
            "sdc": {"size": "2048", "holders/dm-0": ""},
            "sdd": {"size": "0"},
            "sde": {"size": "4096", "ro": "1"},
            "sdf": {"size": "4096", "sdf2/partition": "2"},
            "ram0": {"size": "4096"},
            "loop3": {"size": "8", "loop/backing_file": "/srv/a.img\n"},
        },
        "/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\n",
    )
    assert found == [
        "/dev/loop3, 4 KiB, on /srv/a.img|",
        "/dev/sda, 2.0 GiB, ATA Disk One|sda1 is mounted on /",
        "/dev/sdb, 1.0 GiB|",
        "/dev/sdc, 1 MiB|sdc is used by dm-0",
        "/dev/sde, 2 MiB|read-only",
        "/dev/sdf, 2 MiB|has partitions",
    ]


def test_a_host_without_devices_has_none(tmp_path: Path) -> None:
    assert block_devices(tmp_path / "nothing", tmp_path / "nothing") == []


TYPED = re.compile(r"\(-[a-z]\)|[ (]quiesce=")
"""What only the command line knows."""


def test_no_sentence_of_the_engine_is_in_the_words_of_the_command_line() -> None:
    folder = Path(__file__).parents[2] / "engine"
    found = []
    for path in sorted(folder.rglob("*.py")):
        if path.is_relative_to(folder / "cli"):
            continue
        tree = ast.parse(path.read_text())
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in told)
        texts = (node.value for node in nodes if isinstance(node.value, str))
        found += [f"{path.name}: {text}" for text in texts if TYPED.search(text)]
    assert found == []
