"""Resize File System: what a volume carries becomes as large as the volume, or smaller before that shrinks."""

from __future__ import annotations

from engine import rules
from engine.commands import MAX_SIZE, ResizeFileSystem
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.plans import Plan, Problem
from engine.records import Host, Kind, TaskParams, TaskType, Volume
from engine.units import KIB, align_down, format_exact, format_size


def resize(config: Config, command: ResizeFileSystem, ids: Ids) -> Plan:
    """The task that has the file system's own programs do it on the volume's export."""
    volume = config.volume(command.volume)
    title = f"Resize the File System on {volume.name}"
    size = volume.size if command.size == MAX_SIZE else align_down(command.size, 4 * KIB)
    only_grows = volume.content in _ONLY_GROW
    if blocked := refuse(title, _problem(config, volume), _size_problem(volume, size)):
        return blocked
    draft = Draft(config, ids, volume.group)
    title = f"{title} to {format_size(size)}"
    draft.warn(f"Nobody may connect to {volume.name} before it has ended; do not stop the engine meanwhile.")
    if only_grows:
        draft.warn(f"The {volume.content} is mounted on this host while it grows, where nobody else sees it.")
    else:
        draft.step(f"Check the {volume.content} on {volume.name}", "nobody may use it")
    draft.step(f"Resize it from {format_size(volume.content_size)} to {format_size(size)}", "nobody may use it")
    params = TaskParams(volume=volume.ref, size=size)
    task = draft.task(TaskType.FILE_SYSTEM, title, volume.ref, params, 0)
    return draft.plan(
        title,
        task=task,
        undo=None if only_grows else ResizeFileSystem(volume=volume.ref, size=volume.content_size),
        irreversible=f"The {volume.content} can't be made smaller again." if only_grows else "",
        commits=False,
    )


def _problem(config: Config, volume: Volume) -> Problem | None:
    return (
        rules.volume_ready(config, volume.ref)
        or rules.not_initializing(config, volume.ref)
        or _can_be_resized(config, volume)
        or is_served(config, volume)
        or rules.in_use_by_clients(config, volume.ref)
    )


def _can_be_resized(config: Config, volume: Volume) -> Problem | None:
    if not volume.content:
        text = f"No known file system stands on {volume.name}."
        return Problem(text, "There is nothing to resize.", volume.ref)
    if any(volume.content in host.resizable for host in config.all(Kind.HOST, Host)):
        return None
    text = f"This host has no programs that resize the {volume.content} while nobody uses it."
    return Problem(text, _HELP.get(volume.content, "Use its own tool where it is mounted."), volume.ref)


_ONLY_GROW = frozenset({"xfs file system"})
"""Which are grown where they are mounted, and never made smaller."""

_HELP = {
    **dict.fromkeys(
        ("ext2 file system", "ext3 file system", "ext4 file system"),
        "Install e2fsprogs, libnbd-bin and fuse3, or use resize2fs where it is mounted.",
    ),
    "ntfs file system": "Install ntfs-3g, libnbd-bin and fuse3, or use the tools of the system that mounts it.",
    "xfs file system": (
        "Install xfsprogs, libnbd-bin and fuse3 and run the engine as root, or use xfs_growfs where it is mounted. "
        "It can't be made smaller."
    ),
    "btrfs file system": "Use btrfs filesystem resize where it is mounted.",
}


def is_served(config: Config, volume: Volume) -> Problem | None:
    """Programs of this host can reach the volume."""
    if not volume.serving:
        return Problem(f"{volume.name} is not started.", "Start the volume first.", volume.ref)
    if not any(host.nbd_socket for host in config.all(Kind.HOST, Host)):
        return Problem("This engine exports no volumes.", "Start it with --nbd.", volume.ref)
    return None


def _size_problem(volume: Volume, size: int) -> Problem | None:
    if size > volume.size:
        text = f"{volume.name} has {format_size(volume.size)} only."
        return Problem(text, "Expand the volume first.", volume.ref, "size")
    if size <= 0:
        return Problem(f"A size of {format_exact(size)} makes no sense.", "Give a larger one.", volume.ref, "size")
    if volume.content in _ONLY_GROW and size < volume.content_size - 4 * KIB:
        text = f"The {volume.content} on {volume.name} can't be made smaller."
        return Problem(text, "Copy its files to a smaller volume instead.", volume.ref, "size")
    if abs(volume.content_size - size) < 4 * KIB:
        text = f"The {volume.content} has {format_size(volume.content_size)} already."
        return Problem(text, "Give another size.", volume.ref, "size")
    return None
