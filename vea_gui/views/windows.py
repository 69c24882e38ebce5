"""Opens the console's own windows: properties, search, preferences, error console, help."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from PySide6.QtCore import Qt, qVersion
from PySide6.QtWidgets import QMessageBox, QWidget

from engine.records import Record
from vea_gui.console import Console
from vea_gui.selection import Selection
from vea_gui.views.error_console import ErrorConsole
from vea_gui.views.event_notification import EventNotification
from vea_gui.views.message import message
from vea_gui.views.preferences import PreferencesDialog
from vea_gui.views.properties import PropertiesWindow
from vea_gui.views.search import SearchWindow
from vea_gui.views.table_page import TablePage
from vea_gui.views.table_view import RecordTableView

MOST_WINDOWS = 8
KEYS = (
    ("Ctrl+1 ... Ctrl+9", "The first to the ninth tab"),
    ("F2 / Del", "Rename / delete what is picked"),
    ("Enter", "Properties of a row; opens a branch of the tree"),
    ("Shift+F10", "Context menu"),
    ("Space", "In Disk View and Volume View: lifts a block; arrows choose its place, Enter drops it"),
    ("Esc", "Closes a dialog, cancels a drag"),
)


def properties(console: Console, selection: Selection) -> None:
    """A window for each picked object; those that are open come to the front."""
    for record in selection.of(Record)[:MOST_WINDOWS]:
        open_ones = [window for window in _children(console, PropertiesWindow) if window.ref == record.ref]
        _show(open_ones[0] if open_ones else PropertiesWindow(console, record.ref))


def search(console: Console) -> None:
    open_ones = _children(console, SearchWindow)
    window = open_ones[0] if open_ones else SearchWindow(console)
    _show(window)
    window.words.setFocus(Qt.FocusReason.ShortcutFocusReason)
    window.words.selectAll()


def error_console(console: Console) -> None:
    open_ones = _children(console, ErrorConsole)
    _show(open_ones[0] if open_ones else ErrorConsole(console))


def event_notification(console: Console) -> None:
    EventNotification(console).open()


def preferences(console: Console) -> None:
    PreferencesDialog(console).open()


def shortcuts(console: Console) -> None:
    """Every key there is."""
    rows = {row.shortcut: row.text for row in console.actions.with_shortcut() if row.shortcut not in ("F2", "Del")}
    lines = [*((key, text.replace("&", "").rstrip(".")) for key, text in rows.items()), *KEYS]
    text = "\n".join(f"{key}:  {what}" for key, what in lines)
    message(console.window, QMessageBox.Icon.NoIcon, "Keyboard Shortcuts", text)


def about(console: Console) -> None:
    """Which versions run here."""
    host = console.config.get(console.host)
    engine = getattr(host, "version", "") or "not known"
    text = f"VEA console {_own_version()}\nEngine {engine} on {host.name if host is not None else 'no host'}"
    more = f"Qt {qVersion()}"
    message(console.window, QMessageBox.Icon.Information, "About VEA console", f"{text}\n{more}")


def table_of(page: QWidget | None) -> RecordTableView | None:
    """The table of a page that is one."""
    return page.view if isinstance(page, TablePage) else None


def _own_version() -> str:
    try:
        return version("vea-console")
    except PackageNotFoundError:
        return "(not installed)"


def _children(console: Console, kind: type) -> list:
    return console.window.findChildren(kind) if console.window is not None else []


def _show(window: QWidget) -> None:
    window.show()
    window.raise_()
    window.activateWindow()
