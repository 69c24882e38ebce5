"""Looks at every LUN of this host and brings the configuration in line with what is there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from engine.errors import EngineError, GroupFrozen, MetadataError
from engine.geometry import public_length
from engine.groups import nothing
from engine.records import (
    Alert,
    Disk,
    Enclosure,
    Group,
    GroupState,
    Kind,
    PlexState,
    Ref,
    Severity,
    Task,
    TaskState,
    new_ref,
)
from engine.states import COMPLETE
from engine.store.probe import content_of
from engine.store.scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engine import commands
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.groups import GroupKeeper
    from engine.host_state import HostState
    from engine.luns import Lun, LunTable
    from engine.plans import Plan
    from engine.runtime import Runtime, Thread
    from engine.store.scan import Found


class Scanner:
    """Finds LUNs, disks and groups. `discover` is the start's, `rescan` an operator's; foreign data is only read."""

    def __init__(
        self, committer: Committer, state: HostState, luns: LunTable, groups: GroupKeeper, runtime: Runtime
    ) -> None:
        self._committer = committer
        self._state = state
        self._luns = luns
        self._groups = groups
        self._runtime = runtime
        self._threads: list[Thread] = []

    def discover(self, first: Sequence[tuple[str, str]]) -> None:
        """At start: open every LUN, show what is there, import the groups that this host had."""
        for path, enclosure in first:
            try:
                self._luns.add(path, enclosure)
            except EngineError as error:
                self._committer.alert(Severity.WARNING, str(error), remedy="Correct the path, or remove the LUN.")
        self._look(import_ours=True)

    def rescan(self, task: Ref) -> None:
        """Begin the work of a Rescan task on a thread of its own."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(self._runtime.thread(f"task {task.id} rescan", lambda: self._rescan(task)))

    def close(self) -> None:
        for thread in self._threads:
            thread.join()

    # --- commands on LUNs ---
    def add_luns(self, command: commands.AddLuns, plan: Plan) -> Callable[[Edit], None]:
        """Open new LUNs; the rest is a look at them."""
        added = []
        try:
            for path in command.paths:
                added.append(self._luns.add(path, taken=self._disk_names()))
        except EngineError:
            for lun in added:
                self._luns.forget(lun)
            raise
        self._look(import_ours=False)
        return nothing

    def remove_luns(self, command: commands.RemoveLuns, plan: Plan) -> None:
        for ref in command.disks:
            lun = self._luns.of(ref)
            if lun is not None:
                self._luns.forget(lun)

    # --- looking ---
    def _rescan(self, task: Ref) -> None:
        result, state = "", TaskState.COMPLETED
        try:
            self._look(import_ours=False)
        except EngineError as error:
            result, state = str(error), TaskState.FAILED

        def ended(edit: Edit) -> None:
            record = edit.config.get(task)
            if isinstance(record, Task):
                edit.put(msgspec.structs.replace(record, state=state, result=result, finished_at=time.time()))

        self._committer.commit(ended)

    def _look(self, *, import_ours: bool) -> None:
        """Open, read without the control lock what can be slow, then change the configuration at one go."""
        self._luns.open_all()
        here = [lun for lun in self._luns if lun.present()]
        found = scan({lun.path: lun.device for lun in here if lun.device is not None})
        contents = {
            lun.path: self._content(lun)
            for lun in here
            if lun.path not in found.labels and lun.path not in found.damaged
        }
        contents |= {path: "a damaged label of this program" for path in found.damaged}
        with self._committer.lock:
            self._bind_all(found)
            self._committer.commit(lambda edit: self._show(edit, found, contents))
            if import_ours:
                self._import_ours(found)
            self._tell(found)

    def _content(self, lun: Lun) -> str:
        assert lun.device is not None
        try:
            return content_of(lun.device)
        except EngineError as error:
            return str(error)

    def _bind_all(self, found: Found) -> None:
        """Which disk each LUN is: its label says it, else the disk that it has been since it was first seen."""
        claimed = {disk: keys[0] for disk, keys in found.duplicates.items()}
        for group in found.groups.values():
            claimed |= {disk: member.key for disk, member in group.members.items()}
        for lun in self._luns:
            label = found.labels.get(lun.path)
            if label is not None and claimed.get(label.disk, lun.path) == lun.path:
                self._luns.bind(lun, Ref(Kind.DISK, label.disk, self._state.host_id), lun.name)
            elif lun.disk is None or label is not None:
                self._luns.bind(lun, new_ref(Kind.DISK, self._state.host_id), lun.name)

    def _show(self, edit: Edit, found: Found, contents: dict[str, str]) -> None:
        self._show_foreign_groups(edit, found)
        for lun in self._luns:
            self._show_lun(edit, lun, found, contents.get(lun.path, ""))
        self._mark_missing(edit)

    def _show_foreign_groups(self, edit: Edit, found: Found) -> None:
        """Groups that are not imported here are shown as their disks tell them."""
        for group in sorted(found.groups):
            ref = Ref(Kind.GROUP, group, self._state.host_id)
            if ref in self._committer.stores or not found.groups[group].members:
                continue
            for record in found.groups[group].records(self._state.host_id):
                if isinstance(record, Group) and record.state is GroupState.IMPORTED:
                    record = msgspec.structs.replace(record, state=GroupState.DEPORTED)
                if not isinstance(record, Task):
                    edit.put(record)
        for shown in edit.config.all(Kind.GROUP, Group):
            if shown.ref not in self._committer.stores and shown.ref.id not in found.groups:
                _forget_group(edit, shown.ref)

    def _show_lun(self, edit: Edit, lun: Lun, found: Found, content: str) -> None:
        assert lun.disk is not None
        known = edit.config.get(lun.disk)
        label = found.labels.get(lun.path)
        fresh = Disk(ref=lun.disk, name=self._name(edit.config, lun), size=0)
        disk = known if isinstance(known, Disk) else fresh
        grouped = edit.config.get(disk.group) is not None
        if not grouped:
            disk = msgspec.structs.replace(disk, group=None, content=content)
            ours = label is not None
            disk = msgspec.structs.replace(
                disk,
                public_offset=label.public_offset if ours and label else 0,
                public_length=label.public_length if ours and label else 0,
            )
        device = lun.device
        edit.put(
            msgspec.structs.replace(
                disk,
                lun=lun.path,
                enclosure=self._enclosure(edit, lun.enclosure),
                present=lun.present(),
                size=device.size if device is not None else disk.size,
                block_size=device.block_size if device is not None else disk.block_size,
                public_length=self._grown(disk, device.size if device is not None else 0),
            )
        )
        self._luns.rename(lun, disk.name)

    def _grown(self, disk: Disk, size: int) -> int:
        """A LUN of an imported group that has grown offers its new space at once."""
        store = self._committer.stores.get(disk.group) if disk.group is not None else None
        if store is None or not disk.public_length or public_length(size, disk.public_offset) <= disk.public_length:
            return disk.public_length
        return store.resize_disk(disk.ref)

    def _mark_missing(self, edit: Edit) -> None:
        """Disks whose LUN is not there; a plex that lost one is left out of writes while another is whole."""
        for disk in edit.config.all(Kind.DISK, Disk):
            lun = self._luns.of(disk.ref)
            there = lun is not None and lun.present()
            if there != disk.present:
                edit.put(msgspec.structs.replace(disk, present=there, lun=lun.path if lun is not None else ""))
            store = self._committer.stores.get(disk.group) if disk.group is not None else None
            if store is None:
                continue
            if not there:
                store.lose_disk(disk.ref)
                _leave_out(edit, disk.ref)
            elif lun is not None and lun.device is not None and not store.has(disk.ref):
                self._come_back(edit, disk, lun)

    def _come_back(self, edit: Edit, disk: Disk, lun: Lun) -> None:
        """A LUN that was away belongs to its group again; what its plexes missed is copied on demand."""
        assert disk.group is not None
        assert lun.device is not None
        assert lun.lock is not None
        lun.lock.take()
        try:
            self._committer.stores[disk.group].attach_disk(disk.ref, lun.device)
        except MetadataError:
            lun.lock.give_up()
            edit.put(msgspec.structs.replace(disk, present=False))

    def _import_ours(self, found: Found) -> None:
        for group in sorted(found.groups):
            candidate = found.groups[group]
            mine = any(stamp.host == self._state.host_id for stamp in candidate.owners)
            if not mine or candidate.state(self._state.host_id) is not GroupState.IMPORTED:
                continue
            try:
                self._committer.commit(self._groups.import_found(candidate))
            except (EngineError, GroupFrozen) as error:
                self._committer.alert(
                    Severity.ERROR,
                    f"The disk group {candidate.name or group[:8]} was not imported.",
                    about=Ref(Kind.GROUP, group, self._state.host_id),
                    cause=str(error),
                    remedy="Bring its disks back and import it, or import it by force.",
                )

    def _tell(self, found: Found) -> None:
        told = {alert.name for alert in self._committer.config.all(Kind.ALERT, Alert)}
        for sentence in found.problems:
            if sentence not in told:
                self._committer.alert(Severity.WARNING, sentence)

    # --- helpers ---
    def _enclosure(self, edit: Edit, name: str) -> Ref:
        known = edit.config.find(Kind.ENCLOSURE, name)
        if known is not None:
            return known.ref
        record = Enclosure(
            ref=new_ref(Kind.ENCLOSURE, self._state.host_id), name=name, vendor="", product="Image files"
        )
        edit.put(record)
        return record.ref

    def _name(self, config: Config, lun: Lun) -> str:
        taken = config.find(Kind.DISK, lun.name)
        if taken is None or taken.ref == lun.disk:
            return lun.name
        return next(name for n in range(1 << 20) if config.find(Kind.DISK, name := f"Harddisk{n}") is None)

    def _disk_names(self) -> Iterable[str]:
        return [disk.name for disk in self._committer.config.all(Kind.DISK, Disk)]


def _leave_out(edit: Edit, disk: Ref) -> None:
    for subdisk in edit.config.subdisks_on(disk):
        plex = edit.config.plex(subdisk.plex)
        others = [other for other in edit.config.plexes_of(plex.volume) if other.ref != plex.ref]
        spared = any(other.state in COMPLETE and _whole(edit.config, other.ref) for other in others)
        if plex.state in COMPLETE and spared:
            edit.put(msgspec.structs.replace(plex, state=PlexState.STALE))


def _whole(config: Config, plex: Ref) -> bool:
    return all(config.disk(sd.disk).present for sd in config.subdisks_of(plex) if sd.replaces is None)


def _forget_group(edit: Edit, group: Ref) -> None:
    for volume in edit.config.volumes_of(group):
        for plex in edit.config.plexes_of(volume.ref):
            for subdisk in edit.config.subdisks_of(plex.ref):
                edit.drop(subdisk.ref)
            edit.drop(plex.ref)
        edit.drop(volume.ref)
    for disk in edit.config.disks_of(group):
        edit.put(msgspec.structs.replace(disk, group=None))
    edit.drop(group)
