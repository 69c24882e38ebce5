"""A front door for tests of the console: plans are real, and done at once on a configuration, with no device behind."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable

from engine.api import Snapshot
from engine.commands import Command
from engine.config import Config, Edit
from engine.errors import CommandRejected
from engine.events import Batch, Event, Listener, Remove, Sample, Upsert
from engine.planners import plan
from engine.plans import Plan
from engine.records import AnyRecord, Kind, Record, Ref, Task, TaskState, TaskType, new_ref


class PlannedEngine:
    """Applies plans to a configuration and tells its listeners. `publish` plays what an engine does by itself."""

    def __init__(self, records: Iterable[Record], host: Ref) -> None:
        self.host = host
        self.config = Config.of(records)
        self.sequence = 0
        self.submitted: list[Command] = []
        self.closed = False
        self.answers = threading.Event()  # cleared, the engine answers nothing: a host that hangs
        self.answers.set()
        self._listeners: list[Listener] = []
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)

    def attach(self, listener: Listener) -> Snapshot:
        self.answers.wait()
        with self._lock:
            self._listeners.append(listener)
            return Snapshot(self.host, self.sequence, tuple(self.config))

    def detach(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = [each for each in self._listeners if each != listener]

    def plan(self, command: Command) -> Plan:
        self.answers.wait()
        return plan(self.config, command, self._new_ref)

    def submit(self, command: Command, basis: int | None = None) -> Ref:
        plan = self.plan(command)
        with self._lock:
            self.submitted.append(command)
            if plan.problems:
                raise CommandRejected(plan.problems)
            task = plan.task or Task(
                ref=self._new_ref(Kind.TASK),
                name=plan.title,
                type=TaskType.COMMAND,
                group=plan.group,
                undo=plan.undo,
                state=TaskState.COMPLETED,
            )
            self.change([*plan.puts, task], plan.drops)
            return task.ref

    def close(self) -> None:
        self.closed = True

    def _new_ref(self, kind: Kind) -> Ref:
        numbered = kind in (Kind.TASK, Kind.ALERT)
        return Ref(kind, str(next(self._numbers)), self.host.id) if numbered else new_ref(kind, self.host.id)

    def change(self, puts: Iterable[AnyRecord] = (), drops: Iterable[Ref] = ()) -> None:
        """A commit: settled, then published as one batch."""
        with self._lock:
            edit = Edit(self.config)
            for record in puts:
                edit.put(record)
            for ref in drops:
                edit.drop(ref)
            self.config, touched = edit.result()
            events: list[Event] = []
            for ref in sorted(touched):
                record = self.config.get(ref)
                events.append(Upsert(record) if record is not None else Remove(ref))
            self.publish(events)

    def sample(self, *samples: Sample) -> None:
        self.publish(samples)

    def publish(self, events: Iterable[Event]) -> None:
        with self._lock:
            self.sequence += 1
            batch = Batch(self.sequence, tuple(events))
            for listener in self._listeners:
                listener(batch)
