"""Replace Disk and Undo Hot Relocation: what lies on a disk goes to another one as it is, or comes home."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from engine import rules
from engine.commands import Move, MoveSubdisks, ReplaceDisk, Target, UndoRelocation
from engine.config import Config
from engine.geometry import geometry
from engine.planners.disks import initialized, overwritten
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.moves import move
from engine.planners.repair import filled
from engine.plans import Plan, Problem
from engine.records import Disk, DiskUsage, Origin, PieceState, Plex, Ref, Subdisk, Volume
from engine.rules import counted
from engine.states import COMPLETE
from engine.units import format_size


def replace_disk(config: Config, command: ReplaceDisk, ids: Ids) -> Plan:
    """Another LUN takes the name, the usage and the subdisks of a lost disk under an identity of its own, so that the
    old LUN is nobody's when it comes back."""
    old, new = config.disk(command.disk), config.disk(command.by)
    title = f"Replace {old.name} by {new.name}"
    joins = rules.disk_can_join(config, new.ref, force=command.force)
    if blocked := refuse(title, rules.needs_imported(config, old.group), rules.is_lost_disk(config, old.ref), joins):
        return blocked
    if blocked := refuse(title, _too_small(config, old, new), rules.can_do_without(config, old.ref)):
        return blocked
    volumes = [config.volume(ref) for ref in rules.volumes_on(config, old.ref)]
    draft = Draft(config, ids, old.group)
    shift = geometry(new.size).public_offset - old.public_offset
    fresh = replace(initialized(new, old.group), name=old.name, usage=old.usage)
    irreversible, confirm, destroys = overwritten(draft, [new])
    _take_place(draft, old, fresh, shift)
    draft.step(f"Write label and private region on {new.name}, which is {old.name} from now on")
    fills = [(volume, _plexes_on(config, old, volume)) for volume in volumes]
    plan = filled(draft, title, fills)
    question = f"Replace {old.name} by {new.name}? {_contents(config, old)}"
    return msgspec.structs.replace(
        plan,
        destroys=tuple(destroys),
        irreversible=f"{irreversible} {plan.irreversible}".strip()
        or f"The LUN that was {old.name} leaves the disk group.",
        confirm=confirm or question,
        confirm_button="Replace Disk",
    )


def _plexes_on(config: Config, disk: Disk, volume: Volume) -> list[Plex]:
    """The mirrors of a volume with a piece on a disk. A column of RAID-5 is filled by itself."""
    plexes = [plex for plex in config.plexes_of(volume.ref) if not rules.is_parity(plex)]
    return [plex for plex in plexes if any(sd.disk == disk.ref for sd in config.subdisks_of(plex.ref))]


def _too_small(config: Config, old: Disk, new: Disk) -> Problem | None:
    """Subdisks keep their places behind the begin of the public region."""
    found = geometry(new.size)
    ends = [sd.disk_offset + sd.length - old.public_offset for sd in config.subdisks_on(old.ref)]
    if max(ends, default=0) <= found.public_length:
        return None
    text = f"{new.name} is too small: {old.name} is used up to {format_size(max(ends))}, "
    text += f"and {format_size(found.public_length)} would be there."
    return Problem(text, "Choose a larger LUN, or repair the volumes onto other disks.", new.ref, "by")


def _take_place(draft: Draft, old: Disk, fresh: Disk, shift: int) -> None:
    """Subdisks and memories of the old disk are the new one's; the old disk goes."""
    former = draft.config.disk(fresh.ref).name
    draft.put(fresh)
    for subdisk in draft.config.subdisks_on(old.ref):
        parity = rules.is_parity(draft.config.plex(subdisk.plex))
        state = PieceState.STALE if parity else subdisk.state
        place = subdisk.disk_offset + shift
        draft.put(replace(subdisk, disk=fresh.ref, disk_offset=place, state=state))
    for subdisk in rules.relocated(draft.config, old.ref):
        assert subdisk.origin is not None
        draft.put(replace(subdisk, origin=Origin(fresh.ref, subdisk.origin.disk_offset + shift)))
    if old.present:
        draft.put(replace(old, group=None, name=former, usage=DiskUsage.NORMAL))
    else:
        draft.drop(old.ref)


def _contents(config: Config, disk: Disk) -> str:
    subdisks = config.subdisks_on(disk.ref)
    total = sum(sd.length for sd in subdisks if config.plex(sd.plex).state not in COMPLETE or disk.failing)
    if not subdisks:
        return "No subdisk lies there."
    return f"Its {counted(len(subdisks), 'subdisk')} with {format_size(total)} are filled from other copies."


def undo(config: Config, command: UndoRelocation, ids: Ids) -> Plan:
    """Everything that was taken away from a disk moves back, to its old place where that is free."""
    disk = config.disk(command.disk)
    title = f"Undo Hot Relocation to {disk.name}"
    subdisks = rules.relocated(config, disk.ref)
    if blocked := refuse(title, _undo_problem(config, disk, subdisks)):
        return blocked
    moves = [_homeward(config, disk, subdisk) for subdisk in subdisks]
    plan = move(config, MoveSubdisks(moves=tuple(moves)), ids)
    if plan.problems:
        plan = _what_can(config, moves, ids) or plan
    task = msgspec.structs.replace(plan.task, name=title, object=disk.ref) if plan.task is not None else None
    return msgspec.structs.replace(plan, title=title, task=task)


def _what_can(config: Config, moves: list[Move], ids: Ids) -> Plan | None:
    """What keeps one volume from going home keeps no other from it."""
    by_volume: dict[Ref, list[Move]] = {}
    for one in moves:
        by_volume.setdefault(config.volume_of(config.subdisk(one.subdisk)).ref, []).append(one)
    alone = {ref: move(config, MoveSubdisks(moves=tuple(some)), ids) for ref, some in by_volume.items()}
    free = [one for ref, some in by_volume.items() if not alone[ref].problems for one in some]
    if not free:
        return None
    plan = move(config, MoveSubdisks(moves=tuple(free)), ids)
    stay = [
        f"{config.volume(ref).name} stays where it is: {p.problems[0].text}" for ref, p in alone.items() if p.problems
    ]
    return msgspec.structs.replace(plan, warnings=(*plan.warnings, *stay))


def _undo_problem(config: Config, disk: Disk, subdisks: list[Subdisk]) -> Problem | None:
    if blocked := rules.needs_imported(config, disk.group):
        return blocked
    if not subdisks:
        return Problem(f"Nothing was relocated from {disk.name}.", "There is nothing to undo.", disk.ref, "disk")
    if disk.present and not disk.failing:
        return None
    help_ = "Bring its LUN back and rescan" if not disk.present else "Reactivate it"
    state = "failing" if disk.present else "missing"
    return Problem(f"{disk.name} is {state}.", f"{help_}, or replace the disk.", disk.ref, "disk")


def _homeward(config: Config, disk: Disk, subdisk: Subdisk) -> Move:
    assert subdisk.origin is not None
    start, end = subdisk.origin.disk_offset, subdisk.origin.disk_offset + subdisk.length
    free = any(extent.start <= start and end <= extent.end for extent in config.free(disk.ref))
    return Move(subdisk.ref, (Target(disk.ref, start if free else -1),))
