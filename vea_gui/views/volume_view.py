"""Volume View: each volume as a box of mirrors, columns and subdisks, over the disks that its pieces can move to."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QToolButton

from engine.config import Config
from engine.records import Kind, Ref
from vea_gui.block_layout import arrange_volume, volume_height
from vea_gui.block_rows import Band, ItemKind, Key, volume_band, volumes_of_scope
from vea_gui.console import Console
from vea_gui.drops import can_lift
from vea_gui.views.band_view import Shape
from vea_gui.views.block_page import BlockPage
from vea_gui.views.block_view import BlockView
from vea_gui.views.blocks import BlockModel
from vea_gui.views.disk_view import free_space_strip

EMPTY = "Volumes would be here, with their mirrors, columns and subdisks. Make one with New Volume."
OPEN_AT_FIRST = 12
"""So many volumes are shown with everything in them; more begin closed."""
AT_ONCE = 50
"""More volumes and mirrors than these are opened or closed as a whole, not one by one."""


class VolumeBoxes(BlockView):
    """The boxes. What is expanded is told by refs, so that it stays whatever changes."""

    strip: BlockView | None = None  # the disks below, where targets are
    _lent = False  # the keyboard is with them for the time of a lift

    def take_focus_back(self) -> None:
        """What was lifted by keyboard has been dropped, or let go."""
        if self._lent:
            self._lent = False
            self.setFocus()

    def _lift(self, refs: list[Ref], home: Key | None) -> None:
        """The arrows walk targets on the disks below, and come back here."""
        if self.strip is not None and can_lift(self.console.config, refs):
            self._lent = True
            self.strip.setFocus()
            self.strip.hand.lift_current(refs, None)
        else:
            super()._lift(refs, home)

    def set_expanded(self, refs: Iterable[Ref], expanded: bool) -> None:
        """Open or close volumes and mirrors."""
        refs = list(refs)
        if expanded:
            self.expanded.update(refs)
        else:
            self.expanded.difference_update(refs)
        if len(refs) > AT_ONCE:
            self._remake_all()
            return
        changed = []
        for ref in refs:
            number = self.blocks.rows.band_of(ref)
            if number is not None and self.blocks.remake(self.blocks.rows.bands[number].ref):
                changed.append(self.blocks.rows.bands[number].ref)
        self.blocks.bands_changed.emit(changed)

    def _remake_all(self) -> None:
        current = self._current_key()
        self._syncing = True
        self.blocks.remake_all(self.visible_range().stop + 1)
        self._syncing = False
        self._show_picked(self.console.selection)
        self.stand_on(current)

    def _fold_by_key(self, expand: bool) -> bool:
        current = self.currentIndex()
        if not current.isValid():
            return False
        item = self.blocks.item(current)
        if item.kind not in (ItemKind.VOLUME, ItemKind.PLEX) or (item.ref in self.expanded) == expand:
            return False
        self.set_expanded([item.ref], expand)
        return True


class VolumeView(BlockPage):
    """The tab of a host, group, disk or volume."""

    def __init__(self, console: Console, scope: Ref | None = None) -> None:
        self._known: tuple[Config, list[Ref]] | None = None  # all volumes of the scope, in that configuration
        super().__init__(console, scope, EMPTY)
        group = self._group()
        self.disks = free_space_strip(console, group, self)
        self.disks.opened.connect(self._open)
        self.legend.filtered.connect(self.disks.set_filtered)
        self.view.hand.lifted.connect(self.disks.hand.share)
        self.view.hand.let_go.connect(self.disks.hand.drop_it)
        self.boxes.strip = self.disks
        self.disks.hand.let_go.connect(self.boxes.take_focus_back)
        self.boxes.toggled.connect(lambda ref: self.boxes.set_expanded([ref], ref not in self.boxes.expanded))
        self._arrange()

    @property
    def boxes(self) -> VolumeBoxes:
        """The upper part."""
        assert isinstance(self.view, VolumeBoxes)
        return self.view

    def _make_view(self) -> BlockView:
        expanded: set[Ref] = set()

        def make(config: Config, ref: Ref) -> Band:
            return volume_band(config, ref, expanded)

        model = BlockModel(make, Kind.VOLUME, self)
        shape = Shape(arrange_volume, lambda band, metrics: volume_height(band.items, metrics), self.order)
        volumes = self.order()
        if len(volumes) <= OPEN_AT_FIRST:
            expanded.update(self._parts(volumes))
        view = VolumeBoxes(self.console, model, shape, self)
        view.expanded = expanded
        view.setAccessibleName("Volume View")
        return view

    def order(self) -> list[Ref]:
        """The volumes to show."""
        config = self.console.config
        if self._known is None or self._known[0] is not config:
            self._known = config, volumes_of_scope(config, self.scope)
        refs = self._known[1]
        return list(refs) if not self.words else [ref for ref in refs if self.words in config[ref].name.casefold()]

    def _group(self) -> Ref | None:
        record = self.console.config.get(self.scope)
        return self.console.config.group_of(record) if record is not None else None

    def _parts(self, volumes: Iterable[Ref]) -> list[Ref]:
        """Volumes and their mirrors."""
        return [ref for volume in volumes for ref in (volume, *(p.ref for p in self.console.config.plexes_of(volume)))]

    def _arrange(self) -> None:
        splitter = QSplitter(Qt.Orientation.Vertical, self)
        splitter.addWidget(self.holder)
        splitter.addWidget(self.disks)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 1)
        splitter.setChildrenCollapsible(False)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(splitter)
        for text, expanded in (("Expand All", True), ("Collapse All", False)):
            button = QToolButton(self)
            button.setText(text)
            button.setAccessibleName(text)
            button.setAutoRaise(True)
            button.clicked.connect(lambda _=False, on=expanded: self.boxes.set_expanded(self._parts(self.order()), on))
            self.bar.insertWidget(self.bar.count() - 3, button)
