"""What copies leave to busy clients: one worker, half of the time. Without clients both work all the time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.records import TaskState
from engine.runtime import ThreadRuntime
from engine.tasks.courtesy import QUIET_S, Courtesy
from engine.tasks.host import TaskHost
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.task_cases import COPIES, Case
from tests.engine.task_lab import DEADLINE_S, VOLUME, Lab, Shape, fill

LONG = Shape("long", 9 * MIB, pieces=(5, 4))


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


def prepare(lab: Lab) -> tuple[Case, bytearray]:
    case = COPIES["mirror"](LONG)
    lab.load(case.records)
    model = fill(lab, lab.config().volume(VOLUME).size, 5)
    lab.load(case.edit)
    return case, model


def is_worker() -> bool:
    return threading.current_thread().name.startswith("task")


def test_one_worker_copies_while_clients_are_busy(lab: Lab) -> None:
    """The second does nothing, and does not keep the task from its end either."""
    case, model = prepare(lab)
    lab.pulse.asked_at = lab.runtime.now() + 100_000
    seen: set[str] = set()
    lab.hook = lambda name, verb, *_: seen.add(threading.current_thread().name) if verb == "write" else None
    assert lab.run(case.task.ref).state is TaskState.COMPLETED
    assert seen == {"task 7 copy 1"}
    case.done(lab.config())
    lab.check(VOLUME, bytes(model))


def test_two_workers_copy_while_clients_are_quiet(lab: Lab) -> None:
    """Each of the first two writes waits for the other."""
    case, _ = prepare(lab)
    both, first = threading.Barrier(2), iter(range(2))

    def meet(name: str, verb: str, offset: int, length: int) -> None:
        if verb == "write" and is_worker() and next(first, None) is not None:
            both.wait(DEADLINE_S)

    lab.hook = meet
    assert lab.run(case.task.ref).state is TaskState.COMPLETED


def test_the_second_worker_begins_when_clients_fall_quiet(lab: Lab) -> None:
    """It waits for no event of the task: the first is held inside of its step until the second has made one."""
    case, _ = prepare(lab)
    lab.pulse.asked_at = lab.runtime.now() + QUIET_S
    helped = threading.Event()

    def hold(name: str, verb: str, offset: int, length: int) -> None:
        if verb == "write" and threading.current_thread().name.endswith("copy 1"):
            assert helped.wait(DEADLINE_S)
        elif verb == "write" and is_worker():
            helped.set()

    lab.hook = hold
    assert lab.run(case.task.ref).state is TaskState.COMPLETED


class Leap(ThreadRuntime):
    """A clock that tests put forward."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


@pytest.mark.parametrize("ask", ["pause", "abort", "close"])
def test_a_worker_that_rests_hears_what_is_asked(lab: Lab, ask: str) -> None:
    """Its first step seems to have taken an hour, so that it would rest for one."""
    lab.runtime = clock = Leap(1)
    case, model = prepare(lab)
    lab.pulse.asked_at = lab.runtime.now() + 100_000
    rests = threading.Event()

    def take_long(name: str, verb: str, offset: int, length: int) -> None:
        if verb == "write" and is_worker():
            assert not rests.is_set(), "it did not rest after its step"
            clock.ahead += 3600
            rests.set()

    lab.hook = take_long
    lab.runner.start(case.task.ref)
    assert rests.wait(DEADLINE_S)
    if ask == "close":
        lab.runner.close()
    else:
        over = threading.Event()
        wanted = TaskState.PAUSED if ask == "pause" else TaskState.ABORTED
        lab.on_commit = lambda config: over.set() if config.task(case.task.ref).state is wanted else None
        getattr(lab.runner, ask)(case.task.ref)
        assert over.wait(DEADLINE_S)
    lab.check(VOLUME, bytes(model))


class _Still:
    """A clock that only waiting moves, at most a second at once; it remembers what was waited for."""

    def __init__(self) -> None:
        self.at = 100.0
        self.waits: list[float] = []
        self.woken: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.at

    def condition(self) -> _Still:
        return self

    def __enter__(self) -> None:
        """Nobody else is here."""

    def __exit__(self, *_: object) -> None:
        """Nobody else is here."""

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.at += min(seconds, 1.0)
        self.woken()

    def notify_all(self) -> None:
        """Nobody else is here."""


def test_the_first_worker_rests_as_long_as_its_step_took() -> None:
    still = _Still()
    courtesy = Courtesy(still, lambda: still.at)  # type: ignore[arg-type]
    courtesy.share(still.at - 7 * QUIET_S)
    assert still.at == pytest.approx(100 + 7 * QUIET_S)


def test_nobody_rests_for_clients_that_are_quiet() -> None:
    still = _Still()
    courtesy = Courtesy(still, lambda: 100 - QUIET_S)  # type: ignore[arg-type]
    courtesy.share(still.at - 50)
    courtesy.give_way()
    assert still.waits == []


def test_a_rest_ends_when_clients_fall_quiet() -> None:
    still = _Still()
    asked = iter([100.0, 100.01, 100.02])
    last = [0.0]

    def asked_at() -> float:
        last[0] = next(asked, last[0])
        return last[0]

    courtesy = Courtesy(still, asked_at)  # type: ignore[arg-type]
    courtesy.share(still.at - 50)
    assert still.at == pytest.approx(100.02 + QUIET_S)


def test_a_rest_ends_with_the_task() -> None:
    still = _Still()
    courtesy = Courtesy(still, lambda: still.at)  # type: ignore[arg-type]
    still.woken = lambda: courtesy.end() if len(still.waits) == 3 else None
    courtesy.give_way()
    assert len(still.waits) == 3
    courtesy.share(still.at - 50)
    assert len(still.waits) == 3


def test_clients_of_every_volume_count(tmp_path: Path) -> None:
    """Copies give way to clients of any volume: they share the processors."""
    lab = EngineLab(tmp_path).start()
    try:
        lab.make_group()
        for name in ("v", "w"):
            lab.make_volume(name)
            begun = lab.engine.runtime.now()
            assert host_of(lab).asked_at() < begun
            lab.read(0, 4 * KIB, name)
            assert host_of(lab).asked_at() >= begun
    finally:
        lab.stop()


def host_of(lab: EngineLab) -> TaskHost:
    return lab.engine._runner._host
