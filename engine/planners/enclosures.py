"""What an enclosure's failure would cost: mirrors that all lie in one are lost together, and columns of RAID-5 are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from engine.allocate import Space, Wish, place_plexes, usable_disks
from engine.config import Config
from engine.planners.draft import Draft
from engine.records import Enclosure, PlexLayout, Ref, Subdisk, Volume
from engine.rules import listed


def warn_moved_together(draft: Draft, volumes: Iterable[Volume]) -> None:
    """Mirrors that no enclosure takes all with it now, and that one will; so for two columns of RAID-5."""
    for volume in volumes:
        if not _shared(draft.base, volume):
            _warn(draft, volume, "")
        if not _crowded(draft.base, volume):
            _warn_crowded(draft, volume)


def warn_made_together(draft: Draft, volume: Volume, wish: Wish) -> None:
    """New mirrors on chosen disks beside others, where free disks elsewhere would have kept them apart."""
    if not wish.across and _shared(draft.config, volume) and _could_be_apart(draft.base, volume.group, wish):
        _warn(draft, volume, " Disks in other enclosures have room.")
    if len({disk.enclosure for disk in draft.base.disks_of(volume.group)}) > 1:
        _warn_crowded(draft, volume)


def _warn(draft: Draft, volume: Volume, more: str) -> None:
    names = [enclosure.name for enclosure in _shared(draft.config, volume)]
    if names:
        mirrors = "Both mirrors" if len(draft.config.plexes_of(volume.ref)) == 2 else "All mirrors"
        fails = "it fails" if len(names) == 1 else "one of them fails"
        draft.warn(f"{mirrors} of {volume.name} will need {listed(names)}: {volume.name} is lost when {fails}.{more}")


def _warn_crowded(draft: Draft, volume: Volume) -> None:
    names = [enclosure.name for enclosure in _crowded(draft.config, volume)]
    if names:
        away = "it is away" if len(names) == 1 else "one of them is away"
        text = f"{listed(names)} {'has' if len(names) == 1 else 'have'} several columns of {volume.name}"
        draft.warn(f"{text}, which can't be used while {away}.")


def _could_be_apart(config: Config, group: Ref, wish: Wish) -> bool:
    space = Space(config, usable_disks(config, group))
    return place_plexes(config, space, wish._replace(across=True)) is not None


def _shared(config: Config, volume: Volume) -> list[Enclosure]:
    """Enclosures that every mirror needs, of a volume that has several; moves count as done."""
    plexes = config.plexes_of(volume.ref)
    if len(plexes) < 2:
        return []
    common = set.intersection(*(_enclosures(config, config.subdisks_of(plex.ref)) for plex in plexes))
    found = [config.get(ref) for ref in sorted(common)]
    return [enclosure for enclosure in found if isinstance(enclosure, Enclosure)]


def _crowded(config: Config, volume: Volume) -> list[Enclosure]:
    """Enclosures with more columns of a RAID-5 volume than it can do without; moves count as done."""
    columns = {
        (subdisk.column, disk.enclosure)
        for plex in config.plexes_of(volume.ref)
        if plex.layout is PlexLayout.RAID5
        for subdisk in config.subdisks_of(plex.ref)
        if not config.replacements_of(subdisk.ref) and (disk := config.disk(subdisk.disk)).enclosure is not None
    }
    counts = Counter(enclosure for _, enclosure in columns)
    found = [config.get(ref) for ref, number in sorted(counts.items()) if number > 1]
    return [enclosure for enclosure in found if isinstance(enclosure, Enclosure)]


def _enclosures(config: Config, subdisks: Iterable[Subdisk]) -> set[Ref]:
    staying = (config.disk(subdisk.disk) for subdisk in subdisks if not config.replacements_of(subdisk.ref))
    return {disk.enclosure for disk in staying if disk.enclosure is not None}
