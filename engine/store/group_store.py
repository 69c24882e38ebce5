"""An imported group's handle: its configuration on the private regions of its disks, and the commit that changes it.

A transaction counts once it is durable on every copy that it names; copies that fail the write are left out by a next
transaction at once, as long as at least half of the former copies go along. Else nothing counts: the group is frozen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from engine.config import Config
from engine.errors import DeviceError, EngineError, GroupFrozen, MetadataError, RangeError
from engine.records import AnyRecord, Group, GroupState, Kind, LeastStamp, Record, Ref
from engine.store.age import is_older
from engine.store.areas import Area, Span
from engine.store.copy_reader import read_copy
from engine.store.copy_writer import CopyWriter
from engine.store.fence import Fence, Stamped, look_for_fence, refuse_strange
from engine.store.found import all_shown
from engine.store.image import Delta, Image, enclosures_of
from engine.store.member import Importer, Member, adopt, claim, give_back, release, reopened
from engine.store.membership import choose_copies
from engine.store.moves import Move, MoveKind, adopt_moved, encoded, moves_of, write_maps
from engine.store.outcome import Outcome
from engine.store.policy import import_needs
from engine.store.roster import Roster
from engine.store.rows import fields_of, is_disk, modernise, unpack_ref
from engine.store.stamp import Stamp
from engine.store.transaction import NEVER, GroupPhase, Identity, Transaction

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice
    from engine.store.moves import MapPages
    from engine.store.scan import GroupFound

__all__ = ["GroupStore", "Outcome"]

_LINEAGE_MAX = 64  # imports that a checkpoint remembers
_NOTHING = Delta({}, ())


class GroupStore:
    """One imported disk group on disk, made by `create` or `load`. Not thread-safe: callers hold the control lock."""

    def __init__(
        self, group: Ref, importer: Importer, members: Mapping[Ref, Member], rows: Mapping[bytes, bytes]
    ) -> None:
        self.group = group
        self.serial = importer.serial()
        self.taken = False  # another host has it, or may have
        self.frozen = ""  # why no change can be made durable
        self.failed: tuple[Ref, ...] = ()  # disks that failed while the group was made or imported
        self._importer = importer
        self._roster = Roster(members)
        self._image = Image(rows)
        self._members = {self._ref(key) for key in rows if is_disk(key)}
        self._copies: tuple[Ref, ...] = ()  # of the newest durable transaction
        self._enclosures: dict[Ref, str] = {}
        self._lineage: tuple[tuple[int, bytes], ...] = ()
        self._durable = self._last = NEVER
        self._highest = 0
        self._owes = False  # the disks must be written although no row has changed
        self._distrusted = False  # rows may have reached a disk that the caller has taken back
        self._closed = False
        self._moves = {move.key: move for move in moves_of(rows)}
        self._left: dict[Ref, int] = {}  # the newest transaction that is on disks which were in use and are gone
        self.begun = LeastStamp(self.serial.hex(), 0)  # what this import has stamped its disks with
        self._unjudged: tuple[Ref, ...] = ()  # disks of which it is on record how this import has found them

    # --- coming to be ---
    @classmethod
    def create(cls, records: Iterable[Record], disks: Mapping[Ref, BlockDevice], importer: Importer) -> GroupStore:
        """Make a new group of these records (a Group and its Disks at least) on these LUNs.

        The LUNs lose what was on them. Raises DeviceError or GroupFrozen, then the LUNs are disks of no group again;
        ValueError when a LUN is too small.
        """
        config = Config.of(records)
        (group,) = config.all(Kind.GROUP, Group)
        claimed: dict[Ref, Member] = {}
        try:
            for ref in sorted(disks):
                claimed[ref] = claim(disks[ref], ref.id, group.ref.id, importer.clock())
            store = cls(group.ref, importer, claimed, {})
            store._enclosures = enclosures_of(config)
            store._begin(max(group.transaction, 1), store._image.delta_to(group.ref, config, {}))
        except (EngineError, ValueError):
            give_back(group.ref.id, disks.values())
            raise
        return store

    @classmethod
    def load(cls, found: GroupFound, importer: Importer, *, force: bool = False, clear: bool = False) -> GroupStore:
        """Import a group that a scan has found. `force` and `clear` accept what `import_needs` asks them for.

        Raises MetadataError with the reasons when more is needed or nothing helps, GroupFrozen when no majority takes
        the import.
        """
        import_needs(found, importer.host).check(force=force, clear=clear)
        elected = found.require()
        group = Ref(Kind.GROUP, found.id, importer.host)
        members = {
            Ref(Kind.DISK, disk.label.disk, importer.host): Member(disk.device, disk.label)
            for disk in found.members.values()
            if not found.is_coming(disk)
        }
        store = cls(group, importer, members, found.rows)
        for ref, member in members.items():
            content = found.members[ref.id].content
            store._roster.set_writer(ref, CopyWriter.of(member.device, member.label, content, elected.state.identity))
        store._copies = tuple(
            ref for disk in elected.state.copies if (ref := Ref(Kind.DISK, disk.hex(), importer.host)) in members
        )
        store._lineage = elected.lineage
        store._last = elected.state.identity  # what not every copy has was acknowledged to nobody: none has lost it
        store._durable = Identity(*elected.state.durable) if elected.behind else elected.state.identity
        # That it was about to be joined is taken back: the other group has not decided it, or nobody can tell.
        undecided = tuple(key for key, move in store._moves.items() if move.kind is MoveKind.JOINING)
        store._moves = {key: move for key, move in store._moves.items() if key not in undecided}
        told = store._image.with_room(found.as_found(force=force), [one.label.slot_length for one in members.values()])
        store._unjudged = tuple(sorted(map(store._ref, told)))
        older = {Ref(Kind.DISK, disk, importer.host) for disk in found.stale}
        store._begin(found.highest + 1, Delta(told, undecided), sorted(older.intersection(members)))
        return store

    @classmethod
    def settle(cls, move: Move, disks: Mapping[Ref, BlockDevice], importer: Importer) -> tuple[Ref, ...]:
        """Make the group that a split has decided, as one that nobody has imported; its LUNs keep only their data.

        May be done again until it has succeeded. Answers the disks that could not be written: the group lacks them.
        Raises GroupFrozen or DeviceError when there is no group yet, MetadataError when the move makes no sense.
        """
        store = cls(Ref(Kind.GROUP, move.other, importer.host), importer, adopt_moved(move, disks), {})
        delta = Delta(modernise(move.rows, move.fields), ())
        store._apply(delta)
        outcome = store._write(move.number, delta, GroupPhase.DEPORTED)
        if not outcome.durable:
            raise GroupFrozen(outcome.reason)
        store._roster.on_each(Member.confirm)
        return tuple(ref for ref in sorted(disks) if not store.works(ref))

    def _begin(self, number: int, delta: Delta, older: Collection[Ref] = ()) -> None:
        """Stamp all disks, write the first transaction of this import, confirm the labels. What stands on those in
        `older` tells that they are until the transaction does."""
        stamp, self.begun = self._stamp(number), LeastStamp(self.serial.hex(), number)
        self._roster.on_each(lambda member: member.stamp(stamp), [ref for ref in self._roster if ref not in older])
        self._apply(delta)
        outcome = self._write(number, delta)
        if not outcome.durable:
            raise GroupFrozen(outcome.reason)
        self._roster.on_each(lambda member: member.stamp(stamp), older)
        self._roster.on_each(Member.confirm)
        self.failed = tuple(sorted(self._roster.broken))

    # --- what it knows ---
    @property
    def transaction(self) -> int:
        """The number of the newest durable transaction."""
        return self._durable.number

    @property
    def copies(self) -> tuple[Ref, ...]:
        """The disks that hold a configuration copy, sorted."""
        return self._copies

    def records(self) -> tuple[AnyRecord, ...]:
        """All records as they stand on disk, told by this host."""
        return all_shown(self._image.records(self._importer.host), self.transaction, GroupState.IMPORTED)

    def span(self, disk: Ref, area: Area) -> Span:
        """Where an area of a disk's private region lies, from the first byte of its LUN."""
        return self._roster[disk].label.span(area)

    def fits(self, config: Config, changed: Mapping[Ref, Record | None] | None = None) -> str:
        """Empty when the group as it is in `config` has room in every private region, else a sentence why not.

        With `changed`, the records that differ from what is on disk, the answer costs what the change costs.
        """
        if changed is None:
            return self._too_large(self._image.delta_to(self.group, config, encoded(self._moves)))
        return self._too_large(self._image.delta(self.group, changed, config))

    # --- commit ---
    def commit(self, changed: Mapping[Ref, Record | None], transaction: int, config: Config) -> Outcome:
        """Make records (None: it is gone) durable as transaction `transaction`, or a later number.

        `config` is the configuration after the change: the whole truth when the last commit could not be made durable.
        Without a change that concerns the disk nothing is written. Raises MetadataError when it would not fit; use
        `fits` beforehand.
        """
        self._refuse_closed()
        if self._distrusted:
            delta = self._image.delta_to(self.group, config, encoded(self._moves))
        else:
            delta = self._image.delta(self.group, {**self._judged(config), **changed}, config)
        if not (delta or self._owes or self._distrusted):
            return Outcome(True, self.transaction)
        fence = self.look_for_fence()
        if fence.reason:
            return Outcome(False, self.transaction, (), fence.reason)
        if sentence := self._too_large(delta):
            raise MetadataError(sentence)
        self._enclosures.update(enclosures_of(config.disks_of(self.group)))
        self._apply(delta)
        outcome = self._write(max(transaction, self._highest + 1), delta)
        if outcome.durable:
            self._unjudged = ()
            self._confirm_pending()
        return outcome

    def _judged(self, config: Config) -> dict[Ref, Record | None]:
        """The first commit after an import has what came of how the disks were found."""
        records = (config.get(ref) for ref in self._unjudged)
        return {record.ref: record for record in records if record and config.group_of(record) == self.group}

    def _confirm_pending(self) -> None:
        self._roster.on_each(Member.confirm, [ref for ref in self._members if self._roster.is_pending(ref)])

    def _apply(self, delta: Delta) -> None:
        self._image.apply(delta)
        self._members |= {self._ref(key) for key in delta.put if is_disk(key)}
        self._members -= {self._ref(key) for key in delta.drop if is_disk(key)}

    def _write(self, number: int, delta: Delta, phase: GroupPhase = GroupPhase.IMPORTED) -> Outcome:
        """Write transactions from `number` on until one counts, each without the disks that failed the one before."""
        failed: list[Ref] = []
        while True:
            self._highest = number
            new = choose_copies(self._healthy(), self._enclosures, self._copies)
            targets = sorted({*new, *filter(self._roster.works, self._copies)})
            written = self._write_all(targets, Identity(number, self.serial), new, delta, phase)
            failed += [ref for ref in targets if ref not in written]
            self._roster.break_(failed)
            if not new or 2 * len(written & set(self._copies)) < len(self._copies):
                return self._freeze(failed)
            if written.issuperset(new):
                self._copies, self._durable = new, self._last
                self._owes = self._distrusted = False
                self.frozen = ""
                return Outcome(True, number, tuple(sorted(self._members.intersection(failed))))
            number, delta = number + 1, _NOTHING

    def _write_all(
        self, targets: Iterable[Ref], identity: Identity, copies: Iterable[Ref], delta: Delta, phase: GroupPhase
    ) -> set[Ref]:
        """Write one transaction to these disks, in order; answers those that have it."""
        lineage = self._lineage
        if not lineage or lineage[-1][1] != identity.serial:
            lineage = self._lineage = (*lineage, (identity.number, identity.serial))[-_LINEAGE_MAX:]
        change = Transaction(
            number=identity.number,
            serial=identity.serial,
            base=NEVER,
            previous=self._last,
            durable=self._durable,
            copies=tuple(bytes.fromhex(ref.id) for ref in copies),
            phase=phase,
            fields=fields_of(delta.put),
            put={key: msgspec.Raw(row) for key, row in delta.put.items()},
            drop=delta.drop,
        )
        whole: list[Transaction] = []

        def checkpoint() -> Transaction:
            if not whole:
                rows = self._image.rows
                put = {key: msgspec.Raw(rows[key]) for key in sorted(rows)}
                changes = {"lineage": lineage, "fields": fields_of(put), "put": put, "drop": ()}
                whole.append(msgspec.structs.replace(change, **changes))
            return whole[0]

        written = {ref for ref in targets if self._roster.write(ref, change, checkpoint)}
        self._last = identity
        return written

    def _freeze(self, failed: Iterable[Ref]) -> Outcome:
        """Nothing counts. The next commit tries every disk again, with checkpoints of what the caller holds then."""
        names = ", ".join(self._roster.names(failed))
        count = len(self._copies)
        self.frozen = (
            f"The configuration could not be written to at least half of the {count} disks that keep it"
            f"{f' (failed: {names})' if names else ''}. Bring the disks back; the next change tries again."
        )
        self._distrusted = True
        self._roster.distrust()
        return Outcome(False, self.transaction, tuple(sorted(failed)), self.frozen)

    def _healthy(self) -> list[Ref]:
        return sorted(filter(self._roster.works, self._members))

    def _too_large(self, delta: Delta) -> str:
        needed = self._image.checkpoint_length(delta)
        for ref in self._roster:
            room = self._roster[ref].label.slot_length
            if needed > room and needed > self._image.checkpoint_length():
                return (
                    f"The group's configuration would take {needed} bytes, but the private region of "
                    f"{self._roster[ref].device.name} has room for {room}. Use larger LUNs or fewer objects."
                )
        return ""

    def look_for_fence(self) -> Fence:
        """Why this host may not write: another host's stamp stands on a disk."""
        fence = look_for_fence(self._roster, self._copies, self.serial)
        if fence.reason:
            self.frozen, self.taken = fence.reason, self.taken or fence.taken
        return fence

    def stamped(self) -> Stamped:
        """Where this import's stamps stand, to be read without the control lock."""
        members = [self._roster[ref] for ref in self._copies if self._roster.works(ref)]
        return Stamped(self.serial, tuple((member.device, member.label) for member in members))

    def renew_stamps(self, disks: Iterable[Ref]) -> tuple[LeastStamp, set[Ref]]:
        """Put newer stamps of this import on those of the disks that work. Answers what the records of these are to
        tell from the next commit on, and which they are; one that does not work any more has failed."""
        self._refuse_closed()
        refs = [ref for ref in sorted(set(disks)) if self._roster.works(ref)]
        if refs and look_for_fence(self._roster, (*self._copies, *refs), self.serial).reason:
            refs = []  # the next commit looks as well, and says so
        self._highest += bool(refs)
        stamp = self._stamp(self._highest)
        self._roster.on_each(lambda member: member.stamp(stamp), refs)
        return LeastStamp(self.serial.hex(), stamp.transaction), set(refs)

    # --- disks that move to other groups, or come from them ---
    @property
    def moves(self) -> tuple[Move, ...]:
        """The splits and joins of which something is left to do."""
        return tuple(self._moves[key] for key in sorted(self._moves))

    def move(self, put: Iterable[Move] = (), done: Iterable[Move] = (), config: Config | None = None) -> Outcome:
        """Make what is said of moves durable, with all of the group as it is in `config` if that is given.

        MetadataError when it would not fit; then nothing was written.
        """
        self._refuse_closed()
        gone = {move.key for move in done}
        moves = {key: move for key, move in self._moves.items() if key not in gone} | {move.key: move for move in put}
        rows = encoded(moves)
        if config is not None:
            delta = self._image.delta_to(self.group, config, rows)
        else:
            changed = {key: row for key, row in rows.items() if self._image.rows.get(key) != row}
            delta = Delta(changed, tuple(sorted(self._moves.keys() - rows.keys())))
        fence = self.look_for_fence()
        if fence.reason or (config is None and self._distrusted):
            return Outcome(False, self.transaction, (), fence.reason or self.frozen)
        if sentence := self._too_large(delta):
            raise MetadataError(sentence)
        self._apply(delta)
        outcome = self._write(self._highest + 1, delta)
        if outcome.durable:
            self._moves = moves
            self._confirm_pending()
        return outcome

    def device(self, ref: Ref) -> BlockDevice:
        """The LUN of a disk that is in use here."""
        return self._roster[ref].device

    def let_go(self, ref: Ref) -> None:
        """A disk is another group's now; nothing is written to it."""
        self._roster.remove(ref)

    def put_maps(self, ref: Ref, maps: Iterable[MapPages]) -> None:
        """Write those of the pages that belong on a disk. DeviceError, MetadataError."""
        write_maps(self._roster[ref], self.group.id, maps)

    # --- disks that come and go ---
    def add_disk(self, ref: Ref, device: BlockDevice) -> None:
        """Prepare a LUN to join; the commit that has its Disk record makes it a member.

        Raises DeviceError, or ValueError when the LUN is too small.
        """
        self._refuse_closed()
        self._join_anew(ref, claim(device, ref.id, self.group.id, self._importer.clock()))

    def take_disk(self, ref: Ref, device: BlockDevice) -> None:
        """As `add_disk`, of a disk that comes from another group. DeviceError, MetadataError."""
        self._refuse_closed()
        self._join_anew(ref, adopt(device, ref.id, self.group.id))

    def attach_disk(self, ref: Ref, device: BlockDevice) -> None:
        """A member is back, or works again.

        MetadataError when the LUN is not this disk of this group, or another host has changed the group there.
        """
        self._refuse_closed()
        member = reopened(device, ref.id, self.group.id)
        content = read_copy(device, member.label)
        refuse_strange(device, member.label, content, self._lineage, self._importer.host)
        self._highest = max(self._highest, content.newest.number)
        member.stamp(self._stamp(self._highest))
        self._join(ref, member, CopyWriter.of(device, member.label, content, self._durable))

    def is_older(self, ref: Ref, device: BlockDevice) -> bool:
        """Whether the LUN of a member that is not in use is an old image of it. Raises as `attach_disk` does."""
        member = reopened(device, ref.id, self.group.id)
        return is_older(member, self._image.record(ref), self._left.get(ref, 0), self._lineage)

    def has(self, ref: Ref) -> bool:
        """Whether a disk's LUN is in use here: neither lost nor removed."""
        return ref in self._roster

    def names(self, ref: Ref) -> bool:
        """Whether a disk is a member, here or not."""
        return ref in self._members

    def works(self, ref: Ref) -> bool:
        """Whether a disk's LUN is in use here and has taken everything that was written to it."""
        return self._roster.works(ref)

    def lags(self, ref: Ref) -> bool:
        """Whether the copy on a disk that works is not what was last written to it: somebody has overwritten it."""
        if ref not in self._copies or not self._roster.works(ref):
            return False
        member = self._roster[ref]
        try:
            return read_copy(member.device, member.label).newest != self._durable
        except (MetadataError, DeviceError, RangeError):
            return True

    def distrust(self) -> None:
        """The caller has taken back what was written last: the next commit writes all that differs."""
        self._distrusted = True

    def lose_disk(self, ref: Ref) -> None:
        """A member is gone or not to be used: the next commit does without it."""
        if ref in self._copies and self._roster.works(ref):
            self._left[ref] = self._durable.number
        self._roster.lose(ref)
        self._owes = self._owes or ref in self._copies

    def remove_disk(self, ref: Ref) -> None:
        """Make a LUN that is no member any more, after the commit that dropped it, a disk of no group."""
        if ref in self._members:
            raise MetadataError(f"{self._roster[ref].device.name} is still a disk of the group.")
        member = self._roster.remove(ref)
        if member is not None:
            release(member.device)

    def resize_disk(self, ref: Ref) -> int:
        """Take over a LUN's new size into its label; answers the length of the public region."""
        self._roster[ref].resize()
        return self._roster[ref].label.public_length

    def _join_anew(self, ref: Ref, member: Member) -> None:
        member.stamp(self._stamp(self._highest))
        self._join(ref, member, CopyWriter(member.device, member.label))

    def _join(self, ref: Ref, member: Member, writer: CopyWriter) -> None:
        self._roster.take_in(ref, member, writer)
        self._left.pop(ref, None)
        self._owes = True

    # --- the end ---
    def deport(self) -> None:
        """Give the group up, so that any host may import it. GroupFrozen when that can't be made durable."""
        self._finish(GroupPhase.DEPORTED)
        last = self._stamp(self._highest)
        self._roster.on_each(lambda member: member.clear_stamp(last))

    def destroy(self) -> tuple[Ref, ...]:
        """End the group: its disks belong to none. Answers the disks that could not be written; GroupFrozen as ever."""
        self._finish(GroupPhase.DESTROYED)
        before = self._roster.broken
        self._roster.on_each(lambda member: release(member.device))
        return tuple(sorted(self._roster.broken - before))

    def _finish(self, phase: GroupPhase) -> None:
        self._refuse_closed()
        if (fence := self.look_for_fence()).reason:
            raise GroupFrozen(fence.reason)
        outcome = self._write(self._highest + 1, _NOTHING, phase)
        if not outcome.durable:
            raise GroupFrozen(outcome.reason)
        self._closed = True

    def _refuse_closed(self) -> None:
        if self._closed:
            raise MetadataError("The disk group has been deported or destroyed.")

    # --- helpers ---
    def _stamp(self, transaction: int) -> Stamp:
        return Stamp(
            host=self._importer.host,
            host_name=self._importer.name,
            serial=self.serial,
            time=self._importer.clock(),
            transaction=transaction,
        )

    def _ref(self, key: bytes) -> Ref:
        return unpack_ref(key, self._importer.host)
