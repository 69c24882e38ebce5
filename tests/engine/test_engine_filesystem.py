"""File systems that are resized on a volume's own export, by the programs that know them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import AbortTask, GrowVolume, ResizeFileSystem, ShrinkVolume, StopVolumes
from engine.errors import CommandRejected
from engine.filesystems.tools import CALLS, path_of, resizable
from engine.records import Kind, Task, TaskState
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.nbd_peer import Client

EXT4, NTFS, XFS = "ext4 file system", "ntfs file system", "xfs file system"
MAKERS = {EXT4: ["mkfs.ext4", "-q", "-F"], NTFS: ["mkfs.ntfs", "-q", "-F", "-f"], XFS: ["mkfs.xfs", "-q", "-f"]}


lab = lab_fixture()


def needs(kind: str) -> None:
    if kind not in resizable() or path_of(MAKERS[kind][0]) is None:
        pytest.skip(f"This machine has no programs that make and resize an {kind}, or no /dev/fuse.")


def put(lab: EngineLab, tmp_path: Path, kind: str, size: int) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(size)
    maker, *rest = MAKERS[kind]
    subprocess.run([path_of(maker) or maker, *rest, str(image)], check=True, capture_output=True)
    with image.open("rb") as file:
        for offset in range(0, size, MIB):
            if any(piece := file.read(MIB)):
                assert lab.write(piece, offset) == 0


def run(lab: EngineLab, size: int = 0) -> Task:
    ref = lab.engine.submit(ResizeFileSystem(volume=lab.volume().ref, size=size))
    assert lab.engine.wait(ref, 60)
    return lab.config.task(ref)


def is_sound(lab: EngineLab, tmp_path: Path) -> bool:
    image = tmp_path / "after"
    image.write_bytes(lab.read(0, lab.volume().size))
    return subprocess.run([path_of("e2fsck") or "e2fsck", "-f", "-n", str(image)], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    "choices", [{}, {"mirrors": 2}, {"raid5": True, "columns": 3}], ids=["concat", "mirror", "raid5"]
)
def test_ext4_follows_its_volume_up_and_goes_ahead_of_it_down(
    lab: EngineLab, tmp_path: Path, choices: dict[str, object]
) -> None:
    needs(EXT4)
    volume = lab.make_volume(size=24 * MIB, **choices).ref
    put(lab, tmp_path, EXT4, 24 * MIB)
    assert any(
        "File System > Resize" in line for line in lab.engine.plan(GrowVolume(volume=volume, size=40 * MIB)).warnings
    )
    lab.do(GrowVolume(volume=volume, size=40 * MIB))
    done = run(lab)
    assert (done.state, done.result) == (TaskState.COMPLETED, f"The {EXT4} on v has 40 MiB now.")
    assert is_sound(lab, tmp_path)
    if choices.get("raid5"):
        return
    with pytest.raises(CommandRejected, match="has 40 MiB"):
        lab.engine.submit(ShrinkVolume(volume=volume, size=16 * MIB))
    assert run(lab, 16 * MIB).state is TaskState.COMPLETED
    lab.do(ShrinkVolume(volume=volume, size=16 * MIB))
    assert lab.volume().content_size == 16 * MIB
    assert is_sound(lab, tmp_path)


def test_ntfs_is_resized(lab: EngineLab, tmp_path: Path) -> None:
    needs(NTFS)
    volume = lab.make_volume(size=16 * MIB).ref
    put(lab, tmp_path, NTFS, 16 * MIB)
    lab.do(GrowVolume(volume=volume, size=24 * MIB))
    done = run(lab)
    assert done.state is TaskState.COMPLETED, done.result
    lab.engine.plan(ResizeFileSystem(volume=volume))
    assert lab.volume().content_size > 20 * MIB


@pytest.fixture
def large_lab(tmp_path: Path) -> Iterator[EngineLab]:
    """Room for the smallest file system that mkfs.xfs makes."""
    made = EngineLab(tmp_path, lun_size=640 * MIB).start()
    made.make_group()
    yield made
    if made.opened is not None:
        made.stop()


def has_sound_xfs(lab: EngineLab, tmp_path: Path) -> bool:
    image = tmp_path / "after"
    with image.open("wb") as file:
        for offset in range(0, lab.volume().size, 8 * MIB):
            piece = lab.read(offset, 8 * MIB)
            if any(piece):
                file.seek(offset)
                file.write(piece)
        file.truncate(lab.volume().size)
    checked = subprocess.run([path_of("xfs_repair") or "xfs_repair", "-f", "-n", str(image)], capture_output=True)
    return checked.returncode == 0


@pytest.mark.parametrize("choices", [{}, {"mirrors": 2}], ids=["concat", "mirror"])
def test_xfs_is_grown_where_nobody_sees_its_mount(
    large_lab: EngineLab, tmp_path: Path, choices: dict[str, object]
) -> None:
    needs(XFS)
    volume = large_lab.make_volume(size=320 * MIB, **choices).ref
    put(large_lab, tmp_path, XFS, 320 * MIB)
    large_lab.do(GrowVolume(volume=volume, size=400 * MIB))
    plan = large_lab.engine.plan(ResizeFileSystem(volume=volume))
    assert any("mounted on this host" in warning for warning in plan.warnings)
    assert (plan.undo, plan.irreversible) == ("", f"The {XFS} can't be made smaller again.")
    done = run(large_lab)
    assert (done.state, done.result) == (TaskState.COMPLETED, f"The {XFS} on v has 400 MiB now.")
    assert has_sound_xfs(large_lab, tmp_path)
    assert "vea-xfs-" not in Path("/proc/self/mountinfo").read_text()
    with pytest.raises(CommandRejected, match="can't be made smaller"):
        large_lab.engine.submit(ResizeFileSystem(volume=volume, size=320 * MIB))
    with pytest.raises(CommandRejected, match="has 400 MiB"):
        large_lab.engine.submit(ShrinkVolume(volume=volume, size=320 * MIB))


def test_what_the_kernel_does_not_mount_is_told_and_left_alone(large_lab: EngineLab, tmp_path: Path) -> None:
    needs(XFS)
    volume = large_lab.make_volume(size=320 * MIB).ref
    put(large_lab, tmp_path, XFS, 320 * MIB)
    head = large_lab.read(0, 4096)
    assert large_lab.write(head[:100] + b"\xff\xff" + head[102:], 0) == 0
    large_lab.do(GrowVolume(volume=volume, size=400 * MIB))
    spoilt = large_lab.read(0, 4096)
    failed = run(large_lab)
    assert failed.state is TaskState.FAILED
    assert failed.result.startswith("xfs_growfs ended with status ")
    assert "mount" in failed.result
    assert large_lab.read(0, 4096) == spoilt


def test_what_a_program_refuses_is_told_in_its_words(lab: EngineLab, tmp_path: Path) -> None:
    needs(EXT4)
    lab.make_volume(size=24 * MIB)
    put(lab, tmp_path, EXT4, 24 * MIB)
    failed = run(lab, MIB)
    assert failed.state is TaskState.FAILED
    assert failed.result.startswith("resize2fs ended with status 1:")
    assert is_sound(lab, tmp_path)
    assert not lab.config.count(Kind.CONNECTION)


def test_nobody_may_be_connected_and_the_volume_has_to_be_started(lab: EngineLab, tmp_path: Path) -> None:
    needs(EXT4)
    volume = lab.make_volume(size=16 * MIB).ref
    command = ResizeFileSystem(volume=volume, size=8 * MIB)
    with pytest.raises(CommandRejected, match="No known file system"):
        lab.engine.submit(command)
    put(lab, tmp_path, EXT4, 16 * MIB)
    assert lab.opened is not None
    with Client(lab.opened.nbd) as client:
        client.go("dg/v")
        with pytest.raises(CommandRejected, match="in use by"):
            lab.engine.submit(command)
    assert lab.engine.committer.wait_until(lambda config: not config.count(Kind.CONNECTION), 20)
    with pytest.raises(CommandRejected, match="has 16 MiB already"):
        lab.engine.submit(ResizeFileSystem(volume=volume))
    with pytest.raises(CommandRejected, match="Expand the volume first"):
        lab.engine.submit(ResizeFileSystem(volume=volume, size=32 * MIB))
    lab.do(StopVolumes(volumes=(volume,)))
    with pytest.raises(CommandRejected, match="not started"):
        lab.engine.submit(command)


def test_an_engine_that_ends_meanwhile_leaves_no_program_and_no_mount(lab: EngineLab, tmp_path: Path) -> None:
    needs(EXT4)
    volume = lab.make_volume(size=24 * MIB).ref
    put(lab, tmp_path, EXT4, 16 * MIB)
    task = lab.engine.submit(ResizeFileSystem(volume=volume))
    with pytest.raises(CommandRejected, match="without harm"):
        lab.engine.submit(AbortTask(task=task))
    resizer = lab.engine._file_systems
    lab.stop()
    assert all(program.poll() is not None for program in resizer._programs)
    assert "vea-volume-" not in Path("/proc/self/mountinfo").read_text()


def test_each_call_names_the_file() -> None:
    for calls in CALLS.values():
        for call in calls:
            filled = call.filled("/here", 8 * MIB)
            assert "/here" in filled
            assert not any("{" in part for part in filled)
