"""New import stamps for disks, before a transaction says that what lies on them is clean.

An image that was taken before carries an older stamp than that transaction tells, so that it is recognised at the next
look. A copy of the configuration does not tell that: one that lacks the newest transaction alone may have missed it in
a power cut. A cut in between leaves newer stamps than are on record, which is all right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.edits.detach import fail_disk
from engine.records import PlexState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.config import Config, Edit
    from engine.records import LeastStamp, Ref
    from engine.store.group_store import GroupStore


class Renewed(NamedTuple):
    """What the disks carry now, and those that did not take it."""

    least: dict[Ref, LeastStamp]
    failed: tuple[Ref, ...]


def renew_stamps(config: Config, stores: Mapping[Ref, GroupStore], volumes: Iterable[Ref]) -> Renewed:
    """Stamp what these volumes lie on. They are held still, those apart of which something is in doubt. Where nothing
    has been written a copy of the configuration tells as much."""
    by_group: dict[Ref, set[Ref]] = {}
    for ref in volumes:
        group = config.volume(ref).group
        disks = {piece.disk for part in config.parts_of(ref) for piece in config.subdisks_of(part.ref)}
        if not any(plex.state is PlexState.ACTIVE for plex in config.plexes_of(ref)):
            disks.difference_update(stores[group].copies)
        by_group.setdefault(group, set()).update(disks)
    least: dict[Ref, LeastStamp] = {}
    failed: list[Ref] = []
    for group, disks in sorted(by_group.items()):
        stamp, stamped = stores[group].renew_stamps(disks)
        for disk in sorted(stamped):
            if stores[group].works(disk):
                least[disk] = stamp
            else:
                failed.append(disk)
    return Renewed(least, tuple(failed))


def note(edit: Edit, renewed: Renewed) -> list[Ref]:
    """The records tell it. A disk that failed is left out by this very edit, so that nothing of it is read at the next
    start; what has no other copy stays as it was. Answers the tasks that can't go on."""
    for disk, stamp in renewed.least.items():
        edit.put(replace(edit.config.disk(disk), least_stamp=stamp))
    return [task for disk in renewed.failed for task in fail_disk(edit, disk)]
