"""The disks of a plan page: what a plan takes and gives is what the picture shows."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.commands import Command, CreateVolume, DeleteVolumes, Move, MoveSubdisks, Target
from engine.planners import plan
from engine.plans import Plan
from engine.records import Kind
from engine.units import GIB, MIB
from tests.gui.block_lab import GROUP, ref, sample_lab
from vea_gui.colors import LAYOUT_COLORS, THEMES, contrast
from vea_gui.disk_picture import Part, strips, touched
from vea_gui.theme import Theme
from vea_gui.views.block_paint import Ink
from vea_gui.views.disk_picture import DiskPicture

CONFIG = sample_lab()
COMMANDS = [
    MoveSubdisks(moves=(Move(ref(Kind.SUBDISK, "d0-01"), (Target(ref(Kind.DISK, "d4"), 700 * MIB),)),)),
    CreateVolume(group=GROUP, size=GIB, name="new", mirrors=2),
    CreateVolume(group=GROUP, size=GIB, name="wide", striped=True, columns=4),
    DeleteVolumes(volumes=(ref(Kind.VOLUME, "log"), ref(Kind.VOLUME, "tiny3"))),
]


def planned(command: Command) -> Plan:
    numbers = count(1)
    made = plan(CONFIG, command, lambda kind: ref(kind, f"new{next(numbers)}"))
    assert made.problems == ()
    return made


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_the_picture_shows_each_range_of_the_plan(command: Command) -> None:
    made = planned(command)
    shown = strips(CONFIG, made)
    assert [strip.disk for strip in shown] == touched(CONFIG, made)
    for part, ranges in ((Part.TAKEN, made.allocates), (Part.GIVEN, made.frees)):
        found = [(s.disk, p.start, p.length) for s in shown for p in s.pieces if p.part is part]
        assert sorted(found) == sorted((each.disk, each.offset, each.length) for each in ranges)
    for strip in shown:
        record = CONFIG.disk(strip.disk)
        assert strip.pieces[0].start == record.public_offset
        assert all(before.start + before.length == after.start for before, after in pairwise(strip.pieces))


def test_new_pieces_have_the_layout_that_they_will_have() -> None:
    layouts = {p.layout for s in strips(CONFIG, planned(COMMANDS[1])) for p in s.pieces if p.part is Part.TAKEN}
    assert layouts == {"mirror"}


def test_a_screen_reader_hears_the_picture(qtbot: QtBot) -> None:
    picture = DiskPicture()
    qtbot.addWidget(picture)
    made = planned(COMMANDS[0])
    picture.show_plan(CONFIG, made)
    picture.resize(picture.sizeHint())
    picture.show()
    assert not picture.grab().isNull()
    assert "Harddisk0: 900 MiB becomes free" in picture.accessibleDescription()
    assert "Harddisk4: 900 MiB new" in picture.accessibleDescription()
    picture.show_plan(CONFIG, Plan(title="Rename"))
    assert picture.isHidden()


@pytest.mark.parametrize("theme", THEMES)
def test_words_on_every_block_can_be_read_dimmed_or_not(qapp: QApplication, theme: str) -> None:
    ink = Ink(Theme(theme), qapp.font(), 1.0)
    for layout in LAYOUT_COLORS[theme]:
        for dimmed in (False, True):
            if (layout, dimmed) != ("log", False):  # the table of layouts is tested where it stands
                assert contrast(ink.words(layout, dimmed).name(), ink.fill(layout, dimmed).name()) >= 4.5
