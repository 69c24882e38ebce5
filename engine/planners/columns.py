"""Add Column: striped mirrors made anew, one column wider, while the volume is in use."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.allocate import Space, usable_disks, widen_plexes, widened
from engine.commands import AddColumn
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.sizes import named_disks, warn_failing
from engine.plans import Plan, Problem, refused
from engine.records import Plex, PlexLayout, PlexState, TaskParams, TaskType, Volume
from engine.rules import counted, listed
from engine.units import format_size


def add(config: Config, command: AddColumn, ids: Ids) -> Plan:
    """A wider plex beside each striped one, and the task that fills it and lets it take over."""
    volume = config.volume(command.volume)
    title = f"Add a Column to {volume.name}"
    striped = [plex for plex in config.plexes_of(volume.ref) if plex.layout is PlexLayout.STRIPE]
    if blocked := refuse(title, _problem(config, command, volume, striped)):
        return blocked
    disks = usable_disks(config, volume.group)
    extra = usable_disks(config, volume.group, command.disks) if command.disks else disks
    own = {sd.disk for plex in striped for sd in config.subdisks_of(plex.ref)}
    usable = [disk for disk in disks if disk.ref in own]
    usable += [disk for disk in extra if disk.ref not in own]
    placed = widen_plexes(config, striped, Space(config, usable), volume.size)
    if placed is None:
        return refused(title, _no_room(volume, striped))
    draft = Draft(config, ids, volume.group)
    params = TaskParams(volume=volume.ref, leaving=tuple(plex.ref for plex in striped))
    for plex, columns in zip(striped, placed, strict=True):
        template = replace(plex, columns=plex.columns + 1, state=PlexState.FILLING, complete=False, length=0)
        made = draft.add_plexes(volume, replace(template, tracked=False), [columns])
        params = replace(params, plexes=params.plexes + made.plexes, subdisks=params.subdisks + made.subdisks)
    for plex in striped:
        for subdisk in config.subdisks_of(plex.ref):
            draft.free(subdisk)
    warn_failing(draft, command.disks)
    total = volume.size * len(striped)
    names, wide = listed([plex.name for plex in striped]), striped[0].columns + 1
    draft.allocation_steps(f"{volume.name} stays online")
    draft.step(f"Copy {format_size(total)} to {counted(wide, 'column')}", "writes go to the old and the new columns")
    draft.step(f"Let the new columns take over as {names}", "the old ones are freed in the same transaction")
    return draft.plan(
        title,
        task=draft.task(TaskType.ADD_COLUMN, title, volume.ref, params, total),
        copies=total,
        redundancy=f"{volume.name} keeps {counted(volume.copies, 'copy')} throughout.",
        irreversible="A column can't be taken out again.",
    )


def _problem(config: Config, command: AddColumn, volume: Volume, striped: list[Plex]) -> Problem | None:
    if blocked := rules.volume_ready(config, volume.ref) or rules.not_initializing(config, volume.ref):
        return blocked
    if blocked := rules.not_parity(config, volume.ref, "can't get another column"):
        return Problem(blocked.text, "Make a wider volume and copy the data.", volume.ref)
    if blocked := rules.size_is_free(config, volume.ref):
        return blocked
    if not striped:
        return Problem(f"{volume.name} is not striped.", "Add a striped mirror, then remove the other.", volume.ref)
    if striped[0].columns >= rules.COLUMNS_MAX:
        text = f"{volume.name} has {striped[0].columns} columns, the most that are possible."
        return Problem(text, "There is nothing to add.", volume.ref)
    return rules.all_complete(config, volume.ref) or named_disks(config, volume.group, command.disks)


def _no_room(volume: Volume, striped: list[Plex]) -> Problem:
    need = sum(widened(plex).column_length(volume.size) * (plex.columns + 1) for plex in striped)
    text = (
        f"The new columns need {format_size(need)} beside the old ones until the copy has ended: on the disks of each "
        f"column, and on {counted(len(striped), 'disk')} without a part of {volume.name} at least."
    )
    return Problem(text, "Add disks to the disk group, or free space on these.", volume.ref, "disks")
