"""Writing one configuration copy: an entry behind the last one, or a checkpoint into the other slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.store import transaction as transactions
from engine.store.areas import SLOTS, Area
from engine.store.format import Block, seal, sealed_length
from engine.store.transaction import NEVER, Identity, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.devices.base import BlockDevice
    from engine.store.copy_reader import CopyContent
    from engine.store.label import Label


class CopyWriter:
    """The copy on one disk of an imported group.

    `last` is the transaction that it holds. After a failed write, or by `distrust`, the journal is not continued: the
    next transaction is a checkpoint, in the slot that does not hold the best of what is known.
    """

    def __init__(self, device: BlockDevice, label: Label) -> None:
        self.device = device
        self.label = label
        self.last = NEVER
        self._base = NEVER
        self._slot: Area | None = None
        self._position = 0
        self._continues = False

    @classmethod
    def of(cls, device: BlockDevice, label: Label, content: CopyContent, at: Identity) -> CopyWriter:
        """The writer of a copy that was read. It continues the journal when that ends with transaction `at`."""
        writer = cls(device, label)
        best = max(content.chains, key=lambda chain: chain.top, default=None)
        if best is None:
            return writer
        writer._slot = best.slot
        if best.top == at == content.newest and not content.damage:
            writer._base, writer.last = best.states[0].identity, at
            writer._position, writer._continues = best.end, True
        return writer

    def distrust(self) -> None:
        """Begin anew with a checkpoint: the group's configuration is not the sum of what was written any more."""
        self._continues = False

    def write(self, change: Transaction, whole: Callable[[], Transaction]) -> None:
        """Make a transaction durable here: `change` in the journal, else `whole` as a checkpoint.

        Raises DeviceError (or RangeError, when the LUN has become smaller); then what is here is not known.
        """
        if self._continues and change.previous == self.last and self._append(change):
            return
        self._continues = False
        self._checkpoint(whole())

    def _append(self, change: Transaction) -> bool:
        """False when the journal has no room left."""
        body = transactions.encode(msgspec.structs.replace(change, base=self._base))
        area = self.label.span(Area.JOURNAL)
        length = sealed_length(len(body))
        if self._position + length > area.length:
            return False
        self._continues = False  # until it is written
        self._put(Block.JOURNAL, area.offset + self._position, change.number, body)
        self._position += length
        self.last, self._continues = change.identity, True
        return True

    def _checkpoint(self, whole: Transaction) -> None:
        slot = SLOTS[1] if self._slot == SLOTS[0] else SLOTS[0]
        body = transactions.encode(msgspec.structs.replace(whole, base=whole.identity, previous=self.last))
        self._put(Block.CHECKPOINT, self.label.span(slot).offset, whole.number, body)
        self._slot, self._base, self.last = slot, whole.identity, whole.identity
        self._position, self._continues = 0, True

    def _put(self, kind: Block, offset: int, number: int, body: bytes) -> None:
        disk, group = bytes.fromhex(self.label.disk), bytes.fromhex(self.label.group)
        self.device.write(offset, seal(kind, disk, group, offset, number, body), durable=True)
