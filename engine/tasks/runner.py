"""Runs tasks: starts, pauses, resumes, aborts and slows them, and stops them in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.records import Task
from engine.tasks.job import Job, Order, Wish
from engine.tasks.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.records import Ref
    from engine.runtime import Thread
    from engine.tasks.host import TaskHost


class TaskRunner:
    """All tasks of an engine. Every method but `wait`, `suspend` and `close` returns at once and may be called with the
    control lock held; what it asks for is done when the task's record says so.
    """

    def __init__(self, host: TaskHost) -> None:
        self._host = host
        self._changed = host.runtime.condition()
        self._jobs: dict[Ref, Job] = {}
        self._next: dict[Ref, Order] = {}  # asked for when it was too late for the run that was ending
        self._threads: list[Thread] = []
        self._closed = False

    def start(self, task: Ref) -> None:
        """Run a task whose record is committed: from its checkpoint. ValueError for a type that nobody can run."""
        record = self._host.config().task(task)
        if record.type not in KINDS:
            raise ValueError(f"{record.type} is no work for a task runner.")
        self._ask(task, Wish.GO)

    def resume(self, task: Ref) -> None:
        """Go on from the checkpoint."""
        self._ask(task, Wish.GO)

    def pause(self, task: Ref) -> None:
        """Finish the steps under way, write a checkpoint, rest until `resume`."""
        self._ask(task, Wish.PAUSE)

    def abort(self, task: Ref) -> None:
        """Stop and return everything that is not final."""
        self._ask(task, Wish.ABORT)

    def fail(self, task: Ref, why: str) -> None:
        """As `abort`, but the task has failed, for a reason that was met elsewhere: a whole sentence."""
        self._ask(task, Wish.ABORT, why)

    def begin_anew(self, task: Ref) -> None:
        """What a task has copied is in doubt: it begins from the start, where it runs now. To be called under the
        control lock, before the commit that takes its checkpoint back."""
        with self._changed:
            job = self._jobs.get(task)
            if job is not None and not self._closed and job.begin_anew():
                self._next[task] = Order(Wish.GO)

    def set_iodelay(self, task: Ref, delay_ms: int) -> None:
        """Rest so many milliseconds after each MiB. Commit the record first: a run that begins reads it."""
        with self._changed:
            job = self._jobs.get(task)
        if job is not None:
            job.set_iodelay(delay_ms)

    def running(self) -> tuple[Ref, ...]:
        """The tasks that have threads now."""
        with self._changed:
            return tuple(self._jobs)

    def wait(self, task: Ref, timeout: float | None = None) -> bool:
        """Until the task has ended; False when `timeout` seconds were not enough, or the runner was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_ended(task), timeout)
            return self._has_ended(task)

    def suspend(self, tasks: Iterable[Ref]) -> None:
        """Stop these in order and wait for it; their records keep saying that they run. For a group that leaves."""
        with self._changed:
            jobs = [self._jobs[task] for task in tasks if task in self._jobs]
            for job in jobs:
                self._next.pop(job.ref, None)
                job.ask(Order(Wish.CLOSE))
        for job in jobs:
            job.thread.join()

    def close(self) -> None:
        """Stop all in order: checkpoints are written, records stay, so that the next engine goes on."""
        with self._changed:
            self._closed = True
            self._next.clear()
            for job in self._jobs.values():
                job.ask(Order(Wish.CLOSE))
            threads = list(self._threads)
            self._changed.notify_all()
        for thread in threads:
            thread.join()

    def _ask(self, task: Ref, wish: Wish, why: str = "") -> None:
        order = Order(wish, why)
        with self._changed:
            job = self._jobs.get(task)
            if self._closed:
                return
            if job is None:
                self._begin(task, order)
            elif job.ask(order):
                self._next.pop(task, None)
            else:
                self._next[task] = order

    def _begin(self, task: Ref, order: Order) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        job = self._jobs[task] = Job(self._host, task, order, self._over)
        try:
            job.begin()
        except RuntimeError:  # no thread to be had: it may be asked for again
            del self._jobs[task]
            raise
        self._threads.append(job.thread)

    def _over(self, job: Job) -> None:
        """On the job's own thread, as the last thing that it does."""
        with self._changed:
            del self._jobs[job.ref]
            order = self._next.pop(job.ref, None)
            if order is not None and not self._closed:
                self._begin(job.ref, order)
            self._changed.notify_all()

    def _has_ended(self, task: Ref) -> bool:
        record = self._host.config().get(task)
        ended = not isinstance(record, Task) or record.ended
        return ended and task not in self._jobs
