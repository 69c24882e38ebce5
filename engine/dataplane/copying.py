"""Copying, zeroing and comparing inside of a volume, in order with the writes of its clients.

Workers of tasks call these with a slot of their own. Each step is done inside of the gate and with its regions held, so
that a client's write comes wholly before or wholly after it, on the source and on the target.
"""

from __future__ import annotations

import errno
import mmap
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from engine.dataplane.fault import LEG_ERRORS, Fault, LegFailed, errno_of, kind_of
from engine.dataplane.perform import read_plan
from engine.dataplane.request import Op
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from engine.dataplane.gate import Slot
    from engine.dataplane.table import PlexMap, Segment
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice

CHUNK = 1 << 20
"""Two workers with buffers of this size copy as fast as any peer."""


def aligned_buffer(size: int = CHUNK) -> memoryview:
    """A page-aligned buffer for one worker."""
    return memoryview(mmap.mmap(-1, size))


def copy_range(volume: VolumeIo, slot: Slot, target: Hashable, offset: int, length: int, buffer: memoryview) -> int:
    """Fill the maps of `target` (the key of a plex or of a piece) that are not readable yet from complete plexes.

    Offset and length are the volume's. Returns the bytes written to the target. LegFailed has the fault of the leg.
    """

    def fill(segment: Segment, at: int, size: int) -> int:
        return sum(_fill(volume, segment, writer, at, size, buffer) for writer in _targets(segment, target))

    columns = max((len(writer.columns) for writer in _targets(volume.table.find(offset), target)), default=1)
    return _each_step(volume, slot, offset, length, len(buffer) * columns, fill)


def zero_range(
    volume: VolumeIo, slot: Slot, target: Hashable, offset: int, length: int, *, may_unmap: bool = True
) -> int:
    """Zero the maps of `target` that are not readable yet. Returns the bytes zeroed; LegFailed as with a copy."""

    def zero(segment: Segment, at: int, size: int) -> int:
        zeroed = 0
        for writer in _targets(segment, target):
            for _, run in writer.spans(at, size):
                with _blame(volume, writer, run.device, Op.ZERO, at, size):
                    run.device.zero(run.offset, run.length, may_unmap=may_unmap)
                volume.written.add(run.device)
                zeroed += run.length
        return zeroed

    return _each_step(volume, slot, offset, length, CHUNK * 16, zero)


def compare_range(
    volume: VolumeIo, slot: Slot, offset: int, length: int, buffers: tuple[memoryview, memoryview]
) -> int:
    """How many of the volume's 1 MiB steps in the range differ between any two plexes, unfinished ones included."""
    ours, theirs = buffers

    def compare(segment: Segment, at: int, size: int) -> int:
        if not segment.readers:
            return 0
        _gather(volume, segment.readers[0], at, size, ours)
        return int(any(_differs(volume, writer, at, size, ours, theirs) for writer in segment.writers))

    return _each_step(volume, slot, offset, length, min(len(ours), len(theirs)), compare)


def _each_step(
    volume: VolumeIo, slot: Slot, offset: int, length: int, step: int, work: Callable[[Segment, int, int], int]
) -> int:
    """Sum `work` over the range, `step` bytes at a time, on the table of the moment."""
    total, stop = 0, offset + length
    while offset < stop:
        size = min(step, stop - offset)
        table = volume.gate.enter(slot)
        try:
            with volume.regions.hold(offset, size):
                total += sum(work(*part) for part in table.parts(offset, size))
        finally:
            volume.gate.leave(slot)
        offset += size
    return total


def _targets(segment: Segment, target: Hashable) -> Iterator[PlexMap]:
    return (
        writer
        for writer in segment.writers
        if not writer.readable and target is not None and target in (writer.key, writer.piece)
    )


def _fill(volume: VolumeIo, segment: Segment, writer: PlexMap, at: int, size: int, buffer: memoryview) -> int:
    """Fill one map: column by column from a plex of the same shape, else in the order of the volume."""
    like = [reader for reader in segment.readers if _same_shape(reader, writer)]
    source = next((reader for reader in like if reader.key == writer.key), next(iter(like), None))
    if source is not None:
        return _fill_columns(volume, source, writer, at, size, buffer)
    if not segment.readers:
        raise DeviceError(errno.EIO, volume.name, "Reading a complete plex")
    step = len(buffer)
    return sum(
        _fill_in_order(volume, segment, writer, begin, min(step, at + size - begin), buffer)
        for begin in range(at, at + size, step)
    )


def _fill_columns(volume: VolumeIo, source: PlexMap, writer: PlexMap, at: int, size: int, buffer: memoryview) -> int:
    """Neighbours in a column are neighbours on both devices: long transfers, whatever the stripe unit is."""
    origins = dict(source.spans(at, size))
    copied = 0
    for column, run in writer.spans(at, size):
        for done in range(0, run.length, len(buffer)):
            chunk = buffer[: run.length - done]
            with _blame(volume, source, origins[column].device, Op.READ, at, size):
                origins[column].device.read_into(origins[column].offset + done, chunk)
            with _blame(volume, writer, run.device, Op.WRITE, at, size):
                run.device.write(run.offset + done, chunk)
        volume.written.add(run.device)
        copied += run.length
    return copied


def _fill_in_order(volume: VolumeIo, segment: Segment, writer: PlexMap, at: int, size: int, buffer: memoryview) -> int:
    """From a plex of another shape: what the volume has in the range is gathered, then spread over the columns."""
    for reader, begin, count in read_plan(segment, at, size):
        _gather(volume, reader, begin, count, buffer[begin - at :])
    copied = 0
    for device, place, start, count in writer.runs(at, size):
        with _blame(volume, writer, device, Op.WRITE, at, size):
            device.write(place, buffer[start : start + count])
        volume.written.add(device)
        copied += count
    return copied


def _gather(volume: VolumeIo, reader: PlexMap, at: int, size: int, buffer: memoryview) -> None:
    for device, place, start, count in reader.runs(at, size):
        with _blame(volume, reader, device, Op.READ, at, size):
            device.read_into(place, buffer[start : start + count])


def _differs(volume: VolumeIo, plex: PlexMap, at: int, size: int, ours: memoryview, theirs: memoryview) -> bool:
    _gather(volume, plex, at, size, theirs)
    return any(
        not np.array_equal(
            np.frombuffer(ours[start : start + count], np.uint8), np.frombuffer(theirs[start : start + count], np.uint8)
        )
        for _, _, start, count in plex.runs(at, size)
    )


def _same_shape(one: PlexMap, other: PlexMap) -> bool:
    columns = len(one.columns)
    return columns == len(other.columns) and (columns == 1 or one.unit == other.unit)


@contextmanager
def _blame(volume: VolumeIo, plex: PlexMap, device: BlockDevice, op: Op, offset: int, length: int) -> Iterator[None]:
    """Turn a leg's error into the fault that names the leg."""
    try:
        yield
    except LEG_ERRORS as error:
        number = errno_of(error)
        kind = kind_of(number, writing=op is not Op.READ)
        raise LegFailed(Fault(volume.name, kind, op, device, plex.key, plex.piece, number, offset, length)) from error
