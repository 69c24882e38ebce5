"""Mends places of a RAID-5 column that cannot be read: written again from the other columns, and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.dataplane.fault import LEG_ERRORS, errno_of
from engine.dataplane.raid5_rows import LegError, Lost, combine, map_of, reconstruct
from engine.errors import EngineError
from engine.store.uncached import read_strictly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.dataplane.fault import Fault
    from engine.dataplane.gate import Slot
    from engine.dataplane.raid5_map import Raid5Map, Target
    from engine.dataplane.raid5_rows import RowTrust
    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo

BLOCK = 4096


def mend_column(io: VolumeIo, slot: Slot, fault: Fault, column: int) -> int:
    """How many places of a column were written again in the rows of a fault. EngineError when any can't be mended."""
    geometry = io.table.raid5
    if geometry is None:
        raise EngineError("It has no parity.")
    places = 0
    for row in geometry.rows_of(fault.offset, min(fault.length, io.size - fault.offset)):
        table = io.gate.enter(slot)
        try:
            if not table.writable or io.fenced:
                raise EngineError("Its volume takes no writes.")
            with io.regions.hold(*geometry.volume_range_of(range(row, row + 1))):
                places += _mend_unit(io, table, row, column)
        finally:
            io.gate.leave(slot)
    return places


def _mend_unit(io: VolumeIo, table: Table, row: int, column: int) -> int:
    parity, raid5 = map_of(table, row), io.raid5
    target = parity.columns[column].reader
    if target is None or raid5 is None:
        return 0  # it has been left out meanwhile
    unit = parity.geometry.unit
    start = row * unit + target.delta
    places = 0
    for low, count in _bad(target, start, unit):
        data = memoryview(bytearray(count))
        try:
            _combine(raid5.trust, parity, row, column, low, data)
        except (LegError, Lost) as error:
            raise EngineError("The other columns do not tell what stood there.") from error
        _rewrite(io, target, start + low, data)
        places += 1
    return places


def _combine(trust: RowTrust, parity: Raid5Map, row: int, column: int, low: int, into: memoryview) -> None:
    """What the others say of a unit. Parity follows from the data also where nobody knows whether it was right."""
    if column != parity.geometry.parity(row):
        reconstruct(trust, parity, row, column, low, into)
    elif trust.out(parity, row) - {column}:
        raise Lost
    else:
        combine(parity, row, (other for other in range(parity.geometry.columns) if other != column), low, into)


def _bad(target: Target, start: int, unit: int) -> Iterator[tuple[int, int]]:
    """What cannot be read of a unit, as (offset in it, length)."""
    if _reads(target, start, unit):
        return
    if start % BLOCK or unit % BLOCK:
        raise EngineError("It does not lie on whole blocks.")
    for low in range(0, unit, BLOCK):
        if not _reads(target, start + low, BLOCK):
            yield low, BLOCK


def _reads(target: Target, place: int, length: int) -> bool:
    try:
        target.device.read_into(place, memoryview(bytearray(length)))
    except LEG_ERRORS:
        return False
    return True


def _rewrite(io: VolumeIo, target: Target, place: int, data: memoryview) -> None:
    try:
        target.device.write(place, data, durable=True)
        io.written.add(target.device)
        found = read_strictly(target.device, place, len(data))
    except LEG_ERRORS as error:
        io.lost(target.device, errno_of(error))
        raise EngineError(str(error)) from error
    if found is None or found != data:
        raise EngineError("What was written does not come back past the cache.")
