"""Copies on every shape while a client writes: in the end the bytes are right on every plex."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.records import TaskState
from tests.engine.task_cases import COPIES, Case
from tests.engine.task_lab import SHAPES, VOLUME, Lab, Shape, client, fill


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


def prepare(lab: Lab, case: Case, seed: int) -> bytearray:
    lab.load(case.records)
    model = fill(lab, lab.config().volume(VOLUME).size, seed)
    lab.load(case.edit)
    return model


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("kind", COPIES)
def test_copy_beside_a_client(lab: Lab, kind: str, shape: Shape, seed: int) -> None:
    case = COPIES[kind](shape)
    model = prepare(lab, case, seed)
    with client(lab, model, seed) as at_work:
        ended = lab.run(case.task.ref)
    assert (ended.state, ended.result) == (TaskState.COMPLETED, "")
    assert at_work.writes
    assert ended.bytes_done == ended.bytes_total == ended.bytes_copied == case.copied
    case.done(lab.config())
    lab.check(VOLUME, bytes(model))


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[1], SHAPES[4]], ids=lambda shape: shape.name)
@pytest.mark.parametrize("kind", COPIES)
def test_abort_at_every_operation(kind: str, shape: Shape, seed: int) -> None:
    """Wherever an abort strikes, nothing of the client's is lost and all that is not final is returned."""
    nth = 1
    states = set()
    while TaskState.COMPLETED not in states and nth < 40:
        lab = Lab()
        try:
            states.add(_abort_at(lab, COPIES[kind](shape), nth, seed))
        finally:
            lab.close()
        nth += max(nth // 4, 1)
    assert states <= {TaskState.COMPLETED, TaskState.ABORTED}
    assert TaskState.ABORTED in states


def _abort_at(lab: Lab, case: Case, nth: int, seed: int) -> TaskState:
    model = prepare(lab, case, seed)
    seen = 0

    def hook(name: str, verb: str, offset: int, length: int) -> None:
        nonlocal seen
        seen += 1
        if seen == nth:
            lab.runner.abort(case.task.ref)

    lab.hook = hook
    ended = lab.run(case.task.ref)
    lab.hook = lambda *_: None
    (case.returned if ended.state is TaskState.ABORTED else case.done)(lab.config())
    lab.check(VOLUME, bytes(model))
    return ended.state
