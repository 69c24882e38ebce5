"""The one road between the engine's threads and the GUI thread: batches one way, calls and their answers the other."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from weakref import WeakValueDictionary

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from engine.api import EngineApi, Snapshot
from engine.config import Config, Edit
from engine.errors import ConnectionLost
from engine.events import Batch
from vea_gui.mirror import Mirror

TICK_MS = 34
"""At most some 30 updates a second reach the models."""
EVENTS_PER_DRAIN = 750
"""No update folds in more, but for a batch that is larger by itself: batches are never torn apart."""
EVENTS_AT_LEAST = 100
DRAIN_S = 0.010
"""What one update may cost the GUI thread: how many events that is has been learnt from those before."""
REST_MS = 6
"""When more is waiting than one update may take in: so long what the operator does has its turn."""
SILENT_AFTER_MS = 5_000
RETRY_MS = 3_000

Then = Callable[[Any], None]


class EngineBridge(QObject):
    """Attached to one engine. Everything it emits, and every callback, happens on the GUI thread."""

    changed = Signal(object)  # Change
    lost = Signal(object)  # the error, when the engine cannot be reached any more
    silent = Signal(float)  # no answer since then (seconds since the epoch)
    answered = Signal()  # after `silent` or `lost`: it speaks again
    _woken = Signal()
    _done = Signal(object, object, object)

    def __init__(self, api: EngineApi, reopen: Callable[[], EngineApi] | None = None) -> None:
        super().__init__()
        self.api = api
        self._reopen = reopen
        self._gone = False  # the connection is no more; the next attach needs a new one
        self.mirror = Mirror()
        self.attached = False
        self._closed = False
        self._inbox: deque[Batch] = deque()
        self._awake = False
        self._sequence = 0
        self._event_s = DRAIN_S / EVENTS_PER_DRAIN  # processor time that an event has cost lately
        self._asked_at: deque[float] = deque()
        self._quiet = False
        # Weak: what has been answered keeps nobody who had asked, as a wizard that is closed.
        self._topics: WeakValueDictionary[str, Future[Any]] = WeakValueDictionary()
        self._calls = ThreadPoolExecutor(1, thread_name_prefix="engine calls")
        self._tick = self._timer(TICK_MS, self._drain)
        self._watch = self._timer(SILENT_AFTER_MS, self._tell_silence)
        self._retry = self._timer(RETRY_MS, self.attach)
        self._woken.connect(self._wake, Qt.ConnectionType.QueuedConnection)
        self._done.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def attach(self) -> None:
        """Ask for the whole configuration and for all that follows; `changed` with `reset` tells when it is there."""
        self.call(self._attach, self._attached, self._attach_failed)

    def call(self, work: Callable[[], Any], then: Then | None, failed: Then | None, topic: str = "") -> None:
        """Run `work` on the session's thread, then `then(result)` or `failed(error)` here.

        Of calls with the same `topic` that have not begun, only the last one is made; the others get no answer.
        """
        if self._closed:
            return
        if topic and (older := self._topics.pop(topic, None)) is not None and older.cancel():
            self._asked_at.popleft()
        self._asked_at.append(time.time())
        if not self._watch.isActive():
            self._watch.start()
        future = self._calls.submit(work)
        if topic:
            self._topics[topic] = future
        future.add_done_callback(lambda done: self._answer(done, then, failed))

    def listener(self, batch: Batch) -> None:
        """Called by the engine on its own threads: keeps the batch and returns."""
        self._inbox.append(batch)
        if not self._awake:
            self._awake = True
            self._woken.emit()

    def close(self, end: bool = True) -> None:
        """Stop listening; with `end`, close the engine's connection too. Waits for calls that run."""
        if self._closed:
            return
        self._closed = True
        for timer in (self._tick, self._watch, self._retry):
            timer.stop()
        last = self._calls.submit(self._detach, end)
        self._calls.shutdown(wait=True)
        last.result()

    # --- on the session's thread ---
    def _attach(self) -> tuple[Snapshot, Config]:
        if self._gone and self._reopen is not None:
            self.api = self._reopen()
            self._gone = False
        else:
            self.api.detach(self.listener)
        if self._reopen is not None and hasattr(self.api, "on_lost"):
            self.api.on_lost = self._broken
        self._inbox.clear()
        snapshot = self.api.attach(self.listener)
        edit = Edit(Config())
        for record in snapshot.records:
            edit.put(record)
        return snapshot, edit.unsettled()

    def _broken(self, why: str) -> None:
        """Called on the connection's thread when it has ended by itself."""
        self._gone = True
        self._done.emit(None, ConnectionLost(why), None)

    def _detach(self, end: bool) -> None:
        try:
            self.api.detach(self.listener)
        except (ConnectionLost, OSError):
            return
        if end:
            self.api.close()

    def _answer(self, done: Future[Any], then: Then | None, failed: Then | None) -> None:
        if done.cancelled() or self._closed:
            return
        error = done.exception()
        self._done.emit(then if error is None else failed, error, None if error is not None else done.result())

    # --- on the GUI thread ---
    @Slot(object, object, object)
    def _deliver(self, callback: Then | None, error: BaseException | None, result: Any) -> None:
        if self._asked_at:
            self._asked_at.popleft()
        self._watch.stop()
        if self._asked_at:
            self._watch.start()
        if isinstance(error, ConnectionLost):
            self._gone = True
            self._lose(error)
        elif self._quiet:
            self._quiet = False
            self.answered.emit()
        if callback is not None and not self._closed:
            callback(error if error is not None else result)

    def _attached(self, found: tuple[Snapshot, Config]) -> None:
        snapshot, config = found
        self._sequence = snapshot.sequence
        self.attached = True
        self.changed.emit(self.mirror.reset(snapshot.host, config))
        self._wake()

    def _attach_failed(self, error: BaseException) -> None:
        if not isinstance(error, ConnectionLost):
            self._lose(error)

    def _lose(self, error: BaseException) -> None:
        self.attached = False
        if not self._quiet:
            self._quiet = True
            self.lost.emit(error)
        self._retry.start()

    @Slot()
    def _wake(self) -> None:
        if self.attached and not self._tick.isActive() and not self._closed:
            self._tick.start(TICK_MS)

    def _drain(self) -> None:
        self._awake = False
        if not self.attached:
            return
        events: list[Any] = []
        most = self._most()
        while self._inbox and (not events or len(events) + len(self._inbox[0].events) <= most):
            batch = self._inbox.popleft()
            if batch.sequence <= self._sequence:
                continue
            if batch.sequence != self._sequence + 1:
                self.attached = False
                self.attach()  # something was lost: take everything anew
                return
            self._sequence = batch.sequence
            events.extend(batch.events)
        if events:
            self._fold(events)
        if self._inbox and self.attached:
            self._tick.start(REST_MS)

    def _most(self) -> int:
        """How many events one update may take in."""
        return max(EVENTS_AT_LEAST, min(EVENTS_PER_DRAIN, round(DRAIN_S / self._event_s)))

    def _fold(self, events: list[Any]) -> None:
        """Tell the models, and learn what it has cost: faster that it costs more than that it costs less."""
        began = time.thread_time()
        self.changed.emit(self.mirror.fold(events))
        cost = max((time.thread_time() - began) / max(len(events), EVENTS_AT_LEAST), 1e-7)
        weight = 0.5 if cost > self._event_s else 0.2
        self._event_s += weight * (cost - self._event_s)

    def _tell_silence(self) -> None:
        self._quiet = True
        self.silent.emit(self._asked_at[0] if self._asked_at else time.time())

    def _timer(self, interval_ms: int, then: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(then)
        return timer
