"""What becomes of volumes when a disk fails: the engine's own rule for what a mirror is worth, asked beforehand."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine import rules
from engine.config import Config, natural
from engine.records import Disk, Plex, Ref, Volume
from engine.states import pieces_out, two_columns
from vea_gui.words import Tone

NAMED = 6
"""So many volumes of one fate are named; the others are counted."""


class Fate(enum.IntEnum):
    """From bad to good."""

    LOST = 0  # its data cannot be read any more
    DEGRADED = 1  # one copy stays
    FEWER = 2  # several copies stay
    AWAY = 3  # nothing can be read from it anyway
    UNAFFECTED = 4


WORDS = {
    Fate.LOST: ("lost", "lost"),
    Fate.DEGRADED: ("stays available, loses redundancy", "stay available, lose redundancy"),
    Fate.FEWER: ("stays available on several copies", "stay available on several copies"),
    Fate.AWAY: ("not available now", "not available now"),
    Fate.UNAFFECTED: ("unaffected", "unaffected"),
}
"""What is said of one volume, and of several."""
AWAY_WORDS = {
    Fate.LOST: ("not available without it", "not available without it"),
    Fate.DEGRADED: ("available, without redundancy", "available, without redundancy"),
    Fate.FEWER: ("available on other copies", "available on other copies"),
    Fate.AWAY: WORDS[Fate.AWAY],
    Fate.UNAFFECTED: WORDS[Fate.UNAFFECTED],
}
"""The same of a disk that is missing already."""


@dataclass(frozen=True)
class Risk:
    """What the failure of a disk means to one volume."""

    fate: Fate
    text: str
    tone: Tone = Tone.NONE


def risk_of(config: Config, volume: Volume, disk: Ref) -> Risk:
    """What the volume has left without the disk; of a disk that has failed, what it has."""
    parity = [plex for plex in config.plexes_of(volume.ref) if rules.is_parity(plex)]
    if parity:
        return _risk_of_parity(config, volume, parity[0], disk)
    here = {plex.ref for plex in config.plexes_of(volume.ref) if _uses(config, plex, disk)}
    good = rules.trusted(config, volume.ref)
    left = [plex for plex in good if plex.ref not in here]
    if not good:
        return _risk_of_none(config, volume, disk, here)
    if len(left) == len(good) and not (here and _is_away(config, disk)):
        return Risk(Fate.UNAFFECTED, f"Unaffected: {_why_unaffected(config, here)}")
    if not left:
        why = "no other copy is complete" if len(config.plexes_of(volume.ref)) > 1 else "it has no other copy"
        return Risk(Fate.LOST, f"Lost: {why}", Tone.WARNING)
    if len(left) == 1:
        return _degraded(config, disk)
    stays = "Available" if _is_away(config, disk) else "Stays available"
    return Risk(Fate.FEWER, f"{stays}, {len(left)} copies left")


def _degraded(config: Config, disk: Ref) -> Risk:
    """It has failed already, or it would."""
    text = "Available, without redundancy" if _is_away(config, disk) else "Stays available, loses redundancy"
    return Risk(Fate.DEGRADED, text)


def _risk_of_parity(config: Config, volume: Volume, plex: Plex, disk: Ref) -> Risk:
    """RAID-5 can do without one column of each row, as long as its parity is known to be right."""
    out = pieces_out(config, plex)
    here = [sd for sd in config.subdisks_of(plex.ref) if sd.disk == disk and sd.replaces is None]
    if not here:
        return Risk(Fate.UNAFFECTED, "Unaffected: only its log lies there, or data that is moving to it")
    if not plex.complete:
        if _is_away(config, disk):
            return Risk(Fate.LOST, "Lost until the disk is back", Tone.ERROR)
        return Risk(Fate.AWAY, "Not available now: more is lost than parity can stand for")
    if not volume.parity_known:
        return Risk(Fate.LOST, "Lost: its parity is not known to be right", Tone.WARNING)
    if two_columns(list({piece.ref: piece for piece in (*out, *here)}.values())):
        return Risk(Fate.LOST, "Lost: it lacks another column already", Tone.WARNING)
    return _degraded(config, disk)


def risks(config: Config, disk: Ref) -> list[tuple[Volume, Risk]]:
    """Of every volume with a piece on the disk, the worst first."""
    volumes = {volume.ref: volume for volume in map(config.volume_of, config.subdisks_on(disk))}
    found = [(volume, risk_of(config, volume, disk)) for volume in volumes.values()]
    return sorted(found, key=lambda pair: (pair[1].fate, natural(pair[0].name)))


def summary(config: Config, disk: Ref) -> list[str]:
    """One sentence for each fate, the worst first: `db and pay are lost.`"""
    by_fate: dict[Fate, list[str]] = {}
    for volume, risk in risks(config, disk):
        by_fate.setdefault(risk.fate, []).append(volume.name)
    away = _is_away(config, disk)
    return [_sentence(fate, names, away) for fate, names in by_fate.items()] or ["No volume lies on it."]


def _sentence(fate: Fate, names: list[str], away: bool) -> str:
    one, many = (AWAY_WORDS if away else WORDS)[fate]
    verb = "" if fate in (Fate.DEGRADED, Fate.FEWER) and not away else "is " if len(names) == 1 else "are "
    return f"{rules.listed(names, NAMED)} {verb}{one if len(names) == 1 else many}."


def _uses(config: Config, plex: Plex, disk: Ref) -> bool:
    """Whether the plex needs the disk; where a piece is only moving to does not count yet."""
    return any(subdisk.disk == disk and subdisk.replaces is None for subdisk in config.subdisks_of(plex.ref))


def _is_away(config: Config, disk: Ref) -> bool:
    record = config.get(disk)
    return not (isinstance(record, Disk) and record.present)


def _risk_of_none(config: Config, volume: Volume, disk: Ref, here: set[Ref]) -> Risk:
    """No mirror is complete: because of this very disk, or for another reason."""
    if here and _is_away(config, disk):
        return Risk(Fate.LOST, "Lost until the disk is back", Tone.ERROR)
    return Risk(Fate.AWAY, "Not available now: no copy is complete")


def _why_unaffected(config: Config, here: set[Ref]) -> str:
    if not here:
        return "data is only moving to it"
    names = sorted((config.plex(ref).name for ref in here), key=natural)
    verb = "which is" if len(names) == 1 else "which are"
    return f"it holds only {rules.listed(names)}, {verb} not complete"
