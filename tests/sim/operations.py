"""What an operator may ask for next, drawn from what the configuration offers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from engine import commands
from engine.records import TASK_ENDED, Backup, Disk, Kind, PlexState, Record, Subdisk, Volume
from engine.units import MIB

if TYPE_CHECKING:
    from random import Random

    from engine.commands import Command
    from engine.config import Config
    from engine.records import Plex, Ref, Task

SIZES = (1 * MIB, 2 * MIB, 3 * MIB, 4 * MIB)

LAYOUTS: dict[str, dict[str, object]] = {
    "concat": {},
    "stripe": {"striped": True, "columns": 3, "stripe_unit": 64 << 10},
    "mirror": {"mirrors": 2},
    "mirror of 3": {"mirrors": 3},
    "mirrored stripe": {"striped": True, "columns": 2, "stripe_unit": 64 << 10, "mirrors": 2},
    "raid5": {"raid5": True, "columns": 3, "stripe_unit": 64 << 10},
}

SMALL_ROWS = "raid5 of small rows"
EVERY_LAYOUT = {**LAYOUTS, SMALL_ROWS: {"raid5": True, "columns": 3, "stripe_unit": 4 << 10}}
"""With one more, of which clients write whole rows; seeds that were drawn before it came are to mean the same."""


def create(config: Config, group: Ref, dice: Random) -> Command | None:
    layout = dice.choice(list(LAYOUTS))
    name = f"new{dice.getrandbits(30)}"
    shape = LAYOUTS[layout]
    return commands.CreateVolume(group=group, name=name, size=dice.choice(SIZES), **shape)  # type: ignore[arg-type]


def delete(config: Config, group: Ref, dice: Random) -> Command | None:
    volume = _volume(config, group, dice)
    return commands.DeleteVolumes(volumes=(volume.ref,)) if volume and config.count(Kind.VOLUME) > 2 else None


def grow(config: Config, group: Ref, dice: Random) -> Command | None:
    volume = _volume(config, group, dice)
    if volume is None or volume.size > 8 * MIB:
        return None
    return commands.GrowVolume(volume=volume.ref, size=volume.size + dice.choice((512, MIB, 2 * MIB)))


def shrink(config: Config, group: Ref, dice: Random) -> Command | None:
    volume = _volume(config, group, dice)
    if volume is None or volume.size < 2 * MIB:
        return None
    return commands.ShrinkVolume(volume=volume.ref, size=volume.size - dice.choice((512, MIB)))


def add_column(config: Config, group: Ref, dice: Random) -> Command | None:
    volume = _volume(config, group, dice)
    return commands.AddColumn(volume=volume.ref) if volume and volume.size < 8 * MIB else None


def move(config: Config, group: Ref, dice: Random) -> Command | None:
    subdisk = _subdisk(config, group, dice)
    if subdisk is None:
        return None
    return commands.MoveSubdisks(moves=(commands.Move(subdisk.ref),))


def evacuate(config: Config, group: Ref, dice: Random) -> Command | None:
    disk = dice.choice(config.disks_of(group))
    return commands.EvacuateDisk(disk=disk.ref) if config.subdisks_on(disk.ref) else None


def add_mirror(config: Config, group: Ref, dice: Random) -> Command | None:
    volume = _volume(config, group, dice)
    if volume is None or len(config.plexes_of(volume.ref)) > 2:
        return None
    return commands.AddMirrors(volume=volume.ref, count=dice.choice((1, 1, 2)))


def break_mirror(config: Config, group: Ref, dice: Random) -> Command | None:
    plex = _plex(config, group, dice)
    return commands.BreakMirror(plex=plex.ref, name=f"broken{dice.getrandbits(30)}") if plex else None


def attach(config: Config, group: Ref, dice: Random) -> Command | None:
    volumes = config.volumes_of(group)
    out = [plex for volume in volumes for plex in config.plexes_of(volume.ref) if plex.state in _LEFT_OUT]
    return commands.AttachPlex(plex=dice.choice(out).ref) if out else None


_LEFT_OUT = (PlexState.OFFLINE, PlexState.STALE, PlexState.IOFAIL)


def split(config: Config, group: Ref, dice: Random) -> Command | None:
    subdisk = _subdisk(config, group, dice)
    if subdisk is None or subdisk.length < 2 * MIB:
        return None
    return commands.SplitSubdisk(subdisk=subdisk.ref, size=MIB)


def join(config: Config, group: Ref, dice: Random) -> Command | None:
    plex = _plex(config, group, dice)
    subdisks = sorted(config.subdisks_of(plex.ref), key=lambda sd: (sd.column, sd.plex_offset)) if plex else []
    pairs = list(itertools.pairwise(subdisks))
    if not pairs:
        return None
    first, second = dice.choice(pairs)
    return commands.JoinSubdisks(first=first.ref, second=second.ref)


def stop(config: Config, group: Ref, dice: Random) -> Command | None:
    volume = _volume(config, group, dice)
    return commands.StopVolumes(volumes=(volume.ref,)) if volume and volume.started else None


def start(config: Config, group: Ref, dice: Random) -> Command | None:
    stopped = [volume for volume in config.volumes_of(group) if not volume.started]
    return commands.StartVolumes(volumes=(dice.choice(stopped).ref,)) if stopped else None


def deport(config: Config, group: Ref, dice: Random) -> Command | None:
    return commands.DeportGroup(group=group)


def rescan(config: Config, group: Ref, dice: Random) -> Command | None:
    return commands.Rescan()


def reactivate(config: Config, group: Ref, dice: Random) -> Command | None:
    failing = [disk for disk in config.disks_of(group) if disk.failing]
    return commands.ReactivateDisk(disk=dice.choice(failing).ref) if failing else None


def replace(config: Config, group: Ref, dice: Random) -> Command | None:
    lost = [disk for disk in config.disks_of(group) if disk.failing or not disk.present]
    free = [disk for disk in config.all(Kind.DISK, Disk) if disk.group is None and disk.present]
    if not lost or not free:
        return None
    return commands.ReplaceDisk(disk=dice.choice(lost).ref, by=dice.choice(free).ref, force=True)


def undo_relocation(config: Config, group: Ref, dice: Random) -> Command | None:
    homes = homes_of(config)
    return commands.UndoRelocation(disk=dice.choice(homes)) if homes else None


def homes_of(config: Config) -> list[Ref]:
    """The disks that something was taken away from by a relocation."""
    pieces = [piece for piece in config.all(Kind.SUBDISK, Subdisk) if piece.origin is not None]
    return sorted({piece.origin.disk for piece in pieces if piece.origin is not None and piece.origin.disk in config})


def restore(config: Config, group: Ref, dice: Random) -> Command | None:
    backups = [backup for backup in config.all(Kind.BACKUP, Backup) if backup.group == group]
    return commands.RestoreConfiguration(group=group, backup=dice.choice(backups).ref) if backups else None


def _volume(config: Config, group: Ref, dice: Random) -> Volume | None:
    volumes = config.volumes_of(group)
    return dice.choice(volumes) if volumes else None


def _plex(config: Config, group: Ref, dice: Random) -> Plex | None:
    volume = _volume(config, group, dice)
    plexes = config.plexes_of(volume.ref) if volume else ()
    return dice.choice(plexes) if plexes else None


def _subdisk(config: Config, group: Ref, dice: Random) -> Subdisk | None:
    plex = _plex(config, group, dice)
    subdisks = config.subdisks_of(plex.ref) if plex else ()
    return dice.choice(subdisks) if subdisks else None


def _task(config: Config, group: Ref, dice: Random) -> Task | None:
    tasks = [task for task in config.tasks_of(group) if task.state not in TASK_ENDED]
    return dice.choice(tasks) if tasks else None


Proposal = Callable[["Config", "Ref", "Random"], "Command | None"]
Picked = TypeVar("Picked", bound=Record)


def _on(pick: Callable[[Config, Ref, Random], Picked | None], ask: Callable[[Picked], Command]) -> Proposal:
    """What is asked of any object of a sort, whatever it looks like."""

    def propose(config: Config, group: Ref, dice: Random) -> Command | None:
        picked = pick(config, group, dice)
        return ask(picked) if picked is not None else None

    return propose


OPERATIONS: dict[str, Proposal] = {
    function.__name__: function
    for function in (
        create, delete, grow, shrink, add_column, move, evacuate, add_mirror, break_mirror, attach, split, join,
        stop, start, deport, rescan, reactivate, replace, undo_relocation, restore,
    )
} | {
    "add_log": _on(_volume, lambda volume: commands.AddLog(volume=volume.ref)),
    "remove_log": _on(_volume, lambda volume: commands.RemoveLog(volume=volume.ref)),
    "repair": _on(_volume, lambda volume: commands.RepairVolumes(volumes=(volume.ref,))),
    "resync": _on(_volume, lambda volume: commands.ResyncVolume(volume=volume.ref)),
    "verify": _on(_volume, lambda volume: commands.VerifyVolume(volume=volume.ref)),
    "detach": _on(_plex, lambda plex: commands.DetachPlex(plex=plex.ref)),
    "prefer": _on(_plex, lambda plex: commands.SetVolumeUsage(volume=plex.volume, preferred=plex.ref)),
    "remove_mirror": _on(_plex, lambda plex: commands.RemoveMirrors(plexes=(plex.ref,))),
    "scrub": _on(_plex, lambda plex: commands.ScrubVolume(volume=plex.volume, source=plex.ref)),
    "abort": _on(_task, lambda task: commands.AbortTask(task=task.ref)),
    "pause": _on(_task, lambda task: commands.PauseTask(task=task.ref)),
    "resume": _on(_task, lambda task: commands.ResumeTask(task=task.ref)),
}  # fmt: skip


def disks_named(config: Config, count: int) -> tuple[Ref, ...]:
    """The first disks by name."""
    disks = sorted(config.all(Kind.DISK, Disk), key=lambda disk: (len(disk.name), disk.name))
    return tuple(disk.ref for disk in disks[:count])
