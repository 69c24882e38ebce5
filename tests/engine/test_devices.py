"""Every layer keeps the one protocol: random operations beside a byte array, then what each does on its own."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from engine.devices import descriptor
from engine.devices.block import KernelBlockDevice
from engine.devices.concat import Concat
from engine.devices.counted import CountedDevice
from engine.devices.delayed import DelayedDevice
from engine.devices.faulty import FaultyDevice
from engine.devices.file import FileDevice
from engine.devices.filled import fill
from engine.devices.gathered import write_parts
from engine.devices.memory import MemoryDevice
from engine.devices.mirror import Mirror
from engine.devices.slice import Slice
from engine.devices.stripe import Stripe
from engine.errors import DeviceError, RangeError
from engine.runtime import ThreadRuntime
from engine.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.devices.base import BlockDevice
    from engine.devices.descriptor import DescriptorDevice

SIZE = MIB + 1536


class Kit:
    """Makes devices for one test and gives everything back at its end."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._number = 0

    def image(self, size: int = SIZE) -> str:
        self._number += 1
        path = self._folder / f"lun{self._number}.img"
        path.write_bytes(b"")
        os.truncate(path, size)
        return str(path)

    def file(self, size: int = SIZE, *, writable: bool = True) -> FileDevice:
        return self._keep(FileDevice(self.image(size), writable=writable))

    def open(self, path: str) -> FileDevice:
        return self._keep(FileDevice(path))

    def memory(self, size: int = SIZE) -> MemoryDevice:
        self._number += 1
        return self._keep(MemoryDevice(f"mem{self._number}", size))

    def loop(self, size: int = SIZE) -> str:
        """A real kernel block device over a new image; skips where the machine has none."""
        made = subprocess.run(["losetup", "--show", "-f", self.image(size)], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"no loop device here: {made.stderr.strip()}")
        path = made.stdout.strip()
        self._stack.callback(subprocess.run, ["losetup", "-d", path], check=True)
        return path

    def block(self, path: str) -> KernelBlockDevice:
        return self._keep(KernelBlockDevice(path))

    def _keep(self, device: DescriptorDevice) -> DescriptorDevice:
        self._stack.callback(device.close)
        return device


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with ExitStack() as stack:
        yield Kit(tmp_path, stack)


LAYERS: dict[str, Callable[[Kit], BlockDevice]] = {
    "file": lambda kit: kit.file(),
    "memory": lambda kit: kit.memory(),
    "block": lambda kit: kit.block(kit.loop(2 * MIB)),
    "slice": lambda kit: Slice(kit.file(3 * MIB), 4096 + 512, SIZE),
    "concat": lambda kit: Concat([kit.file(1000), Slice(kit.memory(), 5, 100_001), kit.file(MIB)]),
    "stripe": lambda kit: Stripe([kit.file(400_000) for _ in range(3)], 3 * KIB),
    "mirror": lambda kit: Mirror([kit.file(), kit.memory()]),
    "mirrored stripe": lambda kit: Mirror([Stripe([kit.file(), kit.file()], 64 * KIB), kit.file(3 * MIB)]),
    "test layers": lambda kit: CountedDevice(DelayedDevice(FaultyDevice(kit.file()), ThreadRuntime())),
}


def read(device: BlockDevice, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    device.read_into(offset, memoryview(buffer))
    return bytes(buffer)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_a_flat_byte_array(layer: str, kit: Kit, seed: int) -> None:
    random = Random(seed)
    device = LAYERS[layer](kit)
    expected = bytearray(device.size)
    for step in range(300):
        length = random.choice((0, 1, 511, 512, 4096, 5000, 65536, 200_000))
        offset = random.randrange(0, device.size - length + 1)
        verb = random.choice(("read", "read", "write", "parts", "durable", "zero", "hole", "discard", "flush"))
        if verb in ("write", "durable"):
            data = random.randbytes(length)
            device.write(offset, random.choice((bytes, bytearray, memoryview))(data), durable=verb == "durable")
            expected[offset : offset + length] = data
        elif verb == "parts":
            data = random.randbytes(length)
            cuts = sorted({0, length, *(random.randrange(length + 1) for _ in range(random.choice((0, 3, 700))))})
            parts = [memoryview(data)[low:high] for low, high in pairwise(cuts)] or [memoryview(data)]
            write_parts(device, offset, parts, durable=random.random() < 0.2, step=random.choice((0, 4096, 1 << 20)))
            expected[offset : offset + length] = data
        elif verb in ("zero", "hole"):
            device.zero(offset, length, may_unmap=verb == "hole")
            expected[offset : offset + length] = bytes(length)
        elif verb == "discard":
            device.discard(offset, length)
            found = read(device, offset, length)
            assert found in (bytes(length), bytes(expected[offset : offset + length]))
            expected[offset : offset + length] = found
        elif verb == "flush":
            device.flush()
        buffer = memoryview(bytearray(length))
        if device.try_read(offset, buffer):
            assert buffer == expected[offset : offset + length], f"{verb} at step {step}"
        assert read(device, offset, length) == expected[offset : offset + length], f"{verb} at step {step}"
    assert read(device, 0, device.size) == expected


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_lets_a_range_outside_pass(layer: str, kit: Kit) -> None:
    device = LAYERS[layer](kit)
    for offset, length in ((-1, 1), (device.size, 1), (device.size - 1, 2), (1 << 62, 4096), (-4096, 4096)):
        for operation in (
            lambda o, n: device.read_into(o, memoryview(bytearray(n))),
            lambda o, n: device.try_read(o, memoryview(bytearray(n))),
            lambda o, n: device.write(o, bytes(n)),
            lambda o, n: device.zero(o, n, may_unmap=True),
            lambda o, n: device.discard(o, n),
        ):
            with pytest.raises(RangeError):
                operation(offset, length)


def test_impossible_layers_are_refused(kit: Kit) -> None:
    with pytest.raises(RangeError):
        Slice(kit.memory(), 1, SIZE)
    with pytest.raises(RangeError):
        Stripe([kit.memory()], 0)


def test_a_file_that_shrank_is_an_error_and_never_grows_again(kit: Kit) -> None:
    device = kit.file()
    os.truncate(device.path, 4096)
    for operation in (
        lambda: device.write(4096, b"x"),
        lambda: device.write(4000, bytes(200), durable=True),
        lambda: write_parts(device, 4000, [memoryview(bytes(100))] * 2),
        lambda: device.zero(8192, 4096, may_unmap=False),
        lambda: device.discard(8192, 4096),
        lambda: read(device, 4000, 200),
    ):
        with pytest.raises(DeviceError) as caught:
            operation()
        assert caught.value.errno == errno.EIO
        assert device.path in str(caught.value)
    assert os.stat(device.path).st_size == 4096
    device.write(0, b"still there")
    assert device.refresh() == device.size == 4096
    with pytest.raises(RangeError):
        device.write(4096, b"x")


def test_growth_is_noticed_at_refresh(kit: Kit) -> None:
    device = kit.file()
    os.truncate(device.path, 2 * SIZE)
    assert device.size == SIZE
    assert device.refresh() == 2 * SIZE
    device.write(SIZE, b"new")
    assert read(device, SIZE, 3) == b"new"


def test_a_vanished_or_replaced_file_is_not_present(kit: Kit) -> None:
    device = kit.file()
    assert device.present()
    os.rename(device.path, device.path + ".old")
    assert not device.present()
    Path(device.path).write_bytes(bytes(SIZE))
    assert not device.present()
    device.write(0, b"to the old one")
    assert Path(device.path + ".old").read_bytes()[:14] == b"to the old one"


@pytest.mark.parametrize("path", ["/nonexistent/lun.img", "/", "/dev/null"])
def test_what_is_no_image_file_is_refused_by_name(path: str) -> None:
    with pytest.raises(DeviceError) as caught:
        FileDevice(path)
    assert path in str(caught.value)


def test_what_is_no_block_device_is_refused(kit: Kit) -> None:
    with pytest.raises(DeviceError) as caught:
        KernelBlockDevice(kit.image())
    assert caught.value.errno == errno.ENOTBLK


def test_a_file_that_is_opened_to_be_read_cannot_be_written(kit: Kit) -> None:
    device = kit.file(writable=False)
    with pytest.raises(DeviceError):
        device.write(0, b"x")
    assert read(device, 0, 3) == bytes(3)


def test_zeroing_with_holes_frees_space_and_without_keeps_it(kit: Kit) -> None:
    device = kit.file(4 * MIB)
    device.write(0, b"x" * (4 * MIB))
    device.flush()
    full = os.stat(device.path).st_blocks
    device.zero(0, 2 * MIB, may_unmap=False)
    device.flush()
    assert os.stat(device.path).st_blocks >= full
    device.zero(0, 2 * MIB, may_unmap=True)
    assert os.stat(device.path).st_blocks * 512 <= 2 * MIB + 64 * KIB
    assert os.stat(device.path).st_size == 4 * MIB


def test_what_is_filled_is_zero_and_has_been_written_and_not_only_promised(kit: Kit) -> None:
    """A file system shows a range that is merely reserved as a hole."""
    device = kit.file(4 * MIB)
    device.write(MIB - 5, b"x" * 10)
    fill(device, MIB, 2 * MIB)
    device.flush()
    assert os.lseek(device.fd, MIB, os.SEEK_DATA) == MIB
    assert os.lseek(device.fd, MIB, os.SEEK_HOLE) == 3 * MIB
    assert read(device, MIB - 5, 2 * MIB + 10) == b"x" * 5 + bytes(2 * MIB + 5)


def test_filling_goes_through_the_layers_that_see_what_passes(kit: Kit) -> None:
    device = CountedDevice(kit.file(4 * MIB))
    device.write(0, b"x" * MIB)
    fill(device, 0, MIB)
    assert device.operations["zero"] == 1
    assert read(device, 0, MIB) == bytes(MIB)


def test_filling_what_fails_names_the_device(kit: Kit) -> None:
    path = kit.file(MIB).path
    device = kit._keep(FileDevice(path, writable=False))
    with pytest.raises(DeviceError, match="Zeroing"):
        fill(device, 0, MIB)
    with pytest.raises(RangeError):
        fill(device, MIB, 1)


def test_durable_writes_work_where_the_kernel_has_no_flag_for_them(kit: Kit) -> None:
    device = kit.file()
    device._dsync = 0  # as after EOPNOTSUPP
    device.write(10, b"durable", durable=True)
    assert read(device, 10, 7) == b"durable"
    assert device._sync_fd >= 0


def test_an_unsupported_flag_is_noticed_once(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    device = kit.file()
    honest, tries = os.pwritev, []

    def pwritev(fd: int, buffers: object, offset: int, flags: int = 0) -> int:
        if flags:
            tries.append(flags)
            raise OSError(errno.EOPNOTSUPP, "no such flag")
        return honest(fd, buffers, offset, flags)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "pwritev", pwritev)
    for _ in range(2):
        device.write(0, b"durable", durable=True)
    assert tries == [os.RWF_DSYNC]
    assert device.losses == 0
    assert read(device, 0, 7) == b"durable"


def test_failed_flushes_and_durable_writes_are_counted(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    device = kit.file()

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(os, "fdatasync", fail)
    monkeypatch.setattr(os, "pwritev", fail)
    for number, operation in enumerate((device.flush, lambda: device.write(0, b"x", durable=True)), 1):
        with pytest.raises(DeviceError):
            operation()
        assert device.losses == number


def test_a_durable_write_during_which_another_report_came_is_not_believed(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells a descriptor once of what it has lost: the flush that failed may have heard of this write."""
    device = kit.file()
    honest = os.pwritev

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "gone")

    def pwritev(fd: int, buffers: object, offset: int, flags: int = 0) -> int:
        with pytest.raises(DeviceError):
            device.flush()
        return honest(fd, buffers, offset, flags)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fdatasync", fail)
    monkeypatch.setattr(os, "pwritev", pwritev)
    with pytest.raises(DeviceError) as caught:
        device.write(0, b"durable", durable=True)
    assert caught.value.errno == errno.EIO
    assert device.losses == 1


def test_a_hint_to_write_back_waits_for_nothing_and_takes_no_report_of_a_failure(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, asked = kit.file(), []
    honest = descriptor._libc.sync_file_range
    system = SimpleNamespace(sync_file_range=lambda *what: asked.append(what) or honest(*what))
    monkeypatch.setattr(descriptor, "_libc", system)
    device.write(4096, b"soon stable")
    device.write_back(4096, 8192)
    assert asked == [(device.fd, 4096, 8192, 2)]  # any other flag waits, and lets a later flush miss what failed
    assert read(device, 4096, 11) == b"soon stable"
    device.flush()
    device.close()
    device.write_back(0, SIZE)  # of no use any more, and no failure
    assert device.losses == 0


def test_short_transfers_are_completed(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    device = kit.file()
    honest_write, honest_read, honest_vector = os.pwrite, os.preadv, os.pwritev
    module = "engine.devices.descriptor"
    monkeypatch.setattr(f"{module}._pwrite", lambda fd, data, at: honest_write(fd, data[: len(data) // 2 + 1], at))
    monkeypatch.setattr(f"{module}._preadv", lambda fd, views, at: honest_read(fd, [views[0][:100]], at))
    monkeypatch.setattr(os, "pwritev", lambda fd, views, at, flags=0: honest_vector(fd, [views[0][:100]], at, flags))
    data = Random(1).randbytes(5000)
    device.write(3, data)
    device.write(6000, data, durable=True)
    write_parts(device, 12000, [memoryview(data)[:2000], memoryview(data)[2000:]])
    assert read(device, 3, 5000) == read(device, 6000, 5000) == read(device, 12000, 5000) == data


def test_a_block_device_tells_its_size_and_holds_zeros_between_blocks(kit: Kit) -> None:
    device = kit.block(kit.loop(2 * MIB))
    assert device.size == device.refresh() == 2 * MIB
    assert device.block_size == 512
    assert device.present()
    device.write(0, b"x" * 4096)
    device.zero(100, 3, may_unmap=False)
    device.zero(600, 2000, may_unmap=True)
    assert read(device, 0, 4096) == b"x" * 100 + bytes(3) + b"x" * 497 + bytes(2000) + b"x" * 1496


def test_a_full_file_system_is_enospc(tmp_path: Path) -> None:
    """A sparse image on a file system with no room left, as a thin LUN without a pool."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        path = tmp_path / "lun.img"
        path.write_bytes(b"")
        os.truncate(path, 8 * MIB)
        device = FileDevice(str(path))
        try:
            with pytest.raises(DeviceError) as caught:
                device.write(0, b"x" * (2 * MIB))
            assert caught.value.errno == errno.ENOSPC
            with pytest.raises(DeviceError):
                device.write(4 * MIB, b"x" * (2 * MIB), durable=True)
            assert device.losses == 0  # nothing had been synchronised
            assert device.size == os.stat(path).st_size == 8 * MIB
        finally:
            device.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


# The test layers.


def test_the_nth_operation_fails_once_or_for_good(kit: Kit) -> None:
    device = FaultyDevice(kit.memory())
    device.fail("write", nth=2)
    device.write(0, b"a")
    with pytest.raises(DeviceError):
        device.write(1, b"b")
    device.write(1, b"c")
    device.fail("read", "flush", nth=2, number=errno.ENXIO, persistent=True)
    device.flush()
    for operation in (device.flush, lambda: read(device, 0, 1)):
        with pytest.raises(DeviceError) as caught:
            operation()
        assert caught.value.errno == errno.ENXIO
    assert device.losses == 1
    device.heal()
    assert read(device, 0, 2) == b"ac"


def test_a_torn_write_leaves_its_beginning(kit: Kit) -> None:
    device = FaultyDevice(kit.memory())
    device.fail("write", torn_bytes=2)
    with pytest.raises(DeviceError):
        device.write(0, b"abcd")
    assert read(device, 0, 4) == b"ab\0\0"


def test_counting(kit: Kit) -> None:
    device = CountedDevice(kit.memory(), keep_log=True)
    device.write(0, b"abc")
    device.flush()
    read(device, 1, 2)
    assert device.operations == {"write": 1, "flush": 1, "read": 1}
    assert device.bytes["read"] == 2
    assert device.log == [("write", 0, 3), ("flush", 0, 0), ("read", 1, 2)]


def test_a_mirror_flushes_all_legs_even_when_one_fails(kit: Kit) -> None:
    legs = [FaultyDevice(kit.memory()), CountedDevice(kit.memory())]
    legs[0].fail("flush")
    with pytest.raises(DeviceError):
        Mirror(legs).flush()
    assert legs[1].operations["flush"] == 1


def test_discard_on_a_mirror_is_done_on_all_legs_or_none(kit: Kit) -> None:
    legs = [kit.memory(), kit.memory()]
    legs[1].discard_zeroes = False
    mirror = Mirror(legs)
    mirror.write(0, b"x" * 8192)
    mirror.discard(0, 8192)
    assert read(legs[0], 0, 8192) == read(legs[1], 0, 8192) == b"x" * 8192
