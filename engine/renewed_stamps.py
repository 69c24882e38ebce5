"""New import stamps for disks that keep no copy of the configuration, before a transaction says that what lies on them
is clean.

An image that was taken before carries an older stamp than that transaction tells, so that it is recognised at the next
look as one of a disk with a copy is. A power cut in between leaves newer stamps than are on record, which is all right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.detach import fail_disk

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
    """Stamp what these volumes lie on. They are held still, those apart of which something is in doubt."""
    by_group: dict[Ref, set[Ref]] = {}
    for ref in volumes:
        pieces = [piece for part in config.parts_of(ref) for piece in config.subdisks_of(part.ref)]
        by_group.setdefault(config.volume(ref).group, set()).update(piece.disk for piece in pieces)
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
