"""What tasks do to columns and parity. The caller is inside of the gate and holds the locks of all rows concerned.

The XOR of all columns is zero wherever the parity is right, whichever column holds it: so what one column should have
is the XOR of the others, for a range of any length. Errors of legs pass through; EIO means that nothing stands for the
bytes.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import numpy as np

from engine.dataplane.fault import LEG_ERRORS
from engine.dataplane.parity import xor_into
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.dataplane.raid5_map import Raid5Map
    from engine.dataplane.raid5_rows import RowTrust
    from engine.devices.base import BlockDevice

_STEP = 256 << 10
_BLOCK = 4096


def reconstruct(
    parity: Raid5Map, column: int, column_offset: int, into: memoryview, trust: RowTrust | None = None
) -> None:
    """What `column` should have from `column_offset` on, out of all other columns.

    With `trust`, that of the volume (`volume.raid5.trust`), rows whose parity or other columns are in doubt are EIO.
    """
    if trust is not None:
        _check_trust(parity, column, column_offset, len(into), trust)
    others = [other for other in range(parity.geometry.columns) if other != column]
    for start in range(0, len(into), _STEP):  # what has just been read is combined while it is in the cache
        part = into[start : start + _STEP]
        part[:] = bytes(len(part))
        _combine(parity, others, column_offset + start, part)


def parity_differs(parity: Raid5Map, rows: range) -> int:
    """The first of these consecutive rows whose parity does not follow from its data; -1 when there is none."""
    unit = parity.geometry.unit
    step = max(_STEP // unit, 1)
    for first in range(rows.start, rows.stop, step):
        count = min(step, rows.stop - first)
        total = memoryview(bytearray(count * unit))
        _combine(parity, range(parity.geometry.columns), first * unit, total)
        wrong = np.flatnonzero(np.frombuffer(total, np.uint8))
        if len(wrong):
            return first + int(wrong[0]) // unit
    return -1


def make_parity(parity: Raid5Map, rows: range) -> tuple[BlockDevice, ...]:
    """Compute the parity of these rows from their data and write it. Answers what has been written to; all of it counts
    as written also where an error ends this."""
    geometry = parity.geometry
    written: dict[BlockDevice, None] = {}
    for row in rows:
        own, at = geometry.parity(row), row * geometry.unit
        new = memoryview(bytearray(geometry.unit))
        _combine(parity, (column for column in range(geometry.columns) if column != own), at, new)
        for target in parity.columns[own].writers:
            written[target.device] = None
            target.device.write(at + target.delta, new)
    return tuple(written)


def repair(parity: Raid5Map, column: int, column_offset: int, length: int, trust: RowTrust) -> BlockDevice | None:
    """Write what the other columns say over a range of a column that cannot be read, in whole 4 KiB, durably.

    Answers the device, whose bytes the caller reads again past every cache; None when nothing stands for them, or the
    column does not take them.
    """
    target = parity.columns[column].reader
    if target is None:
        return None
    low = column_offset // _BLOCK * _BLOCK
    high = -(-(column_offset + length) // _BLOCK) * _BLOCK
    data = memoryview(bytearray(high - low))
    try:
        reconstruct(parity, column, low, data, trust)
        target.device.write(low + target.delta, data, durable=True)
    except LEG_ERRORS:
        return None
    return target.device


def _combine(parity: Raid5Map, columns: Iterable[int], at: int, into: memoryview) -> None:
    scratch = memoryview(bytearray(len(into)))
    for column in columns:
        target = parity.columns[column].reader
        if target is None:
            raise DeviceError(errno.EIO, f"column {column}", "Reading what is left out")
        target.device.read_into(at + target.delta, scratch)
        xor_into(into, scratch)


def _check_trust(parity: Raid5Map, column: int, at: int, length: int, trust: RowTrust) -> None:
    for row in parity.geometry.rows_of_column(at, length):
        if trust.out(parity, row) - {column} or not trust.knows(parity, row):
            raise DeviceError(errno.EIO, f"row {row}", "Reading what is in doubt")
