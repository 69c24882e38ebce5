"""Subdisks in the hand: lifted by mouse or by keyboard, shown over targets, dropped, or let go with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QEvent, QMimeData, QObject, QPoint, Qt, QTimer, QTimerEvent, Signal
from PySide6.QtGui import QDrag, QMouseEvent, QPainter, QPixmap
from PySide6.QtWidgets import QApplication

from engine.config import Config
from engine.plans import Problem
from engine.records import Ref
from engine.units import format_size
from vea_gui.block_names import disk_name
from vea_gui.block_rows import ItemKind, Key
from vea_gui.drops import Drop, Lift, Region, Verdict, can_lift, disks_for
from vea_gui.views import message
from vea_gui.views.block_paint import Look, draw_block

if TYPE_CHECKING:
    from vea_gui.views.block_view import BlockView

MIME = "application/x-vea-subdisks"
SCROLL_MS = 40
SNAP_PIXELS = 14
"""So near to the start of a free region, the start is meant."""


class Load(msgspec.Struct, frozen=True):
    """What travels in the mime data: who is dragged, and how far into it the pointer holds it."""

    refs: tuple[Ref, ...]
    grab: int = 0


def pack(load: Load) -> QMimeData:
    """Mime data that says only who is dragged: by the time of the drop everything else may have changed."""
    mime = QMimeData()
    mime.setData(MIME, msgspec.json.encode(load))
    return mime


def unpack(mime: QMimeData) -> Load | None:
    """The load of a drag; None when it is somebody else's."""
    if not mime.hasFormat(MIME):
        return None
    try:
        return msgspec.json.decode(mime.data(MIME).data(), type=Load)
    except msgspec.MsgspecError:
        return None


class Hand(QObject):
    """What one view has in the hand, or sees dragged over it."""

    lifted = Signal(object)  # refs: taken up in this view
    let_go = Signal()

    def __init__(self, view: BlockView) -> None:
        super().__init__(view)
        self.view = view
        self.lift: Lift | None = None
        self.grab = 0
        self.verdict: Verdict | None = None
        self.pointer = QPoint()
        self.by_keyboard = False
        self.carrying = False  # it was taken up here, or in a view beside: leaving with the pointer keeps it
        self._dragging = False  # Qt's drag runs, and began here
        self._region: Region | None = None  # the target that the keyboard stands on
        self._scrolling = 0  # id of the timer that runs while the pointer rests near an edge
        self._told = ""  # what was said when the keyboard lifted something
        self._home: Key | None = None  # key of the block that the keyboard has lifted

    # --- taking up and letting go ---
    def take(self, refs: Iterable[Ref], grab: int = 0) -> bool:
        """Take subdisks up; answers whether there was anything to take."""
        config = self.view.console.config
        found = can_lift(config, refs)
        if not found:
            return False
        self.lift = Lift(config, found, disks_for(config, found))
        self.grab, self.verdict, self._region = grab, None, None
        self.view.viewport().update()
        return True

    def drop_it(self) -> None:
        """Let go, whatever becomes of it."""
        self.lift = self.verdict = self._region = None
        self.by_keyboard = self.carrying = False
        self._scroll(False)
        self.view.viewport().update()
        self.let_go.emit()

    def share(self, refs: Iterable[Ref]) -> None:
        """Show targets for what a view beside has taken up."""
        self.carrying = self.take(refs)

    def leave(self) -> None:
        """The pointer has left the view."""
        self.verdict = None
        self._scroll(False)
        if not self.carrying:
            self.lift = None
        self.view.viewport().update()

    def cancel(self, reason: str) -> None:
        """Let go and say why."""
        if self.lift is None:
            return
        if self._dragging:
            QDrag.cancel()
        self.drop_it()
        self.view.console.take_back(self._told)
        self.view.console.tell(reason)

    def follow(self, config: Config, changed: Collection[Ref]) -> None:
        """The world has changed under the drag."""
        if self.lift is None:
            return
        reason = self.lift.refresh(config, changed)
        if not reason and self.verdict is not None:
            now = self._judge()
            reason = self.lift.cancelled_over(self.verdict, now)
            self.verdict = now
        if reason:
            self.cancel(reason)
        else:
            self.view.viewport().update()

    # --- by mouse ---
    def drag(self, refs: Sequence[Ref], grab: int) -> None:
        """Carry subdisks with the mouse until they are dropped or let go."""
        if not self.take(refs, grab) or self.lift is None:
            return
        label = self.lift.label
        self.carrying = True
        self.lifted.emit(self.lift.refs)
        drag = QDrag(self.view)
        drag.setMimeData(pack(Load(self.lift.refs, grab)))
        drag.setPixmap(self._picture(label))
        drag.setHotSpot(QPoint(-12, self.view.metrics.line + 16))  # above the pointer: below it stands the reason
        watch = _RightPress(self)
        app = QApplication.instance()
        assert app is not None
        app.installEventFilter(watch)
        self._dragging = True
        try:
            drag.exec(Qt.DropAction.MoveAction)
        finally:
            self._dragging = False
            app.removeEventFilter(watch)
            watch.deleteLater()
            if self.lift is not None:
                self.drop_it()

    def _picture(self, label: str) -> QPixmap:
        ink, scale = self.view.ink, self.view.devicePixelRatioF()
        width, height = ink.metrics.horizontalAdvance(label) + 20, ink.metrics.height() + 10
        pixmap = QPixmap(round(width * scale), round(height * scale))
        pixmap.setDevicePixelRatio(scale)
        painter = QPainter(pixmap)
        painter.setFont(ink.font)
        layout = self.view.layout_of(self.lift.refs[0]) if self.lift is not None else "free"
        rect = pixmap.rect()
        rect.setSize(rect.size() / scale)
        draw_block(painter, ink, rect, Look(layout, label))
        painter.end()
        return pixmap

    def hover(self, point: QPoint) -> Verdict | None:
        """The pointer is here: what would a drop do?"""
        self.pointer = point
        self.verdict = self._judge() if self.lift is not None else None
        self._scroll(self.lift is not None and self.view.near_edge(point) != 0)
        self.view.viewport().update()
        return self.verdict

    def _scroll(self, on: bool) -> None:
        """While the pointer rests near the upper or lower edge, more bands come into sight."""
        if on and not self._scrolling:
            self._scrolling = self.startTimer(SCROLL_MS)
        elif not on and self._scrolling:
            self.killTimer(self._scrolling)
            self._scrolling = 0

    def timerEvent(self, event: QTimerEvent) -> None:
        bar, step = self.view.verticalScrollBar(), self.view.near_edge(self.pointer)
        bar.setValue(bar.value() + step * self.view.metrics.line)
        if self.lift is not None:
            self.verdict = self._judge()

    def _judge(self) -> Verdict:
        assert self.lift is not None
        if self._region is not None:
            return self.lift.at(self._region)
        place = self.view.byte_under(self.pointer)
        if place is None:
            return Problem("No disk is here.", "Drop on free space.")
        disk, offset, snap = place
        return self.lift.over(disk, offset, self.grab, snap)

    def finish(self) -> None:
        """Drop here: the plan opens, a split is offered, or the reason is told."""
        lift, verdict = self.lift, self._judge() if self.lift is not None else None
        self.drop_it()
        self.view.console.take_back(self._told)
        if lift is None or verdict is None:
            return
        if isinstance(verdict, Problem):
            self.view.console.tell(verdict.sentences)
            return
        # Not from within the drop: the drag's own event loop has to end first.
        QTimer.singleShot(0, self, lambda: self._propose(lift, verdict))

    def _propose(self, lift: Lift, drop: Drop) -> None:
        console = self.view.console

        def plan() -> None:
            console.ask("move_subdisk", console.at(*lift.refs), drop.command.moves)

        if not drop.why:
            plan()
            return
        config = console.config
        pieces = ", ".join(f"{format_size(piece.length)} on {disk_name(config, piece.disk)}" for piece in drop.pieces)
        text = f"{drop.why} Move it in {len(drop.pieces)} pieces?"
        message.ask(self.view.window(), "Move Subdisk", text, "Split", plan, pieces)

    # --- by keyboard ---
    def lift_current(self, refs: Sequence[Ref], home: Key | None) -> None:
        """Space on a block: arrows walk its legal targets from now on."""
        if not self.take(refs) or self.lift is None:
            self.view.console.tell("Only subdisks can be moved. Stand on a block of a volume and press Space.")
            return
        self.by_keyboard, self._home = True, home
        self.lifted.emit(self.lift.refs)
        targets = self.lift.glowing()
        if not targets:
            self.cancel(self._why_nowhere())
            return
        label = self.lift.label
        self.walk(1)
        self._told = f"{label} lifted. Arrows choose among {len(targets)} places, Enter drops, Escape cancels."
        self.view.console.tell(self._told)

    def _why_nowhere(self) -> str:
        """Why there is no legal target: the reason that most disks give."""
        assert self.lift is not None
        own = {subdisk.disk for subdisk in self.lift.subdisks}
        problems = [problem for disk in self.lift.among if disk not in own and (problem := self.lift.why_not(disk))]
        if problems:
            return problems[0].sentences
        return f"No disk has room: {format_size(self.lift.length)} needed. Add a disk to the group or free some space."

    def walk(self, step: int) -> None:
        """To the next legal target, or the one before."""
        if self.lift is None:
            return
        targets = self.lift.glowing()
        if not targets:
            self.cancel(self._why_nowhere())
            return
        at = targets.index(self._region) + step if self._region in targets else 0 if step > 0 else -1
        self._region = targets[at % len(targets)]
        self.verdict = self.lift.at(self._region)
        key = (ItemKind.FREE, self._region.disk, self._region.extent.start)
        self.view.stand_on(key)
        self.view.viewport().update()

    def back_home(self) -> None:
        """Escape: nothing has happened."""
        home = self._home
        self.cancel("Nothing was moved.")
        self.view.stand_on(home)


class _RightPress(QObject):
    """A right press lets go of a drag."""

    def __init__(self, hand: Hand) -> None:
        super().__init__(hand)
        self.hand = hand

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if not isinstance(event, QMouseEvent) or event.type() != QEvent.Type.MouseButtonPress:
            return False
        if event.button() != Qt.MouseButton.RightButton:
            return False
        self.hand.cancel("Nothing was moved.")
        return True
