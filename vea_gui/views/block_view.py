"""Blocks of a living engine: follows its changes, shows what is picked, and takes blocks up to move them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QToolTip, QWidget

from engine.records import Kind, Plex, Ref, Subdisk
from engine.units import format_size
from vea_gui.block_names import block_layout, owner
from vea_gui.block_rows import ItemKind, Key
from vea_gui.console import Console
from vea_gui.drops import Drop
from vea_gui.mirror import Change
from vea_gui.selection import FreeSpace, Selection
from vea_gui.views.band_paint import BandPainter
from vea_gui.views.band_view import BandView, Shape
from vea_gui.views.blocks import BlockModel, Index
from vea_gui.views.drag import SNAP_PIXELS, Hand, unpack

Select = QItemSelectionModel.SelectionFlag
ZOOM_STEP = 1.25
ZOOM_KEYS = {
    Qt.Key.Key_Plus: ZOOM_STEP,
    Qt.Key.Key_Equal: ZOOM_STEP,
    Qt.Key.Key_Minus: 1 / ZOOM_STEP,
    Qt.Key.Key_0: 0.0,
}
"""With Ctrl: how many times as long the bars become; 0 fits them."""
LEAVING = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason, Qt.FocusReason.MouseFocusReason)
STRUCTURAL = frozenset({Kind.DISK, Kind.VOLUME, Kind.PLEX, Kind.SUBDISK, Kind.GROUP})


class Focus(NamedTuple):
    """What is picked, as blocks show it: their plex with a solid outline, their volume with a dashed one."""

    plexes: frozenset[Ref] = frozenset()
    volumes: frozenset[Ref] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.plexes or self.volumes)


class BlockView(BandView):
    """What Disk View and Volume View have in common."""

    opened = Signal(object)  # Ref: Enter or a double click on an object
    toggled = Signal(object)  # Ref: a click on the sign that expands a volume or mirror

    def __init__(self, console: Console, model: BlockModel, shape: Shape, parent: QWidget | None = None) -> None:
        super().__init__(model, shape, parent)
        self.console = console
        self.hand = Hand(self)
        self.focus_on = Focus()
        self.expanded: set[Ref] = set()  # volumes and mirrors, in a Volume View
        self.filtered: frozenset[str] = frozenset()  # layouts that the legend has put aside
        self._painter = BandPainter(self)
        self._syncing = False
        self._missed: set[Ref] = set()  # what has changed while the view was hidden
        self.setDragEnabled(True)
        self.setAcceptDrops(True)
        self.viewport().setAcceptDrops(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.viewport().setMouseTracking(True)
        # By signal: an override of selectionChanged gets a QItemSelection that crashes the garbage collector.
        self.selectionModel().selectionChanged.connect(lambda: self._tell_picked())
        model.bands_touched.connect(self._bands_touched)
        model.complete.connect(lambda: self._show_picked(self.console.selection))
        console.changed.connect(self._follow)
        console.selection_changed.connect(self._show_picked)
        self.doubleClicked.connect(self._open)
        self.show_all()

    # --- following the engine ---
    def show_all(self) -> None:
        """Show everything anew."""
        self._missed.clear()
        self.blocks.show(self.console.config, self.shape.order(), self.visible_range().stop + 1)
        self._show_picked(self.console.selection)

    def show_again(self) -> None:
        """Show what `shape.order` says now, keeping what is shown already."""
        self._catch_up()
        self._follow(Change(), reorder=True)

    def showEvent(self, event: QShowEvent) -> None:
        self._catch_up()
        super().showEvent(event)

    def _catch_up(self) -> None:
        """Follow what has changed while the view was hidden."""
        missed, self._missed = self._missed, set()
        if not missed:
            return
        config, current = self.console.config, self._current_key()
        order = self.shape.order() if self.blocks.lists_otherwise(config, missed) else None
        still, self._still = self._still, True
        self.blocks.catch_up(config, order, missed)
        self._pick_up(current)
        self._still = still
        self.measure_bands()

    def _current_key(self) -> Key | None:
        """On what the keyboard stands."""
        current = self.currentIndex()
        return self.blocks.item(current).key if current.isValid() else None

    def _pick_up(self, current: Key | None) -> None:
        """When all bands were laid anew: what was picked is picked, and the keyboard stands where it stood."""
        if current is not None and not self.currentIndex().isValid():
            self._show_picked(self.console.selection)
            self.stand_on(current)

    def _follow(self, change: Change, reorder: bool = False) -> None:
        """A fold of the engine's changes: nothing scrolls, and the block under the pointer stays there."""
        if change.reset:
            self.show_all()
            return
        if not self.isVisible() and not reorder:
            self._missed.update(change.records)
            return
        config = self.console.config
        order = self.shape.order() if reorder or self.blocks.lists_otherwise(config, change.records) else None
        if order == self.blocks.order:
            order = None
        current = self._current_key() if order is not None else None
        anchor = self._anchor() if order is not None or self._lies_otherwise(change) else None
        self._still = True
        try:
            self.blocks.apply(config, change, order, self.visible_bands())
            self._pick_up(current)
        finally:
            self._still = False
        if order is not None:
            self.measure_bands()
        if anchor is not None:
            self._hold(*anchor)
        self.hand.follow(config, change.records)

    def _lies_otherwise(self, change: Change) -> bool:
        return any(ref.kind in STRUCTURAL for ref in change.records)

    def _bands_touched(self, refs: Sequence[Ref]) -> None:
        if self.blocks.moving:  # the lines that join two bands cross those between
            self.viewport().update()
            return
        for ref in refs:
            number = self.blocks.rows.band_of(ref)
            if number is not None:
                self.viewport().update(0, self.band_top(number), self.viewport().width(), self.band_height(number))

    def _anchor(self) -> tuple[Ref, int] | None:
        """The band that has to stay where it is: the one under the pointer, else the uppermost in sight."""
        bands = self.blocks.rows.bands
        if not bands:
            return None
        at = self.viewport().mapFromGlobal(self.cursor().pos())
        number = self.band_at(at.y() if self.viewport().rect().contains(at) else 0)
        return bands[number].ref, self.band_top(number)

    def _hold(self, ref: Ref, top: int) -> None:
        number = self.blocks.rows.band_of(ref)
        if number is not None and self.band_top(number) != top:
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() + self.band_top(number) - top)

    # --- what is picked ---
    def _tell_picked(self) -> None:
        if not self._syncing and not self._still:
            self._syncing = True
            refs, free = self.picked()
            self.console.select(refs, free)
            self._syncing = False

    def picked(self) -> tuple[list[Ref], list[FreeSpace]]:
        """Objects and free space that are selected here, in their order."""
        items = [self.blocks.rows.item(index.row()) for index in sorted(self.selectedIndexes(), key=QModelIndex.row)]
        free = [FreeSpace(item.ref, item.start, item.length) for item in items if item.kind is ItemKind.FREE]
        return list(dict.fromkeys(item.ref for item in items if item.kind is not ItemKind.FREE)), free

    def _show_picked(self, selection: Selection) -> None:
        """Another view has picked something: highlight it here; nothing scrolls."""
        self.focus_on = self._focus(selection)
        if not self._syncing:
            self._syncing = True
            chosen = self.blocks.selection_of(selection.refs)
            for space in selection.free:
                index = self.blocks.index_of((ItemKind.FREE, space.disk, space.offset))
                if index.isValid():
                    chosen.select(index, index)
            self.selectionModel().select(chosen, Select.ClearAndSelect)
            self._syncing = False
        self.viewport().update()

    def _focus(self, selection: Selection) -> Focus:
        plexes = {sd.plex for sd in selection.of(Subdisk)} | {plex.ref for plex in selection.of(Plex)}
        named = (Kind.VOLUME, Kind.PLEX, Kind.SUBDISK)
        volumes = selection.volumes if any(ref.kind in named for ref in selection.refs) else []
        return Focus(frozenset(plexes), frozenset(volume.ref for volume in volumes))

    def layout_of(self, subdisk: Ref) -> str:
        """Under which layout's colour a subdisk is drawn."""
        return block_layout(owner(self.blocks.config, subdisk))

    def set_filtered(self, layouts: Iterable[str]) -> None:
        """Put the blocks of some layouts aside."""
        self.filtered = frozenset(layouts)
        self.viewport().update()

    # --- painting ---
    def paintEvent(self, event: QPaintEvent) -> None:
        self.renew_ink()
        painter = QPainter(self.viewport())
        self._painter.paint(painter, event.rect())
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self.renew_ink()
            self.viewport().update()

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.tip_at(event.pos()), self.viewport())
            return True
        return super().viewportEvent(event)

    def tip_at(self, point: QPoint) -> str:
        """What hovering at a place tells."""
        notch = self.notch_under(point)
        if notch is not None:
            number = self.band_at(point.y())
            items = [self.blocks.rows.bands[number].items[each] for each in notch.items]
            total = format_size(sum(item.length for item in items))
            return (
                f"{len(items)} pieces too small to show, {total} in all. Click to {'close' if notch.open else 'open'}."
            )
        index = self.indexAt(point)
        return str(index.data(Qt.ItemDataRole.ToolTipRole) or "") if index.isValid() else ""

    # --- the mouse ---
    def mousePressEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        if event.button() == Qt.MouseButton.LeftButton:
            notch = self.notch_under(point)
            if notch is not None:
                self.toggle_notch(self.band_at(point.y()), notch)
                return
            place = self.item_under(point)
            if place is not None and self._on_twisty(*place, point):
                self.toggled.emit(self.blocks.rows.bands[place[0]].items[place[1]].ref)
                return
        super().mousePressEvent(event)

    def _on_twisty(self, number: int, item: int, point: QPoint) -> bool:
        kind = self.blocks.rows.bands[number].items[item].kind
        if kind not in (ItemKind.VOLUME, ItemKind.PLEX):
            return False
        left = self.arrangement(number).boxes[item].left
        return left <= point.x() < left + 2 * self.metrics.line

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            steps = event.angleDelta().y() / 120
            self.set_zoom(self.zoom * ZOOM_STEP**steps, round(event.position().x()))
            event.accept()
            return
        super().wheelEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            at = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).center())
        else:
            at = event.globalPos()
        refs, free = self.picked()
        selection = Selection(self.console.config, tuple(refs), "", tuple(free))
        self.console.menu_for(selection, self).popup(at)

    def _open(self, index: Index) -> None:
        if index.isValid():
            item = self.blocks.rows.item(index.row())
            self.opened.emit(item.ref)

    # --- the keyboard ---
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self.hand.by_keyboard:
            self._key_while_lifted(event)
            return
        key = event.key()
        if key == Qt.Key.Key_Space and not event.modifiers():
            self._lift_current()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._open(self.currentIndex())
        elif key == Qt.Key.Key_Escape and self._opened is not None:
            self.open_notch(None)
        elif key in ZOOM_KEYS and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.set_zoom(self.zoom * ZOOM_KEYS[Qt.Key(key)])
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right) and self._fold_by_key(key == Qt.Key.Key_Right):
            pass
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _key_while_lifted(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Tab):
            self.hand.walk(1)
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_Backtab):
            self.hand.walk(-1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.hand.finish()
        elif key == Qt.Key.Key_Escape:
            self.hand.back_home()
        event.accept()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        if self.hand.by_keyboard and event.reason() in LEAVING:
            self.hand.cancel("Nothing was moved.")
        super().focusOutEvent(event)

    def _lift_current(self) -> None:
        current = self.currentIndex()
        if not current.isValid():
            return
        self._lift(self.refs_to_lift(current), self.blocks.item(current).key)

    def refs_to_lift(self, current: Index) -> list[Ref]:
        """All that is picked, when the current block is; else that block."""
        ref, picked = self.blocks.rows.item(current.row()).ref, self.picked()[0]
        return picked if ref in picked else [ref]

    def _lift(self, refs: list[Ref], home: Key | None) -> None:
        self.hand.lift_current(refs, home)

    def _fold_by_key(self, expand: bool) -> bool:
        """Left and Right on a volume or mirror; a Volume View answers."""
        return False

    def stand_on(self, key: Key | None) -> None:
        """Let the keyboard stand on an item without picking it."""
        index = self.blocks.index_of(key) if key is not None else QModelIndex()
        if index.isValid():
            self.selectionModel().setCurrentIndex(index, Select.NoUpdate)
            self.scrollTo(index)

    def keyboardSearch(self, search: str) -> None:
        """Typing goes to the next disk or volume whose name begins so."""
        bands = self.blocks.rows.bands
        current = self.currentIndex()
        start = self.blocks.rows.place(current.row())[0] if current.isValid() else -1
        for step in range(1, len(bands) + 1):
            number = (start + step) % len(bands)
            record = self.blocks.config.get(bands[number].ref)
            if record is not None and record.name.casefold().startswith(search.casefold()):
                self.setCurrentIndex(self.blocks.index(self.blocks.rows.row(number)))
                return

    # --- drag and drop ---
    def byte_under(self, point: QPoint) -> tuple[Ref, int, int] | None:
        """(disk, byte, bytes that count as near) at a place of the viewport; None where no disk's bar is."""
        bands = self.blocks.rows.bands
        y = point.y() - self.band_top(0) if bands else -1
        if not bands or point.x() < self.metrics.header or not 0 <= y < self.band_top(len(bands)) - self.band_top(0):
            return None
        number = self.band_at(point.y())
        band = bands[number]
        strips = self.arrangement(number).strips
        if band.ref.kind is not Kind.DISK or not strips:
            return None
        bar = strips[0].bar
        x = point.x() - self.bars_left
        if x > bar.width:
            return None
        return band.ref, bar.offset_at(x), SNAP_PIXELS * bar.extent // bar.width

    def startDrag(self, actions: Qt.DropAction) -> None:
        refs, _ = self.picked()
        subdisks = [ref for ref in refs if ref.kind is Kind.SUBDISK]
        if subdisks:
            self.hand.drag(subdisks, self._grabbed(subdisks))

    def _grabbed(self, subdisks: Sequence[Ref]) -> int:
        """How many bytes into what is dragged the pointer holds it."""
        place = self.byte_under(self.viewport().mapFromGlobal(self.cursor().pos()))
        subdisk = self.console.config.get(subdisks[0])
        if len(subdisks) != 1 or place is None or not isinstance(subdisk, Subdisk):
            return 0
        return max(0, min(subdisk.length, place[1] - subdisk.disk_offset)) if place[0] == subdisk.disk else 0

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        load = unpack(event.mimeData())
        if load is None:
            event.ignore()
            return
        if self.hand.lift is None:
            self.hand.take(load.refs, load.grab)
        event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        verdict = self.hand.hover(event.position().toPoint())
        if isinstance(verdict, Drop):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.hand.leave()

    def dropEvent(self, event: QDropEvent) -> None:
        self.hand.hover(event.position().toPoint())
        event.acceptProposedAction()
        self.hand.finish()

    def near_edge(self, point: QPoint) -> int:
        """-1 near the upper edge, 1 near the lower, else 0."""
        edge = 2 * self.metrics.line
        return -1 if point.y() < edge else 1 if point.y() > self.viewport().height() - edge else 0
