"""Snapshots in words and figures: what a volume is a snapshot of, its set, and what a Snap Back would copy. No Qt."""

from __future__ import annotations

from engine import rules
from engine.commands import Master
from engine.config import Config
from engine.records import Link, LinkSide, Plex, Record, Ref, Volume
from engine.states import COMPLETE
from vea_gui import moments
from vea_gui.mirror import Mirror


def link_of(record: Record | None) -> Link | None:
    """The link of a snapshot to its original; None of any other record."""
    links = record.links if isinstance(record, Volume) else ()
    return next((link for link in links if link.side is LinkSide.SNAPSHOT), None)


def original_of(config: Config, record: Volume) -> Volume | None:
    """What a volume is a snapshot of, where both know it."""
    link = link_of(record)
    if link is None or rules.other_end(config, record.ref, link) is None:
        return None
    return config.volume(link.peer)


def snapshots_of(config: Config, volume: Volume) -> list[Volume]:
    """The snapshots of a volume, the newest first."""
    links = [link for link in volume.links if link.side is LinkSide.ORIGINAL and link.peer in config]
    return [config.volume(link.peer) for link in sorted(links, key=lambda link: -link.taken)]


def set_of(config: Config, snapshot: Volume) -> list[Volume]:
    """The snapshots of the same instant, that one included; by name."""
    link = link_of(snapshot)
    if link is None or not link.set_id:
        return [snapshot]
    members = ((volume, link_of(volume)) for volume in config.volumes_of(snapshot.group))
    found = [volume for volume, other in members if other is not None and other.set_id == link.set_id]
    return sorted(found, key=lambda volume: volume.name)


def icon_name(record: Record) -> str:
    """The icon of a record: what has been snapped, and what waits for it, has a camera."""
    if link_of(record) is not None:
        return "snapshot"
    if isinstance(record, Plex) and record.snap is not None:
        return "snap-plex"
    return record.ref.kind.value


# --- columns ---
def of_text(mirror: Mirror, volume: Volume) -> str:
    """The name of what it is a snapshot of."""
    original = original_of(mirror.config, volume)
    return original.name if original is not None else ""


def set_text(mirror: Mirror, volume: Volume) -> str:
    """`hyperbackup`, or the names of the members of a set without a name."""
    link = link_of(volume)
    if link is None:
        return ""
    return link.set_name or rules.listed([one.name for one in set_of(mirror.config, volume)])


def taken_text(_: Mirror, volume: Volume) -> str:
    """When it was taken, as this desktop writes it."""
    when = taken(volume)
    return moments.moment(when) if when else ""


def consistency_text(_: Mirror, volume: Volume) -> str:
    """What whoever reads the snapshot finds, and what was kept still for that."""
    link = link_of(volume)
    if link is None:
        return ""
    kept = f", kept still: {rules.listed(link.frozen)}" if link.frozen else ""
    return f"{link.consistency}{kept}"


def taken(volume: Volume) -> float:
    """When it was taken, in seconds since the epoch; 0 for no snapshot."""
    link = link_of(volume)
    return link.taken if link is not None else 0.0


# --- figures ---
def to_copy(config: Config, snapshot: Volume, master: Master) -> tuple[int, bool]:
    """What a Snap Back would copy at most, in bytes, as of some seconds ago; whether only changes are copied."""
    link, original = link_of(snapshot), original_of(config, snapshot)
    if link is None or original is None:
        return 0, False
    other = rules.other_end(config, snapshot.ref, link)
    known = link.is_known and other is not None and other.is_known
    size = _changed(snapshot, original, link.generation) if known else original.size
    return size * (_filled(config, original.ref) if master is Master.SNAPSHOT else 1), known


def _changed(snapshot: Volume, original: Volume, generation: str) -> int:
    """What either side has changed; where nobody has counted that, at most so much."""
    apart = dict(snapshot.apart).get(generation)
    if apart is not None:
        return apart
    return min(sum(dict(volume.changed).get(generation, 0) for volume in (snapshot, original)), original.size)


def _filled(config: Config, original: Ref) -> int:
    """The mirrors that get the snapshot's bytes: all that are complete, but for the one that keeps the present ones."""
    whole = [plex for plex in config.plexes_of(original) if plex.state in COMPLETE]
    kept = any(plex.snap is not None and plex.complete for plex in whole)
    return max(1, len(whole) - kept)
