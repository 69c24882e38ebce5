"""Hands the steps of one generator to several workers and keeps their order where it matters."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from engine.tasks.estimate import TimeLeft
from engine.tasks.failure import StepFailed
from engine.tasks.pace import CHECKPOINT_S, UNFLUSHED_BYTES, Pace, Progress
from engine.tasks.steps import AskDirty, Begin, Commit, Differences, Flush, FlushVolumes, Save, TaskFailed

if TYPE_CHECKING:
    from engine.runtime import Runtime
    from engine.tasks.steps import Barrier, Bulk, Ranges, Steps

_log = logging.getLogger(__name__)

PROGRESS_S = 0.1


class Ticket(NamedTuple):
    """A step in somebody's hands; `position` is -1 for what brings no progress."""

    step: Bulk | Barrier | Save
    position: int


class Report(NamedTuple):
    """How far it is. Times are -1 while unknown."""

    done: int
    copied: int
    low_s: float
    high_s: float


class Belt:
    """The order: a barrier is handed out when nothing else is in anybody's hands, and alone."""

    def __init__(self, runtime: Runtime, steps: Steps, progress: Progress, pace: Pace) -> None:
        self.failure: TaskFailed | StepFailed | None = None
        self._now = runtime.now
        self._changed = runtime.condition()
        self._steps = steps
        self._progress = progress
        self._pace = pace
        self._time_left = TimeLeft()
        self._time_left.feed(self._now(), progress.done)
        self._ahead: Bulk | Barrier | None = None  # drawn, not handed out yet
        self._alone = False  # a barrier is in somebody's hands
        self._in_hands = 0
        self._stopped = False
        self._exhausted = False
        self._differences = Differences()
        self._saving = False
        self._checkpoint_at = self._now() + CHECKPOINT_S
        self._unflushed = 0
        self._report_at = 0.0

    def take(self) -> Ticket | None:
        """The next step for this worker, waiting for its turn; None when there is none any more."""
        with self._changed:
            while not self._stopped and self.failure is None:
                ticket = self._next()
                if ticket is not None:
                    self._in_hands += 1
                    return ticket
                if self._exhausted:
                    return None
            return None

    def give_back(self, ticket: Ticket, copied: int = 0, found: Ranges = ()) -> Report | None:
        """A step has been done. Answers a report when one is due."""
        with self._changed:
            self._release(ticket)
            now = self._now()
            match ticket.step:
                case Save(checkpoint):
                    self._checkpoint_at = now + CHECKPOINT_S if checkpoint else self._checkpoint_at
                case Flush() | FlushVolumes() | Commit():
                    pass
                case _:
                    self._pace.worked(now, ticket.step.length)
                    self._progress.end(ticket.position, copied)
                    self._unflushed += copied
                    self._differences = self._differences.plus(found)
            return self._due_report(now)

    def fail(self, ticket: Ticket, failure: TaskFailed | StepFailed) -> None:
        """A step has failed: no more are handed out. The first failure counts."""
        with self._changed:
            self._release(ticket)
            self.failure = self.failure or failure

    def drop(self, ticket: Ticket) -> None:
        """A step could not be done now, and that is no failure."""
        with self._changed:
            self._release(ticket)

    def stop(self) -> None:
        """Hand nothing out any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def set_iodelay(self, delay_ms: int) -> None:
        """Change the pace now, for those who rest, too."""
        with self._changed:
            self._pace.change(self._now(), delay_ms)
            self._changed.notify_all()

    def watermark(self) -> int:
        """Every step before this position has been done."""
        with self._changed:
            return self._progress.watermark

    def state(self) -> Report:
        """How far it is now."""
        with self._changed:
            return self._report(self._now())

    def _next(self) -> Ticket | None:
        """What can be handed out now; None after a wait, when everything has to be looked at again."""
        if self._alone:
            self._changed.wait()
            return None
        if self._ahead is None:
            self._draw()
        step = self._ahead
        if step is None:
            return None
        if isinstance(step, Flush | FlushVolumes | Commit):
            return self._barrier(step)
        now = self._now()
        if not self._saving and (self._unflushed >= UNFLUSHED_BYTES or now >= self._checkpoint_at):
            self._saving, self._unflushed = True, 0
            return Ticket(Save(now >= self._checkpoint_at), -1)
        rest_s = self._pace.rest_s(now)
        if rest_s > 0:
            self._changed.wait(rest_s)
            return None
        self._ahead = None
        return Ticket(step, self._progress.begin(step.weight))

    def _barrier(self, step: Barrier) -> Ticket | None:
        if self._in_hands:
            self._changed.wait()
            return None
        self._ahead, self._alone = None, True
        return Ticket(step, -1)

    def _draw(self) -> None:
        """Ask the generator for its next step."""
        try:
            step = self._steps.send(self._differences)
            if isinstance(step, AskDirty | Begin):
                raise TypeError("a task begins once")
            self._ahead = step
        except StopIteration:
            self._exhausted = True
            self._changed.notify_all()
        except TaskFailed as failure:
            self.failure = failure
        except Exception as error:
            _log.exception("a task's generator met a defect")
            self.failure = TaskFailed(f"It met a defect in the engine ({error}).")

    def _release(self, ticket: Ticket) -> None:
        self._in_hands -= 1
        if isinstance(ticket.step, Flush | FlushVolumes | Commit):
            self._alone = False
        elif isinstance(ticket.step, Save):
            self._saving = False
        self._changed.notify_all()

    def _due_report(self, now: float) -> Report | None:
        if now < self._report_at:
            return None
        self._report_at = now + PROGRESS_S
        return self._report(now)

    def _report(self, now: float) -> Report:
        progress = self._progress
        self._time_left.feed(now, progress.done)
        band = self._time_left.band(now, progress.done, progress.total)
        return Report(progress.done, progress.copied, *band)
