"""RAID-5 volumes for tests: naive arithmetic that shares nothing with the engine's, and volumes over memory."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from engine.dataplane.call import Call
from engine.dataplane.fold import Piece, PlexLayout
from engine.dataplane.raid5_log import LogCopy, Raid5Log
from engine.dataplane.request import Op, Request
from engine.dataplane.volume_io import VolumeIo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engine.dataplane.fault import Fault
    from engine.dataplane.flusher import Flusher
    from engine.dataplane.pool import Pool
    from engine.dataplane.table import Table
    from engine.devices.base import BlockDevice
    from engine.runtime import Runtime

PLEX = "vol1-01"
VOLUME_ID = b"v" * 16
DISK_ID = b"d" * 16
GROUP_ID = b"g" * 16


def generation(number: int) -> bytes:
    """The number-th generation of a log."""
    return number.to_bytes(16, "big")


def naive_rows(columns: int, rows: int) -> list[list[int]]:
    """For each row and column the number of the volume's unit that lies there, -1 for parity. Drawn, not computed: the
    parity walks from the last column to the first, and the units go on behind it, around the end."""
    found, unit = [], 0
    for row in range(rows):
        line = [-1] * columns
        column = columns - 1 - row % columns
        for _ in range(columns - 1):
            column = column + 1 if column + 1 < columns else 0
            line[column] = unit
            unit += 1
        found.append(line)
    return found


def naive_volume(columns: Sequence[bytes], unit: int) -> tuple[bytes, list[int]]:
    """The volume's bytes out of its columns', and the rows whose parity is wrong."""
    rows = len(columns[0]) // unit
    parts: dict[int, bytes] = {}
    wrong = []
    for row, line in enumerate(naive_rows(len(columns), rows)):
        units = [int.from_bytes(column[row * unit : (row + 1) * unit], "big") for column in columns]
        if reduce(lambda left, right: left ^ right, units):
            wrong.append(row)
        for column, number in enumerate(line):
            if number >= 0:
                parts[number] = columns[column][row * unit : (row + 1) * unit]
    return b"".join(parts[number] for number in sorted(parts)), wrong


def without(columns: Sequence[bytes | None]) -> list[bytes]:
    """All columns; one that is None is what the others stand for."""
    present = [int.from_bytes(column, "big") for column in columns if column is not None]
    length = next(len(column) for column in columns if column is not None)
    missing = reduce(lambda left, right: left ^ right, present).to_bytes(length, "big")
    return [column if column is not None else missing for column in columns]


def layout(
    devices: Sequence[BlockDevice], unit: int, rows: int, *, out: Iterable[int] = (), filling: Iterable[int] = ()
) -> PlexLayout:
    """A piece for each column, at 64 KiB of a device of its own; columns in `out` have none, `filling` no reader."""
    out, filling = set(out), set(filling)
    pieces = tuple(
        Piece(column, 0, rows * unit, device, 65536, column not in filling, f"sd{column}")
        for column, device in enumerate(devices)
        if column not in out
    )
    return PlexLayout(PLEX, len(devices), unit, pieces, raid5=True)


def column_bytes(device: BlockDevice, length: int) -> bytes:
    """What a column of `layout` holds."""
    data = bytearray(length)
    device.read_into(65536, memoryview(data))
    return bytes(data)


def log_copies(devices: Sequence[BlockDevice], length: int) -> list[LogCopy]:
    """A copy of a log at 128 KiB of each device."""
    return [LogCopy(f"log{index}", device, 131072, length, DISK_ID, GROUP_ID) for index, device in enumerate(devices)]


def request(volume: VolumeIo, runtime: Runtime, asked: Request, timeout_s: float = 30.0) -> int:
    """Run one request as a client does; answers its errno."""
    call = Call(runtime)
    slot = volume.slot("test")
    volume.execute([asked], slot, call)
    try:
        return call.wait(timeout_s)
    finally:
        volume.retire(slot)


def write(volume: VolumeIo, runtime: Runtime, offset: int, data: bytes, *, durable: bool = False) -> int:
    """WRITE and wait; answers the errno."""
    return request(volume, runtime, Request(Op.WRITE, offset, len(data), memoryview(data), durable=durable))


def read(volume: VolumeIo, runtime: Runtime, offset: int, length: int) -> bytes | int:
    """READ and wait; the bytes, or the errno."""
    buffer = bytearray(length)
    number = request(volume, runtime, Request(Op.READ, offset, length, memoryview(buffer)))
    return number or bytes(buffer)


def make_volume(
    table: Table,
    faults: Callable[[Fault], None],
    pool: Pool,
    flusher: Flusher,
    runtime: Runtime,
    log: Raid5Log | None = None,
) -> VolumeIo:
    """A started RAID-5 volume."""
    return VolumeIo("vol1", table, faults, pool, flusher, runtime, raid5_log=log)
