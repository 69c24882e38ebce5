"""Repair Volume and Reactivate Disk: volumes that do without something are made whole."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from engine import rules
from engine.allocate import Piece, Space, place_lost, relocation_pools
from engine.commands import ReactivateDisk, RepairVolumes
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.parity import rebuild_task
from engine.planners.sizes import named_disks, warn_failing
from engine.plans import Plan, Problem, refused
from engine.records import (
    Origin,
    PieceState,
    Plex,
    PlexLayout,
    PlexState,
    Ref,
    Subdisk,
    Task,
    TaskParams,
    TaskType,
    Volume,
    VolumeLayout,
)
from engine.rules import counted, listed
from engine.states import COMPLETE, pieces_out
from engine.units import format_size


def repair(config: Config, command: RepairVolumes, ids: Ids) -> Plan:
    """New places for what is lost, and a task for each volume that fills them."""
    volumes = [config.volume(ref) for ref in dict.fromkeys(command.volumes)]
    title = f"Repair {listed([volume.name for volume in volumes])}"
    apart = rules.one_group(config, (volume.group for volume in volumes), "volumes", "volumes")
    named = named_disks(config, volumes[0].group, command.disks)
    if blocked := refuse(title, apart, named, *(_problem(config, volume) for volume in volumes)):
        return blocked
    draft = Draft(config, ids, volumes[0].group)
    for volume in volumes:
        if problem := _place(draft, volume, command.disks):
            return refused(title, problem)
    warn_failing(draft, command.disks)
    draft.allocation_steps("volumes stay online")
    return filled(draft, title, [(volume, _moved(draft, volume)) for volume in volumes])


def reactivate(config: Config, command: ReactivateDisk, ids: Ids) -> Plan:
    """The disk is in service again; what had to do without it is filled."""
    disk = config.disk(command.disk)
    title = f"Reactivate {disk.name}"
    if blocked := refuse(title, rules.needs_imported(config, disk.group), rules.disk_can_return(config, disk.ref)):
        return blocked
    chosen = command.volumes
    if chosen is not None and disk.failing:
        return refused(title, Problem(f"{disk.name} is failing.", "Reactivate it as a whole.", disk.ref, "volumes"))
    draft = Draft(config, ids, disk.group)
    if chosen is None:
        draft.put(replace(disk, failing=False, errors=0))
        draft.step(f"Read the label of {disk.name} again and return it to service", "its errors are forgotten")
    returning = rules.plexes_to_return(config, disk.ref)
    fills: list[tuple[Volume, list[Plex]]] = []
    for ref in rules.volumes_to_return(config, disk.ref):
        if chosen is not None and ref not in chosen:
            continue
        volume = config.volume(ref)
        if problem := rules.no_running_task(config, ref) or rules.has_source(config, ref):
            draft.warn(f"{volume.name} is not filled now: {problem.text}")
        else:
            fills.append((volume, [plex for plex in returning if plex.volume == ref]))
    return filled(draft, title, fills)


def _problem(config: Config, volume: Volume) -> Problem | None:
    if blocked := (
        rules.volume_ready(config, volume.ref)
        or rules.not_initializing(config, volume.ref)
        or rules.takes_writes(config, volume.ref)
    ):
        return blocked
    if not rules.needs_repair(config, volume.ref):
        lost = [piece for plex in config.plexes_of(volume.ref) for piece in rules.lost_pieces(config, plex.ref)]
        names = listed(dict.fromkeys(config.disk(piece.disk).name for piece in lost)) if lost else ""
        if not lost:
            return Problem(f"{volume.name} lacks nothing.", "There is nothing to repair.", volume.ref, "volumes")
        text = f"{volume.name} has no copy beside the one on {names}."
        if all(config.disk(piece.disk).present for piece in lost):
            return Problem(text, f"Evacuate {names} while it can be read.", volume.ref, "volumes")
        return Problem(text, f"Bring {names} back, or delete the volume.", volume.ref, "volumes")
    return rules.has_source(config, volume.ref)


def _place(draft: Draft, volume: Volume, disks: Sequence[Ref]) -> Problem | None:
    """Give everything of a volume that is lost another place."""
    lost = rules.lost_of(draft.config, volume.ref)
    logs = [sd for sd in lost if draft.config.plex(sd.plex).layout is PlexLayout.LOG]
    for subdisk in lost:
        pieces = place_lost(draft.config, subdisk, disks)
        if pieces is not None:
            relocate(draft, subdisk, pieces)
            continue
        problem = _nowhere(draft.config, subdisk, disks)
        if subdisk not in logs or len(logs) == len(lost):
            return problem
        draft.warn(f"{problem.text} {volume.name} goes on without this copy of its log.")
    return None


def relocate(draft: Draft, subdisk: Subdisk, pieces: Sequence[Piece]) -> None:
    """A subdisk lies elsewhere from now on, and remembers where it was. Nothing stands there yet."""
    home = subdisk.origin or Origin(subdisk.disk, subdisk.disk_offset)
    draft.free(subdisk)
    draft.drop(subdisk.ref)  # its name may be given to a piece on the same disk no more
    made = draft.add_subdisks(draft.config.plex(subdisk.plex), subdisk.column, subdisk.plex_offset, pieces)
    draft.drop(made[0].ref)
    first = replace(made[0], ref=subdisk.ref)
    done = 0
    for piece in (first, *made[1:]):
        origin = Origin(home.disk, home.disk_offset + done)
        draft.put(replace(piece, origin=origin, state=_state(draft, subdisk)))
        done += piece.length


def _state(draft: Draft, subdisk: Subdisk) -> PieceState:
    return PieceState.STALE if rules.is_parity(draft.config.plex(subdisk.plex)) else subdisk.state


def _nowhere(config: Config, subdisk: Subdisk, disks: Sequence[Ref]) -> Problem:
    volume = config.volume_of(subdisk)
    pool = relocation_pools(config, volume.group, disks)[-1]
    others = [disk.ref for disk in pool if disk.ref != subdisk.disk]
    apart = [ref for ref in others if rules.shares_disk(config, subdisk, ref) is None]
    help_ = "Add a disk to the disk group, give it the usage spare, or replace the lost disk."
    if not apart:
        text = f"No disk may take {subdisk.name}: none is without another part of {volume.name}."
        return Problem(text, help_, volume.ref, "disks")
    free = sum(map(Space(config, map(config.disk, apart)).total, apart))
    text = f"There is too little free space for {subdisk.name}: {rules.needed_free(subdisk.length, free)}."
    return Problem(text, help_, volume.ref, "disks")


def _moved(draft: Draft, volume: Volume) -> list[Plex]:
    return [draft.config.plex(plex.ref) for plex in rules.to_repair(draft.base, volume.ref)]


def filled(draft: Draft, title: str, fills: Sequence[tuple[Volume, Sequence[Plex]]]) -> Plan:
    """The plan that ends by filling these plexes of these volumes, and the columns that are out, each by a task."""
    tasks: list[Task] = []
    for volume, plexes in fills:
        _use_logs_again(draft, volume)
        tasks += _mirror_task(draft, volume, plexes) + _column_task(draft, volume)
    plan = draft.plan(
        title,
        task=tasks[0] if tasks else None,
        copies=sum(task.bytes_total for task in tasks),
        redundancy=_meanwhile(draft, [volume for volume, _ in fills]),
        irreversible=_overwritten(draft, tasks),
    )
    return msgspec.structs.replace(plan, also=tuple(tasks[1:]))


def _meanwhile(draft: Draft, volumes: Sequence[Volume]) -> str:
    """How redundant the volumes are while they are filled: mirrors have copies, RAID-5 has columns and parity."""
    mirrored = [volume for volume in volumes if volume.layout is not VolumeLayout.RAID5]
    thin = [volume for volume in volumes if volume not in mirrored and not _has_all_columns(draft, volume)]
    copies: dict[int, list[str]] = {}
    for volume in mirrored:
        copies.setdefault(len(rules.trusted(draft.config, volume.ref)), []).append(volume.name)
    sentences = [_has_copies(names, number) for number, names in sorted(copies.items())]
    if thin:
        names = listed([volume.name for volume in thin])
        sentences.append(f"{names} can't do without another column until the rebuild has ended.")
    return " ".join(sentences)


def _has_copies(names: list[str], number: int) -> str:
    have, each = ("has", "") if len(names) == 1 else ("have", " each")
    return f"{listed(names)} {have} {counted(number, 'complete copy')}{each} until the copy has ended."


def _has_all_columns(draft: Draft, volume: Volume) -> bool:
    return not any(pieces_out(draft.config, plex) for plex in draft.config.plexes_of(volume.ref))


def _overwritten(draft: Draft, tasks: Sequence[Task]) -> str:
    """What nobody can have back: what stands where the tasks write, and what is left behind on lost disks."""
    here: list[tuple[str, str]] = []  # volume and disk
    left: list[tuple[str, str]] = []
    for task in tasks:
        pieces = [sd for plex in task.params.plexes for sd in draft.config.subdisks_of(plex)]
        for piece in pieces or [draft.config.subdisk(ref) for ref in task.params.subdisks]:
            before = draft.base.get(piece.ref)
            if isinstance(before, Subdisk):
                stays = before.disk == piece.disk
                (here if stays else left).append(
                    (draft.config.volume_of(piece).name, draft.base.disk(before.disk).name)
                )
    sentences = [f"{_have(here)} now is overwritten." if here else "", f"{_have(left)} is given up." if left else ""]
    return " ".join(filter(None, sentences))


def _have(pairs: Sequence[tuple[str, str]]) -> str:
    """`What ev and web have on Harddisk3`."""
    volumes, disks = dict.fromkeys(volume for volume, _ in pairs), dict.fromkeys(disk for _, disk in pairs)
    return f"What {listed(volumes)} {'has' if len(volumes) == 1 else 'have'} on {listed(disks)}"


def _mirror_task(draft: Draft, volume: Volume, plexes: Sequence[Plex]) -> list[Task]:
    """While one mirror is believed, all others are made equal to it."""
    mirrors = {plex.ref for plex in draft.config.plexes_of(volume.ref)}  # logs are no copies of the data
    targets = {plex.ref for plex in plexes} & mirrors
    if not targets:
        return []
    in_doubt = volume.source is not None
    for plex in draft.config.plexes_of(volume.ref):
        fresh = plex.ref in targets and _is_elsewhere(draft, plex)
        if plex.ref in targets and (fresh or plex.state not in COMPLETE or not in_doubt):
            draft.put(replace(plex, state=PlexState.FILLING, tracked=plex.tracked and not fresh))
        elif in_doubt and plex.ref != volume.source and plex.state in COMPLETE:
            targets.add(plex.ref)
    if volume.preferred in targets:
        draft.put(replace(draft.config.volume(volume.ref), preferred=None))
    refs = tuple(plex.ref for plex in draft.config.plexes_of(volume.ref) if plex.ref in targets)
    total = volume.size * len(refs)
    names = listed([draft.config.plex(ref).name for ref in refs])
    draft.step(f"Copy {format_size(total)} to {names}", "writes go to every copy")
    params = TaskParams(volume=volume.ref, plexes=refs)
    return [draft.task(TaskType.RESYNC, f"Resynchronize {volume.name}", volume.ref, params, total)]


def _is_elsewhere(draft: Draft, plex: Plex) -> bool:
    """Whether a piece of a plex has been given another place by this plan."""
    return any(draft.base.get(sd.ref) != sd for sd in draft.config.subdisks_of(plex.ref))


def _column_task(draft: Draft, volume: Volume) -> list[Task]:
    out = [piece for plex in draft.config.plexes_of(volume.ref) for piece in pieces_out(draft.config, plex)]
    here = [piece for piece in out if not rules.is_lost(draft.config, piece)]
    if not here:
        return []
    task = rebuild_task(draft, volume, here, f"Rebuild {volume.name}")
    text = f"Rebuild {format_size(task.bytes_total)} of {volume.name} from the other columns"
    draft.step(text, "reads and writes go on")
    return [task]


def _use_logs_again(draft: Draft, volume: Volume) -> None:
    """Copies of a log on sound disks: the commit writes an empty log to them."""
    config = draft.config
    sound = [log for log in rules.logs_left_out(config, volume.ref) if not rules.lost_pieces(config, log.ref)]
    if sound and volume.parity_known:
        draft.put(*(replace(log, state=PlexState.ACTIVE) for log in sound))
        draft.step(f"Write an empty log to {listed([log.name for log in sound])}", "writes wait for an instant")
