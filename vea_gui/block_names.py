"""Blocks in words: the names that a screen reader says, the labels in the pictures, and the lines of a tooltip."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from engine.config import Config
from engine.events import Sample
from engine.records import (
    Disk,
    DiskUsage,
    Enclosure,
    PieceState,
    Plex,
    PlexLayout,
    PlexState,
    Ref,
    Subdisk,
    Task,
    Volume,
    VolumeLayout,
    VolumeStatus,
)
from engine.rules import listed
from engine.units import GIB, MIB, format_exact, format_size
from vea_gui.block_rows import Band, Item, ItemKind
from vea_gui.colors import layout_name
from vea_gui.words import Tone, is_unreachable, plex_words

LAYOUT_WORDS: dict[VolumeLayout, str] = {
    VolumeLayout.CONCAT: "concatenated",
    VolumeLayout.STRIPE: "striped",
    VolumeLayout.MIRROR: "mirrored",
    VolumeLayout.MIRROR_STRIPE: "mirrored stripe",
    VolumeLayout.RAID5: "RAID-5",
}


USAGE_WORDS = {
    DiskUsage.NORMAL: "",
    DiskUsage.SPARE: "spare",
    DiskUsage.RESERVED: "reserved",
    DiskUsage.PREFERRED: "preferred",
    DiskUsage.NO_HOT_USE: "no hot use",
}
PLEX_MARKS = {
    PlexState.STALE: Tone.WARNING,
    PlexState.IOFAIL: Tone.ERROR,
    PlexState.OFFLINE: Tone.WARNING,
    PlexState.FILLING: Tone.WORKING,
    PlexState.EMPTY: Tone.WORKING,
}
"""What is marked on a block: its own mirror's state, so that one sees which piece is the bad one."""
PART_WORDS = {
    PlexLayout.CONCAT: "Mirror",
    PlexLayout.STRIPE: "Mirror",
    PlexLayout.RAID5: "RAID-5",
    PlexLayout.LOG: "Log",
}
DOWN = frozenset({VolumeStatus.STOPPED, VolumeStatus.FAILED, VolumeStatus.MISSING})
"""A piece of such a volume serves nobody, however good the disk is that it lies on."""


PIECE_MARKS = {PieceState.STALE: Tone.WARNING, PieceState.FILLING: Tone.WORKING}
PIECE_WORDS = {PieceState.STALE: "out of date, parity stands for it", PieceState.FILLING: "being rebuilt"}
"""Of RAID-5, one column may be bad while its plex is not."""


class Owner(NamedTuple):
    """To whom a subdisk belongs. Any of it may be gone for the moment between two events."""

    subdisk: Subdisk | None
    plex: Plex | None
    volume: Volume | None


def owner(config: Config, subdisk: Ref) -> Owner:
    """A subdisk with its plex and volume."""
    record = config.get(subdisk)
    if not isinstance(record, Subdisk):
        return Owner(None, None, None)
    plex = config.get(record.plex)
    if not isinstance(plex, Plex):
        return Owner(record, None, None)
    volume = config.get(plex.volume)
    return Owner(record, plex, volume if isinstance(volume, Volume) else None)


def block_layout(who: Owner) -> str:
    """Under which layout's colour and pattern a subdisk is drawn; a log is one whatever its volume is."""
    if who.volume is None or (who.plex is not None and who.plex.layout is PlexLayout.LOG):
        return "log"
    return layout_name(who.volume.layout)


def item_name(config: Config, band: Band, item: Item) -> str:
    """`ev-01, mirrored, 2.0 GiB, Harddisk3 at 9 MiB`: what the item is called. No two of a disk are called the same."""
    match item.kind:
        case ItemKind.SUBDISK:
            return _subdisk_name(config, band, item)
        case ItemKind.FREE:
            free, size = free_word(config, item.ref), format_size(item.length)
            return f"{free}, {size}, {disk_name(config, item.ref)} at {_place(band, item)}"
        case ItemKind.UNUSED:
            return f"{unused_words(config, item.ref)}, {format_size(item.length)}, {disk_name(config, item.ref)}"
        case ItemKind.DISK:
            return disk_sentence(config, item.ref)
        case ItemKind.VOLUME:
            return volume_sentence(config, item.ref)
    plex = config.get(item.ref)
    if not isinstance(plex, Plex):
        return ""
    if item.kind is ItemKind.COLUMN:
        return f"{plex.name} column {item.column + 1}"
    if plex.layout is PlexLayout.LOG:
        return f"log {plex.name}, {format_size(plex.length)}"
    if plex.layout is PlexLayout.RAID5:
        return f"{plex.name}, {plex.columns} columns, {format_size(plex.length)}"
    return f"mirror {plex.name}, {plex_words(plex).lower()}, {format_size(plex.length)}"


def mark_of(config: Config, who: Owner) -> Tone:
    """What is marked on a block; the worst mark only for what is bad itself, not for what goes down with it."""
    subdisk, plex, volume = who
    if subdisk is None or plex is None:
        return Tone.NONE
    if _is_away(config, subdisk):
        return Tone.ERROR
    if subdisk.state in PIECE_MARKS:
        return PIECE_MARKS[subdisk.state]
    if plex.state in PLEX_MARKS and plex.layout is not PlexLayout.LOG:
        return PLEX_MARKS[plex.state]
    if volume is not None and volume.status is VolumeStatus.STOPPED:
        return Tone.INFORMATION
    return Tone.WARNING if is_unreachable(plex) or (volume is not None and volume.status in DOWN) else Tone.NONE


def _is_away(config: Config, subdisk: Subdisk) -> bool:
    disk = config.get(subdisk.disk)
    return isinstance(disk, Disk) and not disk.present


def _subdisk_name(config: Config, band: Band, item: Item) -> str:
    subdisk, plex, volume = owner(config, item.ref)
    if subdisk is None:
        return ""
    words = [plex.name if plex else subdisk.name, _kind_words(plex, volume)]
    where = f"{disk_name(config, subdisk.disk)} at {place_on_disk(config, band, item, subdisk)}"
    down = f"volume {volume.status.lower()}" if volume is not None and volume.status in DOWN else ""
    state = PIECE_WORDS.get(subdisk.state, "")
    return ", ".join(filter(None, (*words, format_size(subdisk.length), where, down, state)))


def _kind_words(plex: Plex | None, volume: Volume | None) -> str:
    if plex is not None and plex.layout is PlexLayout.LOG:
        return f"log of {volume.name}" if volume is not None else "log"
    return LAYOUT_WORDS[volume.layout] if volume is not None else ""


def place_on_disk(config: Config, band: Band, item: Item, subdisk: Subdisk) -> str:
    """Where a subdisk begins, in the roundest words that no neighbour shares."""
    if band.ref == subdisk.disk:
        return _place(band, item)
    offsets = [each.disk_offset for each in config.subdisks_on(subdisk.disk)]
    return _unique_size(subdisk.disk_offset, offsets)


def _place(band: Band, item: Item) -> str:
    return _unique_size(item.start, [each.start for each in band.items[1:]])


def _unique_size(value: int, among: list[int]) -> str:
    """`2.1 GiB`, or in smaller units where another value reads the same."""
    text = format_size(value)
    if value < GIB:
        return text
    near = [other for other in among if abs(other - value) < value // 10 + MIB]
    if Counter(map(format_size, near))[text] <= 1:
        return text
    return f"{value // MIB} MiB" if value % MIB == 0 else format_exact(value)


def disk_name(config: Config, ref: Ref) -> str:
    """The name of a disk; a dash when it is gone."""
    record = config.get(ref)
    return record.name if record is not None else "-"


def disk_sentence(config: Config, ref: Ref) -> str:
    """`Harddisk3, 2.0 GiB, Imported, lab0 / LUN 3`."""
    disk = config.get(ref)
    if not isinstance(disk, Disk):
        return ""
    words = (disk.name, format_size(disk.size), disk.status.value, USAGE_WORDS[disk.usage], disk_place(config, disk))
    return ", ".join(filter(None, words))


def disk_place(config: Config, disk: Disk) -> str:
    """`lab0 / lun3.img`, and how many paths lead there when it is not one."""
    shelf = config.get(disk.enclosure)
    lun = disk.lun.rsplit("/", 1)[-1]
    place = " / ".join(filter(None, (shelf.name if isinstance(shelf, Enclosure) else "", lun)))
    paths = f"{disk.paths} paths" if disk.paths != 1 else ""
    return "   ".join(filter(None, (place, paths)))


def free_word(config: Config, disk: Ref) -> str:
    """What a stretch without a subdisk is called: on a disk that is away nothing can be made."""
    record = config.get(disk)
    return "free" if isinstance(record, Disk) and record.present else "out of reach"


def unused_words(config: Config, ref: Ref) -> str:
    """Why no block can be shown on a disk of no group."""
    disk = config.get(ref)
    content = disk.content if isinstance(disk, Disk) else ""
    return content or "not in a disk group"


def volume_sentence(config: Config, ref: Ref) -> str:
    """`ev, mirrored, 2.0 GiB, Healthy`."""
    volume = config.get(ref)
    if not isinstance(volume, Volume):
        return ""
    return f"{volume.name}, {LAYOUT_WORDS[volume.layout]}, {format_size(volume.size)}, {volume.status.value}"


def block_label(config: Config, ref: Ref) -> str:
    """What stands in a subdisk's block: `ev-01`, `db-01 col 2`."""
    return label_of(owner(config, ref))


def label_of(who: Owner) -> str:
    """The same for a subdisk that has been looked up."""
    subdisk, plex, _ = who
    if subdisk is None:
        return ""
    if plex is None:
        return subdisk.name
    if plex.layout is PlexLayout.LOG:
        return f"{plex.name} log"
    return f"{plex.name} col {subdisk.column + 1}" if plex.columns > 1 else plex.name


class Moving(NamedTuple):
    """A subdisk on its way: from where to where, and how far the task is."""

    source: Ref
    target: Ref
    task: Ref
    percent: int  # -1 while it is not known
    paused: bool = False


def movings(config: Config, task: Task) -> list[Moving]:
    """What a task moves, piece by piece; empty when it has ended or moves nothing."""
    if task.ended:
        return []
    percent = task.bytes_done * 100 // task.bytes_total if task.bytes_total else -1
    found = []
    for target in task.params.subdisks:
        record = config.get(target)
        if isinstance(record, Subdisk) and record.replaces is not None and record.replaces in config:
            found.append(Moving(record.replaces, target, task.ref, min(percent, 100), task.paused))
    return found


def description(config: Config, item: Item, moving: Moving | None) -> str:
    """One sentence with what the name does not say."""
    if item.kind is not ItemKind.SUBDISK:
        return ""
    return ". ".join(line for line in _facts(config, item.ref, moving)) + "."


def tooltip(config: Config, band: Band, item: Item, moving: Moving | None, traffic: Sample | None) -> str:
    """What hovering tells, line by line."""
    if item.kind is ItemKind.FREE:
        lines = [item_name(config, band, item), f"{format_exact(item.length)} from {format_exact(item.start)}"]
    elif item.kind is ItemKind.SUBDISK:
        lines = [item_name(config, band, item), *_facts(config, item.ref, moving), *_exact(config, item.ref)]
        lines += [f"I/O now: {traffic_words(traffic)}"] if traffic is not None else []
    elif item.kind is ItemKind.DISK:
        disk = config.get(item.ref)
        lines = [item_name(config, band, item)]
        if isinstance(disk, Disk):
            lines += [f"Free: {format_size(disk.free)}, at most {format_size(disk.largest_free)} in one piece"]
            lines += [disk.lun] if disk.lun else []
            lines += [f"I/O now: {traffic_words(traffic)}"] if traffic is not None else []
    else:
        lines = [item_name(config, band, item)]
    return "\n".join(lines)


def _facts(config: Config, ref: Ref, moving: Moving | None) -> list[str]:
    subdisk, plex, volume = owner(config, ref)
    if subdisk is None:
        return []
    lines = [f"Volume: {volume.name}, {volume.status.value}"] if volume else []
    if plex:
        column = f", column {subdisk.column + 1} of {plex.columns}" if plex.columns > 1 else ""
        lines.append(f"{PART_WORDS[plex.layout]}: {plex.name}, {_part_words(config, subdisk, plex)}{column}")
    lines.append(f"Subdisk: {subdisk.name}")
    if subdisk.origin is not None:
        lines.append(f"Relocated from {disk_name(config, subdisk.origin.disk)}")
    if moving is not None:
        lines.append(moving_words(config, moving, ref))
    return lines


def _part_words(config: Config, subdisk: Subdisk, plex: Plex) -> str:
    """The state of a mirror; of RAID-5 that of the piece, and a log has none that would outlast a stop."""
    if plex.layout is PlexLayout.LOG:
        return "unreachable" if _is_away(config, subdisk) else "in use"
    if plex.layout is PlexLayout.RAID5 and not _is_away(config, subdisk):
        return PIECE_WORDS.get(subdisk.state, "good")
    return _plex_words(config, plex)


def _plex_words(config: Config, plex: Plex) -> str:
    """The mirror's state; of one with pieces on disks that are away, which."""
    if not is_unreachable(plex):
        return plex_words(plex).lower()
    away = dict.fromkeys(disk_name(config, sd.disk) for sd in config.subdisks_of(plex.ref) if _is_away(config, sd))
    why = f", as {listed(away)} {'is' if len(away) == 1 else 'are'} missing" if away else ""
    return f"{plex_words(plex).lower()}{why}"


def _exact(config: Config, ref: Ref) -> list[str]:
    record = config.get(ref)
    if not isinstance(record, Subdisk):
        return []
    return [f"Offset: {format_exact(record.disk_offset)}", f"Length: {format_exact(record.length)}"]


def moving_words(config: Config, moving: Moving, ref: Ref) -> str:
    """`Moving to Harddisk7, 41 %` for the source, `Moving from ...` for the target."""
    other = config.get(moving.target if ref == moving.source else moving.source)
    name = disk_name(config, other.disk) if isinstance(other, Subdisk) else "-"
    far = f", {moving.percent} %" if moving.percent >= 0 else ""
    return f"Moving {'to' if ref == moving.source else 'from'} {name}{far}{', paused' if moving.paused else ''}"


def traffic_words(sample: Sample) -> str:
    """`120 reads/s, 4.0 MiB/s; 35 writes/s, 140 KiB/s`, or `idle`."""
    if not sample.reads and not sample.writes:
        return "idle"
    seconds = sample.seconds or 1.0
    reads, writes = sample.reads / seconds, sample.writes / seconds
    read_rate = format_size(round(sample.read_bytes / seconds))
    write_rate = format_size(round(sample.write_bytes / seconds))
    return f"{reads:,.0f} reads/s, {read_rate}/s; {writes:,.0f} writes/s, {write_rate}/s"
