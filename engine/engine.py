"""The engine of one host: the five verbs, and the order in which everything under them begins and ends."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from engine import commands
from engine.alerts.notify import Notifier
from engine.api import Snapshot
from engine.commit import Committer
from engine.dataplane.flusher import Flusher
from engine.dataplane.pool import Pool
from engine.dataplane.pulse import Pulse
from engine.dataplane.volume_io import VolumeIo
from engine.device_work import DeviceWork
from engine.disk_groups.backup_keeper import BackupKeeper
from engine.disk_groups.groups import GroupKeeper
from engine.disk_groups.takeover import TakeoverWatch
from engine.drives.folders import folder_problem
from engine.drives.keeper import DriveKeeper
from engine.errors import CommandRejected, EngineError, Unsettled
from engine.export.server import NbdServer
from engine.filesystems import work as file_system_work
from engine.filesystems.contents import look_at_content
from engine.filesystems.programs import Programs
from engine.filesystems.tools import makeable, no_files, no_mounts, resizable
from engine.filesystems.work import FileSystemWork
from engine.look.scanner import Scanner
from engine.luns import LunTable
from engine.maps.dirty_sweep import DirtySweep
from engine.parity.log_renewal import parity_known_to
from engine.planners import plan as make_plan
from engine.planners.backups import restore as restore_plan
from engine.plans import Problem, refused
from engine.quiesce.quiescer import Quiescer
from engine.records import Host, Kind, PlexState, Ref, Remedy, Severity, Task, TaskState, TaskType, new_ref
from engine.runtime import ThreadRuntime
from engine.schedules.keeper import ScheduleKeeper
from engine.serving import VolumeExports
from engine.snapshots.changed import look_at_changes
from engine.snapshots.refresher import Refresher
from engine.task_host import EngineTaskHost
from engine.tasks.runner import TaskRunner
from engine.traffic import TrafficSampler
from engine.trouble.catch_up import CatchUp
from engine.trouble.faults import FaultKeeper
from engine.trouble.relocate import HotRelocation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.commands import Command
    from engine.config import Config, Edit
    from engine.dataplane.raid5_log import Raid5Log
    from engine.dataplane.table import Table
    from engine.events import Listener
    from engine.luns import HostDevice
    from engine.plans import Plan
    from engine.records import Volume
    from engine.runtime import Runtime
    from engine.state_folder.host_state import HostState

log = logging.getLogger(__name__)

VERSION = "0.1.0"
SWITCH_INTERVAL_S = 0.0001
NO_EXPORTS = "This engine exports no volumes: start it with --nbd."
_PLANS_REMEMBERED = 256
_TASKS_MAX = 1000
_DECIDED_S = 2.0
"""Faults that stand in the way of a snapshot are decided in this time, or it is refused."""
_HOUSEKEEPING = (commands.Refresh, commands.ClearTasks, commands.AcknowledgeAlerts, commands.SendTestNotification)
_CONTROL = (commands.PauseTask, commands.ResumeTask, commands.AbortTask, commands.ThrottleTask)


class Engine:
    """An engine in this process. `start` finds its groups and serves them; `close` stops everything in order."""

    def __init__(
        self,
        state: HostState,
        *,
        luns: Sequence[tuple[str, str]] = (),
        nbd: Path | None = None,
        runtime: Runtime | None = None,
        opener: Callable[[str], HostDevice] | None = None,
    ) -> None:
        """`opener` opens a LUN in place of `open_lun`: for layers that fail or delay."""
        self.state = state
        self.host = Ref(Kind.HOST, state.host_id, state.host_id)
        self.runtime = runtime or ThreadRuntime()
        self._flusher = Flusher(self.runtime)
        self._luns = LunTable(state, self._flusher.forget_device, opener)
        self._pool = Pool(self.runtime)
        self._pulse = Pulse()
        self.committer = Committer(state, self._luns, self._make_io, self.runtime)
        task_host = EngineTaskHost(self.committer, self._luns, self.runtime, self._pulse)
        self._runner = TaskRunner(task_host)
        self.committer.end_task = self._runner.fail
        self._faults = FaultKeeper(self.committer, self._luns, self._runner, self.runtime)
        task_host.mender = self._faults.mend
        self._programs = Programs(self.runtime)
        exports = VolumeExports(self.committer, state.host_id, self._programs.is_ours)
        self._nbd = NbdServer(nbd, exports, self.runtime) if nbd else None
        self._groups = GroupKeeper(self.committer, state, self._luns, self._runner)
        self.committer.task_failed = self._groups.volumes.copy_failed
        self._catch_up = CatchUp(self.committer, self.submit, self.runtime)
        self._scanner = Scanner(self.committer, state, self._luns, self._groups, self._catch_up, self.runtime)
        self._notifier = Notifier(self.committer, self.runtime)
        self.committer.alerted = self._notifier.tell
        self._work = DeviceWork(
            self.committer,
            self._groups,
            self._scanner,
            self._runner,
            self._nbd,
            state,
            self._notifier,
            self._catch_up,
        )
        self._quiescer = Quiescer(self.committer, state, self.runtime)
        self._refresher = Refresher(self.committer, self.submit, self._runner, self.runtime)
        self._work.refresher = self._refresher
        self._groups.volumes.refresh = self._refresher.begin
        self._groups.volumes.is_undecided = self._faults.is_undecided
        self._backups = BackupKeeper(self.committer, state, self.runtime)
        self._relocation: HotRelocation | None = None
        self._traffic: TrafficSampler | None = None
        self._takeovers: TakeoverWatch | None = None
        self._sweep: DirtySweep | None = None
        self._schedules: ScheduleKeeper | None = None
        self._first_luns = tuple(luns)
        self._closed = False
        self._shown: OrderedDict[tuple[str, int], tuple[object, ...]] = OrderedDict()
        self._nbd_path = str(nbd or "")
        self._drives = DriveKeeper(self.committer, self.runtime, self._nbd_path, self._programs)
        self._file_systems = FileSystemWork(
            self.committer, self.runtime, self._nbd_path, self._programs, self._drives.away
        )
        self._groups.volumes.take_up = self._file_systems.recover

    def start(self) -> None:
        """Open the LUNs, import what is ours, start the volumes, listen for NBD clients, take up tasks again."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self.committer.commit(self._put_host)
        self.committer.show(self._put_history)
        self.committer.show(self._backups.show)
        self._quiescer.start()
        self._scanner.discover(self._first_luns)
        if self._nbd is not None:
            self._nbd.start()
        self._sweep = DirtySweep(self.committer, self.runtime)
        self._traffic = TrafficSampler(self.host, self.committer, self._luns, self.runtime)
        self._takeovers = TakeoverWatch(self.committer, self._groups, self.runtime)
        for group in sorted(self.committer.stores):
            self._recover(group)
        self._drives.start()
        self._relocation = HotRelocation(self.committer, self.submit, self._catch_up, self.runtime)
        self._schedules = ScheduleKeeper(self.committer, self.submit, self.runtime)

    def _recover(self, group: Ref) -> None:
        """One group that can't go on keeps no other from it."""
        try:
            self._groups.volumes.recover(group)
            with self.committer.lock:
                self._catch_up.imported(group)
        except EngineError as error:
            name = self.committer.config.group(group).name
            self.committer.alert(
                Severity.ERROR,
                f"The disk group {name} could not be recovered.",
                about=group,
                cause=str(error),
                remedy="Bring its disks back and rescan.",
                action=Remedy.RESCAN,
            )

    # --- the five verbs ---
    def attach(self, listener: Listener) -> Snapshot:
        sequence, config = self.committer.attach(listener)
        return Snapshot(self.host, sequence, tuple(config))

    def detach(self, listener: Listener) -> None:
        self.committer.detach(listener)

    def plan(self, command: Command) -> Plan:
        self._quiescer.look(command)
        look_at_content(self.committer, command)
        look_at_changes(self.committer, command)
        self._drives.look(self._work.meant(command))
        plan = self._with_folders(command, self._plan(self.committer.config, command))
        self._remember_shown(command, plan)
        return plan

    def _with_folders(self, command: Command, plan: Plan) -> Plan:
        """What the host itself has against a folder, where nothing else is against the command."""
        if plan.problems:
            return plan
        problem = next(filter(None, map(folder_problem, self._work.new_folders(command))), None)
        return plan if problem is None else refused(plan.title, problem)

    def submit(self, command: Command, basis: int | None = None) -> Ref:
        self._quiescer.look(command)
        if not isinstance(command, commands.TakeSnapshots):
            return self._submit(command, basis)
        self._check(command, self._with_folders(command, self._plan(self.committer.config, command)), basis)
        still = self._quiescer.freeze(command)
        try:
            task = self._submit(command, basis)
        except BaseException:
            self._quiescer.let_go(still)
            raise
        self._quiescer.taken(still, task, lambda: self._start(task))
        return task

    def _submit(self, command: Command, basis: int | None) -> Ref:
        look_at_content(self.committer, command)
        look_at_changes(self.committer, command)
        meant = self._work.meant(command)
        self._drives.look(meant)
        self._check(command, self._with_folders(command, self._plan(self.committer.config, command)), basis)
        if isinstance(command, _CONTROL):
            self._note_wish(command, basis)
            return self._work.control_task(command)
        with self._drives.away(meant, force=bool(getattr(command, "force", False))):
            self._work.prepare(command)
            for _ in getattr(command, "choices", ()) or (None,):  # each volume of a set may just meet its first write
                with contextlib.suppress(Unsettled):
                    return self._submit_locked(command, basis)
                self._work.let_decide(command, _DECIDED_S)
            return self._submit_locked(command, basis)

    def _submit_locked(self, command: Command, basis: int | None) -> Ref:
        with self.committer.lock:
            plan = self._plan(self.committer.config, command)
            self._check(command, plan, basis)
            return self._carry_out(command, plan)

    def wait(self, task: Ref, timeout_s: float | None = None) -> bool:
        """Whether a task has ended, after waiting for it."""
        return self.committer.wait_until(lambda config: _has_ended(config, task), timeout_s)

    def close(self) -> None:
        """End clients, tasks, volumes and threads, in this order; what runs is taken up at the next start.

        What fails on the way keeps nothing of the rest from ending. Closing again does nothing.
        """
        if self._closed:
            return
        self._closed = True
        with contextlib.ExitStack() as last_first:
            for work in reversed(self._endings()):
                last_first.callback(work)

    def _endings(self) -> list[Callable[[], object]]:
        return [
            self._quiescer.end,
            self._refresher.close,
            self._quiescer.close,
            self._file_systems.close,
            self._drives.close,
            self._programs.refuse,
            *([self._nbd.stop] if self._nbd is not None else []),
            *([self._schedules.close] if self._schedules is not None else []),
            *([self._relocation.close] if self._relocation is not None else []),
            self._runner.close,
            *([self._traffic.close] if self._traffic is not None else []),
            *([self._takeovers.close] if self._takeovers is not None else []),
            *([self._sweep.close] if self._sweep is not None else []),
            self._scanner.close,
            self.committer.freed.close,
            self._stop_all,
            self._faults.close,
            self._notifier.close,
            self._close_volumes,
            self.committer.maps.close,
            self._flusher.close,
            self._pool.close,
            self._luns.close,
            self.state.close,
        ]

    def _stop_all(self) -> None:
        with self.committer.lock:
            for group in sorted(self.committer.stores):
                self._stop(group)

    def _close_volumes(self) -> None:
        for io in self.committer.ios.values():
            io.close()

    def _stop(self, group: Ref) -> None:
        """A group that cannot say CLEAN any more is left as it is: the next start makes its mirrors equal."""
        try:
            self._groups.volumes.stop_in_order(group)
        except EngineError as error:
            log.warning("The volumes of a group could not be marked clean: %s", error)

    # --- carrying out ---
    def _plan(self, config: Config, command: Command) -> Plan:
        if isinstance(command, commands.RestoreConfiguration) and command.group in config:
            saved = self._backups.read(command.backup)
            return restore_plan(config, command, self._ids, saved.records if saved is not None else ())
        return make_plan(config, command, self._ids)

    def _ids(self, kind: Kind) -> Ref:
        return new_ref(kind, self.state.host_id, self.runtime.token)

    def _carry_out(self, command: Command, plan: Plan) -> Ref:
        task = self._numbered(command, plan)
        tasks = [task, *(self._numbered_work(work) for work in plan.also)]
        self._backups.before(command, plan)
        more = self._work.before(command, plan)

        def change(edit: Edit) -> None:
            for ref in plan.drops:
                edit.drop(ref)
            for record in plan.puts:
                edit.put(record)
            more(edit)
            for record in tasks:
                edit.put(record)
            _forget_oldest(edit)

        try:
            self.committer.commit(change)
        except BaseException:
            self._work.failed(command, plan)
            raise
        self._work.after(command, plan)
        if task.type is TaskType.RESCAN:
            self._scanner.rescan(task.ref)
        for record in tasks:
            if record.type is not TaskType.RESCAN and record.state is not TaskState.COMPLETED:
                self._begin(record)
        return task.ref

    def _begin(self, task: Task) -> None:
        """A Snap Shot's own task waits until what was frozen for it has been thawed."""
        if task.type is TaskType.REFRESH:
            self._refresher.begin(task.ref)
        elif task.type in file_system_work.KINDS:
            self._file_systems.begin(task.ref)
        elif task.type is not TaskType.SNAP_SHOT:
            self._start(task.ref)

    def _start(self, task: Ref) -> None:
        try:
            self._runner.start(task)
        except RuntimeError as error:
            name = self.committer.config.task(task).name
            raise EngineError(
                f"“{name}” waits: no thread could be had for it ({error}). Abort it, or start the engine again."
            ) from error

    def _note_wish(self, command: Command, basis: int | None) -> None:
        """What the operator wants of a task is in its record before it acts on it, so that a crash forgets nothing."""
        with self.committer.lock:
            plan = self._plan(self.committer.config, command)
            self._check(command, plan, basis)

            def change(edit: Edit) -> None:
                for record in plan.puts:
                    edit.put(record)

            self.committer.commit(change)

    def _numbered(self, command: Command, plan: Plan) -> Task:
        """The task with its number: the plan's own, or one that is completed at once."""
        ref = Ref(Kind.TASK, str(self.state.number()), self.state.host_id)
        now = self.runtime.time()
        undone = f" (undoes task {command.undoes})" if command.undoes else ""
        if plan.task is not None:
            name = plan.task.name + undone
            return msgspec.structs.replace(
                plan.task, ref=ref, name=name, started_at=now, undo=plan.undo, undoes=command.undoes
            )
        return Task(
            ref=ref,
            name=plan.title + undone,
            type=TaskType.COMMAND,
            object=next((record.ref for record in plan.puts), plan.group),
            state=TaskState.COMPLETED,
            started_at=now,
            finished_at=now,
            undo=plan.undo,
            undoes=command.undoes,
            cleared=isinstance(command, _HOUSEKEEPING),
        )

    def _numbered_work(self, work: Task) -> Task:
        """A further task of a plan with a number of its own."""
        ref = Ref(Kind.TASK, str(self.state.number()), self.state.host_id)
        return msgspec.structs.replace(work, ref=ref, started_at=self.runtime.time())

    def _check(self, command: Command, plan: Plan, basis: int | None) -> None:
        if plan.problems:
            raise CommandRejected(plan.problems)
        if basis is None or basis == plan.basis:
            return
        if self._shown.get((commands.encode(command), basis)) != _effect(plan):
            text = "Meanwhile the disk group has changed, and this would now act otherwise than was shown."
            raise CommandRejected((Problem(text, "Look at the new plan and decide again."),), plan)

    def _remember_shown(self, command: Command, plan: Plan) -> None:
        with self.committer.lock:
            self._shown[commands.encode(command), plan.basis] = _effect(plan)
            while len(self._shown) > _PLANS_REMEMBERED:
                self._shown.popitem(last=False)

    # --- parts ---
    def _make_io(self, volume: Volume, table: Table, log: Raid5Log | None) -> VolumeIo:
        ref = volume.ref
        io = VolumeIo(
            volume.name,
            table,
            lambda fault: self._faults.tell(ref, fault),
            self._pool,
            self._flusher,
            self.runtime,
            self._pulse,
            raid5_log=log,
        )
        if io.raid5 is not None:
            io.raid5.parity_known_to = parity_known_to(volume)
        if any(plex.state is PlexState.ACTIVE for plex in self.committer.config.plexes_of(ref)):
            io.written.update(table.devices())  # what a process that died, or another volume, wrote may not be stable
        if volume.fenced:
            io.fence()
        return io

    def _put_history(self, edit: Edit) -> None:
        """Ended tasks of earlier runs stay in the list, and can be undone; alerts are for the log only.

        A task's disk group is left out: it is not its group's any more, which comes and goes without it.
        """
        tasks, alerts = self.state.log.tasks(), self.state.log.alerts()
        self.state.reserve(max((int(entry.ref.id) for entry in (*tasks, *alerts)), default=0))
        for task in tasks:
            edit.put(msgspec.structs.replace(task, group=None))
        for alert in alerts:
            edit.put(msgspec.structs.replace(alert, acknowledged=True))

    def _put_host(self, edit: Edit) -> None:
        edit.put(
            Host(
                ref=self.host,
                name="localhost",
                system=f"{platform.system()} {platform.release()}",
                version=VERSION,
                nbd_socket=self._nbd_path,
                process_id=os.getpid(),
                resizable=resizable() if self._nbd_path else (),
                formats=makeable() if self._nbd_path else (),
                no_drives=no_files() if self._nbd_path else NO_EXPORTS,
                no_mounts=no_mounts() if self._nbd_path else NO_EXPORTS,
            )
        )
        edit.put(self.state.settings)


def _has_ended(config: Config, task: Ref) -> bool:
    record = config.get(task)
    return not isinstance(record, Task) or record.ended


def _forget_oldest(edit: Edit) -> None:
    """The list of tasks does not grow for ever; the log on disk goes further back."""
    if edit.config.count(Kind.TASK) > _TASKS_MAX:
        ended = [task for task in edit.config.all(Kind.TASK, Task) if task.ended]
        for task in sorted(ended, key=lambda task: int(task.ref.id))[: _TASKS_MAX // 10]:
            edit.drop(task.ref)


def _effect(plan: Plan) -> tuple[object, ...]:
    """What the operator agreed to: where space comes from, what is copied, what is destroyed."""
    return (plan.allocates, plan.frees, plan.destroys, plan.copies_bytes, plan.zeroes_bytes)
