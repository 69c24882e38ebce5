"""What is wrong on a host, what each trouble touches, and what helps: the first thing that an operator reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from engine.config import Config, natural
from engine.records import Disk, DiskStatus, Group, Kind, Record, Ref, Remedy, Volume, VolumeLayout, VolumeStatus
from engine.rules import can_do_without, clients_of, listed
from engine.units import format_size
from vea_gui.mirror import Mirror
from vea_gui.words import Tone, status_text, tone_of

BRING_BACK = "Bring {disks} back and choose Rescan, then Reactivate Disk. Gone for good: choose Repair Volume."
BRING_ONLY_BACK = "Bring {disks} back and choose Rescan: the data is nowhere else."
UNUSED_HELP = "Bring its LUN back and choose Rescan, or take it off the list."
EMPTY_HELP = "Bring its LUN back and choose Rescan, choose Replace Disk, or remove it from its disk group."
LOST_HELP = "Bring its LUN back and choose Rescan. Gone for good: delete {volumes}, then choose Replace Disk."
DISK_HELP = {
    DiskStatus.MISSING: "Bring its LUN back and choose Rescan. Gone for good: choose Replace Disk.",
    DiskStatus.FAILING: "Once the cause is gone choose Reactivate Disk; else choose Replace Disk.",
}
DISK_ACTIONS = {
    DiskStatus.MISSING: (Remedy.REPLACE_DISK, Remedy.RESCAN),
    DiskStatus.FAILING: (Remedy.REACTIVATE_DISK, Remedy.REPLACE_DISK, Remedy.EVACUATE_DISK),
}
SHORT = ": the last {size} of its LUN are gone"
SHORT_HELP = "Make its LUN as large as it was and choose Rescan. Gone for good: {first}choose Replace Disk."
ONLY_HELP = "Once the cause is gone choose Reactivate Disk. {why} Else choose Evacuate Disk while it can be read."
AT_RISK_HELP = "Once the cause is gone choose Reactivate Disk on {disks}; else choose {other} there."
REPAIR_HELP = "Choose Repair Volume: what is out of date is made anew."
RISKY_REPAIR_HELP = "Choose Repair Volume, then Reactivate Disk or Replace Disk on {disks}."
VOLUME_HELP = {
    VolumeStatus.AT_RISK: AT_RISK_HELP,
    VolumeStatus.FAILED_REDUNDANCY: REPAIR_HELP,
    VolumeStatus.FAILED_REDUNDANCY_AT_RISK: RISKY_REPAIR_HELP,
    VolumeStatus.DEGRADED: REPAIR_HELP,
    VolumeStatus.DEGRADED_AT_RISK: RISKY_REPAIR_HELP,
    VolumeStatus.FAILED: "Stop the volume, check its disks and its data, then start it again.",
    VolumeStatus.MISSING: "Bring its disks back and choose Rescan.",
}
REPAIRABLE = frozenset(
    {
        VolumeStatus.FAILED_REDUNDANCY,
        VolumeStatus.FAILED_REDUNDANCY_AT_RISK,
        VolumeStatus.DEGRADED,
        VolumeStatus.DEGRADED_AT_RISK,
    }
)
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
    ways: tuple[tuple[Remedy, Ref], ...] = ()  # what can be begun against it and on what, the best first


def troubles(mirror: Mirror) -> list[Trouble]:
    """All of the host, the worst first; disks before what lies on them."""
    config = mirror.config
    records = [config.get(ref) for ref in mirror.health.refs(mirror.host)]
    found = [trouble_of(mirror, record) for record in records if record is not None]
    return sorted(found, key=lambda each: (-each.tone, ORDER.index(each.ref.kind), natural(each.name)))


def trouble_of(mirror: Mirror, record: Record) -> Trouble:
    """What is wrong with an object whose tone is a warning or worse."""
    state = status_text(mirror, record)
    ways: tuple[tuple[Remedy, Ref], ...] = ()
    match record:
        case Disk():
            what, helps = _of_disk(mirror.config, record, state)
            ways = tuple((action, record.ref) for action in _disk_actions(record))
        case Group():
            what, helps = f"{state}: {record.frozen}", FROZEN_HELP
            ways = ((Remedy.RESCAN, record.ref),)
        case Volume():
            what, helps = _of_volume(mirror.config, record, state)
            ways = tuple(_volume_ways(mirror.config, record))
        case _:
            what, helps = state, ""
    return Trouble(record.ref, record.name, tone_of(record), what, helps, ways)


def _disk_actions(disk: Disk) -> tuple[Remedy, ...]:
    if disk.group is None and not disk.present:
        return Remedy.RESCAN, Remedy.REMOVE_LUN
    return DISK_ACTIONS.get(disk.status, ())


def _volume_ways(config: Config, volume: Volume) -> Iterator[tuple[Remedy, Ref]]:
    disks = _disks_of(config, volume)
    away = [disk for disk in disks if not disk.present]
    if volume.status in (VolumeStatus.FAILED, VolumeStatus.MISSING) and away:
        yield Remedy.RESCAN, away[0].ref
    elif volume.fenced or volume.status is VolumeStatus.FAILED:
        yield Remedy.START_VOLUME, volume.ref
        yield Remedy.STOP_VOLUME, volume.ref
    elif volume.status in REPAIRABLE:
        yield Remedy.REPAIR_VOLUME, volume.ref
        if volume.layout is not VolumeLayout.RAID5:
            yield Remedy.RESYNC_VOLUME, volume.ref
    for disk in disks:
        yield from ((action, disk.ref) for action in _disk_actions(disk))


def _disks_of(config: Config, volume: Volume) -> list[Disk]:
    """The disks that a volume lies on, each once, by name."""
    disks = {sd.disk for plex in config.plexes_of(volume.ref) for sd in config.subdisks_of(plex.ref)}
    return sorted((config.disk(ref) for ref in disks), key=lambda disk: natural(disk.name))


def _of_disk(config: Config, disk: Disk, state: str) -> tuple[str, str]:
    volumes = {volume.ref: volume for volume in map(config.volume_of, config.subdisks_on(disk.ref))}
    names = sorted((volume.name for volume in volumes.values()), key=natural)
    touched = f"It holds pieces of {listed(names)}." if names else "No volume lies on it."
    only = _only_there(config, disk)
    helps = ONLY_HELP.format(why=only) if only else DISK_HELP.get(disk.status, "")
    if not names and not disk.present:
        helps = UNUSED_HELP if disk.group is None else EMPTY_HELP
    lost = sorted((volume.name for volume in volumes.values() if not volume.copies), key=natural)
    if lost and not disk.present:
        helps = LOST_HELP.format(volumes=listed(lost))
    if disk.short_by:
        state += SHORT.format(size=format_size(disk.short_by))
        first = f"delete {listed(lost)}, then " if lost else "choose Evacuate Disk, then " if only else ""
        helps = SHORT_HELP.format(first=first)
    return f"{state}. {touched}", helps


def _only_there(config: Config, disk: Disk) -> str:
    """What a failing disk that is there has and no other, in a sentence; such a one is not to be replaced yet."""
    if disk.status is not DiskStatus.FAILING or not disk.present:
        return ""
    problem = can_do_without(config, disk.ref)
    return problem.text if problem is not None and problem.field == "disk" else ""


def _of_volume(config: Config, volume: Volume, state: str) -> tuple[str, str]:
    if volume.fenced:
        return f"{state}: {volume.fenced}", FENCED_HELP
    disks = _disks_of(config, volume)
    away = [disk.name for disk in disks if not disk.present]
    failing = [disk.name for disk in disks if disk.failing and disk.present]
    clients = clients_of(config, volume.ref)
    used = f" In use by {listed(clients)}." if clients else ""
    if not away:
        alone = any(disk.failing and _only_there(config, disk) for disk in disks)
        helps = VOLUME_HELP.get(volume.status, "").format(
            disks=listed(failing) if failing else "its failing disk", other="Evacuate Disk" if alone else "Replace Disk"
        )
        return f"{state}{_failing_words(failing)}.{used}", helps
    helps = BRING_BACK if volume.status in REPAIRABLE else BRING_ONLY_BACK
    return f"{state}: {listed(away)} missing{_failing_words(failing, ', ')}.{used}", helps.format(disks=listed(away))


def _failing_words(failing: list[str], between: str = ": ") -> str:
    return f"{between}{listed(failing)} failing" if failing else ""


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
