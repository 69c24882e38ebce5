"""Records of volumes with snap plexes and snapshots, on the disks of the sample lab."""

from __future__ import annotations

from msgspec.structs import replace

from engine.records import DirtyLog, Kind, Link, LinkSide, LogPlace, Record, Ref, SnapPlex, Volume
from engine.units import MIB
from tests.gui import sample_lab
from tests.gui.sample_lab import ref

SIZE = 64 * MIB
BOOKS, ORDERS, BILLS = (ref(Kind.VOLUME, number) for number in (20, 21, 22))
ORDERS_SNAP, BILLS_SNAP = (ref(Kind.VOLUME, number) for number in (23, 24))
BOOKS_SNAP_PLEX = ref(Kind.PLEX, 31)
CHANGED = 5 * MIB
SET = f"{0x5E7:032x}"
TAKEN = 1.7e9


def changes(disk: int, slot: int) -> DirtyLog:
    """A map that is known."""
    return DirtyLog(MIB, (LogPlace(ref(Kind.DISK, disk), slot, 1, f"{slot:032x}"),))


def snap_records() -> list[Record]:
    """`books` with a snap plex that is ready; `orders` and `bills` with snapshots of one instant."""
    log = DirtyLog(MIB, tuple(LogPlace(ref(Kind.DISK, disk), 7, 1, f"{disk:032x}") for disk in (2, 3)))
    records: list[Record] = [
        replace(sample_lab.volume(20, "books", SIZE), dirty_log=log),
        sample_lab.plex(30, 20, "books-01"),
        sample_lab.plex(31, 20, "books-02", snap=SnapPlex()),
        *(sample_lab.subdisk(60 + n, 30 + n, 2 + n, SIZE, skip=_skip(0)) for n in range(2)),
    ]
    for number, (name, snapshot) in enumerate((("orders", "SnapVolume07"), ("bills", "SnapVolume08"))):
        records += _pair(number, name, snapshot)
    return records


def _skip(number: int) -> int:
    return 1280 * MIB + number * SIZE


def _pair(number: int, name: str, snapshot: str) -> list[Record]:
    original, taken = ref(Kind.VOLUME, 21 + number), ref(Kind.VOLUME, 23 + number)
    plex = 32 + 2 * number
    return [
        replace(
            sample_lab.volume(21 + number, name, SIZE),
            links=(_link(taken, LinkSide.ORIGINAL, name, number),),
            changed=((_generation(number), CHANGED),),
        ),
        replace(
            sample_lab.volume(23 + number, snapshot, SIZE),
            links=(_link(original, LinkSide.SNAPSHOT, name, number),),
            changed=((_generation(number), MIB),),
        ),
        sample_lab.plex(plex, 21 + number, f"{name}-01"),
        sample_lab.plex(plex + 1, 23 + number, f"{snapshot}-01"),
        *(sample_lab.subdisk(60 + plex + n, plex + n, 2 + n, SIZE, skip=_skip(1 + number)) for n in range(2)),
    ]


def _generation(number: int) -> str:
    return f"{0x6E0 + number:032x}"


def _link(peer: Ref, side: LinkSide, name: str, number: int) -> Link:
    slot = 20 + 2 * number + (side is LinkSide.SNAPSHOT)
    return Link(
        peer=peer,
        generation=_generation(number),
        side=side,
        changes=changes(3 if side is LinkSide.SNAPSHOT else 2, slot),
        plex_name=f"{name}-02",
        taken=TAKEN,
        set_id=SET,
        set_name="nightly",
        settled=True,
    )


def named(records: list[Record], name: str) -> Volume:
    """The volume of that name."""
    return next(record for record in records if isinstance(record, Volume) and record.name == name)
