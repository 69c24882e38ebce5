"""Disk groups: create, add and remove disks, destroy, deport, import."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine import rules
from engine.commands import AddDisks, CreateGroup, DeportGroup, DestroyGroup, ImportGroup, RemoveDisks
from engine.config import Config
from engine.planners.disks import initialized, overwritten
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.volumes import warn_clients
from engine.plans import Plan, Problem
from engine.records import Disk, DiskUsage, Group, GroupState, Kind, Ref
from engine.rules import counted, listed


def create(config: Config, command: CreateGroup, ids: Ids) -> Plan:
    """A group of disks that are initialized for it."""
    disks = [config.disk(ref) for ref in dict.fromkeys(command.disks)]
    title = f"Create Disk Group {command.name[: rules.NAME_MAX]}".rstrip()
    problems = (
        rules.name_ok(command.name) or rules.name_free(config, Kind.GROUP, command.name, None),
        *(rules.disk_can_join(config, disk.ref, force=command.force) for disk in disks),
    )
    if blocked := refuse(title, *problems):
        return blocked
    group = Group(ref=ids(Kind.GROUP), name=command.name)
    draft = Draft(config, ids, group.ref)
    draft.put(group)
    return _with_disks(draft, title, group, disks, DestroyGroup(group=group.ref))


def add_disks(config: Config, command: AddDisks, ids: Ids) -> Plan:
    """Disks are initialized and give their space to a group."""
    group = config.group(command.group)
    disks = [config.disk(ref) for ref in dict.fromkeys(command.disks)]
    title = f"Add {listed([disk.name for disk in disks])} to {group.name}"
    problems = (rules.disk_can_join(config, disk.ref, force=command.force) for disk in disks)
    if blocked := refuse(title, rules.needs_imported(config, group.ref), *problems):
        return blocked
    undo = RemoveDisks(disks=tuple(disk.ref for disk in disks))
    return _with_disks(Draft(config, ids, group.ref), title, group, disks, undo)


def _with_disks(
    draft: Draft, title: str, group: Group, disks: Sequence[Disk], undo: DestroyGroup | RemoveDisks
) -> Plan:
    draft.put(*(initialized(disk, group.ref) for disk in disks))
    irreversible, confirm, destroys = overwritten(draft, disks)
    draft.step(f"Write label and private region on {listed([disk.name for disk in disks])}")
    return draft.plan(
        title,
        undo=undo,
        destroys=destroys,
        irreversible=irreversible,
        confirm=confirm,
        confirm_button="Overwrite" if confirm else "",
    )


def remove_disks(config: Config, command: RemoveDisks, ids: Ids) -> Plan:
    """Empty disks leave their group; a missing one is forgotten."""
    disks = [config.disk(ref) for ref in dict.fromkeys(command.disks)]
    names = listed([disk.name for disk in disks])
    title = f"Remove {names} from its Disk Group" if len(disks) == 1 else f"Remove {names} from their Disk Group"
    if blocked := refuse(title, _remove_problem(config, disks)):
        return blocked
    group = disks[0].group
    draft = Draft(config, ids, group)
    for disk in disks:
        if disk.present:
            draft.put(replace(disk, group=None, usage=DiskUsage.NORMAL))
        else:
            draft.drop(disk.ref)
    draft.step(f"Take {names} out of the disk group", "volumes stay online")
    here = tuple(disk.ref for disk in disks if disk.present)
    undo = AddDisks(group=group, disks=here) if group and len(here) == len(disks) else None
    return draft.plan(
        title,
        undo=undo,
        confirm=f"Remove {names}? {'It holds' if len(disks) == 1 else 'They hold'} no data of any volume.",
        confirm_button="Remove Disk" if len(disks) == 1 else f"Remove {len(disks)} Disks",
    )


def _remove_problem(config: Config, disks: Sequence[Disk]) -> Problem | None:
    for disk in disks:
        if blocked := rules.needs_imported(config, disk.group) or rules.disk_empty(config, disk.ref):
            return blocked
    if apart := rules.one_group(config, (disk.group for disk in disks), "disks", "disks"):
        return apart
    leaving = {disk.ref for disk in disks}
    group = disks[0].group
    left = [disk for disk in config.disks_of(group) if disk.ref not in leaving] if group else []
    if not any(disk.present for disk in left):
        name = config.group(group).name if group else ""
        text = f"{name} would have no disk that can keep its configuration."
        return Problem(text, "Destroy the disk group, or add another disk first.", group, "disks")
    return None


def destroy(config: Config, command: DestroyGroup, ids: Ids) -> Plan:
    """A group without volumes goes; its disks become free."""
    group = config.group(command.group)
    title = f"Destroy Disk Group {group.name}"
    problem = rules.needs_imported(config, group.ref) or rules.group_without_volumes(config, group.ref)
    if blocked := refuse(title, problem or rules.group_quiet(config, group.ref)):
        return blocked
    draft = Draft(config, ids, group.ref)
    disks = config.disks_of(group.ref)
    for disk in disks:
        if disk.present:
            draft.put(replace(disk, group=None, usage=DiskUsage.NORMAL))
        else:
            draft.drop(disk.ref)
    draft.drop(*(schedule.ref for schedule in config.schedules_of(group.ref)))
    draft.drop(*(task.ref for task in config.tasks_of(group.ref)), group.ref)
    names = listed([disk.name for disk in disks]) if disks else "no disk"
    draft.step(f"Clear the labels of {names}")
    again = "create it again under the same name"
    return draft.plan(
        title,
        destroys=[group.ref],
        irreversible=f"The identity of {group.name} is lost; you can {again}.",
        confirm=f"Destroy the disk group {group.name}? Its {counted(len(disks), 'disk')} become free.",
        confirm_button="Destroy Disk Group",
    )


def deport(config: Config, command: DeportGroup, ids: Ids) -> Plan:
    """Volumes stop in order, and the group is given up."""
    group = config.group(command.group)
    title = f"Deport Disk Group {group.name}"
    volumes = config.volumes_of(group.ref)
    if blocked := refuse(title, _deport_problem(config, command)):
        return blocked
    draft = Draft(config, ids, group.ref)
    clients = warn_clients(draft, [volume.ref for volume in volumes], command.force)
    for volume in volumes:
        if volume.fenced:
            draft.warn(f"{volume.name} takes no writes, and stays so: {volume.fenced}")
    draft.put(replace(group, state=GroupState.DEPORTED))
    draft.step(
        f"Stop {counted(len(volumes), 'volume')} of {group.name} in order",
        "clients are disconnected" if clients else "",
    )
    draft.step(f"Clear the host's name from {counted(len(config.disks_of(group.ref)), 'disk')}")
    return draft.plan(
        title,
        undo=ImportGroup(group=group.ref),
        confirm=f"Deport {group.name}? {_unreachable(len(volumes))} until it is imported again.",
        confirm_button="Deport Disk Group",
    )


def _unreachable(volumes: int) -> str:
    if not volumes:
        return "It can't be changed"
    return "Its volume can't be used" if volumes == 1 else f"Its {volumes} volumes can't be used"


def _deport_problem(config: Config, command: DeportGroup) -> Problem | None:
    group = command.group
    if blocked := rules.needs_imported(config, group) or rules.group_quiet(config, group):
        return blocked
    problems = (rules.in_use_by_clients(config, one.ref, force=command.force) for one in config.volumes_of(group))
    return next((problem for problem in problems if problem), None)


def import_(config: Config, command: ImportGroup, ids: Ids) -> Plan:
    """The group becomes ours, and its volumes that were started are started."""
    group = config.group(command.group)
    name = command.new_name or group.name
    title = f"Import Disk Group {group.name}" + (f" as {name}" if command.new_name else "")
    if blocked := refuse(title, _import_problem(config, command, group, name)):
        return blocked
    draft = Draft(config, ids, group.ref)
    draft.put(replace(group, state=GroupState.IMPORTED, name=name, owner=""))
    disks = config.disks_of(group.ref)
    present = [disk for disk in disks if disk.present]
    if len(present) < len(disks):
        missing = listed([disk.name for disk in disks if not disk.present])
        draft.warn(f"{missing} is missing." if len(disks) - len(present) == 1 else f"{missing} are missing.")
    draft.step(f"Read the configuration from {counted(len(present), 'disk')} and write this host's name")
    draft.step(f"Start the volumes of {name} that were started")
    foreign = group.state is GroupState.FOREIGN
    owner = group.owner or "another host"
    question = f"Take {group.name} from {owner}? If {owner} still uses it, data is damaged." if foreign else ""
    lost = [f"{owner} loses {group.name}."] if foreign else []
    if command.force and 2 * len(present) <= len(disks):
        lost.append("Changes that only the missing disks know are lost.")
    return draft.plan(
        title,
        undo=DeportGroup(group=group.ref),
        irreversible=" ".join(lost),
        confirm=question,
        confirm_button="Import Disk Group" if question else "",
    )


def _import_problem(config: Config, command: ImportGroup, group: Group, name: str) -> Problem | None:
    if group.state is GroupState.IMPORTED:
        return Problem(f"{group.name} is imported already.", "", group.ref)
    if group.state is GroupState.FOREIGN and not command.clear:
        owner = group.owner or "another host"
        text = f"{group.name} is imported by {owner}."
        return Problem(text, "Deport it there, or clear its host id if that host is down.", group.ref, "clear")
    if blocked := rules.name_ok(name, "new_name") or _other_group(config, group.ref, name):
        return blocked
    disks = config.disks_of(group.ref)
    present = sum(disk.present for disk in disks)
    if not present:
        return Problem(f"All disks of {group.name} are missing.", "Bring their LUNs back and rescan.", group.ref)
    if present * 2 <= len(disks) and not command.force:
        text = (
            f"Only {present} of {len(disks)} disks of {group.name} are there, the newest changes may be on the others."
        )
        return Problem(text, "Bring the missing disks back, or tick Force import.", group.ref, "force", "-f")
    return None


def _other_group(config: Config, own: Ref, name: str) -> Problem | None:
    """Another group that is imported under the same name."""
    others = (group for group in config.all(Kind.GROUP, Group) if group.ref != own and group.name == name)
    found = next((group for group in others if group.state is GroupState.IMPORTED), None)
    if found is None:
        return None
    return Problem(f"There is a group {name} already.", "Import it under a new name.", found.ref, "new_name")
