"""Splitting and joining of disk groups: what is done to LUNs, now and after a crash in the midst of it.

See `engine.store.moves` for what is on record of it. A split or join is decided by one transaction; until then nothing
has happened, and from then on it is finished, by whoever imports the deciding group.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.config import Edit
from engine.disk_groups.claims import device_of, lock_all, unlock, unlock_all
from engine.disk_groups.disks import nothing
from engine.edits.detach import fail_disk
from engine.edits.dirty_places import renew
from engine.edits.kept_cells import carried, without
from engine.edits.mistrust import mistrust
from engine.errors import EngineError, GroupFrozen, MetadataError
from engine.maps.moved_maps import captured
from engine.records import Disk, Group, GroupState, Kind, Plex, PlexState, Ref, Severity, Subdisk, Volume
from engine.rules import listed
from engine.store.group_store import GroupStore
from engine.store.image import records_of
from engine.store.member import adopt
from engine.store.moves import Move, MoveKind, pack_maps, unpack_maps
from engine.store.rows import encode_row, fields_of, pack_ref
from engine.store.scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from engine import commands
    from engine.commit import Committer
    from engine.config import Config
    from engine.devices.base import BlockDevice
    from engine.disk_groups.claims import Claims
    from engine.disk_groups.volumes import VolumeKeeper
    from engine.luns import Lun, LunTable
    from engine.plans import Plan
    from engine.records import Record
    from engine.store.group_store import Outcome
    from engine.store.member import Importer
    from engine.store.moves import MapPages
    from engine.store.scan import Found

log = logging.getLogger(__name__)


class GroupMoves:
    """Carries out splits and joins. Every method is called under the control lock."""

    def __init__(
        self, committer: Committer, luns: LunTable, claims: Claims, volumes: VolumeKeeper, importer: Importer
    ) -> None:
        self._committer = committer
        self._luns = luns
        self._claims = claims
        self._volumes = volumes
        self._importer = importer
        self._written = False

    # --- split ---
    def split(self, command: commands.SplitGroup, plan: Plan) -> Callable[[Edit], None]:
        """Stop what leaves, decide the split and make the new group; the edit then only says so in memory."""
        made = next(record for record in plan.puts if isinstance(record, Group))
        disks = [record.ref for record in plan.puts if isinstance(record, Disk)]
        volumes = [record.ref for record in plan.puts if isinstance(record, Volume)]
        store = self._committer.stores[command.group]
        self._stop(volumes)
        self._committer.freed.withdraw_disks(disks)  # before anybody else may have them
        move = Move(
            kind=MoveKind.SPLIT,
            token=self._committer.runtime.token(16),
            group=bytes.fromhex(made.ref.id),
            name=made.name,
            disks=tuple(bytes.fromhex(ref.id) for ref in disks),
            number=store.transaction + 1,
            maps=pack_maps(self._captured(command.group, volumes)),
        )
        devices = {ref: store.device(ref) for ref in disks}
        after = self._after(plan)
        try:
            outcome, error = self.carry_split(store, _with_rows(move, after, made.ref), after, devices)
        except MetadataError:
            after = without(after, volumes)
            outcome, error = self.carry_split(store, _with_rows(move, after, made.ref), after, devices)
        self._require(command.group, outcome)
        if error is not None:
            self._tell_unfinished(move, error)
        failed = [disk for disk in outcome.failed if disk not in disks]
        return lambda edit: _fail_all(edit, failed)

    def carry_split(
        self, store: GroupStore, move: Move, after: Config, devices: Mapping[Ref, BlockDevice]
    ) -> tuple[Outcome, EngineError | None]:
        """Decide a split, then make the new group. What keeps it from being made is told: it is made later."""
        outcome = store.move(put=(move,), config=after)
        if not outcome.durable:
            return outcome, None
        for ref in devices:
            store.let_go(ref)
        try:
            lost = GroupStore.settle(move, devices, self._importer)
        except EngineError as error:
            return outcome, error
        self._end(store, move, [ref.id for ref in lost])
        return outcome, None

    def split_off(self, disks: Iterable[Ref]) -> None:
        """Nobody has the new group yet: its LUNs are anybody's to lock."""
        self._committer.freed.withdraw_disks(disks)
        for ref in disks:
            lun = self._luns.of(ref)
            if lun is not None:
                unlock(lun)

    # --- join ---
    def join(self, command: commands.JoinGroups, plan: Plan) -> Callable[[Edit], None]:
        """Give one group up, decide the join, relabel its disks; the edit puts its volumes to work in the other one."""
        config = self._committer.config
        source, target = self._committer.stores[command.joined], self._committer.stores[command.group]
        group = config.group(command.joined)
        volumes, disks = config.volumes_of(command.joined), config.disks_of(command.joined)
        self._stop([volume.ref for volume in volumes])
        maps = pack_maps(self._captured(command.joined, [volume.ref for volume in volumes]))
        move = Move(
            kind=MoveKind.JOINING,
            token=self._committer.runtime.token(16),
            group=bytes.fromhex(command.group.id),
            name=config.group(command.group).name,
            disks=tuple(bytes.fromhex(ref.id) for ref in sorted((d.ref for d in disks), key=copies_last(source))),
        )
        self._require(command.joined, source.move(put=(move,)))
        self._require_all(source, move, disks)
        devices = {disk.ref: source.device(disk.ref) for disk in disks}
        self._committer.release(command.joined)
        self._committer.commit(lambda edit: edit.put(replace(group, state=GroupState.DEPORTED)))
        after = self._after(plan)
        joined = replace(move, kind=MoveKind.JOINED, group=bytes.fromhex(group.ref.id), name=group.name, maps=maps)
        try:
            try:
                outcome, lost = self.carry_join(target, joined, after, devices)
            except MetadataError:
                after = without(after, [volume.ref for volume in volumes])
                outcome, lost = self.carry_join(target, joined, after, devices)
            self._require(command.group, outcome)
        except EngineError:
            self._claims.unlock_group(self._committer.config, command.joined)
            raise
        failed = [*outcome.failed, *lost]
        return self._put_to_work(command.group, plan, after, [volume.ref for volume in volumes], failed)

    def carry_join(
        self, target: GroupStore, move: Move, after: Config, devices: Mapping[Ref, BlockDevice]
    ) -> tuple[Outcome, list[Ref]]:
        """Decide a join, then relabel the disks. Answers those that could not be."""
        outcome = target.move(put=(move,), config=after)
        if not outcome.durable:
            return outcome, []
        lost = self._take_disks(target, move, devices)
        self._end(target, move, [ref.id for ref in lost])
        return outcome, lost

    def _end(self, store: GroupStore, move: Move, left: Sequence[str]) -> bool:
        """Nothing is left to do of a move, but for disks that were away."""
        rest = move.slim(left)
        if left and rest == move:
            return False
        outcome = store.move(put=(rest,) if left else (), done=() if left else (move,))
        if not outcome.durable:
            log.warning("The end of a split or join could not be written: %s", outcome.reason)
        return outcome.durable

    def _put_to_work(
        self, group: Ref, plan: Plan, after: Config, volumes: list[Ref], failed: Iterable[Ref]
    ) -> Callable[[Edit], None]:
        """What has come is shown as it stands on disk, so that no later change takes it for gone. What is done with it
        is as at an import; when the commit that should do that can't be made, the next one to the group does it."""
        moved = [record for record in records_of(after, group) if _belongs(after, record, volumes)]
        self._committer.maps.read(group, moved)
        disks = [record for record in plan.puts if isinstance(record, Disk)]

        def show(edit: Edit) -> None:
            for record in (*map(_waiting, moved), *disks):
                edit.put(record)

        self._committer.show(show)
        self._committer.pending[group] = self._starting(plan, moved, failed)

        def change(edit: Edit) -> None:
            for record in moved:
                edit.put(record)  # the plan was made before they were stopped

        return change

    def _starting(self, plan: Plan, moved: Sequence[Record], failed: Iterable[Ref]) -> Callable[[Edit], None]:
        """What makes volumes that have come serve, unless they do."""
        volumes = [record for record in moved if isinstance(record, Volume)]
        known = {record.ref for record in moved}
        shown = {one.ref: self._committer.config.get(one.ref) for one in plan.puts if one.ref not in known}

        def start(edit: Edit) -> None:
            if any(volume.ref in self._committer.ios for volume in volumes):
                return
            for ref in plan.drops:
                if ref in edit.config:
                    edit.drop(ref)
            for record in plan.puts:
                if record.ref in shown and edit.config.get(record.ref) == shown[record.ref]:
                    edit.put(record)
            for volume in volumes:
                if volume.ref in edit.config:
                    self._start(edit, volume)
            _fail_all(edit, failed)

        return start

    def _start(self, edit: Edit, volume: Volume) -> None:
        edit.put(replace(edit.config.volume(volume.ref), started=volume.started))
        mistrust(edit, edit.config.volume(volume.ref), frozenset())
        self._volumes.columns.restart(edit, volume.ref, frozenset())
        renew(edit, volume.ref, frozenset(), {})

    def _take_disks(self, target: GroupStore, move: Move, devices: Mapping[Ref, BlockDevice]) -> list[Ref]:
        """Relabel disks that have come from another group, in the order of the move, in which those come last that tell
        that it was joined. Answers those that could not be written."""
        lost, maps = [], unpack_maps(move.maps)
        for disk in move.disk_ids:
            ref = self._ref(disk)
            if ref not in devices:
                continue
            try:
                if not target.has(ref):
                    target.take_disk(ref, devices[ref])
                target.put_maps(ref, maps)
            except EngineError as error:
                lost.append(ref)
                log.warning("A disk of a joined disk group could not be relabelled: %s", error)
        return lost

    # --- what both do ---
    def _stop(self, volumes: list[Ref]) -> None:
        """EngineError when what was written to any of them may not be stable."""
        self._volumes.make_clean(volumes)
        config = self._committer.config
        active = [
            config.volume(ref).name
            for ref in volumes
            if any(plex.state is PlexState.ACTIVE for plex in config.plexes_of(ref))
        ]
        if active:
            raise EngineError(f"{listed(active)} could not be stopped in order. See the alerts, then try again.")

    def _captured(self, group: Ref, volumes: Iterable[Ref]) -> list[MapPages]:
        return captured(self._committer.stores[group], [self._committer.config.volume(ref) for ref in volumes])

    def _after(self, plan: Plan) -> Config:
        """The configuration as the plan makes it of today's, which has stopped volumes and their cells."""
        edit = Edit(self._committer.config)
        for ref in plan.drops:
            edit.drop(ref)
        for record in plan.puts:
            before = edit.config.get(record.ref)
            if isinstance(record, Plex) and isinstance(before, Plex):
                record = replace(before, name=record.name)
            if isinstance(record, Volume) and isinstance(before, Volume):
                record = carried(record, before)
            edit.put(record)
        return edit.config

    def _require(self, group: Ref, outcome: Outcome) -> None:
        """What could not be decided is taken back at once, or the group is frozen until it can be."""
        if outcome.durable:
            return
        with contextlib.suppress(EngineError):
            self._committer.commit(nothing, owed=(group,))
        raise GroupFrozen(outcome.reason)

    def _require_all(self, source: GroupStore, move: Move, disks: Sequence[Disk]) -> None:
        """A disk that has not taken that its group is joined could never tell so when it comes back: nobody would know
        that it belongs to the other group."""
        lost = [disk for disk in disks if not source.works(disk.ref)]
        if not lost:
            return
        source.move(done=(move,))
        with contextlib.suppress(EngineError):
            self._committer.commit(lambda edit: _fail_all(edit, [disk.ref for disk in lost]), owed=(source.group,))
        names = listed([disk.name for disk in lost])
        raise EngineError(f"{names} failed, and nothing has been joined. See to the disks, then try again.")

    def _tell_unfinished(self, move: Move, error: EngineError) -> None:
        self._committer.alert(
            Severity.ERROR,
            f"The disk group {move.name} is not complete yet.",
            cause=str(error),
            remedy="See to its disks and rescan: the split goes on where it has stopped.",
        )

    # --- after a crash ---
    def present(self) -> list[Lun]:
        """The LUNs that can be read."""
        return [lun for lun in self._luns if lun.device is not None and lun.present()]

    def finish_all(self) -> bool:
        """Go on with what is left to do in groups that are imported here. Whether LUNs have been written since this was
        asked last, so that another look at them is due."""
        for _, store in sorted(self._committer.stores.items()):
            self.finish(store)
        written, self._written = self._written, False
        return written

    def finish(self, store: GroupStore) -> None:
        """Go on with the splits and joins of a group that has just been loaded, or whose disks may have come back."""
        if not store.moves:
            return
        found = scan({lun.path: device_of(lun) for lun in self.present()})
        for move in store.moves:
            try:
                work = self._finish_split if move.kind is MoveKind.SPLIT else self._finish_join
                self._written = work(store, move, found) or self._written
            except EngineError as error:
                log.warning("The split or join with the disk group %s could not go on: %s", move.name, error)

    def _here(self, found: Found, move: Move, group: str) -> dict[str, Lun]:
        """The LUNs of a move's disks whose labels name a group, by disk id; none that has a twin."""
        here = {}
        for lun in self.present():
            label = found.labels.get(lun.path)
            if label is None or label.group != group or label.disk in found.duplicates:
                continue
            if label.disk in move.disk_ids:
                here[label.disk] = lun
        return here

    def _finish_split(self, store: GroupStore, move: Move, found: Found) -> bool:
        there, ours = self._here(found, move, move.other), self._here(found, move, store.group.id)
        made = found.groups.get(move.other)
        if made is not None and made.elected is not None:
            names = made.disk_names()
            relabelled = self._relabel(move, {disk: lun for disk, lun in ours.items() if disk in names})
            away = [disk for disk in move.disk_ids if disk in names and disk not in there and disk not in relabelled]
            return self._end(store, move, away) or bool(relabelled)
        if not move.whole or not (there or ours):
            return False
        luns = there | ours
        taken = lock_all(luns.values())
        try:
            devices = {self._ref(disk): device_of(lun) for disk, lun in luns.items()}
            lost = {ref.id for ref in GroupStore.settle(move, devices, self._importer)}
        finally:
            unlock_all(taken)
        self._end(store, move, [disk for disk in move.disk_ids if disk not in luns or disk in lost])
        return True

    def _relabel(self, move: Move, luns: Mapping[str, Lun]) -> list[str]:
        """Disks that were away when their new group was made: it gives them what they lack when it finds them."""
        taken = lock_all(luns.values())
        try:
            for disk, lun in luns.items():
                adopt(device_of(lun), disk, move.other).confirm()
        finally:
            unlock_all(taken)
        return list(luns)

    def _finish_join(self, store: GroupStore, move: Move, found: Found) -> bool:
        """What the former group has taken back by force is not touched."""
        former = found.groups.get(move.other)
        agreed = former is not None and any(one.token == move.token for one in former.moves)
        luns = self._here(found, move, move.other) if agreed else {}
        begun = self._here(found, move, store.group.id)
        luns |= {disk: lun for disk, lun in begun.items() if not store.has(self._ref(disk))}
        lock_all(luns.values())
        devices = {self._ref(disk): device_of(lun) for disk, lun in luns.items()}
        lost = {ref.id for ref in self._take_disks(store, move, devices)}
        away = [
            disk
            for disk in move.disk_ids
            if disk in lost or (store.names(ref := self._ref(disk)) and not store.has(ref))
        ]
        return self._end(store, move, away) or bool(luns)

    def _ref(self, disk: str) -> Ref:
        return Ref(Kind.DISK, disk, self._importer.host)


def _with_rows(move: Move, after: Config, group: Ref) -> Move:
    rows = {pack_ref(record.ref): encode_row(record) for record in records_of(after, group)}
    return replace(move, rows=rows, fields=fields_of(rows))


def copies_last(store: GroupStore) -> Callable[[Ref], tuple[bool, Ref]]:
    """The order in which disks are relabelled: as long as one is left, what is left tells that the group was joined."""
    return lambda ref: (ref in store.copies, ref)


def _belongs(config: Config, record: Record, volumes: Sequence[Ref]) -> bool:
    """Whether a record is one of these volumes, or a part of one."""
    if isinstance(record, Subdisk):
        record = config.plex(record.plex)
    return (record.volume if isinstance(record, Plex) else record.ref) in volumes


def _waiting(record: Record) -> Record:
    """A volume that nobody serves yet; the next commit finds it changed, and makes its tables."""
    if not isinstance(record, Volume):
        return record
    return replace(record, started=False, dirty_bytes=record.dirty_bytes + 1)


def _fail_all(edit: Edit, disks: Iterable[Ref]) -> None:
    for disk in disks:
        if disk in edit.config:
            fail_disk(edit, disk)
