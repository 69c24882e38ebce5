"""What each verb does to the legs of a table. One request at a time, inside of the gate."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, TypeAlias

from engine.dataplane import raid5_read
from engine.dataplane.fault import LEG_ERRORS, Fault, FaultKind, errno_of, kind_of
from engine.dataplane.request import Op
from engine.dataplane.table import REGION, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.dataplane.request import Request
    from engine.dataplane.table import PlexMap, Segment, Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice

Verdict: TypeAlias = "int | Fault"
"""How a request fared: DONE, an errno for the client, WAITS, FLUSHES or MARKS, or the fault that parks it."""

DONE = 0
WAITS = -1
FLUSHES = -2
MARKS = -3

CHUNK = 16 << 20
"""A ZERO or DISCARD of more bytes than this goes to the pool and there in such steps: a swap never waits for all."""


def perform(
    volume: VolumeIo, table: Table, request: Request, *, may_wait: bool, start: int = 0, length: int = -1
) -> Verdict:
    """Run one request, or of a long ZERO or DISCARD the `length` bytes from `start` on. Waits only if `may_wait`."""
    if request.offset < 0 or request.length < 0 or request.offset + request.length > table.size:
        return DONE if request.op is Op.FLUSH else errno.EINVAL
    if request.op is Op.READ:
        return _read(volume, table, request, may_wait)
    if volume.fenced:
        return errno.EIO
    if request.op is Op.FLUSH:
        return FLUSHES
    if not table.writable:
        return Fault(volume.name, FaultKind.FIRST_WRITE, request.op, offset=request.offset, length=request.length)
    if table.raid5 is not None:
        return WAITS  # the volume's own writers do it
    dirty = volume.dirty
    if dirty is not None and not dirty.note(request.offset + start, request.length if length < 0 else length):
        return MARKS
    for changes in volume.changes:
        if not changes.note(request.offset + start, request.length if length < 0 else length):
            return MARKS
    if request.op is Op.WRITE:
        return _write(volume, table, request)
    if length < 0:
        if request.length > CHUNK and not may_wait:
            return WAITS
        length = request.length
    verdict = _clear(volume, table, request, request.offset + start, length)
    return FLUSHES if verdict == DONE and request.durable else verdict


def leg_fault(volume: VolumeIo, request: Request, plex: PlexMap, device: BlockDevice, number: int) -> Fault:
    """The fault of one leg, for the request that met it. A write may have reached other legs: so it stays dirty."""
    dirty = volume.dirty
    if dirty is not None and request.op is not Op.READ:
        request.pins = (*request.pins, (dirty, dirty.pin(request.offset, request.length)))
    return Fault(
        volume.name,
        kind_of(number, writing=request.op is not Op.READ, readable=plex.readable),
        request.op,
        device,
        plex.key,
        plex.piece,
        number,
        request.offset,
        request.length,
    )


def read_plan(segment: Segment, offset: int, length: int) -> Iterable[tuple[PlexMap, int, int]]:
    """The range cut at regions where several plexes share the reading: (reader, offset, length)."""
    if len(segment.readers) == 1 or offset % REGION + length <= REGION:
        return ((segment.reader(offset), offset, length),)
    return _by_region(segment, offset, offset + length)


def _by_region(segment: Segment, offset: int, stop: int) -> Iterator[tuple[PlexMap, int, int]]:
    while offset < stop:
        size = min(stop - offset, REGION - offset % REGION)
        yield segment.reader(offset), offset, size
        offset += size


def _read(volume: VolumeIo, table: Table, request: Request, may_wait: bool) -> Verdict:
    buffer = request.buffer
    if buffer is None or len(buffer) != request.length:
        return errno.EINVAL
    if table.raid5 is not None:
        return raid5_read.read(volume, table, request, buffer, may_wait)
    offset, length = request.offset, request.length
    segment = table.find(offset) if length else None
    if segment is not None and offset + length <= segment.end and len(segment.readers) == 1:
        return _read_map(volume, request, segment.readers[0], offset, buffer, may_wait)
    for segment, start, size in table.parts(offset, length):
        if not segment.readers:
            return errno.EIO
        for reader, at, count in read_plan(segment, start, size):
            into = buffer if count == length else buffer[at - offset : at - offset + count]
            verdict = _read_map(volume, request, reader, at, into, may_wait)
            if verdict != DONE:
                return verdict
    return DONE


def _read_map(
    volume: VolumeIo, request: Request, reader: PlexMap, at: int, into: memoryview, may_wait: bool
) -> Verdict:
    spot = reader.place(at, len(into))
    runs = reader.runs(at, len(into)) if spot is None else (Run(*spot, 0, len(into)),)
    for device, place, begin, count in runs:
        part = into if count == len(into) else into[begin : begin + count]
        try:
            if may_wait:
                device.read_into(place, part)
            elif not device.try_read(place, part):
                return WAITS
        except LEG_ERRORS as error:
            return leg_fault(volume, request, reader, device, errno_of(error))
    return DONE


def _write(volume: VolumeIo, table: Table, request: Request) -> Verdict:
    buffer = request.buffer
    if buffer is None or len(buffer) != request.length:
        return errno.EINVAL
    for segment, at, size in table.parts(request.offset, request.length):
        begin = at - request.offset
        data = buffer if size == request.length else buffer[begin : begin + size]
        if segment.shared:
            with volume.regions.hold(at, size):
                verdict = _write_legs(volume, segment, request, at, data)
        else:
            verdict = _write_legs(volume, segment, request, at, data)
        if verdict != DONE:
            return verdict
    return DONE


def _write_legs(volume: VolumeIo, segment: Segment, request: Request, at: int, data: memoryview) -> Verdict:
    """Write one segment's part on every leg. A device counts as written once the data has gone to it: a flush that
    begins in between must leave it to the next one. And before, too: one that fails in between may have lost it."""
    if not segment.writers:
        return errno.EIO
    durable, written, size = request.durable, volume.written, len(data)
    for writer in segment.writers:
        spot = writer.place(at, size)
        if spot is not None:  # the usual case, without the cost of the general one
            device, place = spot
            if not durable:
                written.add(device)
            try:
                device.write(place, data, durable=durable)
            except LEG_ERRORS as error:
                return leg_fault(volume, request, writer, device, errno_of(error))
            if not durable:
                written.add(device)
            continue
        verdict = _write_runs(volume, request, writer, at, data)
        if verdict != DONE:
            return verdict
    return DONE


def _write_runs(volume: VolumeIo, request: Request, writer: PlexMap, at: int, data: memoryview) -> Verdict:
    for device, place, begin, count in writer.runs(at, len(data)):
        if not request.durable:
            volume.written.add(device)
        try:
            device.write(place, data[begin : begin + count], durable=request.durable)
        except LEG_ERRORS as error:
            return leg_fault(volume, request, writer, device, errno_of(error))
        if not request.durable:
            volume.written.add(device)
    return DONE


def _clear(volume: VolumeIo, table: Table, request: Request, offset: int, length: int) -> Verdict:
    for segment, at, size in table.parts(offset, length):
        if not segment.writers:
            return errno.EIO
        if request.op is Op.DISCARD and not segment.discards:
            continue  # on all legs or on none, so that they stay equal
        with volume.regions.hold(at, size):
            verdict = _clear_legs(volume, segment, request, at, size)
        if verdict != DONE:
            return verdict
    return DONE


def _clear_legs(volume: VolumeIo, segment: Segment, request: Request, at: int, size: int) -> Verdict:
    may_unmap = request.may_unmap or request.op is Op.DISCARD
    for writer in segment.writers:
        for _, run in writer.spans(at, size):
            volume.written.add(run.device)
            try:
                run.device.zero(run.offset, run.length, may_unmap=may_unmap)
            except LEG_ERRORS as error:
                return leg_fault(volume, request, writer, run.device, errno_of(error))
            volume.written.add(run.device)
    return DONE
