"""Disk groups on this host's LUNs: made, imported, given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.disk_groups.claims import Claims, device_of, disk_of, lock_all, unlock_all
from engine.disk_groups.disks import DiskKeeper, nothing
from engine.disk_groups.group_moves import GroupMoves
from engine.disk_groups.volumes import VolumeKeeper
from engine.edits.detach import fail_disk
from engine.edits.dirty_places import forget_changes, older_than_known, renew
from engine.edits.doubts import doubt_only_copy
from engine.edits.mistrust import mistrust
from engine.errors import EngineError
from engine.records import (
    Disk,
    Group,
    GroupState,
    Kind,
    Ref,
    Remedy,
    Severity,
    Task,
)
from engine.rules import listed
from engine.store.group_store import GroupStore
from engine.store.member import Importer
from engine.store.scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from engine import commands
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.luns import Lun, LunTable
    from engine.plans import Plan
    from engine.records import Record
    from engine.state_folder.host_state import HostState
    from engine.store.scan import Found, GroupFound
    from engine.tasks.runner import TaskRunner

__all__ = ["GroupKeeper", "forget_group", "nothing"]


class GroupKeeper:
    """Does to LUNs what commands on groups ask for. Every method is called under the control lock.

    `disks` and `volumes` do so for the disks and the volumes of its groups.
    """

    def __init__(self, committer: Committer, state: HostState, luns: LunTable, runner: TaskRunner) -> None:
        self._committer = committer
        self._state = state
        self._luns = luns
        self._runner = runner
        self._claims = Claims(committer, state, luns)
        self.disks = DiskKeeper(committer, luns, self._claims)
        self.volumes = VolumeKeeper(committer, state, luns, runner)
        runtime = committer.runtime
        self._importer = Importer(state.host_id, state.host_name, runtime.time, lambda: runtime.token(16))
        self.moves = GroupMoves(committer, luns, self._claims, self.volumes, self._importer)

    def create(self, command: commands.CreateGroup, plan: Plan) -> Callable[[Edit], None]:
        """Label the LUNs and write the group's first transaction."""
        luns = self._claims.take(command.disks, force=command.force)
        records = [record for record in plan.puts if isinstance(record, Group | Disk)]
        group = next(record.ref for record in records if isinstance(record, Group))
        try:
            store = GroupStore.create(records, {disk_of(lun): device_of(lun) for lun in luns}, self._importer)
        except ValueError as error:
            unlock_all(luns)
            raise EngineError(f"The group cannot be made: {error}.") from error
        except EngineError:
            unlock_all(luns)
            raise
        self._committer.adopt(group, store)
        return lambda edit: _fail_disks(edit, store)

    def not_created(self, command: commands.CreateGroup, plan: Plan) -> None:
        """The group is on its LUNs, and nobody's: the next scan finds it."""
        group = next(record.ref for record in plan.puts if isinstance(record, Group))
        if group in self._committer.stores:
            self._committer.release(group)
        unlock_all(filter(None, map(self._luns.of, command.disks)))

    def destroyed(self, command: commands.DestroyGroup, plan: Plan) -> Callable[[Edit], None]:
        """End the group on its LUNs before it leaves the configuration."""
        config = self._committer.config
        self._committer.stores[command.group].destroy()
        self._committer.release(command.group)
        self._claims.unlock_group(config, command.group)
        return nothing

    def let_go(self, command: commands.DeportGroup, plan: Plan) -> Callable[[Edit], None]:
        """Stop its volumes in order and give the group up on disk. No task runs: the plan has seen to that.

        EngineError when written data may not be stable: first it has to be on record which mirrors lack it.
        """
        config = self._committer.config
        self.volumes.stop_in_order(command.group)
        if lost := self.volumes.unstable(command.group):
            names, name = listed([volume.name for volume in lost]), config.group(command.group).name
            text = f"What was written to {names} could not be brought to stable storage."
            raise EngineError(f"{text} {name} stays here. See the alert, then deport again.")
        self._claims.keep_freed(config, command.group)
        self._committer.stores[command.group].deport()
        self._committer.release(command.group)
        self._claims.unlock_group(config, command.group)
        return nothing

    def take(self, command: commands.ImportGroup, plan: Plan) -> Callable[[Edit], None]:
        """Read the group again, past every cache, lock its LUNs and write this host's stamp."""
        found = _scanned(self.moves.present(), command.group.id)
        return self.import_found(found, force=command.force, clear=command.clear, new_name=command.new_name)

    def split_done(self, command: commands.SplitGroup, plan: Plan) -> Ref | None:
        """The new group, if it is to be imported here and could be."""
        made = next(record for record in plan.puts if isinstance(record, Group))
        self.moves.split_off([record.ref for record in plan.puts if isinstance(record, Disk)])
        if not command.imports:
            return None
        try:
            self._committer.commit(self.import_found(_scanned(self.moves.present(), made.ref.id)))
            self.volumes.recover(made.ref)
        except EngineError as error:
            self.give_back(made.ref)
            self._tell_not_imported(made.name, made.ref, error)
            return None
        return made.ref

    def not_taken(self, command: commands.ImportGroup, plan: Plan) -> None:
        """The import did not become true here; on the LUNs this host's stamp stands, so that it may try again."""
        self.give_back(command.group)

    def give_back(self, group: Ref) -> None:
        """Let go of a group's LUNs without a word on disk."""
        if group in self._committer.stores:
            self._claims.unlock_group(self._committer.config, group)
            self._committer.release(group)

    def lose(self, group: Ref) -> None:
        """Another host has it: tasks stop, clients hear of a shutdown, nothing is written any more.

        Not to be called under the control lock, as it waits for the tasks.
        """
        with self._committer.lock:
            config = self._committer.config
            for volume in config.volumes_of(group):
                if volume.ref in self._committer.ios:
                    self._committer.ios[volume.ref].fence()
        self._runner.suspend([task.ref for task in config.tasks_of(group)])

        def change(edit: Edit) -> None:
            for task in edit.config.tasks_of(group):
                edit.drop(task.ref)
            edit.put(msgspec.structs.replace(edit.config.group(group), state=GroupState.FOREIGN, frozen=""))

        with self._committer.lock:
            self.give_back(group)
            self._committer.commit(change)

    def import_found(
        self, found: GroupFound, *, force: bool = False, clear: bool = False, new_name: str = ""
    ) -> Callable[[Edit], None]:
        """Lock, read once more, stamp and load a group; answers the edit that puts its records in place."""
        members = [lun for lun in self._luns if any(disk.key == lun.path for disk in found.members.values())]
        lock_all(members)
        try:
            found = _scanned(self.moves.present() if found.moves else members, found.id)
            store = GroupStore.load(found, self._importer, force=force, clear=clear)
        except EngineError:
            unlock_all(members)
            raise
        self.moves.finish(store)
        self._committer.adopt(store.group, store)
        records, stale = store.records(), frozenset(found.stale)
        ends, forced = found.ends(), force or found.forced
        self._committer.maps.read(store.group, records, stale, ends)

        def change(edit: Edit) -> None:
            self._put_group(edit, store.group, records, new_name, stale, ends)
            for volume in edit.config.volumes_of(store.group):
                renew(edit, volume.ref, stale, ends)
                if forced:
                    forget_changes(edit, volume.ref)
            _fail_disks(edit, store)

        return change

    def import_ours(self, found: Found) -> None:
        """At a start: the groups whose stamps name this host. One that can't be imported keeps no other from it."""
        for group in sorted(found.groups):
            candidate, ref = found.groups[group], Ref(Kind.GROUP, group, self._state.host_id)
            mine = any(stamp.host == self._state.host_id for stamp in candidate.owners)
            if not mine or candidate.state(self._state.host_id) is not GroupState.IMPORTED:
                continue
            if candidate.joined or ref in self._committer.stores:
                continue
            try:
                self._committer.commit(self.import_found(candidate))
            except EngineError as error:
                self.give_back(ref)
                self._tell_not_imported(candidate.name or group[:8], ref, error)

    def _tell_not_imported(self, name: str, group: Ref, error: EngineError) -> None:
        self._committer.alert(
            Severity.ERROR,
            f"The disk group {name} was not imported.",
            about=group,
            cause=str(error),
            remedy="Bring its disks back and import it, or import it by force.",
            action=Remedy.IMPORT_GROUP,
        )

    def arrived(self, command: commands.ImportGroup, plan: Plan) -> None:
        """After an import: recover what was not stopped in order, go on with the tasks."""
        self.volumes.recover(command.group)

    def _put_group(
        self,
        edit: Edit,
        group: Ref,
        records: Iterable[Record],
        new_name: str,
        stale: frozenset[str],
        ends: Mapping[str, int],
    ) -> None:
        """Replace whatever was shown of a group by its records; what only this host knows of its disks stays."""
        for ref in _members_of(edit.config, group):
            edit.drop(ref)
        for record in records:
            match record:
                case Disk():
                    record = self._with_lun(record, group)
                case Group():
                    record = msgspec.structs.replace(
                        record, name=new_name or record.name, state=GroupState.IMPORTED, owner="", frozen=""
                    )
                case Task():
                    self._state.reserve(int(record.ref.id))
            edit.put(record)
        for volume in edit.config.volumes_of(group):
            mistrust(edit, volume, stale, max(ends.values(), default=0))
            self.volumes.columns.restart(edit, volume.ref, stale)
        for volume in edit.config.volumes_of(group):  # what has another copy has left these disks by now
            doubt_only_copy(edit, volume, older_than_known(edit.config, volume.ref, stale, ends))

    def _with_lun(self, disk: Disk, group: Ref) -> Disk:
        lun, store = self._luns.of(disk.ref), self._committer.stores[group]
        if lun is None or lun.device is None or not store.has(disk.ref):
            failing = lun is not None and lun.failing
            return msgspec.structs.replace(disk, present=False, lun="", failing=failing)
        known = self._committer.config.get(disk.ref)
        enclosure = known.enclosure if isinstance(known, Disk) else None
        return msgspec.structs.replace(
            disk,
            lun=lun.path,
            size=lun.device.size,
            block_size=lun.device.block_size,
            present=lun.present(),
            enclosure=enclosure,
            content="",
            failing=lun.failing,
            errors=lun.errors,
            least_stamp=store.begun if store.works(disk.ref) else disk.least_stamp,
        )


def _fail_disks(edit: Edit, store: GroupStore) -> None:
    """Disks that failed while the group was made or imported."""
    for disk in store.failed:
        fail_disk(edit, disk)


def _members_of(config: Config, group: Ref) -> list[Ref]:
    """Everything that is shown of a group, children first."""
    found: list[Ref] = []
    for volume in config.volumes_of(group):
        for plex in config.parts_of(volume.ref):
            found += [subdisk.ref for subdisk in config.subdisks_of(plex.ref)]
            found.append(plex.ref)
        found.append(volume.ref)
    found += [schedule.ref for schedule in config.schedules_of(group)]
    found += [task.ref for task in config.tasks_of(group)]
    return found


def forget_group(edit: Edit, group: Ref) -> None:
    """A group that is not this host's has gone out of sight."""
    for ref in _members_of(edit.config, group):
        edit.drop(ref)
    for disk in edit.config.disks_of(group):
        edit.put(msgspec.structs.replace(disk, group=None))
    edit.drop(group)


def _scanned(luns: Iterable[Lun], group: str) -> GroupFound:
    """The group as these LUNs tell it now. EngineError when none of them knows it."""
    found = scan({lun.path: device_of(lun) for lun in luns}).groups.get(group)
    if found is None:
        raise EngineError("None of the group's LUNs can be read any more. Rescan.")
    return found
