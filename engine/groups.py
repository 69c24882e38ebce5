"""Disk groups on this host's LUNs: made, imported, given up; disks that join and leave; volumes that come up."""

from __future__ import annotations

import contextlib
import functools
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from engine.detach import fail_disk
from engine.errors import CommandRejected, EngineError, MetadataError
from engine.mistrust import lost_target, mistrust
from engine.plans import Problem
from engine.records import (
    TASK_ENDED,
    Disk,
    Group,
    GroupState,
    Kind,
    PlexState,
    Ref,
    Severity,
    Task,
    TaskParams,
    TaskState,
    TaskType,
    Volume,
)
from engine.states import is_resynched
from engine.store.group_store import GroupStore
from engine.store.label import read_label
from engine.store.member import Importer, make_disk
from engine.store.probe import content_of
from engine.store.scan import scan
from engine.store.usage import user_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine import commands
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.host_state import HostState
    from engine.luns import HostDevice, Lun, LunTable
    from engine.plans import Plan
    from engine.records import Record
    from engine.store.scan import GroupFound
    from engine.tasks.runner import TaskRunner


class GroupKeeper:
    """Does to LUNs what commands on groups and disks ask for. Every method is called under the control lock."""

    def __init__(self, committer: Committer, state: HostState, luns: LunTable, runner: TaskRunner) -> None:
        self._committer = committer
        self._state = state
        self._luns = luns
        self._runner = runner
        self._importer = Importer(state.host_id, state.host_name, time.time, lambda: secrets.token_bytes(16))

    # --- disks ---
    def init_disks(self, command: commands.InitDisks, plan: Plan) -> Callable[[Edit], None]:
        """Label LUNs that stay without a group."""
        luns = self._claimed(command.disks, force=command.force)
        try:
            for lun in luns:
                make_disk(_device(lun), _disk(lun).id, time.time())
        finally:
            _unlock_all(luns)
        return nothing

    def add_disks(self, command: commands.AddDisks, plan: Plan) -> Callable[[Edit], None]:
        """Label LUNs for a group; the commit makes them members."""
        store = self._committer.stores[command.group]
        luns = self._claimed(command.disks, force=command.force)
        try:
            for lun in luns:
                store.add_disk(_disk(lun), _device(lun))
        except (EngineError, ValueError):
            self.not_added(command, plan)
            raise
        return nothing

    def not_added(self, command: commands.AddDisks, plan: Plan) -> None:
        """The disks do not join after all."""
        for ref in command.disks:
            lun = self._luns.of(ref)
            if lun is not None:
                self._committer.stores[command.group].lose_disk(ref)
                _unlock(lun)

    def release_disks(self, command: commands.RemoveDisks, plan: Plan) -> None:
        """After the commit that took them out: their labels name no group any more."""
        assert plan.group is not None
        store = self._committer.stores[plan.group]
        for ref in command.disks:
            lun = self._luns.of(ref)
            try:
                store.remove_disk(ref)
            except EngineError as error:
                self._committer.alert(
                    Severity.WARNING,
                    f"{lun.name if lun else 'A disk'} still carries the label of the disk group that it has left.",
                    about=ref,
                    cause=str(error),
                    remedy="Initialize the disk before it is used again.",
                )
            if lun is not None:
                _unlock(lun)

    # --- groups ---
    def create(self, command: commands.CreateGroup, plan: Plan) -> Callable[[Edit], None]:
        """Label the LUNs and write the group's first transaction."""
        luns = self._claimed(command.disks, force=command.force)
        records = [record for record in plan.puts if isinstance(record, Group | Disk)]
        group = next(record.ref for record in records if isinstance(record, Group))
        try:
            store = GroupStore.create(records, {_disk(lun): _device(lun) for lun in luns}, self._importer)
        except ValueError as error:
            _unlock_all(luns)
            raise EngineError(f"The group cannot be made: {error}.") from error
        except EngineError:
            _unlock_all(luns)
            raise
        self._committer.adopt(group, store)
        return lambda edit: _fail_disks(edit, store)

    def not_created(self, command: commands.CreateGroup, plan: Plan) -> None:
        """The group is on its LUNs, and nobody's: the next scan finds it."""
        group = next(record.ref for record in plan.puts if isinstance(record, Group))
        if group in self._committer.stores:
            self._committer.release(group)
        _unlock_all(filter(None, map(self._luns.of, command.disks)))

    def destroyed(self, command: commands.DestroyGroup, plan: Plan) -> Callable[[Edit], None]:
        """End the group on its LUNs before it leaves the configuration."""
        config = self._committer.config
        self._committer.stores[command.group].destroy()
        self._committer.release(command.group)
        self._unlock_group(config, command.group)
        return nothing

    def let_go(self, command: commands.DeportGroup, plan: Plan) -> Callable[[Edit], None]:
        """Stop its volumes in order and give the group up on disk. No task runs: the plan has seen to that."""
        config = self._committer.config
        self.stop_in_order(command.group)
        self._committer.stores[command.group].deport()
        self._committer.release(command.group)
        self._unlock_group(config, command.group)
        return nothing

    def take(self, command: commands.ImportGroup, plan: Plan) -> Callable[[Edit], None]:
        """Read the group again, past every cache, lock its LUNs and write this host's stamp."""
        luns = [lun for lun in self._luns if lun.device is not None and lun.present()]
        found = _scanned(luns, command.group.id)
        return self.import_found(found, force=command.force, clear=command.clear, new_name=command.new_name)

    def not_taken(self, command: commands.ImportGroup, plan: Plan) -> None:
        """The import did not become true here; on the LUNs this host's stamp stands, so that it may try again."""
        self.give_back(command.group)

    def give_back(self, group: Ref) -> None:
        """Let go of a group's LUNs without a word on disk."""
        if group in self._committer.stores:
            self._unlock_group(self._committer.config, group)
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
        _lock_all(members)
        try:
            found = _scanned(members, found.id)
            store = GroupStore.load(found, self._importer, force=force, clear=clear)
        except EngineError:
            _unlock_all(members)
            raise
        self._committer.adopt(store.group, store)
        records, stale = store.records(), frozenset(found.stale)

        def change(edit: Edit) -> None:
            self._put_group(edit, store.group, records, new_name, stale)
            _fail_disks(edit, store)

        return change

    def arrived(self, command: commands.ImportGroup, plan: Plan) -> None:
        """After an import: recover what was not stopped in order, go on with the tasks."""
        self.recover(command.group)

    # --- volumes ---
    def stop_in_order(self, group: Ref) -> None:
        """Flush every volume of a group and make its record say CLEAN."""
        self.make_clean([volume.ref for volume in self._committer.config.volumes_of(group)])

    def make_clean(self, volumes: Iterable[Ref]) -> None:
        """Flush volumes and make their records say CLEAN, in one step: nobody gets in before nothing is writable.

        A volume of which anything is in doubt keeps saying ACTIVE.
        """
        with contextlib.ExitStack() as held:
            clean = [ref for ref in volumes if self._holds_still(ref, held)]
            self._committer.commit(lambda edit: mark_clean(edit, clean))

    def _holds_still(self, volume: Ref, held: contextlib.ExitStack) -> bool:
        io = self._committer.ios.get(volume)
        if io is None or io.fenced or volume in self._committer.unequal:
            return False
        held.enter_context(io.hold())
        return io.settle_writes()

    def recover(self, group: Ref) -> None:
        """Take up the tasks of a group, and make mirrors equal that were not stopped in order."""
        config = self._committer.config
        for volume in config.volumes_of(group):
            if volume.source is not None and not is_resynched(config, volume):
                self._start_resync(volume)
        for task in self._committer.config.tasks_of(group):
            lost = lost_target(self._committer.config, task)
            if task.state in TASK_ENDED:
                continue
            if lost:
                self._runner.fail(task.ref, f"{lost} is missing.")
            elif task.paused:
                self._committer.commit(functools.partial(_rest, task.ref))
            else:
                self._runner.start(task.ref)

    def believe(self, command: commands.StartVolumes, plan: Plan) -> Callable[[Edit], None]:
        """The operator starts volumes by hand: those that were fenced take writes again."""

        def change(edit: Edit) -> None:
            for ref in command.volumes:
                edit.put(msgspec.structs.replace(edit.config.volume(ref), fenced=""))

        return change

    def recover_volumes(self, command: commands.StartVolumes, plan: Plan) -> None:
        """After a start by hand: as after an import."""
        for ref in command.volumes:
            io = self._committer.ios.get(ref)
            if io is not None and io.fenced:
                io.unfence()
        for group in {self._committer.config.volume(ref).group for ref in command.volumes}:
            self.recover(group)

    def _start_resync(self, volume: Volume) -> None:
        """A task that makes every other complete plex equal to the named source."""
        config = self._committer.config
        others = tuple(plex.ref for plex in config.plexes_of(volume.ref) if plex.complete and plex.ref != volume.source)
        if not others:
            return
        task = Task(
            ref=Ref(Kind.TASK, str(self._state.number()), self._state.host_id),
            name=f"Resynchronize {volume.name}",
            type=TaskType.RESYNC,
            object=volume.ref,
            group=volume.group,
            params=TaskParams(volume=volume.ref, plexes=others),
            bytes_total=volume.size * len(others),
            started_at=time.time(),
        )
        self._committer.commit(lambda edit: edit.put(task))
        self._committer.alert(
            Severity.WARNING,
            f"{volume.name} was not stopped in order.",
            about=volume.ref,
            cause="The engine or the host went down while it was written.",
            remedy="Nothing to do: its mirrors are made equal from one of them while it serves.",
        )

    def _put_group(
        self, edit: Edit, group: Ref, records: Iterable[Record], new_name: str, stale: frozenset[str]
    ) -> None:
        """Replace whatever was shown of a group by its records; what only this host knows of its disks stays."""
        for ref in _members_of(edit.config, group):
            edit.drop(ref)
        for record in records:
            match record:
                case Disk():
                    record = self._with_lun(record)
                case Group():
                    record = msgspec.structs.replace(
                        record, name=new_name or record.name, state=GroupState.IMPORTED, owner="", frozen=""
                    )
                case Task():
                    self._state.reserve(int(record.ref.id))
            edit.put(record)
        for volume in edit.config.volumes_of(group):
            mistrust(edit, volume, stale)

    def _with_lun(self, disk: Disk) -> Disk:
        lun = self._luns.of(disk.ref)
        if lun is None or lun.device is None:
            return msgspec.structs.replace(disk, present=False, lun="")
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
        )

    # --- LUNs ---
    def _claimed(self, disks: Iterable[Ref], *, force: bool) -> list[Lun]:
        """The LUNs of disks, locked, after another look at what stands on them."""
        luns = []
        for ref in disks:
            lun = self._luns.of(ref)
            if lun is None or lun.device is None or not lun.present():
                name = self._committer.config.disk(ref).name
                raise EngineError(f"The LUN of {name} is missing. Bring it back and rescan.")
            _refuse_used(lun)
            _refuse_content(lun, content_of(_device(lun)), force)
            luns.append(lun)
        taken = _lock_all(luns)
        try:
            for lun in luns:
                _refuse_content(lun, self._member_of(lun), force)
        except EngineError:
            _unlock_all(taken)
            raise
        return luns

    def _member_of(self, lun: Lun) -> str:
        """What the label says now: since the last look somebody may have made a group there."""
        try:
            label = read_label(_device(lun))
        except MetadataError:
            return "a damaged label of this program"
        if label is None or not label.group or label.group == lun.leftover_of:
            return ""
        here = Ref(Kind.GROUP, label.group, self._state.host_id) in self._committer.stores
        return "" if here else "a disk of a disk group that was found since the last rescan"

    def _unlock_group(self, config: Config, group: Ref) -> None:
        for disk in config.disks_of(group):
            lun = self._luns.of(disk.ref)
            if lun is not None:
                _unlock(lun)


def nothing(edit: Edit) -> None:
    """No more than the plan's own edit."""


def _fail_disks(edit: Edit, store: GroupStore) -> None:
    """Disks that failed while the group was made or imported."""
    for disk in store.failed:
        fail_disk(edit, disk)


def mark_clean(edit: Edit, volumes: Iterable[Ref]) -> None:
    """Their complete plexes are equal and stable: the next start needs no resync."""
    for volume in volumes:
        for plex in edit.config.plexes_of(volume):
            if plex.state is PlexState.ACTIVE:
                edit.put(msgspec.structs.replace(plex, state=PlexState.CLEAN))


def _members_of(config: Config, group: Ref) -> list[Ref]:
    """Everything that is shown of a group, children first."""
    found: list[Ref] = []
    for volume in config.volumes_of(group):
        for plex in config.plexes_of(volume.ref):
            found += [subdisk.ref for subdisk in config.subdisks_of(plex.ref)]
            found.append(plex.ref)
        found.append(volume.ref)
    found += [task.ref for task in config.tasks_of(group)]
    return found


def _scanned(luns: Iterable[Lun], group: str) -> GroupFound:
    """The group as these LUNs tell it now. EngineError when none of them knows it."""
    found = scan({lun.path: _device(lun) for lun in luns}).groups.get(group)
    if found is None:
        raise EngineError("None of the group's LUNs can be read any more. Rescan.")
    return found


def _refuse_used(lun: Lun) -> None:
    """What is mounted or held by somebody is never overwritten: force is for what only lies there."""
    try:
        user = user_of(lun.path, _device(lun).fd)
    except OSError as error:
        raise EngineError(f"Who uses {lun.name} can't be found out: {error.strerror or error}.") from error
    if user:
        problem = Problem(f"{lun.name} holds {user}.", "Release it there first; force does not take it.", lun.disk)
        raise CommandRejected((problem,))


def _rest(ref: Ref, edit: Edit) -> None:
    """A task that was paused when the engine ended is shown so, with what it had done."""
    task = edit.config.task(ref)
    edit.put(msgspec.structs.replace(task, state=TaskState.PAUSED, bytes_done=task.checkpoint))


def _refuse_content(lun: Lun, content: str, force: bool) -> None:
    if content and not force:
        problem = Problem(f"{lun.name} holds {content}.", "Choose another disk, or overwrite it by force.", lun.disk)
        raise CommandRejected((problem,))


def _lock_all(luns: Iterable[Lun]) -> list[Lun]:
    """Lock LUNs; when one is held elsewhere, none stays locked that was not before. Answers the newly locked."""
    taken: list[Lun] = []
    for lun in luns:
        if lun.lock is None or lun.lock.held:
            continue
        try:
            lun.lock.take()
        except EngineError:
            _unlock_all(taken)
            raise
        taken.append(lun)
    return taken


def _unlock_all(luns: Iterable[Lun]) -> None:
    for lun in luns:
        _unlock(lun)


def _unlock(lun: Lun) -> None:
    if lun.lock is not None:
        lun.lock.give_up()


def _device(lun: Lun) -> HostDevice:
    assert lun.device is not None
    return lun.device


def _disk(lun: Lun) -> Ref:
    assert lun.disk is not None
    return lun.disk
