"""Move Subdisk and Evacuate Disk."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine import rules
from engine.allocate import Piece, Shape, Space, place_on, place_piece, usable_disks
from engine.commands import EvacuateDisk, Move, MoveSubdisks, Target
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.enclosures import warn_moved_together
from engine.planners.sizes import named_disks, warn_failing
from engine.plans import Plan, Problem
from engine.records import Plex, PlexLayout, Ref, Subdisk, TaskParams, TaskType
from engine.rules import listed
from engine.states import COMPLETE
from engine.units import format_size


def move(config: Config, command: MoveSubdisks, ids: Ids) -> Plan:
    """Targets for each subdisk, and the task that fills them and lets them take over."""
    moves = list({one.subdisk: one for one in command.moves}.values())
    subdisks = [config.subdisk(one.subdisk) for one in moves]
    title = _title(config, moves)
    apart = rules.one_group(config, (config.volume_of(one).group for one in subdisks), "subdisks")
    if blocked := refuse(title, apart, *(rules.can_move(config, one) for one in subdisks)):
        return blocked
    if blocked := refuse(title, _together(config, moves, command.force)):
        return blocked
    group = config.volume_of(subdisks[0]).group
    draft = Draft(config, ids, group)
    space = Space(config, usable_disks(config, group))
    for one in moves:
        if blocked := refuse(title, _move_one(draft, one, space, command.force)):
            return blocked
    warn_failing(draft, list(dict.fromkeys(target.disk for one in moves for target in one.targets)))
    if not any(one.targets for one in moves):
        title += f" to {_disks(config, _targets(draft, subdisks))}"
    return _plan(draft, subdisks, title, TaskType.MOVE_SUBDISK, None)


def evacuate(config: Config, command: EvacuateDisk, ids: Ids) -> Plan:
    """Every subdisk of a disk moves to the named disks, or to any that may take it."""
    disk = config.disk(command.disk)
    title = f"Evacuate {disk.name}"
    subdisks = config.subdisks_on(disk.ref)
    if blocked := refuse(title, _evacuate_problem(config, command, subdisks)):
        return blocked
    assert disk.group is not None  # its volumes have one
    draft = Draft(config, ids, disk.group)
    pool = usable_disks(config, disk.group, command.targets)
    space = Space(config, [usable for usable in pool if usable.ref != disk.ref])
    for subdisk in sorted(subdisks, key=lambda subdisk: (-subdisk.length, subdisk.disk_offset)):
        if blocked := refuse(title, _move_one(draft, Move(subdisk.ref), space, command.force)):
            return blocked
    warn_failing(draft, command.targets)
    return _plan(draft, subdisks, title, TaskType.EVACUATE_DISK, disk.ref)


def _title(config: Config, moves: Sequence[Move]) -> str:
    disks = {config.disk(target.disk).name for one in moves for target in one.targets}
    what = config.subdisk(moves[0].subdisk).name if len(moves) == 1 else f"{len(moves)} subdisks"
    return f"Move {what} to {listed(sorted(disks))}" if disks else f"Move {what}"


def _together(config: Config, moves: Sequence[Move], force: bool) -> Problem | None:
    """What is dropped on one disk as a whole is judged as a whole, with the sentence that the drag has shown."""
    dropped: dict[Ref, list[Subdisk]] = {}
    for one in moves:
        if len(one.targets) == 1 and one.targets[0].offset == -1 and not one.targets[0].length:
            dropped.setdefault(one.targets[0].disk, []).append(config.subdisk(one.subdisk))
    for disk, subdisks in dropped.items():
        if blocked := rules.can_take_subdisk(config, subdisks, disk, force=force):
            return blocked
    return None


def _evacuate_problem(config: Config, command: EvacuateDisk, subdisks: Sequence[Subdisk]) -> Problem | None:
    disk = config.disk(command.disk)
    if blocked := rules.needs_imported(config, disk.group):
        return blocked
    if not subdisks:
        return Problem(f"{disk.name} holds no subdisk.", "There is nothing to move.", disk.ref)
    if disk.ref in command.targets:
        return Problem(f"{disk.name} can't be evacuated to itself.", "Choose other disks.", disk.ref, "targets")
    problems = (rules.can_move(config, subdisk) for subdisk in subdisks)
    found = next((problem for problem in problems if problem), None)
    return found or (named_disks(config, disk.group, command.targets) if disk.group else None)


def _move_one(draft: Draft, one: Move, space: Space, force: bool) -> Problem | None:
    """Put the targets of one subdisk. `space` is what earlier ones have left for the engine to choose from."""
    config = draft.config
    subdisk = config.subdisk(one.subdisk)
    if one.targets:
        found = _chosen(config, subdisk, one.targets, force)
    else:
        found = place_piece(config, subdisk, space, force=force) or _nowhere(config, subdisk, space.disks, force)
    if isinstance(found, Problem):
        return found
    plex = config.plex(subdisk.plex)
    if blocked := _cut_wrong(plex, subdisk, found):
        return blocked
    for piece in found:
        space.take_if_known(piece)
    draft.add_subdisks(plex, subdisk.column, subdisk.plex_offset, found, subdisk.ref, state=subdisk.state)
    draft.free(subdisk)
    if len(found) > 1:
        draft.warn(f"{subdisk.name} will be in {len(found)} pieces.")
    return None


def _cut_wrong(plex: Plex, subdisk: Subdisk, pieces: Sequence[Piece]) -> Problem | None:
    """A log is never divided, and a RAID-5 column between whole stripe units only."""
    if plex.layout is PlexLayout.LOG and len(pieces) > 1:
        text = f"{subdisk.name} is a log, which lies in one piece."
        return Problem(text, "Choose a larger free region.", subdisk.ref, "targets")
    edge = Shape.of(plex).edge
    if any(piece.length % edge for piece in pieces):
        text = f"{subdisk.name} can only be divided between whole stripe units of {format_size(edge)}."
        return Problem(text, "Choose other lengths, or one place.", subdisk.ref, "targets")
    return None


def _nowhere(config: Config, subdisk: Subdisk, pool: Sequence[Ref], force: bool) -> Problem:
    """Why no disk takes the subdisk: the first reason when all have the same, else that no room is left."""
    others = [ref for ref in pool if ref != subdisk.disk]
    reasons = [rules.can_take_subdisk(config, [subdisk], ref, force=force) for ref in others]
    if len(others) == 1 and reasons[0]:
        return reasons[0]
    space = Space(config, map(config.disk, others))
    free = [space.total(ref) for ref in others if rules.shares_disk(config, subdisk, ref) is None]
    if not free:
        text = f"No disk may take {subdisk.name}: each holds another part of {config.volume_of(subdisk).name}."
        return Problem(text, "Add a disk to the disk group.", subdisk.ref, "targets")
    text = f"There is too little free space for {subdisk.name}: {rules.needed_free(subdisk.length, sum(free))}."
    return Problem(text, "Add a disk to the disk group, or choose other disks.", subdisk.ref, "targets")


def _chosen(config: Config, subdisk: Subdisk, targets: Sequence[Target], force: bool) -> tuple[Piece, ...] | Problem:
    """The pieces on chosen places, in their order; together they must have the subdisk's length."""
    space = Space(config, [config.disk(target.disk) for target in targets])
    pieces: list[Piece] = []
    left = subdisk.length
    for number, target in enumerate(targets):
        last = number == len(targets) - 1
        if not left:
            return Problem(f"{subdisk.name} needs fewer places than were chosen.", "Leave some out.", field="targets")
        if problem := _target_problem(config, subdisk, target, left if last else 0, force):
            return problem
        found = _on_target(space, target, left)
        got = sum(piece.length for piece in found)
        if got < min(target.length or (left if last else 1), left):
            return _short(config, target, min(target.length or left, left), got)
        pieces += found
        left -= got
    if not left:
        return tuple(pieces)
    chosen = format_size(subdisk.length - left)
    text = f"The chosen places hold {chosen} of the {format_size(subdisk.length)} of {subdisk.name}."
    return Problem(text, "Choose more places, or larger ones.", subdisk.ref, "targets")


def _target_problem(config: Config, subdisk: Subdisk, target: Target, needed: int, force: bool) -> Problem | None:
    """The same sentence that the console shows while hovering."""
    if target.length < 0 or target.offset < -1 or target.length % rules.SECTOR:
        return Problem("A place on a disk can't have these numbers.", "Give a multiple of 4 KiB.", field="targets")
    wanted = min(needed, target.length or needed)
    probe = replace(subdisk, length=wanted)
    offset = None if target.offset < 0 else target.offset
    return rules.can_take_subdisk(config, [probe], target.disk, offset, force=force)


def _on_target(space: Space, target: Target, left: int) -> list[Piece]:
    wanted = min(left, target.length or left)
    if target.offset < 0:
        return place_on(space, target.disk, wanted)
    room = min(wanted, space.at(target.disk, target.offset))
    return [space.take_at(target.disk, target.offset, room)] if room else []


def _short(config: Config, target: Target, needed: int, got: int) -> Problem:
    disk = config.disk(target.disk)
    where = disk.name if target.offset < 0 else f"{disk.name} at {format_size(target.offset)}"
    text = f"{where} has too little free space: {rules.needed_free(needed, got)}."
    return Problem(text, "Choose a larger free region, or several.", disk.ref, "targets")


def _plan(draft: Draft, subdisks: Sequence[Subdisk], title: str, type_: TaskType, disk: Ref | None) -> Plan:
    config = draft.base
    volumes = list(dict.fromkeys(config.volume_of(subdisk) for subdisk in subdisks))
    names = listed([volume.name for volume in volumes])
    copied = [subdisk for subdisk in subdisks if _is_copied(config.plex(subdisk.plex), subdisk)]
    total, copies = (sum(subdisk.length for subdisk in some) for some in (subdisks, copied))
    warn_moved_together(draft, volumes)
    draft.allocation_steps(f"{names} {'stays' if len(volumes) == 1 else 'stay'} online")
    if copies:
        draft.step(f"Copy {format_size(copies)}", "writes go to the old and the new place")
    draft.step(f"Free {format_size(total)} on {_disks(config, subdisks)}", "the new place has taken over")
    params = TaskParams(
        volume=volumes[0].ref if len(volumes) == 1 else None,
        subdisks=tuple(target.ref for target in _targets(draft, subdisks)),
        disk=disk,
    )
    object_ = disk or (subdisks[0].ref if len(subdisks) == 1 else params.volume) or draft.group
    return draft.plan(
        title,
        task=draft.task(type_, title, object_, params, total),
        undo=_back(draft, subdisks),
        copies=copies,
        redundancy=f"{names} {'keeps' if len(volumes) == 1 else 'keep'} every copy throughout.",
    )


def _is_copied(plex: Plex, subdisk: Subdisk) -> bool:
    return plex.state in COMPLETE and rules.holds_bytes(plex, subdisk)


def _targets(draft: Draft, subdisks: Sequence[Subdisk]) -> list[Subdisk]:
    return [target for subdisk in subdisks for target in draft.config.replacements_of(subdisk.ref)]


def _disks(config: Config, subdisks: Sequence[Subdisk]) -> str:
    return listed(dict.fromkeys(config.disk(subdisk.disk).name for subdisk in subdisks))


def _back(draft: Draft, subdisks: Sequence[Subdisk]) -> MoveSubdisks:
    """The inverse: the old record stands on the first target then, the further targets beside it; all go home."""
    moves = []
    for subdisk in subdisks:
        home = subdisk.disk_offset
        for number, target in enumerate(draft.config.replacements_of(subdisk.ref)):
            who = subdisk.ref if number == 0 else target.ref
            moves.append(Move(who, (Target(subdisk.disk, home, target.length),)))
            home += target.length
    return MoveSubdisks(moves=tuple(moves))
