"""Line icons of one family in two tones, in the theme's colours, with the state overlays of the tree."""

from __future__ import annotations

import functools
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from vea_gui import theme
from vea_gui.words import TONE_NAMES, Tone

FOLDER = Path(__file__).parents[1] / "resources" / "icons"
NAMES = frozenset(entry.name.removesuffix(".svg") for entry in FOLDER.iterdir() if entry.name.endswith(".svg"))
SIZES = (16, 20, 24, 32, 40, 48, 64)
_TONES = {name: tone for tone, name in TONE_NAMES.items()}


def icon(name: str, overlay: str = "") -> QIcon:
    """An icon in today's theme; `overlay` (warning, error, ...) puts a state's sign into its corner."""
    return _icon(name, overlay, theme.current().name)


def pixmap(name: str, size: int, ratio: float = 1.0, overlay: str = "") -> QPixmap:
    """The icon as a picture of `size` logical pixels for a screen of that device pixel ratio."""
    return _pixmap(name, overlay, round(size * ratio), ratio)


@functools.lru_cache(maxsize=512)
def _icon(name: str, overlay: str, theme_name: str) -> QIcon:
    made = QIcon()
    for size in SIZES:
        made.addPixmap(_pixmap(name, overlay, size, 1.0))
        made.addPixmap(_pixmap(name, overlay, size, 1.0, faded=True), QIcon.Mode.Disabled)
        made.addPixmap(_pixmap(name, overlay, size, 1.0, ink="accent-text"), QIcon.Mode.Selected)
    return made


def _pixmap(name: str, overlay: str, size: int, ratio: float, faded: bool = False, ink: str = "text") -> QPixmap:
    picture = QPixmap(size, size)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setOpacity(0.45 if faded else 1.0)
    _renderer(name, theme.current().name, ink).render(painter, QRectF(0, 0, size, size))
    if overlay:
        part = size * 0.6
        _renderer(f"state-{overlay}", theme.current().name, ink).render(
            painter, QRectF(size - part, size - part, part, part)
        )
    painter.end()
    picture.setDevicePixelRatio(ratio)
    return picture


@functools.lru_cache(maxsize=256)
def _renderer(name: str, theme_name: str, ink: str) -> QSvgRenderer:
    colors = theme.current()
    text = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    tone = _TONES.get(name.removeprefix("state-"), Tone.NONE)
    state = colors.state(tone) if ink == "text" else colors.color(ink)  # on a picked row its shape tells the sign
    tokens = {
        "INK": colors.color(ink).name(),
        "TINT": colors.color("tint" if ink == "text" else "accent").name(),
        "STATE": state.name(),
        "BASE": colors.color("base" if ink == "text" else "accent").name(),
    }
    for token, color in tokens.items():
        text = text.replace(f'"{token}"', f'"{color}"')
    return QSvgRenderer(QByteArray(text.encode()))
