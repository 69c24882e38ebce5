"""A paused task over a restart: it is shown paused, with what it had done, and goes on when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import Move, MoveSubdisks, PauseTask, ResumeTask
from engine.records import TaskState
from tests.engine.engine_lab import EngineLab

MIB = 1 << 20


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    made = EngineLab(tmp_path).start()
    made.make_group()
    yield made
    made.stop()


def test_a_paused_task_is_paused_after_a_restart(lab: EngineLab) -> None:
    volume = lab.make_volume(size=24 * MIB)
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    with lab.engine.committer.ios[volume.ref].regions.hold(0, 24 * MIB):  # the copy gets nowhere meanwhile
        task = lab.engine.submit(MoveSubdisks(moves=(Move(subdisk.ref),)))
        lab.engine.submit(PauseTask(task=task))
    assert lab.engine.committer.wait_until(lambda config: config.task(task).state is TaskState.PAUSED, 30)
    before = lab.config.task(task)
    lab.restart()
    after = lab.config.task(task)
    assert (after.state, after.paused, after.bytes_done) == (TaskState.PAUSED, True, before.checkpoint)
    lab.engine.submit(ResumeTask(task=task))
    assert lab.engine.wait(task, 30)
    assert lab.config.task(task).state is TaskState.COMPLETED
