"""Colours: contrast of every pair, both themes whole, icons in the theme's colours."""

from __future__ import annotations

import itertools

import pytest
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QLineEdit, QRadioButton, QSpinBox, QStyle, QWidget
from pytestqt.qtbot import QtBot

from engine.records import Kind, VolumeLayout
from vea_gui import colors, icons, theme
from vea_gui.words import TONE_NAMES, Tone

ENOUGH = 4.5
VISIBLE = 3.0
PAPERS = ("window", "base", "alternate", "tooltip")
TEXTS = ("text", "muted", "disabled", "link")
PAIRS = [
    *((name, colors.SURFACES[name][text], colors.SURFACES[name][paper])
      for name, text, paper in itertools.product(colors.THEMES, TEXTS, PAPERS)),
    *((name, color, colors.SURFACES[name][paper])
      for name in colors.THEMES for color in colors.STATE_COLORS[name].values() for paper in PAPERS[:3]),
    *((name, colors.block_text(name, layout), fill)
      for name in colors.THEMES for layout, fill in colors.LAYOUT_COLORS[name].items()),
    *((name, colors.SURFACES[name]["accent-text"], colors.SURFACES[name]["accent"]) for name in colors.THEMES),
    *((name, colors.SURFACES[name]["text"], colors.SURFACES[name]["button"]) for name in colors.THEMES),
]  # fmt: skip


@pytest.mark.parametrize(("name", "ink", "paper"), PAIRS)
def test_every_pair_can_be_read(name: str, ink: str, paper: str) -> None:
    assert colors.contrast(ink, paper) >= ENOUGH


def test_contrast_is_that_of_wcag() -> None:
    assert colors.contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert colors.contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


def test_themes_are_whole() -> None:
    assert set(colors.SURFACES[colors.LIGHT]) == set(colors.SURFACES[colors.DARK])
    for layout in VolumeLayout:
        assert colors.layout_name(layout) in colors.LAYOUT_COLORS[colors.LIGHT]
    for name in colors.THEMES:
        assert set(colors.LAYOUT_COLORS[name]) == set(colors.PATTERNS) == set(colors.LAYOUT_TITLES)
        assert set(colors.STATE_COLORS[name]) == set(Tone) - {Tone.NONE}


def test_patterns_differ_so_that_colour_is_not_alone() -> None:
    assert len(set(colors.PATTERNS.values())) == len(colors.PATTERNS)
    assert set(colors.PATTERNS.values()) == set(theme.BRUSHES)
    assert len(set(theme.BRUSHES.values())) == len(theme.BRUSHES)


@pytest.mark.parametrize("name", colors.THEMES)
def test_disabled_text_differs_from_text(qapp: QApplication, name: str) -> None:
    palette = theme.Theme(name).palette()
    groups = QPalette.ColorGroup
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText):
        assert palette.color(groups.Disabled, role) != palette.color(groups.Active, role)


@pytest.mark.parametrize("name", colors.THEMES)
@pytest.mark.parametrize("kind", [QCheckBox, QRadioButton, QLineEdit, QSpinBox, QComboBox])
def test_outlines_can_be_seen(qtbot: QtBot, qapp: QApplication, name: str, kind: type[QWidget]) -> None:
    theme.apply(qapp, name)
    paper = QWidget()
    qtbot.addWidget(paper)
    widget = kind(paper)
    widget.resize(40, 24)
    row = paper.grab(widget.geometry()).toImage()
    inks = [row.pixelColor(x, row.height() // 2).name() for x in range(4)]
    assert max(colors.contrast(ink, colors.SURFACES[name]["window"]) for ink in inks) >= VISIBLE
    theme.apply(qapp, "light")


def test_arrows_stand_on_disabled_entries(qapp: QApplication) -> None:
    theme.apply(qapp, "light")
    assert qapp.style().styleHint(QStyle.StyleHint.SH_Menu_AllowActiveAndDisabled) == 1


def test_reduced_motion_stops_animations(qapp: QApplication) -> None:
    theme.apply(qapp, "light", less_motion=True)
    assert qapp.style().styleHint(QStyle.StyleHint.SH_Widget_Animation_Duration) == 0
    theme.apply(qapp, "light")
    assert qapp.style().styleHint(QStyle.StyleHint.SH_Widget_Animation_Duration) <= 200


@pytest.mark.parametrize("name", sorted(icons.NAMES))
def test_icons_are_drawn_in_both_themes(qapp: QApplication, name: str) -> None:
    pictures = []
    for chosen in colors.THEMES:
        theme.apply(qapp, chosen)
        picture = icons.pixmap(name, 24).toImage()
        assert any(QColor(picture.pixelColor(x, y)).alpha() > 200 for x in range(24) for y in range(24))
        pictures.append(picture)
    assert pictures[0] != pictures[1]
    text = (icons.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert "#" not in text, "an icon takes its colours from the theme"


def test_each_kind_of_object_has_an_icon() -> None:
    assert {kind.value for kind in Kind} <= icons.NAMES


def test_each_state_has_an_icon_of_its_own_shape(qapp: QApplication) -> None:
    names = [f"state-{name}" for name in TONE_NAMES.values() if name]
    assert set(names) <= icons.NAMES
    shapes = {(icons.FOLDER / f"{name}.svg").read_text(encoding="utf-8") for name in names}
    assert len(shapes) == len(names)


def test_font_size_is_chosen_and_given_back(qapp: QApplication) -> None:
    theme.apply(qapp, "light")
    before = qapp.font().pointSizeF()
    theme.apply(qapp, "light", font_points=14)
    assert qapp.font().pointSize() == 14
    theme.apply(qapp, "light")
    assert qapp.font().pointSizeF() == before
