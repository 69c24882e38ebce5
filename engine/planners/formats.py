"""Format: an empty file system on a volume."""

from __future__ import annotations

from engine import rules
from engine.commands import FormatVolume
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.file_system import is_served
from engine.plans import Plan, Problem
from engine.records import Task, TaskParams, TaskType, Volume
from engine.units import format_size


def format_volume(config: Config, command: FormatVolume, ids: Ids) -> Plan:
    """The task that has mkfs do it on the volume's export."""
    volume = config.volume(command.volume)
    title = f"Format {volume.name} with {command.file_system[:20]}"
    if blocked := refuse(title, _problem(config, command, volume)):
        return blocked
    draft = Draft(config, ids, volume.group)
    lost = f"The {volume.content} on {volume.name}" if volume.content else f"What stands on {volume.name}"
    if volume.content:
        draft.warn(f"{lost} is lost.")
    steps(draft, volume.name, volume.size, command.file_system, quick=command.quick)
    where = rules.drive_name(volume)
    if where:
        draft.step(f"{where} shows the new file system")
    return draft.plan(
        title,
        task=format_task(draft, title, volume, command.file_system, command.label, quick=command.quick),
        destroys=[volume.ref],
        zeroes=0 if command.quick else volume.size,
        irreversible=f"{lost} can't be had back.",
        confirm=f"{title}? {lost} is lost and cannot be had back." if volume.content else "",
        confirm_button="Format" if volume.content else "",
        commits=False,
    )


def steps(draft: Draft, name: str, size: int, file_system: str, *, quick: bool) -> None:
    """What is done to the volume, in order."""
    if not quick:
        draft.step(f"Zero {format_size(size)}", "nobody may use it")
    draft.step(f"Make an empty {file_system} file system on {name}", "nobody may use it")


def format_task(draft: Draft, title: str, volume: Volume, file_system: str, label: str, *, quick: bool) -> Task:
    """The work itself; it waits until the volume is whole."""
    params = TaskParams(volume=volume.ref, file_system=file_system, label=label, quick=quick)
    return draft.task(TaskType.FORMAT, title, volume.ref, params, 0 if quick else volume.size)


def _problem(config: Config, command: FormatVolume, volume: Volume) -> Problem | None:
    return (
        rules.volume_ready(config, volume.ref)
        or rules.not_initializing(config, volume.ref)
        or rules.not_fenced(config, volume.ref)
        or is_served(config, volume)
        or rules.format_problem(config, command.file_system, command.label, volume.size)
        or rules.in_use_by_clients(config, volume.ref)
        or _carries(volume, force=command.force)
    )


def _carries(volume: Volume, *, force: bool) -> Problem | None:
    if force or not volume.content:
        return None
    text = f"{volume.name} carries {'an' if volume.content[:1] in 'aeiouLMx' else 'a'} {volume.content}."
    return Problem(text, "Format it by force when that is not needed any more.", volume.ref, "force", "-f")
