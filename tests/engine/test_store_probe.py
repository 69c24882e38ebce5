"""What stands on a LUN is said in a phrase, and who uses it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.devices.block import KernelBlockDevice
from engine.devices.file import FileDevice
from engine.devices.locks import DeviceLock
from engine.devices.memory import MemoryDevice
from engine.errors import EngineError
from engine.store.probe import content_of, phrase
from engine.units import MIB


@pytest.fixture
def lun(tmp_path: Path) -> Iterator[FileDevice]:
    path = tmp_path / "lun"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(64 * MIB)
    device = FileDevice(str(path))
    yield device
    device.close()


@pytest.fixture
def loop(lun: FileDevice) -> Iterator[str]:
    made = subprocess.run(("losetup", "-f", "--show", lun.path), capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop devices here: {made.stderr.strip()}")
    yield made.stdout.strip()
    subprocess.run(("losetup", "-d", made.stdout.strip()), check=True)


def run(*words: str) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    subprocess.run(words, check=True, capture_output=True)


def test_an_empty_lun_holds_nothing(lun: FileDevice) -> None:
    assert content_of(lun) == ""
    memory = MemoryDevice("memory", MIB)
    assert content_of(memory) == ""
    memory.close()


def test_file_systems_and_swap_are_named(lun: FileDevice) -> None:
    run("mkfs.ext4", "-q", lun.path)
    assert content_of(lun) == "ext4 file system"
    run("mkswap", "-f", lun.path)
    assert content_of(lun) == "swap space"


def test_a_partition_table_is_named(lun: FileDevice) -> None:
    if shutil.which("sfdisk") is None:
        pytest.skip("sfdisk is not installed")
    for kind, words in (("gpt", "GPT partition table"), ("dos", "MBR partition table")):
        subprocess.run(("sfdisk", "-q", lun.path), input=f"label: {kind}\n,16M\n", text=True, check=True)
        assert content_of(lun) == words


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("TYPE=LVM2_member\nUSAGE=raid\n", "LVM physical volume"),
        ("TYPE=linux_raid_member\nUSAGE=raid\n", "md RAID member"),
        ("TYPE=zfs_member\nUSAGE=filesystem\n", "ZFS pool member"),
        ("TYPE=crypto_LUKS\nUSAGE=crypto\n", "LUKS encrypted volume"),
        ("TYPE=xfs\nUSAGE=filesystem\n", "xfs file system"),
        ("TYPE=isw_raid_member\nUSAGE=raid\n", "isw_raid_member RAID member"),
        ("TYPE=odd\n", "odd data"),
        ("PTTYPE=sun\n", "sun partition table"),
        ("DEVNAME=/dev/fd/3\n", ""),
        ("", ""),
    ],
)
def test_phrases(answer: str, words: str) -> None:
    assert phrase(answer) == words


def test_a_lock_of_others_is_seen_and_our_own_is_not(lun: FileDevice) -> None:
    other = FileDevice(lun.path)
    lock = DeviceLock(other)
    lock.take()
    assert content_of(lun) == "data locked by another program"
    assert content_of(other) == ""
    lock.give_up()
    assert content_of(lun) == ""
    other.close()


def test_a_loop_device_and_its_mount_are_seen_from_both_ends(lun: FileDevice, loop: str, tmp_path: Path) -> None:
    run("mkfs.ext4", "-q", loop)
    block = KernelBlockDevice(loop)
    assert content_of(lun) == f"data in use by {loop}"
    assert content_of(block) == "ext4 file system"
    place = tmp_path / "mount point"
    place.mkdir()
    subprocess.run(("mount", loop, str(place)), check=True)
    try:
        assert content_of(block) == f"ext4 file system mounted on {place}"
        assert content_of(lun) == f"ext4 file system mounted on {place} through {loop}"
    finally:
        subprocess.run(("umount", str(place)), check=True)
        block.close()


def test_a_claimed_device_is_in_use_for_others_only(lun: FileDevice, loop: str) -> None:
    ours, theirs = KernelBlockDevice(loop), KernelBlockDevice(loop)
    lock = DeviceLock(theirs)
    lock.take()
    assert content_of(ours).startswith("data in use by")
    assert content_of(theirs) == ""
    lock.give_up()
    assert content_of(ours) == ""
    ours.close()
    theirs.close()


def test_without_blkid_there_is_a_sentence(lun: FileDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
    with pytest.raises(EngineError, match="Install util-linux"):
        content_of(lun)


def test_a_lun_that_has_vanished_is_a_sentence(lun: FileDevice) -> None:
    Path(lun.path).unlink()
    with pytest.raises(EngineError, match="can't be found out"):
        content_of(lun)
