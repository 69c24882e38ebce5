"""Bands, splices, names and geometry of the pictures, without Qt."""

from __future__ import annotations

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Config, Edit
from engine.records import Kind
from engine.units import GIB, MIB
from tests.gui.block_lab import GROUP, Lab, large_config, random_config, ref, sample_lab
from vea_gui.block_geometry import HIT, Span, lay_out, ticks
from vea_gui.block_layout import (
    Arrangement,
    Metrics,
    Room,
    arrange_disk,
    arrange_volume,
    disk_height,
    item_at,
    neighbour,
    volume_height,
)
from vea_gui.block_names import item_name, tooltip
from vea_gui.block_rows import (
    HEADERS,
    Band,
    Item,
    ItemKind,
    Rows,
    disk_band,
    disks_of_scope,
    splice,
    volume_band,
    volumes_of_scope,
)

METRICS = Metrics(15, 200)
SEEDS = st.integers(0, 10_000)
WIDTHS = st.integers(40, 4000)


def opened_at(band: Band, arrangement: Arrangement) -> object:
    """The key of an item in the first notch; None when there is none."""
    notches = arrangement.notches
    return band.items[notches[0].items[0]].key if notches else None


def spans(seed: int) -> tuple[list[Span], int]:
    """Spans with gaps between some of them, and the extent that holds them."""
    chance = random.Random(seed)
    found, position = [], chance.choice([0, 33])
    for _ in range(chance.randrange(60)):
        length = chance.choice([1, 1, 1, 3, 20, 400, 3000])
        found.append(Span(position, length))
        position += length + chance.choice([0, 0, 0, 1, 50])
    return found, position + chance.choice([0, 1, 500]) + 1


@given(SEEDS, WIDTHS)
def test_bar_is_whole_and_in_order(seed: int, width: int) -> None:
    found, extent = spans(seed)
    bar = lay_out(found, extent, width)
    assert bar.cells[0].left == 0
    assert bar.cells[-1].right == width
    assert all(before.right == after.left for before, after in pairwise(bar.cells))
    shown = [number for cell in bar.cells for number in range(cell.first, cell.first + cell.spans)]
    assert shown == list(range(len(found)))


@given(SEEDS, st.integers(400, 4000))
def test_every_cell_can_be_hit(seed: int, width: int) -> None:
    found, extent = spans(seed)
    bar = lay_out(found, extent, width)
    cells = [cell for cell in bar.cells if cell.spans]
    assert all(cell.right - cell.left >= HIT - 1 for cell in cells)


@given(SEEDS, st.integers(1000, 4000))
def test_large_blocks_keep_their_proportions(seed: int, width: int) -> None:
    """What was not widened is to scale: all by the same factor."""
    found, extent = spans(seed)
    bar = lay_out(found, extent, width)
    wide = [cell for cell in bar.cells if cell.spans == 1 and cell.right - cell.left > 4 * HIT]
    widest = max(wide, key=lambda cell: cell.right - cell.left, default=None)
    for cell in wide:
        scale = (widest.right - widest.left) / (widest.end - widest.start)
        assert cell.right - cell.left == pytest.approx(scale * (cell.end - cell.start), abs=2.0)


@given(SEEDS, WIDTHS)
def test_pixels_and_bytes_agree(seed: int, width: int) -> None:
    found, extent = spans(seed)
    bar = lay_out(found, extent, width)
    places = [bar.x_of(offset) for offset in range(0, extent, max(1, extent // 97))]
    assert places == sorted(places)
    for x in range(0, width, max(1, width // 53)):
        offset = bar.offset_at(x)
        assert bar.x_of(offset) <= x <= bar.x_of(offset + 1) + 1


def test_ruler_ends_with_the_disk_and_never_crowds() -> None:
    bar = lay_out([Span(33 * MIB, 1000 * MIB)], 2 * GIB, 1000)
    found = ticks(bar, 0, 1000, 90)
    assert found[0] == (0, 0)
    assert found[-1] == (1000, 2 * GIB)
    assert all(after[0] - before[0] >= 60 for before, after in pairwise(found))


@given(SEEDS, st.integers(120, 2500), st.sampled_from([1.0, 3.7, 60.0]), st.booleans())
def test_disk_items_lie_in_their_row_and_are_found_where_they_lie(
    seed: int, width: int, zoom: float, opened: bool
) -> None:
    config = random_config(seed, disks=2)
    for disk in disks_of_scope(config, GROUP):
        band = disk_band(config, disk)
        room = Room(width, zoom, 0, 3 * GIB)
        arrangement = arrange_disk(band, METRICS, room)
        assert arrangement.height == disk_height(METRICS)
        if opened:
            arrangement = arrange_disk(band, METRICS, room, opened_at(band, arrangement))
        check_arrangement(band, arrangement)


@given(SEEDS, st.integers(300, 2500), st.booleans())
def test_volume_items_lie_in_their_box_and_are_found_where_they_lie(seed: int, width: int, opened: bool) -> None:
    config = sample_lab()
    chance = random.Random(seed)
    volume = chance.choice(volumes_of_scope(config, GROUP))
    parts = [volume, *(plex.ref for plex in config.plexes_of(volume))]
    band = volume_band(config, volume, {part for part in parts if chance.random() < 0.8})
    arrangement = arrange_volume(band, METRICS, Room(width))
    assert arrangement.height == volume_height(band.items, METRICS)
    if opened:
        arrangement = arrange_volume(band, METRICS, Room(width), opened_at(band, arrangement))
    check_arrangement(band, arrangement)


def check_arrangement(band: Band, arrangement: Arrangement) -> None:
    """Inside, in order, apart from each other, found by the pointer, reached by the arrows."""
    gathered = {item for notch in arrangement.notches if not notch.open for item in notch.items}
    for number, (item, box) in enumerate(zip(band.items, arrangement.boxes, strict=True)):
        assert box.top >= 0
        assert box.bottom <= arrangement.height
        assert box.width > 0
        assert box.height > 0
        if number not in gathered:
            x = box.left + box.width / 2 + (0 if item.kind in HEADERS else METRICS.header)
            found = item_at(arrangement, band.items, x, box.top + box.height / 2, METRICS.header, 0)
            assert found == number
    assert sorted(item for line in arrangement.lines for item in line) == list(range(len(band.items)))
    for line in arrangement.lines:
        blocks = [arrangement.boxes[item].left for item in line if band.items[item].kind not in HEADERS]
        assert blocks == sorted(blocks)
    for line, below in pairwise(arrangement.lines):
        assert neighbour(arrangement, line[0], 1) in below


@given(SEEDS, SEEDS)
def test_splice_makes_the_one_of_the_other(one: int, other: int) -> None:
    disk = ref(Kind.DISK, "d0")
    old = disk_band(random_config(one, disks=1, most=12), disk).items
    new = disk_band(random_config(other, disks=1, most=12), disk).items
    cut = splice(old, new)
    keys = [item.key for item in old]
    keys[cut.first : cut.first + cut.removed] = [item.key for item in new[cut.first : cut.first + cut.inserted]]
    assert keys == [item.key for item in new]


def test_rows_answer_as_a_plain_list_does() -> None:
    """Random inserts, removals and replacements against the list that they mean."""
    config = random_config(5, disks=6, most=20)
    other = random_config(6, disks=6, most=20)
    disks = disks_of_scope(config, GROUP)
    chance = random.Random(7)
    rows, model = Rows(), []
    for _ in range(300):
        absent = [disk for disk in disks if disk not in model]
        if absent and chance.random() < 0.5:
            at = chance.randrange(len(model) + 1)
            disk = chance.choice(absent)
            rows.insert(at, disk_band(config, disk))
            model.insert(at, disk)
        elif model and chance.random() < 0.4:
            at = chance.randrange(len(model))
            rows.remove(at)
            model.pop(at)
        elif model:
            at = chance.randrange(len(model))
            rows.replace(at, disk_band(chance.choice([config, other]), model[at]))
        flat: list[Item] = [item for band in rows.bands for item in band.items]
        assert [band.ref for band in rows.bands] == model
        assert len(rows) == len(flat)
        for row in range(0, len(flat), 7):
            assert rows.item(row) == flat[row]
            assert rows.row(*rows.place(row)) == row
            assert rows.find(flat[row].key) == row


def names(config: Config, disk: str) -> list[str]:
    band = disk_band(config, ref(Kind.DISK, disk))
    return [item_name(config, band, item) for item in band.items]


def test_names_are_those_of_the_contract() -> None:
    lab = Lab(4)
    lab.skip(3, 0)
    lab.volume("ev", [[(3, 2 * MIB)], [(2, 2 * MIB)]])
    found = names(lab.config(), "d3")
    assert found[0] == "Harddisk3, 2.0 GiB, Imported, lab1 / lun3.img   2 paths"
    assert found[1] == "ev-01, mirrored, 2 MiB, Harddisk3 at 33 MiB"
    assert found[2] == "free, 2.0 GiB, Harddisk3 at 35 MiB"


def test_nothing_is_free_on_a_disk_that_is_away() -> None:
    edit = Edit(Lab(4).config())
    edit.put(msgspec.structs.replace(edit.config.disk(ref(Kind.DISK, "d3")), present=False))
    assert names(edit.result()[0], "d3")[1] == "out of reach, 2.0 GiB, Harddisk3 at 33 MiB"


@given(SEEDS)
def test_no_two_blocks_of_a_disk_have_one_name(seed: int) -> None:
    config = random_config(seed, disks=1)
    found = names(config, "d0")
    assert len(set(found)) == len(found)
    assert not any("None" in name or "_" in name for name in found)


def test_disk_of_no_group_says_why_it_has_no_blocks() -> None:
    lab = Lab(1)
    lab.add_disk(5, GIB, 0, None)
    config = lab.config()
    assert names(config, "d5")[1] == "not in a disk group, 1.0 GiB, Harddisk5"
    edit = Edit(config)
    edit.put(msgspec.structs.replace(config.disk(ref(Kind.DISK, "d5")), content="ext4 file system"))
    assert names(edit.result()[0], "d5")[1].startswith("ext4 file system, ")


def test_tooltip_tells_volume_mirror_offset_and_length() -> None:
    config = sample_lab()
    band = disk_band(config, ref(Kind.DISK, "d0"))
    text = tooltip(config, band, band.items[1], None, None)
    assert "Volume: ev, Healthy" in text
    assert "Mirror: ev-01, " in text
    assert "Subdisk: Harddisk0-01" in text
    assert "Offset: 34,603,008 bytes" in text
    assert "Length: 943,718,400 bytes" in text


def test_scopes_show_what_concerns_an_object() -> None:
    config = sample_lab()
    volume = ref(Kind.VOLUME, "ev")
    assert disks_of_scope(config, volume) == [ref(Kind.DISK, "d0"), ref(Kind.DISK, "d6")]
    everything = disks_of_scope(config, volume, all_disks=True)
    assert everything[:2] == disks_of_scope(config, volume)
    assert len(everything) == 12
    assert disks_of_scope(config, ref(Kind.DISK, "d3")) == [ref(Kind.DISK, "d3")]
    assert volumes_of_scope(config, ref(Kind.DISK, "d0")) == [volume, ref(Kind.VOLUME, "log")]


def test_large_labs_are_laid_out_band_by_band() -> None:
    config = large_config(20, 200)
    bands = [disk_band(config, disk) for disk in disks_of_scope(config, GROUP)]
    assert sum(item.kind is ItemKind.SUBDISK for band in bands for item in band.items) == 4000
    for band in bands:
        check_arrangement(band, arrange_disk(band, METRICS, Room(900, 1.0, 0, band.extent)))
