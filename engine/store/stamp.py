"""The import stamp: which host has a group now. It stands in the private region of each of the group's disks.

Two places take turns, so that a torn write leaves the stamp before it. Stamps are read past the page cache.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.errors import MetadataError
from engine.geometry import METADATA_BLOCK
from engine.store.areas import STAMP_OFFSETS
from engine.store.format import Block, Sealed, seal, unseal
from engine.store.uncached import read_uncached

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice
    from engine.store.format import Buffer
    from engine.store.label import Label


class Stamp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who imported a group, and when. With an empty `host` it says: nobody, since that import was given up."""

    host: str = ""  # the host id
    host_name: str = ""
    serial: bytes = b""  # random, of that one import
    time: float = 0.0  # of this stamp, seconds since the epoch
    transaction: int = 0  # the number that the group had reached then


_generation = attrgetter("generation")


def read_stamp(device: BlockDevice, label: Label) -> Stamp | None:
    """The stamp that stands in a disk of a group now; None when there never was one.

    Raises MetadataError when stamps are there and none can be believed, DeviceError when they can't be read.
    """
    stamps, error = _read(device, label)
    if not stamps and error is not None:
        raise error
    return max(stamps, key=_generation).stamp if stamps else None


def write_stamp(device: BlockDevice, label: Label, stamp: Stamp) -> None:
    """Put a stamp on a disk, durable, over the older one of the two that stand there."""
    stamps, _ = _read(device, label)
    newest = max(stamps, key=_generation, default=None)
    place = 1 - newest.place if newest is not None else 0
    generation = 1 + newest.generation if newest is not None else 1
    offset = label.private_offset + STAMP_OFFSETS[place]
    disk, group = bytes.fromhex(label.disk), bytes.fromhex(label.group)
    block = seal(Block.STAMP, disk, group, offset, generation, msgspec.msgpack.encode(stamp))
    device.write(offset, block, durable=True)


class _Found(NamedTuple):
    generation: int
    stamp: Stamp
    place: int


def _read(device: BlockDevice, label: Label) -> tuple[list[_Found], MetadataError | None]:
    first = label.private_offset + STAMP_OFFSETS[0]
    data = memoryview(read_uncached(device, first, len(STAMP_OFFSETS) * METADATA_BLOCK))
    found: list[_Found] = []
    problem: MetadataError | None = None
    for place in range(len(STAMP_OFFSETS)):
        at = place * METADATA_BLOCK
        try:
            stamp = _decoded(data[at : at + METADATA_BLOCK], label, first + at)
        except MetadataError as error:
            problem = error
            continue
        if stamp is not None:
            found.append(_Found(stamp[0].transaction, stamp[1], place))
    return found, problem


def _decoded(data: Buffer, label: Label, offset: int) -> tuple[Sealed, Stamp] | None:
    disk, group = bytes.fromhex(label.disk), bytes.fromhex(label.group)
    block = unseal(data, kind=Block.STAMP, offset=offset, disk=disk, group=group)
    if block is None:
        return None
    try:
        return block, msgspec.msgpack.decode(block.body, type=Stamp)
    except (msgspec.MsgspecError, ValueError) as error:  # what is no text is a ValueError
        raise MetadataError(f"The import stamp at byte {offset} makes no sense: {error}.") from error
