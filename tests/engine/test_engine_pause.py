"""A paused task over a restart: it is shown paused, with what it had done, and goes on when it is told to."""

from __future__ import annotations

from engine.commands import Move, MoveSubdisks, PauseTask, ResumeTask
from engine.records import TaskState
from tests.engine.engine_lab import EngineLab, lab_fixture

MIB = 1 << 20


lab = lab_fixture()


def test_a_paused_task_is_paused_after_a_restart(lab: EngineLab) -> None:
    volume = lab.make_volume(size=24 * MIB)
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    with lab.engine.committer.ios[volume.ref].regions.hold(0, 24 * MIB):  # the copy gets nowhere meanwhile
        task = lab.engine.submit(MoveSubdisks(moves=(Move(subdisk.ref),)))
        lab.engine.submit(PauseTask(task=task))
    assert lab.engine.committer.wait_until(lambda config: config.task(task).state is TaskState.PAUSED, 60)
    before = lab.config.task(task)
    lab.restart()
    after = lab.config.task(task)
    assert (after.state, after.paused, after.bytes_done) == (TaskState.PAUSED, True, before.checkpoint)
    lab.engine.submit(ResumeTask(task=task))
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state is TaskState.COMPLETED
