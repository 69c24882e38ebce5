"""What a copy has written is on its way to the disks before anybody waits for it: asked for behind each step, by a
worker that keeps nobody out meanwhile."""

from __future__ import annotations

import threading
from collections import defaultdict

import pytest

from engine.records import TaskState
from tests.engine.task_cases import COPIES
from tests.engine.task_lab import SHAPES, VOLUME, Lab, fill

Ranges = dict[str, list[tuple[int, int]]]


def covered(ranges: list[tuple[int, int]]) -> set[int]:
    """The blocks of 512 bytes in some ranges of offset and length."""
    return {block for offset, length in ranges for block in range(offset // 512, -(-(offset + length) // 512))}


@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[3], SHAPES[4]], ids=lambda shape: shape.name)
@pytest.mark.parametrize("kind", COPIES)
def test_all_that_a_copy_writes_is_asked_for_outside_of_the_gate(
    kind: str, shape: object, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, case = Lab(), COPIES[kind](shape)  # type: ignore[arg-type]
    written: Ranges = defaultdict(list)
    asked: Ranges = defaultdict(list)
    inside: list[str] = []

    def note(name: str, verb: str, offset: int, length: int) -> None:
        if verb in ("write", "zero") and threading.current_thread().name.startswith("task "):
            written[name].append((offset, length))

    def ask(name: str, offset: int, length: int) -> None:
        asked[name].append((offset, length))
        own = threading.current_thread().name
        inside.extend(slot.name for slot in lab.volume(VOLUME).gate.slots if slot.name == own and slot.table)

    for name, device in lab.devices.items():
        monkeypatch.setattr(device, "write_back", lambda offset, length, name=name: ask(name, offset, length))
    try:
        lab.load(case.records)
        model = fill(lab, lab.config().volume(VOLUME).size, seed)
        lab.load(case.edit)
        lab.hook = note
        ended = lab.run(case.task.ref)
        lab.hook = lambda *_: None
        lab.check(VOLUME, bytes(model))
    finally:
        lab.close()
    assert ended.state is TaskState.COMPLETED
    assert written
    assert not inside
    for name, ranges in written.items():
        assert covered(ranges) <= covered(asked[name]), name
