"""What may be done to a plex, and which ones hold the volume's content."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.config import Config
from engine.plans import Problem
from engine.records import Plex, PlexState, Ref
from engine.rules.disks import disk_present
from engine.rules.parity import no_column_out, not_log, parity_known
from engine.rules.volumes import volume_ready
from engine.rules.words import listed


def trusted(config: Config, volume: Ref) -> list[Plex]:
    """The plexes whose content is the volume's: complete, and while there is a source to believe, that one alone."""
    source = config.volume(volume).source
    return [plex for plex in config.plexes_of(volume) if plex.complete and source in (None, plex.ref)]


def has_source(config: Config, volume: Ref) -> Problem | None:
    """There is a mirror to copy from."""
    if trusted(config, volume):
        return None
    text = f"{config.volume(volume).name} has no complete mirror to copy from."
    return Problem(text, "Bring its missing disks back and rescan.", volume)


def all_complete(config: Config, volume: Ref) -> Problem | None:
    """Every plex is complete and none in doubt; of RAID-5 every column is there and parity is right."""
    good = {plex.ref for plex in trusted(config, volume)}
    if blocked := no_column_out(config, volume) or parity_known(config, volume):
        return blocked
    bad = [plex.name for plex in config.plexes_of(volume) if plex.ref not in good]
    if not bad:
        return None
    verb = "is" if len(bad) == 1 else "are"
    return Problem(f"{listed(bad)} {verb} not complete.", "Resynchronize the volume first.", volume)


def plex_complete(config: Config, plex: Ref) -> Problem | None:
    """The plex holds every byte of its volume, beyond doubt."""
    record = config.plex(plex)
    if any(good.ref == plex for good in trusted(config, record.volume)):
        return None
    return Problem(f"{record.name} is not complete.", "Resynchronize the volume first.", plex)


def keeps_a_mirror(config: Config, volume: Ref, leaving: Collection[Ref]) -> Problem | None:
    """Without the plexes that leave, the volume still has a complete one that is no snap plex."""
    if any(plex.ref not in leaving and plex.snap is None for plex in trusted(config, volume)):
        return None
    names = [config.plex(ref).name for ref in leaving]
    name = config.volume(volume).name
    if len(leaving) == len(config.plexes_of(volume)):
        verb = "is the only mirror" if len(names) == 1 else "are all the mirrors"
        return Problem(f"{listed(names)} {verb} of {name}.", "Add a mirror first, or delete the volume.", volume)
    verb = "is the last complete mirror" if len(names) == 1 else "are the last complete mirrors"
    return Problem(f"{listed(names)} {verb} of {name}.", "Resynchronize the volume first.", volume)


def plex_present(config: Config, plex: Ref) -> Problem | None:
    """All disks of the plex answer."""
    for subdisk in config.subdisks_of(plex):
        if missing := disk_present(config, subdisk.disk):
            return missing
    return None


def plex_can_attach(config: Config, plex: Ref) -> Problem | None:
    """A plex that was left out and can be filled again."""
    record = config.plex(plex)
    if blocked := volume_ready(config, record.volume) or not_log(config, plex, "is added or removed"):
        return blocked
    if record.state not in (PlexState.STALE, PlexState.IOFAIL, PlexState.OFFLINE, PlexState.FILLING):
        return Problem(f"{record.name} is attached already.", "", plex)
    return plex_present(config, plex) or has_source(config, record.volume)


def plex_can_detach(config: Config, plex: Ref) -> Problem | None:
    """A plex that can be taken off, while another complete one stays."""
    record = config.plex(plex)
    if blocked := volume_ready(config, record.volume) or not_log(config, plex, "is added or removed"):
        return blocked
    if record.state is PlexState.OFFLINE:
        return Problem(f"{record.name} is detached already.", "", plex)
    if record.state in (PlexState.EMPTY, PlexState.FILLING):
        return Problem(f"{record.name} was never filled to its end.", "Remove it, or attach it.", plex)
    return keeps_a_mirror(config, record.volume, [plex])


def plex_can_break(config: Config, plex: Ref) -> Problem | None:
    """A complete plex that leaves another complete one behind."""
    volume = config.plex(plex).volume
    if blocked := volume_ready(config, volume) or not_log(config, plex, "has no content of its own"):
        return blocked
    return plex_complete(config, plex) or keeps_a_mirror(config, volume, [plex])


def plexes_can_go(config: Config, plexes: Sequence[Ref]) -> Problem | None:
    """Plexes that may be removed together, of one or more volumes."""
    for volume in dict.fromkeys(config.plex(ref).volume for ref in plexes):
        leaving = [ref for ref in plexes if config.plex(ref).volume == volume]
        for ref in leaving:
            if log := not_log(config, ref, "is removed by Remove Log"):
                return log
        if blocked := volume_ready(config, volume) or keeps_a_mirror(config, volume, leaving):
            return blocked
    return None
