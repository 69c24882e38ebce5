"""Copies and comparisons on a volume's own table: inside of its gate, under the locks of the regions concerned.

So no copy ever undoes a client's write, and no table is dropped under a copy. The maps of the table carry the `Ref` of
their plex as `key`, and that of a subdisk that is being filled as `piece`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, cast

from engine.dataplane.fault import LEG_ERRORS
from engine.dataplane.stripes import column_offset, volume_offset
from engine.store.uncached import read_uncached
from engine.tasks.failure import StepFailed
from engine.tasks.steps import TaskFailed, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.dataplane.regions import RegionLocks
    from engine.dataplane.table import Leg, PlexMap, Segment, Table
    from engine.devices.base import BlockDevice
    from engine.records import Plex, Ref, Subdisk
    from engine.tasks.steps import Compare, CopyPlex, CopyRuns, Ranges

    WhichDisk = Callable[[BlockDevice], Ref | None]
    Told = Callable[[StepFailed], None]
    Writing = Callable[[BlockDevice, int, int], None]

_DIRECT = 4096
"""Reads past the page cache lie on such boundaries, and differences are told in such blocks."""


class Copier:
    """One worker's way to copy. `which_disk` names the disk of a device, `told` hears of sources that failed but could
    be done without, `writing` of each place (device, offset, length) before it is written to."""

    def __init__(self, which_disk: WhichDisk, told: Told, writing: Writing) -> None:
        self._which_disk = which_disk
        self._told = told
        self._writing = writing

    def copy_plex(self, table: Table, step: CopyPlex, buffer: memoryview) -> int:
        """Copy a volume range to plexes; answers the bytes written."""
        end = min(step.offset + step.length, table.size)
        for segment, at, size in table.parts(step.offset, max(end - step.offset, 0)):
            self.read(segment, step.source, step.targets, at, buffer[:size])
            for target in step.targets:
                self._write_plex(segment, target, at, buffer[:size])
        return max(end - step.offset, 0) * len(step.targets)

    def copy_runs(self, table: Table, regions: RegionLocks, step: CopyRuns, buffer: memoryview) -> int:
        """Copy short runs, each under the lock of its own region; answers the bytes written. A source that fails is
        the caller's to do without."""
        copied = 0
        sources: dict[int, list[PlexMap]] = {}
        for offset, length in step.runs:
            for segment, at, size in table.parts(offset, max(min(length, table.size - offset), 0)):
                known = sources.get(segment.start)
                if known is None:
                    known = sources[segment.start] = _readable(segment, step.source, step.targets)
                data = buffer[:size]
                with regions.hold(at, size):
                    self._read_map(known[(at >> 20) % len(known)], at, data)
                    for target in step.targets:
                        self._write_plex(segment, target, at, data)
                copied += size * len(step.targets)
        return copied

    def copy_subdisk(self, table: Table, plex: Plex, target: Subdisk, start: int, into: memoryview) -> int:
        """Copy the column range from `start`, as long as `into`, to a subdisk that is being filled.

        Answers how many of the bytes lie in the volume; the rest, behind its end, is the caller's.
        """
        unit, columns, column, stop = plex.stripe_unit, plex.columns, target.column, start + len(into)
        low, high = volume_offset(unit, columns, column, start), volume_offset(unit, columns, column, stop)
        done = start
        for segment, at, size in table.parts(low, max(min(high, table.size) - low, 0)):
            upto = min(column_offset(unit, columns, column, at + size), stop)
            if upto <= done:
                continue
            leg = _leg(segment, target)
            data = into[done - start : upto - start]
            self._read_column(segment, plex, column, done, data)
            self._writing(leg.device, leg.delta + done, len(data))
            try:
                leg.device.write(leg.delta + done, data)
            except LEG_ERRORS as error:
                raise StepFailed(error, target.disk, writing=True) from error
            done = upto
        return done - start

    def compare(self, table: Table, step: Compare, buffer: memoryview, other: memoryview) -> tuple[int, Ranges]:
        """Bytes copied, and where complete plexes differ. With a source, nothing differs there any more."""
        copied, found = 0, []
        for segment, at, size in table.parts(step.offset, max(min(step.length, table.size - step.offset), 0)):
            ours, theirs = buffer[:size], other[:size]
            first, *others = _in_order(segment, step.source)
            self._read_map(first, at, ours, uncached=True)
            for plex in others:
                ranges = self._differing(plex, at, ours, theirs, repairs=step.source is not None)
                found += [(at + start, length) for start, length in ranges]
                for start, length in ranges if step.source is not None else ():
                    target = cast("Ref", plex.key)
                    self._write_plex(segment, target, at + start, ours[start : start + length])
                    copied += length
        return copied, joined(tuple(found))

    def _differing(self, plex: PlexMap, at: int, ours: memoryview, theirs: memoryview, *, repairs: bool) -> Ranges:
        """Where in a range a plex differs. What can't be read is all wrong to whoever is about to write it anew."""
        try:
            self._read_map(plex, at, theirs, uncached=True)
        except StepFailed as failure:
            if not repairs or failure.number != errno.EIO:
                raise
            return ((0, len(ours)),)
        return () if bytes(ours) == bytes(theirs) else differing_blocks(ours, theirs)

    def read(self, segment: Segment, source: Ref | None, targets: tuple[Ref, ...], at: int, into: memoryview) -> None:
        """Read from `source`, or from the complete plexes in turn, each region from its own, until one answers."""
        sources = _readable(segment, source, targets)
        turn = (at >> 20) % len(sources)
        failure: StepFailed | None = None
        for plex in sources[turn:] + sources[:turn]:
            try:
                self._read_map(plex, at, into)
            except StepFailed as error:
                if failure is not None:
                    self._told(failure)
                failure = error
            else:
                if failure is not None:
                    self._told(failure)
                return
        if failure is not None:
            raise failure

    def _read_map(self, plex: PlexMap, at: int, into: memoryview, *, uncached: bool = False) -> None:
        for device, place, begin, count in plex.runs(at, len(into)):
            try:
                if uncached and not (place | count) % _DIRECT:
                    into[begin : begin + count] = read_uncached(device, place, count)
                else:
                    device.read_into(place, into[begin : begin + count])
            except LEG_ERRORS as error:
                raise StepFailed(error, self._which_disk(device), writing=False) from error

    def _write_plex(self, segment: Segment, target: Ref, at: int, data: memoryview) -> None:
        """Every map of the plex, a place that one of its subdisks is moving to included."""
        left = len(data)
        for plex in segment.writers:
            if plex.key != target:
                continue
            for device, place, begin, count in plex.runs(at, len(data)):
                self._writing(device, place, count)
                try:
                    device.write(place, data[begin : begin + count])
                except LEG_ERRORS as error:
                    raise StepFailed(error, self._which_disk(device), writing=True) from error
                left -= count if plex.piece is None else 0
        if left:
            raise TaskFailed("A plex was detached or removed while it was being filled.")

    def _read_column(self, segment: Segment, plex: Plex, column: int, start: int, into: memoryview) -> None:
        """From the subdisk that is replaced, if that fails from any other complete plex."""
        for found in segment.writers:
            leg = found.columns[column] if found.key == plex.ref and found.piece is None else None
            if leg is None:
                continue
            try:
                leg.device.read_into(leg.delta + start, into)
            except LEG_ERRORS as error:
                failure = StepFailed(error, self._which_disk(leg.device), writing=False)
                if not _others(segment, plex.ref):
                    raise failure from error
                self._told(failure)
                break
            return
        for at, begin, count in _units(plex, column, start, len(into)):
            self.read(segment, None, (plex.ref,), at, into[begin : begin + count])


def _leg(segment: Segment, target: Subdisk) -> Leg:
    for plex in segment.writers:
        leg = plex.columns[target.column] if plex.piece == target.ref else None
        if leg is not None:
            return leg
    raise TaskFailed("The plex was detached, or the subdisk removed, while it was being moved.")


def _others(segment: Segment, but: Ref) -> list[PlexMap]:
    return [plex for plex in segment.writers if plex.readable and plex.piece is None and plex.key != but]


def _readable(segment: Segment, source: Ref | None, targets: tuple[Ref, ...]) -> list[PlexMap]:
    """The maps that a copy may read: of complete plexes only, of `source` only when that is given."""
    found = [plex for plex in segment.writers if plex.readable and plex.piece is None and plex.key not in targets]
    if source is not None:
        found = [plex for plex in found if plex.key == source]
    if not found:
        raise TaskFailed(
            "The mirror to copy from can't be read any more. Bring its disk back and rescan, or repair the volume."
        )
    return found


def _units(plex: Plex, column: int, start: int, length: int) -> Iterator[tuple[int, int, int]]:
    """The column range cut at stripe units: (volume offset, place in the range, length)."""
    if plex.columns == 1:
        yield start, 0, length
        return
    unit, at = plex.stripe_unit, start
    while at < start + length:
        row, inside = divmod(at, unit)
        count = min(unit - inside, start + length - at)
        yield (row * plex.columns + column) * unit + inside, at - start, count
        at += count


def differing_blocks(one: memoryview, other: memoryview) -> Ranges:
    """(start, length) of the blocks of 4 KiB that differ in two ranges of the same length, neighbours as one."""
    blocks = ((start, min(_DIRECT, len(one) - start)) for start in range(0, len(one), _DIRECT))
    differ = ((at, size) for at, size in blocks if bytes(one[at : at + size]) != bytes(other[at : at + size]))
    return joined(tuple(differ))


def _in_order(segment: Segment, source: Ref | None) -> list[PlexMap]:
    """Every complete plex, the one to believe first."""
    found = _readable(segment, None, ())
    if source is not None:
        found = [*_readable(segment, source, ()), *(plex for plex in found if plex.key != source)]
    return found
