"""Disks in use that somebody has written over behind the engine's back, as far as a look can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.records import Disk
from engine.rules import can_do_without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.commit import Committer
    from engine.luns import Lun, LunTable
    from engine.records import Ref
    from engine.store.group_store import GroupStore
    from engine.store.scan import Found


def overwritten(committer: Committer, luns: LunTable, found: Found, tell: Callable[[Ref], None]) -> set[Ref]:
    """Disks whose copy of the configuration is an older one, or whose label has gone.

    One without a label that holds the only copy of something is left alone, and `tell` told of it: as long as it is
    open that can be had from it.
    """
    suspects = {disk for told in found.groups.values() for disk in told.stale}
    lagging = {
        disk.ref
        for group, store in committer.stores.items()
        for disk in committer.config.disks_of(group)
        if disk.ref.id in suspects and _has_label(luns, disk.ref, found) and store.lags(disk.ref)
    }
    for disk in _without_label(committer, luns, found):
        if can_do_without(committer.config, disk) is None:
            lagging.add(disk)
        else:
            tell(disk)
    return lagging


def _has_label(luns: LunTable, disk: Ref, found: Found) -> bool:
    """Whether the LUN in use says itself which disk it is: else what was found as that disk stands elsewhere."""
    lun = luns.of(disk)
    label = found.labels.get(lun.path) if lun is not None else None
    return label is not None and label.disk == disk.id


def _without_label(committer: Committer, luns: LunTable, found: Found) -> Iterator[Ref]:
    for lun in luns:
        if not lun.present() or lun.path in found.labels or lun.path in found.unreadable:
            continue
        store = _store_of(committer, lun)
        if lun.disk is not None and store is not None and store.works(lun.disk):
            yield lun.disk


def _store_of(committer: Committer, lun: Lun) -> GroupStore | None:
    record = committer.config.get(lun.disk)
    return committer.stores.get(record.group) if isinstance(record, Disk) and record.group is not None else None
