"""The one commit path: edit -> settle -> persist -> swap the live tables -> free what was dropped -> publish."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import msgspec

from engine.assemble import assemble
from engine.config import Config, Edit
from engine.errors import GroupFrozen
from engine.events import Batch, Remove, Upsert
from engine.records import (
    PERSISTED_KINDS,
    TASK_ENDED,
    Alert,
    Disk,
    Group,
    Kind,
    PlexState,
    Record,
    Ref,
    Severity,
    Task,
    TaskState,
    Volume,
)
from engine.states import COMPLETE
from engine.store.rows import persistent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.events import Event, Listener
    from engine.host_state import HostState
    from engine.luns import LunTable
    from engine.store.group_store import GroupStore

Change = dict[Ref, Record | None]
_ALERTS_MAX = 500


class Committer:
    """Keeper of the configuration and of everything that must move in step with it.

    `lock` is the control lock. `stores` holds the imported groups, `ios` the volumes of these. Nobody else changes
    the configuration, and nobody else tells listeners.
    """

    def __init__(self, state: HostState, luns: LunTable, make_io: Callable[[Volume, Table], VolumeIo]) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self.config = Config()
        self.stores: dict[Ref, GroupStore] = {}
        self.ios: dict[Ref, VolumeIo] = {}
        self.sequence = 0
        self._state = state
        self._luns = luns
        self._make_io = make_io
        self._listeners: list[Listener] = []

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
                for listener in self._listeners:
                    listener(batch)

    # --- the path ---
    def commit(self, change: Callable[[Edit], None]) -> Config:
        """Make a change true: on disk, in the live tables, for the listeners.

        Raises GroupFrozen, with nothing changed in memory, when no majority of a group's copies can be written.
        """
        with self.lock:
            edit = Edit(self.config)
            change(edit)
            new, touched = edit.result()
            for group, changes in sorted(self._persisted_changes(new, touched).items()):
                self._persist(edit, group, changes)
            new, touched = edit.result()
            old, self.config = self.config, new
            self._swap_tables(old, new, touched)
            self.publish(
                Upsert(record) if (record := new.get(ref)) else Remove(ref) for ref in edit.touched_in(touched)
            )
            self._changed.notify_all()
            self._log_ended(old, new, touched)
            return new

    def wait_until(self, holds: Callable[[Config], bool], timeout_s: float | None = None) -> bool:
        """Wait for a commit that makes something true; False when `timeout_s` were not enough."""
        with self.lock:
            return self._changed.wait_for(lambda: holds(self.config), timeout_s)

    def _log_ended(self, old: Config, new: Config, touched: Iterable[Ref]) -> None:
        """Tasks that have ended by a commit go into the task log; a failure is an alert, too."""
        for ref in sorted(touched):
            task, before = new.get(ref), old.get(ref)
            if not isinstance(task, Task) or task.state not in TASK_ENDED:
                continue
            if isinstance(before, Task) and before.state in TASK_ENDED:
                continue
            self._state.log_task(task)
            if task.state is TaskState.FAILED:
                remedy = "Remove the cause, then start it again."
                self.alert(Severity.ERROR, f"{task.name} failed.", about=task.object, cause=task.result, remedy=remedy)

    def alert(
        self, severity: Severity, text: str, *, about: Ref | None = None, cause: str = "", remedy: str = ""
    ) -> None:
        """Record something that the operator should know; the alert log keeps it."""
        number = self._state.number()
        ref = Ref(Kind.ALERT, str(number), self._state.host_id)
        record = Alert(
            ref=ref, name=text, severity=severity, time=time.time(), object=about, cause=cause, remedy=remedy
        )
        self._state.log_alert(record)

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

    def _persist(self, edit: Edit, group: Ref, changes: Change) -> None:
        """Make changes durable; disks that fail on the way lose their plexes in a transaction that follows."""
        while changes:
            store = self.stores[group]
            outcome = store.commit(changes, store.transaction + 1, edit.config)
            if not outcome.durable:
                self._freeze(group, outcome.reason)
            changes = {}
            for disk in outcome.failed:
                if not edit.config.disk(disk).failing:
                    changes.update(detach_disk(edit, disk))
            record = edit.config.get(group)
            if isinstance(record, Group):
                edit.put(msgspec.structs.replace(record, transaction=outcome.transaction, frozen=""))

    def _freeze(self, group: Ref, reason: str) -> None:
        edit = Edit(self.config)
        edit.put(msgspec.structs.replace(self.config.group(group), frozen=reason))
        self.config, touched = edit.result()
        self.publish(Upsert(self.config[ref]) for ref in sorted(touched))
        raise GroupFrozen(reason)

    # --- swap ---
    def _swap_tables(self, old: Config, new: Config, touched: Iterable[Ref]) -> None:
        for ref in sorted(_volumes_reached(old, new, touched)):
            volume = new.get(ref)
            if not isinstance(volume, Volume) or volume.group not in self.stores:
                io = self.ios.pop(ref, None)
                if io is not None:
                    io.close()
                continue
            table = assemble(new, volume, lambda disk: self._device(new, disk))
            if ref in self.ios:
                self.ios[ref].swap(table)
            else:
                self.ios[ref] = self._make_io(volume, table)

    def _device(self, config: Config, disk: Ref) -> BlockDevice | None:
        lun = self._luns.of(disk)
        return lun.device if lun is not None and config.disk(disk).present else None


def detach_disk(edit: Edit, disk: Ref) -> Change:
    """A disk failed: mark it, and take its plexes out where another complete plex stays. Answers what changed."""
    changed: Change = {}
    record = msgspec.structs.replace(edit.config.disk(disk), failing=True)
    edit.put(record)
    changed[disk] = record
    for subdisk in edit.config.subdisks_on(disk):
        plex = edit.config.plex(subdisk.plex)
        if plex.state not in COMPLETE or subdisk.replaces is not None:
            continue
        others = [other for other in edit.config.plexes_of(plex.volume) if other.ref != plex.ref]
        volume = edit.config.volume(plex.volume)
        if any(other.state in COMPLETE and other.complete for other in others) and volume.source != plex.ref:
            record_plex = msgspec.structs.replace(plex, state=PlexState.IOFAIL)
            edit.put(record_plex)
            changed[plex.ref] = record_plex
    return changed


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
            elif ref.kind is Kind.DISK and _reachability(old, ref) != _reachability(new, ref):
                found.update(config.plex(sd.plex).volume for sd in config.subdisks_on(ref))
    return found


def _reachability(config: Config, disk: Ref) -> tuple[object, ...]:
    record = config.get(disk)
    return (record.present, record.lun, record.size) if isinstance(record, Disk) else ()
