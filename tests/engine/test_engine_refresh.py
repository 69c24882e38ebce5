"""Refresh as one command: copied, then taken anew under the same names; what comes in between, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import commands as c
from engine.config import Config
from engine.errors import CommandRejected
from engine.records import Kind, LinkSide, Ref, Task, TaskDelay, TaskState, TaskType
from engine.snapshots.refresher import BEHIND, READY
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.nbd_peer import Client
from tests.engine.test_engine_prepare import prepare

SLOW_MS = 60_000


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    """Two volumes with a set of snapshots, and some of each side written since."""
    made = EngineLab(tmp_path).start()
    made.make_group()
    for name in ("v", "w"):
        made.make_volume(name, size=16 * MIB)
        prepare(made, name)
        put(made, name, 1)
    choices = tuple(c.SnapChoice(made.volume(name).ref, name=f"{name}-snap") for name in ("v", "w"))
    made.do(c.TakeSnapshots(choices=choices, set_name="nightly"))
    assert made.write(b"\4" * 4 * MIB, 4 * MIB) == 0
    put(made, "w-snap", 9)
    yield made
    if made.opened is not None:
        made.stop()


def put(lab: EngineLab, name: str, number: int) -> None:
    assert lab.write(bytes([number]) * 4096, number * MIB, name) == 0


def command(lab: EngineLab, **choices: bool) -> c.RefreshSnapshots:
    return c.RefreshSnapshots(snapshots=(lab.volume("v-snap").ref, lab.volume("w-snap").ref), **choices)


def begin_slowly(lab: EngineLab) -> Ref:
    """A refresh whose copy of four mebibytes rests for a minute after each."""
    lab.do(c.ChangeSettings(iodelay_ms=(TaskDelay(TaskType.RESYNC, SLOW_MS),)))
    lab.engine.plan(command(lab))
    return lab.engine.submit(command(lab))


def await_task(lab: EngineLab, task: Ref, *states: TaskState) -> Task:
    def there(config: Config) -> bool:
        return config.task(task).state in states

    assert lab.engine.committer.wait_until(there, 60), lab.config.task(task)
    return lab.config.task(task)


def go_on(lab: EngineLab, task: Ref) -> Task:
    lab.engine.submit(c.ThrottleTask(task=task, iodelay_ms=0))
    assert lab.engine.wait(task, 60)
    return lab.config.task(task)


def copy_of(lab: EngineLab, name: str) -> Task:
    tasks = [task for task in lab.config.all(Kind.TASK, Task) if task.type is TaskType.RESYNC and not task.ended]
    return next(task for task in tasks if task.params.volume == lab.volume(name).ref)


def is_anew(lab: EngineLab) -> None:
    for name in ("v", "w"):
        assert lab.read(0, 16 * MIB, name) == lab.read(0, 16 * MIB, f"{name}-snap")
    ends = [link for name in ("v-snap", "w-snap") for link in lab.volume(name).links]
    assert {(link.side, link.settled, link.set_name) for link in ends} == {(LinkSide.SNAPSHOT, True, "nightly")}
    assert len({(link.set_id, link.taken) for link in ends}) == 1


def test_a_set_is_brought_to_now_as_one_task(lab: EngineLab) -> None:
    assert lab.read(4 * MIB, 1, "v-snap") == b"\0"
    plan = lab.engine.plan(command(lab))
    assert not plan.problems
    assert "is lost" in plan.irreversible
    task = lab.do(command(lab))
    assert task.type is TaskType.REFRESH
    assert task.result.startswith("Writes waited for ")
    assert 0 < task.bytes_copied <= 6 * MIB
    assert task.bytes_done == task.bytes_total
    is_anew(lab)
    put(lab, "v", 10)
    assert lab.read(10 * MIB, 1, "v-snap") == b"\0"
    lab.do(command(lab))
    is_anew(lab)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_goes_on_after_a_restart(lab: EngineLab, end: str) -> None:
    task = begin_slowly(lab)
    (lab.stop if end == "stop" else lab.kill)()
    lab.start()
    assert not lab.config.task(task).ended
    done = go_on(lab, task)
    assert done.state is TaskState.COMPLETED, done.result
    is_anew(lab)


def test_what_was_taken_before_the_engine_ended_is_not_taken_again(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.engine._refresher, "_end", lambda *_: None)
    task = lab.engine.submit(command(lab))
    for thread in list(lab.engine._refresher._threads.values()):
        thread.join()
    taken = lab.volume("v-snap").ref
    assert not lab.config.task(task).ended
    lab.restart()
    done = await_task(lab, task, TaskState.COMPLETED)
    assert done.result == "The snapshots were taken."
    assert lab.volume("v-snap").ref == taken
    is_anew(lab)


def test_an_abort_ends_its_copies_and_says_what_is_left(lab: EngineLab) -> None:
    task = begin_slowly(lab)
    lab.engine.submit(c.AbortTask(task=task))
    done = await_task(lab, task, TaskState.ABORTED, TaskState.COMPLETED, TaskState.FAILED)
    assert (done.state, done.result) == (TaskState.ABORTED, f"Aborted. {BEHIND}")
    assert lab.config.find(Kind.VOLUME, "v-snap", lab.group().ref) is None
    lab.do(c.ChangeSettings(iodelay_ms=()))
    lab.do(c.ResyncVolume(volume=lab.volume("v").ref))
    lab.do(c.TakeSnapshots(choices=(c.SnapChoice(lab.volume("v").ref, name="v-snap"),)))
    assert lab.read(0, 16 * MIB) == lab.read(0, 16 * MIB, "v-snap")


def test_a_copy_that_ends_alone_fails_it(lab: EngineLab) -> None:
    task = begin_slowly(lab)
    lab.engine.submit(c.AbortTask(task=copy_of(lab, "v").ref))
    done = await_task(lab, task, TaskState.FAILED, TaskState.COMPLETED)
    assert done.state is TaskState.FAILED
    assert done.result.endswith(BEHIND)


def test_a_name_that_is_taken_meanwhile_leaves_the_plexes_ready(lab: EngineLab) -> None:
    task = begin_slowly(lab)
    lab.make_volume("v-snap", size=4 * MIB)
    done = go_on(lab, task)
    assert done.state is TaskState.FAILED
    assert "v-snap" in done.result
    assert done.result.endswith(READY)
    lab.do(c.TakeSnapshots(choices=(c.SnapChoice(lab.volume("v").ref),)))
    assert lab.read(0, 16 * MIB) == lab.read(0, 16 * MIB, "SnapVolume01")


def test_it_is_paused_and_resumed_by_its_copies(lab: EngineLab) -> None:
    task = begin_slowly(lab)
    lab.engine.submit(c.PauseTask(task=task))
    await_task(lab, task, TaskState.PAUSED)
    lab.engine.submit(c.ResumeTask(task=task))
    await_task(lab, task, TaskState.RUNNING)
    assert go_on(lab, task).state is TaskState.COMPLETED
    is_anew(lab)


def test_clients_of_a_snapshot_are_in_the_way_unless_forced(lab: EngineLab) -> None:
    assert lab.opened is not None
    with Client(lab.opened.nbd) as client:
        client.go("dg/v-snap")
        with pytest.raises(CommandRejected, match="in use by"):
            lab.engine.submit(command(lab))
        lab.do(command(lab, force=True))
    is_anew(lab)
