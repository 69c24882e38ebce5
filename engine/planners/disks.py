"""Disks and LUNs by themselves: initialize, usage, add and remove LUNs, rescan."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine import rules
from engine.commands import AddLuns, InitDisks, Refresh, RemoveLuns, Rescan, SetDiskUsage
from engine.config import Config
from engine.geometry import geometry
from engine.planners.draft import Draft, Ids, refuse
from engine.plans import Plan, Problem
from engine.records import Disk, DiskUsage, Group, GroupState, Kind, Ref, TaskParams, TaskType
from engine.rules import listed

PATH_MAX = 4096


def initialized(disk: Disk, group: Ref | None) -> Disk:
    """A disk with label and private region, in a group or in none."""
    found = geometry(disk.size)
    return replace(
        disk,
        group=group,
        usage=DiskUsage.NORMAL,
        public_offset=found.public_offset,
        public_length=found.public_length,
        content="",
        failing=False,
        errors=0,
    )


def overwritten(draft: Draft, disks: Sequence[Disk]) -> tuple[str, str, list[Ref]]:
    """What force destroys: the sentence for `irreversible`, the question, and the disks. One that has failed before is
    taken, but not silently."""
    if failed := [disk.name for disk in disks if disk.failing]:
        draft.warn(f"I/O errors were seen on {listed(failed)}.")
    lost = [disk for disk in disks if disk.content]
    if not lost:
        return "", "", []
    what = listed([f"{disk.content} on {disk.name}" for disk in lost])
    draft.warn(f"This overwrites: {what}.")
    return f"{what} is lost.", f"Overwrite {what}? It can't be had back.", [disk.ref for disk in lost]


def init(config: Config, command: InitDisks, ids: Ids) -> Plan:
    """Disks get a label and a private region; they belong to no group yet."""
    disks = [config.disk(ref) for ref in dict.fromkeys(command.disks)]
    names = listed([disk.name for disk in disks])
    title = f"Initialize {names}"
    if blocked := refuse(title, *(rules.disk_can_join(config, disk.ref, force=command.force) for disk in disks)):
        return blocked
    draft = Draft(config, ids)
    draft.put(*(initialized(disk, None) for disk in disks))
    irreversible, confirm, destroys = overwritten(draft, disks)
    draft.step(f"Write label and private region on {names}")
    return draft.plan(
        title, destroys=destroys, irreversible=irreversible, confirm=confirm, confirm_button=confirm and "Initialize"
    )


def set_usage(config: Config, command: SetDiskUsage, ids: Ids) -> Plan:
    """What automatic allocation may do with disks."""
    disks = [config.disk(ref) for ref in dict.fromkeys(command.disks)]
    names = listed([disk.name for disk in disks])
    title = f"Set Usage of {names} to {command.usage.value}"
    if blocked := refuse(title, _usage_problem(config, disks, command.usage)):
        return blocked
    draft = Draft(config, ids, disks[0].group)
    changed = [disk for disk in disks if disk.usage is not command.usage]
    draft.put(*(replace(disk, usage=command.usage) for disk in changed))
    draft.step(f"Mark {listed([disk.name for disk in changed])} as {command.usage.value}", "what lies there stays")
    before = {disk.usage for disk in changed}
    undo = SetDiskUsage(disks=tuple(disk.ref for disk in changed), usage=before.pop()) if len(before) == 1 else None
    return draft.plan(title, undo=undo)


def _usage_problem(config: Config, disks: Sequence[Disk], usage: DiskUsage) -> Problem | None:
    for disk in disks:
        if blocked := rules.needs_imported(config, disk.group):
            return blocked
    if len({disk.group for disk in disks}) > 1:
        return Problem("The disks belong to different disk groups.", "Choose disks of one disk group.", field="disks")
    if all(disk.usage is usage for disk in disks):
        verb = "has" if len(disks) == 1 else "have"
        text = f"{listed([disk.name for disk in disks])} {verb} the usage {usage.value} already."
        return Problem(text, "", disks[0].ref, "usage")
    return None


def rescan(config: Config, command: Rescan, ids: Ids) -> Plan:
    """A task that looks at every LUN again."""
    draft = Draft(config, ids)
    draft.step("Look at every LUN again: new ones, gone ones, sizes and labels", "volumes stay online")
    return draft.plan("Rescan", task=draft.task(TaskType.RESCAN, "Rescan", None, TaskParams(), 0))


def refresh(config: Config, command: Refresh, ids: Ids) -> Plan:
    """Sizes of known LUNs are read; space that has come is offered at once."""
    draft = Draft(config, ids)
    draft.step("Read the sizes of the known LUNs anew", "volumes stay online")
    return draft.plan("Refresh")


def add_luns(config: Config, command: AddLuns, ids: Ids) -> Plan:
    """LUNs become known; what stands on them is only read."""
    paths = list(dict.fromkeys(command.paths))
    title = f"Add LUN {paths[0][:80]}" if len(paths) == 1 else f"Add {len(paths)} LUNs"
    if blocked := refuse(title, _paths_problem(config, paths)):
        return blocked
    draft = Draft(config, ids)
    for path in paths:
        draft.step(f"Open {path} and read what stands on it", "nothing on it changes")
    return draft.plan(title)


def _paths_problem(config: Config, paths: Sequence[str]) -> Problem | None:
    if not paths:
        return Problem("No LUN is named.", "Give the path of an image file or of a block device.", field="paths")
    known = {disk.lun: disk for disk in config.all(Kind.DISK, Disk) if disk.lun}
    for path in paths:
        if not path.strip() or not path.isprintable() or len(path) > PATH_MAX:
            return Problem("This is not a path.", "Give that of an image file or block device.", field="paths")
        if path in known:
            return Problem(f"{path} is {known[path].name} already.", "Choose another LUN.", known[path].ref, "paths")
    return None


def remove_luns(config: Config, command: RemoveLuns, ids: Ids) -> Plan:
    """LUNs are forgotten, nothing on them changes; a group that isn't imported goes with its last disk."""
    disks = [config.disk(ref) for ref in dict.fromkeys(command.disks)]
    names = listed([disk.name for disk in disks])
    title = f"Remove LUN {names}"
    if blocked := refuse(title, *(_in_imported(config, disk) for disk in disks)):
        return blocked
    draft = Draft(config, ids)
    for disk in disks:
        draft.drop(disk.ref)
    for group in dict.fromkeys(disk.group for disk in disks):
        if group is not None and group in config and not draft.config.disks_of(group):
            _forget_group(draft, group)
    them = "them" if len(disks) > 1 else "it"
    draft.step(f"Forget {names}", f"nothing on {them} changes")
    question = f"Remove {names} from the list? Nothing on {them} changes, and Add LUN brings {them} back."
    return draft.plan(title, confirm=question, confirm_button="Remove")


def _in_imported(config: Config, disk: Disk) -> Problem | None:
    group = config.get(disk.group)
    if not isinstance(group, Group) or group.state is not GroupState.IMPORTED:
        return None
    text = f"{disk.name} belongs to {group.name}, which is imported."
    return Problem(text, "Remove the disk from the disk group, or deport the disk group.", disk.ref, "disks")


def _forget_group(draft: Draft, group: Ref) -> None:
    for volume in draft.config.volumes_of(group):
        for plex in draft.config.parts_of(volume.ref):
            draft.drop(*(subdisk.ref for subdisk in draft.config.subdisks_of(plex.ref)), plex.ref)
        draft.drop(volume.ref)
    draft.drop(*(task.ref for task in draft.config.tasks_of(group)), group)
