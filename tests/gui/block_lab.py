"""Configurations for tests of the pictures, and a console on one of them that no engine stands behind."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.api import Snapshot
from engine.commands import Command
from engine.config import Config, Edit
from engine.events import Event, Listener, Remove, Sample, Upsert
from engine.geometry import geometry
from engine.plans import Plan
from engine.records import (
    Disk,
    Enclosure,
    Group,
    Host,
    Kind,
    Plex,
    PlexLayout,
    PlexState,
    Record,
    Ref,
    Subdisk,
    Task,
    TaskParams,
    TaskState,
    TaskType,
    Volume,
)
from engine.units import GIB, MIB
from vea_gui.bridge import EngineBridge
from vea_gui.console import Console
from vea_gui.sessions import Session
from vea_gui.settings import Settings

HOST = Ref(Kind.HOST, "h", "h")
GROUP = Ref(Kind.GROUP, "g1", "h")


def ref(kind: Kind, name: str) -> Ref:
    """The ref of an object of the lab by its name."""
    return Ref(kind, name, "h")


class Lab:
    """Disks, and volumes laid on them piece by piece; `config` is settled."""

    def __init__(self, disks: int = 12, size: int = 2 * GIB, enclosures: int = 2) -> None:
        self.edit = Edit(Config())
        self.used: dict[Ref, int] = {}
        self.edit.put(Host(ref=HOST, name="localhost"))
        self.edit.put(Group(ref=GROUP, name="dg1"))
        for number in range(enclosures):
            self.edit.put(Enclosure(ref=ref(Kind.ENCLOSURE, f"e{number}"), name=f"lab{number}"))
        for number in range(disks):
            self.add_disk(number, size, number * enclosures // max(1, disks))

    def add_disk(self, number: int, size: int, enclosure: int = 0, group: Ref | None = GROUP) -> Ref:
        """A disk of the group, or of none."""
        place = geometry(size)
        disk = Disk(
            ref=ref(Kind.DISK, f"d{number}"),
            name=f"Harddisk{number}",
            size=size,
            group=group,
            public_offset=place.public_offset if group else 0,
            public_length=place.public_length if group else 0,
            lun=f"/lab/array{enclosure}/lun{number}.img",
            enclosure=ref(Kind.ENCLOSURE, f"e{enclosure}"),
            present=True,
            paths=2,
        )
        self.edit.put(disk)
        self.used[disk.ref] = disk.public_offset
        return disk.ref

    def volume(
        self,
        name: str,
        pieces: list[list[tuple[int, int]]],
        columns: int = 1,
        state: PlexState = PlexState.ACTIVE,
        last_state: PlexState | None = None,
    ) -> Ref:
        """A volume with a plex for each list of (disk number, length); pieces go to columns in turn."""
        volume = ref(Kind.VOLUME, name)
        size = min(sum(length for _, length in plex) for plex in pieces)
        self.edit.put(Volume(ref=volume, name=name, group=GROUP, size=size))
        for number, plex_pieces in enumerate(pieces, 1):
            plex = ref(Kind.PLEX, f"{name}-{number:02}")
            layout = PlexLayout.STRIPE if columns > 1 else PlexLayout.CONCAT
            unit = 64 * 1024 if columns > 1 else 0
            shown = last_state if last_state is not None and number == len(pieces) else state
            self.edit.put(
                Plex(
                    ref=plex, name=plex.id, volume=volume, layout=layout, columns=columns, stripe_unit=unit, state=shown
                )
            )
            ends = [0] * columns
            for at, (disk, length) in enumerate(plex_pieces):
                column = at % columns
                self.piece(plex, disk, length, ends[column], column)
                ends[column] += length
        return volume

    def piece(self, plex: Ref, disk: int, length: int, plex_offset: int = 0, column: int = 0, **more: object) -> Ref:
        """A subdisk on the next free bytes of a disk."""
        where = ref(Kind.DISK, f"d{disk}")
        number = len(self.edit.config.subdisks_on(where)) + 1
        subdisk = Subdisk(
            ref=ref(Kind.SUBDISK, f"d{disk}-{number:02}"),
            name=f"Harddisk{disk}-{number:02}",
            plex=plex,
            disk=where,
            disk_offset=self.used[where],
            plex_offset=plex_offset,
            length=length,
            column=column,
            **more,
        )
        self.edit.put(subdisk)
        self.used[where] += length
        return subdisk.ref

    def skip(self, disk: int, length: int) -> None:
        """Leave a free region before the next piece."""
        self.used[ref(Kind.DISK, f"d{disk}")] += length

    def moving(self, source: Ref, disk: int, percent: int) -> Ref:
        """A running move of a subdisk."""
        record = self.edit.config.subdisk(source)
        target = self.piece(record.plex, disk, record.length, record.plex_offset, record.column, replaces=source)
        task = Task(
            ref=ref(Kind.TASK, "7"),
            name=f"Move {record.name} to Harddisk{disk}",
            type=TaskType.MOVE_SUBDISK,
            group=GROUP,
            params=TaskParams(subdisks=(target,)),
            state=TaskState.RUNNING,
            bytes_total=record.length,
            bytes_done=record.length * percent // 100,
        )
        self.edit.put(task)
        return task.ref

    def config(self) -> Config:
        """All of it, settled."""
        return self.edit.result()[0]


def sample_lab() -> Config:
    """A lab with every layout, a moving subdisk, a failing disk, a crowd of small pieces, and a disk of no group."""
    lab = Lab()
    lab.volume("ev", [[(0, 900 * MIB)], [(6, 900 * MIB)]])
    lab.volume("db", [[(1, 512 * MIB), (2, 512 * MIB)]], columns=2)
    lab.volume("web", [[(3, 300 * MIB), (4, 300 * MIB)], [(7, 300 * MIB), (8, 300 * MIB)]], columns=2)
    lab.skip(0, 100 * MIB)
    lab.volume("log", [[(0, 200 * MIB), (1, 700 * MIB)]])
    lab.volume("mail", [[(2, 700 * MIB)], [(9, 700 * MIB)]], last_state=PlexState.STALE)
    for number in range(24):
        lab.volume(f"tiny{number}", [[(5, 3 * MIB)]])
        lab.skip(5, MIB)
    lab.moving(ref(Kind.SUBDISK, "d3-01"), 10, 61)
    config = lab.config()
    edit = Edit(config)
    edit.put(msgspec.structs.replace(config.disk(ref(Kind.DISK, "d9")), failing=True))
    lab.edit = edit
    lab.add_disk(12, 2 * GIB, 1, None)
    return edit.result()[0]


def random_config(seed: int, disks: int = 4, most: int = 40) -> Config:
    """Disks of odd sizes with pieces of all lengths, gaps between some of them."""
    chance = random.Random(seed)
    lab = Lab(0)
    for number in range(disks):
        size = chance.choice([16 * MIB, 100 * MIB, 2 * GIB, 2 * GIB + 512, 3 * GIB // 7])
        disk = lab.add_disk(number, size)
        record = lab.edit.config.disk(disk)
        end = record.public_offset + record.public_length
        for piece in range(chance.randrange(most)):
            if chance.random() < 0.5:
                lab.skip(number, chance.choice([1, 2, 7]) * MIB)
            length = chance.choice([1, 1, 2, 5, 30, 200]) * MIB
            if lab.used[disk] + length > end:
                break
            lab.volume(f"v{number}-{piece}", [[(number, length)]])
    return lab.config()


def large_config(disks: int = 200, pieces: int = 200) -> Config:
    """Many disks with many subdisks each, in volumes of four pieces."""
    lab = Lab(disks, 64 * GIB, 8)
    for number in range(disks * pieces // 4):
        at = [(number * 4 + piece) % disks for piece in range(4)]
        lab.volume(f"vol{number}", [[(disk, 200 * MIB + number % 7 * 8 * MIB) for disk in at]])
    return lab.config()


class StillApi:
    """A front door behind which nothing happens by itself: tests push the changes."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.listener: Listener | None = None
        self.sequence = 1
        self.submitted: list[Command] = []

    def attach(self, listener: Listener) -> Snapshot:
        self.listener = listener
        return Snapshot(HOST, self.sequence, tuple(self.config))

    def detach(self, listener: Listener) -> None:
        self.listener = None

    def plan(self, command: Command) -> Plan:
        return Plan(title="Move Subdisk")

    def submit(self, command: Command, basis: int | None = None) -> Ref:
        self.submitted.append(command)
        return ref(Kind.TASK, "1")

    def close(self) -> None:
        self.listener = None


def open_console(config: Config, folder: Path) -> Console:
    """A console that shows a configuration. `push` changes it; `close` ends it."""
    api = StillApi(config)
    session = Session(EngineBridge(api))
    session.mirror.reset(HOST, config)
    return Console(session, Settings(folder))


def push(console: Console, *records: Record, gone: Iterable[Ref] = (), samples: Iterable[Sample] = ()) -> None:
    """Change records as the engine would: settled, and told in one batch that has arrived when this returns."""
    edit = Edit(console.config)
    for record in records:
        edit.put(record)
    for each in gone:
        edit.drop(each)
    new, touched = edit.result()
    events: list[Event] = []
    for each in sorted(touched):
        record = new.get(each)
        events.append(Upsert(record) if record is not None else Remove(each))
    console.session.bridge.changed.emit(console.mirror.fold([*events, *samples]))


def close_console(console: Console) -> None:
    """End a console of `open_console`."""
    console.session.close()
    console.settings.close()
