"""Finished tasks stay listed over a restart, with their undo, until somebody clears them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.commands import ClearTasks, Rename, decode
from engine.records import Kind, Ref, Task, TaskState, TaskType
from engine.state_folder.host_log import TASKS_KEPT, HostLog
from tests.engine.engine_lab import EngineLab

HOST = "a" * 32


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    made = EngineLab(tmp_path).start()
    made.make_group()
    made.make_volume()
    yield made
    made.stop()


def listed(lab: EngineLab) -> dict[Ref, Task]:
    return {task.ref: task for task in lab.config.all(Kind.TASK, Task) if not task.cleared}


def test_what_was_done_before_a_restart_can_be_undone_after_it(lab: EngineLab) -> None:
    lab.do(Rename(object=lab.volume().ref, name="w"))
    before = listed(lab)
    lab.restart()
    after = listed(lab)
    assert {task.name: task.undo for task in after.values()} == {task.name: task.undo for task in before.values()}
    renamed = max(after.values(), key=lambda task: int(task.ref.id))
    lab.do(decode(renamed.undo))
    assert lab.volume("v").name == "v"


def test_cleared_tasks_stay_cleared_and_restarts_write_nothing_twice(lab: EngineLab) -> None:
    kept, *cleared = sorted(listed(lab))
    lab.do(ClearTasks(tasks=tuple(cleared)))
    sizes = []
    for _ in range(3):
        lab.restart()
        assert list(listed(lab)) == [kept]
        assert all(lab.config.task(ref).cleared for ref in cleared)
        sizes.append((lab.engine.state.folder / "tasks.jsonl").stat().st_size)
    assert len(set(sizes)) == 1


def test_the_undo_of_what_is_not_there_any_more_is_refused_in_a_sentence(lab: EngineLab) -> None:
    lab.do(Rename(object=lab.volume().ref, name="w"))
    undo = max(listed(lab).values(), key=lambda task: int(task.ref.id)).undo
    made = next(task for task in listed(lab).values() if task.type is TaskType.CREATE_VOLUME)
    lab.do(decode(made.undo))
    lab.restart()
    assert undo in [task.undo for task in listed(lab).values()]
    assert lab.engine.plan(decode(undo)).problems


def ended(number: int, **fields: object) -> Task:
    ref = Ref(Kind.TASK, str(number), HOST)
    plain = Task(ref=ref, name=f"task {number}", type=TaskType.COMMAND, state=TaskState.COMPLETED)
    return msgspec.structs.replace(plain, **fields)


def test_the_newest_line_of_a_task_holds_and_only_the_newest_tasks_are_kept(tmp_path: Path) -> None:
    log = HostLog(tmp_path, HOST)
    log.add_tasks(ended(number) for number in range(TASKS_KEPT + 50))
    log.add_tasks([ended(100, cleared=True), ended(TASKS_KEPT + 50)])
    found = log.tasks()
    assert len(found) == TASKS_KEPT
    assert [int(task.ref.id) for task in found] == sorted(int(task.ref.id) for task in found)
    assert found[-1].name == f"task {TASKS_KEPT + 50}"
    assert [task.name for task in found if task.cleared] == ["task 100"]


@pytest.mark.parametrize(
    "bad",
    [
        ended(2, state=TaskState.RUNNING),
        ended(2, ref=Ref(Kind.TASK, "2", "b" * 32)),
        ended(2, ref=Ref(Kind.VOLUME, "2", HOST)),
        ended(2, ref=Ref(Kind.TASK, "-2", HOST)),
        ended(2, ref=Ref(Kind.TASK, "9" * 30, HOST)),
    ],
)
def test_lines_that_cannot_be_true_are_left_out(tmp_path: Path, bad: Task) -> None:
    log = HostLog(tmp_path, HOST)
    log.add_tasks([ended(1), bad, ended(3)])
    assert [task.name for task in log.tasks()] == ["task 1", "task 3"]


def test_an_undo_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    log = HostLog(tmp_path, HOST)
    log.add_tasks([ended(1, undo='{"type":"Explode"}'), ended(2, undo="{")])
    assert [task.undo for task in log.tasks()] == ["", ""]


@pytest.mark.parametrize("seed", range(8))
def test_a_torn_or_spoilt_log_costs_only_what_was_torn(tmp_path: Path, seed: int) -> None:
    chance, log, path = random.Random(seed), HostLog(tmp_path, HOST), tmp_path / "tasks.jsonl"
    log.add_tasks(ended(number) for number in range(20))
    whole = path.read_bytes()
    path.write_bytes(whole[: chance.randrange(len(whole))] + bytes(chance.randrange(8)))
    log.add_tasks([ended(number) for number in range(20, 30)])
    names = [task.name for task in log.tasks()]
    assert names[-10:] == [f"task {number}" for number in range(20, 30)]
    assert names[:-10] == [f"task {number}" for number in range(len(names) - 10)]
