"""What is wrong on a host, what each trouble touches, and what helps: the first thing that an operator reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from engine.config import Config, natural
from engine.records import Disk, DiskStatus, Group, Kind, Record, Ref, Volume, VolumeStatus
from engine.rules import listed
from engine.units import format_size
from vea_gui.mirror import Mirror
from vea_gui.words import Tone, status_text, tone_of

BRING_BACK = "Bring {disks} back and choose Rescan, then Resynchronize on the volume."
BRING_ONLY_BACK = "Bring {disks} back and choose Rescan: there is no other copy of the data."
UNUSED_HELP = "Bring its LUN back and choose Rescan, or take it off the list."
DISK_HELP = {
    DiskStatus.MISSING: "Bring its LUN back and choose Rescan. Gone for good: remove its mirrors and add others.",
    DiskStatus.FAILING: "Choose Evacuate Disk, or replace the LUN and choose Resynchronize on its volumes.",
}
VOLUME_HELP = {
    VolumeStatus.AT_RISK: "Choose Evacuate Disk on the failing disk.",
    VolumeStatus.FAILED_REDUNDANCY: "Choose Resynchronize, or remove the mirror that is out of date and add another.",
    VolumeStatus.FAILED: "Stop the volume, check its disks and its data, then start it again.",
    VolumeStatus.MISSING: "Bring its disks back and choose Rescan.",
}
ORDER = (Kind.GROUP, Kind.DISK, Kind.VOLUME)
FENCED_HELP = "Stop the volume, check its disk and its data, then start it again."
FROZEN_HELP = "Bring the group's disks back and choose Rescan: no change is possible before."


@dataclass(frozen=True)
class Trouble:
    """One object that needs attention."""

    ref: Ref
    name: str
    tone: Tone
    what: str  # its state, and what that touches
    help: str  # what to do


def troubles(mirror: Mirror) -> list[Trouble]:
    """All of the host, the worst first; disks before what lies on them."""
    config = mirror.config
    records = [config.get(ref) for ref in mirror.health.refs(mirror.host)]
    found = [trouble_of(mirror, record) for record in records if record is not None]
    return sorted(found, key=lambda each: (-each.tone, ORDER.index(each.ref.kind), natural(each.name)))


def trouble_of(mirror: Mirror, record: Record) -> Trouble:
    """What is wrong with an object whose tone is a warning or worse."""
    state = status_text(mirror, record)
    match record:
        case Disk():
            what, helps = _of_disk(mirror.config, record, state)
        case Group():
            what, helps = f"{state}: {record.frozen}", FROZEN_HELP
        case Volume():
            what, helps = _of_volume(mirror.config, record, state)
        case _:
            what, helps = state, ""
    return Trouble(record.ref, record.name, tone_of(record), what, helps)


def _of_disk(config: Config, disk: Disk, state: str) -> tuple[str, str]:
    names = dict.fromkeys(config.volume_of(subdisk).name for subdisk in config.subdisks_on(disk.ref))
    touched = f"It holds pieces of {listed(sorted(names, key=natural))}." if names else "No volume lies on it."
    helps = DISK_HELP.get(disk.status, "")
    return f"{state}. {touched}", helps if names or disk.present else UNUSED_HELP


def _of_volume(config: Config, volume: Volume, state: str) -> tuple[str, str]:
    if volume.fenced:
        return f"{state}: {volume.fenced}", FENCED_HELP
    disks = [config.disk(sd.disk) for plex in config.plexes_of(volume.ref) for sd in config.subdisks_of(plex.ref)]
    away = sorted({disk.name for disk in disks if not disk.present}, key=natural)
    clients = [client.name for client in config.connections_of(volume.ref)]
    used = f" In use by {listed(clients)}." if clients else ""
    if not away:
        return f"{state}.{used}", VOLUME_HELP.get(volume.status, "")
    helps = BRING_BACK if len(config.plexes_of(volume.ref)) > 1 else BRING_ONLY_BACK
    return f"{state}: {listed(away)} missing.{used}", helps.format(disks=listed(away))


def states(mirror: Mirror, kind: Kind) -> str:
    """How many objects of a kind are in which state, the worst first: `1 Missing, 11 Imported`."""
    found: Counter[tuple[Tone, str]] = Counter()
    for record in mirror.config.every(kind):
        status = getattr(record, "status", getattr(record, "state", ""))
        if status:
            found[tone_of(record), str(status)] += 1
    return ", ".join(
        f"{number:,} {name}" for (_, name), number in sorted(found.items(), key=lambda p: (-p[0][0], p[0][1]))
    )


def space(config: Config, kind: Kind) -> str:
    """What the objects of a kind hold, and what of it is free."""
    match kind:
        case Kind.GROUP:
            groups = config.all(Kind.GROUP, Group)
            size, free = sum(group.size for group in groups), sum(group.free for group in groups)
            return f"{format_size(size)}, {format_size(free)} free"
        case Kind.DISK:
            disks = config.all(Kind.DISK, Disk)
            idle = sum(disk.size for disk in disks if disk.group is None)
            return f"{format_size(sum(disk.size for disk in disks))}, {format_size(idle)} in no disk group"
        case Kind.VOLUME:
            return format_size(sum(volume.size for volume in config.all(Kind.VOLUME, Volume)))
    return ""
