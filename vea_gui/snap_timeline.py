"""The snapshots of a volume, or of a disk group, by the time they were taken: sets whole, and what waits. No Qt."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from engine import rules
from engine.commands import Master
from engine.config import Config
from engine.records import Group, Plex, Ref, Volume
from engine.units import format_band, format_size
from vea_gui import moments, snap_words
from vea_gui.mirror import Mirror
from vea_gui.wizards.plan_words import COPYING, expected_s
from vea_gui.words import Tone, status_text, tone_of

NOTHING = "nothing to copy"


class RowKind(enum.StrEnum):
    """What a row stands for."""

    READY = "ready"  # a snap plex that waits for the next Snap Shot, or is being filled
    SET = "set"  # snapshots of one instant, as one object
    SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class Row:
    """One row of the timeline. `refs` are what is meant by it: of a set, all of its snapshots."""

    kind: RowKind
    refs: tuple[Ref, ...]
    title: str
    when: str  # as this desktop writes it; empty: now
    lines: tuple[str, ...] = ()
    tone: Tone = Tone.NONE
    member: bool = False  # it stands below its set
    shares: tuple[float, ...] = ()  # of the volume that the original, and the snapshot, have changed: 0 to 1

    @property
    def key(self) -> tuple[RowKind, tuple[Ref, ...]]:
        return self.kind, self.refs

    @property
    def text(self) -> str:
        """All of it, for tips and screen readers."""
        when = f"Taken {self.when}" if self.when else ""
        return "\n".join(filter(None, (self.title, when, *self.lines)))


def timeline(mirror: Mirror, scope: Ref | None) -> list[Row]:
    """What waits for the next Snap Shot, then everything that was taken, the newest first."""
    config = mirror.config
    volumes = _volumes(config, scope)
    whole = isinstance(config.get(scope), Group)
    found = [_ready(mirror, volume, plex) for volume in volumes for plex in rules.snap_plexes_of(config, volume.ref)]
    for members in _sets(config, taken(config, scope)):
        shown = [one for one in members if whole or _belongs(one, scope)]
        if len(members) > 1:
            found.append(_set(config, members))
        found += [_snapshot(mirror, one, member=len(members) > 1) for one in shown]
    return found


def taken(config: Config, scope: Ref | None) -> list[Volume]:
    """The snapshots of a volume and the volume itself when it is one; of a disk group, all of its snapshots."""
    volumes = _volumes(config, scope)
    own = [volume for volume in volumes if snap_words.link_of(volume) is not None]
    if isinstance(config.get(scope), Group):
        return own
    return [*own, *(one for volume in volumes for one in snap_words.snapshots_of(config, volume))]


def _volumes(config: Config, scope: Ref | None) -> list[Volume]:
    record = config.get(scope)
    if isinstance(record, Group):
        return config.volumes_of(record.ref)
    return [record] if isinstance(record, Volume) else []


def _belongs(snapshot: Volume, scope: Ref | None) -> bool:
    link = snap_words.link_of(snapshot)
    return snapshot.ref == scope or (link is not None and link.peer == scope)


def _sets(config: Config, snapshots: Iterable[Volume]) -> list[list[Volume]]:
    """Each snapshot with all that was taken at its instant, once."""
    found: dict[Ref, list[Volume]] = {}
    for snapshot in snapshots:
        members = snap_words.set_of(config, snapshot)
        found.setdefault(members[0].ref, members)
    return sorted(found.values(), key=lambda members: (-snap_words.taken(members[0]), members[0].name))


# --- rows ---
def _ready(mirror: Mirror, volume: Volume, plex: Plex) -> Row:
    waits = "It leaves the volume with the next Snap Shot." if plex.complete else "It cannot leave the volume yet."
    title, lines = f"{plex.name}, snap plex of {volume.name}", (status_text(mirror, plex), waits)
    return Row(RowKind.READY, (plex.ref,), title, "", lines, tone_of(plex))


def _set(config: Config, members: list[Volume]) -> Row:
    link = snap_words.link_of(members[0])
    assert link is not None  # a set is made of snapshots
    title = f"Set {link.set_name}" if link.set_name else "Snapshot set"
    who = rules.listed([_named(config, one) for one in members])
    refs = tuple(one.ref for one in members)
    lines = filter(
        None, (f"{len(members)} snapshots of one instant, {link.consistency}: {who}", _back(config, members))
    )
    return Row(RowKind.SET, refs, title, _when(members[0]), tuple(lines), max(tone_of(one) for one in members))


def _snapshot(mirror: Mirror, snapshot: Volume, *, member: bool) -> Row:
    config, link = mirror.config, snap_words.link_of(snapshot)
    assert link is not None  # only snapshots are asked for
    kept = f", kept still: {rules.listed(link.frozen)}" if link.frozen else ""
    named = f", set {link.set_name}" if link.set_name and not member else ""
    lines = [f"{status_text(mirror, snapshot)}, {link.consistency}{kept}{named}"]
    if link.lower:
        lines.append(link.lower)
    original = snap_words.original_of(config, snapshot)
    shares: tuple[float, ...] = ()
    if original is not None:
        here, there = (dict(one.changed).get(link.generation, 0) for one in (original, snapshot))
        shares = tuple(min(1.0, size / max(1, original.size)) for size in (here, there))
        since = f"{format_size(here)} on {original.name}, {format_size(there)} on {snapshot.name}"
        lines += [f"Changed since: {since}", _back(config, [snapshot])]
    title, tone = _named(config, snapshot), tone_of(snapshot)
    return Row(RowKind.SNAPSHOT, (snapshot.ref,), title, _when(snapshot), tuple(lines), tone, member, shares)


def _named(config: Config, snapshot: Volume) -> str:
    original = snap_words.original_of(config, snapshot)
    return f"{snapshot.name} of {original.name}" if original is not None else f"{snapshot.name}, its volume is not here"


def _when(snapshot: Volume) -> str:
    when = snap_words.taken(snapshot)
    return moments.moment(when) if when else "time not known"


def _back(config: Config, snapshots: list[Volume]) -> str:
    """What a Snap Back copies and how long that takes, in each direction."""
    if any(snap_words.original_of(config, one) is None for one in snapshots):
        return ""
    ways = [_way(config, snapshots, master) for master in Master]
    if set(ways) == {NOTHING}:
        return "Snap Back: nothing to copy in either direction"
    what = "volumes" if len(snapshots) > 1 else "volume"
    other = "snapshots" if len(snapshots) > 1 else "snapshot"
    return f"Snap Back: using the original {what} {ways[0]}; using the {other} {ways[1]}"


def _way(config: Config, snapshots: list[Volume], master: Master) -> str:
    found = [snap_words.to_copy(config, one, master) for one in snapshots]
    size = sum(size for size, _ in found)
    if not size:
        return NOTHING
    low, high, _ = expected_s(config, size, COPYING)
    everything = "" if all(known for _, known in found) else " (everything)"
    return f"{format_size(size)}{everything}, about {format_band(low, high)}"
