"""What may be done to a RAID-5 volume."""

from __future__ import annotations

from collections.abc import Collection

from engine.config import Config
from engine.plans import Problem
from engine.records import Plex, PlexLayout, Ref, Subdisk, VolumeLayout
from engine.rules.disks import disk_present
from engine.rules.words import listed
from engine.states import pieces_out, two_columns


def parity_known(config: Config, volume: Ref) -> Problem | None:
    """The parity of a RAID-5 volume is known to be right; every other volume has none that could be wrong."""
    record = config.volume(volume)
    if record.parity_known:
        return None
    text = f"The parity of {record.name} is not known to be right."
    return Problem(text, "Resynchronize the volume first.", volume)


def no_column_out(config: Config, volume: Ref) -> Problem | None:
    """Every column of a RAID-5 volume is there and up to date."""
    out = [piece for plex in config.plexes_of(volume) for piece in pieces_out(config, plex)]
    if not out:
        return None
    verb = "is" if len(out) == 1 else "are"
    text = f"{listed([piece.name for piece in out])} of {config.volume(volume).name} {verb} missing or out of date."
    return Problem(text, "Resynchronize the volume first.", volume)


def takes_writes(config: Config, volume: Ref) -> Problem | None:
    """Nothing keeps a RAID-5 volume from being written."""
    record = config.volume(volume)
    if not record.fenced or record.layout is not VolumeLayout.RAID5:
        return None
    text = f"{record.name} takes no writes: {record.fenced}"
    return Problem(text, "See to its disks, then start the volume.", volume)


def a_piece_present(config: Config, volume: Ref) -> Problem | None:
    """Of the pieces of a RAID-5 volume that are out one at least can be rebuilt where it lies, if any is out."""
    out = [piece for plex in config.plexes_of(volume) for piece in pieces_out(config, plex)]
    away = [disk_present(config, piece.disk) for piece in out]
    return away[0] if away and None not in away else None


def not_parity(config: Config, volume: Ref, what: str) -> Problem | None:
    """Something that a RAID-5 volume can't have or do; `what` is the sentence's end: `can't be mirrored`."""
    record = config.volume(volume)
    if record.layout is not VolumeLayout.RAID5:
        return None
    return Problem(f"{record.name} is a RAID-5 volume, which {what}.", "Its parity is its redundancy.", volume)


def not_log(config: Config, plex: Ref, what: str) -> Problem | None:
    """Something that can't be done to a log."""
    record = config.plex(plex)
    if record.layout is not PlexLayout.LOG:
        return None
    return Problem(f"{record.name} is a log, which {what}.", "Choose another object.", plex)


def is_parity(plex: Plex) -> bool:
    """Whether a plex is kept by parity: its columns come and go one by one."""
    return plex.layout is PlexLayout.RAID5


def stays_readable(config: Config, volume: Ref, leaving: Collection[Subdisk]) -> Problem | None:
    """A RAID-5 volume can be read without these pieces, together with those that are out already."""
    out = [piece for plex in config.plexes_of(volume) for piece in pieces_out(config, plex)]
    if not two_columns(list({piece.ref: piece for piece in (*out, *leaving)}.values())):
        return parity_known(config, volume)
    text = f"{config.volume(volume).name} lacks another column already."
    return Problem(text, "Repair it first.", volume, "disk")
