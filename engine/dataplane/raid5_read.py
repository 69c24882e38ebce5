"""Reads of a RAID-5 volume: of a sound column as of any other layout, else from all the other columns."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from engine.dataplane.fault import LEG_ERRORS, Fault, FaultKind, errno_of
from engine.dataplane.raid5_rows import LegError, Lost, reconstruct

if TYPE_CHECKING:
    from engine.dataplane.raid5 import Extent
    from engine.dataplane.raid5_map import Raid5Map, Target
    from engine.dataplane.request import Request
    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo

_WAITS = -1


def read(volume: VolumeIo, table: Table, request: Request, into: memoryview, may_wait: bool) -> int | Fault:
    """Run a READ; answers as `perform` does. Without `may_wait` nothing is read that would have to wait for others."""
    if table.held:
        return errno.EIO
    for segment, at, size in table.parts(request.offset, request.length):
        parity = segment.parity
        if parity is None:
            return errno.EIO
        begin = at - request.offset
        verdict = _read_map(volume, request, parity, at, into[begin : begin + size], may_wait)
        if verdict:
            return verdict
    return 0


def _read_map(
    volume: VolumeIo, request: Request, parity: Raid5Map, at: int, into: memoryview, may_wait: bool
) -> int | Fault:
    spot = parity.place(at, len(into))
    if spot is not None:  # the usual case, without the cost of the general one
        return _read_target(volume, request, parity, *spot, into, may_wait)
    for extent in parity.geometry.runs(at, len(into)):
        part = into[extent.start : extent.start + extent.length]
        target = parity.columns[extent.column].reader
        if target is not None:
            verdict = _read_target(volume, request, parity, target, target.delta + extent.column_offset, part, may_wait)
        else:
            verdict = _read_lost(volume, request, parity, extent, part) if may_wait else _WAITS
        if verdict:
            return verdict
    return 0


def _read_target(
    volume: VolumeIo,
    request: Request,
    parity: Raid5Map,
    target: Target,
    place: int,
    into: memoryview,
    may_wait: bool,
) -> int | Fault:
    try:
        if may_wait:
            target.device.read_into(place, into)
        elif not target.device.try_read(place, into):
            return _WAITS
    except LEG_ERRORS as error:
        return raid5_fault(volume, request, parity, target, errno_of(error))
    return 0


def _read_lost(volume: VolumeIo, request: Request, parity: Raid5Map, extent: Extent, into: memoryview) -> int | Fault:
    geometry, raid5 = parity.geometry, volume.raid5
    row, low = divmod(extent.column_offset, geometry.unit)
    if raid5 is None:
        return errno.EIO
    with volume.regions.hold(*geometry.volume_range_of(range(row, row + 1))):
        try:
            reconstruct(raid5.trust, parity, row, extent.column, low, into)
        except (LegError, Lost):  # nobody else has it
            return errno.EIO
    return 0


def raid5_fault(volume: VolumeIo, request: Request, parity: Raid5Map, target: Target, number: int) -> Fault:
    """The fault of one leg: always with the key of its piece, also of one that is not being filled."""
    return Fault(
        volume.name,
        FaultKind.LEG,
        request.op,
        target.device,
        parity.key,
        target.key,
        number,
        request.offset,
        request.length,
    )
