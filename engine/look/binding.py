"""Which disk each LUN is: its label says it, else the disk that it has been since it was first seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.records import Disk, Kind, Ref, new_ref

if TYPE_CHECKING:
    from engine.commit import Committer
    from engine.luns import Lun, LunTable
    from engine.state_folder.host_state import HostState
    from engine.store.label import Label
    from engine.store.scan import Found

Claims = dict[str, str]
"""For each disk id that is in use, or that several LUNs may claim, the path of its LUN; empty: it is none of them."""


class Binder:
    """A disk in use stays the LUN that it is, with or without a label that can be read. What turns up beside it is a
    copy: it is never written to, and is not taken for the disk when that has gone, unless it is added anew."""

    def __init__(self, committer: Committer, state: HostState, luns: LunTable) -> None:
        self._committer = committer
        self._state = state
        self._luns = luns

    def copies(self) -> dict[str, str]:
        """The LUNs that are known to be copies of disks of groups in use here: paths, and the ids of the disks."""
        members = {disk.ref.id for group in self._committer.stores for disk in self._committer.config.disks_of(group)}
        return {lun.path: lun.copy_of for lun in self._luns if lun.copy_of in members}

    def claims(self, found: Found) -> Claims:
        """Who is which disk, as far as more than one may be."""
        grouped = {disk for group in found.groups.values() for disk in group.disk_names()}
        # Of a group's disk nobody says which of two is the original: then it is none of them, until one has gone.
        claimed = {disk: "" if disk in grouped else keys[0] for disk, keys in found.duplicates.items()}
        claimed |= {disk: "" for disk in self.copies().values()}
        for group in found.groups.values():
            claimed |= {disk: member.key for disk, member in group.members.items()}
        return claimed | {lun.disk.id: lun.path for lun in self._in_use(found) if lun.disk is not None}

    def moved(self, claimed: Claims) -> set[Ref]:
        """Disks that are in use as LUNs that are not there any more, and have turned up as others."""
        return {
            lun.disk
            for lun in self._used()
            if lun.disk is not None and claimed.get(lun.disk.id, "") not in ("", lun.path)
        }

    def bind(self, found: Found, claimed: Claims) -> None:
        """Let each LUN be the disk that it is."""
        for lun in self._luns:
            label = found.labels.get(lun.path)
            if label is not None and claimed.get(label.disk, lun.path) == lun.path:
                self._luns.bind(lun, Ref(Kind.DISK, label.disk, self._state.host_id), lun.name)
                lun.remembered = False
        members = frozenset[str]().union(*(group.disk_names() for group in found.groups.values()))
        for lun in self._luns:
            label = found.labels.get(lun.path)
            if lun.disk is not None and self._is_another(lun, label, members):
                self._luns.unbind(lun)
            copy = label is not None and claimed.get(label.disk, lun.path) != lun.path
            if lun.disk is None or self._luns.of(lun.disk) is not lun or (copy and label and lun.disk.id == label.disk):
                self._luns.bind(lun, new_ref(Kind.DISK, self._state.host_id, self._committer.runtime.token), lun.name)
        self._mark_copies(found, claimed)

    def _mark_copies(self, found: Found, claimed: Claims) -> None:
        """What carries the label of a disk that is in use as another LUN is its copy, as long as it is known."""
        used = {lun.disk.id for lun in self._used() if lun.disk is not None}
        for lun in self._luns:
            label = found.labels.get(lun.path)
            if label is not None and label.disk in used and claimed.get(label.disk, lun.path) != lun.path:
                lun.copy_of = label.disk
            elif label is not None and label.disk != lun.copy_of:
                lun.copy_of = ""

    def _used(self) -> list[Lun]:
        """LUNs that are disks of groups in use here."""
        stores = self._committer.stores.values()
        return [lun for lun in self._luns if lun.disk is not None and any(store.has(lun.disk) for store in stores)]

    def _in_use(self, found: Found) -> list[Lun]:
        """Those of them that are there, and that no label says to be another disk."""
        return [lun for lun in self._used() if lun.present() and _may_be(lun, found.labels.get(lun.path))]

    def _is_another(self, lun: Lun, label: Label | None, members: frozenset[str]) -> bool:
        """Whether a LUN that has come cannot be the disk that stood at its path in an earlier run: that has a label."""
        if lun.disk is None or not lun.remembered or not lun.present():
            return False
        known = self._committer.config.get(lun.disk)
        return label is not None or lun.disk.id in members or (isinstance(known, Disk) and known.group is not None)


def _may_be(lun: Lun, label: Label | None) -> bool:
    return label is None or (lun.disk is not None and label.disk == lun.disk.id)
