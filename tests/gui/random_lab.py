"""Random but lawful changes of a lab's records, as an engine would publish them."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from engine.config import Config
from engine.events import Event, Remove, Upsert
from engine.records import (
    Alert,
    AnyRecord,
    Connection,
    Disk,
    Group,
    GroupState,
    Kind,
    Plex,
    PlexState,
    Ref,
    Severity,
    Subdisk,
    Task,
    TaskState,
    TaskType,
    Volume,
    VolumeStatus,
)
from engine.units import MIB
from tests.gui.sample_lab import HOST_ID

replace = msgspec.structs.replace


class RandomLab:
    """Keeps its own configuration, so that only changes come that could come."""

    def __init__(self, config: Config, seed: int) -> None:
        self.records: dict[Ref, AnyRecord] = {record.ref: record for record in config}
        self.random = random.Random(seed)
        self._last = 1000

    def events(self, count: int) -> list[Event]:
        """So many changes, each the whole of what an engine would say of it."""
        found: list[Event] = []
        moves: list[Callable[[], list[Event]]] = [
            self._rename,
            self._status,
            self._new_volume,
            self._drop_volume,
            self._task,
            self._disk_joins_or_leaves,
            self._alert,
            self._client,
            self._moved_subdisk,
            self._group_frozen,
        ]
        for _ in range(count):
            found += self.random.choice(moves)()
        return found

    def config(self) -> Config:
        """What a mirror must have by now."""
        from engine.config import Edit

        edit = Edit(Config())
        for record in self.records.values():
            edit.put(record)
        return edit.unsettled()

    def _ref(self, kind: Kind) -> Ref:
        self._last += 1
        number = str(self._last) if kind in (Kind.TASK, Kind.ALERT) else f"{self._last:032x}"
        return Ref(kind, number, HOST_ID)

    def _put(self, *records: AnyRecord) -> list[Event]:
        for record in records:
            self.records[record.ref] = record
        return [Upsert(record) for record in records]

    def _drop(self, *refs: Ref) -> list[Event]:
        for ref in refs:
            del self.records[ref]
        return [Remove(ref) for ref in refs]

    def _any(self, kind: type) -> AnyRecord | None:
        found = [record for record in self.records.values() if isinstance(record, kind)]
        return self.random.choice(found) if found else None

    def _rename(self) -> list[Event]:
        record = self._any(self.random.choice([Volume, Disk, Group]))
        return self._put(replace(record, name=f"name{self.random.randrange(10_000)}")) if record is not None else []

    def _status(self) -> list[Event]:
        volume = self._any(Volume)
        if volume is None:
            return []
        return self._put(
            replace(volume, status=self.random.choice(list(VolumeStatus)), copies=self.random.randrange(4))
        )

    def _new_volume(self) -> list[Event]:
        group, disk = self._any(Group), self._any(Disk)
        if group is None or disk is None:
            return []
        volume = Volume(ref=self._ref(Kind.VOLUME), name=f"Volume{self._last}", group=group.ref, size=MIB)
        plex = Plex(ref=self._ref(Kind.PLEX), name=f"{volume.name}-01", volume=volume.ref, state=PlexState.ACTIVE)
        piece = Subdisk(
            ref=self._ref(Kind.SUBDISK),
            name=f"{disk.name}-{self._last}",
            plex=plex.ref,
            disk=disk.ref,
            disk_offset=MIB * self._last,
            plex_offset=0,
            length=MIB,
        )
        return self._put(volume, plex, piece)

    def _drop_volume(self) -> list[Event]:
        volume = self._any(Volume)
        if volume is None:
            return []
        plexes = [each.ref for each in self.records.values() if isinstance(each, Plex) and each.volume == volume.ref]
        pieces = [each.ref for each in self.records.values() if isinstance(each, Subdisk) and each.plex in plexes]
        clients = [r.ref for r in self.records.values() if isinstance(r, Connection) and r.volume == volume.ref]
        return self._drop(*pieces, *plexes, *clients, volume.ref)

    def _task(self) -> list[Event]:
        task, volume = self._any(Task), self._any(Volume)
        if task is not None and self.random.random() < 0.7:
            if task.bytes_done >= 100:
                return self._drop(task.ref)
            done = task.bytes_done + 25
            state = TaskState.COMPLETED if done >= 100 else TaskState.RUNNING
            return self._put(replace(task, bytes_done=done, state=state))
        target = volume.ref if volume is not None else None
        made = Task(
            ref=self._ref(Kind.TASK), name=f"Task {self._last}", type=TaskType.RESYNC, object=target, bytes_total=100
        )
        return self._put(made)

    def _disk_joins_or_leaves(self) -> list[Event]:
        disk, group = self._any(Disk), self._any(Group)
        if disk is None:
            return []
        other = None if disk.group is not None or group is None else group.ref
        return self._put(replace(disk, group=other, failing=self.random.random() < 0.3))

    def _alert(self) -> list[Event]:
        alert = self._any(Alert)
        if alert is not None and self.random.random() < 0.5:
            return self._drop(alert.ref)
        made = Alert(
            ref=self._ref(Kind.ALERT),
            name=f"Alert {self._last}",
            severity=self.random.choice(list(Severity)),
            time=1.7e9,
        )
        return self._put(made)

    def _client(self) -> list[Event]:
        client, volume = self._any(Connection), self._any(Volume)
        if client is not None and self.random.random() < 0.5:
            return self._drop(client.ref)
        if volume is None:
            return []
        made = Connection(ref=self._ref(Kind.CONNECTION), name=f"fio {self._last}", volume=volume.ref, since=1.7e9)
        return self._put(made)

    def _moved_subdisk(self) -> list[Event]:
        piece, disk = self._any(Subdisk), self._any(Disk)
        if piece is None or disk is None:
            return []
        return self._put(replace(piece, disk=disk.ref))

    def _group_frozen(self) -> list[Event]:
        group = self._any(Group)
        if group is None:
            return []
        state = self.random.choice(list(GroupState))
        return self._put(replace(group, state=state, frozen=self.random.choice(["", "no majority"])))
