"""A drive's helper that answers nobody, or is killed: whatever was asked ends, and the drive comes back or is gone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import (
    ChangeDrive,
    DeleteVolumes,
    FormatVolume,
    Master,
    RefreshSnapshots,
    SnapBack,
    SnapChoice,
    TakeSnapshots,
)
from engine.drives import keeper
from engine.drives.drive import Drive
from engine.drives.mounts import mount_at
from engine.filesystems import work
from engine.filesystems.tools import makeable, no_files
from engine.records import Alert, Kind, Task, Volume
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_drives import DEADLINE_S, lab, mounted, shown, until
from tests.engine.test_engine_prepare import prepare

__all__ = ["lab"]
WAYS = [pytest.param(signal.SIGSTOP, id="stopped"), pytest.param(signal.SIGKILL, id="killed")]


@pytest.fixture
def hurt(lab: EngineLab) -> Iterator[list[int]]:
    """Helpers that were stopped: none of them outlives the test."""
    found: list[int] = []
    yield found
    for process in found:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def hurt_helper(lab: EngineLab, hurt: list[int], way: signal.Signals, name: str) -> Drive:
    """The drive of a volume, whose helper is not well any more; it is given a second to answer."""
    shown(lab, name)
    drive = lab.engine._drives._drives[lab.volume(name).ref]
    drive.patience_s = 1.0
    if way is signal.SIGSTOP:
        hurt.append(drive.process)
    os.kill(drive.process, way)
    return drive


def told(lab: EngineLab, name: str) -> bool:
    alerts = [one.name for one in lab.config.all(Kind.ALERT, Alert)]
    return f"The drive of {name} is shown anew." in alerts


def take(lab: EngineLab) -> None:
    lab.do(TakeSnapshots(choices=(SnapChoice(volume=lab.volume().ref, name="snap", letter="J"),)))


@pytest.mark.parametrize("way", WAYS)
def test_nothing_waits_for_a_helper_that_is_not_well(lab: EngineLab, hurt: list[int], way: signal.Signals) -> None:
    if why := no_files():
        pytest.skip(why)
    lab.make_volume(size=8 * MIB)
    prepare(lab)
    take(lab)
    gone = hurt_helper(lab, hurt, way, "snap")
    lab.do(SnapBack(snapshots=(lab.volume("snap").ref,)))
    assert mount_at(gone.spec.file) is None
    take(lab)
    hurt_helper(lab, hurt, way, "snap")
    lab.do(RefreshSnapshots(snapshots=(lab.volume("snap").ref,)))
    gone = hurt_helper(lab, hurt, way, "snap")
    lab.do(ChangeDrive(volume=lab.volume("snap").ref, letter="K"))
    file = until(lab, lambda one: one.drive.endswith("/K"), "snap").drive
    assert mount_at(gone.spec.file) is None
    assert Path(file).read_bytes()[:1] == b"\0"
    hurt_helper(lab, hurt, way, "snap")
    lab.do(DeleteVolumes(volumes=(lab.volume("snap").ref,)))
    assert mount_at(file) is None
    lab.do(ChangeDrive(volume=lab.volume().ref, letter="E"))
    file = hurt_helper(lab, hurt, way, "v").spec.file
    lab.stop()
    assert mount_at(file) is None


def test_a_mounted_file_system_whose_helper_hangs_goes_and_comes_back(
    lab: EngineLab, hurt: list[int], tmp_path: Path
) -> None:
    folder = mounted(lab, tmp_path)
    prepare(lab)
    lab.do(TakeSnapshots(choices=(SnapChoice(volume=lab.volume().ref, name="snap"),)))
    (folder / "later").write_text("not in the snapshot")
    hurt_helper(lab, hurt, signal.SIGSTOP, "v")
    lab.do(SnapBack(snapshots=(lab.volume("snap").ref,), master=Master.SNAPSHOT))
    assert told(lab, "v")
    until(lab, lambda one: one.mounted == str(folder))
    assert not (folder / "later").exists()
    hurt_helper(lab, hurt, signal.SIGSTOP, "v")
    lab.stop()
    assert list(folder.iterdir()) == []


def test_a_helper_that_hangs_by_itself_is_begun_anew(
    lab: EngineLab, hurt: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if why := no_files():
        pytest.skip(why)
    monkeypatch.setattr(keeper, "PROBE_EACH_S", 0.2)  # it is looked at so often
    lab.make_volume(size=8 * MIB)
    lab.do(ChangeDrive(volume=lab.volume().ref, letter="E"))
    before = hurt_helper(lab, hurt, signal.SIGSTOP, "v")

    def anew(config: object) -> bool:
        now = lab.engine._drives._drives.get(before.spec.volume)
        return now is not None and now is not before and bool(lab.volume().drive) and told(lab, "v")

    assert lab.engine.committer.wait_until(anew, DEADLINE_S)
    assert Path(lab.volume().drive).read_bytes()[:1] == b"\0"


def test_a_format_whose_helper_hangs_does_not_keep_the_engine_from_ending(
    lab: EngineLab, hurt: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "ext4" not in makeable():
        pytest.skip("This machine has no program that makes ext4, or no /dev/fuse.")
    waits = threading.Event()

    def make(worker: object, task: Task, volume: Volume, file: str) -> str:
        """Where a program would be when the helper hangs: in a write that nobody answers."""
        (helper,) = lab.engine._programs.running()
        hurt.append(helper.pid)
        os.kill(helper.pid, signal.SIGSTOP)
        waits.set()
        Path(file).write_bytes(b"x")
        return "It has been answered."

    monkeypatch.setattr(work, "make", make)
    monkeypatch.setattr(work, "_GONE_S", 1.0)
    volume = lab.make_volume(size=8 * MIB).ref
    lab.engine.submit(FormatVolume(volume=volume, file_system="ext4"))
    assert waits.wait(DEADLINE_S)
    lab.stop()
