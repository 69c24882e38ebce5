"""The disks of an imported group that are here, each with the writer of its configuration copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import DeviceError, MetadataError, RangeError
from engine.store.copy_writer import CopyWriter
from engine.store.member import Member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from engine.records import Ref
    from engine.store.transaction import Transaction


class Roster:
    """Disks by `Ref`, in order. One that fails an operation is broken, and left alone until it is taken in again."""

    def __init__(self, members: Mapping[Ref, Member]) -> None:
        self._disks = dict(members)
        self._writers = {ref: CopyWriter(member.device, member.label) for ref, member in members.items()}
        self._broken: set[Ref] = set()

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._disks

    def __getitem__(self, ref: Ref) -> Member:
        return self._disks[ref]

    def __iter__(self) -> Iterator[Ref]:
        return iter(sorted(self._disks))

    @property
    def broken(self) -> frozenset[Ref]:
        """The disks that failed something."""
        return frozenset(self._broken)

    def works(self, ref: Ref) -> bool:
        """Whether a disk is here and has taken everything that was written to it."""
        return ref in self._disks and ref not in self._broken

    def is_pending(self, ref: Ref) -> bool:
        """Whether a disk is here whose label names the group with reserve."""
        return ref in self._disks and self._disks[ref].label.pending

    def names(self, refs: Iterable[Ref]) -> list[str]:
        """What those of the disks that are here call themselves, sorted."""
        return sorted({self._disks[ref].device.name for ref in refs if ref in self._disks})

    # --- coming and going ---
    def take_in(self, ref: Ref, member: Member, writer: CopyWriter) -> None:
        """A disk is here, or works again."""
        self._disks[ref], self._writers[ref] = member, writer
        self._broken.discard(ref)

    def set_writer(self, ref: Ref, writer: CopyWriter) -> None:
        """A disk that is here goes on from the copy that it has."""
        self._writers[ref] = writer

    def lose(self, ref: Ref) -> Member | None:
        """A disk is not to be used any more; answers what it was. What it failed is remembered."""
        self._writers.pop(ref, None)
        return self._disks.pop(ref, None)

    def remove(self, ref: Ref) -> Member | None:
        """A disk is no member any more; nothing of it is remembered."""
        self._broken.discard(ref)
        return self.lose(ref)

    # --- work ---
    def write(self, ref: Ref, change: Transaction, checkpoint: Callable[[], Transaction]) -> bool:
        """Write one transaction to a disk, as a change or as a checkpoint; whether the disk has it."""
        try:
            self._writers[ref].write(change, checkpoint)
        except (DeviceError, RangeError):
            return False
        return True

    def break_(self, refs: Iterable[Ref]) -> None:
        """These disks failed a write."""
        self._broken.update(refs)

    def distrust(self) -> None:
        """Nothing that was written is relied on: every disk is tried again, each with a checkpoint."""
        self._broken.clear()
        for writer in self._writers.values():
            writer.distrust()

    def on_each(self, work: Callable[[Member], object], refs: Iterable[Ref] | None = None) -> None:
        """Do something to disks, in order; one that fails is broken from now on."""
        for ref in sorted(self._disks if refs is None else refs):
            if ref in self._broken:
                continue
            try:
                work(self._disks[ref])
            except (DeviceError, RangeError, MetadataError):
                self._broken.add(ref)
            self._writers[ref].label = self._disks[ref].label
