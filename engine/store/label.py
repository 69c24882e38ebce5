"""The label: what says that a LUN is ours, which disk it is, and where its regions lie.

It stands at 4 KiB, and once more at the start of the private region.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from engine.errors import MetadataError
from engine.geometry import LABEL_OFFSET, METADATA_BLOCK, PRIVATE_MAX, PRIVATE_MIN, PRIVATE_OFFSET, geometry
from engine.store.areas import SLOTS, Area, Span, areas
from engine.store.format import NO_ID, Block, BlockError, Damage, names, seal, unseal
from engine.store.uncached import drop_cache, read
from engine.units import MIB

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice

_PLACES = (LABEL_OFFSET, PRIVATE_OFFSET)
_ID = re.compile(r"[0-9a-f]{32}")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lun_size: int
    private_offset: int
    private_length: int
    public_offset: int
    public_length: int
    created: float
    pending: bool
    areas: tuple[tuple[str, int, int], ...]


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A label. Ids are 32 hex digits; `group` is empty for a disk of no group; sizes and offsets are bytes."""

    disk: str
    group: str = ""
    pending: bool = False  # is being made a member: whether it has become one, the group's configuration says
    lun_size: int  # when the label was last written
    private_offset: int
    private_length: int
    public_offset: int
    public_length: int
    created: float  # seconds since the epoch
    areas: Mapping[Area, Span]
    generation: int = 1  # counts the writes of this label

    def span(self, area: Area) -> Span:
        """An area, from the first byte of the LUN."""
        span = self.areas[area]
        return Span(self.private_offset + span.offset, span.length)

    @property
    def slot_length(self) -> int:
        """The bytes that a configuration checkpoint may take."""
        return min(self.areas[slot].length for slot in SLOTS)


def new_label(disk: str, lun_size: int, created: float) -> Label:
    """The label of a disk of no group. ValueError when the LUN is too small, or the id is none."""
    if not _ID.fullmatch(disk):
        raise ValueError(f"{disk!r} is no disk id")
    regions = geometry(lun_size)
    return Label(
        disk=disk,
        lun_size=lun_size,
        private_offset=regions.private_offset,
        private_length=regions.private_length,
        public_offset=regions.public_offset,
        public_length=regions.public_length,
        created=created,
        areas=areas(regions.private_length),
    )


def read_label(device: BlockDevice) -> Label | None:
    """The label of a LUN; None when the LUN is not ours.

    One good copy of the two is enough. Raises MetadataError when both are damaged, DeviceError when it can't be read.
    """
    found, errors = _copies(device)
    if found:
        return max(found, key=lambda label: label.generation)
    if errors:
        raise errors[0]
    return None


def label_is_whole(device: BlockDevice) -> bool:
    """Whether both copies of a label are good and say the same."""
    found, errors = _copies(device)
    return not errors and len(found) == len(_PLACES) and found[0] == found[1]


def initialize(device: BlockDevice, label: Label) -> Label:
    """Make a LUN ours: whatever was in front of the public region is gone. Answers the label as written.

    Head and journal are filled by plain writes: a file system would otherwise have to record, at each first write into
    space that was only reserved, that it is in use, and a commit would wait for that.
    """
    device.zero(0, LABEL_OFFSET, may_unmap=False)
    _clear(device, label, 0)
    return write_label(device, label)


def relabel(device: BlockDevice, label: Label) -> Label:
    """Make a disk of ours another group's, from the first write on; nothing of its private region is left."""
    label = write_label(device, label)
    _clear(device, label, METADATA_BLOCK)
    return label


def _clear(device: BlockDevice, label: Label, start: int) -> None:
    """Fill a private region with zeros, from byte `start` of it on."""
    device.zero(label.private_offset + start, label.private_length - start, may_unmap=False)
    for area in (Area.HEAD, Area.JOURNAL):
        span = label.span(area)
        first = max(span.offset, label.private_offset + start)
        device.write(first, bytes(span.offset + span.length - first))
    device.flush()


def write_label(device: BlockDevice, label: Label) -> Label:
    """Write both copies, durable; a crash in between leaves one whole. Answers the label as written."""
    generation = 1 + max((found.generation for found in _copies(device)[0]), default=0)
    label = msgspec.structs.replace(label, generation=generation)
    for place in reversed(_PLACES):
        device.write(place, _sealed(label, place), durable=True)
    return label


def wipe_label(device: BlockDevice) -> None:
    """Make a LUN nobody's. The copy goes first, so that half of this is still a whole label."""
    for place in reversed(_PLACES):
        device.write(place, bytes(METADATA_BLOCK), durable=True)


def _sealed(label: Label, place: int) -> bytearray:
    body = _Body(
        label.lun_size,
        label.private_offset,
        label.private_length,
        label.public_offset,
        label.public_length,
        label.created,
        label.pending,
        tuple((area.value, span.offset, span.length) for area, span in label.areas.items()),
    )
    group = bytes.fromhex(label.group) if label.group else NO_ID
    return seal(Block.LABEL, bytes.fromhex(label.disk), group, place, label.generation, msgspec.msgpack.encode(body))


def _copies(device: BlockDevice) -> tuple[list[Label], list[MetadataError]]:
    """The good copies, and what is wrong with those that are ours and not good."""
    found: list[Label] = []
    errors: list[MetadataError] = []
    for place in _PLACES:
        if place + METADATA_BLOCK > device.size:
            continue
        drop_cache(device, place, METADATA_BLOCK)
        try:
            label = _label_at(device, place)
        except MetadataError as error:
            errors.append(error)
            continue
        if label is None and place == LABEL_OFFSET and not _is_blank(device):
            if not _is_broken(device):
                return [], []  # somebody else has written there: the copy behind it is a leftover
            errors.append(BlockError(Damage.ALTERED, place))
        if label is not None:
            found.append(label)
    return found, errors


def _is_blank(device: BlockDevice) -> bool:
    return not any(read(device, 0, LABEL_OFFSET + METADATA_BLOCK))


def _is_broken(device: BlockDevice) -> bool:
    """Whether what stands in the label's place is still known as this disk's, by the copy."""
    try:
        copy = _label_at(device, PRIVATE_OFFSET) if device.size >= PRIVATE_OFFSET + METADATA_BLOCK else None
    except MetadataError:
        return False
    return copy is not None and names(read(device, LABEL_OFFSET, METADATA_BLOCK), bytes.fromhex(copy.disk))


def _label_at(device: BlockDevice, place: int) -> Label | None:
    block = unseal(read(device, place, METADATA_BLOCK), kind=Block.LABEL, offset=place)
    if block is None:
        return None
    try:
        body = msgspec.msgpack.decode(block.body, type=_Body)
        directory = {Area(name): Span(offset, length) for name, offset, length in body.areas}
    except (msgspec.MsgspecError, ValueError) as error:
        raise MetadataError(f"The label at byte {place} makes no sense: {error}.") from error
    label = Label(
        disk=block.disk.hex(),
        group="" if block.group == NO_ID else block.group.hex(),
        pending=body.pending,
        lun_size=body.lun_size,
        private_offset=body.private_offset,
        private_length=body.private_length,
        public_offset=body.public_offset,
        public_length=body.public_length,
        created=body.created,
        areas=directory,
        generation=block.transaction,
    )
    _check(label, place)
    return label


def _check(label: Label, place: int) -> None:
    """Raise MetadataError unless the regions and areas are where they may be."""
    private_end = label.private_offset + label.private_length
    rules = (
        label.private_offset == PRIVATE_OFFSET,
        PRIVATE_MIN <= label.private_length <= PRIVATE_MAX and label.private_length % MIB == 0,
        private_end <= label.public_offset,
        label.public_length >= 0,
        set(Area) <= set(label.areas),
        all(_lies_well(span, label.private_length) for span in label.areas.values()),
    )
    if not all(rules):
        raise MetadataError(f"The label at byte {place} describes regions that cannot be.")


def _lies_well(span: Span, private_length: int) -> bool:
    aligned = span.offset % METADATA_BLOCK == 0 and span.length % METADATA_BLOCK == 0
    return aligned and span.offset >= 0 and span.length > 0 and span.offset + span.length <= private_length
