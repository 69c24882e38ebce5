"""What may be done to the log of a volume."""

from __future__ import annotations

from engine.config import Config
from engine.plans import Problem
from engine.records import Ref, VolumeLayout

_LOGGED = frozenset({VolumeLayout.RAID5, VolumeLayout.MIRROR, VolumeLayout.MIRROR_STRIPE})


def may_have_log(config: Config, volume: Ref) -> Problem | None:
    """A volume whose redundancy a crash can harm."""
    record = config.volume(volume)
    if record.layout in _LOGGED:
        return None
    text = f"{record.name} is {record.layout.value.lower()} and has no log."
    return Problem(text, "Only RAID-5 volumes and mirrors have one.", volume)


def log_wanted(config: Config, volume: Ref) -> Problem | None:
    """A mirror without a dirty region log. RAID-5 may have several copies of its log."""
    log = config.volume(volume).dirty_log
    if log is None or not log.places:
        return None
    return Problem(f"{config.volume(volume).name} has a dirty region log already.", "", volume)


def has_log(config: Config, volume: Ref) -> Problem | None:
    """A volume with a log that can be taken away."""
    record = config.volume(volume)
    if record.dirty_log is not None or config.logs_of(volume):
        return None
    return Problem(f"{record.name} has no log.", "There is nothing to remove.", volume)
