"""Mends places of a LUN that cannot be read or written: they are written again from another mirror, and looked at.

A place counts as mended when its whole 4 KiB blocks were written durably and come back, past every cache, as they were
written. Everything else is for the control thread to judge.
"""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.dataplane.fault import LEG_ERRORS, Fault, FaultKind, errno_of
from engine.dataplane.request import Op, Request
from engine.dataplane.table import REGION
from engine.errors import DeviceError, EngineError
from engine.records import PieceState, Plex, PlexLayout, Ref, Remedy, Severity, Subdisk, Volume
from engine.states import COMPLETE
from engine.store.uncached import read_strictly
from engine.trouble.heal_columns import mend_column
from engine.units import MIB, align_down, align_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.dataplane.gate import Slot
    from engine.dataplane.table import PlexMap, Segment, Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.luns import LunTable
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

BLOCK = 4096
ERRORS_MAX = 16
"""A disk with so many mended errors since it was last reactivated is failing."""
_LONGEST_WRITE = MIB
_STRIDE = 64 << 10
_TURNS = 3
_MEDIUM = frozenset({errno.EIO, errno.ENODATA, errno.EILSEQ})
"""What a LUN says of a place that has gone bad; other errors tell of the LUN as a whole."""


class Mended(NamedTuple):
    """What came of it: places that were written again, and the plex that the bytes came from."""

    places: int
    source: Ref | None


class _Cannot(Exception):
    """This is no case for mending."""


def may_be_mended(fault: Fault) -> bool:
    """Whether a fault tells of a place on a LUN, and not of the LUN."""
    if fault.kind is not FaultKind.LEG or fault.number not in _MEDIUM:
        return False
    if fault.piece is not None:  # what is being filled is never read: it is a piece of a column
        return fault.op is Op.READ
    return fault.op is Op.READ or (fault.op is Op.WRITE and fault.length <= _LONGEST_WRITE)


class Healer:
    """A thread that mends one place after the other. `pass_on` gets what it cannot mend, `make_writable` is asked to
    correct a volume's record before the first write; both are called on this thread."""

    def __init__(
        self,
        committer: Committer,
        luns: LunTable,
        runtime: Runtime,
        pass_on: Callable[[Ref, Fault], None],
        make_writable: Callable[[Ref, Fault], None],
    ) -> None:
        self._committer = committer
        self._luns = luns
        self._runtime = runtime
        self._pass_on = pass_on
        self._make_writable = make_writable
        self._buffer = bytearray(_STRIDE)
        self._last_write: tuple[Ref, Fault] | None = None  # that failed, and was mended
        self._read_upto = 0  # of the run that is looked at
        self._one_at_a_time = runtime.lock()
        self._queue = runtime.queue()
        self._thread = runtime.thread("heal", self._run)

    def tell(self, volume: Ref, fault: Fault) -> None:
        """Called by data threads; returns at once."""
        self._queue.put((volume, fault))

    def mend(self, ref: Ref, disk: Ref, offset: int, length: int, number: int) -> bool:
        """Mend what cannot be read of a volume range on a disk, on the calling thread, which is outside of every gate.
        Whether it can be read now."""
        with self._committer.lock:
            config, lun = self._committer.config, self._luns.of(disk)
            volume = config.get(ref)
            if not isinstance(volume, Volume) or lun is None:
                return False
            plexes = [
                plex.ref
                for plex in config.plexes_of(ref)
                if plex.state in COMPLETE and any(sd.disk == disk for sd in config.subdisks_of(plex.ref))
            ]
            size = min(length, volume.size - offset)
            parts = [part for plex in plexes for part in _parts_on(config, plex, disk)]
        faults = [
            Fault(volume.name, FaultKind.LEG, Op.READ, lun.device, plex, piece, number, offset, size)
            for plex, piece in parts
        ]
        return bool(faults) and size > 0 and all(may_be_mended(one) and self._is_mended(ref, one) for one in faults)

    def _is_mended(self, ref: Ref, fault: Fault) -> bool:
        try:
            with self._one_at_a_time:
                mended = self._mend(ref, fault)
        except _Cannot as why:
            log.info("A place of %s could not be mended: %s", fault.volume, why)
            return False
        return self._count(ref, fault, mended)

    def close(self) -> None:
        """End the thread; what waits is passed on."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            volume, fault = item
            done = False
            try:
                with self._one_at_a_time:
                    mended = self._mend(volume, fault)
                done = self._count(volume, fault, mended)
            except (_Cannot, EngineError) as why:
                log.info("A fault of %s could not be mended: %s", fault.volume, why)
            except Exception:
                log.exception("A fault of %s met a defect while it was mended", fault.volume)
            if not done:
                self._pass_on(volume, fault)

    # --- deciding ---
    def _mend(self, ref: Ref, fault: Fault) -> Mended:
        """_Cannot when it is for the control thread."""
        with self._committer.lock:
            io = self._committer.ios.get(ref)
            plex = self._committer.config.get(fault.plex) if isinstance(fault.plex, Ref) else None
            piece = self._committer.config.get(fault.piece) if isinstance(fault.piece, Ref) else None
            disk = self._luns.disk_of(fault.device)
            if io is None or not isinstance(plex, Plex) or disk is None or io.fenced or io.in_doubt:
                raise _Cannot("it is in no state to be written")
            if plex.state not in COMPLETE or (isinstance(piece, Subdisk) and piece.state is not PieceState.GOOD):
                return Mended(0, None)  # it has been left out meanwhile
            if self._committer.config.disk(disk).failing:
                raise _Cannot("its disk is failing")
        if fault.op is Op.WRITE and self._last_write == (ref, fault):
            raise _Cannot("it fails again although its place was mended")
        slot = io.slot("heal")
        try:
            if not io.table.writable:
                self._make_writable(ref, fault)
            if isinstance(piece, Subdisk):
                return Mended(mend_column(io, slot, fault, piece.column), plex.ref)
            mended = self._mend_all(io, slot, fault)
            self._last_write = (ref, fault) if fault.op is Op.WRITE else self._last_write
            return mended
        except (DeviceError, EngineError) as error:
            raise _Cannot(str(error)) from error
        finally:
            io.retire(slot)

    def _count(self, ref: Ref, fault: Fault, mended: Mended) -> bool:
        """Note an error that has been mended, and let the requests run again. False: there were too many."""
        disk = self._luns.disk_of(fault.device)
        with self._committer.lock:
            io, config = self._committer.ios.get(ref), self._committer.config
            if io is None or disk is None or disk not in config:
                return False
            if mended.source is not None or not mended.places:
                errors = config.disk(disk).errors + 1
                self._committer.commit(lambda edit: _note(edit, disk, errors))
                if errors >= ERRORS_MAX:
                    return False
            if mended.source is not None:
                self._alert(disk, fault, mended)
            io.release()
        return True

    def _alert(self, disk: Ref, fault: Fault, mended: Mended) -> None:
        config = self._committer.config
        source = config.get(mended.source)
        name, errors = config.disk(disk).name, config.disk(disk).errors
        doing = "read" if fault.op is Op.READ else "written"
        blocks = "a place" if mended.places == 1 else f"{mended.places} places"
        self._committer.alert(
            Severity.INFORMATION,
            f"An error on {name} was mended.",
            about=disk,
            cause=f"{blocks.capitalize()} of {fault.volume} could not be {doing} there, and was written again from "
            f"{source.name if source else 'another mirror'}. Errors since it was last reactivated: {errors}.",
            remedy=f"Nothing to do now. A disk with {ERRORS_MAX} such errors counts as failing; replace it before.",
            action=Remedy.REACTIVATE_DISK,
        )

    # --- doing ---
    def _mend_all(self, io: VolumeIo, slot: Slot, fault: Fault) -> Mended:
        start, end = align_down(fault.offset, BLOCK), min(align_up(fault.offset + fault.length, BLOCK), io.size)
        places, source = 0, None
        while start < end:
            size = min(end - start, REGION - start % REGION)
            found = self._mend_region(io, slot, fault, start, size)
            places, source = places + found.places, found.source or source
            start += size
        return Mended(places, source)

    def _mend_region(self, io: VolumeIo, slot: Slot, fault: Fault, start: int, size: int) -> Mended:
        """Inside of the gate and under the region's lock, as a client's write; its regions are marked before."""
        for _ in range(_TURNS):
            table = io.gate.enter(slot)
            try:
                if not table.writable or io.fenced:
                    raise _Cannot("its volume takes no writes")
                if io.dirty is None or io.dirty.note(start, size):
                    with io.regions.hold(start, size):
                        return self._mend_here(io, table, fault, start, min(size, table.size - start))
            finally:
                io.gate.leave(slot)
            self._mark(io, start, size)
        raise _Cannot("its regions could not be marked")

    def _mark(self, io: VolumeIo, start: int, size: int) -> None:
        """A request without a buffer ends as soon as the regions are marked."""
        marked = _Marked(self._runtime)
        dirty = io.dirty
        if dirty is not None:
            dirty.put(Request(Op.READ, start, size), marked)
            marked.wait()

    def _mend_here(self, io: VolumeIo, table: Table, fault: Fault, start: int, size: int) -> Mended:
        places, source = 0, None
        for segment, at, length in table.parts(start, size) if size > 0 else ():
            own, others = _maps(segment, fault)
            for device, place, begin, count in own.runs(at, length):
                if device is not fault.device:
                    continue
                if (place | count | (at + begin)) % BLOCK:
                    raise _Cannot("it does not lie on whole blocks")
                for first, bad in self._bad(device, place, count, fault):
                    source = self._rewrite(io, others, device, place + first, at + begin + first, bad)
                    places += 1
        return Mended(places, source)

    def _bad(self, device: BlockDevice, place: int, count: int, fault: Fault) -> Iterator[tuple[int, int]]:
        """What cannot be read of a run, as (offset in it, length); all of it when it was a write that failed."""
        if fault.op is Op.WRITE:
            yield 0, count
            return
        begun = -1
        for at in range(0, count, BLOCK):
            good = self._can_read(device, place, at, count)
            if not good and begun < 0:
                begun = at
            elif good and begun >= 0:
                yield begun, at - begun
                begun = -1
        if begun >= 0:
            yield begun, count - begun

    def _can_read(self, device: BlockDevice, place: int, at: int, count: int) -> bool:
        """Of a block; where a whole stride can be read, each of its blocks can."""
        if at % _STRIDE == 0:
            self._read_upto = 0
            if _reads(device, place + at, memoryview(self._buffer)[: min(_STRIDE, count - at)]):
                self._read_upto = at + _STRIDE
        return at < self._read_upto or _reads(device, place + at, memoryview(self._buffer)[:BLOCK])

    def _rewrite(
        self, io: VolumeIo, others: list[PlexMap], device: BlockDevice, place: int, at: int, count: int
    ) -> Ref | None:
        """Write one place again; answers the plex that had its bytes."""
        data = memoryview(bytearray(count))
        source = next((plex for plex in others if _read_map(plex, at, data)), None)
        if source is None:
            raise _Cannot("no other mirror can be read there")
        try:
            device.write(place, data, durable=True)
            io.written.add(device)
            found = read_strictly(device, place, count)
        except LEG_ERRORS as error:
            io.lost(device, errno_of(error))
            raise _Cannot(str(error)) from error
        if found is None or found != data:
            raise _Cannot("what was written does not come back past the cache")
        return source.key if isinstance(source.key, Ref) else None


class _Marked:
    """Waits for the end of a request that is about its marks only."""

    def __init__(self, runtime: Runtime) -> None:
        self._changed = runtime.condition()
        self._ended = False

    def finish(self, request: Request, error: int) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended)


def _parts_on(config: Config, plex: Ref, disk: Ref) -> list[tuple[Ref, Ref | None]]:
    """What is mended of a plex when a disk can't be read: each of its columns there by itself, a mirror as a whole."""
    if config.plex(plex).layout is not PlexLayout.RAID5:
        return [(plex, None)]
    pieces = [sd for sd in config.subdisks_of(plex) if sd.disk == disk and sd.replaces is None]
    columns = {piece.column: piece.ref for piece in pieces if piece.state is PieceState.GOOD}
    return [(plex, ref) for ref in columns.values()]


def _maps(segment: Segment, fault: Fault) -> tuple[PlexMap, list[PlexMap]]:
    """The map of the plex that failed, and those that are known to be equal to it. While one mirror is believed none
    is."""
    good = [plex for plex in segment.writers if plex.readable and plex.piece is None]
    own = next((plex for plex in good if plex.key == fault.plex), None)
    others = [plex for plex in good if plex.key != fault.plex]
    if own is None or not others:
        raise _Cannot("no other mirror is known to be equal")
    return own, others


def _read_map(plex: PlexMap, at: int, into: memoryview) -> bool:
    return all(
        _reads(run.device, run.offset, into[run.start : run.start + run.length]) for run in plex.runs(at, len(into))
    )


def _reads(device: BlockDevice, place: int, into: memoryview) -> bool:
    try:
        device.read_into(place, into)
    except LEG_ERRORS:
        return False
    return True


def _note(edit: Edit, disk: Ref, errors: int) -> None:
    edit.put(msgspec.structs.replace(edit.config.disk(disk), errors=errors))
