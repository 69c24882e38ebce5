"""The pages of a dirty region log: what a torn, lost, strange or unreadable block makes of them, and where they lie."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from engine.allocate.dirty import DRL, PAGES_MAX, placed, region_size
from engine.commands import CreateVolume
from engine.dataplane.dirty_map import unpacked
from engine.devices.faulty import FaultyDevice
from engine.devices.memory import MemoryDevice
from engine.errors import DeviceError, MetadataError
from engine.geometry import DIRTY_PAGE_REGIONS, dirty_pages, geometry
from engine.records import DirtyLog, LogPlace, Ref
from engine.store.areas import Area, Span, areas
from engine.store.dirty_pages import BITMAP_BYTES, DirtyPages, PageOwner, newest_sequences, page_start, read_pages
from engine.units import GIB, KIB, MIB, TIB
from tests.engine.builders import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER = PageOwner(b"d" * 16, b"g" * 16, b"v" * 16, b"1" * 16, MIB)
START = 64 * KIB
PAGES = 3


@pytest.fixture
def lun() -> Iterator[MemoryDevice]:
    device = MemoryDevice("lun", MIB)
    yield device
    device.close()


def bits(number: int) -> bytes:
    return random.Random(number).randbytes(BITMAP_BYTES)


def written(lun: MemoryDevice, page: int, count: int) -> DirtyPages:
    pages = DirtyPages(lun, START, OWNER, [0] * PAGES)
    for number in range(1, count + 1):
        pages.write(page, bits(number))
    return pages


def told(lun: MemoryDevice, owner: PageOwner = OWNER, pages: int = PAGES) -> list[bytes | None]:
    return [page.bits if page is not None else None for page in read_pages(lun, START, owner, pages)]


@pytest.mark.parametrize("count", range(1, 6))
def test_the_newest_write_counts_and_the_one_before_it_is_there(lun: MemoryDevice, count: int) -> None:
    written(lun, 1, count)
    assert told(lun) == [None, bits(count), None]
    slot = START + 2 * 4096 + count % 2 * 4096
    lun.write(slot + 4000, b"torn")
    assert told(lun) == [None, bits(count - 1) if count > 1 else None, None]


def test_nothing_counts_of_another_volume_generation_place_or_shape(lun: MemoryDevice) -> None:
    written(lun, 0, 2)
    for field, value in [("volume", b"w" * 16), ("generation", b"2" * 16), ("disk", b"e" * 16), ("region_size", KIB)]:
        assert told(lun, OWNER._replace(**{field: value})) == [None] * PAGES
    assert told(lun, pages=2) == [None, None]
    block = bytearray(4096)
    lun.read_into(START + 4096, memoryview(block))
    lun.write(START + 3 * 4096, bytes(block))  # misdirected
    assert told(lun)[1] is None


def test_a_page_that_cannot_be_read_is_not_known(lun: MemoryDevice) -> None:
    written(lun, 0, 2)
    faulty = FaultyDevice(lun)
    faulty.fail("read", persistent=True)
    assert read_pages(faulty, START, OWNER, 1) == [None]
    assert newest_sequences(faulty, START, OWNER, 1) == [0]


def test_a_slot_whose_write_failed_is_written_again_and_never_the_other(lun: MemoryDevice) -> None:
    written(lun, 0, 2)
    faulty = FaultyDevice(lun)
    pages = DirtyPages(faulty, START, OWNER, newest_sequences(lun, START, OWNER, PAGES))
    for _ in range(3):
        faulty.fail("write", torn_bytes=100)
        with pytest.raises(DeviceError):
            pages.write(0, bits(9))
        assert told(lun)[0] == bits(2)
    pages.write(0, bits(9))
    assert told(lun)[0] == bits(9)


def test_a_new_generation_leaves_the_newest_of_the_old_one_alone(lun: MemoryDevice) -> None:
    written(lun, 0, 4)
    fresh = OWNER._replace(generation=b"2" * 16)
    DirtyPages(lun, START, fresh, newest_sequences(lun, START, fresh, PAGES)).write(0, bits(7))
    assert told(lun)[0] == bits(4)
    assert told(lun, fresh)[0] == bits(7)


def test_bits_are_counted_from_the_lowest_of_the_first_byte() -> None:
    found = unpacked(bytes([0b00000101, 0b10000000]) + bytes(BITMAP_BYTES - 2), DIRTY_PAGE_REGIONS)
    assert [number for number, value in enumerate(found) if value] == [0, 2, 15]


def test_an_area_ends_where_its_pages_do() -> None:
    span = Span(MIB, 80 * 8192)
    assert page_start(span, 79, 1) == MIB + 79 * 8192
    for first, pages in [(80, 1), (79, 2), (-1, 1)]:
        with pytest.raises(MetadataError):
            page_start(span, first, pages)


@pytest.mark.parametrize("size", [16 * MIB, GIB, 3 * GIB, 100 * GIB, 4 * TIB])
def test_the_planner_knows_how_many_pages_a_disk_has(size: int) -> None:
    found = geometry(size)
    area = areas(found.private_length)[Area.DIRTY_MAPS]
    assert dirty_pages(found.public_offset) == area.length // 8192
    assert dirty_pages(0) == 0


@pytest.mark.parametrize("size", [MIB, 24 * MIB, 30 * GIB, 31 * GIB, 123 * GIB, 491 * GIB, 10 * TIB, 500 * TIB])
def test_regions_grow_with_the_volume(size: int) -> None:
    region = region_size(size)
    assert region & (region - 1) == 0
    assert region >= MIB
    assert -(-size // (region * DIRTY_PAGE_REGIONS)) <= PAGES_MAX
    assert region == MIB or -(-size // (region // 2 * DIRTY_PAGE_REGIONS)) > 1


def test_places_lie_on_two_disks_of_the_volume_apart_and_never_on_the_same_pages() -> None:
    site = Site(disks=6)
    taken: set[tuple[Ref, int]] = set()
    for number in range(30):
        name = f"v{number}"
        site.submit(CreateVolume(group=site.group(), size=16 * MIB, name=name, mirrors=2 + number % 2))
        volume = site.volume(name)
        site.set(volume.ref, size=16 * MIB)
        log = placed(site.config, site.volume(name), DRL, site.config)
        site.set(volume.ref, dirty_log=DirtyLog(log.region_size, named(log, number)))
        disks = [place.disk for place in log.places]
        assert len(set(disks)) == 2
        assert set(disks) <= {subdisk.disk for subdisk in site.subdisks(name)}
        assert len({site.config.disk(disk).enclosure for disk in disks}) == 2
        for place in log.places:
            pages = {(place.disk, page) for page in range(place.first_page, place.first_page + place.pages)}
            assert not pages & taken
            taken |= pages


def named(log: DirtyLog, number: int) -> tuple[LogPlace, ...]:
    return tuple(LogPlace(one.disk, one.first_page, one.pages, f"{number:032x}") for one in log.places)


def test_a_place_stays_where_it_is_while_its_disk_works() -> None:
    site = Site(disks=6)
    site.submit(CreateVolume(group=site.group(), size=16 * MIB, name="v", mirrors=2))
    site.set(site.volume("v").ref, size=16 * MIB)
    first = placed(site.config, site.volume("v"), DRL, site.config)
    site.set(site.volume("v").ref, dirty_log=DirtyLog(first.region_size, named(first, 1)))
    assert placed(site.config, site.volume("v"), DRL, site.config).places == named(first, 1)
    lost = first.places[0].disk
    site.set(lost, failing=True)
    left = placed(site.config, site.volume("v"), DRL, site.config).places
    assert left == named(first, 1)[1:]


def test_a_disk_without_room_gives_no_place() -> None:
    site = Site(disks=2, sizes=(64 * MIB,))
    room = dirty_pages(site.config.disk(site.disk(0)).public_offset)
    site.submit(CreateVolume(group=site.group(), size=8 * MIB, name="full", mirrors=2))
    site.submit(CreateVolume(group=site.group(), size=8 * MIB, name="v", mirrors=2))
    everything = tuple(LogPlace(site.disk(number), 0, room, "1" * 32) for number in range(2))
    site.set(site.volume("full").ref, size=8 * MIB, dirty_log=DirtyLog(MIB, everything))
    site.set(site.volume("v").ref, size=8 * MIB)
    assert placed(site.config, site.volume("v"), DRL, site.config).places == ()
