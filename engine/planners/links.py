"""Links between volumes and their snapshots come to an end on both sides."""

from __future__ import annotations

from msgspec.structs import replace

from engine.planners.draft import Draft
from engine.records import Ref
from engine.rules import link_of


def unlink(draft: Draft, ref: Ref) -> None:
    """A volume has no links any more, and nobody in its group has one to it: what is in another group learns of it when
    the two are joined."""
    volume = draft.config.volume(ref)
    for link in volume.links:
        if link_of(draft.config, link.peer, link.generation) is not None:
            peer = draft.config.volume(link.peer)
            if peer.group != volume.group:
                continue
            left = tuple(one for one in peer.links if one.generation != link.generation)
            draft.put(replace(peer, links=left))
    draft.put(replace(volume, links=()))
