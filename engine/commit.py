"""The one commit path: edit -> settle -> persist -> swap the live tables -> free what was dropped -> publish."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.assemble import assemble
from engine.config import Config, Edit
from engine.edits.detach import fail_disk
from engine.edits.unequal import name_mirrors
from engine.errors import EngineError, GroupFrozen
from engine.events import Batch, Remove, Upsert
from engine.freed import FreedSpace, given_and_freed, gone_disks
from engine.maps.dirty_maps import DirtyMaps
from engine.maps.map_change import MapChange
from engine.maps.unlogged import tell_unlogged
from engine.parity.log_renewal import LogRenewal, parity_volumes
from engine.records import (
    PERSISTED_KINDS,
    Alert,
    Disk,
    Group,
    GroupState,
    Kind,
    Record,
    Ref,
    Remedy,
    Severity,
    Task,
    TaskState,
    TaskType,
    Volume,
)
from engine.store.rows import persistent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.dataplane.raid5_log import Raid5Log
    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.events import Event, Listener
    from engine.luns import HostDevice, LunTable
    from engine.runtime import Runtime
    from engine.state_folder.host_state import HostState
    from engine.store.group_store import GroupStore

log = logging.getLogger(__name__)

MakeIo = Callable[["Volume", "Table", "Raid5Log | None"], "VolumeIo"]
Change = dict[Ref, Record | None]
_ALERTS_MAX = 500
_AGAIN = {
    TaskType.RESYNC: Remedy.RESYNC_VOLUME,
    TaskType.ADD_MIRROR: Remedy.ADD_MIRROR,
    TaskType.VERIFY: Remedy.VERIFY_VOLUME,
}
"""What begins a failed task anew on its volume, where there is such a thing."""


class _Logs(NamedTuple):
    """What a commit does to logs before its transaction is written, and takes over afterwards."""

    renewal: LogRenewal
    maps: MapChange


class Committer:
    """Keeper of the configuration and of everything that must move in step with it.

    `lock` is the control lock. `stores` holds the imported groups, `ios` the volumes of these. Nobody else changes
    the configuration, and nobody else tells listeners.
    """

    def __init__(self, state: HostState, luns: LunTable, make_io: MakeIo, runtime: Runtime) -> None:
        self.lock = runtime.rlock()
        self.runtime = runtime
        self._changed = runtime.condition(self.lock)
        self.config = Config()
        self.stores: dict[Ref, GroupStore] = {}
        self.ios: dict[Ref, VolumeIo] = {}
        self.sequence = 0
        self._state = state
        self._luns = luns
        self._make_io = make_io
        self._listeners: list[Listener] = []
        self.freed = FreedSpace(self._lun_device, self._given_back, runtime)
        self.maps = DirtyMaps(self._lun_device, self.stores, runtime)
        self.pending: dict[Ref, Callable[[Edit], None]] = {}  # by group, what the next commit to it has to do as well
        self.unequal: set[Ref] = set()  # volumes whose mirrors may differ without any record of it
        self.end_task: Callable[[Ref, str], None] = lambda task, why: None  # set by whoever runs tasks
        self.differed: Callable[[Ref], None] = lambda volume: None  # set by whoever restarts copies
        self.follow: Callable[[Config, Config, Iterable[Ref]], None] = lambda old, new, touched: None  # after a commit
        self.task_failed: Callable[[Task], None] = lambda task: None  # set by whoever can do something about it
        self.alerted: Callable[[Alert], None] = lambda alert: None  # set by whoever passes alerts on; returns at once

    # --- listeners ---
    def attach(self, listener: Listener) -> tuple[int, Config]:
        """From the returned configuration on, `listener` gets every change."""
        with self.lock:
            self._listeners.append(listener)
            return self.sequence, self.config

    def detach(self, listener: Listener) -> None:
        with self.lock:
            self._listeners = [known for known in self._listeners if known != listener]

    def publish(self, events: Iterable[Event]) -> None:
        """Tell all listeners, in order. Only commits and traffic samples come here."""
        told = tuple(events)
        with self.lock:
            if told:
                self.sequence += 1
                batch = Batch(self.sequence, told)
                for listener in list(self._listeners):
                    self._tell(listener, batch)

    def _tell(self, listener: Listener, batch: Batch) -> None:
        """One that raises is left out from now on: what is true is true without it."""
        try:
            listener(batch)
        except Exception:
            log.exception("A listener failed and hears no more")
            self.detach(listener)

    # --- the path ---
    def commit(self, change: Callable[[Edit], None], *, owed: Iterable[Ref] = ()) -> Config:
        """Make a change true: on disk, in the live tables, for the listeners.

        Raises GroupFrozen, with nothing changed in memory, when no majority of a group's copies can be written. The
        groups in `owed` also write what disks that came or went still lack, and so end a freeze.
        """
        with self.lock:
            edit = Edit(self.config)
            change(edit)
            late = self._late(edit, owed)
            for group in late:
                self.pending[group](edit)
            decided = self._decided(edit, owed)
            new = self._carry_through(edit, owed)
            for group in late:
                self.pending.pop(group, None)
            self.unequal.difference_update(decided)
            for volume in decided:
                self.differed(volume)
            return self.config if decided else new

    def _decided(self, edit: Edit, owed: Iterable[Ref]) -> list[Ref]:
        """What came to differ while a group was frozen is decided by the first commit that goes to its disks."""
        if not self.unequal:
            return []
        return name_mirrors(edit, {*owed, *self._persisted_changes(*edit.result())}, self.unequal)

    def _late(self, edit: Edit, owed: Iterable[Ref]) -> list[Ref]:
        """The groups for which something is pending that goes along with this edit."""
        if not self.pending:
            return []
        records = (record for ref in edit.touched if (record := edit.config.get(ref)) is not None)
        concerned = {*owed, *(edit.config.group_of(record) for record in records)}
        return [group for group in self.pending if group in concerned]

    def _carry_through(self, edit: Edit, owed: Iterable[Ref]) -> Config:
        with (
            LogRenewal(self.config, self.ios, self._device, self.runtime, self.unequal) as renewal,
            MapChange(self.maps, self.config, self.ios, self.stores, self.unequal) as maps,
        ):
            logs = _Logs(renewal, maps)
            ended = self._persist_all(edit, owed, logs)
            new, touched = edit.result()
            old, self.config = self.config, new
            given, freed = given_and_freed(old, new, touched)
            self.freed.withdraw(given)
            self.freed.withdraw_disks(gone_disks(old, new, touched))
            self._end_volumes(self._swap_tables(old, new, touched, logs), maps)
            self.freed.take((part for part in freed if self._is_ours(part.disk)), _done_now(old, new, touched))
            self.publish(
                Upsert(record) if (record := new.get(ref)) else Remove(ref) for ref in edit.touched_in(touched)
            )
            self._changed.notify_all()
            self._note_health(old, new, touched)
            self.follow(old, new, touched)
            self._log_ended(old, new, touched)
            for task, why in ended:
                self.end_task(task, why)
            for volume in renewal.fenced:
                self._tell_fenced(volume)
            tell_unlogged(self, maps.unlogged)
            return new

    def _tell_fenced(self, volume: Ref) -> None:
        record = self.config.get(volume)
        if isinstance(record, Volume):
            remedy = "See to its disks, then start the volume: its log puts right what was being written."
            text = f"{record.name} takes no more writes."
            self.alert(Severity.ERROR, text, about=volume, cause=record.fenced, remedy=remedy)

    def _note_health(self, old: Config, new: Config, touched: Iterable[Ref]) -> None:
        """A restart makes no failing disk a sound one."""
        for ref in sorted(ref for ref in touched if ref.kind is Kind.DISK):
            disk, before = new.get(ref), old.get(ref)
            if isinstance(disk, Disk) and (disk.failing or disk.errors or isinstance(before, Disk)):
                self._luns.note_health(ref, failing=disk.failing, errors=disk.errors)

    def show(self, change: Callable[[Edit], None]) -> None:
        """Take over what only this host knows and has written down already."""
        with self.lock:
            edit = Edit(self.config)
            change(edit)
            self._adopt_quietly(edit)

    def show_tables(self, volumes: Iterable[Ref]) -> None:
        """Under the lock, after `show`: clients meet these volumes as they are shown."""
        for ref in volumes:
            self.ios[ref].swap(self._table(self.config, self.config.volume(ref)))

    def wait_until(self, holds: Callable[[Config], bool], timeout_s: float | None = None) -> bool:
        """Wait for a change that makes something true; False when `timeout_s` were not enough."""
        with self.lock:
            return self._changed.wait_for(lambda: holds(self.config), timeout_s)

    def _log_ended(self, old: Config, new: Config, touched: Iterable[Ref]) -> None:
        """Tasks that have ended by a commit, or changed since, go into the task log; a failure is an alert, too."""
        pairs = ((old.get(ref), new.get(ref)) for ref in sorted(touched) if ref.kind is Kind.TASK)
        changed = [(before, task) for before, task in pairs if _is_ended(task) and task != before]
        if changed:
            self._state.log.add_tasks(task for _, task in changed if isinstance(task, Task))
        for before, task in changed:
            if isinstance(task, Task) and task.state is TaskState.FAILED and not _is_ended(before):
                self._alert_failed(task)
                self.task_failed(task)

    def _alert_failed(self, task: Task) -> None:
        volume = self.config.get(task.params.volume)
        differ = volume is not None and bool(task.params.ranges) and len(self.config.plexes_of(volume.ref)) > 1
        again = Remedy.REPAIR_MIRRORS if differ else _AGAIN.get(task.type)
        self.alert(
            Severity.ERROR,
            f"{task.name}: its mirrors differ." if differ else f"{task.name} failed.",
            about=task.object,
            cause=task.result,
            remedy="Decide which mirror is right, and repair the others."
            if differ
            else "Remove the cause, then start it again.",
            action=again if volume is not None else None,
            action_on=task.params.volume,
        )

    def alert(
        self,
        severity: Severity,
        text: str,
        *,
        about: Ref | None = None,
        cause: str = "",
        remedy: str = "",
        action: Remedy | None = None,
        action_on: Ref | None = None,
    ) -> None:
        """Record something that the operator should know; the alert log keeps it.

        `action` begins the remedy, on `action_on` where that is another object than the alert is about.
        """
        try:
            number = self._state.number()
        except EngineError as error:
            log.error("%s (An alert: %s)", error, text)
            return
        ref = Ref(Kind.ALERT, str(number), self._state.host_id)
        record = Alert(
            ref=ref,
            name=text,
            severity=severity,
            time=self.runtime.time(),
            object=about,
            cause=cause,
            remedy=remedy,
            action=action,
            action_on=action_on if action is not None and action_on != about else None,
        )
        self._state.log.add_alert(record)
        self.alerted(record)

        def change(edit: Edit) -> None:
            edit.put(record)
            alerts = sorted(edit.config.all(Kind.ALERT, Alert), key=lambda alert: int(alert.ref.id))
            for old in alerts[:-_ALERTS_MAX]:
                edit.drop(old.ref)

        self.commit(change)

    def adopt(self, group: Ref, store: GroupStore) -> None:
        """A group is imported from now on; the next commit puts its records in place."""
        self.stores[group] = store

    def release(self, group: Ref) -> None:
        """A group has been given up on disk; the next commit says so."""
        del self.stores[group]
        self.pending.pop(group, None)

    # --- freed space ---
    def _is_ours(self, disk: Ref) -> bool:
        return self.config.disk(disk).group in self.stores

    def _lun_device(self, disk: Ref) -> HostDevice | None:
        lun = self._luns.of(disk)
        return lun.device if lun is not None else None

    def _given_back(self, task: Ref, length: int) -> None:
        """The task that freed space tells how much of it the host has again."""

        def change(edit: Edit) -> None:
            record = edit.config.get(task)
            if isinstance(record, Task):
                edit.put(msgspec.structs.replace(record, bytes_done=length, bytes_total=length))

        self.commit(change)

    # --- persist ---
    def _persisted_changes(self, new: Config, touched: Iterable[Ref]) -> dict[Ref, Change]:
        changes: dict[Ref, Change] = {}
        for ref in sorted(touched):
            if ref.kind not in PERSISTED_KINDS:
                continue
            before, after = self.config.get(ref), new.get(ref)
            row_before, row_after = persistent(before), persistent(after)
            was_in = self.config.group_of(before) if before and row_before is not None else None
            is_in = new.group_of(after) if after and row_after is not None else None
            if is_in in self.stores and (was_in != is_in or row_before != row_after):
                changes.setdefault(is_in, {})[ref] = after
            if was_in in self.stores and was_in != is_in:
                changes.setdefault(was_in, {})[ref] = None
        return changes

    def _persist_all(self, edit: Edit, owed: Iterable[Ref], logs: _Logs) -> list[tuple[Ref, str]]:
        """Group by group; when one of them cannot take its part, none has. Answers tasks that end, and why."""
        self._renew_logs(edit, logs)
        changes = self._persisted_changes(*edit.result())
        before = {group: self.stores[group].transaction for group in sorted({*changes, *owed})}
        ended: list[tuple[Ref, str]] = []
        for group in before:
            try:
                ended += self._persist(edit, group, changes.get(group, {}), logs)
            except EngineError:
                for written in [ref for ref, number in before.items() if self.stores[ref].transaction != number]:
                    self._take_back(written)
                raise
        return ended + logs.renewal.ended

    def _renew_logs(self, edit: Edit, logs: _Logs) -> None:
        """What a log's entries stand for changes in the transaction that draws its new generation."""
        reached = -1
        while reached != len(edit.touched):  # a disk that fails under one log takes columns from other volumes
            reached = len(edit.touched)
            ours = (ref for ref in parity_volumes(edit) if edit.config.volume(ref).group in self.stores)
            logs.renewal.cover(edit, list(ours))
        logs.maps.cover(edit)

    def _persist(self, edit: Edit, group: Ref, changes: Change, logs: _Logs) -> list[tuple[Ref, str]]:
        """Make changes durable; disks that fail on the way lose their plexes in a transaction that follows."""
        store = self.stores[group]
        ended: list[tuple[Ref, str]] = []
        while True:
            outcome = store.commit(changes, store.transaction + 1, edit.config)
            if not outcome.durable:
                self._freeze(group, outcome.reason, taken=store.taken)
            record = edit.config.get(group)
            if isinstance(record, Group):
                edit.put(msgspec.structs.replace(record, transaction=outcome.transaction, frozen=""))
            failed = [disk for disk in outcome.failed if not edit.config.disk(disk).failing]
            if not failed:
                return ended
            for disk in failed:
                why = f"{edit.config.disk(disk).name} failed."
                ended += [(task, why) for task in fail_disk(edit, disk)]
            self._renew_logs(edit, logs)
            changes = self._as_it_came(edit, group, changes)

    def _as_it_came(self, edit: Edit, group: Ref, written: Change) -> Change:
        """What a group's disks lack after `written`, of which a failed disk may have taken something back again: that
        stands on them all the same."""
        new, touched = edit.result()
        left = (record for ref in written if (record := new.get(ref)) is not None and persistent(record) is not None)
        kept = {record.ref: record for record in left if new.group_of(record) == group}
        return {**dict.fromkeys(written), **kept, **self._persisted_changes(new, touched).get(group, {})}

    def _take_back(self, group: Ref) -> None:
        """Another group could not follow, or this one itself with what followed from a disk's failure: what it has on
        disk already is made what stands in memory."""
        store = self.stores[group]
        store.distrust()
        outcome = store.commit({}, store.transaction + 1, self.config)
        record = self.config.get(group)
        if isinstance(record, Group):
            edit = Edit(self.config)
            edit.put(msgspec.structs.replace(record, transaction=outcome.transaction, frozen=outcome.reason))
            self._adopt_quietly(edit)

    def _freeze(self, group: Ref, reason: str, *, taken: bool) -> None:
        """Say so and raise. What another host has taken is written by this one no more, data included."""
        record = self.config.get(group)
        if isinstance(record, Group):
            edit = Edit(self.config)
            edit.put(msgspec.structs.replace(record, frozen=reason))
            self._adopt_quietly(edit)
        if taken:
            for volume in self.config.volumes_of(group):
                if volume.ref in self.ios and not self.ios[volume.ref].fenced:
                    self.ios[volume.ref].fence()
        raise GroupFrozen(reason)

    def _adopt_quietly(self, edit: Edit) -> None:
        """Take over what only this host knows: nothing is written, no table changes."""
        self.config, touched = edit.result()
        self._changed.notify_all()
        self.publish(Upsert(self.config[ref]) for ref in sorted(touched))

    # --- swap ---
    def _end_volumes(self, ended: dict[Ref, VolumeIo], maps: MapChange) -> None:
        """Nobody is let into those that have ended, whose last requests may wait behind those of others."""
        maps.release(ended)
        for io in ended.values():
            self.maps.let_go(io)
            io.close()
        maps.release()

    def _swap_tables(self, old: Config, new: Config, touched: Iterable[Ref], logs: _Logs) -> dict[Ref, VolumeIo]:
        """Answers the volumes that are no more, which nobody has been kept from yet."""
        ended: dict[Ref, VolumeIo] = {}
        for ref in sorted(_volumes_reached(old, new, touched)):
            volume = new.get(ref)
            if not isinstance(volume, Volume) or volume.group not in self.stores:
                if ref in self.ios:
                    ended[ref] = self.ios.pop(ref)
                continue
            table = self._table(new, volume)
            if ref in self.ios:
                logs.maps.take_over(ref, new, self.ios[ref])
                logs.renewal.take_over(ref, volume, self.ios[ref], table)
            else:
                self.ios[ref] = self._make_io(volume, table, logs.renewal.log_of(ref))
                logs.maps.take_over(ref, new, self.ios[ref])
            logs.maps.settled(ref, new, self.ios[ref])
        return ended

    def _table(self, config: Config, volume: Volume) -> Table:
        return assemble(config, volume, lambda disk: self._device(config, disk))

    def _device(self, config: Config, disk: Ref) -> BlockDevice | None:
        lun = self._luns.of(disk)
        return lun.device if lun is not None and config.disk(disk).present else None


def _done_now(old: Config, new: Config, touched: Iterable[Ref]) -> Ref | None:
    """The task of a command that was done by this very commit."""
    done = (ref for ref in touched if ref.kind is Kind.TASK and ref not in old and _is_ended(new.get(ref)))
    return min(done, default=None)


def _is_ended(record: Record | None) -> bool:
    return isinstance(record, Task) and record.ended


def _volumes_reached(old: Config, new: Config, touched: Iterable[Ref]) -> set[Ref]:
    """Volumes whose tables may differ: themselves, their plexes, subdisks or disks are touched."""
    found: set[Ref] = set()
    for ref in touched:
        for config in (old, new):
            record = config.get(ref)
            if record is None:
                continue
            if ref.kind is Kind.VOLUME:
                found.add(ref)
            elif ref.kind is Kind.PLEX:
                found.add(record.volume)  # type: ignore[union-attr]
            elif ref.kind is Kind.SUBDISK:
                found.add(config.plex(record.plex).volume)  # type: ignore[union-attr]
            elif ref.kind is Kind.GROUP and _state(old, ref) != _state(new, ref):
                found.update(volume.ref for volume in config.volumes_of(ref))
            elif ref.kind is Kind.DISK and _reachability(old, ref) != _reachability(new, ref):
                found.update(config.plex(sd.plex).volume for sd in config.subdisks_on(ref))
    return found


def _reachability(config: Config, disk: Ref) -> tuple[object, ...]:
    record = config.get(disk)
    return (record.present, record.lun, record.size) if isinstance(record, Disk) else ()


def _state(config: Config, group: Ref) -> GroupState | None:
    record = config.get(group)
    return record.state if isinstance(record, Group) else None
