"""Paints the bands of a view: cells, blocks, notches, rulers, what is on its way, and what is in the hand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from engine.plans import Problem
from engine.records import Disk, Kind, Plex, Ref, Subdisk, Volume
from engine.units import format_size
from vea_gui.block_geometry import Bar, Cell
from vea_gui.block_layout import Arrangement, Box
from vea_gui.block_names import (
    USAGE_WORDS,
    Moving,
    block_label,
    block_layout,
    disk_name,
    disk_place,
    free_word,
    label_of,
    mark_of,
    owner,
    unused_words,
)
from vea_gui.block_rows import Band, Item, ItemKind
from vea_gui.colors import layout_name
from vea_gui.drops import Drop, Lift
from vea_gui.views.block_paint import Ink, Look, draw_block, draw_focus, draw_mark, mix
from vea_gui.views.ruler import draw_ruler
from vea_gui.words import Tone, plex_words, tone_of

if TYPE_CHECKING:
    from vea_gui.views.block_view import BlockView


class BandPainter:
    """Paints what a `BlockView` shows; only bands and blocks that can be seen."""

    def __init__(self, view: BlockView) -> None:
        self.view = view

    @property
    def ink(self) -> Ink:
        return self.view.ink

    def paint(self, painter: QPainter, area: QRect) -> None:
        """Everything in an area of the viewport."""
        painter.setFont(self.ink.font)
        painter.fillRect(area, self.ink.base)
        bands = self.view.visible_range(area)
        for number in bands:
            self._band(painter, number)
        if self.view.blocks.moving:
            self._joints(painter)
        if self.view.hand.lift is not None:
            self._tip(painter)

    # --- a band ---
    def _band(self, painter: QPainter, number: int) -> None:
        view = self.view
        band, arrangement = view.blocks.rows.bands[number], view.arrangement(number)
        width = view.viewport().width()
        bars = QRect(view.metrics.header, view.band_top(number), width - view.metrics.header, arrangement.height)
        for at in arrangement.headers:
            self._header(painter, band.items[at], view.on_screen(number, band.items[at], arrangement.boxes[at]))
        painter.save()
        painter.setClipRect(bars)
        self._blocks(painter, number, band, arrangement, bars)
        if view.hand.lift is not None and band.ref.kind is Kind.DISK:
            self._targets(painter, view.hand.lift, number, band, arrangement)
        painter.restore()
        if band.ref.kind is not Kind.DISK:
            return
        painter.setPen(mix(self.ink.base, self.ink.border, 0.5))
        bottom = view.band_top(number) + view.band_height(number) - 1
        painter.drawLine(0, bottom, width, bottom)

    def _blocks(self, painter: QPainter, number: int, band: Band, arrangement: Arrangement, bars: QRect) -> None:
        view = self.view
        if arrangement.drawer is not None:
            self._drawer(painter, number, arrangement)
        selection, current = view.selectionModel(), view.currentIndex().row()
        refused, any_picked = self._refused(band), selection.hasSelection()
        first = view.blocks.rows.row(number)
        corner = QPoint(view.bars_left, bars.top())
        for at in _shown(arrangement, view.horizontalOffset(), view.horizontalOffset() + bars.width()):
            box = arrangement.boxes[at]
            rect = QRect(corner.x() + box.left, corner.y() + box.top, box.width, box.height)
            picked = any_picked and selection.isSelected(view.blocks.index(first + at))
            draw_block(painter, self.ink, rect, self._look(band.items[at], band, picked, refused), bars)
            if first + at == current and view.hasFocus():
                draw_focus(painter, self.ink, rect.intersected(bars))
        for notch in arrangement.notches:
            self._notch(painter, self._at(number, notch.box), len(notch.items), notch.open)
        for strip in arrangement.strips if band.ref.kind is Kind.DISK else ():
            top = view.band_top(number) + strip.top + strip.height + 1
            self._margins(painter, number, arrangement)
            area = QRect(bars.left(), top, view.bars_visible + view.metrics.gap, view.metrics.line)
            draw_ruler(painter, self.ink, strip.bar, view.bars_left, area)

    def _margins(self, painter: QPainter, number: int, arrangement: Arrangement) -> None:
        """What of a LUN no subdisk may use: the label and the private region before the first block, a rest behind."""
        color = mix(self.ink.base, self.ink.border, 0.6)
        strip = arrangement.strips[0]
        scrolled = self.view.horizontalOffset()
        for cell in _cells(strip.bar, scrolled, scrolled + self.view.bars_visible):
            if not cell.spans and cell.right > cell.left:
                box = Box(cell.left, strip.top + strip.height // 3, cell.right - cell.left, strip.height // 3)
                painter.fillRect(self._at(number, box), color)

    def _at(self, number: int, box: Box) -> QRect:
        return QRect(self.view.bars_left + box.left, self.view.band_top(number) + box.top, box.width, box.height)

    def _drawer(self, painter: QPainter, number: int, arrangement: Arrangement) -> None:
        """What an open notch has spread out, tied to it by two lines."""
        assert arrangement.drawer is not None
        drawer = self._at(number, arrangement.drawer)
        notch = next((self._at(number, notch.box) for notch in arrangement.notches if notch.open), drawer)
        painter.setPen(self.ink.border)
        painter.setBrush(mix(self.ink.base, self.ink.border, 0.25))
        painter.drawPolygon([notch.bottomLeft(), notch.bottomRight(), drawer.topRight(), drawer.topLeft()])
        painter.drawRect(drawer.adjusted(0, 0, -1, -1))

    def _notch(self, painter: QPainter, rect: QRect, count: int, is_open: bool) -> None:
        ink = self.ink
        painter.fillRect(rect, mix(ink.base, ink.border, 0.5))
        painter.setPen(ink.border)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(rect.adjusted(0, 0, -1, -1))
        painter.setPen(ink.text)
        painter.setFont(ink.small)
        text = str(count) if count < 1000 else "…"
        upper = rect.adjusted(1, 0, -1, -rect.height() // 3)
        painter.drawText(upper, Qt.AlignmentFlag.AlignCenter, text)
        painter.setFont(ink.font)
        draw_twisty(painter, ink, QPoint(rect.center().x(), rect.bottom() - rect.height() // 4), is_open)

    def _refused(self, band: Band) -> bool:
        """Whether the band's disk may not take what is in the hand."""
        lift = self.view.hand.lift
        return lift is not None and band.ref.kind is Kind.DISK and lift.why_not(band.ref) is not None

    def _look(self, item: Item, band: Band, picked: bool, refused: bool) -> Look:
        config = self.view.blocks.config
        focus = self.view.focus_on
        if item.kind is ItemKind.FREE:
            dimmed = refused or "free" in self.view.filtered
            free = free_word(config, item.ref)
            return Look("free", free, (format_size(item.length),), picked=picked, dimmed=dimmed)
        if item.kind is ItemKind.UNUSED:
            return Look("free", unused_words(config, item.ref), (format_size(item.length),), picked=picked)
        who = owner(config, item.ref)
        subdisk, plex, volume = who
        layout = block_layout(who)
        in_volume = volume is not None and volume.ref in focus.volumes
        in_plex = plex is not None and plex.ref in focus.plexes
        moving = self.view.blocks.moving.get(item.ref)
        return Look(
            layout,
            subdisk.name if subdisk is not None and not self.view.blocks.of_disks else label_of(who),
            self._details(item, band, volume, subdisk, moving),
            tone=mark_of(config, who),
            dimmed=refused or (bool(focus) and not in_volume) or layout in self.view.filtered,
            solid=in_plex,
            dashed=in_volume and not in_plex,
            picked=picked,
            pale=subdisk is not None and subdisk.replaces is not None,
        )

    def _details(
        self, item: Item, band: Band, volume: Volume | None, subdisk: Subdisk | None, moving: Moving | None
    ) -> tuple[str, ...]:
        parts = [f"{moving.percent} %"] if moving is not None and moving.percent >= 0 else []
        parts.append(format_size(item.length))
        if band.ref.kind is Kind.VOLUME and subdisk is not None:
            disk = disk_name(self.view.blocks.config, subdisk.disk)
            parts += [] if subdisk.name.startswith(disk) else [disk]
        elif moving is None and volume is not None and tone_of(volume) >= Tone.INFORMATION:
            parts.append(volume.status.value)
        return tuple(parts)

    # --- cells at the left ---
    def _header(self, painter: QPainter, item: Item, rect: QRect) -> None:
        ink, view = self.ink, self.view
        index = view.blocks.index_of(item.key)
        picked = view.selectionModel().isSelected(index)
        fill = mix(ink.base, ink.accent, 0.22) if picked else ink.window
        if item.kind in (ItemKind.DISK, ItemKind.VOLUME) or picked:
            painter.fillRect(rect, fill)
        painters = {
            ItemKind.DISK: self._disk_cell,
            ItemKind.VOLUME: self._volume_cell,
            ItemKind.PLEX: self._plex_cell,
            ItemKind.COLUMN: self._column_cell,
        }
        painters[item.kind](painter, item, rect)
        if index == view.currentIndex() and view.hasFocus():
            draw_focus(painter, ink, rect.adjusted(-3, -3, 3, 3))

    def _disk_cell(self, painter: QPainter, item: Item, rect: QRect) -> None:
        disk = self.view.blocks.config.get(item.ref)
        if not isinstance(disk, Disk):
            return
        ink, line = self.ink, self.view.metrics.line
        left, top, width = rect.left() + 8, rect.top() + 4, rect.width() - 14
        tone = tone_of(disk)
        mark = tone >= Tone.WARNING
        painter.setFont(ink.bold)
        painter.setPen(ink.text)
        name = ink.elided(disk.name, width - (20 if mark else 0), bold=True)
        painter.drawText(left, top + ink.metrics.ascent(), name)
        painter.setFont(ink.font)
        if mark:
            draw_mark(painter, ink, QRect(rect.right() - 20, top, 16, 16), tone)
        status = ink.elided(
            "  ".join(filter(None, (format_size(disk.size), disk.status.value, USAGE_WORDS[disk.usage]))), width
        )
        painter.drawText(left, top + line + ink.metrics.ascent(), status)
        painter.setPen(ink.muted)
        place = ink.elided(disk_place(self.view.blocks.config, disk), width)
        painter.drawText(left, top + 2 * line + ink.metrics.ascent(), place)

    def _volume_cell(self, painter: QPainter, item: Item, rect: QRect) -> None:
        volume = self.view.blocks.config.get(item.ref)
        if not isinstance(volume, Volume):
            return
        ink = self.ink
        painter.setPen(ink.border)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(rect.adjusted(0, 0, -1, -1))
        left = self._twisty(painter, rect, item.ref in self.view.expanded)
        swatch = QRect(left, rect.top() + 5, 2 * self.view.metrics.line, rect.height() - 10)
        draw_block(painter, ink, swatch, Look(layout_name(volume.layout), ""))
        left = swatch.right() + 8
        baseline = rect.top() + (rect.height() - ink.metrics.height()) // 2 + ink.metrics.ascent()
        painter.setPen(ink.text)
        painter.setFont(ink.bold)
        name = ink.elided(volume.name, max(40, self.view.metrics.header - left), bold=True)
        painter.drawText(left, baseline, name)
        painter.setFont(ink.font)
        left = max(self.view.metrics.header, left + ink.bold_metrics.horizontalAdvance(name)) + 8
        tone = tone_of(volume)
        if tone >= Tone.WORKING:
            draw_mark(painter, ink, QRect(left, rect.center().y() - 8, 16, 16), tone)
            left += 22
        mirrors = f"{volume.copies} complete {'copy' if volume.copies == 1 else 'copies'}"
        words = "   ".join((volume.status.value, volume.layout.value, format_size(volume.size), mirrors))
        painter.drawText(left, baseline, ink.elided(words, rect.right() - left - 8))

    def _plex_cell(self, painter: QPainter, item: Item, rect: QRect) -> None:
        plex = self.view.blocks.config.get(item.ref)
        if not isinstance(plex, Plex):
            return
        ink = self.ink
        left = self._twisty(painter, rect, item.ref in self.view.expanded)
        baseline = rect.top() + (rect.height() - ink.metrics.height()) // 2 + ink.metrics.ascent()
        painter.setPen(ink.text)
        state = "" if plex.complete else f"  {plex_words(plex)}"
        painter.drawText(left, baseline, ink.elided(f"{plex.name}{state}", rect.right() - left - 4))

    def _column_cell(self, painter: QPainter, item: Item, rect: QRect) -> None:
        ink = self.ink
        painter.setPen(ink.muted)
        baseline = rect.top() + (rect.height() - ink.metrics.height()) // 2 + ink.metrics.ascent()
        painter.drawText(rect.left() + 4, baseline, ink.elided(f"Column {item.column + 1}", rect.width() - 8))

    def _twisty(self, painter: QPainter, rect: QRect, is_open: bool) -> int:
        side = self.view.metrics.line
        draw_twisty(painter, self.ink, QPoint(rect.left() + side // 2 + 4, rect.center().y()), is_open)
        return rect.left() + side + 8

    # --- what is on its way ---
    def _joints(self, painter: QPainter) -> None:
        """A thin line from each source to its target, filled as far as the copy is."""
        bounds = self.view.viewport().rect()
        painter.save()
        painter.setClipRect(bounds.adjusted(self.view.metrics.header, 0, 0, 0))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for moving in self.view.blocks.all_moving if self.view.blocks.of_disks else ():
            source, target = self._end(moving.source), self._end(moving.target)
            if source is None or target is None:
                continue
            if source.united(target).adjusted(-20, -20, 20, 20).intersects(bounds):
                down = source.top() < target.top()
                self._joint(painter, _edge(source, down), _edge(target, not down), moving)
        painter.restore()

    def _end(self, ref: Ref) -> QRect | None:
        row = self.view.blocks.rows.find((ItemKind.SUBDISK, ref, 0))
        return self.view.visualRect(self.view.blocks.index(row)) if row is not None else None

    def _joint(self, painter: QPainter, source: QPointF, target: QPointF, moving: Moving) -> None:
        ink = self.ink
        done = source + (target - source) * (max(0, moving.percent) / 100)
        painter.setPen(QPen(ink.base, 3))
        painter.drawLine(source, target)
        painter.setPen(QPen(ink.text, 1.5, Qt.PenStyle.DotLine))
        painter.drawLine(source, target)
        painter.setPen(QPen(ink.link, 2))
        painter.drawLine(source, done)
        painter.setBrush(ink.link)
        painter.setPen(QPen(ink.base, 1))
        painter.drawEllipse(target, 4, 4)
        text = f"{moving.percent} %" if moving.percent >= 0 else "waiting"
        width = ink.metrics.horizontalAdvance(text) + 10
        middle = (source + target) / 2
        plate = QRectF(
            middle.x() - width / 2, middle.y() - ink.metrics.height() / 2 - 1, width, ink.metrics.height() + 2
        )
        painter.setPen(ink.border)
        painter.setBrush(ink.base)
        painter.drawRoundedRect(plate, 4, 4)
        painter.setPen(ink.text)
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)

    # --- what is in the hand ---
    def _targets(self, painter: QPainter, lift: Lift, number: int, band: Band, arrangement: Arrangement) -> None:
        """Legal free space glows, a disk that may not take it is dimmed, the piece is shown where it would lie."""
        ink = self.ink
        glowing = {region.extent.start for region in lift.glowing() if region.disk == band.ref}
        strip = arrangement.strips[0]
        scrolled = self.view.horizontalOffset()
        for item_number in _shown(arrangement, scrolled, scrolled + self.view.bars_visible):
            item, rect = band.items[item_number], self._at(number, arrangement.boxes[item_number])
            if item.ref in lift.refs:
                painter.setPen(QPen(ink.link, 2, Qt.PenStyle.DashLine))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(rect.adjusted(2, 2, -3, -3))
            elif item.kind is ItemKind.FREE and item.start in glowing:
                self._glow(painter, rect)
        if isinstance(self.view.hand.verdict, Drop):
            layout = self.view.layout_of(lift.refs[0])
            for piece in self.view.hand.verdict.pieces:
                if piece.disk == band.ref:
                    left, right = strip.bar.x_of(piece.offset), strip.bar.x_of(piece.offset + piece.length)
                    box = Box(left, strip.top, max(6, right - left), strip.height)
                    self._ghost(painter, self._at(number, box), layout, piece.subdisk, piece.length)

    def _glow(self, painter: QPainter, rect: QRect) -> None:
        color = QColor(self.ink.good)
        color.setAlpha(70)
        painter.fillRect(rect, color)
        painter.setPen(QPen(self.ink.good, 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(rect.adjusted(1, 1, -2, -2))

    def _ghost(self, painter: QPainter, rect: QRect, layout: str, subdisk: Ref, length: int) -> None:
        label = block_label(self.view.blocks.config, subdisk)
        draw_block(painter, self.ink, rect, Look(layout, label, (format_size(length),), solid=True))

    def _tip(self, painter: QPainter) -> None:
        """The label at the pointer: why not, or where to."""
        hand = self.view.hand
        if hand.verdict is None or hand.lift is None:
            return
        if isinstance(hand.verdict, Problem):
            text, tone = hand.verdict.text, Tone.ERROR
        else:
            text, tone = self._where(hand.verdict), Tone.GOOD
        at = hand.pointer
        if hand.by_keyboard:
            at = self.view.visualRect(self.view.currentIndex()).bottomLeft()
        draw_label(painter, self.ink, at, text, tone, self.view.viewport().rect())

    def _where(self, drop: Drop) -> str:
        first = drop.pieces[0]
        place = f"{disk_name(self.view.blocks.config, first.disk)} at {format_size(first.offset)}"
        if drop.why:
            return f"{len(drop.pieces)} pieces, the first on {place}"
        return f"Drop on {place}"


def _shown(arrangement: Arrangement, left: int, right: int) -> Iterator[int]:
    """The blocks between two places of the bars; of notches only what they have spread out."""
    for strip in arrangement.strips:
        for cell in _cells(strip.bar, left, right):
            if cell.spans == 1:
                yield strip.items[cell.first]
    for notch in arrangement.notches:
        if notch.open:
            yield from notch.items


_left = attrgetter("left")


def _cells(bar: Bar, left: int, right: int) -> Iterator[Cell]:
    """The cells of a bar between two places."""
    at = max(0, bisect_right(bar.cells, left, key=_left) - 1)
    while at < len(bar.cells) and bar.cells[at].left <= right:
        yield bar.cells[at]
        at += 1


def _edge(rect: QRect, lower: bool) -> QPointF:
    """Where the line of a move meets a block: at its edge, right of its words."""
    return QPointF(rect.left() + rect.width() * 0.8, rect.bottom() if lower else rect.top())


def draw_twisty(painter: QPainter, ink: Ink, center: QPoint, is_open: bool) -> None:
    """The sign that opens and closes: points right when closed, down when open."""
    x, y, r = center.x(), center.y(), 4
    down = ((x - r, y - r / 2), (x + r, y - r / 2), (x, y + r / 2 + 1))
    across = ((x - r / 2, y - r), (x - r / 2, y + r), (x + r / 2 + 1, y))
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink.text)
    painter.drawPolygon(QPolygonF([QPointF(*point) for point in (down if is_open else across)]))
    painter.restore()


def draw_label(painter: QPainter, ink: Ink, at: QPoint, text: str, tone: Tone, bounds: QRect) -> None:
    """A label beside a place, kept within bounds, with the mark of its tone."""
    most = min(bounds.width() - 40, 60 * ink.metrics.averageCharWidth())
    flags = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft)
    words = ink.metrics.boundingRect(QRect(0, 0, most, 10_000), flags, text)
    plate = QRect(at.x() + 18, at.y() + 22, words.width() + 40, words.height() + 12)
    plate.moveLeft(max(bounds.left() + 4, min(plate.left(), bounds.right() - plate.width() - 4)))
    if plate.bottom() > bounds.bottom() - 4:
        plate.moveBottom(at.y() - 14)
    painter.setPen(QPen(ink.theme.state(tone), 2))
    painter.setBrush(ink.theme.color("tooltip"))
    painter.drawRect(plate)
    draw_mark(painter, ink, QRect(plate.left() + 6, plate.top() + 6, 16, 16), tone)
    painter.setPen(ink.text)
    painter.drawText(plate.adjusted(30, 6, -6, -6), flags, text)
