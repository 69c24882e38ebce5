"""The write lock of a LUN: against others, against our own carelessness, and gone with its holder."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.devices.block import KernelBlockDevice
from engine.devices.file import FileDevice
from engine.devices.locks import DeviceLock, holder
from engine.errors import EngineBusy
from engine.units import MIB
from tests.engine.test_devices import Kit, kit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["kit"]

HOLD = """
import sys
from engine.devices.file import FileDevice
from engine.devices.locks import DeviceLock
DeviceLock(FileDevice(sys.argv[1])).take()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_keeps_others_out_until_it_is_given_up(kit: Kit) -> None:
    first = kit.file()
    second = kit.open(first.path)
    lock, other = DeviceLock(first), DeviceLock(second)
    lock.take()
    lock.take()
    with pytest.raises(EngineBusy) as caught:
        other.take()
    assert first.path in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    assert not other.held
    lock.give_up()
    assert holder(second) is None
    other.take()
    assert other.held
    other.give_up()
    other.give_up()


def test_closing_another_descriptor_of_the_file_does_not_drop_the_lock(kit: Kit) -> None:
    device = kit.file()
    lock = DeviceLock(device)
    lock.take()
    os.close(os.open(device.path, os.O_RDWR))
    FileDevice(device.path).close()
    assert holder(kit.open(device.path)) is not None


def test_another_process_is_named_and_its_end_frees_the_lun(kit: Kit) -> None:
    device = kit.file()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, device.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(EngineBusy) as caught:
            DeviceLock(device).take()
        assert f"process {process.pid} (python" in str(caught.value)
        process.kill()
        process.wait(60)
        lock = DeviceLock(device)
        lock.take()
        assert lock.held


def test_a_classical_lock_is_respected_and_its_holder_named(kit: Kit) -> None:
    device = kit.file()
    program = "import fcntl,sys; f=open(sys.argv[1],'r+b'); fcntl.lockf(f,fcntl.LOCK_EX); print('held',flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", program + "; sys.stdin.read()", device.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert str(process.pid) in (holder(device) or "")
        with pytest.raises(EngineBusy):
            DeviceLock(device).take()
        process.communicate()


def test_a_lock_does_not_hinder_readers(kit: Kit) -> None:
    device = kit.file()
    DeviceLock(device).take()
    with open(device.path, "rb") as stream:
        assert stream.read(3) == bytes(3)
        with pytest.raises(BlockingIOError):
            fcntl.lockf(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_block_device_is_claimed_too(kit: Kit, tmp_path: Path) -> None:
    path = kit.loop(2 * MIB)
    device = kit.block(path)
    lock = DeviceLock(device)
    lock.take()
    with pytest.raises(OSError, match="busy"):
        os.open(path, os.O_RDWR | os.O_EXCL)
    other = KernelBlockDevice(path)
    with pytest.raises(EngineBusy):
        DeviceLock(other).take()
    lock.give_up()
    second = DeviceLock(other)
    second.take()
    second.give_up()
    other.close()
    device.write(0, b"the descriptor is still open")
