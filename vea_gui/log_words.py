"""What is said of a volume's log: which one, where, how fine, and what a crash would cost now."""

from __future__ import annotations

from collections.abc import Iterable

from engine.records import Record, Ref, Volume
from engine.units import format_exact, format_size
from vea_gui.mirror import Mirror

NO_ROOM = "no disk has room for its dirty region log; after a crash mirrors are copied whole"


def unlogged_text(mirror: Mirror, volume: Volume) -> str:
    """That a mirrored volume is without the log that it should have; empty when all is well."""
    log = volume.dirty_log
    lacks = log is not None and not log.places and volume.size and len(mirror.config.plexes_of(volume.ref)) > 1
    return f"{NO_ROOM[0].upper()}{NO_ROOM[1:]}." if lacks else ""


def log_text(mirror: Mirror, volume: Volume) -> str:
    """Which log a volume has, and on which disks."""
    config = mirror.config
    if volume.dirty_log is not None:
        disks = _names(mirror, (place.disk for place in volume.dirty_log.places))
        return f"Dirty region log on {disks}" if disks else f"None: {NO_ROOM}"
    pieces = (piece for log in config.logs_of(volume.ref) for piece in config.subdisks_of(log.ref))
    disks = _names(mirror, (piece.disk for piece in pieces))
    return f"RAID-5 log on {disks}" if disks else "No log"


def region_text(mirror: Mirror, volume: Volume) -> str:
    """How many bytes one bit of a dirty region log stands for."""
    return format_size(volume.dirty_log.region_size) if volume.dirty_log and volume.dirty_log.places else ""


def dirty_text(mirror: Mirror, volume: Volume) -> str:
    """How much a copy after a crash would take."""
    return format_size(volume.dirty_bytes) if region_text(mirror, volume) else ""


def dirty_tip(mirror: Mirror, volume: Volume) -> str:
    """The same in exact bytes, and what it means."""
    exact = format_exact(volume.dirty_bytes)
    return f"{exact} that a crash would make a copy of to each mirror but one" if region_text(mirror, volume) else ""


def _names(mirror: Mirror, disks: Iterable[Ref]) -> str:
    found = (mirror.config.get(disk) for disk in disks)
    names = [record.name for record in found if isinstance(record, Record)]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
