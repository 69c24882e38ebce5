"""What commands do to LUNs beside the configuration: labels, locks, stamps, scans, clients.

Three moments of a command: `prepare` before the control lock is taken (it may wait for clients), `before` under the
lock (its failure refuses the command; what it answers is part of the edit), `after` the commit.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import commands
from engine.disk_groups.disks import nothing
from engine.edits.snap_moves import new_links
from engine.errors import DeviceError
from engine.records import Settings, TaskType, Volume
from engine.rules import closure
from engine.serving import export_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.alerts.notify import Notifier
    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Edit
    from engine.disk_groups.groups import GroupKeeper
    from engine.export.server import NbdServer
    from engine.look.scanner import Scanner
    from engine.plans import Plan
    from engine.records import Ref
    from engine.snapshots.refresher import Refresher
    from engine.state_folder.host_state import HostState
    from engine.tasks.runner import TaskRunner
    from engine.trouble.catch_up import CatchUp


class DeviceWork:
    """The tables `command -> device work`, and the verbs that act on tasks."""

    def __init__(
        self,
        committer: Committer,
        groups: GroupKeeper,
        scanner: Scanner,
        runner: TaskRunner,
        nbd: NbdServer | None,
        state: HostState,
        notifier: Notifier,
        catch_up: CatchUp,
    ) -> None:
        self._committer = committer
        self._groups = groups
        self._scanner = scanner
        self._runner = runner
        self._nbd = nbd
        self._state = state
        self._notifier = notifier
        self._catch_up = catch_up
        self.refresher: Refresher | None = None  # set by whoever has one
        self._before: dict[type[Command], Callable[..., Callable[[Edit], None]]] = {
            commands.Refresh: scanner.refresh,
            commands.AddLuns: scanner.add_luns,
            commands.InitDisks: groups.disks.init,
            commands.CreateGroup: groups.create,
            commands.AddDisks: groups.disks.add,
            commands.ReactivateDisk: groups.disks.reactivate,
            commands.ReplaceDisk: groups.disks.replace,
            commands.ImportGroup: groups.take,
            commands.DeportGroup: groups.let_go,
            commands.StartVolumes: groups.volumes.believe,
            commands.StopVolumes: self._stop_volumes,
            commands.DestroyGroup: groups.destroyed,
            commands.SplitGroup: groups.moves.split,
            commands.JoinGroups: groups.moves.join,
            commands.ChangeSettings: self._change_settings,
            commands.TakeSnapshots: self._date,
            commands.SnapBack: self._date,
            commands.RefreshSnapshots: self._date,
        }
        self._failed: dict[type[Command], Callable[..., None]] = {
            commands.CreateGroup: groups.not_created,
            commands.AddDisks: groups.disks.not_added,
            commands.ReplaceDisk: groups.disks.not_replaced,
            commands.ImportGroup: groups.not_taken,
        }
        self._after: dict[type[Command], Callable[..., None]] = {
            commands.AddLuns: scanner.added,
            commands.Refresh: scanner.refreshed,
            commands.RemoveLuns: scanner.remove_luns,
            commands.RemoveDisks: groups.disks.release,
            commands.ReplaceDisk: groups.disks.replaced,
            commands.ImportGroup: self._arrived,
            commands.SplitGroup: self._split_done,
            commands.StartVolumes: groups.volumes.recover_volumes,
            commands.TakeSnapshots: self._snapped,
            commands.SnapBack: self._snapped_back,
        }

    def prepare(self, command: Command) -> None:
        """Disconnect the clients of what is forced to stop, send what is to be tested; waits until that is done."""
        if isinstance(command, commands.SendTestNotification):
            self._notifier.test(command)
        if isinstance(command, commands.TakeSnapshots):
            self._flush(choice.volume for choice in command.choices)
        if self._nbd is None or not getattr(command, "force", False):
            return
        for name in list(self._exports_of(command)):
            self._nbd.disconnect(name)

    def let_decide(self, command: Command, timeout_s: float) -> None:
        """Wait, without the control lock, until the control thread has decided about failed writes of a set."""
        volumes = [choice.volume for choice in command.choices] if isinstance(command, commands.TakeSnapshots) else []
        ios = [io for ref in volumes if (io := self._committer.ios.get(ref)) is not None]
        self._committer.wait_until(lambda config: not any(io.parked or io.in_doubt for io in ios), timeout_s)

    def before(self, command: Command, plan: Plan) -> Callable[[Edit], None]:
        """Device work that must succeed first; the answer belongs into the command's edit."""
        work = self._before.get(type(command))
        if work is None:
            return nothing
        self._scanner.outdate()
        return work(command, plan)

    def failed(self, command: Command, plan: Plan) -> None:
        """The commit that should have followed `before` could not be made."""
        work = self._failed.get(type(command))
        if work is not None:
            work(command, plan)

    def after(self, command: Command, plan: Plan) -> None:
        """Device work that follows the commit."""
        work = self._after.get(type(command))
        if work is not None:
            self._scanner.outdate()
            work(command, plan)

    def control_task(self, command: Command) -> Ref:
        """Pause, resume, abort or throttle a task; a Refresh by its copies."""
        task: Ref = command.task  # type: ignore[attr-defined]
        if self._committer.config.task(task).type is not TaskType.REFRESH or self.refresher is None:
            self._control(command, task)
            return task
        if isinstance(command, commands.AbortTask):
            self.refresher.abort(task)
            return task
        for copy in self.refresher.copies(task):
            self._control(command, copy)
        return task

    def _control(self, command: Command, task: Ref) -> None:
        match command:
            case commands.PauseTask():
                self._runner.pause(task)
            case commands.ResumeTask():
                self._runner.resume(task)
            case commands.AbortTask():
                self._runner.abort(task)
            case commands.ThrottleTask():
                self._runner.set_iodelay(task, command.iodelay_ms)

    def _arrived(self, command: commands.ImportGroup, plan: Plan) -> None:
        self._groups.arrived(command, plan)
        self._catch_up.imported(command.group)
        self._scanner.follow_moves()

    def _split_done(self, command: commands.SplitGroup, plan: Plan) -> None:
        made = self._groups.split_done(command, plan)
        if made is not None:
            self._catch_up.imported(made)

    # --- the host ---
    def _change_settings(self, command: commands.ChangeSettings, plan: Plan) -> Callable[[Edit], None]:
        """They are durable before they hold."""
        for record in plan.puts:
            if isinstance(record, Settings):
                self._state.change_settings(record)
        return nothing

    # --- volumes ---
    def _exports_of(self, command: Command) -> Iterable[str]:
        """Those whose clients a command disconnects by force."""
        config = self._committer.config
        volumes = [] if isinstance(command, commands.ChangeDrive) else map(config.volume, self.meant(command))
        return [export_name(config.group(volume.group), volume) for volume in volumes]

    def new_folders(self, command: Command) -> list[str]:
        """The folders that a command gives to volumes, those that they have already aside."""
        match command:
            case commands.ChangeDrive():
                volume = self._committer.config.get(command.volume)
                has = volume.drive_path if isinstance(volume, Volume) else ""
                found = [command.path if command.path != has else ""]
            case commands.CreateVolume():
                found = [command.path]
            case commands.TakeSnapshots():
                found = [choice.path for choice in command.choices]
            case _:
                found = []
        return [path for path in found if path]

    def meant(self, command: Command) -> tuple[Ref, ...]:
        """The volumes that a command ends, or whose bytes it exchanges: nobody may have them open."""
        config = self._committer.config
        match command:
            case commands.StopVolumes() | commands.DeleteVolumes():
                found = list(command.volumes)
            case commands.ShrinkVolume() | commands.ChangeDrive():
                found = [command.volume]
            case commands.SnapBack():
                ends = [volume for ref in command.snapshots if isinstance(volume := config.get(ref), Volume)]
                peers = [link.peer for volume in ends for link in volume.links]
                found = [*command.snapshots, *(peers if command.master is commands.Master.SNAPSHOT else ())]
            case commands.RefreshSnapshots():
                found = list(command.snapshots)
            case commands.DeportGroup():
                found = [volume.ref for volume in config.volumes_of(command.group)]
            case commands.JoinGroups():
                found = [volume.ref for volume in config.volumes_of(command.joined)]
            case commands.SplitGroup():
                found = list(closure(config, (ref for ref in command.objects if ref in config)).volumes)
            case _:
                found = []
        return tuple(ref for ref in dict.fromkeys(found) if ref in config)

    def _flush(self, volumes: Iterable[Ref]) -> None:
        """Little is left to do while writes are held, and afterwards."""
        for ref in volumes:
            io = self._committer.ios.get(ref)
            if io is not None:
                with contextlib.suppress(DeviceError):  # whoever decides about it refuses the snapshot, if need be
                    io.flush()

    def _date(self, command: Command, plan: Plan) -> Callable[[Edit], None]:
        """Links that begin now say when."""
        now = self._committer.runtime.time()

        def change(edit: Edit) -> None:
            for ref, generation in new_links(edit):
                volume = edit.config.volume(ref)
                dated = (replace(one, taken=now) if one.generation == generation else one for one in volume.links)
                edit.put(replace(volume, links=tuple(dated)))

        return change

    def _snapped(self, command: commands.TakeSnapshots, plan: Plan) -> None:
        held_s = self._committer.maps.held_s

        def change(edit: Edit) -> None:
            for record in plan.puts:
                made = edit.config.get(record.ref)
                if isinstance(made, Volume) and record.ref not in {choice.volume for choice in command.choices}:
                    edit.put(replace(made, held_s=held_s))

        self._committer.show(change)

    def _snapped_back(self, command: commands.SnapBack, plan: Plan) -> None:
        """A volume that took no writes takes them again: it has other bytes now."""
        for record in plan.puts:
            io = self._committer.ios.get(record.ref)
            if isinstance(record, Volume) and not record.fenced and io is not None and io.fenced:
                io.unfence()

    def _stop_volumes(self, command: commands.StopVolumes, plan: Plan) -> Callable[[Edit], None]:
        """Flush, and let the record say CLEAN; a write that comes in before the stop makes it ACTIVE again."""
        self._groups.volumes.make_clean(command.volumes)
        return nothing
