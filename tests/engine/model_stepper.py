"""Tasks of a real engine that take a step only when a test lets them, so that a seed makes the same run each time.

Nothing of a task is replaced: its threads wait at their belt until the test has granted what comes next. Bulk steps and
commits are granted apart from each other; a task that was opened runs by itself. Beside that every write of a task is
remembered until a flush that began after it has succeeded: a commit before that is noted in `violations`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from engine.devices.descriptor import DescriptorDevice
from engine.tasks.belt import Belt
from engine.tasks.job import Job
from engine.tasks.steps import Commit, Flush, Save

if TYPE_CHECKING:
    import pytest

    from engine.records import Ref

DEADLINE_S = 60.0


class Permit:
    """What one run of a task may do."""

    def __init__(self, *, is_open: bool) -> None:
        self.open = is_open
        self.bulk = 0
        self.commits = 0
        self.rests = False  # nothing is in hand, and what comes next is not granted
        self.over = False
        self.belt: Belt | None = None

    def allows(self, step: object) -> bool:
        """A commit that is granted lets everything through that comes before it."""
        if isinstance(step, Commit):
            return self.commits > 0
        return isinstance(step, Flush) or self.bulk > 0 or self.commits > 0

    def use(self, step: object) -> None:
        if isinstance(step, Commit):
            self.commits -= 1
        elif not isinstance(step, Flush | Save) and not self.commits:
            self.bulk -= 1


class Stepper:
    """Grants steps to tasks. Until `hold` is set, tasks run by themselves."""

    def __init__(self) -> None:
        self.hold = False
        self.violations: list[str] = []
        self._changed = threading.Condition()
        self._permits: dict[str, Permit] = {}
        self._unflushed: dict[tuple[str, DescriptorDevice], int] = {}
        self._writes = 0

    # --- what the test does ---
    def rest(self, task: Ref) -> None:
        """Wait until the task has used what it was granted, or its run is over."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._rests(task), DEADLINE_S), f"task {task.id} never came to rest"

    def step(self, task: Ref, steps: int) -> None:
        """Let so many bulk steps be done, and no commit."""
        self._grant(task, bulk=steps)
        self.rest(task)

    def commit(self, task: Ref) -> None:
        """Let it go on over its next commit."""
        self._grant(task, commits=1)
        self.rest(task)

    def open(self, task: Ref) -> None:
        """Let it run by itself, to its end."""
        self._grant(task, is_open=True)

    def _rests(self, task: Ref) -> bool:
        permit = self._permits.get(task.id)
        return permit is None or permit.rests or permit.over

    def _grant(self, task: Ref, *, bulk: int = 0, commits: int = 0, is_open: bool = False) -> None:
        permit = self._permits.get(task.id)
        if permit is None or permit.over or permit.belt is None:
            return
        with permit.belt._changed:
            permit.bulk, permit.commits, permit.open, permit.rests = bulk, commits, is_open, False
            permit.belt._changed.notify_all()

    # --- what the engine's threads do ---
    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand between the engine's tasks and what they do."""
        begin, over, change, following = Job.begin, Job.__init__, Job._change, Belt._next

        def started(job: Job) -> None:
            self._permits[job.ref.id] = Permit(is_open=not self.hold)
            begin(job)

        def made(job: Job, host: Any, ref: Ref, order: Any, told: Any) -> None:
            def ended(job: Job) -> None:
                told(job)
                with self._changed:
                    self._permits[ref.id].over = True
                    self._changed.notify_all()

            over(job, host, ref, order, ended)

        def changed(job: Job, belt: Belt, step: Commit) -> None:
            late = [device.name for task, device in list(self._unflushed) if task == job.ref.id]
            if late:
                self.violations.append(f"task {job.ref.id} committed before {late} was flushed")
            change(job, belt, step)

        monkeypatch.setattr(Job, "begin", started)
        monkeypatch.setattr(Job, "__init__", made)
        monkeypatch.setattr(Job, "_change", changed)
        monkeypatch.setattr(Belt, "_next", lambda belt: self._next(belt, following))
        self._watch_devices(monkeypatch)

    def _next(self, belt: Belt, following: Any) -> Any:
        """Under the belt's lock: the next step, when it is granted."""
        permit = self._permits[_task_of_thread()]
        permit.belt = belt
        if not belt._alone and belt._ahead is None:
            belt._draw()
        step = belt._ahead
        if not permit.open and not belt._alone and step is not None and not permit.allows(step):
            if not belt._in_hands:
                with self._changed:
                    permit.rests = True
                    self._changed.notify_all()
            belt._changed.wait()
            return None
        ticket = following(belt)
        if ticket is not None and not permit.open:
            permit.use(ticket.step)
        return ticket

    def _watch_devices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for verb in ("write", "zero"):
            monkeypatch.setattr(DescriptorDevice, verb, self._watched(getattr(DescriptorDevice, verb)))
        flush = DescriptorDevice.flush

        def flushed(device: DescriptorDevice) -> None:
            before = [(key, number) for key, number in list(self._unflushed.items()) if key[1] is device]
            flush(device)
            for key, number in before:
                if self._unflushed.get(key) == number:
                    self._unflushed.pop(key, None)

        monkeypatch.setattr(DescriptorDevice, "flush", flushed)

    def _watched(self, honest: Any) -> Any:
        def write(device: DescriptorDevice, *args: Any, **options: Any) -> None:
            honest(device, *args, **options)
            if threading.current_thread().name.startswith("task ") and not options.get("durable"):
                self._writes += 1
                self._unflushed[_task_of_thread(), device] = self._writes

        return write


def _task_of_thread() -> str:
    """The engine names its threads `task 12 copy 1`."""
    return threading.current_thread().name.split()[1]
