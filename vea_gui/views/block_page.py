"""What Disk View and Volume View have around their blocks: legend, zoom, what to show when there is nothing."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedLayout, QToolButton, QVBoxLayout, QWidget

from engine.records import Kind, Ref
from vea_gui.block_names import owner
from vea_gui.console import Console
from vea_gui.views.block_view import ZOOM_STEP, BlockView
from vea_gui.views.legend import Legend


class BlockPage(QWidget):
    """One tab with blocks. `scope` is the object whose blocks are shown; None is the whole host."""

    def __init__(self, console: Console, scope: Ref | None, empty: str) -> None:
        super().__init__()
        self.console = console
        self.scope = scope
        self.words = ""  # of the filter
        self.view = self._make_view()
        self.view.opened.connect(self._open)
        self.legend = Legend(self)
        self.legend.filtered.connect(self.view.set_filtered)
        self.empty = QLabel(empty, self)
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.bar = QHBoxLayout()
        self._build()
        self.view.blocks.rowsInserted.connect(self._empty_or_blocks)
        self.view.blocks.rowsRemoved.connect(self._empty_or_blocks)
        self.view.blocks.modelReset.connect(self._empty_or_blocks)
        self._empty_or_blocks()

    def _make_view(self) -> BlockView:
        raise NotImplementedError

    def _build(self) -> None:
        self.bar.setContentsMargins(8, 4, 8, 4)
        self.bar.setSpacing(4)
        self.bar.addWidget(self.legend, 1)
        for text, name, change in (("−", "Zoom Out", 1 / ZOOM_STEP), ("+", "Zoom In", ZOOM_STEP), ("1:1", "Fit", 0.0)):
            self.bar.addWidget(self._button(text, name, change))
        self.holder = QWidget(self)
        self.stack = QStackedLayout(self.holder)
        self.stack.addWidget(self.view)
        self.stack.addWidget(self.empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self.bar)
        layout.addWidget(self.holder, 1)

    def _button(self, text: str, name: str, change: float) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setAccessibleName(name)
        button.setToolTip(name)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda: self.view.set_zoom(self.view.zoom * change if change else 1.0))
        return button

    def _empty_or_blocks(self) -> None:
        self.stack.setCurrentIndex(0 if self.view.blocks.rowCount() else 1)

    def set_filter(self, text: str) -> None:
        """Show only what has these words in its name, or in the name of a volume on it."""
        words = text.strip().casefold()
        if words != self.words:
            self.words = words
            self.view.show_again()

    def release(self) -> None:
        """The page is about to go: nothing is kept."""

    def _open(self, ref: Ref) -> None:
        """Properties, of the volume for a block of it."""
        volume = owner(self.console.config, ref).volume if ref.kind is Kind.SUBDISK else None
        self.console.trigger("properties", self.console.at(volume.ref if volume is not None else ref))
