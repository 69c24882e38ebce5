"""Split and join of disk groups."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine import rules
from engine.commands import JoinGroups, SplitGroup
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.volumes import warn_clients
from engine.plans import Plan, Problem
from engine.records import Disk, Group, GroupState, Kind, Link, Ref, Schedule, Volume
from engine.rules import Closure, closure, counted, listed, other_end


def split(config: Config, command: SplitGroup, ids: Ids) -> Plan:
    """Disks and volumes leave a group and are one of their own, which nobody has imported."""
    source = config.group(command.group)
    title = f"Split {command.name[: rules.NAME_MAX]} off {source.name}"
    chosen = tuple(dict.fromkeys(command.objects))
    if blocked := refuse(title, *_split_problems(config, command, chosen)):
        return blocked
    leaving = closure(config, chosen)
    if blocked := refuse(title, *_closure_problems(config, command, leaving)):
        return blocked
    made = Group(ref=ids(Kind.GROUP), name=command.name, state=GroupState.DEPORTED)
    draft = Draft(config, ids, source.ref)
    clients = warn_clients(draft, list(leaving.volumes), command.force)
    for sentence in leaving.sentences(config):
        draft.step(sentence)
    volumes = [config.volume(ref) for ref in leaving.volumes]
    if volumes:
        how = "clients are disconnected" if clients else ""
        draft.step(f"Stop {listed([volume.name for volume in volumes])} in order", how)
    for volume in volumes:
        _warn_of_links(draft, volume, set(leaving.volumes), made.name)
    disks = [config.disk(ref) for ref in leaving.disks]
    draft.put(made, *(replace(disk, group=made.ref) for disk in disks))
    draft.put(*(replace(volume, group=made.ref) for volume in volumes))
    draft.put(*(replace(one, group=made.ref) for one in _schedules(config, source, leaving)))
    names = listed([disk.name for disk in disks])
    draft.step(f"Make {made.name} of {names}", f"all other volumes of {source.name} stay online")
    draft.step(f"Import {made.name} here" if command.imports else f"Leave {made.name} deported, for any host")
    if volumes:
        draft.warn(f"{listed([_export(source, volume) for volume in volumes])} will be exported under {made.name}.")
    return draft.plan(
        title,
        undo=JoinGroups(group=source.ref, joined=made.ref),
        confirm=f"{title}? {counted(len(disks), 'disk')} and {counted(len(volumes), 'volume')} leave {source.name}.",
        confirm_button="Split Disk Group",
    )


def _export(group: Group, volume: Volume) -> str:
    return f"{group.name}/{volume.name}"


def _split_problems(config: Config, command: SplitGroup, chosen: Sequence[Ref]) -> list[Problem | None]:
    source = command.group
    first = rules.needs_imported(config, source) or rules.group_quiet(config, source)
    strange = next((ref for ref in chosen if _group_of(config, ref) != source), None)
    if strange is not None and first is None:
        name, group = _name(config, strange), config.group(source).name
        first = Problem(
            f"{name} does not belong to {group}.", f"Choose disks and volumes of {group}.", strange, "objects"
        )
    return [first, rules.name_ok(command.name), rules.name_free(config, Kind.GROUP, command.name, None)]


def _group_of(config: Config, ref: Ref) -> Ref | None:
    record = config.get(ref)
    return record.group if isinstance(record, Disk | Volume) else None


def _name(config: Config, ref: Ref) -> str:
    record = config.get(ref)
    return record.name if record is not None else ""


def _closure_problems(config: Config, command: SplitGroup, leaving: Closure) -> list[Problem | None]:
    source = config.group(command.group)
    left = [disk for disk in config.disks_of(source.ref) if disk.ref not in leaving.disks]
    return [
        _nothing_left(source, left),
        _not_alone(config, command, leaving),
        *(rules.disk_sound(config, ref) for ref in leaving.disks),
        _enough_left(source, left),
        *(_may_move(config, ref, force=command.force) for ref in leaving.volumes),
        _not_divided(config, source, leaving),
    ]


def _nothing_left(source: Group, left: Sequence[Disk]) -> Problem | None:
    if left:
        return None
    text = f"Nothing of {source.name} would be left: all its disks would leave."
    return Problem(
        text, "Rename the disk group instead, or move some volumes to other disks first.", source.ref, "objects"
    )


def _not_alone(config: Config, command: SplitGroup, leaving: Closure) -> Problem | None:
    if command.expand or not leaving.why:
        return None
    along = listed([_name(config, ref) for ref in leaving.why])
    reason = " ".join(leaving.sentences(config))
    return Problem(
        f"{along} would have to come along. {reason}", "Accept what comes along (-o expand).", command.group, "expand"
    )


def _enough_left(source: Group, left: Sequence[Disk]) -> Problem | None:
    there = [disk for disk in left if disk.present and not disk.failing]
    if len(there) * 2 > len(left):
        return None
    text = f"Only {len(there)} of the {len(left)} disks that {source.name} keeps can hold its configuration."
    return Problem(text, "Bring the missing disks back first.", source.ref)


def _may_move(config: Config, ref: Ref, *, force: bool) -> Problem | None:
    volume = config.volume(ref)
    if volume.fenced:
        return Problem(f"{volume.name} takes no writes: {volume.fenced}", "Stop it, check it, start it again.", ref)
    return rules.in_use_by_clients(config, ref, force=force) or rules.has_source(config, ref)


def _schedules(config: Config, source: Group, leaving: Closure) -> list[Schedule]:
    return [one for one in config.schedules_of(source.ref) if one.volumes and set(one.volumes) <= set(leaving.volumes)]


def _not_divided(config: Config, source: Group, leaving: Closure) -> Problem | None:
    """Schedules go with their volumes, all of which are on one side."""
    for schedule in config.schedules_of(source.ref):
        gone = [ref for ref in schedule.volumes if ref in leaving.volumes]
        if gone and len(gone) < len(schedule.volumes):
            names = listed([_name(config, ref) for ref in gone])
            text = f"The schedule {schedule.name} is of {names} and of volumes that stay."
            return Problem(text, "Change the schedule first.", schedule.ref)
    return None


def _warn_of_links(draft: Draft, volume: Volume, leaving: set[Ref], name: str) -> None:
    """Both sides of a snapshot go on telling what changes."""
    apart = [link for link in volume.links if link.peer not in leaving and _fits(draft.config, volume, link)]
    for link in apart:
        peer = draft.config.volume(link.peer).name
        text = f"{volume.name} and {peer} will be in different disk groups: join {name} again before a snap back."
        draft.warn(text)


def _fits(config: Config, volume: Volume, link: Link) -> bool:
    return other_end(config, volume.ref, link) is not None


# --- join ---
def join(config: Config, command: JoinGroups, ids: Ids) -> Plan:
    """A group takes over everything that another one has, which ends."""
    target, source = config.group(command.group), config.group(command.joined)
    title = f"Join {source.name} to {target.name}"
    if blocked := refuse(title, *_join_problems(config, command, source)):
        return blocked
    draft = Draft(config, ids, target.ref)
    volumes, disks = config.volumes_of(source.ref), config.disks_of(source.ref)
    clients = warn_clients(draft, [volume.ref for volume in volumes], command.force)
    if volumes:
        how = "clients are disconnected" if clients else ""
        draft.step(f"Stop {counted(len(volumes), 'volume')} of {source.name} in order", how)
    for volume in volumes:
        _take_volume(draft, volume, target)
    for volume in config.volumes_of(target.ref):
        _drop_unfit(draft, volume, source)
    _rename_parts(draft, volumes, target)
    draft.put(*(replace(disk, group=target.ref) for disk in disks))
    taken = {schedule.name for schedule in config.schedules_of(target.ref)}
    for schedule in config.schedules_of(source.ref):
        name = schedule.name if schedule.name not in taken else rules.next_name(f"{schedule.name}-", taken)
        draft.put(replace(schedule, name=name, group=target.ref))
        taken.add(name)
    draft.drop(source.ref)
    draft.step(
        f"Give {listed([disk.name for disk in disks])} to {target.name}", f"the volumes of {target.name} stay online"
    )
    if volumes:
        draft.warn(f"The volumes of {source.name} will be exported under {target.name}.")
    undo = SplitGroup(
        group=target.ref, name=source.name, objects=tuple(disk.ref for disk in disks), expand=True, imports=True
    )
    return draft.plan(
        title,
        undo=undo,
        confirm=f"{title}? {source.name} ends; its {counted(len(volumes), 'volume')} and "
        f"{counted(len(disks), 'disk')} belong to {target.name}.",
        confirm_button="Join Disk Groups",
    )


def _join_problems(config: Config, command: JoinGroups, source: Group) -> list[Problem | None]:
    if command.group == command.joined:
        text = f"{source.name} can't be joined to itself."
        return [Problem(text, "Choose another disk group.", source.ref, "joined")]
    first = rules.needs_imported(config, command.joined) or rules.needs_imported(config, command.group)
    target_disks = config.disks_of(command.group)
    return [
        first,
        rules.group_quiet(config, source.ref),
        *(rules.disk_sound(config, disk.ref) for disk in config.disks_of(source.ref)),
        _enough_left(config.group(command.group), target_disks),
        *(_may_move(config, volume.ref, force=command.force) for volume in config.volumes_of(source.ref)),
    ]


def _take_volume(draft: Draft, volume: Volume, target: Group) -> None:
    """Under a free name, with those of its links whose other end fits."""
    taken = {other.name for other in draft.config.volumes_of(target.ref)}
    name = volume.name if volume.name not in taken else rules.next_name(f"{volume.name[:28]}-", taken)
    if name != volume.name:
        draft.step(f"Rename {volume.name} to {name}", f"{target.name} has a {volume.name} already")
    links = []
    for link in volume.links:
        peer = draft.base.get(link.peer)
        if not isinstance(peer, Volume) or peer.group not in (target.ref, volume.group):
            links.append(link)  # in a group that is elsewhere now
        elif not _fits(draft.base, volume, link):
            draft.warn(f"{volume.name} and {peer.name} have no snapshot of each other any more.")
        else:
            links.append(link)
            _tell_link(draft, volume, peer, link, target)
    draft.put(replace(volume, name=name, group=target.ref, links=tuple(links)))


def _drop_unfit(draft: Draft, volume: Volume, source: Group) -> None:
    """What the other side does not know of any more is no link."""
    base = draft.base
    links = tuple(
        link for link in volume.links if _group_of(base, link.peer) != source.ref or _fits(base, volume, link)
    )
    if links != volume.links:
        draft.put(replace(volume, links=links))


def _tell_link(draft: Draft, volume: Volume, peer: Volume, link: Link, target: Group) -> None:
    other = other_end(draft.base, volume.ref, link)
    known = link.is_known and other is not None and other.is_known
    if peer.group == target.ref and not known:
        draft.warn(f"What {volume.name} and {peer.name} differ in is not known: a snap back copies everything.")
    elif peer.group == target.ref:
        draft.step(
            f"Take up the snapshot of {peer.name} and {volume.name} again", "a snap back copies what has changed"
        )


def _rename_parts(draft: Draft, volumes: Sequence[Volume], target: Group) -> None:
    """Mirrors and subdisks under names that are free in the other group."""
    config = draft.base
    ours = config.volumes_of(target.ref)
    plexes = {plex.name for volume in ours for plex in config.parts_of(volume.ref)}
    pieces = {sd.name for volume in ours for plex in config.parts_of(volume.ref) for sd in config.subdisks_of(plex.ref)}
    for volume in volumes:
        for plex in config.parts_of(volume.ref):
            if plex.name in plexes:
                draft.put(replace(plex, name=rules.next_name(f"{plex.name}-", plexes)))
            plexes.add(draft.config.plex(plex.ref).name)
            for subdisk in config.subdisks_of(plex.ref):
                if subdisk.name in pieces:
                    draft.put(replace(subdisk, name=rules.next_name(f"{subdisk.name}-", pieces)))
                pieces.add(draft.config.subdisk(subdisk.ref).name)
