"""Draws a new generation of a RAID-5 log in the very transaction that changes what its entries stand for.

Entries of an old generation never count. So before such a transaction is written the volume is held, everything that it
has written is brought to stable storage, and an empty log of the new generation is written beside the old one.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.assemble import log_copies
from engine.dataplane.fault import LEG_ERRORS, errno_of
from engine.dataplane.raid5_log import LogFailed, Raid5Log
from engine.devices.base import NO_SPACE
from engine.devices.filled import fill
from engine.edits.columns import leave_out_log, leave_out_piece, parity_plex, pieces_of
from engine.edits.detach import drop_targets, fail_disk
from engine.records import PieceState, Plex, PlexState, Ref, Subdisk, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from engine.config import Config, Edit
    from engine.dataplane.raid5_log_format import LogCopy
    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.runtime import Runtime

IN_DOUBT = "What it had written could not be brought to stable storage on a second disk. Its log still has it."


class _Facts(NamedTuple):
    """What the entries of a log depend on."""

    size: int
    active: PlexState
    doubt: tuple[bool, bool]
    pieces: frozenset[tuple[object, ...]]
    logs: frozenset[tuple[object, ...]]
    targets: frozenset[Ref]

    def hold_for(self, now: _Facts) -> bool:
        """Whether entries that stand for this stand for `now`, too. A place more that is being filled changes nothing;
        with one that goes, changes that it has missed are nowhere to be made up for."""
        return self._replace(targets=now.targets) == now and self.targets <= now.targets


class _Place(NamedTuple):
    """A run of bytes on a disk."""

    disk: Ref
    start: int
    end: int

    def meets(self, other: _Place) -> bool:
        return self.disk == other.disk and self.start < other.end and other.start < self.end


class LogRenewal:
    """The logs that one commit begins anew. A context: the volumes concerned are held from `cover` to its end."""

    def __init__(
        self,
        base: Config,
        ios: Mapping[Ref, VolumeIo],
        device_of: Callable[[Config, Ref], BlockDevice | None],
        runtime: Runtime,
        torn: set[Ref],
    ) -> None:
        self._base = base
        self._ios = ios
        self._device_of = device_of
        self._runtime = runtime
        self._torn = torn  # gets the volumes that must take no more writes, without any record of it
        self._held = contextlib.ExitStack()
        self._covered: dict[Ref, _Facts] = {}
        self._generations: dict[Ref, str] = {}  # that stand on disk
        self._fresh: dict[Ref, Raid5Log | None] = {}
        self._begun: list[tuple[Ref, Raid5Log]] = []
        self._filled: set[_Place] = set()
        self.ended: list[tuple[Ref, str]] = []  # tasks that end because a disk failed under a log
        self.fenced: list[Ref] = []  # volumes that take no more writes from this transaction on

    def __enter__(self) -> LogRenewal:
        return self

    def __exit__(self, *details: object) -> None:
        try:
            for ref in self._fresh:  # what has not taken over never will: the log in use goes on
                io = self._ios.get(ref)
                if io is not None and io.raid5 is not None:
                    self._withdraw(ref, io)
                    io.raid5.use_log(io.raid5.log)
        finally:
            self._held.close()

    def _withdraw(self, ref: Ref, io: VolumeIo) -> None:
        """A disk may have the transaction that was given up, with which the group begins next time: what the volume
        writes from now on is not in the log that it names."""
        if not all([log.withdraw() for owner, log in self._begun if owner == ref]):
            io.fence()
            self._torn.add(ref)

    def cover(self, edit: Edit, volumes: Iterable[Ref]) -> None:
        """Before a transaction is written: every log whose meaning `edit` changes is of a new generation in it."""
        for ref in sorted(volumes):
            facts = _facts(edit.config, ref)
            if facts is None or self._is_covered(ref, facts):
                continue
            self._renew(edit, ref)
            renewed = _facts(edit.config, ref)
            if renewed is not None:
                self._covered[ref] = renewed

    def take_over(self, ref: Ref, volume: Volume, io: VolumeIo, table: Table) -> None:
        """The transaction is durable: a volume that goes on runs on its new table from now on, with its new log."""
        if io.raid5 is not None:
            io.raid5.parity_known_to = parity_known_to(volume)
            if self._restarts(ref) and not volume.fenced:
                io.raid5.trust.forget()
            if ref in self._fresh:
                io.raid5.use_log(self._fresh.pop(ref))
            if volume.fenced and not io.fenced:
                io.fence()
        io.swap(table)

    def log_of(self, ref: Ref) -> Raid5Log | None:
        """The log that a volume begins its service with."""
        return self._fresh.pop(ref, None)

    def _is_covered(self, ref: Ref, facts: _Facts) -> bool:
        known = self._covered.get(ref)
        if known is None and ref in self._ios:
            known = _facts(self._base, ref)
        return known is not None and known.hold_for(facts)

    def _renew(self, edit: Edit, ref: Ref) -> None:
        if not self._settle(edit, ref):
            return
        volume = edit.config.volume(ref)
        if volume.fenced:
            return  # its log is what puts it right at its next start
        self._fresh.setdefault(ref, None)  # the log in use is frozen from now on
        self._fresh[ref] = log = self._begin(edit, ref)
        if log is not None:
            self._begun.append((ref, log))
        generation = log.owner.generation.hex() if log is not None else ""
        edit.put(replace(edit.config.volume(ref), log_generation=generation))

    def _settle(self, edit: Edit, ref: Ref) -> bool:
        """Hold the volume, and bring what it has written to stable storage on everything that stays. False, and the
        volume fenced, when that is in doubt: then its log keeps its generation."""
        io = self._ios.get(ref)
        volume = edit.config.volume(ref)
        if io is None:
            return True
        if ref not in self._covered:
            self._held.enter_context(io.hold())
        if volume.fenced:
            return False
        broken = io.raid5 is not None and bool(io.raid5.broken) and not self._restarts(ref)
        broken = broken or not self._without_missed(edit, io) or not self._without_doubted(edit, ref, io)
        settled = io.settle_writes()
        if not broken and (settled or self._staying(edit.config, ref).isdisjoint(io.suspects)):
            return True
        self._fence(edit, ref)
        return False

    def _fence(self, edit: Edit, ref: Ref) -> None:
        """No more writes. A copy of the log that takes none may still be read, and what it has is needed."""
        edit.put(replace(edit.config.volume(ref), fenced=IN_DOUBT))
        self.fenced.append(ref)
        for before in self._base.logs_of(ref):
            log = edit.config.get(before.ref)
            if isinstance(log, Plex) and log.state is PlexState.IOFAIL and before.complete:
                edit.put(replace(log, state=before.state))

    def _without_missed(self, edit: Edit, io: VolumeIo) -> bool:
        """A place that has just missed a write, while it was being filled, and takes over by this very commit: parity
        stands for it from now on. False where nothing can: the log still has that write."""
        missed = io.raid5.trust.missed if io.raid5 is not None else ()
        for key in missed:
            target = self._base.get(key) if isinstance(key, Ref) else None
            if not isinstance(target, Subdisk):
                continue
            for piece in edit.config.subdisks_on(target.disk):
                here = (piece.disk_offset, piece.replaces) == (target.disk_offset, None)
                if here and piece.state is PieceState.GOOD and not leave_out_piece(edit, piece):
                    return False
        return True

    def _without_doubted(self, edit: Edit, ref: Ref, io: VolumeIo) -> bool:
        """Columns of which a write has just failed, and nobody has decided about it yet: the entry that tells of it
        goes, so that parity stands for them from now on. False, and nothing changed, where it can't."""
        if io.raid5 is None or not io.raid5.trust.doubtful or self._restarts(ref):
            return True
        doubted = _pieces_in(edit.config, ref, io.raid5.trust.doubts())
        if not all([leave_out_piece(edit, piece) for piece in doubted]):
            for piece in doubted:
                edit.put(piece)
            return False
        for piece in doubted:
            why = f"A write to {edit.config.disk(piece.disk).name} failed."
            self.ended += [(task, why) for task in drop_targets(edit, piece)]
        return True

    def _restarts(self, ref: Ref) -> bool:
        """Whether a volume that was fenced has just been put right from its log."""
        before = self._base.get(ref)
        return isinstance(before, Volume) and bool(before.fenced)

    def _staying(self, config: Config, ref: Ref) -> set[BlockDevice]:
        """The devices of the pieces that are relied on from now on."""
        plex = parity_plex(config, ref)
        pieces = pieces_of(config, plex.ref) if plex is not None else []
        good = (piece for piece in pieces if piece.state is PieceState.GOOD)
        devices = (self._device_of(config, piece.disk) for piece in good)
        return {device for device in devices if device is not None}

    def _begin(self, edit: Edit, ref: Ref) -> Raid5Log | None:
        """An empty log of a new generation; copies that fail are left out. None when there is none to be written."""
        old = self._generations.setdefault(ref, edit.config.volume(ref).log_generation)
        while True:
            volume = edit.config.volume(ref)
            if not volume.size:
                return None
            copies = log_copies(edit.config, volume, lambda disk: self._device_of(edit.config, disk))
            try:
                self._make_room(edit.config, ref, copies)
                return self._written(ref, copies, old)
            except LogFailed as failure:
                self._leave_out(edit, failure)

    def _make_room(self, config: Config, ref: Ref, copies: Iterable[LogCopy]) -> None:
        """A place that is new is filled with zeros: on a host that runs full later there is room for the log still."""
        known = self._filled | _log_places(self._base, ref)
        for copy in copies:
            places = _log_places(config, ref, copy.key)
            if any(place.meets(other) for place in places for other in known):
                continue
            try:
                fill(copy.device, copy.offset, copy.length)
            except LEG_ERRORS as error:
                raise LogFailed(copy, errno_of(error)) from error
            self._filled |= places

    def _written(self, ref: Ref, copies: list[LogCopy], old: str) -> Raid5Log | None:
        fresh, volume = self._runtime.token(16), bytes.fromhex(ref.id)
        io = self._ios.get(ref)
        if io is not None and io.raid5 is not None:
            return io.raid5.prepare_log(copies, volume, fresh)
        previous = bytes.fromhex(old) if old else None
        return Raid5Log(copies, volume, fresh, self._runtime, previous=previous) if copies else None

    def _leave_out(self, edit: Edit, failure: LogFailed) -> None:
        key = failure.copy.key
        if not isinstance(key, Ref) or key not in edit.config:
            return
        leave_out_log(edit, edit.config.plex(key), PlexState.IOFAIL)
        if failure.number not in NO_SPACE:
            for subdisk in edit.config.subdisks_of(key):
                name = edit.config.disk(subdisk.disk).name
                self.ended += [(task, f"{name} failed.") for task in fail_disk(edit, subdisk.disk)]


def parity_known_to(volume: Volume) -> int:
    """The offset below which the parity of a volume may stand for a column."""
    return sys.maxsize if volume.parity_known and not volume.fenced else 0


def _facts(config: Config, ref: Ref) -> _Facts | None:
    """None for what is no RAID-5 volume (any more)."""
    volume = config.get(ref)
    plex = parity_plex(config, ref) if isinstance(volume, Volume) else None
    if not isinstance(volume, Volume) or plex is None:
        return None
    pieces = frozenset(
        (sd.ref, sd.disk, sd.disk_offset, sd.plex_offset, sd.length, sd.column, sd.state)
        for sd in pieces_of(config, plex.ref)
    )
    logs = frozenset(
        (log.ref, log.state, sd.disk, sd.disk_offset, sd.length)
        for log in config.logs_of(ref)
        for sd in pieces_of(config, log.ref)
    )
    targets = frozenset(sd.ref for sd in config.subdisks_of(plex.ref) if sd.replaces is not None)
    return _Facts(volume.size, plex.state, (bool(volume.fenced), volume.parity_known), pieces, logs, targets)


def _pieces_in(config: Config, ref: Ref, places: Iterable[tuple[int, int]]) -> list[Subdisk]:
    """The good pieces that hold these rows of these columns: (row, column)."""
    plex = parity_plex(config, ref)
    if plex is None:
        return []
    found: dict[Ref, Subdisk] = {}
    good = [piece for piece in pieces_of(config, plex.ref) if piece.state is PieceState.GOOD]
    for row, column in places:
        at = row * plex.stripe_unit
        here = (sd for sd in good if sd.column == column and sd.plex_offset <= at < sd.plex_offset + sd.length)
        found.update((piece.ref, piece) for piece in here)
    return list(found.values())


def _log_places(config: Config, ref: Ref, log: object = None) -> set[_Place]:
    """Where the copies of a volume's log lie, or one of them; nowhere while the volume has no size: nothing stands
    there yet."""
    volume = config.get(ref)
    if not isinstance(volume, Volume) or not volume.size:
        return set()
    logs = [known.ref for known in config.logs_of(ref) if log in (None, known.ref)]
    pieces = [piece for known in logs for piece in pieces_of(config, known)]
    return {_Place(piece.disk, piece.disk_offset, piece.disk_offset + piece.length) for piece in pieces}


def parity_volumes(edit: Edit) -> set[Ref]:
    """The RAID-5 volumes that an edit reaches so far."""
    found: set[Ref] = set()
    for ref in edit.touched:
        for config in (edit.base, edit.config):
            record = config.get(ref)
            if isinstance(record, Subdisk):
                record = config.get(record.plex)
            if isinstance(record, Plex):
                found.add(record.volume)
            elif isinstance(record, Volume):
                found.add(ref)
    return {ref for ref in found if ref in edit.config and parity_plex(edit.config, ref) is not None}
