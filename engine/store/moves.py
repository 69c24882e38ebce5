"""What a group's configuration says of disks that are on their way to another group, or come from one.

Splitting a group is decided by one transaction of that group: its rows lose what leaves, and a move has all of the new
group. Joining two is decided by one transaction of the target, after the source has said that it may be joined to it.
What is still to be done follows from a move alone, and may be done again from its beginning until the move is gone.
"""

from __future__ import annotations

import enum
import zlib
from typing import TYPE_CHECKING

import msgspec

from engine.errors import DeviceError, EngineError, MetadataError, RangeError
from engine.store.areas import Area
from engine.store.dirty_pages import BITMAP_BYTES, DirtyPages, PageOwner, page_start
from engine.store.member import adopt
from engine.store.rows import MOVE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.devices.base import BlockDevice
    from engine.records import Ref
    from engine.store.member import Member

_PAGES_MAX = 64 << 20  # bytes of unpacked pages that are believed


class MoveKind(enum.StrEnum):
    """In whose configuration a move stands, and what it means there."""

    SPLIT = "split"  # the source of a split: these disks are the other group's
    JOINING = "joining"  # the source of a join: these disks are the other group's as soon as that one says so
    JOINED = "joined"  # the target of a join: these disks have come from the other group


class MapPages(msgspec.Struct, frozen=True, array_like=True):
    """One place of a volume's map, as it is to be on its disk under the new group. Ids have 16 bytes."""

    disk: bytes
    first_page: int
    region_size: int
    volume: bytes
    generation: bytes
    pages: tuple[bytes, ...]


class Move(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Disks between two groups. `token` is the same on both sides of a join; `group` and `name` are the other group's.

    Once the disks that were here have been dealt with it is not `whole` any more: the rest were away.
    """

    kind: MoveKind
    token: bytes
    group: bytes
    name: str
    disks: tuple[bytes, ...]
    whole: bool = True  # False: all but disks that were away has been done
    number: int = 0  # of a split: the new group's first transaction
    rows: dict[bytes, bytes] = {}  # of a split: the new group's
    fields: dict[str, tuple[str, ...]] = {}
    maps: bytes = b""  # packed `MapPages`

    @property
    def key(self) -> bytes:
        """Its key among the rows of a configuration."""
        return MOVE_KEY + self.token

    @property
    def other(self) -> str:
        """The other group's id, 32 hex digits."""
        return self.group.hex()

    @property
    def disk_ids(self) -> tuple[str, ...]:
        """Ids of its disks, 32 hex digits each."""
        return tuple(disk.hex() for disk in self.disks)

    def slim(self, disks: Iterable[str]) -> Move:
        """What is left of it when only these disks are still to come."""
        return msgspec.structs.replace(
            self, disks=tuple(map(bytes.fromhex, disks)), whole=False, rows={}, fields={}, maps=b""
        )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Move).decode
_decode_pages = msgspec.msgpack.Decoder(tuple[MapPages, ...]).decode


def encoded(moves: Mapping[bytes, Move]) -> dict[bytes, bytes]:
    """The rows of moves, by key."""
    return {key: _encode(move) for key, move in moves.items()}


def moves_of(rows: Mapping[bytes, bytes]) -> tuple[Move, ...]:
    """The moves among the rows of a configuration. MetadataError when one makes no sense."""
    found = []
    for key in sorted(rows):
        if key.startswith(MOVE_KEY):
            try:
                found.append(_decode(rows[key]))
            except (msgspec.MsgspecError, ValueError) as error:
                text = f"A configuration copy holds a split or join that makes no sense: {error}."
                raise MetadataError(text) from error
    return tuple(found)


def pack_maps(maps: Iterable[MapPages]) -> bytes:
    """Pages for a move."""
    found = tuple(maps)
    return zlib.compress(_encode(found)) if found else b""


def unpack_maps(packed: bytes) -> tuple[MapPages, ...]:
    """The pages of a move. MetadataError when they make no sense."""
    if not packed:
        return ()
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, _PAGES_MAX)
        if not unpacker.eof:
            raise ValueError("they do not end")
        found = _decode_pages(data)
    except (zlib.error, msgspec.MsgspecError, ValueError) as error:
        raise MetadataError(f"The maps of a split or join make no sense: {error}.") from error
    if any(len(page) != BITMAP_BYTES for one in found for page in one.pages):
        raise MetadataError("The maps of a split or join are not of the right size.")
    return found


def adopt_moved(move: Move, disks: Mapping[Ref, BlockDevice]) -> dict[Ref, Member]:
    """Label LUNs as disks of the group that a split makes: they keep nothing but their data and their maps.

    Those that can't be written are left out. DeviceError when there is none left, MetadataError for a senseless move.
    """
    maps = unpack_maps(move.maps)
    claimed: dict[Ref, Member] = {}
    problem: EngineError = MetadataError(f"None of the disks of {move.name} is there.")
    for ref in sorted(disks):
        try:
            member = adopt(disks[ref], ref.id, move.other)
            write_maps(member, move.other, maps)
            claimed[ref] = member
        except (DeviceError, RangeError, MetadataError) as error:
            problem = error
    if not claimed:
        raise problem
    return claimed


def write_maps(member: Member, group: str, maps: Iterable[MapPages]) -> None:
    """Make those of the pages that belong on a disk durable there, as `group`'s. DeviceError, MetadataError."""
    label = member.label
    for one in maps:
        if one.disk.hex() != label.disk:
            continue
        start = page_start(label.span(Area.DIRTY_MAPS), one.first_page, len(one.pages))
        owner = PageOwner(one.disk, bytes.fromhex(group), one.volume, one.generation, one.region_size)
        pages = DirtyPages(member.device, start, owner, [0] * len(one.pages))
        for number, bits in enumerate(one.pages):
            pages.write(number, bits)
