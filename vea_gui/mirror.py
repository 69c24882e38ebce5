"""The console's copy of one host: records folded from event batches. It never changes anything of its own accord."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.config import Config, Edit
from engine.events import Event, Remove, Sample, Upsert
from engine.records import (
    AnyRecord,
    Connection,
    Kind,
    Plex,
    Record,
    Ref,
    Subdisk,
    Task,
)
from vea_gui.health import Health
from vea_gui.tree_shape import Key

NAMED_ELSEWHERE = frozenset({Kind.HOST, Kind.GROUP, Kind.DISK, Kind.ENCLOSURE, Kind.VOLUME, Kind.PLEX})
"""Kinds whose names appear in rows of other kinds."""


@dataclass(frozen=True)
class Change:
    """The net effect of some batches, as models want it."""

    records: Mapping[Ref, AnyRecord | None] = field(default_factory=dict)  # None: gone
    refresh: frozenset[Ref] = frozenset()  # what changed, and what is shown with it (a task's volume, say)
    overlays: frozenset[Key] = frozenset()  # tree places whose roll-up changed
    samples: tuple[Sample, ...] = ()
    renamed: bool = False  # any row may show another object's new name
    reset: bool = False  # everything is new

    def touches(self, *kinds: Kind) -> bool:
        """Whether any record of these kinds is new, changed or gone."""
        return self.reset or any(ref.kind in kinds for ref in self.records)


class Mirror:
    """Today's records with what is looked up for every row: work in progress and roll-ups."""

    def __init__(self) -> None:
        self.config = Config()
        self.host = Ref(Kind.HOST, "")
        self.health = Health()
        self._work: dict[Ref, dict[Ref, Task]] = {}

    @classmethod
    def of(cls, config: Config) -> Mirror:
        """One that only looks up: nothing is rolled up in it."""
        made = cls()
        made.config = config
        return made

    def reset(self, host: Ref, config: Config) -> Change:
        """Begin anew with a whole configuration."""
        self.host, self.config = host, config
        self.health = Health()
        self._work = {}
        for record in config:
            self.health.note(None, record)
            self._note_work(None, record)
        return Change(reset=True, renamed=True)

    def fold(self, events: Iterable[Event]) -> Change:
        """Take in events; the last word on each record counts."""
        net, samples = _net(events)
        old_config = self.config
        net = {ref: record for ref, record in net.items() if old_config.get(ref) != record}
        edit = Edit(old_config)
        for ref, record in net.items():
            if record is not None:
                edit.put(record)
            else:
                edit.drop(ref)
        self.config = edit.unsettled()
        return self._change(old_config, net, tuple(samples))

    def work_on(self, ref: Ref) -> list[Task]:
        """Unfinished tasks on an object, oldest first."""
        return sorted(self._work.get(ref, {}).values(), key=lambda task: int(task.ref.id))

    def _change(self, before: Config, net: Mapping[Ref, AnyRecord | None], samples: tuple[Sample, ...]) -> Change:
        refresh: set[Ref] = set(net)
        overlays: set[Key] = set()
        renamed = False
        for ref, record in net.items():
            old = before.get(ref)
            overlays |= self.health.note(old, record)
            self._note_work(old, record)
            for each in (old, record):
                refresh.update(self._shown_with(each))
            if ref.kind in NAMED_ELSEWHERE and old is not None and record is not None:
                renamed = renamed or old.name != record.name
        return Change(net, frozenset(refresh), frozenset(overlays), samples, renamed)

    def _note_work(self, old: Record | None, new: Record | None) -> None:
        if isinstance(old, Task):
            for ref in task_objects(old):
                tasks = self._work.get(ref, {})
                tasks.pop(old.ref, None)
                if not tasks:
                    self._work.pop(ref, None)
        if isinstance(new, Task) and not new.ended:
            for ref in task_objects(new):
                self._work.setdefault(ref, {})[new.ref] = new

    def _shown_with(self, record: Record | None) -> Iterable[Ref]:
        match record:
            case Task():
                return task_objects(record)
            case Connection():
                return (record.volume,)
            case Plex():
                return (record.volume,)
            case Subdisk():
                plex = self.config.get(record.plex)
                return (record.plex, record.disk, plex.volume) if isinstance(plex, Plex) else (record.plex, record.disk)
        return ()


def task_objects(task: Task) -> tuple[Ref, ...]:
    """The objects in whose rows a task's progress is shown."""
    params = task.params
    named = (task.object, params.volume, params.disk, *params.plexes, *params.subdisks)
    return tuple(dict.fromkeys(ref for ref in named if ref is not None))


def _net(events: Iterable[Event]) -> tuple[dict[Ref, AnyRecord | None], list[Sample]]:
    net: dict[Ref, AnyRecord | None] = {}
    samples: list[Sample] = []
    for event in events:
        if isinstance(event, Upsert):
            net[event.record.ref] = event.record
        elif isinstance(event, Remove):
            net[event.ref] = None
        else:
            samples.append(event)
    return net, samples
