"""What may be done with snap plexes and snapshots."""

from __future__ import annotations

from engine.config import Config
from engine.plans import Problem
from engine.records import LinkSide, Plex, Ref
from engine.rules.links import other_end
from engine.rules.parity import not_parity
from engine.rules.plexes import plex_complete, trusted
from engine.rules.shapes import mirrors_ok
from engine.rules.volumes import not_initializing, volume_ready


def mirrors_of(config: Config, volume: Ref) -> list[Plex]:
    """The plexes of a volume that are copies to count on: all but its snap plexes."""
    return [plex for plex in config.plexes_of(volume) if plex.snap is None]


def snap_plexes_of(config: Config, volume: Ref) -> list[Plex]:
    """The snap plexes of a volume, ready or not."""
    return [plex for plex in config.plexes_of(volume) if plex.snap is not None]


def not_snap_plex(
    config: Config, plex: Ref, help_: str = "Abort the snapshot first: Snap > Snap Abort."
) -> Problem | None:
    """An ordinary mirror."""
    record = config.plex(plex)
    if record.snap is None:
        return None
    return Problem(f"{record.name} is a snap plex.", help_, plex)


def is_snap_plex(config: Config, plex: Ref) -> Problem | None:
    """A plex that was prepared for a Snap Shot."""
    record = config.plex(plex)
    if record.snap is not None:
        return None
    return Problem(f"{record.name} is no snap plex.", "Prepare the volume first: Snap > Prepare.", plex, "plexes")


def can_prepare(config: Config, volume: Ref) -> Problem | None:
    """A volume that may get a snap plex."""
    if blocked := volume_ready(config, volume) or not_initializing(config, volume):
        return blocked
    if blocked := not_parity(config, volume, "can't have snapshots"):
        return Problem(blocked.text, "Make a mirrored volume and copy its data.", volume)
    return _no_doubt(config, volume)


def _no_doubt(config: Config, volume: Ref) -> Problem | None:
    if fenced := not_fenced(config, volume):
        return fenced
    record = config.volume(volume)
    if record.source is not None:
        text = f"The mirrors of {record.name} are not known to be equal."
        return Problem(text, "Resynchronize the volume first.", volume)
    return None


def can_snap(config: Config, volume: Ref, plex: Ref | None) -> Problem | None:
    """A volume with a snap plex that is ready; `plex` is the one that would leave, None: none is ready."""
    record = config.volume(volume)
    if blocked := volume_ready(config, volume) or not_initializing(config, volume) or _no_doubt(config, volume):
        return blocked
    if plex is None:
        attached = snap_plexes_of(config, volume)
        if attached:
            text = f"{attached[0].name}, the snap plex of {record.name}, is not complete."
            return Problem(text, "Resynchronize the volume first.", volume)
        return Problem(f"{record.name} is not prepared.", "Prepare it first: Snap > Prepare.", volume)
    if blocked := is_snap_plex(config, plex) or plex_complete(config, plex) or keeps_a_copy(config, volume, plex):
        return blocked
    if not record.serving:
        return Problem(f"{record.name} is stopped.", "Start it first.", volume)
    return None


def can_snap_back(config: Config, snapshot: Ref) -> Problem | None:
    """A snapshot that nothing keeps from going back to its original."""
    record = config.volume(snapshot)
    if blocked := volume_ready(config, snapshot):
        return blocked
    taken_of = [link for link in record.links if link.side is LinkSide.SNAPSHOT]
    others = [link for link in record.links if link.side is LinkSide.ORIGINAL and link.peer in config]
    if not taken_of or other_end(config, snapshot, taken_of[0]) is None:
        return Problem(f"{record.name} is not the snapshot of a volume that is here.", "", snapshot)
    if others:
        name = config.volume(others[0].peer).name
        return Problem(f"{name} is a snapshot of {record.name}.", "Snap it back, or clear it, first.", snapshot)
    plexes = config.plexes_of(snapshot)
    if len(plexes) != 1:
        text = f"{record.name} has {len(plexes)} mirrors; the one that left its volume goes back."
        return Problem(text, "Remove the others first.", snapshot)
    original = config.volume(taken_of[0].peer)
    if original.group != record.group:
        text = f"{original.name} is in {config.group(original.group).name}, {record.name} in another disk group."
        return Problem(text, "Join the two disk groups first.", snapshot)
    if original.size != record.size:
        return Problem(f"{record.name} and {original.name} are not of the same size.", "Clear the snapshot.", snapshot)
    return volume_ready(config, original.ref) or mirrors_ok(len(config.plexes_of(original.ref)), 1, "snapshots")


def not_fenced(config: Config, volume: Ref) -> Problem | None:
    """A volume that takes writes."""
    record = config.volume(volume)
    if not record.fenced:
        return None
    return Problem(f"{record.name} takes no writes: {record.fenced}", "Stop it, check it, start it again.", volume)


def has_links(config: Config, volume: Ref) -> Problem | None:
    """A volume that has snapshots, or is one."""
    record = config.volume(volume)
    if record.links:
        return None
    return Problem(f"{record.name} is no snapshot and has none.", "", volume)


def size_is_free(config: Config, volume: Ref) -> Problem | None:
    """A volume whose size and columns no snapshot depends on."""
    record = config.volume(volume)
    peer = next((config.volume(link.peer) for link in record.links if link.peer in config), None)
    if peer is None and record.links:
        text = f"{record.name} and a volume of another disk group, which is not here, are volume and snapshot."
        return Problem(text, "Join that disk group and snap back, or clear the snapshot, first.", volume)
    if peer is None:
        return None
    text = f"{record.name} and {peer.name} are volume and snapshot, and what they differ in is known for one size only."
    return Problem(text, "Snap it back, or clear it, first.", volume)


def needs_no_log(config: Config, volume: Ref) -> Problem | None:
    """A volume without snap plexes: these need its dirty region log."""
    snap = snap_plexes_of(config, volume)
    if not snap:
        return None
    return Problem(
        f"{config.volume(volume).name} has the snap plex {snap[0].name}.", "Abort the snapshot first.", volume
    )


def can_convert(config: Config, plex: Ref) -> Problem | None:
    """A complete mirror that may become a snap plex, as the volume keeps another one."""
    record = config.plex(plex)
    if blocked := not_snap_plex(config, plex, "Choose another mirror.") or plex_complete(config, plex):
        return blocked
    return keeps_a_copy(config, record.volume, plex)


def keeps_a_copy(config: Config, volume: Ref, leaving: Ref) -> Problem | None:
    """Without a plex there is a complete mirror left that is no snap plex."""
    if any(plex.ref != leaving and plex.snap is None for plex in trusted(config, volume)):
        return None
    name, plex = config.volume(volume).name, config.plex(leaving).name
    return Problem(f"{name} has no complete mirror beside {plex}.", "Add a mirror, or resynchronize it first.", volume)
