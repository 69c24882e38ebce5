"""The one sealed block that everything in a private region, and the label, is made of.

A block is a header of 128 bytes and a body behind it, filled up with zeros to whole 4 KiB. The checksum covers all of
that. The header is the same in every version of the format, so that a newer one is known as such.
"""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple, TypeAlias

import crc32c

from engine.errors import MetadataError
from engine.geometry import METADATA_BLOCK
from engine.units import align_up

Buffer: TypeAlias = bytes | bytearray | memoryview

MAGIC = b"VEAblock"
FORMAT_VERSION = 1
READABLE_VERSIONS = frozenset({1})
BODY_OFFSET = 128
NO_ID = bytes(16)

# magic, format version, kind, reserved, disk id, group id, own offset, transaction, body length, checksum
_HEADER = struct.Struct("<8sHHI16s16sQQII")
_OWNER_AT = 16
_CHECKSUM_AT = _HEADER.size - 4
_CHECKSUM = struct.Struct("<I")


class Block(enum.IntEnum):
    """What a block holds. 5 to 7 are kept for dirty maps, logs and task state."""

    LABEL = 1
    STAMP = 2
    CHECKPOINT = 3
    JOURNAL = 4
    DIRTY_MAP = 5
    LOG = 6
    TASK = 7
    BACKUP = 8  # in a file of a host's state folder


class Damage(enum.StrEnum):
    """Why a block is not believed; the texts complete the sentence "the block ... "."""

    ALTERED = "is torn or altered"
    MISPLACED = "was written for another place"
    FOREIGN = "belongs to another disk or disk group"
    NEWER = "has a newer format than this program knows"
    KIND = "holds something else than it should"


class BlockError(MetadataError):
    """A block that carries our magic and cannot be believed, because of `damage`."""

    def __init__(self, damage: Damage, offset: int, more: str = "") -> None:
        super().__init__(f"The metadata block at byte {offset} {damage}{more}.")
        self.damage = damage


class Sealed(NamedTuple):
    """A block that proved to be whole, in its place, and its owner's."""

    version: int
    kind: int
    disk: bytes
    group: bytes
    transaction: int
    body: bytes


def sealed_length(body_length: int) -> int:
    """Bytes that a block with a body of this length takes: whole 4 KiB."""
    return align_up(BODY_OFFSET + body_length, METADATA_BLOCK)


def seal(kind: Block, disk: bytes, group: bytes, offset: int, transaction: int, body: Buffer) -> bytearray:
    """A whole block, ready to be written at byte `offset` of the LUN."""
    block = bytearray(sealed_length(len(body)))
    header = (MAGIC, FORMAT_VERSION, kind, 0, disk, group, offset, transaction, len(body), 0)
    _HEADER.pack_into(block, 0, *header)
    block[BODY_OFFSET : BODY_OFFSET + len(body)] = body
    _CHECKSUM.pack_into(block, _CHECKSUM_AT, crc32c.crc32c(block))
    return block


def announced_length(first: Buffer) -> int | None:
    """The bytes that the block beginning with `first` says it takes; None when no block of ours begins there.

    The answer is not yet proven: only `unseal` on that many bytes proves it.
    """
    if len(first) < BODY_OFFSET or bytes(first[: len(MAGIC)]) != MAGIC:
        return None
    return sealed_length(_HEADER.unpack_from(first)[8])


def names(data: Buffer, owner: bytes) -> bool:
    """Whether `data` has an owner (disk id, or disk and group id) where a header would, whatever else it is."""
    return bytes(data[_OWNER_AT : _OWNER_AT + len(owner)]) == owner


def unseal(
    data: Buffer, *, kind: Block, offset: int, disk: bytes | None = None, group: bytes | None = None
) -> Sealed | None:
    """The block at the start of `data`, which was read at byte `offset`. None: nothing of ours begins there.

    `disk` and `group` are what its header must name; None lets any pass. Raises BlockError, which says why.
    """
    length = announced_length(data)
    if length is None:
        if disk and group and names(data, disk + group):
            raise BlockError(Damage.ALTERED, offset)
        return None
    _, version, found_kind, _, found_disk, found_group, own_offset, transaction, body_length, checksum = (
        _HEADER.unpack_from(data)
    )
    if length > len(data) or _checksum(memoryview(data)[:length]) != checksum:
        raise BlockError(Damage.ALTERED, offset)
    if version not in READABLE_VERSIONS:
        raise BlockError(Damage.NEWER, offset, f" (format {version}; this program reads up to {FORMAT_VERSION})")
    if own_offset != offset:
        raise BlockError(Damage.MISPLACED, offset, f" (byte {own_offset})")
    if (disk is not None and found_disk != disk) or (group is not None and found_group != group):
        raise BlockError(Damage.FOREIGN, offset)
    if found_kind != kind:
        raise BlockError(Damage.KIND, offset)
    body = bytes(data[BODY_OFFSET : BODY_OFFSET + body_length])
    return Sealed(version, found_kind, found_disk, found_group, transaction, body)


def _checksum(block: memoryview) -> int:
    """CRC-32C of a block as if its checksum field were zero."""
    value = crc32c.crc32c(block[:_CHECKSUM_AT])
    value = crc32c.crc32c(bytes(_CHECKSUM.size), value)
    return int(crc32c.crc32c(block[_CHECKSUM_AT + _CHECKSUM.size :], value))
