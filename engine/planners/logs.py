"""The log of a RAID-5 volume: made, added, removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from engine import rules
from engine.allocate import Space, log_disks, log_length, place_log, usable_disks
from engine.allocate.dirty import DRL, placed
from engine.commands import AddLog, CreateVolume, LogType, RemoveLog
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.sizes import named_disks, warn_failing
from engine.plans import Plan, Problem, refused
from engine.records import DirtyLog, Disk, Plex, PlexLayout, PlexState, Ref, Volume, VolumeLayout
from engine.rules import counted, listed
from engine.units import format_size


def log_template(volume: Volume) -> Plex:
    """What a new copy of a RAID-5 volume's log is like before it has a place."""
    return Plex(ref=volume.ref, name="", volume=volume.ref, layout=PlexLayout.LOG)


def no_room_for_log(size: int) -> Problem:
    """A log lies apart from the columns, or twice beside two of them."""
    need = format_size(log_length(size))
    text = f"There is no room for a log: {need} on a disk without a column of the volume, or on two with one."
    return Problem(text, "Add a disk to the disk group, give a smaller size, or do without a log.", field="log")


def add(config: Config, command: AddLog, ids: Ids) -> Plan:
    """A log, or one copy more of it."""
    return _ADD.get(config.volume(command.volume).layout, _no_log)(config, command, ids)


def remove(config: Config, command: RemoveLog, ids: Ids) -> Plan:
    """A volume does without its log from now on."""
    return _REMOVE.get(config.volume(command.volume).layout, _no_log)(config, command, ids)


def _no_log(config: Config, command: AddLog | RemoveLog, ids: Ids) -> Plan:
    volume = config.volume(command.volume)
    new = isinstance(command, AddLog)
    problem = rules.volume_ready(config, volume.ref) or (rules.not_initializing(config, volume.ref) if new else None)
    problem = problem or rules.may_have_log(config, volume.ref)
    assert problem is not None  # every layout that may have a log has a planner of its own
    return refused(f"Log of {volume.name}", problem)


def _add_parity_log(config: Config, command: AddLog, ids: Ids) -> Plan:
    """The new places are usable at once: the commit itself writes an empty log to them."""
    volume = config.volume(command.volume)
    title = f"Add Log to {volume.name}"
    if blocked := refuse(title, _add_problem(config, command, volume)):
        return blocked
    draft = Draft(config, ids, volume.group)
    space = Space(config, usable_disks(config, volume.group, command.disks))
    columns = {sd.disk for plex in config.plexes_of(volume.ref) for sd in config.subdisks_of(plex.ref)}
    placed = place_log(space, columns, log_length(volume.size), log_disks(config, volume.ref))
    if placed is None:
        return refused(title, no_room_for_log(volume.size))
    draft.add_plexes(volume, replace(log_template(volume), state=PlexState.ACTIVE), [[(piece,)] for piece in placed])
    warn_failing(draft, command.disks)
    draft.allocation_steps(f"{volume.name} stays online")
    draft.step(f"Write an empty log to {counted(len(placed), 'disk')}", "writes wait for an instant")
    return draft.plan(
        title,
        undo=RemoveLog(volume=volume.ref) if not config.logs_of(volume.ref) else None,
        redundancy=f"After a crash {volume.name} is put right from its log.",
    )


def _add_problem(config: Config, command: AddLog, volume: Volume) -> Problem | None:
    return (
        rules.volume_ready(config, volume.ref)
        or rules.not_initializing(config, volume.ref)
        or rules.takes_writes(config, volume.ref)
        or rules.parity_known(config, volume.ref)
        or named_disks(config, volume.group, command.disks)
    )


def _remove_parity_log(config: Config, command: RemoveLog, ids: Ids) -> Plan:
    volume = config.volume(command.volume)
    title = _removing(volume)
    logs = config.logs_of(volume.ref)
    none = None if logs else Problem(f"{volume.name} has no log.", "There is nothing to remove.", volume.ref)
    problem = rules.volume_ready(config, volume.ref) or none or rules.takes_writes(config, volume.ref)
    if blocked := refuse(title, problem):
        return blocked
    draft = Draft(config, ids, volume.group)
    for log in logs:
        draft.drop_plex(log.ref)
    draft.step("Bring all data and parity to stable storage, then do without the log", "writes wait for an instant")
    risk = f"After a crash all parity of {volume.name} is made anew; lacking a column then, it will not start."
    return _removal(draft, volume, risk, f"{volume.name} still survives the loss of one column.")


def wanted_log(command: CreateVolume) -> DirtyLog | None:
    """What a new volume has of a dirty region log before its size, and with that its places, are known."""
    return None if command.raid5 or command.mirrors < 2 or command.log is LogType.NONE else DirtyLog(0)


def log_places(draft: Draft, ref: Ref, size: int) -> list[Disk]:
    """The disks that the dirty region log of a mirrored volume of `size` bytes will lie on, by what the draft says; the
    commit itself takes the pages. Without any the operator is warned."""
    volume = draft.config.volume(ref)
    if volume.dirty_log is None or len(draft.config.plexes_of(ref)) < 2:
        return []
    places = placed(draft.config, replace(volume, size=size), DRL, draft.base).places
    disks = [draft.config.disk(place.disk) for place in places]
    if not disks:
        draft.warn(
            f"{volume.name} will have no dirty region log: its disks have no room for one more. "
            "After a crash its mirrors are copied whole."
        )
    return disks


def _add_dirty_log(config: Config, command: AddLog, ids: Ids) -> Plan:
    """The commit itself finds the places: on two disks of the volume."""
    volume = config.volume(command.volume)
    title = f"Add Log to {volume.name}"
    problem = rules.not_initializing(config, volume.ref) or rules.log_wanted(config, volume.ref)
    if command.log is LogType.RAID5:
        problem = Problem("Only a RAID-5 volume has a RAID-5 log.", "Choose another log.", field="log")
    if command.disks:
        text = "A dirty region log lies on disks of its volume, in their private regions."
        problem = problem or Problem(text, "Choose no disk.", command.disks[0], "disks")
    if blocked := refuse(title, rules.volume_ready(config, volume.ref) or problem):
        return blocked
    draft = Draft(config, ids, volume.group)
    draft.put(replace(volume, dirty_log=DirtyLog(0)))
    disks = log_places(draft, volume.ref, volume.size)
    if not disks:
        text = f"No disk of {volume.name} has room for a dirty region log."
        help_ = "Remove the log of another volume there, or move a mirror to another disk."
        return refused(title, Problem(text, help_, volume.ref, "log"))
    names = listed([disk.name for disk in disks])
    draft.step(f"Write an empty log to the private regions of {names}", "writes wait for an instant")
    return draft.plan(
        title,
        undo=RemoveLog(volume=volume.ref),
        redundancy=f"After a crash only what may differ is copied between the mirrors of {volume.name}.",
    )


def _remove_dirty_log(config: Config, command: RemoveLog, ids: Ids) -> Plan:
    volume = config.volume(command.volume)
    title = _removing(volume)
    needed = rules.has_log(config, volume.ref) or rules.needs_no_log(config, volume.ref)
    if blocked := refuse(title, rules.volume_ready(config, volume.ref) or needed):
        return blocked
    draft = Draft(config, ids, volume.group)
    draft.put(replace(volume, dirty_log=None))
    draft.step("Do without the log", f"{volume.name} stays online")
    risk = f"After a crash all {format_size(volume.size)} of {volume.name} are copied between its mirrors."
    return _removal(draft, volume, risk, f"{volume.name} keeps {counted(volume.copies, 'copy')} throughout.")


def _removal(draft: Draft, volume: Volume, risk: str, redundancy: str) -> Plan:
    draft.warn(risk)
    return draft.plan(
        _removing(volume),
        undo=AddLog(volume=volume.ref),
        redundancy=redundancy,
        confirm=f"Remove the log of {volume.name}? {risk}",
        confirm_button="Remove Log",
    )


def _removing(volume: Volume) -> str:
    return f"Remove Log of {volume.name}"


_ADD: Mapping[VolumeLayout, Callable[[Config, AddLog, Ids], Plan]] = {
    VolumeLayout.RAID5: _add_parity_log,
    VolumeLayout.MIRROR: _add_dirty_log,
    VolumeLayout.MIRROR_STRIPE: _add_dirty_log,
}
_REMOVE: Mapping[VolumeLayout, Callable[[Config, RemoveLog, Ids], Plan]] = {
    VolumeLayout.RAID5: _remove_parity_log,
    VolumeLayout.MIRROR: _remove_dirty_log,
    VolumeLayout.MIRROR_STRIPE: _remove_dirty_log,
}
