"""The bytes of a RAID-5 log: sealed blocks with the header that every block of ours on a disk has.

A log copy is a run of bytes on a disk: two superblocks in its first two 4 KiB, then the ring, then room for the bytes
of whole rows that are on their way, which need not survive a power cut. An entry is a sealed block that tells what it
changes, with the new bytes behind it.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, NamedTuple

import crc32c

from engine.units import align_up

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from engine.devices.base import BlockDevice, Data

BLOCK = 4096
RING_AT = 2 * BLOCK

_MAGIC = b"VEAblock"
_VERSION = 1
_KIND = 6
# magic, format version, kind, reserved, disk id, group id, own offset, sequence, body length, checksum
_HEADER = struct.Struct("<8sHHI16s16sQQII")
_BODY_AT = 128
_CHECKSUM_AT = _HEADER.size - 4
_CHECKSUM = struct.Struct("<I")
# volume id, generation, position of the head or of this entry, durable, predecessor's checksum, what
_COMMON = struct.Struct("<16s16sQqII")
# payload length, payload checksum, extents, checksums of units, reserved, where whole rows are kept, stable
_ENTRY = struct.Struct("<QIIIIQQ")
_SUM = struct.Struct("<I")
# kind, column, reserved, low, first, length
_EXTENT = struct.Struct("<BBHIQQ")
_SUPERBLOCK = 1
_CHANGE = 2


class ExtentKind(enum.IntEnum):
    """COLUMN: `length` bytes from `first` on of `column` become the payload. ROW: the data units of row `first` have
    the payload between `low` and `low + length` of the unit, one after the other, and the parity follows from it. ZERO:
    `length` rows from `first` on become zero. SUM: row `first` is written as a whole; the entry has the checksum of
    each column's unit, and its data are with the rows that are on their way. MARK: any of
    `length` rows from `first` on may be written as a whole without an entry."""

    COLUMN = 1
    ROW = 2
    ZERO = 3
    SUM = 4
    MARK = 5


class LogExtent(NamedTuple):
    """One thing that an entry changes. What the numbers mean depends on its kind."""

    kind: ExtentKind
    column: int
    low: int
    first: int
    length: int

    def rows(self, unit: int) -> range:
        """The rows that it has to do with, of a volume with this stripe unit."""
        match self.kind:
            case ExtentKind.COLUMN:
                return range(self.first // unit, (self.first + self.length - 1) // unit + 1)
            case ExtentKind.ZERO | ExtentKind.MARK:
                return range(self.first, self.first + self.length)
            case _:
                return range(self.first, self.first + 1)


class LogCopy(NamedTuple):
    """One copy of a log: `length` bytes at `offset` of a LUN. `key` names it for whoever decides about faults; `disk`
    and `group` are the ids, 16 bytes each, that its blocks are sealed with."""

    key: Hashable
    device: BlockDevice
    offset: int
    length: int
    disk: bytes
    group: bytes


class LogOwner(NamedTuple):
    """Whose log it is, and since when it counts: 16 bytes each."""

    volume: bytes
    generation: bytes


class Superblock(NamedTuple):
    """Where the log begins: the sequence and position of the first entry that may still be needed, the checksum of the
    one before it, and the last sequence that was certainly durable when this was written."""

    head: int
    position: int
    durable: int
    chain: int


class Entry(NamedTuple):
    """The head of an entry. `chain` is its predecessor's checksum and `seal` its own; `head_bytes` is how long the head
    is, `payload_bytes` how much follows. `sums` are the checksums of the units of its SUM rows, column by column, and
    `rows_at` is where in the copy their data are. Everything below `stable` had been flushed when this was written."""

    sequence: int
    position: int
    durable: int
    chain: int
    seal: int
    head_bytes: int
    payload_bytes: int
    payload_checksum: int
    extents: tuple[LogExtent, ...]
    sums: tuple[int, ...] = ()
    rows_at: int = 0
    stable: int = 0

    @property
    def size(self) -> int:
        """Bytes that the entry takes in the ring."""
        return self.head_bytes + align_up(self.payload_bytes, BLOCK)


def head_size(extents: int, sums: int) -> int:
    """Bytes that the head of an entry with so many extents and checksums takes."""
    return align_up(_BODY_AT + _COMMON.size + _ENTRY.size + extents * _EXTENT.size + sums * _SUM.size, BLOCK)


def ring_bytes(length: int) -> int:
    """How long the ring is in a copy of `length` bytes; behind it, as far as the end, is room for rows on their way."""
    return (length - RING_AT) * 3 // 4 // BLOCK * BLOCK


def first_chain(owner: LogOwner) -> int:
    """What stands for the predecessor's checksum in the first entry of a generation."""
    return int(crc32c.crc32c(owner.generation))


def payload_checksum(parts: Sequence[Data]) -> int:
    """The checksum of the parts one after the other."""
    value = 0
    for part in parts:
        value = crc32c.crc32c(part, value)
    return int(value)


def superblock_bytes(copy: LogCopy, owner: LogOwner, slot: int, block: Superblock) -> bytearray:
    """The superblock for slot 0 or 1 of a copy."""
    body = _COMMON.pack(*owner, block.position, block.durable, block.chain, _SUPERBLOCK)
    return _seal(copy, copy.offset + slot * BLOCK, block.head, body)


def entry_head(copy: LogCopy, owner: LogOwner, at: int, entry: Entry) -> bytearray:
    """The head of an entry for byte `at` of a copy; `entry.seal` does not matter."""
    body = bytearray(_COMMON.pack(*owner, entry.position, entry.durable, entry.chain, _CHANGE))
    counts = len(entry.extents), len(entry.sums)
    body += _ENTRY.pack(entry.payload_bytes, entry.payload_checksum, *counts, 0, entry.rows_at, entry.stable)
    for kind, column, low, first, length in entry.extents:
        body += _EXTENT.pack(kind, column, 0, low, first, length)
    body += struct.pack(f"<{len(entry.sums)}I", *entry.sums)
    return _seal(copy, copy.offset + at, entry.sequence, body)


def read_superblock(copy: LogCopy, owner: LogOwner, slot: int, data: bytearray) -> Superblock | None:
    """The superblock in `data`, which was read from that slot; None when there is none of this owner's."""
    found = _unseal(copy, copy.offset + slot * BLOCK, data)
    if found is None or len(found[1]) < _COMMON.size:
        return None
    head, body = found
    volume, generation, position, durable, chain, what = _COMMON.unpack_from(body)
    if (volume, generation) != owner or what != _SUPERBLOCK:
        return None
    return Superblock(head, position, durable, chain)


def announced_head(data: bytearray) -> int:
    """How long the head that begins with `data` says it is; 0 when none of ours begins there. Proves nothing."""
    if len(data) < _BODY_AT or bytes(data[: len(_MAGIC)]) != _MAGIC:
        return 0
    return align_up(_BODY_AT + int(_HEADER.unpack_from(data)[8]), BLOCK)


def read_entry(copy: LogCopy, owner: LogOwner, at: int, data: bytearray) -> Entry | None:
    """The head of an entry in `data`, which was read at byte `at` of the copy; None when there is none of ours."""
    found = _unseal(copy, copy.offset + at, data)
    if found is None or len(found[1]) < _COMMON.size + _ENTRY.size:
        return None
    sequence, body = found
    volume, generation, position, durable, chain, what = _COMMON.unpack_from(body)
    if (volume, generation) != owner or what != _CHANGE:
        return None
    length, checksum, count, sums, _, rows_at, stable = _ENTRY.unpack_from(body, _COMMON.size)
    start = _COMMON.size + _ENTRY.size
    extents = []
    for index in range(count):
        kind, column, _, low, first, size = _EXTENT.unpack_from(body, start + index * _EXTENT.size)
        extents.append(LogExtent(ExtentKind(kind), column, low, first, size))
    found_sums = struct.unpack_from(f"<{sums}I", body, start + count * _EXTENT.size)
    return Entry(
        sequence,
        position,
        durable,
        chain,
        seal_of(data),
        align_up(_BODY_AT + len(body), BLOCK),
        length,
        checksum,
        tuple(extents),
        found_sums,
        rows_at,
        stable,
    )


def seal_of(block: bytearray) -> int:
    """What the next entry's chain must be. Copies agree on it: what differs between them is left out of it."""
    body_length = int(_HEADER.unpack_from(block)[8])
    sequence = int(_HEADER.unpack_from(block)[7])
    return int(crc32c.crc32c(sequence.to_bytes(8, "little"), crc32c.crc32c(block[_BODY_AT : _BODY_AT + body_length])))


def _seal(copy: LogCopy, offset: int, sequence: int, body: bytes | bytearray) -> bytearray:
    block = bytearray(align_up(_BODY_AT + len(body), BLOCK))
    _HEADER.pack_into(block, 0, _MAGIC, _VERSION, _KIND, 0, copy.disk, copy.group, offset, sequence, len(body), 0)
    block[_BODY_AT : _BODY_AT + len(body)] = body
    _CHECKSUM.pack_into(block, _CHECKSUM_AT, crc32c.crc32c(block))
    return block


def _unseal(copy: LogCopy, offset: int, data: bytearray) -> tuple[int, bytearray] | None:
    """Sequence and body of the block in `data`; None unless it is whole, in its place, and this copy's."""
    length = announced_head(data)
    if not length or length > len(data):
        return None
    _, version, kind, _, disk, group, own, sequence, body_length, checksum = _HEADER.unpack_from(data)
    block = bytearray(memoryview(data)[:length])
    _CHECKSUM.pack_into(block, _CHECKSUM_AT, 0)
    if crc32c.crc32c(block) != checksum:
        return None
    if (version, kind, disk, group, own) != (_VERSION, _KIND, copy.disk, copy.group, offset):
        return None
    return sequence, block[_BODY_AT : _BODY_AT + body_length]
