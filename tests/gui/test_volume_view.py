"""Volume View: boxes that open and close, the strip of disks to drop on, and thousands of volumes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.config import Config
from engine.records import Kind, PlexState, Ref
from engine.units import MIB
from tests.gui.block_lab import GROUP, Lab, close_console, large_config, open_console, push, ref, sample_lab
from tests.pace import slowness
from vea_gui.console import Console
from vea_gui.views.volume_view import VolumeView

NAME = Qt.ItemDataRole.AccessibleTextRole


@pytest.fixture
def stage(qtbot: QtBot, tmp_path: Path) -> Iterator[Any]:
    opened: list[Console] = []

    def make(config: Config, scope: Ref | None = GROUP) -> VolumeView:
        console = open_console(config, tmp_path)
        opened.append(console)
        page = VolumeView(console, scope)
        qtbot.addWidget(page)
        page.resize(1200, 760)
        page.show()
        QApplication.processEvents()
        return page

    yield make
    for console in opened:
        close_console(console)


def small() -> Config:
    lab = Lab(6)
    lab.volume("ev", [[(0, 400 * MIB), (1, 100 * MIB)], [(3, 500 * MIB)]])
    lab.volume("db", [[(1, 256 * MIB), (2, 256 * MIB)]], columns=2)
    lab.moving(ref(Kind.SUBDISK, "d3-01"), 4, 25)
    return lab.config()


def names(page: VolumeView) -> list[str]:
    blocks = page.boxes.blocks
    return [str(blocks.index(row).data(NAME)) for row in range(blocks.rowCount())]


def test_boxes_hold_mirrors_columns_and_subdisks(stage: Any) -> None:
    page = stage(small())
    assert names(page) == [
        "db, striped, 512 MiB, Healthy",
        "mirror db-01, complete, 512 MiB",
        "db-01 column 1",
        "db-01, striped, 256 MiB, Harddisk1 at 133 MiB",
        "db-01 column 2",
        "db-01, striped, 256 MiB, Harddisk2 at 33 MiB",
        "ev, mirrored, 500 MiB, Healthy",
        "mirror ev-01, complete, 500 MiB",
        "ev-01, mirrored, 400 MiB, Harddisk0 at 33 MiB",
        "ev-01, mirrored, 100 MiB, Harddisk1 at 33 MiB",
        "mirror ev-02, complete, 500 MiB",
        "ev-02, mirrored, 500 MiB, Harddisk3 at 33 MiB",
        "ev-02, mirrored, 500 MiB, Harddisk4 at 33 MiB",
    ]


def test_every_item_is_found_where_its_rectangle_is(stage: Any) -> None:
    view = stage(small()).boxes
    for row in range(view.blocks.rowCount()):
        index = view.blocks.index(row)
        view.scrollTo(index)
        assert view.indexAt(view.visualRect(index).center()) == index


def test_boxes_open_and_close_by_click_key_and_button(stage: Any) -> None:
    page = stage(small())
    view = page.boxes
    tester = QAbstractItemModelTester(view.blocks, QAbstractItemModelTester.FailureReportingMode.Fatal)
    rect = view.visualRect(view.blocks.index(0))
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(rect.left() + 8, rect.center().y()))
    assert names(page)[:2] == ["db, striped, 512 MiB, Healthy", "ev, mirrored, 500 MiB, Healthy"]
    view.setFocus()
    view.setCurrentIndex(view.blocks.index(1))
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert len(names(page)) == 2
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert names(page)[2] == "mirror ev-01, complete, 500 MiB"
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert view.currentIndex().row() == 2
    view.set_expanded(page._parts(page.order()), True)
    assert len(names(page)) == 13
    view.set_expanded(page._parts(page.order()), False)
    assert len(names(page)) == 2
    tester.deleteLater()


def test_a_piece_dragged_over_the_strip_finds_its_target(stage: Any) -> None:
    page = stage(small())
    lifted = ref(Kind.SUBDISK, "d1-02")
    page.boxes.hand.take([lifted])
    page.boxes.hand.lifted.emit((lifted,))
    assert page.disks.hand.lift is not None
    assert [region.disk.id for region in page.disks.hand.lift.glowing()] == ["d0", "d1", "d3", "d4", "d5"]
    page.boxes.hand.drop_it()
    assert page.disks.hand.lift is None


def test_a_piece_lifted_by_keyboard_walks_the_disks_below_and_comes_back(stage: Any) -> None:
    page = stage(small())
    boxes, disks = page.boxes, page.disks
    boxes.setFocus()
    [row] = boxes.blocks.rows.rows_of(ref(Kind.SUBDISK, "d1-02"))
    boxes.setCurrentIndex(boxes.blocks.index(row))
    QTest.keyClick(boxes, Qt.Key.Key_Space)
    assert disks.hasFocus()
    first = str(disks.currentIndex().data(NAME))
    QTest.keyClick(disks, Qt.Key.Key_Down)
    assert first.startswith("free, ")
    assert str(disks.currentIndex().data(NAME)) != first
    QTest.keyClick(disks, Qt.Key.Key_Escape)
    assert boxes.hasFocus()
    assert boxes.currentIndex().row() == row


def test_states_are_followed(stage: Any) -> None:
    page = stage(small())
    plex = page.console.config.plex(ref(Kind.PLEX, "ev-01"))
    push(page.console, msgspec.structs.replace(plex, state=PlexState.STALE))
    assert "ev, mirrored, 500 MiB, Failed Redundancy" in names(page)
    assert "mirror ev-01, out of date, 500 MiB" in names(page)
    push(page.console, gone=[ref(Kind.SUBDISK, "d1-02"), ref(Kind.SUBDISK, "d2-01"), ref(Kind.PLEX, "db-01")])
    push(page.console, gone=[ref(Kind.VOLUME, "db")])
    assert not any("db" in each for each in names(page))


def test_tab_of_a_volume_shows_it_alone_and_the_filter_narrows(stage: Any) -> None:
    page = stage(sample_lab(), ref(Kind.VOLUME, "web"))
    assert names(page)[0].startswith("web, mirrored stripe")
    assert [band.ref.id for band in page.boxes.blocks.rows.bands] == ["web"]
    assert len(page.disks.blocks.rows.bands) == 12


def test_filter_picks_volumes_by_name(stage: Any) -> None:
    page = stage(sample_lab())
    page.set_filter("TINY2")
    assert [band.ref.id for band in page.boxes.blocks.rows.bands] == ["tiny2", "tiny20", "tiny21", "tiny22", "tiny23"]


def test_thousands_of_volumes_open_at_once(stage: Any) -> None:
    config = large_config(100, 100)
    start = time.process_time()
    page = stage(config)
    page.boxes.set_expanded(page._parts(page.order()), True)
    page.boxes.blocks.finish()
    QApplication.processEvents()
    assert len(page.boxes.blocks.rows) == 2500 * 6
    assert time.process_time() - start < 5.0 * slowness()
