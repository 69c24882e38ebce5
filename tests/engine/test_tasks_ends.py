"""How tasks end when something else happens: failing LUNs, a full host, pause, close, throttle, a frozen group."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from random import Random

import pytest
from msgspec.structs import replace

from engine.config import Config
from engine.devices.faulty import FaultyDevice
from engine.records import PlexState, Task, TaskState, TaskType
from engine.tasks.job import FROZEN_RETRY_S, Job, Order
from engine.units import MIB
from tests.engine.task_cases import COPIES, Case, move_mirrored
from tests.engine.task_lab import (
    DEADLINE_S,
    SHAPES,
    VOLUME,
    Lab,
    Shape,
    await_state,
    client,
    disk_ref,
    fill,
    make_plex,
    make_task,
    persisted,
)

LONG = Shape("long", 9 * MIB, pieces=(5, 4))


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


def prepare(lab: Lab, case: Case, seed: int = 5) -> bytearray:
    lab.load(case.records)
    model = fill(lab, lab.config().volume(VOLUME).size, seed)
    lab.load(case.edit)
    return model


def faulty(lab: Lab, name: str) -> FaultyDevice:
    """From now on this LUN fails as planned."""
    hooked = lab.devices[name]
    hooked.below = FaultyDevice(hooked.below)
    return hooked.below


class Gate:
    """Holds task threads at their n-th operation until told to go on."""

    def __init__(self, lab: Lab, nth: int, verb: str = "write") -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._left, self._verb, self._lock = nth, verb, threading.Lock()
        lab.hook = self

    def __call__(self, name: str, verb: str, offset: int, length: int) -> None:
        if verb != self._verb or not threading.current_thread().name.startswith("task"):
            return
        with self._lock:
            self._left -= 1
            if self._left > 0:
                return
        self.reached.set()
        assert self.go_on.wait(DEADLINE_S)


def opens_when_asked(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate holds until the task has been told to stop: it can't be over before that."""
    honest = Job.ask

    def ask(job: Job, order: Order) -> bool:
        answer = honest(job, order)
        gate.go_on.set()
        return answer

    monkeypatch.setattr(Job, "ask", ask)


@pytest.mark.parametrize("verb", ["write", "flush"])
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("kind", COPIES)
def test_failing_target(lab: Lab, kind: str, persistent: bool, verb: str) -> None:
    """The first, the middle, the last operation on a target: it ends as an abort does, and says which LUN and why."""
    case = COPIES[kind](SHAPES[3])
    model = prepare(lab, case)
    target = "d3" if case.task.params.plexes else "d4"
    faulty(lab, target).fail(verb, nth=1, persistent=persistent)  # type: ignore[arg-type]
    ended = lab.run(case.task.ref)
    assert ended.state is TaskState.FAILED
    assert f"/luns/{target}" in ended.result
    assert "Input/output error" in ended.result
    assert lab.faults == [(disk_ref(target), True)]
    case.returned(lab.config())
    lab.check(VOLUME, bytes(model))


@pytest.mark.parametrize("nth", [2, 5, 9])
@pytest.mark.parametrize("kind", ["mirror", "resync-stale", "move", "evacuate"])
def test_failing_target_beside_a_client(lab: Lab, kind: str, nth: int, seed: int) -> None:
    """Whoever meets the failure first, copy or client: the client loses nothing and sees no error."""
    case = COPIES[kind](SHAPES[1])
    model = prepare(lab, case)
    faulty(lab, "d3" if case.task.params.plexes else "d4").fail("write", nth=nth, persistent=True)
    with client(lab, model, seed) as at_work:
        ended = lab.run(case.task.ref)
        moved = ended.state is TaskState.COMPLETED or kind == "evacuate"
        at_work.may_fail = moved and not case.task.params.plexes  # it lives there now, and has no other plex
    assert ended.state in (TaskState.FAILED, TaskState.COMPLETED)
    if not at_work.failure:
        lab.check(VOLUME, bytes(model))


def test_full_host_is_no_fault_of_the_lun(lab: Lab) -> None:
    case = COPIES["mirror"](LONG)
    model = prepare(lab, case)
    faulty(lab, "d3").fail("write", nth=4, number=errno.ENOSPC, persistent=True)
    ended = lab.run(case.task.ref)
    assert ended.state is TaskState.FAILED
    assert "no space left for d3 (/luns/d3)" in ended.result
    assert lab.faults == []
    case.returned(lab.config())
    lab.check(VOLUME, bytes(model))


@pytest.mark.parametrize("persistent", [False, True])
def test_failing_source_is_replaced_by_another_plex(lab: Lab, persistent: bool) -> None:
    case = move_mirrored(SHAPES[3])
    model = prepare(lab, case)
    faulty(lab, "d0").fail("read", nth=1, persistent=persistent)
    ended = lab.run(case.task.ref)
    assert ended.state is TaskState.COMPLETED
    assert lab.faults == [(disk_ref("d0"), False)]
    lab.check(VOLUME, bytes(model))


@pytest.mark.parametrize("kind", ["mirror", "move", "resync-doubt"])
def test_failing_only_source(lab: Lab, kind: str) -> None:
    """Nothing else may be read: not the half-filled plex, not the one in doubt."""
    case = COPIES[kind](SHAPES[0])
    model = prepare(lab, case)
    faulty(lab, "d0").fail("read", nth=1)
    ended = lab.run(case.task.ref)
    assert ended.state is TaskState.FAILED
    assert ended.result.startswith("Reading from d0 (/luns/d0) failed: Input/output error.")
    case.returned(lab.config())
    lab.check(VOLUME, bytes(model))


def test_loss_told_to_somebody_else_is_believed(lab: Lab) -> None:
    """Another flush of the target met the failure, which the system tells once: our own good flush proves nothing."""
    case = COPIES["mirror"](LONG)
    model = prepare(lab, case)
    gate = Gate(lab, 5)
    lab.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    lab.raw["d3"].losses += 1  # type: ignore[misc]
    gate.go_on.set()
    assert lab.runner.wait(case.task.ref, DEADLINE_S)
    ended = lab.config().task(case.task.ref)
    assert ended.state is TaskState.FAILED
    case.returned(lab.config())
    lab.check(VOLUME, bytes(model))


@pytest.mark.parametrize("kind", COPIES)
def test_pause_keeps_what_is_done(lab: Lab, kind: str, seed: int) -> None:
    case = COPIES[kind](LONG)
    model = prepare(lab, case)
    gate = Gate(lab, 3)
    lab.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    lab.runner.pause(case.task.ref)
    gate.go_on.set()
    paused = await_state(lab, case.task.ref, TaskState.PAUSED)
    assert paused.paused
    assert 2 * MIB <= paused.checkpoint < paused.bytes_total
    assert not lab.runner.wait(case.task.ref, 0.0)
    with client(lab, model, seed):
        reads = [0]
        lab.hook = lambda name, verb, offset, length: _count(reads, verb, length)
        lab.runner.resume(case.task.ref)
        assert lab.runner.wait(case.task.ref, DEADLINE_S)
    ended = lab.config().task(case.task.ref)
    assert (ended.state, ended.paused) == (TaskState.COMPLETED, False)
    assert ended.bytes_copied == case.copied
    assert reads[0] == case.copied - paused.checkpoint
    case.done(lab.config())
    lab.check(VOLUME, bytes(model))


def _count(total: list[int], verb: str, length: int) -> None:
    if verb == "read" and threading.current_thread().name.startswith("task"):
        total[0] += length  # a copy reads each byte once


def test_resume_before_the_pause_has_come_about(lab: Lab) -> None:
    case = COPIES["mirror"](LONG)
    model = prepare(lab, case)
    gate = Gate(lab, 3)
    lab.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    lab.runner.pause(case.task.ref)
    lab.runner.resume(case.task.ref)
    gate.go_on.set()
    assert lab.runner.wait(case.task.ref, DEADLINE_S)
    assert lab.config().task(case.task.ref).state is TaskState.COMPLETED
    lab.check(VOLUME, bytes(model))


@pytest.mark.parametrize("kind", COPIES)
def test_abort_while_paused(lab: Lab, kind: str) -> None:
    case = COPIES[kind](LONG)
    model = prepare(lab, case)
    lab.runner.pause(case.task.ref)
    await_state(lab, case.task.ref, TaskState.PAUSED)
    lab.runner.abort(case.task.ref)
    assert lab.runner.wait(case.task.ref, DEADLINE_S)
    ended = lab.config().task(case.task.ref)
    assert ended.state is TaskState.ABORTED
    assert ended.result.startswith("Aborted. ")
    case.returned(lab.config())
    lab.check(VOLUME, bytes(model))


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("nth", [1, 2, 4])
def test_close_and_next_start(kind: str, nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an orderly end the records alone bring the task back to its checkpoint."""
    case = COPIES[kind](LONG)
    first = Lab()
    model = prepare(first, case)
    gate = Gate(first, nth)
    first.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    opens_when_asked(gate, monkeypatch)
    first.runner.close()
    checkpoint = first.config().task(case.task.ref).checkpoint
    first.close()
    second = Lab(devices=first.raw)
    try:
        second.load(
            [replace(r, checkpoint=checkpoint) if isinstance(r, Task) else r for r in persisted(first.config())]
        )
        if case.task.ref in second.config():
            assert second.run(case.task.ref).state is TaskState.COMPLETED
        case.done(second.config())
        second.check(VOLUME, bytes(model))
    finally:
        second.close()


def test_throttle_and_its_end(lab: Lab) -> None:
    """A task that rests for minutes does so at once, and wakes at once when told to hurry, pause, or abort."""
    case = COPIES["mirror"](LONG)
    case = case._replace(edit=[*case.edit[:-1], replace(case.task, iodelay_ms=600_000)])
    model = prepare(lab, case)
    gate = Gate(lab, 1)
    gate.go_on.set()
    lab.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    lab.runner.pause(case.task.ref)
    paused = await_state(lab, case.task.ref, TaskState.PAUSED)
    assert paused.bytes_done <= 2 * MIB
    lab.runner.resume(case.task.ref)
    await_state(lab, case.task.ref, TaskState.RUNNING)
    lab.commit(lambda edit: edit.put(replace(edit.config.task(case.task.ref), iodelay_ms=0)))
    lab.runner.set_iodelay(case.task.ref, 0)
    assert lab.runner.wait(case.task.ref, DEADLINE_S)
    assert lab.config().task(case.task.ref).state is TaskState.COMPLETED
    lab.check(VOLUME, bytes(model))


def test_a_frozen_group_waits(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FROZEN_RETRY_S > 0
    monkeypatch.setattr("engine.tasks.job.FROZEN_RETRY_S", 0.01)
    case = COPIES["move"](LONG)
    model = prepare(lab, case)
    gate = Gate(lab, 1, "flush")
    lab.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    lab.frozen = True
    gate.go_on.set()
    assert not lab.runner.wait(case.task.ref, 0.1)
    assert lab.config().task(case.task.ref).state is TaskState.RUNNING
    lab.frozen = False
    assert lab.runner.wait(case.task.ref, DEADLINE_S)
    case.done(lab.config())
    lab.check(VOLUME, bytes(model))


def test_volume_removed_meanwhile(lab: Lab) -> None:
    case = COPIES["mirror"](LONG)
    prepare(lab, case)
    gate = Gate(lab, 3)
    lab.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    remover = threading.Thread(target=lambda: lab.commit(lambda edit: edit.drop(VOLUME)))
    remover.start()
    gate.go_on.set()
    remover.join(DEADLINE_S)
    lab.runner.suspend([case.task.ref])
    assert lab.runner.running() == ()


@pytest.mark.parametrize("kind", COPIES)
def test_failure_met_elsewhere(lab: Lab, kind: str) -> None:
    case = COPIES[kind](LONG)
    model = prepare(lab, case)
    gate = Gate(lab, 2)
    lab.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    lab.runner.fail(case.task.ref, "A client could not write to d4.")
    gate.go_on.set()
    assert lab.runner.wait(case.task.ref, DEADLINE_S)
    ended = lab.config().task(case.task.ref)
    assert ended.state is TaskState.FAILED
    assert ended.result.startswith("A client could not write to d4. ")
    case.returned(lab.config())
    lab.check(VOLUME, bytes(model))


def test_checkpoints_beside_the_copy(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written while steps are under way, each after a flush of the target: never more than is stable."""
    monkeypatch.setattr("engine.tasks.belt.CHECKPOINT_S", 0.0)
    case = COPIES["mirror"](LONG)
    model = prepare(lab, case)
    seen = []
    saved = threading.Semaphore(0)
    lab.hook = lambda name, verb, offset, length: saved.acquire(timeout=3.0) and None if verb == "write" else None

    def look(config: Config) -> None:
        saved.release()
        at = config.task(case.task.ref).checkpoint
        seen.append(at)
        stable = lab.raw["d3"].after_crash(Random(1))  # type: ignore[attr-defined]
        sd = config.subdisks_of(case.task.params.plexes[0])[0] if case.task.params.plexes[0] in config else None
        assert sd is None or stable[: min(at, sd.length)] == model[: min(at, sd.length)]

    lab.on_commit = look
    assert lab.run(case.task.ref).state is TaskState.COMPLETED
    assert seen == sorted(seen)
    assert len(set(seen)) > 3


def test_two_new_plexes_at_once(lab: Lab, seed: int) -> None:
    """Weight counts both, so a pause in between goes on at the right place of each."""
    shape = Shape("c", 6 * MIB, pieces=(6,))
    case = COPIES["mirror"](shape)
    third = make_plex(VOLUME, "v-03", shape, 5, PlexState.FILLING)
    params = replace(case.task.params, plexes=(*case.task.params.plexes, third[0].ref))
    case = case._replace(edit=[*case.edit[:-1], *third, replace(case.task, params=params)])
    model = prepare(lab, case)
    gate = Gate(lab, 5)
    lab.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    lab.runner.pause(case.task.ref)
    gate.go_on.set()
    paused = await_state(lab, case.task.ref, TaskState.PAUSED)
    assert 2 * MIB <= paused.checkpoint <= 10 * MIB
    with client(lab, model, seed):
        lab.runner.resume(case.task.ref)
        assert lab.runner.wait(case.task.ref, DEADLINE_S)
    ended = lab.config().task(case.task.ref)
    assert (ended.state, ended.bytes_copied, ended.bytes_total) == (TaskState.COMPLETED, 12 * MIB, 12 * MIB)
    assert [plex.state for plex in lab.config().plexes_of(VOLUME)] == [PlexState.ACTIVE] * 3
    lab.check(VOLUME, bytes(model))


def test_suspended_for_a_while(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its group leaves and comes back: the record says that it runs, and so it does again."""
    case = COPIES["mirror"](LONG)
    model = prepare(lab, case)
    gate = Gate(lab, 3)
    lab.runner.start(case.task.ref)
    assert gate.reached.wait(DEADLINE_S)
    opens_when_asked(gate, monkeypatch)
    lab.runner.suspend([case.task.ref])
    assert lab.runner.running() == ()
    resting = lab.config().task(case.task.ref)
    assert (resting.state, resting.paused) == (TaskState.RUNNING, False)
    assert resting.checkpoint >= 2 * MIB
    assert lab.run(case.task.ref).state is TaskState.COMPLETED
    lab.check(VOLUME, bytes(model))


@pytest.mark.allow_log("met a defect")
def test_a_defect_ends_as_an_abort_does(lab: Lab) -> None:
    case = COPIES["mirror"](LONG)
    model = prepare(lab, case)

    def hook(name: str, verb: str, offset: int, length: int) -> None:
        if verb == "write" and threading.current_thread().name.startswith("task"):
            raise ZeroDivisionError("planted")

    lab.hook = hook
    ended = lab.run(case.task.ref)
    lab.hook = lambda *_: None
    assert ended.state is TaskState.FAILED
    assert ended.result.startswith("It met a defect in the engine (planted). The new mirror was removed")
    case.returned(lab.config())
    lab.check(VOLUME, bytes(model))


def test_only_work_is_run(lab: Lab) -> None:
    task = make_task(TaskType.COMMAND)
    lab.load([task])
    with pytest.raises(ValueError, match="no work"):
        lab.runner.start(task.ref)
