"""The engine under test: a process of its own on a lab of its own, asked through its control socket."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.commands import (
    AddMirrors,
    Command,
    CreateGroup,
    CreateVolume,
    GrowVolume,
    LogType,
    RemoveMirrors,
    ThrottleTask,
)
from engine.errors import CommandRejected
from engine.events import Batch, Upsert
from engine.lab import Lab, create_lab, mark_furnished
from engine.records import AnyRecord, Disk, Group, Plex, Ref, Subdisk, Task, TaskState, TaskType, Volume
from engine.remote.client import RemoteEngine
from engine.units import MIB
from tests.bench.place import Place, line_of

TASK_S = 900.0
GROUP = "bench"
_SERVICE = [sys.executable, "-m", "engine.cli.vxsvc"]


class Product:
    """One engine, its group of all LUNs, and what was made on it. LUNs have `lun_size` bytes."""

    def __init__(self, place: Place, name: str, lun_size: int, luns: int = 2, program: list[str] | None = None) -> None:
        folder = place.folder_for(name)
        lab, self._socket, self._nbd = folder / "lab", folder / "c", folder / "n"
        mark_furnished(lab, create_lab(lab, Lab(arrays=2, luns=luns // 2, lun_size=lun_size)))
        places = ["--lab", str(lab), "--state", str(folder / "state"), "--socket", str(self._socket)]
        self._place, self._words = place, [*(program or _SERVICE), *places, "--nbd", str(self._nbd)]
        self._begin()
        self.disks = [record for record in self.records() if isinstance(record, Disk)]
        self.do(CreateGroup(name=GROUP, disks=tuple(disk.ref for disk in self.disks)))
        self.group = next(record.ref for record in self.records() if isinstance(record, Group))

    def _begin(self) -> None:
        self.process: subprocess.Popen[str] = self._place.start(self._words)
        line_of(self.process, "ready")
        found = RemoteEngine.connect(self._socket)
        assert found is not None, "an engine that says it is ready has no control socket"
        self.api = found

    def close(self) -> None:
        """Leave it; the process ends with the place."""
        self.api.close()

    def crash(self) -> None:
        """Kill the process, and start it again on the same lab."""
        self.api.close()
        self.process.kill()
        self.process.wait()
        self._begin()

    def settle(self, name: str) -> None:
        """Wait until no region of a volume is dirty that was written just now: what is told of that comes later."""
        for dirty in (True, False):
            self._wait_for_dirty(name, dirty)

    def _wait_for_dirty(self, name: str, dirty: bool) -> None:
        def holds(record: AnyRecord) -> bool:
            return isinstance(record, Volume) and record.name == name and bool(record.dirty_bytes) is dirty

        with _Watch(self.api) as watch:
            watch.wait(holds)

    def recovered(self, name: str) -> Task:
        """The resynchronization of a volume after a crash, once it has ended."""
        volume = self.volume(name).ref
        with _Watch(self.api) as watch:
            found = watch.wait(lambda record: isinstance(record, Task) and record.object == volume and _is_copy(record))
        assert isinstance(found, Task)
        return found

    @contextmanager
    def rebuilds(self, name: str) -> Iterator[Callable[[], Task]]:
        """What it gives waits for the end of the first rebuild of a volume that begins from now on."""
        volume = self.volume(name).ref
        before = {record.ref for record in self.records()}

        def ended(record: AnyRecord) -> bool:
            if not isinstance(record, Task) or record.ref in before or record.type is not TaskType.REBUILD:
                return False
            return record.object == volume and record.ended

        def wait() -> Task:
            found = watch.wait(ended)
            assert isinstance(found, Task)
            if found.state is not TaskState.COMPLETED:
                raise RuntimeError(f"{found.name} {found.state}: {found.result}")
            return found

        with _Watch(self.api) as watch:
            yield wait

    def rest(self) -> None:
        """Wait until no task is under way."""
        for record in self.records():
            if isinstance(record, Task) and not record.ended:
                with _Ends(self.api) as ends:
                    ends.wait(record.ref)

    def records(self) -> tuple[AnyRecord, ...]:
        """Everything there is now."""
        listener: Callable[[Batch], None] = lambda _: None  # noqa: E731
        snapshot = self.api.attach(listener)
        self.api.detach(listener)
        return snapshot.records

    def do(self, command: Command, *, iodelay_ms: int = 0) -> Task:
        """Submit and wait for a good end."""
        with _Ends(self.api) as ends:
            ref = self.api.submit(command)
            if iodelay_ms:
                self.api.submit(ThrottleTask(task=ref, iodelay_ms=iodelay_ms))
            task = ends.wait(ref)
        if task.state is not TaskState.COMPLETED:
            raise RuntimeError(f"{task.name} {task.state}: {task.result}")
        return task

    def volume(self, name: str) -> Volume:
        return next(found for found in self.records() if isinstance(found, Volume) and found.name == name)

    def make(self, name: str, size: int, disks: list[Disk], mirrors: int = 1, log: LogType = LogType.DEFAULT) -> Volume:
        chosen = tuple(disk.ref for disk in disks)
        self.do(CreateVolume(group=self.group, name=name, size=size, mirrors=mirrors, disks=chosen, log=log))
        return self.volume(name)

    def make_scattered(self, name: str, size: int, extents: int, disks: list[Disk]) -> Volume:
        """A volume with a plex on each of these disks, which has so many subdisks there, with gaps between them."""
        piece, count, chosen = size // extents, len(disks), tuple(disk.ref for disk in disks)
        volume, gaps = self.make(name, piece, disks, count), self.make(f"{name}-gaps", MIB, disks, count)
        for number in range(2, extents + 1):
            self.do(GrowVolume(volume=volume.ref, size=number * piece, disks=chosen))
            self.do(GrowVolume(volume=gaps.ref, size=number * MIB, disks=chosen))
        pieces = sum(isinstance(record, Subdisk) for record in self.of(volume))
        if pieces != extents * count:
            raise RuntimeError(f"{name} has {pieces} subdisks instead of {extents * count}")
        return self.volume(name)

    def of(self, volume: Volume) -> list[Plex | Subdisk]:
        """The plexes and subdisks of a volume."""
        plexes = [found for found in self.records() if isinstance(found, Plex) and found.volume == volume.ref]
        refs = {plex.ref for plex in plexes}
        return [*plexes, *(found for found in self.records() if isinstance(found, Subdisk) and found.plex in refs)]

    def uri(self, volume: str) -> str:
        return f"nbd+unix:///{GROUP}/{volume}?socket={self._nbd}"

    def lun_files(self) -> list[Path]:
        return [Path(disk.lun) for disk in self.disks]

    def add_mirror(self, volume: Volume, disk: Disk, *, iodelay_ms: int = 0) -> Task:
        return self.do(AddMirrors(volume=volume.ref, disks=(disk.ref,)), iodelay_ms=iodelay_ms)

    def drop_mirror(self, volume: Volume) -> None:
        """Back to the first plex."""
        plexes = sorted((found for found in self.of(volume) if isinstance(found, Plex)), key=lambda plex: plex.name)
        self.do(RemoveMirrors(plexes=tuple(plex.ref for plex in plexes[1:])))

    @contextmanager
    def resyncing(self, volume: Volume, disk: Disk, iodelay_ms: int = 0) -> Iterator[None]:
        """A new mirror of the volume is being filled all the time; full ones are dropped and made anew."""
        over, begun = threading.Event(), threading.Event()
        failures: list[Exception] = []

        def turns() -> None:
            try:
                while not over.is_set():
                    begun.set()
                    self.add_mirror(volume, disk, iodelay_ms=iodelay_ms)
                    self.drop_mirror(volume)
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=turns, name="resyncs")
        thread.start()
        try:
            begun.wait()
            yield
        finally:
            over.set()
            self._hurry()
            thread.join()
        if failures:
            raise failures[0]

    def _hurry(self) -> None:
        """What still runs is to end soon."""
        for record in self.records():
            if isinstance(record, Task) and not record.ended and record.iodelay_ms:
                try:
                    self.api.submit(ThrottleTask(task=record.ref, iodelay_ms=0))
                except CommandRejected:
                    continue  # it has ended meanwhile


class _Ends:
    """Hears how tasks end."""

    def __init__(self, api: RemoteEngine) -> None:
        self._api = api
        self._changed = threading.Condition()
        self._ended: dict[Ref, Task] = {}

    def __enter__(self) -> _Ends:
        self._note(self._api.attach(self._hear).records)
        return self

    def __exit__(self, *_: object) -> None:
        self._api.detach(self._hear)

    def wait(self, ref: Ref) -> Task:
        with self._changed:
            if not self._changed.wait_for(lambda: ref in self._ended, TASK_S):
                raise RuntimeError(f"task {ref.id} has not ended within {TASK_S:.0f} s")
            return self._ended[ref]

    def _hear(self, batch: Batch) -> None:
        self._note(tuple(event.record for event in batch.events if isinstance(event, Upsert)))

    def _note(self, records: tuple[AnyRecord, ...]) -> None:
        with self._changed:
            self._ended.update((record.ref, record) for record in records if isinstance(record, Task) and record.ended)
            self._changed.notify_all()


class _Watch:
    """Waits for a record, also one that is there already."""

    def __init__(self, api: RemoteEngine) -> None:
        self._api = api
        self._changed = threading.Condition()
        self._records: dict[Ref, AnyRecord] = {}

    def __enter__(self) -> _Watch:
        self._note(self._api.attach(self._hear).records)
        return self

    def __exit__(self, *_: object) -> None:
        self._api.detach(self._hear)

    def wait(self, holds: Callable[[AnyRecord], bool]) -> AnyRecord:
        def found() -> AnyRecord | None:
            return next((record for record in self._records.values() if holds(record)), None)

        with self._changed:
            if not self._changed.wait_for(lambda: found() is not None, TASK_S):
                raise RuntimeError(f"what was waited for has not come within {TASK_S:.0f} s")
            record = found()
        assert record is not None
        return record

    def _hear(self, batch: Batch) -> None:
        self._note(tuple(event.record for event in batch.events if isinstance(event, Upsert)))

    def _note(self, records: tuple[AnyRecord, ...]) -> None:
        with self._changed:
            self._records.update((record.ref, record) for record in records)
            self._changed.notify_all()


def _is_copy(task: Task) -> bool:
    return task.type is TaskType.RESYNC and task.ended


LUN_OVERHEAD = 64 * MIB
"""Label, private region and rounding of one LUN, generously."""
