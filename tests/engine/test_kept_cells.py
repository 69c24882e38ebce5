"""Cells outlive an orderly stop, and nothing else: what is copied afterwards is as little as before, and never less."""

from __future__ import annotations

import base64
import os
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from engine import commands as c
from engine.dataplane.fine_map import FineMap
from engine.dataplane.packed_cells import pack, unpack
from engine.edits import dirty_places, kept_cells
from engine.errors import EngineError
from engine.luns import LunTable
from engine.maps import dirty_maps, map_change
from engine.records import PlexState
from engine.units import GIB, KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.frail_lun import FrailLun
from tests.engine.test_engine_prepare import prepare
from tests.engine.test_engine_snapshots import back, pass_by, prepared, snap
from tests.engine.test_engine_snapshots_fine import CELL, cells

lab = lab_fixture(frail=True)
SNAP = "SnapVolume01"
SOAK = bool(os.environ.get("VEA_SOAK"))


def kept(lab: EngineLab, name: str = "v") -> list[bool]:
    """Of each link of a volume whether its group's disks tell the cells."""
    (store,) = lab.engine.committer.stores.values()
    ref = lab.volume(name).ref
    (volume,) = [record for record in store.records() if record.ref == ref]
    return [bool(link.cells) for link in volume.links]  # type: ignore[union-attr]


# --- packing ---
def random_map(seed: int, size: int, share: float) -> FineMap:
    rng = random.Random(seed)
    made = FineMap(size)
    for _ in range(int(made.count * share)):
        at = rng.randrange(size)
        made.add(at, min(rng.randrange(1, 3 * CELL), size - at))
    return made


@pytest.mark.parametrize("size", [1, CELL, 3 * CELL + 1, 24 * MIB + 512, 40 * GIB])
@pytest.mark.parametrize("limit", [100, 1 << 20])
def test_cells_come_back_or_are_fewer_and_larger(size: int, limit: int) -> None:
    for seed, share in enumerate([0.0, 0.00001, 0.3]):
        made = random_map(seed, size, share if size < GIB else 0.00001)
        text = pack(made, MIB, limit)
        assert len(text) <= limit
        if not text:
            continue
        found = unpack(text, size)
        assert found is not None
        assert (found.size, found.cell_size) == (made.size, made.cell_size)
        lost = bytes(a & ~b & 1 for a, b in zip(made.cells[: 1 << 16], found.cells[: 1 << 16], strict=True))
        assert not any(lost)
        if limit > 4096:
            assert found.cells[:] == made.cells[:]
        assert unpack(text, size + CELL) is None


def test_one_of_a_hundred_cells_of_four_gibibytes_take_tens_of_kibibytes() -> None:
    made = random_map(1, 4 * GIB, 0.01)
    text = pack(made, MIB, kept_cells.MAP_MAX)
    found = unpack(text, made.size)
    assert found is not None
    assert found.cells[:] == made.cells[:]
    assert len(text) < 64 * KIB


def _told(version: int, size: int, cell: int, body: bytes) -> str:
    head = bytes([version]) + size.to_bytes(8, "little") + cell.to_bytes(8, "little")
    return base64.b64encode(head + body).decode()


GOOD = zlib.compress(bytes(32))  # one mebibyte of cells


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "AAAA",
        _told(2, MIB, CELL, GOOD),
        _told(1, MIB, 0, GOOD),
        _told(1, MIB, 3 * CELL, GOOD),
        _told(1, MIB, CELL // 2, GOOD),
        _told(1, MIB, CELL, GOOD[:-1]),
        _told(1, MIB, CELL, GOOD + b"x"),
        _told(1, MIB, CELL, zlib.compress(bytes(33))),
        _told(1, MIB, CELL, zlib.compress(bytes(64 << 20))),
        _told(1, 2 * MIB, CELL, GOOD),
    ],
)
def test_a_text_that_makes_no_sense_tells_nothing(text: str) -> None:
    assert unpack(_told(1, MIB, CELL, GOOD), MIB) is not None
    assert unpack(text, MIB) is None


# --- an engine ---
def test_a_restart_in_order_keeps_the_cells_of_both_sides(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    cells(lab, 1, 0, 100)
    pass_by(lab, "stop")
    cells(lab, 1, 50)
    cells(lab, 1, 200, name=SNAP)
    pass_by(lab, "stop")
    pass_by(lab, "stop")  # nobody has written in between
    cells(lab, 5, 7)
    command = c.SnapBack(snapshots=(lab.volume(SNAP).ref,))
    assert lab.engine.plan(command).copies_bytes == 5 * CELL
    assert back(lab, SNAP).bytes_copied == 5 * CELL
    assert lab.equal()


def test_cells_are_off_the_record_before_anybody_writes(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    cells(lab, 1, 5)
    lab.engine._groups.volumes.stop_in_order(lab.group().ref)
    assert kept(lab) == [True]
    assert kept(lab, SNAP) == [False]  # nothing was written there
    pass_by(lab, "kill")  # before anybody has written: they are the newest there are
    assert kept(lab) == [False]
    assert lab.plexes()[0].state is PlexState.CLEAN
    cells(lab, 1, 6)
    pass_by(lab, "kill")
    assert back(lab, SNAP).bytes_copied == MIB
    assert lab.equal()


def test_a_write_after_the_stop_of_a_volume_drops_its_cells(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    cells(lab, 1, 5)
    cells(lab, 1, 90, name=SNAP)
    lab.engine._groups.volumes.stop_in_order(lab.group().ref)
    assert kept(lab) == kept(lab, SNAP) == [True]
    cells(lab, 1, 6)
    assert (kept(lab), kept(lab, SNAP)) == ([False], [True])
    assert back(lab, SNAP).bytes_copied == 3 * CELL  # in memory they are known all the time
    assert lab.equal()


def test_what_changes_a_volume_without_a_write_drops_its_cells(lab: EngineLab) -> None:
    prepared(lab)
    prepare(lab)
    snap(lab, set_name="first")
    cells(lab, 1, 1)
    snap(lab)
    cells(lab, 2, 2)
    lab.engine._groups.volumes.stop_in_order(lab.group().ref)
    assert any(kept(lab))
    back(lab, "SnapVolume01", master=c.Master.SNAPSHOT)
    assert not any(kept(lab))


def test_where_the_group_has_no_room_whole_regions_are_copied(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(lab)
    snap(lab)
    cells(lab, 1, 5)
    monkeypatch.setattr(kept_cells, "MAP_MAX", 10)
    pass_by(lab, "stop")
    assert back(lab, SNAP).bytes_copied == MIB
    assert lab.equal()


class Power:
    """Goes off at the n-th write to any LUN: from then on nothing that is written reaches one, and the host, which has
    none either, puts down nothing of the failures that it would find."""

    def __init__(self, patch: pytest.MonkeyPatch, nth: int) -> None:
        self.written = 0
        real = FrailLun.write

        def write(lun: FrailLun, offset: int, data: bytes, *, durable: bool = False) -> None:
            self.written += 1
            if self.written <= nth:
                real(lun, offset, data, durable=durable)

        patch.setattr(FrailLun, "write", write)
        patch.setattr(LunTable, "note_health", lambda *_, **__: None)


def session(lab: EngineLab) -> None:
    """An import, writes to both sides, an orderly end; whatever becomes of it where the power has gone."""
    with suppress(EngineError, AssertionError, KeyError):  # KeyError: it has not even been imported
        lab.start(frail=True)
        cells(lab, 1, 6)
        cells(lab, 3, 1, name=SNAP)
    if lab.opened is not None:
        lab.stop()


def points(lab: EngineLab, patch: pytest.MonkeyPatch) -> Iterator[int]:
    """At how many writes of a session the power goes."""
    with patch.context() as inner:
        power = Power(inner, 1 << 30)
        session(lab)
    assert power.written > 20
    yield from range(0, power.written + 1, 1 if SOAK else -(-power.written // 3))


@pytest.mark.allow_log("could not be marked clean")
def test_wherever_the_power_goes_no_change_is_missed(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(lab)
    turns: Iterator[int] | None = None
    while True:
        snap(lab)
        cells(lab, 1, 5)
        cells(lab, 2, 7, name=SNAP)
        lab.stop()
        turns = turns or points(lab, monkeypatch)
        nth = next(turns, None)
        if nth is not None:
            with monkeypatch.context() as patch:
                Power(patch, nth)
                session(lab)
        lab.start(frail=True)
        pass_by(lab, "nothing")
        copied = back(lab, SNAP).bytes_copied
        assert copied <= 4 * CELL or nth != 0
        assert lab.equal(), f"at write {nth}"
        if nth is None:
            return


# --- mistakes that must not go unseen ---
def never_dropped(patch: pytest.MonkeyPatch) -> None:
    """Cells stay on record for ever, and are believed."""
    patch.setattr(map_change, "drop", lambda *_: None)
    patch.setattr(dirty_places, "drop", lambda *_: None)
    real = kept_cells.told
    patch.setattr(dirty_maps, "told", lambda volume, key, _: real(volume, key, ()))


def taken_before_the_stop(patch: pytest.MonkeyPatch) -> None:
    """What is put on record are the cells of an hour ago."""
    patch.setattr(kept_cells, "pack", lambda fine, *_: pack(FineMap(fine.size), MIB, 4096))


@pytest.mark.parametrize("plant", [never_dropped, taken_before_the_stop])
def test_planted_mistakes_are_caught(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    prepared(lab)
    snap(lab)
    plant(monkeypatch)
    cells(lab, 1, 5)
    pass_by(lab, "stop")
    if plant is never_dropped:
        cells(lab, 1, 6)
        pass_by(lab, "kill")
    back(lab, SNAP)
    assert not lab.equal()
