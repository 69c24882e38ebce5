"""One task under way: what its two workers do, and the way it ends."""

from __future__ import annotations

import enum
import errno
import logging
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.dataplane.needed import needed
from engine.errors import DeviceError, GroupFrozen
from engine.records import Task, TaskState
from engine.tasks.belt import Belt
from engine.tasks.courtesy import Courtesy
from engine.tasks.failure import StepFailed
from engine.tasks.kinds import KINDS
from engine.tasks.ledger import Ledger
from engine.tasks.pace import Pace, Progress
from engine.tasks.steps import AskDirty, Begin, Commit, Differences, Dirty, Flush, FlushVolumes, Save, TaskFailed
from engine.tasks.worker import VolumeClosed, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from engine.config import Edit
    from engine.records import Ref
    from engine.tasks.belt import Ticket
    from engine.tasks.host import TaskHost
    from engine.tasks.steps import Ranges

_log = logging.getLogger(__name__)

FROZEN_RETRY_S = 2.0
"""A group that cannot be written is tried again after this time: nothing is lost by waiting."""


class Wish(enum.Enum):
    """What a task is asked to do."""

    GO = "go"
    PAUSE = "pause"
    ABORT = "abort"
    AGAIN = "again"  # stop, and begin from the start: what was copied is in doubt
    CLOSE = "close"  # stop in order and leave the record as it is: it goes on at the next start


class Order(NamedTuple):
    """A wish, and for an abort that is a failure the sentence that says why."""

    wish: Wish
    why: str = ""


class _Overruled(Exception):
    """A change came too late: the task has been told to end without it."""


class Job:
    """One run of a task, from `begin` until `over` is called on its last thread."""

    def __init__(self, host: TaskHost, ref: Ref, order: Order, over: Callable[[Job], None]) -> None:
        self.ref = ref
        self._host = host
        self._over = over
        self._wish, self._why = order
        self._decided = False
        self._ended = False
        self._closing = False  # nothing is waited for any more
        self._anew = False  # what has been copied is in doubt: no checkpoint counts
        self._changed = host.runtime.condition()
        self._ledger = Ledger(host)
        self._courtesy = Courtesy(host.runtime, host.asked_at)
        self._told: set[Ref | None] = set()
        self._belt: Belt | None = None

    def begin(self) -> None:
        """Start its first thread."""
        self.thread = self._host.runtime.thread(f"task {self.ref.id} copy 1", self._run)

    def ask(self, order: Order) -> bool:
        """Tell it how to end. False when it ends already, or when it would have to turn back."""
        wish = order.wish
        with self._changed:
            if wish is Wish.CLOSE:
                self._closing = True
                self._changed.notify_all()
            if self._decided or self._wish is Wish.CLOSE or wish is Wish.GO:
                return wish is self._wish and not self._decided
            self._stop_working(order)
            return True

    def begin_anew(self) -> bool:
        """Under the control lock: believe nothing of what this run has copied, and write no checkpoint of it. Whether
        it is to run again, from the start: not when it was told to end or to rest."""
        with self._changed:
            self._anew = True
            if self._wish not in (Wish.GO, Wish.AGAIN):
                return False
            if not self._decided:
                self._stop_working(Order(Wish.AGAIN))
            return True

    def _stop_working(self, order: Order) -> None:
        self._wish, self._why = order
        if self._belt is not None:
            self._belt.stop()
            self._courtesy.end()
        self._changed.notify_all()

    def set_iodelay(self, delay_ms: int) -> None:
        """Change the pace now."""
        with self._changed:
            if self._belt is not None:
                self._belt.set_iodelay(delay_ms)

    def _run(self) -> None:
        try:
            self._conduct()
        except Exception as error:  # a task must not seem to run for ever
            _log.exception("task %s met a defect", self.ref.id)
            self._end_after_defect(f"It met a defect in the engine ({error}).")
        finally:
            self._over(self)

    def _end_after_defect(self, said: str) -> None:
        try:
            self._give_up(TaskState.FAILED, said)
        except Exception:
            _log.exception("task %s could not be undone", self.ref.id)
            said = f"{said} What it had begun is left as it is."
            self._commit(lambda edit: self._put(edit, **self._ending(TaskState.FAILED, said)))

    def _conduct(self) -> None:
        task = self._host.config().get(self.ref)
        if not isinstance(task, Task) or task.ended:
            return
        failure = self._work(task) if self._wish is Wish.GO else None
        with self._changed:
            self._decided = True
            wish, why = self._wish, self._why
        if self._ended:
            return
        if why:
            self._give_up(TaskState.FAILED, why)
        elif failure is not None:
            self._fail(failure)
        elif wish is Wish.ABORT:
            self._give_up(TaskState.ABORTED, "Aborted.")
        elif wish is Wish.GO:
            self._commit(lambda edit: self._put(edit, **self._ending(TaskState.COMPLETED, "")))
        else:
            self._stop(wish)

    def _work(self, task: Task) -> TaskFailed | StepFailed | None:
        """Both workers, until there is nothing more to do or they are stopped."""
        steps = KINDS[task.type].steps(self._host.config(), task)
        try:
            begin = next(steps)
            if isinstance(begin, AskDirty):
                begin = steps.send(Differences(dirty=self._dirty(begin.volume)))
        except TaskFailed as failure:
            return failure
        if not isinstance(begin, Begin):
            raise TypeError(f"A task begins with its position, not with {begin!r}.")
        running = {"state": TaskState.RUNNING, "paused": False, "result": "", "bytes_total": begin.total}
        if begin.lineage != task.params.lineage:
            running |= {"params": replace(task.params, lineage=begin.lineage), "checkpoint": begin.position}
        self._commit(lambda edit: self._put(edit, **running))
        copied = max(task.bytes_copied, begin.position if KINDS[task.type].copies else 0)
        progress = Progress(begin.position, begin.total, copied)
        with self._changed:
            self._belt = belt = Belt(self._host.runtime, steps, progress, Pace(self._task().iodelay_ms))
            if self._wish is not Wish.GO:
                return None
        name = f"task {self.ref.id} copy"
        second = self._host.runtime.thread(f"{name} 2", lambda: self._second_hands(belt, f"{name} 2"))
        try:
            self._first_hands(belt, f"{name} 1")
        finally:
            self._courtesy.end()
            second.join()
        steps.close()
        return belt.failure

    def _dirty(self, volume: Ref) -> Dirty | None:
        """What the dirty map of a volume knows now."""
        try:
            dirty = self._host.volume(volume).dirty
        except KeyError:
            return None
        return Dirty(*needed(dirty)) if dirty is not None else None

    def _first_hands(self, belt: Belt, name: str) -> None:
        with self._worker(name) as worker:
            while (ticket := belt.take()) is not None:
                begun = self._host.runtime.now()
                self._do(belt, worker, ticket)
                if ticket.position >= 0:
                    self._courtesy.share(begun)

    def _second_hands(self, belt: Belt, name: str) -> None:
        with self._worker(name) as worker:
            self._courtesy.give_way()
            while (ticket := belt.take()) is not None:
                self._do(belt, worker, ticket)
                self._courtesy.give_way()

    def _worker(self, name: str) -> AbstractContextManager[Worker]:
        return closing(Worker(self._host, name, self._ledger, self._tell))

    def _do(self, belt: Belt, worker: Worker, ticket: Ticket) -> None:
        result: tuple[int, Ranges] = (0, ())
        try:
            match ticket.step:
                case Save(checkpoint=True):
                    self._save(belt, wait=False)
                case Save():
                    self._ledger.flush()
                case Flush(disks):
                    self._ledger.flush(disks)
                case FlushVolumes(volumes):
                    self._flush_volumes(volumes)
                case Commit():
                    self._change(belt, ticket.step)
                case _:
                    result = worker.do(ticket.step)
        except (TaskFailed, StepFailed) as failure:
            belt.fail(ticket, failure)
        except VolumeClosed:
            self.ask(Order(Wish.CLOSE))
            belt.drop(ticket)
        except _Overruled:
            belt.drop(ticket)
        except Exception as error:
            _log.exception("task %s met a defect", self.ref.id)
            belt.fail(ticket, TaskFailed(f"It met a defect in the engine ({error})."))
        else:
            report = belt.give_back(ticket, *result)
            if report is not None and not self._ended:
                self._host.progress(self.ref, *report)

    def _save(self, belt: Belt, *, wait: bool, **fields: object) -> None:
        """A checkpoint: everything below the watermark is on stable storage before the record says so."""
        position = belt.watermark()
        self._ledger.flush()
        self._commit(
            lambda edit: self._put(edit, checkpoint=self._true(position), **self._counts(), **fields), wait=wait
        )

    def _true(self, position: int) -> int:
        return 0 if self._anew else position

    def _flush_volumes(self, volumes: Iterable[Ref]) -> None:
        for ref in volumes:
            try:
                self._host.volume(ref).flush()
            except KeyError as error:
                raise TaskFailed("A volume was removed before what it had taken was on its disks.") from error
            except DeviceError as error:
                if error.errno == errno.ESHUTDOWN:
                    raise VolumeClosed from error
                raise TaskFailed(f"What was written could not be brought to the disks: {error}.") from error

    def _change(self, belt: Belt, step: Commit) -> None:
        position = belt.watermark()

        def change(edit: Edit) -> None:
            if self._wish is Wish.ABORT or self._anew:  # set under the control lock: what was copied is in doubt
                raise _Overruled
            step.change(edit)
            if step.last:
                told = step.result if isinstance(step.result, str) else step.result(edit.config)
                self._put(edit, **self._ending(TaskState.COMPLETED, told))
            else:
                self._put(edit, checkpoint=position, **self._counts())

        if not self._commit(change):
            raise VolumeClosed
        self._ended = step.last

    def _stop(self, wish: Wish) -> None:
        """Orderly: what has been done stays done."""
        paused = {"state": TaskState.PAUSED, "paused": True} if wish is Wish.PAUSE else {}
        try:
            if self._belt is not None:
                self._save(self._belt, wait=wish is Wish.PAUSE, **paused)
            elif paused:
                self._commit(lambda edit: self._put(edit, **paused))
        except StepFailed as failure:
            if wish is Wish.PAUSE:
                self._fail(failure)  # a close keeps the last checkpoint, which is true still

    def _fail(self, failure: TaskFailed | StepFailed) -> None:
        if isinstance(failure, StepFailed):
            self._tell(failure)
        why = str(failure) if isinstance(failure, TaskFailed) else failure.sentence(self._host.config())
        try:
            self._give_up(TaskState.FAILED, why, unless_anew=True)
        except _Overruled:
            self._stop(Wish.AGAIN)

    def _give_up(self, state: TaskState, why: str, *, unless_anew: bool = False) -> None:
        """Return everything that is not final, and end, in one transaction."""

        def change(edit: Edit) -> None:
            if unless_anew and self._anew:  # it failed because of what is changed now
                raise _Overruled
            task = edit.config.task(self.ref)
            left = KINDS[task.type].undo(edit, task)
            self._put(edit, **self._ending(state, f"{why} {left}".strip()))

        self._commit(change)

    def _tell(self, failure: StepFailed) -> None:
        """Mark the disk once a run; a host without space is no fault of a disk."""
        if failure.no_space or (failure.disk in self._told):
            return
        self._told.add(failure.disk)
        with suppress(GroupFrozen):  # who meets it next marks the disk
            self._host.fault(failure.disk, failure.error, writing=failure.writing)

    def _commit(self, change: Callable[[Edit], None], *, wait: bool = True) -> bool:
        """Commit; while the group is frozen try again, if `wait`, until the task is to close. Whether it was done."""
        while True:
            try:
                self._host.commit(change)
            except GroupFrozen:
                with self._changed:
                    closing = self._changed.wait_for(lambda: not wait or self._closing, FROZEN_RETRY_S)
                if closing:
                    return False
            else:
                return True

    def _task(self) -> Task:
        return self._host.config().task(self.ref)

    def _put(self, edit: Edit, **fields: object) -> None:
        task = edit.config.get(self.ref)
        if isinstance(task, Task):  # else its group has left this host, and the record with it
            if fields.get("finished_at"):  # the host's clock may have been set back meanwhile
                fields["finished_at"] = max(task.started_at, self._host.wall())
            edit.put(replace(task, **fields))

    def _counts(self) -> dict[str, object]:
        if self._belt is None:
            return {"eta_low_s": -1.0, "eta_high_s": -1.0}
        report = self._belt.state()
        times = {"eta_low_s": report.low_s, "eta_high_s": report.high_s}
        return {"bytes_done": report.done, "bytes_copied": report.copied, **times}

    def _ending(self, state: TaskState, result: str) -> dict[str, object]:
        times = {"finished_at": self._host.wall(), "eta_low_s": -1.0, "eta_high_s": -1.0}
        return {**self._counts(), **times, "state": state, "paused": False, "result": result}
