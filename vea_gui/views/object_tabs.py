"""The tabs at the right: for each kind of place, which pages it has. Pages are made when they are first shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QTabWidget, QVBoxLayout, QWidget

from engine.records import Kind, Plex, PlexLayout, Record, Ref, Subdisk
from vea_gui import tree_shape
from vea_gui.columns import volumes_on
from vea_gui.console import Console
from vea_gui.mirror import Mirror
from vea_gui.models.table import Source, everything, matching
from vea_gui.tree_shape import AGENT, DISK_GROUPS, DISKS, ENCLOSURES, VOLUMES, Folder, Key, Path
from vea_gui.views.table_page import TablePage

Factory = Callable[[Console, Ref | None], QWidget]


@dataclass(frozen=True)
class TabSpec:
    """A tab: its title, and who makes its page for an object (None: for all of the host)."""

    title: str
    factory: Factory


# --- tables ---
def table(title: str, key: str, source: Callable[[Any], Source]) -> TabSpec:
    """A tab that is a table; its columns are remembered under `key`."""
    return TabSpec(title, lambda console, ref: TablePage(console, title, source(ref), key))


def _volumes_at_risk(console: Console, ref: Ref | None) -> QWidget:
    assert ref is not None
    none = ("No volume lies on this disk.", "")
    return TablePage(console, "Volumes", _volumes_on_disk(ref), "disk-volumes", volumes_on(ref), empty=none)


def _of_host(kind: Kind) -> Callable[[Any], Source]:
    return lambda _: everything(kind)


def _volumes_of_group(ref: Ref) -> Source:
    return Source(Kind.VOLUME, lambda m: m.config.children(ref, Kind.VOLUME, "group"), lambda _, v: v.group == ref)


def _schedules_of_group(ref: Ref) -> Source:
    return Source(Kind.SCHEDULE, lambda m: m.config.schedules_of(ref), lambda _, s: s.group == ref)


def _disks_of_group(ref: Ref) -> Source:
    return Source(Kind.DISK, lambda m: m.config.disks_of(ref), lambda _, d: d.group == ref)


def _disks_of_enclosure(ref: Ref) -> Source:
    return Source(Kind.DISK, lambda m: m.config.disks_in(ref), lambda _, d: d.enclosure == ref)


def _plexes(ref: Ref) -> Source:
    return Source(Kind.PLEX, lambda m: m.config.plexes_of(ref), lambda m, p: p.volume == ref and not _is_log(m, p))


def _is_log(_: Mirror, plex: Plex) -> bool:
    return plex.layout is PlexLayout.LOG


def _logs(ref: Ref) -> Source:
    return Source(Kind.PLEX, lambda m: m.config.logs_of(ref), lambda m, plex: plex.volume == ref and _is_log(m, plex))


def _subdisks_of_volume(ref: Ref) -> Source:
    def members(mirror: Mirror) -> list[Record]:
        config = mirror.config
        return [subdisk for plex in config.parts_of(ref) for subdisk in config.subdisks_of(plex.ref)]

    def holds(mirror: Mirror, subdisk: Subdisk) -> bool:
        plex = mirror.config.get(subdisk.plex)
        return getattr(plex, "volume", None) == ref

    return Source(Kind.SUBDISK, members, holds)


def _subdisks_of_disk(ref: Ref) -> Source:
    return Source(Kind.SUBDISK, lambda m: m.config.subdisks_on(ref), lambda _, s: s.disk == ref)


def _volumes_on_disk(ref: Ref) -> Source:
    def members(mirror: Mirror) -> list[Record]:
        config = mirror.config
        volumes = {config.volume_of(subdisk).ref: config.volume_of(subdisk) for subdisk in config.subdisks_on(ref)}
        return list(volumes.values())

    def holds(mirror: Mirror, volume: Record) -> bool:
        config = mirror.config
        plexes = config.parts_of(volume.ref)
        return any(subdisk.disk == ref for plex in plexes for subdisk in config.subdisks_of(plex.ref))

    return Source(Kind.VOLUME, members, holds)


def _alerts_of(ref: Ref) -> Source:
    """Open alerts about an object; the alert log has the others."""
    return matching(Kind.ALERT, lambda alert: alert.object == ref and alert.open)


NO_LOG = (
    "Logs of a RAID-5 volume would be here. The dirty region log of a mirrored volume lies beside the configuration on "
    "its disks: Properties tell where."
)


def _logs_page(console: Console, ref: Ref | None) -> QWidget:
    assert ref is not None
    return TablePage(console, "Logs", _logs(ref), "logs", empty=(NO_LOG, ""), noun=("log", "logs"))


# --- pages that are no tables ---
def _disk_view(console: Console, ref: Ref | None) -> QWidget:
    from vea_gui.views.disk_view import DiskView

    return DiskView(console, ref)


def _volume_view(console: Console, ref: Ref | None) -> QWidget:
    from vea_gui.views.volume_view import VolumeView

    return VolumeView(console, ref)


def _performance(console: Console, ref: Ref | None) -> QWidget:
    from vea_gui.plots.performance import PerformanceTab

    return PerformanceTab(console, ref if ref is not None else console.host)


def _connections(console: Console, ref: Ref | None) -> QWidget:
    from vea_gui.views.connections import ConnectionsTab

    assert ref is not None
    return ConnectionsTab(console, ref)


def _snapshots(console: Console, ref: Ref | None) -> QWidget:
    from vea_gui.views.snapshots import SnapshotsTab

    assert ref is not None
    return SnapshotsTab(console, ref)


def _objects(console: Console, _: Ref | None) -> QWidget:
    from vea_gui.views.overview import OverviewPage

    return OverviewPage(console)


DISK_VIEW = TabSpec("Disk View", _disk_view)
VOLUME_VIEW = TabSpec("Volume View", _volume_view)
PERFORMANCE = TabSpec("Performance", _performance)
SNAPSHOTS = TabSpec("Snapshots", _snapshots)

TABS: dict[str, tuple[TabSpec, ...]] = {
    Kind.HOST: (TabSpec("Objects", _objects), PERFORMANCE),
    AGENT: (TabSpec("Objects", _objects), PERFORMANCE),
    DISK_GROUPS: (table("Disk Groups", "groups", _of_host(Kind.GROUP)), DISK_VIEW, VOLUME_VIEW),
    DISKS: (table("Disks", "disks", _of_host(Kind.DISK)), DISK_VIEW),
    ENCLOSURES: (table("Enclosures", "enclosures", _of_host(Kind.ENCLOSURE)),),
    VOLUMES: (table("Volumes", "volumes", _of_host(Kind.VOLUME)), VOLUME_VIEW),
    Kind.GROUP: (
        table("Volumes", "volumes", _volumes_of_group),
        table("Disks", "disks", _disks_of_group),
        table("Schedules", "schedules", _schedules_of_group),
        DISK_VIEW,
        VOLUME_VIEW,
        SNAPSHOTS,
    ),
    Kind.ENCLOSURE: (table("Disks", "disks", _disks_of_enclosure),),
    Kind.DISK: (
        DISK_VIEW,
        table("Subdisks", "subdisks", _subdisks_of_disk),
        TabSpec("Volumes", _volumes_at_risk),
        table("Alerts", "alerts", _alerts_of),
        PERFORMANCE,
    ),
    Kind.VOLUME: (
        table("Mirrors", "mirrors", _plexes),
        TabSpec("Logs", _logs_page),
        table("Subdisks", "subdisks", _subdisks_of_volume),
        DISK_VIEW,
        VOLUME_VIEW,
        SNAPSHOTS,
        TabSpec("Connections", _connections),
        table("Alerts", "alerts", _alerts_of),
        PERFORMANCE,
    ),
}


class ObjectTabs(QWidget):
    """All tabs of the tree's current place. The tab stays when the next place has one of the same title."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Views")
        self.filter = QLineEdit(self)
        self.filter.setClearButtonEnabled(True)
        self.filter.setAccessibleName("filter")
        self.filter.setPlaceholderText("words to look for")
        self.filter.setMaximumWidth(220)
        self._filter_area = self._make_filter_area()
        self._key: Key | None = None
        self._specs: tuple[TabSpec, ...] = ()
        self._holders: list[tuple[QWidget, QVBoxLayout]] = []
        self._pages: dict[int, QWidget] = {}
        self._wanted = ""
        self._filling = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)
        self.tabs.setCornerWidget(self._filter_area, Qt.Corner.TopRightCorner)
        self.tabs.currentChanged.connect(self._shown)
        self.filter.textChanged.connect(self._filter)
        console.place_changed.connect(self.show_place)

    def show_place(self, path: Path) -> None:
        """Show the tabs of a place."""
        key = path[-1] if path else None
        if key == self._key:
            return
        self._key = key
        self._filling = True
        self._clear()
        self.filter.clear()
        self._specs = TABS.get(tree_shape.place_of(key), ()) if key is not None else ()
        for spec in self._specs:
            holder = QWidget()
            holding = QVBoxLayout(holder)
            holding.setContentsMargins(0, 0, 0, 0)
            self._holders.append((holder, holding))
            self.tabs.addTab(holder, spec.title)
        self._filling = False
        self.show_tab(self._wanted)
        self._shown(self.tabs.currentIndex())

    def show_tab(self, title: str) -> bool:
        """Bring the tab of this title to the front, when there is one."""
        titles = [spec.title for spec in self._specs]
        if title in titles:
            self.tabs.setCurrentIndex(titles.index(title))
        return title in titles

    def show_number(self, number: int) -> None:
        """Ctrl+1 is the first tab."""
        if number <= self.tabs.count():
            self.tabs.setCurrentIndex(number - 1)

    def page(self) -> QWidget | None:
        """The page at the front."""
        return self._pages.get(self.tabs.currentIndex())

    def release(self) -> None:
        """Let pages keep what they want to keep, and drop them."""
        self._clear()

    def _make_filter_area(self) -> QWidget:
        area = QWidget(self)
        label = QLabel("filter:", area)
        label.setBuddy(self.filter)
        layout = QHBoxLayout(area)
        layout.setContentsMargins(8, 2, 4, 2)
        layout.setSpacing(4)
        layout.addWidget(label)
        layout.addWidget(self.filter)
        return area

    def _shown(self, index: int) -> None:
        if self._filling or not 0 <= index < len(self._specs):
            return
        if index not in self._pages:
            ref = None if isinstance(self._key, Folder) else self._key
            page = self._specs[index].factory(self.console, ref)
            self._holders[index][1].addWidget(page)
            self._pages[index] = page
        self._wanted = self._specs[index].title
        self._filter_area.setVisible(hasattr(self._pages[index], "set_filter"))
        self._filter(self.filter.text())

    def _filter(self, text: str) -> None:
        page = self.page()
        if page is not None and hasattr(page, "set_filter"):
            page.set_filter(text)

    def _clear(self) -> None:
        for page in self._pages.values():
            if hasattr(page, "release"):
                page.release()
        self._pages.clear()
        for holder, _ in self._holders:
            self.tabs.removeTab(0)
            holder.deleteLater()
        self._holders.clear()
