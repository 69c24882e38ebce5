"""The two themes as Qt wants them: palettes with their disabled group, fonts, colours and patterns of layouts."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QProxyStyle, QStyle, QStyleFactory, QStyleHintReturn, QStyleOption, QWidget

from vea_gui import colors
from vea_gui.words import Tone

BRUSHES = {
    "plain": Qt.BrushStyle.SolidPattern,
    "vertical bars": Qt.BrushStyle.VerPattern,
    "two horizontal lines": Qt.BrushStyle.HorPattern,
    "grid": Qt.BrushStyle.CrossPattern,
    "diagonal": Qt.BrushStyle.BDiagPattern,
    "dots": Qt.BrushStyle.Dense7Pattern,
    "light diagonal hatch": Qt.BrushStyle.FDiagPattern,
}
_ROLES = {
    QPalette.ColorRole.Window: "window",
    QPalette.ColorRole.WindowText: "text",
    QPalette.ColorRole.Base: "base",
    QPalette.ColorRole.AlternateBase: "alternate",
    QPalette.ColorRole.Text: "text",
    QPalette.ColorRole.Button: "button",
    QPalette.ColorRole.ButtonText: "text",
    QPalette.ColorRole.BrightText: "text",
    QPalette.ColorRole.ToolTipBase: "tooltip",
    QPalette.ColorRole.ToolTipText: "text",
    QPalette.ColorRole.PlaceholderText: "muted",
    QPalette.ColorRole.Highlight: "accent",
    QPalette.ColorRole.HighlightedText: "accent-text",
    QPalette.ColorRole.Link: "link",
    QPalette.ColorRole.LinkVisited: "link",
    QPalette.ColorRole.Light: "base",
    QPalette.ColorRole.Midlight: "alternate",
    QPalette.ColorRole.Mid: "mid",
    QPalette.ColorRole.Dark: "border",
    QPalette.ColorRole.Shadow: "border",
    QPalette.ColorRole.Accent: "accent",
}
_DISABLED = (
    QPalette.ColorRole.WindowText,
    QPalette.ColorRole.Text,
    QPalette.ColorRole.ButtonText,
    QPalette.ColorRole.HighlightedText,
)

OUTLINED = ("QLineEdit", "QAbstractSpinBox", "QComboBox", "QCheckBox", "QRadioButton", "QPushButton", "QProgressBar")
"""Widgets that the style outlines with a darker shade of the window: on a dark ground nobody would see that."""
OUTLINE_SHADE = 140  # per cent: by how much the style darkens the window's colour

SPACING = {
    QStyle.PixelMetric.PM_FocusFrameHMargin: 5,  # keeps the words of neighbouring cells apart
    QStyle.PixelMetric.PM_HeaderMargin: 6,
}


@dataclass(frozen=True)
class Theme:
    """One theme's colours by what they mean."""

    name: str

    def color(self, surface: str) -> QColor:
        """A surface or text colour: window, base, text, muted, border, accent, ..."""
        return QColor(colors.SURFACES[self.name][surface])

    def layout(self, layout: str) -> QColor:
        """Fill of blocks of a layout: concat, stripe, mirror, mirror-stripe, raid5, log, free."""
        return QColor(colors.LAYOUT_COLORS[self.name][layout])

    def block_text(self, layout: str) -> QColor:
        return QColor(colors.block_text(self.name, layout))

    def pattern(self, layout: str) -> Qt.BrushStyle:
        """The pattern that says the layout where colour alone must not."""
        return BRUSHES[colors.PATTERNS[layout]]

    def state(self, tone: Tone) -> QColor:
        """Colour of a state; plain text for one that needs no colour."""
        return QColor(colors.STATE_COLORS[self.name].get(tone, colors.SURFACES[self.name]["text"]))

    def palette(self) -> QPalette:
        """The theme as a palette, disabled things included."""
        palette = QPalette()
        for role, surface in _ROLES.items():
            palette.setBrush(role, QBrush(self.color(surface)))
        for role in _DISABLED:
            palette.setColor(QPalette.ColorGroup.Disabled, role, self.color("disabled"))
        palette.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Highlight, self.color("mid"))
        return palette

    def outlined(self) -> QPalette:
        """The palette of `OUTLINED`: with a window colour whose darker shade is an outline that can be seen."""
        palette = self.palette()
        for group, surface in ((QPalette.ColorGroup.All, "outline"), (QPalette.ColorGroup.Disabled, "border")):
            palette.setColor(group, QPalette.ColorRole.Window, self.color(surface).lighter(OUTLINE_SHADE))
        return palette


class ConsoleStyle(QProxyStyle):
    """Fusion, where arrows stand on disabled menu entries too, and nothing moves when that is asked for."""

    def __init__(self) -> None:
        super().__init__(QStyleFactory.create("Fusion"))

    def styleHint(
        self,
        hint: QStyle.StyleHint,
        option: QStyleOption | None = None,
        widget: QWidget | None = None,
        returnData: QStyleHintReturn | None = None,
    ) -> int:
        if hint == QStyle.StyleHint.SH_Menu_AllowActiveAndDisabled:
            return 1
        if hint == QStyle.StyleHint.SH_DialogButtonBox_ButtonsHaveIcons:
            return 0
        if hint == QStyle.StyleHint.SH_Widget_Animation_Duration:
            return 0 if reduced_motion() else 120
        return super().styleHint(hint, option, widget, returnData)

    def pixelMetric(
        self, metric: QStyle.PixelMetric, option: QStyleOption | None = None, widget: QWidget | None = None
    ) -> int:
        return SPACING.get(metric) or super().pixelMetric(metric, option, widget)


class _Signals(QObject):
    changed = Signal()


class _Chosen:
    theme = Theme(colors.LIGHT)
    reduced_motion = False
    signals: _Signals | None = None


def current() -> Theme:
    """The theme that is shown now."""
    return _Chosen.theme


def signals() -> _Signals:
    """`signals().changed` is emitted after the theme, the font or the motion preference has changed."""
    if _Chosen.signals is None:
        _Chosen.signals = _Signals()
    return _Chosen.signals


def reduced_motion() -> bool:
    """Whether nothing may move but what is in progress."""
    return _Chosen.reduced_motion


def system_theme() -> str:
    """What the desktop prefers; light where it does not say."""
    dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
    return colors.DARK if dark else colors.LIGHT


def apply(app: QApplication, theme: str = "system", font_points: int = 0, less_motion: bool = False) -> None:
    """Show a theme, a font size (0: the system's own) and a motion preference everywhere."""
    _Chosen.theme = Theme(system_theme() if theme == "system" else theme)
    _Chosen.reduced_motion = less_motion
    if not isinstance(app.style(), ConsoleStyle):
        app.setStyle(ConsoleStyle())
    app.setPalette(_Chosen.theme.palette())
    for kind in OUTLINED:
        app.setPalette(_Chosen.theme.outlined(), kind)  # type: ignore[arg-type] # its stub says bytes, it takes str
    _apply_font(app, font_points)
    signals().changed.emit()


def _apply_font(app: QApplication, points: int) -> None:
    system = app.property("systemFont")
    if system is None:
        system = QFont(app.font())
        app.setProperty("systemFont", system)
    font = QFont(system)
    if points:
        font.setPointSize(points)
    app.setFont(font)
    QCoreApplication.sendPostedEvents(None, QEvent.Type.ApplicationFontChange.value)  # what measures it does so now
