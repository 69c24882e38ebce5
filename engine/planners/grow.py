"""Expand Volume."""

from __future__ import annotations

from engine import rules
from engine.allocate import Growth, Shape, Space, grow_columns, hidden_tails, max_grow, usable_disks
from engine.commands import MAX_SIZE, GrowVolume, ShrinkVolume
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.enclosures import warn_moved_together
from engine.planners.logs import log_places
from engine.planners.sizes import named_disks, no_space, rounded, warn_failing
from engine.plans import Plan, Problem, refused
from engine.records import Ref, TaskParams, TaskType, Volume
from engine.units import format_size


def grow(config: Config, command: GrowVolume, ids: Ids) -> Plan:
    """New subdisks behind every column, and the task that zeroes them and publishes the larger size."""
    volume = config.volume(command.volume)
    title = f"Expand Volume {volume.name}"
    if blocked := refuse(title, _problem(config, command, volume)):
        return blocked
    draft = Draft(config, ids, volume.group)
    granule = max(Shape.of(plex).granule for plex in config.plexes_of(volume.ref))
    size = max_grow(config, command) if command.size == MAX_SIZE else rounded(draft, command.size, granule)
    if blocked := refuse(title, _larger(volume, size, command)):
        return blocked
    disks = usable_disks(config, volume.group, command.disks)
    growths = grow_columns(config, volume.ref, size, Space(config, disks))
    if growths is None:
        largest = max_grow(config, command)
        return refused(title, no_space(config, disks, 1, size, largest if largest > volume.size else 0))
    subdisks = _put(draft, growths)
    warn_failing(draft, command.disks)
    warn_moved_together(draft, [volume])
    _warn_connected(draft, volume)
    if volume.dirty_log is not None and volume.dirty_log.places:
        log_places(draft, volume.ref, size)
    total = draft.allocated() + sum(tail.length for tail in hidden_tails(config, volume.ref))
    title = f"Expand Volume {volume.name} to {format_size(size)}"
    draft.allocation_steps(f"{volume.name} stays online")
    draft.step(f"Zero {format_size(total)}", "reads and writes go on")
    draft.step(f"Publish {volume.name} with {format_size(size)}", "clients see the new size when they connect again")
    params = TaskParams(volume=volume.ref, subdisks=subdisks, size=size)
    return draft.plan(
        title,
        task=draft.task(
            TaskType.GROW_VOLUME, f"Expand {volume.name} to {format_size(size)}", volume.ref, params, total
        ),
        zeroes=total,
        redundancy=f"{volume.name} keeps {rules.counted(volume.copies, 'copy')} throughout.",
        undo=ShrinkVolume(volume=volume.ref, size=volume.size),
    )


def _put(draft: Draft, growths: list[Growth]) -> tuple[Ref, ...]:
    subdisks = []
    for growth in growths:
        plex = draft.config.plex(growth.plex)
        subdisks += draft.add_subdisks(plex, growth.column, growth.end, growth.pieces)
    return tuple(subdisk.ref for subdisk in subdisks)


def _warn_connected(draft: Draft, volume: Volume) -> None:
    """What happens to clients, and to what stands on the volume."""
    names = rules.clients_of(draft.base, volume.ref)
    if names:
        verb = "sees" if len(names) == 1 else "see"
        draft.warn(f"{rules.listed(names)} {verb} the new size only after connecting again.")
    if volume.content:
        text = f"The {volume.content} on {volume.name} stays as large as it is until it is resized, too"
        draft.warn(f"{text}: File System > Resize.")


def _problem(config: Config, command: GrowVolume, volume: Volume) -> Problem | None:
    return (
        rules.volume_ready(config, volume.ref)
        or rules.not_initializing(config, volume.ref)
        or rules.size_is_free(config, volume.ref)
        or rules.takes_writes(config, volume.ref)
        or rules.all_complete(config, volume.ref)
        or (None if command.size == MAX_SIZE else rules.size_ok(command.size))
        or named_disks(config, volume.group, command.disks)
    )


def _larger(volume: Volume, size: int, command: GrowVolume) -> Problem | None:
    if size > volume.size:
        return None
    if command.size == MAX_SIZE:
        text = f"{volume.name} can't become larger than its {format_size(volume.size)}."
        return Problem(
            text, "Add disks to the disk group, or free space on the disks that it uses.", volume.ref, "disks"
        )
    text = f"{volume.name} has {format_size(volume.size)} already."
    return Problem(text, "Give a larger size, or shrink the volume.", volume.ref, "size")
