"""The NBD server on the real data plane: mirrors, cold reads, group commit, tables swapped under the clients."""

from __future__ import annotations

import contextlib
import errno
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.table import Table
from engine.dataplane.volume_io import VolumeIo
from engine.devices.base import BlockDevice
from engine.export.server import NbdServer
from engine.export.source import ExportSource
from tests.engine.model_volume import ColdDevice, DataPlane, data_plane
from tests.engine.nbd_peer import MIB, NAME, Client, Served, Shelf, run

SIZE = 24 * MIB
COLUMN = SIZE // 2
UNIT = 65536
READ, WRITE, DISC, FLUSH, TRIM, _, ZEROES = range(7)


def mirror(plane: DataPlane, prefer: str | None = None) -> Table:
    """A concatenated plex and a striped one, on disks of which every third read finds nothing in the cache."""
    cold: list[BlockDevice] = [ColdDevice(device) for device in plane.memory]
    whole = tuple(Piece(0, n * COLUMN, COLUMN, cold[n], 0) for n in range(2))
    stripes = tuple(Piece(n, 0, COLUMN, cold[2 + n], 0) for n in range(2))
    return fold([PlexLayout("01", 1, 0, whole), PlexLayout("02", 2, UNIT, stripes)], SIZE, prefer=prefer)


@pytest.fixture
def plane() -> Iterator[DataPlane]:
    with data_plane(4) as plane:
        yield plane


@pytest.fixture
def volume(plane: DataPlane) -> VolumeIo:
    return plane.volume(mirror(plane))


@pytest.fixture
def served(tmp_path: Path, plane: DataPlane, volume: VolumeIo) -> Iterator[Served]:
    source: ExportSource = volume
    shelf = Shelf()
    shelf.volumes[NAME] = source  # type: ignore[assignment]
    server = NbdServer(tmp_path / "nbd", shelf, plane.runtime)
    server.start()
    try:
        yield Served(server.path, source, shelf, server)  # type: ignore[arg-type]
    finally:
        assert server.stop()


def leg(device: BlockDevice, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    device.read_into(offset, memoryview(buffer))
    return bytes(buffer)


def plexes(plane: DataPlane) -> tuple[bytes, bytes]:
    """What each plex holds, read past the data plane."""
    first, second, *columns = (leg(device, 0, COLUMN) for device in plane.memory)
    rows = [column[at : at + UNIT] for at in range(0, COLUMN, UNIT) for column in columns]
    return first + second, b"".join(rows)


@contextlib.contextmanager
def swapping(plane: DataPlane, volume: VolumeIo) -> Iterator[None]:
    """The table is swapped for another, again and again, as long as this lasts; at least once."""
    over = threading.Event()
    turns = []

    def swap() -> None:
        while not (over.is_set() and turns):
            volume.swap(mirror(plane, ("01", "02", None)[len(turns) % 3]))
            turns.append(1)
            over.wait(0.002)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_fio_reads_back_what_it_wrote_while_tables_are_swapped(
    served: Served, plane: DataPlane, volume: VolumeIo, tmp_path: Path
) -> None:
    if shutil.which("fio") is None:
        pytest.skip("fio is not installed")
    with swapping(plane, volume):
        run(
            "fio", "--name=verify", "--thread", "--ioengine=nbd", f"--uri={served.uri()}", "--rw=randrw", "--size=8M",
            "--bsrange=512-100k", "--iodepth=16", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--fsync=50",
            "--verify_state_save=0", f"--output={tmp_path / 'fio'}",
        )  # fmt: skip
    assert "err= 0" in (tmp_path / "fio").read_text()
    first, second = plexes(plane)
    assert first == second
    assert not plane.faults


def test_nbdcopy_brings_the_same_bytes_to_every_plex(served: Served, plane: DataPlane, tmp_path: Path) -> None:
    if shutil.which("nbdcopy") is None:
        pytest.skip("nbdcopy is not installed")
    image = tmp_path / "image"
    image.write_bytes(Random(1).randbytes(SIZE))
    run("nbdcopy", "--flush", "--connections=3", str(image), served.uri())
    assert plexes(plane) == (image.read_bytes(), image.read_bytes())
    run("nbdcopy", "--connections=3", served.uri(), str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == image.read_bytes()


def test_overlapping_writes_of_several_clients_leave_the_plexes_equal(
    served: Served, plane: DataPlane, volume: VolumeIo, seed: int
) -> None:
    def hammer(number: int) -> None:
        random = Random(seed + number)
        with Client(served.path) as client:
            client.go(structured=number % 2 == 0)
            for turn in range(300):
                length = random.choice((512, 4096, 70_000, 200_000))
                offset = random.randrange(0, 2 * MIB)
                command = random.choice((WRITE, WRITE, WRITE, TRIM, ZEROES, READ, FLUSH))
                if command == FLUSH:
                    offset = length = 0
                payload = bytes([number * 50 + turn % 50]) * length if command == WRITE else b""
                errors.append(client.call(command, offset, length, payload)[0])
            client.ask(DISC, 0)
            assert client.is_dropped()

    errors: list[int] = []
    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(3)]
    with swapping(plane, volume):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == [0] * 900
    first, second = plexes(plane)
    assert first == second
    assert any(first)


def test_a_closing_volume_refuses_its_clients(served: Served, plane: DataPlane, volume: VolumeIo) -> None:
    with Client(served.path) as client:
        client.go(structured=True)
        assert client.call(WRITE, 0, 512, b"x" * 512) == (0, b"")
        volume.close()
        plane.volumes.remove(volume)
        for command, length in ((READ, 512), (READ, MIB), (FLUSH, 0), (ZEROES, 512)):
            assert client.call(command, 0, length) == (errno.ESHUTDOWN, b"")
        assert client.call(WRITE, 0, 512, bytes(512)) == (errno.ESHUTDOWN, b"")
