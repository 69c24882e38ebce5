"""Disk View: a band for each disk with its subdisks and free regions to scale."""

from __future__ import annotations

from PySide6.QtWidgets import QToolButton, QWidget

from engine.records import Kind, Ref
from vea_gui.block_layout import arrange_disk, disk_height
from vea_gui.block_rows import disk_band, disks_of_scope, subdisks_under, volumes_of_scope
from vea_gui.console import Console
from vea_gui.views.band_view import Shape
from vea_gui.views.block_page import BlockPage
from vea_gui.views.block_view import BlockView
from vea_gui.views.blocks import BlockModel

EMPTY = "Disks would be here, with the blocks of volumes on them. Add a disk to the group, or add LUNs to this host."


class DiskView(BlockPage):
    """The tab of a host, group, enclosure, disk or volume."""

    def __init__(self, console: Console, scope: Ref | None = None) -> None:
        self.all_disks: QToolButton | None = None
        super().__init__(console, scope, EMPTY)
        if scope is not None and scope.kind in (Kind.DISK, Kind.VOLUME):
            self._offer_all_disks()

    def _make_view(self) -> BlockView:
        model = BlockModel(disk_band, Kind.DISK, self)
        shape = Shape(arrange_disk, lambda band, metrics: disk_height(metrics), self.order)
        view = BlockView(self.console, model, shape, self)
        view.setAccessibleName("Disk View")
        return view

    def order(self) -> list[Ref]:
        """The disks to show, those of the scope first."""
        config = self.console.config
        everything = self.all_disks is not None and self.all_disks.isChecked()
        refs = disks_of_scope(config, self.scope, everything)
        return refs if not self.words else [ref for ref in refs if ref in self._found()]

    def _found(self) -> set[Ref]:
        config = self.console.config
        found = {ref for ref in disks_of_scope(config, self.scope, True) if self.words in config[ref].name.casefold()}
        for volume in volumes_of_scope(config, None):
            if self.words in config[volume].name.casefold():
                found.update(subdisk.disk for subdisk in subdisks_under(config, volume))
        return found

    def _offer_all_disks(self) -> None:
        """Where a piece may go lies on disks that do not concern the object yet."""
        self.all_disks = QToolButton(self)
        self.all_disks.setText("All Disks of the Group")
        self.all_disks.setAccessibleName("All Disks of the Group")
        self.all_disks.setCheckable(True)
        self.all_disks.setChecked(True)
        self.all_disks.setToolTip("Show the disks that pieces could move to, too")
        self.all_disks.toggled.connect(self.view.show_again)
        self.bar.insertWidget(self.bar.count() - 3, self.all_disks)
        self.view.show_again()


def free_space_strip(console: Console, group: Ref | None, parent: QWidget) -> BlockView:
    """A small Disk View of a group's disks, to drop on."""
    model = BlockModel(disk_band, Kind.DISK, parent)
    shape = Shape(
        arrange_disk, lambda band, metrics: disk_height(metrics), lambda: disks_of_scope(console.config, group)
    )
    view = BlockView(console, model, shape, parent)
    view.setAccessibleName("Disks")
    return view
