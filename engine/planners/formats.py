"""Format: an empty file system on a volume."""

from __future__ import annotations

from typing import NamedTuple

from engine import rules
from engine.commands import FormatVolume
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.file_system import is_served
from engine.plans import Plan, Problem
from engine.records import Host, Kind, Ref, Task, TaskParams, TaskType, Volume
from engine.units import MIB, format_size


class Kept(NamedTuple):
    """What a file system demands: the least size in bytes, the longest label in bytes, and what makes it."""

    least: int
    label: int
    package: str


FILE_SYSTEMS = {
    "ext4": Kept(4 * MIB, 16, "e2fsprogs"),
    "xfs": Kept(300 * MIB, 12, "xfsprogs"),
    "ntfs": Kept(4 * MIB, 32, "ntfs-3g"),
}


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
        or format_problem(config, command.file_system, command.label, volume.size)
        or rules.in_use_by_clients(config, volume.ref)
        or _carries(volume, force=command.force)
    )


def _carries(volume: Volume, *, force: bool) -> Problem | None:
    if force or not volume.content:
        return None
    text = f"{volume.name} carries {'an' if volume.content[:1] in 'aeiouLMx' else 'a'} {volume.content}."
    return Problem(text, "Format it by force (-f) when that is not needed any more.", volume.ref, "force")


def format_problem(config: Config, file_system: str, label: str, size: int, about: Ref | None = None) -> Problem | None:
    """Why no file system of this kind and label can be made on so many bytes here."""
    kept = FILE_SYSTEMS.get(file_system)
    if kept is None:
        return Problem(
            f"{file_system[:20] or 'Nothing'} is no file system that can be made here.",
            f"Choose {', '.join(FILE_SYSTEMS)}.",
            about,
            "file_system",
        )
    if missing := missing_tools(config, file_system):
        return Problem(missing, f"Install {kept.package}, libnbd-bin and fuse3.", about, "file_system")
    if size and size < kept.least:
        text = f"{file_system} needs a volume of {format_size(kept.least)} at least."
        return Problem(text, "Expand the volume, or choose another file system.", about, "file_system")
    return label_problem(file_system, label, about)


def missing_tools(config: Config, file_system: str) -> str:
    """That this host can't make a file system; empty when it can."""
    if any(file_system in host.formats for host in config.all(Kind.HOST, Host)):
        return ""
    return f"This host has no programs that make {file_system} on a volume."


def label_problem(file_system: str, label: str, about: Ref | None = None) -> Problem | None:
    """A label that the file system can keep."""
    kept = FILE_SYSTEMS[file_system]
    if not label.isprintable():
        return Problem("The label has a character that can't be shown.", "Leave it out.", about, "label")
    if file_system == "xfs" and " " in label:
        return Problem("A label of xfs has no blanks.", "Leave them out.", about, "label")
    if len(label.encode()) > kept.label:
        text = f"The label has {len(label.encode())} bytes; {kept.label} is the most of {file_system}."
        return Problem(text, "Shorten it.", about, "label")
    return None
