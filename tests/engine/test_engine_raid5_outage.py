"""Every LUN is lost while a task works on a volume: it can't say so, and keeps nobody from stopping the engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import ChangeSettings, EvacuateDisk
from engine.records import TaskDelay, TaskState, TaskType
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_raid5 import parity_is_right, pattern, pieces
from tests.engine.test_engine_raid5_undecided import SIZE, made


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    yield from made(tmp_path)


def test_an_engine_ends_although_its_tasks_can_not(lab: EngineLab) -> None:
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.EVACUATE_DISK, 500),)))
    group, task = lab.group().ref, lab.engine.submit(EvacuateDisk(disk=pieces(lab)[1].disk))
    for disk in lab.config.disks_of(group):
        lab.lun(disk.ref).fail("read", "write", "durable", "flush", persistent=True)
    assert lab.engine.committer.wait_until(lambda config: bool(config.group(group).frozen), 60)
    ends = threading.Thread(target=lab.kill, daemon=True)
    ends.start()
    ends.join(60)
    assert not ends.is_alive()
    lab.start(frail=True)
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state is TaskState.COMPLETED
    assert lab.read(0, SIZE) == pattern(1, SIZE)
    assert lab.flush() == 0
    assert parity_is_right(lab)
