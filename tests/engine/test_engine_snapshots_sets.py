"""Snapshot sets of a real engine process under a real client: what it writes second is in no set ahead of the first."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import commands as c
from engine.config import Config, Edit
from engine.events import Batch, Remove, Upsert
from engine.records import TASK_ENDED, Kind, Ref, Task, TaskState, Volume
from engine.remote.client import RemoteEngine
from tests.engine.nbd_peer import Client
from tests.engine.service import Service
from tests.figures import publish, table

SETS = 1_000 if os.environ.get("VEA_SOAK") else 25
PATIENCE_S = 120
READ, WRITE = 0, 1
SECTOR = 512
AT = {"a": 0, "b": 1 << 20}


class Front:
    """The front door, and the records behind it as of its last batch."""

    def __init__(self, api: RemoteEngine) -> None:
        self.api = api
        self._changed = threading.Condition()
        self._config = Config()
        with self._changed:
            snapshot = api.attach(self._listen)
            edit = Edit(Config())
            for record in snapshot.records:
                edit.put(record)
            self._config = edit.unsettled()

    def _listen(self, batch: Batch) -> None:
        with self._changed:
            edit = Edit(self._config)
            for event in batch.events:
                if isinstance(event, Upsert):
                    edit.put(event.record)
                elif isinstance(event, Remove):
                    edit.drop(event.ref)
            self._config = edit.unsettled()
            self._changed.notify_all()

    def until(self, reached: Callable[[Config], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: reached(self._config), PATIENCE_S)

    def volume(self, name: str) -> Volume:
        found = next(each for each in self._config.all(Kind.VOLUME, Volume) if each.name == name)
        assert isinstance(found, Volume)
        return found

    def do(self, command: c.Command) -> None:
        """Every task that it has begun has completed."""
        task = self.api.submit(command)

        def ended(config: Config) -> bool:
            record = config.get(task)
            running = (each.state not in TASK_ENDED for each in config.all(Kind.TASK, Task))
            return isinstance(record, Task) and not any(running)

        self.until(ended)
        record = self._config.task(task)
        assert record.state is TaskState.COMPLETED, record.error
        self.api.submit(c.ClearTasks(tasks=tuple(each.ref for each in self._config.all(Kind.TASK, Task))))


class Writer(threading.Thread):
    """Stamps the first volume, and once that is acknowledged the second. `stamp` is the last of both."""

    def __init__(self, socket: Path) -> None:
        super().__init__(name="writer")
        self._clients = {name: Client(socket) for name in AT}
        for name, client in self._clients.items():
            client.go(f"dg1/{name}")
        self._changed = threading.Condition()
        self._over = False
        self.stamp = 0
        self.error = 0

    def run(self) -> None:
        while not self._over and not self.error:
            stamp = self.stamp + 1
            for name, client in self._clients.items():
                error, _ = client.call(WRITE, AT[name], SECTOR, struct.pack("<Q", stamp).ljust(SECTOR, b"\0"))
                self.error = self.error or error
            with self._changed:
                self.stamp = stamp
                self._changed.notify_all()

    def go_on(self) -> None:
        """Until it has written some more."""
        with self._changed:
            wanted = self.stamp + 2
            assert self._changed.wait_for(lambda: self.stamp >= wanted or self.error, PATIENCE_S)
        assert not self.error

    def end(self) -> None:
        self._over = True
        self.join(PATIENCE_S)
        assert not self.is_alive(), "the writer hangs"
        for client in self._clients.values():
            client.link.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    made.create("64m")
    yield made
    made.stop()


@pytest.fixture
def front(service: Service) -> Iterator[Front]:
    api = RemoteEngine.connect(service.folder / "c")
    assert api is not None
    yield Front(api)
    api.close()


@pytest.fixture
def writer(service: Service, front: Front) -> Iterator[Writer]:
    for name in AT:
        service.make(name, "4m")
    front.until(lambda config: len(serving(config)) == len(AT))
    for name in AT:
        front.do(c.PrepareSnapshot(volume=front.volume(name).ref))
    made = Writer(service.folder / "n")
    made.start()
    yield made
    made.end()


def serving(config: Config) -> dict[str, Ref]:
    """Volumes that clients can connect to, of those that this is about."""
    names = {name for each in AT for name in (each, f"snap-{each}")}
    volumes = (each for each in config.all(Kind.VOLUME, Volume) if each.serving and each.size and each.name in names)
    return {each.name: each.ref for each in volumes}


def stamp_of(service: Service, name: str) -> int:
    with Client(service.folder / "n") as client:
        client.go(f"dg1/snap-{name}")
        error, data = client.call(READ, AT[name], SECTOR)
        assert not error
        client.ask(2, 78)  # NBD_CMD_DISC
        return int(struct.unpack_from("<Q", data)[0])


@pytest.mark.timeout(4 * 3600 if SETS > 25 else 600)
def test_in_no_set_of_many_is_the_second_volume_ahead(service: Service, front: Front, writer: Writer) -> None:
    before = 0
    for _ in range(SETS):
        writer.go_on()
        choices = tuple(c.SnapChoice(front.volume(name).ref, name=f"snap-{name}") for name in AT)
        front.do(c.TakeSnapshots(choices=choices))
        front.until(lambda config: len(serving(config)) == 2 * len(AT))
        first, second = (stamp_of(service, name) for name in AT)
        assert first - 1 <= second <= first, "the second is not as old as its acknowledgement allows"
        assert second > before, "what had been acknowledged before the last set is in this one"
        before = second
        snapshots = tuple(front.volume(f"snap-{name}").ref for name in AT)
        front.do(c.SnapBack(snapshots=snapshots, force=True))
    columns = (
        "snapshot sets of two volumes under a writer",
        "stamps written meanwhile",
        "second volume ahead of the first",
    )
    publish("snapshot sets", table(columns, [(SETS, before, 0)]))
