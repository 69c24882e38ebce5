"""Keeps the traffic of a session from its first sample on, and beats for whoever shows it."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from PySide6.QtCore import QObject, QTimer, Signal

from engine.events import Sample
from engine.records import Host, Ref
from vea_gui.mirror import Change
from vea_gui.sessions import Session

if TYPE_CHECKING:
    from vea_gui.series import History, Window

BEAT_MS = 333
"""All plots that can be seen are drawn on this one beat."""
EARLY = 20_000
"""Samples that are kept until the rings are there; that takes about a second."""
SILENT_S = 2.5
"""After so long without a sample the plots move on without it."""


class Recorder(QObject):
    """One for each session. Its timer runs only while somebody looks."""

    beat = Signal()
    ready = Signal()  # the rings are there

    def __init__(self, session: Session) -> None:
        super().__init__(session.bridge)
        self._session = session
        self.history: History | None = None
        self._early: deque[Sample] = deque(maxlen=EARLY)
        self._heard = 0.0  # monotonic time of the newest sample
        self._watchers: set[object] = set()
        self._process: psutil.Process | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self.beat)
        session.bridge.changed.connect(self._changed)
        session.bridge.call(_load_history, self._loaded, None)

    @property
    def memory_known(self) -> bool:
        """Whether the engine's process is one of this machine."""
        host = self._host()
        return host is not None and bool(host.nbd_socket) and Path(host.nbd_socket).is_socket()

    def watch(self, watcher: object) -> None:
        """Beat for this one, too."""
        self._watchers.add(watcher)
        if not self._timer.isActive():
            self._timer.start()

    def unwatch(self, watcher: object) -> None:
        """This one has gone out of sight."""
        self._watchers.discard(watcher)
        if not self._watchers:
            self._timer.stop()

    @property
    def beats(self) -> bool:
        """Whether the timer runs."""
        return self._timer.isActive()

    def now(self) -> float:
        """The engine's clock: its last sample's time, and what has passed since when it has fallen silent."""
        if self.history is None or not self.history.ticks:
            return time.time()
        silence = time.monotonic() - self._heard
        return self.history.latest + (silence if silence > SILENT_S else 0.0)

    def window(self, ref: Ref) -> Window | None:
        """All that is known of an object; None until the rings are there."""
        return self.history.window(ref, self.now()) if self.history is not None else None

    def _changed(self, change: Change) -> None:
        if not change.samples:
            return
        self._heard = time.monotonic()
        if self.history is None:
            self._early.extend(change.samples)
        else:
            self.history.note(change.samples, self._memory())

    def _loaded(self, history: History) -> None:
        history.note(self._early, self._memory())
        self._early.clear()
        self.history = history
        self.ready.emit()

    def _memory(self) -> tuple[float, float]:
        """Bytes in use by the host and by the engine's process."""
        host = self._host()
        if host is None or not self.memory_known:
            return 0.0, 0.0
        try:
            if self._process is None or self._process.pid != host.process_id:
                self._process = psutil.Process(host.process_id)
            used = psutil.virtual_memory()
            return float(used.total - used.available), float(self._process.memory_info().rss)
        except psutil.Error:
            return 0.0, 0.0

    def _host(self) -> Host | None:
        mirror = self._session.mirror
        host = mirror.config.get(mirror.host)
        return host if isinstance(host, Host) else None


def _load_history() -> Any:
    """Runs on the session's thread: numpy takes too long to load for the GUI thread."""
    from vea_gui.series import History

    return History()


def recorder_of(session: Session) -> Recorder:
    """The session's recorder; the first call makes it."""
    found = session.bridge.findChild(Recorder)
    return found if found is not None else Recorder(session)
