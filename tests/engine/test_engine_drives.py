"""Drive letters and folders: names, block files, mounts, and who counts as a user of a volume."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.commands import (
    ChangeDrive,
    CreateVolume,
    DeleteVolumes,
    FormatVolume,
    Master,
    PrepareSnapshot,
    SnapBack,
    SnapChoice,
    StartVolumes,
    StopVolumes,
    TakeSnapshots,
    decode,
)
from engine.drives.mounts import loops_on, mount_at, mounts
from engine.errors import CommandRejected
from engine.filesystems.tools import makeable, no_files, no_mounts
from engine.records import Alert, Kind, Task, TaskState, Volume
from engine.units import MIB
from tests.engine.engine_lab import EngineLab

DEADLINE_S = 90.0


def lab_without_mounts(tmp_path: Path, **choices: int) -> Iterator[EngineLab]:
    """A host with a group, after whose end nothing may be mounted any more."""
    made = EngineLab(tmp_path, **choices).start()
    made.make_group()
    try:
        yield made
    finally:
        if made.opened is not None:
            made.stop()
        left = [mount.point for mount in mounts() if mount.point.startswith(f"{tmp_path}/")]
        for point in reversed(left):
            subprocess.run(["umount", "-l", point], check=False)
        assert not left


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    yield from lab_without_mounts(tmp_path)


def needs_files() -> None:
    if why := no_files():
        pytest.skip(why)


def needs_mounts(kind: str = "ext4") -> None:
    if why := no_mounts():
        pytest.skip(why)
    if kind not in makeable():
        pytest.skip(f"This machine has no program that makes {kind}.")


def until(lab: EngineLab, holds: Callable[[Volume], bool], name: str = "v") -> Volume:
    ref = lab.volume(name).ref
    assert lab.engine.committer.wait_until(lambda config: holds(config.volume(ref)), DEADLINE_S), lab.volume(name)
    return lab.volume(name)


def shown(lab: EngineLab, name: str = "v") -> Path:
    return Path(until(lab, lambda volume: bool(volume.drive), name).drive)


def formatted(lab: EngineLab, kind: str = "ext4", **more: object) -> Task:
    return lab.do(FormatVolume(volume=lab.volume().ref, file_system=kind, **more))  # type: ignore[arg-type]


def mounted(lab: EngineLab, tmp_path: Path) -> Path:
    """A volume `v` with ext4, mounted in a folder."""
    needs_mounts()
    lab.make_volume()
    formatted(lab)
    folder = tmp_path / "here"
    folder.mkdir()
    lab.do(ChangeDrive(volume=lab.volume().ref, path=str(folder)))
    until(lab, lambda volume: volume.mounted == str(folder))
    return folder


# --- names ---
def test_a_letter_is_one_volumes_on_the_host_and_can_be_taken_back(lab: EngineLab) -> None:
    first, other = lab.make_volume().ref, lab.make_volume("w").ref
    done = lab.do(ChangeDrive(volume=first, letter="E"))
    with pytest.raises(CommandRejected, match="The drive letter E is that of v in dg"):
        lab.engine.submit(ChangeDrive(volume=other, letter="E"))
    for letter in ("e", "EE", "1", "É", "/"):
        with pytest.raises(CommandRejected, match="is no drive letter"):
            lab.engine.submit(ChangeDrive(volume=other, letter=letter))
    lab.restart()
    assert lab.volume().drive_letter == "E"
    lab.do(decode(done.undo))
    assert lab.volume().drive_letter == ""
    lab.do(ChangeDrive(volume=other, letter="E"))


@pytest.mark.parametrize("case", ["missing", "not empty", "a link", "a file", "relative", "dots"])
def test_a_folder_that_will_not_do_is_refused_and_nothing_is_touched(lab: EngineLab, tmp_path: Path, case: str) -> None:
    volume = lab.make_volume().ref
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "something").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    wanted = {
        "missing": tmp_path / "none",
        "not empty": folder,
        "a link": tmp_path / "link",
        "a file": folder / "something",
        "relative": "here",
        "dots": f"{tmp_path}/../{tmp_path.name}/empty",
    }[case]
    before = lab.volume()
    with pytest.raises(CommandRejected) as refusal:
        lab.engine.submit(ChangeDrive(volume=volume, letter="E", path=str(wanted)))
    assert refusal.value.problems[0].field == "path"
    assert lab.volume() == before
    assert sorted(path.name for path in folder.iterdir()) == ["something"]


# --- block files ---
def test_the_block_file_is_the_volume_and_the_helper_is_nobody(lab: EngineLab) -> None:
    needs_files()
    volume = lab.make_volume().ref
    lab.do(ChangeDrive(volume=volume, letter="E"))
    file = shown(lab)
    assert file.name == "E"
    assert file.stat().st_size == 24 * MIB
    with file.open("r+b") as drive:
        drive.write(b"through the file")
        drive.flush()
        os.fsync(drive.fileno())
    assert lab.read(0, 16) == b"through the file"
    lab.do(StopVolumes(volumes=(volume,)))
    assert not lab.config.connections_of(volume)
    assert not file.exists()
    lab.do(StartVolumes(volumes=(volume,)))
    shown(lab)
    lab.do(DeleteVolumes(volumes=(volume,)))
    assert mount_at(str(file)) is None


def test_who_has_the_file_open_is_named_and_cut_off_by_force_only(lab: EngineLab) -> None:
    needs_files()
    volume = lab.make_volume().ref
    lab.do(ChangeDrive(volume=volume, letter="E"))
    with shown(lab).open("rb") as drive, subprocess.Popen(["sleep", "600"], stdin=drive) as program:
        try:
            with pytest.raises(CommandRejected, match=rf"in use by sleep \(process {program.pid}\)"):
                lab.engine.submit(StopVolumes(volumes=(volume,)))
            assert lab.volume().serving
            assert lab.volume().drive_users == (f"sleep (process {program.pid})",)
            lab.do(StopVolumes(volumes=(volume,), force=True))
            assert not lab.volume().drive
        finally:
            program.kill()


def test_a_helper_that_dies_is_begun_anew_and_told(lab: EngineLab) -> None:
    needs_files()
    lab.make_volume()
    lab.do(ChangeDrive(volume=lab.volume().ref, letter="E"))
    file = shown(lab)
    (drive,) = lab.engine._drives._drives.values()
    os.kill(drive.process, signal.SIGKILL)

    def told(config: object) -> bool:
        alerts = lab.config.all(Kind.ALERT, Alert)
        return any("shown anew" in alert.name for alert in alerts) and bool(lab.volume().drive)

    assert lab.engine.committer.wait_until(told, DEADLINE_S)
    lab.write(b"anew", 0)
    assert file.read_bytes()[:4] == b"anew"


# --- folders ---
def test_a_folder_shows_the_file_system_and_is_left_empty(lab: EngineLab, tmp_path: Path) -> None:
    folder = mounted(lab, tmp_path)
    (folder / "hello").write_text("world")
    with subprocess.Popen(["sleep", "600"], cwd=folder) as program:
        try:
            with pytest.raises(CommandRejected, match=rf"in use by sleep \(process {program.pid}\)"):
                lab.engine.submit(StopVolumes(volumes=(lab.volume().ref,)))
        finally:
            program.kill()
    lab.do(StopVolumes(volumes=(lab.volume().ref,)))
    assert list(folder.iterdir()) == []
    lab.restart()
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    until(lab, lambda volume: bool(volume.mounted))
    assert (folder / "hello").read_text() == "world"
    lab.stop()
    assert list(folder.iterdir()) == []


def test_a_restore_shows_the_snapshots_bytes_in_the_folder(lab: EngineLab, tmp_path: Path) -> None:
    folder = mounted(lab, tmp_path)
    volume = lab.volume().ref
    (folder / "kept").write_text("before")
    lab.do(PrepareSnapshot(volume=volume))
    subprocess.run(["sync", "-f", str(folder)], check=True)
    seen = tmp_path / "there"
    seen.mkdir()
    choice = SnapChoice(volume=volume, name="snap", letter="J", path=str(seen))
    lab.do(TakeSnapshots(choices=(choice,)))
    until(lab, lambda snap: snap.mounted == str(seen), "snap")
    assert (seen / "kept").read_text() == "before"
    (folder / "kept").write_text("after!")
    subprocess.run(["sync", "-f", str(folder)], check=True)
    lab.do(SnapBack(snapshots=(lab.volume("snap").ref,), master=Master.SNAPSHOT))
    until(lab, lambda one: bool(one.mounted))
    assert (folder / "kept").read_text() == "before"
    assert list(seen.iterdir()) == []


def test_what_a_killed_engine_left_is_cleaned_and_nothing_else(lab: EngineLab, tmp_path: Path) -> None:
    folder = mounted(lab, tmp_path)
    drives = lab.engine._drives
    (drive,) = drives._drives.values()
    file = Path(drive.spec.file)
    with drives._changed:
        drives._closed = True
        drives._changed.notify_all()
    assert drives._thread is not None
    drives._thread.join()
    drives._drives.clear()  # as if nobody had the time
    lab.kill()
    assert mount_at(str(folder)) is not None
    foreign = file.parent / "foreign"
    foreign.write_text("not ours")
    lab.start()
    until(lab, lambda volume: volume.mounted == str(folder))
    assert len([mount for mount in mounts() if mount.point == str(folder)]) == 1
    assert len(loops_on(str(file))) == 1
    assert foreign.read_text() == "not ours"
    for program in filter(None, (drive._program, drive._probe)):
        program.wait(DEADLINE_S)
    os.close(drive._words)


# --- format ---
@pytest.mark.parametrize("kind", ["ext4", "ntfs"])
def test_format_makes_it_and_does_not_overwrite_one_unasked(lab: EngineLab, kind: str) -> None:
    if kind not in makeable():
        pytest.skip(f"This machine has no program that makes {kind}, or no /dev/fuse.")
    volume = lab.make_volume().ref
    done = formatted(lab, kind, label="mail")
    assert done.result == f"v has an empty {kind} file system with the label mail now."
    assert lab.volume().content == f"{kind} file system"
    with pytest.raises(CommandRejected, match="by force"):
        lab.engine.submit(FormatVolume(volume=volume, file_system=kind))
    plan = lab.engine.plan(FormatVolume(volume=volume, file_system=kind, force=True))
    assert plan.destroys == (volume,)
    assert "cannot be had back" in plan.confirm
    formatted(lab, kind, force=True, quick=False)
    assert not lab.config.connections_of(volume)


def test_what_cannot_be_formatted_says_why(lab: EngineLab) -> None:
    if "ext4" not in makeable():
        pytest.skip("This machine has no program that makes ext4, or no /dev/fuse.")
    volume = lab.make_volume().ref
    for fields, said in (
        ({"file_system": "zfs"}, "no file system that can be made"),
        ({"label": "x" * 17}, "16 is the most"),
        ({"label": "a\nb"}, "can't be shown"),
        ({"file_system": "xfs"}, "xfs"),
    ):
        with pytest.raises(CommandRejected, match=said):
            lab.engine.submit(FormatVolume(volume=volume, **fields))
    lab.do(StopVolumes(volumes=(volume,)))
    with pytest.raises(CommandRejected, match="not started"):
        lab.engine.submit(FormatVolume(volume=volume))


def test_a_volume_that_is_made_with_all_of_it_can_be_used_at_once(lab: EngineLab, tmp_path: Path) -> None:
    needs_mounts()
    folder = tmp_path / "here"
    folder.mkdir()
    command = CreateVolume(
        group=lab.group().ref, name="v", size=24 * MIB, letter="E", path=str(folder), file_system="ext4", label="v"
    )
    lab.do(command)
    formats = [task for task in lab.config.all(Kind.TASK, Task) if task.type == "Format"]
    assert len(formats) == 1
    assert lab.engine.wait(formats[0].ref, DEADLINE_S)
    assert lab.config.task(formats[0].ref).state is TaskState.COMPLETED
    until(lab, lambda volume: volume.mounted == str(folder))
    (folder / "used").write_text("at once")
