"""What an edit does to snapshots: which are taken, and which plexes come back. Reads edits only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.records import LinkSide, Plex, Volume
from engine.rules import link_of, other_end
from engine.states import COMPLETE

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Ref


class Return(NamedTuple):
    """A plex that goes back from a snapshot to the volume that it had left."""

    plex: Ref
    snapshot: Ref
    original: Ref
    generation: str
    restores: bool  # the snapshot's bytes become the original's
    known: bool  # the maps of both sides tell what differs


def new_links(edit: Edit) -> list[tuple[Ref, str]]:
    """Volumes and the generations of links that begin by an edit: their maps have no form yet."""
    volumes = [record for ref in edit.touched if isinstance(record := edit.config.get(ref), Volume)]
    return [
        (volume.ref, link.generation) for volume in volumes for link in volume.links if not link.changes.region_size
    ]


def is_original(config: Config, volume: Ref, generation: str) -> bool:
    """Whether a volume is what a snapshot is of."""
    link = link_of(config, volume, generation)
    return link is not None and link.side is LinkSide.ORIGINAL


def returns(edit: Edit) -> list[Return]:
    """The plexes that an edit takes back."""
    found = []
    for ref in sorted(edit.touched):
        before, after = edit.base.get(ref), edit.config.get(ref)
        if not isinstance(before, Plex) or not isinstance(after, Plex) or before.volume == after.volume:
            continue
        snapshot = edit.base.get(before.volume)
        if not isinstance(snapshot, Volume) or snapshot.ref in edit.config:
            continue
        for link in snapshot.links:
            other = other_end(edit.base, snapshot.ref, link)
            if link.peer == after.volume and link.side is LinkSide.SNAPSHOT and other is not None:
                known = link.is_known and other.is_known
                found.append(Return(ref, snapshot.ref, link.peer, link.generation, after.state in COMPLETE, known))
    return found
