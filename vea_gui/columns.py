"""What is shown of each kind: one list of columns feeds tables, property sheets, search and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from engine.config import Config, natural
from engine.records import (
    Alert,
    Disk,
    DiskUsage,
    Group,
    Kind,
    PieceState,
    Plex,
    PlexLayout,
    Record,
    Ref,
    Subdisk,
    Task,
    Volume,
)
from engine.rules import clients_of, drive_name
from engine.units import format_exact, format_size
from vea_gui.attention import trouble_of
from vea_gui.column import NAME, Column, moment, number, size, status
from vea_gui.drive_words import drive_tip, file_system
from vea_gui.log_words import dirty_text, dirty_tip, log_text, region_text, unlogged_text
from vea_gui.mirror import Mirror
from vea_gui.remedies import best_words
from vea_gui.risk import risk_of, summary
from vea_gui.schedule_columns import kept_text, last_text, last_tip, last_tone, next_text, when_words
from vea_gui.snap_columns import SNAP_COLUMNS
from vea_gui.words import Tone, percent_done, plex_words, status_text, time_left, tone_of


def _name_of(config: Config, ref: Ref | None) -> str:
    record = config.get(ref)
    return record.name if record is not None else ""


def _used(free: int, whole: int) -> float | None:
    return None if whole <= 0 else min(1.0, max(0.0, 1 - free / whole))


def _share(title: str, read: Callable[[Any], float | None]) -> Column:
    """A share as a bar; its words are what a screen reader says."""

    def text(_: Mirror, record: Any) -> str:
        share = read(record)
        return "" if share is None else f"{round(share * 100)} %"

    return Column("used", title, text, lambda _, r: read(r) or 0.0, bar=lambda _, r: read(r), width=12)


# --- volumes ---
def _clients(mirror: Mirror, volume: Volume) -> str:
    return ", ".join(clients_of(mirror.config, volume.ref))


def _volume_disks(mirror: Mirror, volume: Volume) -> str:
    config = mirror.config
    disks = {sd.disk for plex in config.plexes_of(volume.ref) for sd in config.subdisks_of(plex.ref)}
    return ", ".join(sorted((_name_of(config, disk) for disk in disks), key=natural))


def _copies(mirror: Mirror, volume: Volume) -> str:
    """`2`; `2 (+1)` while one more is being filled; `1 of 2` when one is left out. A snap plex is no copy."""
    plexes = [plex for plex in mirror.config.plexes_of(volume.ref) if plex.snap is None]
    filling = sum(tone_of(plex) is Tone.WORKING for plex in plexes)
    whole = f"{volume.copies} of {len(plexes) - filling}" if len(plexes) - filling > volume.copies else volume.copies
    return f"{whole} (+{filling})" if filling else str(whole)


def _reads_from(mirror: Mirror, volume: Volume) -> str:
    return _name_of(mirror.config, volume.preferred) or "Based on layouts"


def state_tip(mirror: Mirror, record: Record) -> str:
    """The state; of what is in trouble the cause and what to do, too."""
    if tone_of(record) < Tone.WARNING:
        lacks = unlogged_text(mirror, record) if isinstance(record, Volume) else ""
        return f"{status_text(mirror, record)}\n{lacks}" if lacks else status_text(mirror, record)
    trouble = trouble_of(mirror, record)
    return f"{trouble.what}\n{trouble.help}"


VOLUME = (  # what an operator looks for stands left: a window of the usual width shows it without scrolling
    NAME,
    replace(status(tip=state_tip), width=22),
    Column("layout", "Layout", lambda _, v: str(v.layout), width=14),
    size("size", "Size", lambda _, v: v.size),
    Column("clients", "In use by", _clients, width=14),
    Column("copies", "Copies", _copies, lambda _, v: v.copies, right=True, width=7),
    Column("drive", "Drive", lambda _, v: drive_name(v), tip=drive_tip, width=6),
    Column("group", "Disk Group", lambda m, v: _name_of(m.config, v.group), width=10),
    *SNAP_COLUMNS,
    Column("content", "File System", lambda _, v: file_system(v), shown=False, width=12),
    Column("file", "Block File", lambda _, v: v.drive, shown=False, width=24, is_path=True),
    Column("mounted", "Mounted In", lambda _, v: v.mounted, shown=False, width=24, is_path=True),
    Column("disks", "Disks", _volume_disks, shown=False, width=24),
    Column("reads", "Volume Usage", _reads_from, shown=False),
    Column("log", "Log", log_text, shown=False, width=24),
    Column("regions", "Log Region", region_text, shown=False, right=True),
    Column("dirty", "Dirty", dirty_text, lambda _, v: v.dirty_bytes, tip=dirty_tip, shown=False, right=True),
    Column("serving", "Exported", lambda _, v: "Yes" if v.serving else "No", shown=False, width=9),
)

# --- disks ---
USAGES = {
    DiskUsage.NORMAL: "Normal",
    DiskUsage.SPARE: "Spare",
    DiskUsage.RESERVED: "Reserved for manual use",
    DiskUsage.PREFERRED: "Preferred as hot-relocation target",
    DiskUsage.NO_HOT_USE: "Not a hot-relocation target",
}


def _disk_status(mirror: Mirror, disk: Disk) -> str:
    return f"{status_text(mirror, disk)}: carries {disk.content}" if disk.content else state_tip(mirror, disk)


def _outside(disk: Disk) -> str:
    """Why a disk has no space for subdisks; empty for a disk of a group that is there."""
    if disk.group is not None:
        return "" if disk.present else "out of reach"
    return "not in a group" if disk.public_length else "not initialized"


def _disk_space(column_id: str, title: str, read: Callable[[Disk], int], shown: bool = True) -> Column:
    return Column(
        column_id,
        title,
        lambda _, d: _outside(d) or format_size(read(d)),
        lambda _, d: -1 if _outside(d) else read(d),
        tip=lambda _, d: _outside(d) or format_exact(read(d)),
        right=True,
        shown=shown,
        width=14,
    )


def _disk_size(_: Mirror, disk: Disk) -> str:
    return format_exact(disk.size) if disk.size else "not known: its LUN was never seen"


def _fate(mirror: Mirror, disk: Disk) -> str:
    """What its failure would mean; of one that is away, what it does mean."""
    told = " ".join(summary(mirror.config, disk.ref))
    return told if disk.present else f"It is missing. {told}"


DISK = (
    NAME,
    Column("status", "Status", status_text, tip=_disk_status, tone=lambda _, d: tone_of(d), width=14),
    Column("group", "Disk Group", lambda m, d: _name_of(m.config, d.group), width=12),
    Column(
        "size",
        "Size",
        lambda _, d: format_size(d.size) if d.size else "not known",
        lambda _, d: d.size,
        tip=_disk_size,
        right=True,
        width=10,
    ),
    _disk_space("free", "Unallocated Space", lambda d: d.free),
    _disk_space("largest", "Largest Free Space", lambda d: d.largest_free, shown=False),
    _share("Used", lambda d: _used(d.free, d.public_length) if d.group is not None else None),
    Column("enclosure", "Enclosure", lambda m, d: _name_of(m.config, d.enclosure), width=12),
    Column("lun", "LUN", lambda _, d: d.lun or "not there", tip=lambda _, d: d.lun, width=26, is_path=True),
    Column("usage", "Usage", lambda _, d: USAGES[d.usage], width=12),
    Column("content", "Content", lambda _, d: d.content, shown=False, width=20),
    Column("risk", "If it fails", _fate, shown=False, width=40),
    number("paths", "Paths", lambda _, d: d.paths, shown=False),
    Column("block", "Block Size", lambda _, d: f"{d.block_size:,} bytes", lambda _, d: d.block_size, shown=False),
)


def volumes_on(disk: Ref) -> tuple[Column, ...]:
    """The columns of the volumes on a disk: what its failure would mean stands beside the state."""
    risk = Column(
        "risk",
        "If this disk fails",
        lambda m, v: risk_of(m.config, v, disk).text,
        lambda m, v: risk_of(m.config, v, disk).fate,
        tone=lambda m, v: risk_of(m.config, v, disk).tone,
        width=36,
    )
    return (*VOLUME[:2], risk, *VOLUME[2:])


# --- groups, enclosures, hosts ---
def _group_used(mirror: Mirror, group: Group) -> float:
    """What is taken of the group's disks, those that are away included: their free space is no use, but not used."""
    disks = mirror.config.disks_of(group.ref)
    return _used(sum(disk.free for disk in disks), group.size) or 0.0


def _group_used_text(mirror: Mirror, group: Group) -> str:
    return f"{round(_group_used(mirror, group) * 100)} %"


GROUP = (
    NAME,
    Column("status", "State", status_text, tip=state_tip, tone=lambda _, g: tone_of(g), width=16),
    number("disks", "Disks", lambda _, g: g.disks),
    number("volumes", "Volumes", lambda _, g: g.volumes),
    size("free", "Free Space", lambda _, g: g.free),
    size("size", "Size", lambda _, g: g.size),
    Column("used", "Used", _group_used_text, _group_used, bar=_group_used, width=12),
    Column("owner", "Owner", lambda _, g: g.owner, shown=False),
    number("transaction", "Transaction", lambda _, g: g.transaction, shown=False),
)
ENCLOSURE = (
    NAME,
    Column("vendor", "Vendor", lambda _, e: e.vendor),
    Column("product", "Product", lambda _, e: e.product),
    number("disks", "Disks", lambda m, e: m.config.count_children(e.ref, Kind.DISK, "enclosure")),
    size("size", "Size", lambda m, e: sum(disk.size for disk in m.config.disks_in(e.ref))),
)
HOST = (
    NAME,
    Column("system", "Operating System", lambda _, h: h.system, width=30),
    Column("version", "Version", lambda _, h: h.version),
    number("groups", "Disk Groups", lambda m, _: m.config.count(Kind.GROUP)),
    number("disks", "Disks", lambda m, _: m.config.count(Kind.DISK)),
    number("volumes", "Volumes", lambda m, _: m.config.count(Kind.VOLUME)),
    Column("nbd", "NBD Socket", lambda _, h: h.nbd_socket, shown=False, width=30),
    Column("process", "Process", lambda _, h: str(h.process_id), shown=False),
)

# --- mirrors and subdisks ---
PLEX_LAYOUTS = {
    PlexLayout.CONCAT: "Concatenated",
    PlexLayout.STRIPE: "Striped",
    PlexLayout.RAID5: "RAID-5",
    PlexLayout.LOG: "Log",
}


PIECE_WORDS = {PieceState.STALE: "Out of date", PieceState.FILLING: "Being rebuilt"}
PIECE_TONES = {PieceState.STALE: Tone.WARNING, PieceState.FILLING: Tone.WORKING}


def _plex_disks(mirror: Mirror, plex: Plex) -> str:
    names = {_name_of(mirror.config, sd.disk) for sd in mirror.config.subdisks_of(plex.ref)}
    return ", ".join(sorted(names, key=natural))


def _subdisk_status(mirror: Mirror, subdisk: Subdisk) -> str:
    config = mirror.config
    if subdisk.replaces is not None:
        return f"Takes over from {_name_of(config, subdisk.replaces)}"
    targets = config.replacements_of(subdisk.ref)
    if targets:
        return f"Moving to {', '.join(_name_of(config, target.disk) for target in targets)}"
    plex = config.get(subdisk.plex)
    if subdisk.state in PIECE_WORDS:
        return PIECE_WORDS[subdisk.state]
    return plex_words(plex) if isinstance(plex, Plex) else ""


def _subdisk_tone(mirror: Mirror, subdisk: Subdisk) -> Tone:
    if subdisk.replaces is not None or mirror.config.replacements_of(subdisk.ref):
        return Tone.WORKING
    if subdisk.state in PIECE_TONES:
        return PIECE_TONES[subdisk.state]
    plex = mirror.config.get(subdisk.plex)
    return tone_of(plex) if isinstance(plex, Plex) else Tone.NONE


def _came_from(mirror: Mirror, subdisk: Subdisk) -> str:
    """The disk that hot relocation took it from."""
    return _name_of(mirror.config, subdisk.origin.disk) if subdisk.origin is not None else ""


def _volume_name(mirror: Mirror, subdisk: Subdisk) -> str:
    plex = mirror.config.get(subdisk.plex)
    return _name_of(mirror.config, plex.volume) if isinstance(plex, Plex) else ""


PLEX = (
    NAME,
    status(),
    Column("layout", "Layout", lambda _, p: PLEX_LAYOUTS[p.layout]),
    number("columns", "Columns", lambda _, p: p.columns),
    Column("unit", "Stripe Unit", lambda _, p: format_size(p.stripe_unit) if p.stripe_unit else "", right=True),
    size("size", "Size", lambda _, p: p.length),
    Column("disks", "Disks", _plex_disks, width=24),
    Column("volume", "Volume", lambda m, p: _name_of(m.config, p.volume), shown=False),
    Column(
        "preferred",
        "Preferred",
        lambda m, p: "Yes" if getattr(m.config.get(p.volume), "preferred", None) == p.ref else "No",
        shown=False,
    ),
)
SUBDISK = (
    NAME,
    Column("volume", "Volume", _volume_name),
    Column("plex", "Mirror", lambda m, s: _name_of(m.config, s.plex)),
    Column("disk", "Disk", lambda m, s: _name_of(m.config, s.disk)),
    size("offset", "Offset", lambda _, s: s.disk_offset),
    number("column", "Column", lambda _, s: s.column + 1),  # as blocks are labelled
    size("length", "Length", lambda _, s: s.length),
    Column("status", "Status", _subdisk_status, tone=_subdisk_tone, width=22),
    Column("origin", "Relocated from", _came_from, shown=False, width=14),
    size("plex_offset", "Offset in Column", lambda _, s: s.plex_offset, shown=False),
)


# --- tasks, clients, alerts ---
def _task_progress(_: Mirror, task: Task) -> str:
    percent = percent_done(task)
    return "" if percent is None else f"{percent} %"


def _task_share(_: Mirror, task: Task) -> float | None:
    percent = percent_done(task)
    return None if percent is None else percent / 100


def _task_bytes(_: Mirror, task: Task) -> str:
    return f"{format_exact(task.bytes_done)} of {format_exact(task.bytes_total)}" if task.bytes_total else ""


def _task_object(mirror: Mirror, task: Task) -> str:
    """What it is about; finished tasks that were cleared are no object."""
    return _name_of(mirror.config, task.object) if task.object is not None and task.object.kind is not Kind.TASK else ""


def _throttle(_: Mirror, task: Task) -> str:
    return f"{task.iodelay_ms} ms" if task.iodelay_ms else "Off"


def _alert_tip(_: Mirror, alert: Alert) -> str:
    """All that an alert says."""
    return "\n".join(filter(None, (alert.name, alert.cause, alert.remedy)))


TASK = (
    Column("number", "Task", lambda _, t: t.ref.id, lambda _, t: int(t.ref.id), right=True, shown=False, width=6),
    Column("name", "Name", lambda _, t: t.name, width=46),
    Column("object", "Target Object", _task_object, width=16),
    Column("status", "Status", status_text, tip=lambda _, t: t.result, tone=lambda _, t: tone_of(t), width=14),
    Column(
        "progress",
        "Percent Complete",
        _task_progress,
        lambda m, t: _task_share(m, t) or 0.0,
        tip=_task_bytes,
        bar=_task_share,
        width=20,
    ),
    Column("left", "Time Left", lambda _, t: time_left(t), lambda _, t: t.eta_high_s, width=14),
    moment("started", "Start Time", lambda t: t.started_at),
    Column("result", "Result", lambda _, t: t.result, tip=lambda _, t: t.result, width=32),
    Column("throttle", "Throttle", _throttle, lambda _, t: t.iodelay_ms, shown=False),
    size("copied", "Copied", lambda _, t: t.bytes_copied, shown=False),
)
TASK_LOG = (
    Column("name", "Name", lambda _, t: t.name, width=34, wraps=True),
    Column("object", "Target Object", _task_object, width=16),
    replace(status(), width=14),
    moment("started", "Start Time", lambda t: t.started_at),
    moment("finished", "Finish Time", lambda t: t.finished_at),
    Column(
        "copied",
        "Copied",
        lambda _, t: format_size(t.bytes_copied) if t.bytes_copied else "",
        lambda _, t: t.bytes_copied,
        tip=lambda _, t: format_exact(t.bytes_copied),
        right=True,
        width=10,
    ),
    Column("result", "Result", lambda _, t: t.result, tip=lambda _, t: t.result, width=40, wraps=True),
)
CONNECTION = (
    Column("name", "Client", lambda _, c: c.name, width=28),
    moment("since", "Since", lambda c: c.since),
    Column("process", "Process", lambda _, c: str(c.process_id) if c.process_id else "", right=True),
    Column("volume", "Volume", lambda m, c: _name_of(m.config, c.volume), shown=False),
)
ALERT = (
    Column(
        "severity", "Severity", status_text, lambda _, a: (-tone_of(a), -a.time), tone=lambda _, a: tone_of(a), width=13
    ),
    moment("time", "Date/Time", lambda a: a.time),
    Column("name", "Message", lambda _, a: a.name, tip=_alert_tip, width=34, wraps=True),
    Column("object", "Object", lambda m, a: _name_of(m.config, a.object), width=12, go="go-to-object"),
    Column("action", "Action", best_words, width=18, go="begin-remedy"),
    Column("remedy", "What to do", lambda _, a: a.remedy, tip=_alert_tip, width=40, wraps=True),
    Column("cause", "Cause", lambda _, a: a.cause, tip=lambda _, a: a.cause, shown=False, width=40),
)

SETTINGS: tuple[Column, ...] = (
    Column("name", "Name", lambda _, s: s.name, width=16),
    Column("relocation", "Hot Relocation", lambda _, s: s.hot_relocation.value.capitalize(), width=16),
    number("wait", "Wait before Hot Relocation (s)", lambda _, s: s.relocation_wait_s),
    number("interval", "Monitoring Interval (s)", lambda _, s: s.monitoring_interval_s),
    number("backups", "Configuration Backups Kept", lambda _, s: s.backups_kept),
)

BACKUP: tuple[Column, ...] = (
    Column("name", "Name", lambda _, b: b.name, width=22),
    moment("time", "Date/Time", lambda b: b.time),
    Column("group", "Group Name", lambda _, b: b.group_name, width=12),
    number("transaction", "Transaction", lambda _, b: b.transaction),
    number("volumes", "Volumes", lambda _, b: b.volumes),
    number("disks", "Disks", lambda _, b: b.disks),
    Column("reason", "Saved before", lambda _, b: b.reason, width=40),
    size("size", "Size", lambda _, b: b.size),
)

SCHEDULE: tuple[Column, ...] = (
    NAME,
    Column("when", "When", lambda _, s: when_words(s.when), width=26),
    Column("next", "Next Run", next_text, lambda _, s: s.next_run or float("inf"), width=21),
    Column("last", "Last Result", lambda _, s: last_text(s), tip=last_tip, tone=lambda _, s: last_tone(s), width=28),
    Column("kept", "Sets", kept_text, width=26),
    Column("volumes", "Volumes", lambda m, s: ", ".join(filter(None, (_name_of(m.config, v) for v in s.volumes)))),
    Column("group", "Group Name", lambda m, s: _name_of(m.config, s.group), width=12, shown=False),
)

COLUMNS: dict[Kind, tuple[Column, ...]] = {
    Kind.HOST: HOST,
    Kind.ENCLOSURE: ENCLOSURE,
    Kind.DISK: DISK,
    Kind.GROUP: GROUP,
    Kind.VOLUME: VOLUME,
    Kind.PLEX: PLEX,
    Kind.SUBDISK: SUBDISK,
    Kind.TASK: TASK,
    Kind.CONNECTION: CONNECTION,
    Kind.ALERT: ALERT,
    Kind.SETTINGS: SETTINGS,
    Kind.BACKUP: BACKUP,
    Kind.SCHEDULE: SCHEDULE,
}


def properties(mirror: Mirror, record: Record) -> list[tuple[str, str]]:
    """Everything there is to say about a record: label and value; exact figures beside short ones."""
    found = []
    for column in COLUMNS[record.ref.kind]:
        text = column.text(mirror, record)
        exact = column.tip(mirror, record) if column.tip is not None else ""
        found.append((column.title, f"{text} ({exact})" if column.right and exact and exact != text else text))
    return found


def as_csv(mirror: Mirror, columns: Sequence[Column], records: Iterable[Record]) -> str:
    """A table as comma-separated values with a line of titles; sizes as they are read, exact bytes where known."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.title for column in columns])
    for record in records:
        writer.writerow([(column.plain or column.text)(mirror, record) for column in columns])
    return out.getvalue()


def matches(mirror: Mirror, columns: Sequence[Column], record: Record, wanted: str) -> bool:
    """Whether each word of a filter stands somewhere in the row."""
    words = wanted.casefold().split()
    if not words:
        return True
    row = "\n".join(column.text(mirror, record) for column in columns).casefold()
    return all(word in row for word in words)
