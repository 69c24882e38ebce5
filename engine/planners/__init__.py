"""What a command would do: pure functions from a configuration and a command to a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine import commands
from engine.commands import Command
from engine.config import Config
from engine.planners import (
    backups,
    columns,
    disks,
    drives,
    file_system,
    formats,
    groups,
    grow,
    logs,
    mirrors,
    moves,
    naming,
    plexes,
    prepare,
    refresh,
    repair,
    replace,
    schedules,
    scrub,
    settings,
    shrink,
    snap_back,
    snap_shot,
    split,
    subdisks,
    tasks,
    volumes,
)
from engine.planners.draft import Ids
from engine.planners.known import unknown_object
from engine.plans import Plan, refused

PLANNERS: Mapping[type[Command], Callable[..., Plan]] = {
    commands.Rescan: disks.rescan,
    commands.Refresh: disks.refresh,
    commands.AddLuns: disks.add_luns,
    commands.RemoveLuns: disks.remove_luns,
    commands.InitDisks: disks.init,
    commands.SetDiskUsage: disks.set_usage,
    commands.Rename: naming.rename,
    commands.CreateGroup: groups.create,
    commands.AddDisks: groups.add_disks,
    commands.RemoveDisks: groups.remove_disks,
    commands.DestroyGroup: groups.destroy,
    commands.DeportGroup: groups.deport,
    commands.ImportGroup: groups.import_,
    commands.RestoreConfiguration: backups.restore,
    commands.SplitGroup: split.split,
    commands.JoinGroups: split.join,
    commands.CreateVolume: volumes.create,
    commands.DeleteVolumes: volumes.delete,
    commands.GrowVolume: grow.grow,
    commands.StartVolumes: volumes.start,
    commands.StopVolumes: volumes.stop,
    commands.ResyncVolume: plexes.resync,
    commands.VerifyVolume: plexes.verify,
    commands.ScrubVolume: scrub.scrub,
    commands.ShrinkVolume: shrink.shrink,
    commands.AddColumn: columns.add,
    commands.ResizeFileSystem: file_system.resize,
    commands.SetVolumeUsage: mirrors.set_usage,
    commands.AddLog: logs.add,
    commands.RemoveLog: logs.remove,
    commands.AddMirrors: mirrors.add,
    commands.RemoveMirrors: mirrors.remove,
    commands.BreakMirror: mirrors.break_off,
    commands.DetachPlex: plexes.detach,
    commands.AttachPlex: plexes.attach,
    commands.MoveSubdisks: moves.move,
    commands.EvacuateDisk: moves.evacuate,
    commands.SplitSubdisk: subdisks.split,
    commands.JoinSubdisks: subdisks.join,
    commands.PauseTask: tasks.pause,
    commands.ResumeTask: tasks.resume,
    commands.AbortTask: tasks.abort,
    commands.ThrottleTask: tasks.throttle,
    commands.ClearTasks: tasks.clear,
    commands.AcknowledgeAlerts: tasks.acknowledge,
    commands.ReactivateDisk: repair.reactivate,
    commands.ReplaceDisk: replace.replace_disk,
    commands.RepairVolumes: repair.repair,
    commands.UndoRelocation: replace.undo,
    commands.PrepareSnapshot: prepare.prepare,
    commands.AbortSnapshot: prepare.abort,
    commands.TakeSnapshots: snap_shot.take,
    commands.SnapBack: snap_back.back,
    commands.ClearSnapshots: snap_back.clear,
    commands.RefreshSnapshots: refresh.refresh,
    commands.AddSchedule: schedules.add,
    commands.ChangeSchedule: schedules.change,
    commands.RemoveSchedules: schedules.remove,
    commands.RunSchedule: schedules.run,
    commands.ChangeDrive: drives.change,
    commands.FormatVolume: formats.format_volume,
    commands.ChangeSettings: settings.change,
    commands.SendTestNotification: settings.send_test,
}


def plan(config: Config, command: Command, ids: Ids) -> Plan:
    """What `command` would do to `config`. Impossible ones are answered with the plan's problems, never raised.

    `ids` makes the Refs of new records; the same Refs make the same plan.
    """
    problem = unknown_object(config, command)
    if problem is not None:
        return refused(title_of(command), problem)
    return PLANNERS[type(command)](config, command, ids)


def title_of(command: Command) -> str:
    """A command's name in words, for when its objects are not there: `Create Volume`."""
    name = type(command).__name__
    return "".join(f" {char}" if char.isupper() and index else char for index, char in enumerate(name))
