"""The two ends of the link between a volume and its snapshot."""

from __future__ import annotations

from engine.config import Config
from engine.records import Link, Ref, Volume


def link_of(config: Config, volume: Ref, generation: str) -> Link | None:
    """One end of a link, if the volume has it."""
    record = config.get(volume)
    links = record.links if isinstance(record, Volume) else ()
    return next((link for link in links if link.generation == generation), None)


def other_end(config: Config, volume: Ref, link: Link) -> Link | None:
    """The other end of a link, when the peer has one that points back."""
    other = link_of(config, link.peer, link.generation)
    return other if other is not None and other.peer == volume and other.side is not link.side else None
