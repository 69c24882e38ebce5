"""The process: one QApplication, one session, any number of windows; and what happens when the last one closes."""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from PySide6.QtCore import QObject, QSocketNotifier, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication

from engine.api import EngineApi
from vea_gui import theme
from vea_gui.actions.book import book
from vea_gui.console import Console, ErrorEntry, Errors
from vea_gui.models import local_moments
from vea_gui.sessions import Session
from vea_gui.settings import Preferences, Settings
from vea_gui.views.leaving import Leaving, ask_to_leave
from vea_gui.views.main_window import MainWindow

log = logging.getLogger(__name__)
COLLECT_MS = 1_000
RECORD_AFTER_MS = 1_500
"""What Performance tabs will show is kept from so soon after the start: nobody waits for it, the window comes first."""
OLD_EVERY = 30
"""After so many young collections the middle generation is collected, too."""
FULL_EVERY = 300
"""After so many everything is, unless a client would feel the pause."""


class Collector(QObject):
    """Python's cyclic collector on the GUI thread only: run on another it may destroy widgets there, and crash."""

    def __init__(self, parent: QObject | None = None, busy: Callable[[], bool] = lambda: False) -> None:
        super().__init__(parent)
        self._busy = busy
        self._turn = 0
        self._timer = QTimer(self)
        self._timer.setInterval(COLLECT_MS)
        self._timer.timeout.connect(self.collect)

    def start(self) -> None:
        """Take collection over; what exists now is left out for good."""
        gc.disable()
        gc.collect()
        gc.freeze()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()
        gc.unfreeze()
        gc.enable()

    def collect(self) -> None:
        """One small collection."""
        self._turn += 1
        if self._turn >= FULL_EVERY and not self._busy():
            self._turn = 0
            gc.collect()
        else:
            gc.collect(1 if self._turn % OLD_EVERY == 0 else 0)


class Interrupts(QObject):
    """SIGINT and SIGTERM end the console in order: they wake the event loop, which leaves."""

    def __init__(self, app: QApplication, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.setblocking(False)
        self._notifier = QSocketNotifier(self._ear.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(lambda: app.exit(0))
        self._before = {number: signal.signal(number, _nothing) for number in (signal.SIGINT, signal.SIGTERM)}
        self._wakeup = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """Give the signals back."""
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._notifier.setEnabled(False)
        self._ear.close()
        self._mouth.close()


def _nothing(_: int, __: FrameType | None) -> None:
    """The descriptor tells; this only keeps Python from ending the process."""


class Application(QObject):
    """All windows on one session."""

    _show_again = Signal()  # from any thread

    def __init__(
        self, app: QApplication, api: EngineApi, state: Path, reopen: Callable[[], EngineApi] | None = None
    ) -> None:
        super().__init__()
        self.app = app
        self.settings = Settings(state, self)
        self.errors = Errors()
        self.windows: list[MainWindow] = []
        self.collector = Collector(self, lambda: bool(self.session.clients()))
        self.hidden = False  # the engine serves, and no window is there
        app.setQuitOnLastWindowClosed(False)
        self._theme(self.settings.preferences)
        self.settings.changed.connect(self._theme)
        app.styleHints().colorSchemeChanged.connect(lambda _: self._theme(self.settings.preferences))
        self._show_again.connect(self._show_windows, Qt.ConnectionType.QueuedConnection)
        self.session = Session.open(api, reopen)
        sys.excepthook = self._unexpected

    def open_window(self) -> MainWindow:
        """One more window on the session."""
        console = Console(self.session, self.settings, book(), self.errors)
        window = MainWindow(console)
        window.wants_new_window.connect(self.open_window)
        window.wants_close.connect(self._closing)
        window.wants_leave.connect(lambda: self._leave(window))
        self.windows.append(window)
        window.show()
        return window

    def show_again(self) -> bool:
        """Somebody has started the console once more. May be called from any thread. False: windows are there."""
        if not self.hidden:
            return False
        self._show_again.emit()
        return True

    def close(self) -> None:
        """Close windows and session. Who opened the engine closes it."""
        self.collector.stop()
        for window in self.windows:
            window.may_close = True
            window.close()
            window.console.retire()
            window.deleteLater()
        self.windows.clear()
        self.session.close(end=False)
        self.settings.close()
        sys.excepthook = sys.__excepthook__

    # --- inside ---
    def _theme(self, chosen: Preferences) -> None:
        theme.apply(self.app, chosen.theme, chosen.font_points, chosen.reduced_motion)

    def _show_windows(self) -> None:
        self.hidden = False
        if not self.windows:
            self.open_window()
        for window in self.windows:
            window.showNormal() if window.isMinimized() else window.show()
            window.raise_()
            window.activateWindow()

    def _closing(self, window: MainWindow) -> None:
        """One window wants to close: the last one asks what becomes of the engine's clients."""
        if sum(each.isVisible() for each in self.windows) > 1:
            self._drop(window)
        else:
            self._leave(window)

    def _leave(self, window: MainWindow) -> None:
        ask_to_leave(window.console, Leaving(self._hide_all, self._end))

    def _hide_all(self) -> None:
        for window in self.windows:
            window.keep()
        for window in list(self.windows):
            self._drop(window)
        self.hidden = True

    def _drop(self, window: MainWindow) -> None:
        window.may_close = True
        window.close()
        window.console.retire()
        self.windows.remove(window)
        window.deleteLater()

    def _end(self) -> None:
        self.app.exit(0)

    def _unexpected(self, kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        """An error that nobody expected: told in a sentence, with Details, and the console goes on."""
        log.error("unexpected error", exc_info=(kind, error, where))
        details = "".join(traceback.format_exception(kind, error, where))
        shown = next((window for window in self.windows if window.isVisible()), None)
        if shown is not None:
            shown.console.show_error(error, "Unexpected error")
            self.errors.entries[-1].details = details
        else:
            self.errors.add(ErrorEntry(0.0, "Unexpected error", str(error), details))


def _record(session: Session, parent: QObject) -> None:
    """Begin to keep figures, and have at hand what draws them. Nothing of plots delays the start."""
    types = importlib.import_module("vea_gui.plots.qt_types")
    types.make_then(lambda: _load(session), parent)


def _load(session: Session) -> None:
    session.bridge.call(_load_plots, lambda plots: plots.recorder_of(session), lambda _: None)


def _load_plots() -> Any:
    """Runs on the session's thread. A library that cannot be loaded is told of where plots would be."""
    recorder = importlib.import_module("vea_gui.plots.recorder")
    with contextlib.suppress(Exception):
        importlib.import_module("vea_gui.plots.performance").load_chart()
    return recorder


def make_qt_application(arguments: list[str]) -> QApplication:
    """The QApplication with the names that desktops show."""
    app = QApplication(arguments)
    app.setApplicationName("vea")
    app.setDesktopFileName("vea-console")
    local_moments.follow()
    return app


def run(
    api: EngineApi,
    state: Path,
    reopen: Callable[[], EngineApi] | None = None,
    on_ready: Callable[[Application], None] = lambda _: None,
) -> int:
    """Open the first window and serve it until the operator leaves. Answers the exit status.

    `reopen` makes a new connection to the engine of another process; without it the engine is this process's own.
    """
    qt = QApplication.instance()
    app = qt if isinstance(qt, QApplication) else make_qt_application(sys.argv[:1])
    console = Application(app, api, state, reopen)
    console.open_window()
    console.collector.start()
    QTimer.singleShot(RECORD_AFTER_MS, console, lambda: _record(console.session, console))
    interrupts = Interrupts(app)
    on_ready(console)
    try:
        return app.exec()
    finally:
        interrupts.close()
        console.close()
