"""Reasons for disabled actions, built from the engine's own rules, so that hover, dialog and command line agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine import rules
from engine.config import Config
from engine.plans import Problem
from engine.records import (
    Backup,
    Disk,
    Group,
    GroupState,
    Kind,
    Plex,
    PlexLayout,
    Ref,
    Subdisk,
    Task,
    Volume,
    VolumeLayout,
)
from engine.states import pieces_out
from vea_gui.action_rows import Reason, WhyNot
from vea_gui.selection import Selection
from vea_gui.words import KIND_NAMES

Rule = Callable[[Config, Ref], Problem | None]


def first(problems: Iterable[Problem | None]) -> Problem | None:
    """The first reason there is."""
    return next((problem for problem in problems if problem is not None), None)


def pick_first(kind: Kind) -> Problem:
    """Nothing of the kind is picked."""
    return Problem(f"No {KIND_NAMES[kind][0]} is picked.", f"Pick a {KIND_NAMES[kind][0]} first.")


def each(record_type: type[Volume] | type[Disk] | type[Plex] | type[Group] | type[Task], *checks: Rule) -> WhyNot:
    """Every picked record of a type passes all rules."""

    def why_not(selection: Selection) -> Reason:
        records = selection.of(record_type)
        if not records:
            return pick_first(_KIND_OF[record_type])
        return first(check(selection.config, record.ref) for record in records for check in checks)

    return why_not


_KIND_OF: dict[type, Kind] = {
    Volume: Kind.VOLUME,
    Disk: Kind.DISK,
    Plex: Kind.PLEX,
    Group: Kind.GROUP,
    Task: Kind.TASK,
    Subdisk: Kind.SUBDISK,
}


# --- groups ---
def no_new_group(selection: Selection) -> Reason:
    """A new group needs a disk of no group."""
    config, picked = selection.config, selection.of(Disk)
    if picked:
        return first(rules.disk_can_join(config, disk.ref, force=True) for disk in picked)
    return _no_free_disk(config)


def _no_free_disk(config: Config) -> Reason:
    disks = config.all(Kind.DISK, Disk)
    if any(rules.disk_can_join(config, disk.ref, force=True) is None for disk in disks):
        return None
    return Problem("No disk is free to be added.", "Add a LUN, or take an empty disk out of its disk group.")


def saved_before(config: Config, group: Ref) -> Problem | None:
    """A configuration of the group was saved."""
    if any(backup.group == group for backup in config.all(Kind.BACKUP, Backup)):
        return None
    text = f"No configuration of {config.group(group).name} was saved yet."
    return Problem(text, "One is saved before the next change.", group)


def no_more_disks(selection: Selection) -> Reason:
    """A group takes disks while it is imported and there are free ones."""
    config = selection.config
    picked = [disk for disk in selection.of(Disk)]
    if picked:
        joinable = first(rules.disk_can_join(config, disk.ref, force=True) for disk in picked)
        return joinable or _no_imported_group(config)
    group = selection.group
    if group is None:
        return _no_imported_group(config) or _no_free_disk(config)
    return rules.needs_imported(config, group.ref) or _no_free_disk(config)


def _no_imported_group(config: Config) -> Reason:
    groups = config.all(Kind.GROUP, Group)
    if any(rules.needs_imported(config, group.ref) is None for group in groups):
        return None
    if groups:
        return rules.needs_imported(config, groups[0].ref)
    return Problem("There is no disk group yet.", "Make one with New Dynamic Disk Group.")


def imported(config: Config, group: Ref) -> Problem | None:
    return rules.needs_imported(config, group)


def not_imported(config: Config, group: Ref) -> Problem | None:
    """A group that can be imported is not imported here."""
    record = config.group(group)
    if record.state is GroupState.IMPORTED:
        return Problem(f"{record.name} is imported already.", "", group)
    return None


def no_import(selection: Selection) -> Reason:
    """There is a group to import."""
    config = selection.config
    if selection.of(Group):
        return first(not_imported(config, group.ref) for group in selection.of(Group))
    if any(group.state is not GroupState.IMPORTED for group in config.all(Kind.GROUP, Group)):
        return None
    return Problem("Every disk group that was found is imported.", "Rescan when disks have been added.")


def group_unused(config: Config, group: Ref) -> Problem | None:
    """No client uses a volume of the group."""
    return first(rules.in_use_by_clients(config, volume.ref) for volume in config.volumes_of(group))


# --- volumes ---
def no_new_volume(selection: Selection) -> Reason:
    """A new volume needs an imported group with free space."""
    config = selection.config
    groups = selection.groups or config.all(Kind.GROUP, Group)
    if not groups:
        if selection.of(Disk):
            return rules.needs_imported(config, None)
        return _no_imported_group(config)
    usable = [group for group in groups if rules.needs_imported(config, group.ref) is None]
    if not usable:
        return rules.needs_imported(config, groups[0].ref)
    if any(group.free for group in usable):
        return None
    name = usable[0].name if len(usable) == 1 else "any disk group"
    return Problem(f"No free space is left in {name}.", "Add a disk to the disk group.")


def several_mirrors(config: Config, volume: Ref) -> Problem | None:
    """The volume has more than one mirror."""
    if len(config.plexes_of(volume)) > 1:
        return None
    if blocked := no_parity(config, volume):
        return blocked
    return Problem(f"{config.volume(volume).name} has one mirror only.", "Add a mirror first.", volume)


def no_parity(config: Config, volume: Ref) -> Problem | None:
    """The volume may have mirrors."""
    return rules.not_parity(config, volume, "has no mirrors")


def any_mirror_can_go(config: Config, volume: Ref) -> Problem | None:
    """At least one mirror may be removed."""
    reasons = [rules.plexes_can_go(config, [plex.ref]) for plex in rules.mirrors_of(config, volume)]
    return None if None in reasons else first(reasons)


def any_mirror_can_break(config: Config, volume: Ref) -> Problem | None:
    """At least one mirror may become a volume of its own."""
    reasons = [rules.plex_can_break(config, plex.ref) for plex in rules.mirrors_of(config, volume)]
    return None if None in reasons else first(reasons)


def one_group(why_not: WhyNot) -> WhyNot:
    """What is one command for several volumes needs them in one group."""

    def first_of_all(selection: Selection) -> Reason:
        apart = rules.one_group(selection.config, (group.ref for group in selection.groups), "volumes")
        return apart or why_not(selection)

    return first_of_all


def _already(volumes: list[Volume], started: bool) -> Problem | None:
    if not volumes:
        return pick_first(Kind.VOLUME)
    if not all(volume.started is started and not (started and _held_back(volume)) for volume in volumes):
        return None
    names = rules.listed([volume.name for volume in volumes])
    verb, word = "is" if len(volumes) == 1 else "are", "started" if started else "stopped"
    return Problem(f"{names} {verb} {word} already.", "", volumes[0].ref)


def _held_back(volume: Volume) -> bool:
    """RAID-5 that takes no writes: starting it tries again to put it right."""
    return volume.layout is VolumeLayout.RAID5 and bool(volume.fenced)


def cannot_start(selection: Selection) -> Reason:
    """One of the volumes is stopped, and all groups are imported."""
    volumes = selection.of(Volume)
    blocked = (group_of_volume_imported(selection.config, volume.ref) for volume in volumes)
    return _already(volumes, True) or first(blocked)


def cannot_stop(*, force: bool) -> WhyNot:
    """One of the volumes is started, and nothing works on them; without `force` nobody uses them."""

    def why_not(selection: Selection) -> Reason:
        config, volumes = selection.config, selection.of(Volume)
        if already := _already(volumes, False):
            return already
        for volume in volumes:
            blocked = group_of_volume_imported(config, volume.ref) or rules.no_running_task(config, volume.ref)
            if blocked := blocked or rules.in_use_by_clients(config, volume.ref, force=force):
                return blocked
        return first(used(config, volume.ref) for volume in volumes) if force else None

    return why_not


def group_of_volume_imported(config: Config, volume: Ref) -> Problem | None:
    return rules.needs_imported(config, config.volume(volume).group)


def unused(config: Config, volume: Ref) -> Problem | None:
    return rules.in_use_by_clients(config, volume)


def used(config: Config, volume: Ref) -> Problem | None:
    """Somebody is connected, who could be disconnected."""
    if rules.clients_of(config, volume):
        return None
    return Problem(f"No client uses {config.volume(volume).name}.", "Stop Volume is enough.", volume)


def something_to_equal(config: Config, volume: Ref) -> Problem | None:
    """There are at least two mirrors, or parity."""
    if config.volume(volume).layout is VolumeLayout.RAID5:
        return rules.takes_writes(config, volume)
    if len(config.plexes_of(volume)) > 1:
        return None
    text = f"{config.volume(volume).name} has one mirror only."
    return Problem(text, "There is nothing to make it equal to.", volume)


def something_lost(config: Config, volume: Ref) -> Problem | None:
    """A mirror or a column is out of date, or lies on a disk that is lost."""
    plexes = config.plexes_of(volume)
    if rules.to_repair(config, volume) or any(pieces_out(config, plex) for plex in plexes):
        return None
    name = config.volume(volume).name
    lost = sorted({config.disk(piece.disk).name for plex in plexes for piece in rules.lost_pieces(config, plex.ref)})
    if not lost:
        return Problem(f"{name} lacks nothing.", "There is nothing to repair.", volume)
    names = rules.listed(lost)
    return Problem(f"{name} has no copy beside the one on {names}.", f"Bring {names} back, or evacuate it.", volume)


def two_present(config: Config, volume: Ref) -> Problem | None:
    """Two mirrors at least have all their disks, or a column that is out has its own."""
    if config.volume(volume).layout is VolumeLayout.RAID5:
        return rules.a_piece_present(config, volume)
    missing = [rules.plex_present(config, plex.ref) for plex in config.plexes_of(volume)]
    return None if missing.count(None) > 1 else first(missing)


def is_striped(config: Config, volume: Ref) -> Problem | None:
    """A striped mirror can get one more column."""
    if any(plex.layout is PlexLayout.STRIPE for plex in config.plexes_of(volume)):
        return None
    return Problem(f"{config.volume(volume).name} is not striped.", "Choose a striped volume.", volume)


def two_complete(config: Config, volume: Ref) -> Problem | None:
    """There are mirrors to compare."""
    if len([plex for plex in config.plexes_of(volume) if plex.complete]) > 1:
        return None
    text = f"{config.volume(volume).name} has no two complete mirrors."
    return Problem(text, "Resynchronize the volume first.", volume)


def not_in_doubt(config: Config, volume: Ref) -> Problem | None:
    """The mirrors are meant to be equal."""
    record = config.volume(volume)
    if record.layout is VolumeLayout.RAID5:
        return rules.all_complete(config, volume)
    if record.source is None:
        return None
    text = f"The mirrors of {record.name} are not known to be equal."
    return Problem(text, "Resynchronize the volume first.", volume)
