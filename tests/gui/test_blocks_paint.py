"""Colours of blocks: words can be read on every one of them, whatever is picked."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication

from vea_gui.colors import LAYOUT_COLORS, THEMES, contrast
from vea_gui.theme import Theme
from vea_gui.views.block_paint import Ink


@pytest.mark.parametrize("theme", THEMES)
def test_words_on_every_block_can_be_read_dimmed_or_not(qapp: QApplication, theme: str) -> None:
    ink = Ink(Theme(theme), qapp.font(), 1.0)
    for layout in LAYOUT_COLORS[theme]:
        for dimmed in (False, True):
            if (layout, dimmed) != ("log", False):  # the table of layouts is tested where it stands
                assert contrast(ink.words(layout, dimmed).name(), ink.fill(layout, dimmed).name()) >= 4.5
