"""The pages of a dirty region log on one disk: two slots for each, written in turn.

A torn write leaves the page before it. A page counts only for the volume and the generation that it names.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import DeviceError, MetadataError, RangeError
from engine.geometry import DIRTY_PAGE_REGIONS, DIRTY_PAGE_SLOTS, METADATA_BLOCK
from engine.store.format import BODY_OFFSET, Block, seal, unseal
from engine.store.uncached import read_uncached

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice
    from engine.store.areas import Span

# volume id, generation, region size, number of the page, pages in all
_HEAD = struct.Struct("<16s16sQII")
BITMAP_BYTES = METADATA_BLOCK - BODY_OFFSET - _HEAD.size

assert BITMAP_BYTES * 8 == DIRTY_PAGE_REGIONS


class PageOwner(NamedTuple):
    """Whose pages these are. `volume` and `generation` have 16 bytes, as `disk` and `group`; `region_size` is bytes."""

    disk: bytes
    group: bytes
    volume: bytes
    generation: bytes
    region_size: int


class Page(NamedTuple):
    """A page as it was found: bit `n` of `bits`, from the lowest of the first byte on, is region `n` of the page.

    A page is `doubtful` when its other slot is broken: a write that the power cut tore, or a newer page that was spoilt
    later. Without another place that tells it, nobody knows.
    """

    sequence: int
    bits: bytes
    doubtful: bool = False


class DirtyPages:
    """One place of a log, for writing. `sequences` has the number of the newest block in each page's slots, 0 for none:
    the next one goes to the other slot, so that what stands there counts until this one is whole."""

    def __init__(self, device: BlockDevice, start: int, owner: PageOwner, sequences: list[int]) -> None:
        """`start` is the first byte of the first page, from the start of the LUN."""
        self.device = device
        self.generation = owner.generation.hex()
        self.failed = 0
        self._start = start
        self._owner = owner
        self._sequences = sequences

    @property
    def pages(self) -> int:
        """How many pages it has."""
        return len(self._sequences)

    def write(self, page: int, bits: bytes) -> None:
        """Make `bits` the content of a page, durable. A slot whose write failed is written again, not the other one."""
        sequence = self._sequences[page] + 1
        offset = _slot_offset(self._start, page, sequence % DIRTY_PAGE_SLOTS)
        owner = self._owner
        head = _HEAD.pack(owner.volume, owner.generation, owner.region_size, page, len(self._sequences))
        block = seal(Block.DIRTY_MAP, owner.disk, owner.group, offset, sequence, head + bits)
        self.device.write(offset, block, durable=True)
        self._sequences[page] = sequence


def page_start(area: Span, first_page: int, pages: int) -> int:
    """Where `pages` pages from `first_page` on begin, from the start of the LUN. MetadataError when the area ends
    before they do."""
    start = area.offset + first_page * DIRTY_PAGE_SLOTS * METADATA_BLOCK
    if first_page < 0 or start + pages * DIRTY_PAGE_SLOTS * METADATA_BLOCK > area.offset + area.length:
        raise MetadataError("A dirty region log would lie outside of its area.")
    return start


def read_pages(device: BlockDevice, start: int, owner: PageOwner, pages: int) -> list[Page | None]:
    """What a place tells, past every cache; None for a page that it does not tell."""
    return [_read_page(device, start, owner, page, pages) for page in range(pages)]


def newest_sequences(device: BlockDevice, start: int, owner: PageOwner, pages: int) -> list[int]:
    """For each page the number of its newest block, whichever log of this disk's group wrote it; 0 when there is none
    that can be read."""
    found = []
    for page in range(pages):
        try:
            slots, _ = _slots(device, start, owner, page)
            found.append(max((sequence for _, sequence, _ in slots), default=0))
        except (DeviceError, RangeError):
            found.append(0)
    return found


def _read_page(device: BlockDevice, start: int, owner: PageOwner, page: int, pages: int) -> Page | None:
    """Of two good slots the newer one. When they can't be read, the newer one is not known, and so the page is not."""
    expected = _HEAD.pack(owner.volume, owner.generation, owner.region_size, page, pages)
    try:
        slots, broken = _slots(device, start, owner, page)
    except (DeviceError, RangeError):
        return None
    ours = [
        (sequence, body[_HEAD.size :])
        for slot, sequence, body in slots
        if body.startswith(expected) and sequence % DIRTY_PAGE_SLOTS == slot
    ]
    if not ours:
        return None
    sequence, bits = max(ours)
    return Page(sequence, bits, broken or any(other > sequence for _, other, _ in slots))


def _slots(device: BlockDevice, start: int, owner: PageOwner, page: int) -> tuple[list[tuple[int, int, bytes]], bool]:
    """Each whole block of a page: its slot, its sequence number, its body; and whether a slot holds what is not whole,
    or not in its place."""
    found = []
    broken = False
    data = memoryview(read_uncached(device, _slot_offset(start, page, 0), DIRTY_PAGE_SLOTS * METADATA_BLOCK))
    for slot in range(DIRTY_PAGE_SLOTS):
        block = data[slot * METADATA_BLOCK : (slot + 1) * METADATA_BLOCK]
        offset = _slot_offset(start, page, slot)
        try:
            sealed = unseal(block, kind=Block.DIRTY_MAP, offset=offset, disk=owner.disk, group=owner.group)
        except MetadataError:
            broken = True
            continue
        if sealed is not None and len(sealed.body) == _HEAD.size + BITMAP_BYTES:
            found.append((slot, sealed.transaction, sealed.body))
        else:
            broken = broken or any(block)
    return found, broken


def _slot_offset(start: int, page: int, slot: int) -> int:
    return start + (page * DIRTY_PAGE_SLOTS + slot) * METADATA_BLOCK
