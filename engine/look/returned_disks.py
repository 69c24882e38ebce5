"""Disks that were away: whether they come back just as they left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.edits.dirty_places import forget_changes, renew_places
from engine.errors import EngineError
from engine.store.copy_reader import read_copy
from engine.store.label import read_label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.commit import Committer
    from engine.config import Edit
    from engine.devices.base import BlockDevice
    from engine.luns import Lun, LunTable
    from engine.records import Disk, Ref
    from engine.store.group_store import GroupStore


class ReturnedDisks:
    """What this host last used as each disk. A disk behind another descriptor than before may be an older image of it:
    then only its copy of the configuration can tell that it has missed nothing from before it left."""

    def __init__(self) -> None:
        self._used: dict[Ref, BlockDevice] = {}
        self._ends: dict[Ref, int] = {}

    def note(self, disks: Iterable[Disk], luns: LunTable, store: GroupStore) -> None:
        """Those of the disks that work are in use now, and it is on record what they lack."""
        for disk in disks:
            lun = luns.of(disk.ref)
            if lun is not None and lun.device is not None and store.works(disk.ref):
                self._used[disk.ref] = lun.device
                self._ends.pop(disk.ref, None)

    def older(self, committer: Committer, luns: LunTable) -> set[Ref]:
        """Disks that are about to come back, and are old images of themselves."""
        return {
            disk.ref
            for group, store in committer.stores.items()
            for disk in committer.config.disks_of(group)
            if not store.works(disk.ref) and _is_older(store, disk.ref, luns.of(disk.ref))
        }

    def look(self, disk: Ref, device: BlockDevice) -> None:
        """Before anything is written to a disk that is back: see how far its copy of the configuration goes."""
        if self._used.get(disk) is not device:
            self._ends[disk] = _copy_end(device)

    def judge(self, edit: Edit, disk: Ref) -> None:
        """What plexes on a disk that is back have missed, and what was written to them since a snapshot, is known only
        when the disk is as it was when they left."""
        end = self._ends.get(disk)
        renew_places(edit, disk)
        if end is None:
            return
        for subdisk in edit.config.subdisks_on(disk):
            plex = edit.config.plex(subdisk.plex)
            if plex.complete and not 0 < plex.left_at == end:
                forget_changes(edit, plex.volume)
            if plex.tracked and plex.left_at != end:
                edit.put(replace(plex, tracked=False))


def _is_older(store: GroupStore, disk: Ref, lun: Lun | None) -> bool:
    try:
        return lun is not None and lun.device is not None and lun.present() and store.is_older(disk, lun.device)
    except EngineError:
        return False  # it does not come back like this


def _copy_end(device: BlockDevice) -> int:
    """The number of the last transaction that a disk's copy took; 0 when it has none."""
    try:
        label = read_label(device)
        return read_copy(device, label).newest.number if label is not None else 0
    except EngineError:
        return 0
