"""What is answered together: the FLUSHes of one batch by one call of a sink that can take it, each exactly once."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.dataplane.flusher import Flusher
from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.pool import Pool
from engine.dataplane.request import Op, Request, finish_all
from engine.dataplane.volume_io import VolumeIo
from engine.devices.file import FileDevice
from engine.runtime import ThreadRuntime
from engine.units import KIB, MIB


class Single:
    """A sink that knows one end at a time."""

    def __init__(self) -> None:
        self.ended: list[Request] = []
        self.calls = 0
        self.changed = threading.Condition()

    def finish(self, request: Request, error: int) -> None:
        self._note([request], error)

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.ended) >= count, 60)

    def _note(self, requests: Sequence[Request], error: int) -> None:
        assert error == 0
        with self.changed:
            self.calls += 1
            self.ended += requests
            self.changed.notify_all()


class Gathering(Single):
    def finish_all(self, requests: Sequence[Request], error: int) -> None:
        self._note(requests, error)


@pytest.fixture
def lun(tmp_path: Path) -> FileDevice:
    path = tmp_path / "lun"
    path.write_bytes(bytes(4 * MIB))
    return FileDevice(str(path))


@pytest.mark.parametrize("kind", [Single, Gathering])
def test_flushes_of_a_batch_end_once_each(lun: FileDevice, kind: type[Single]) -> None:
    runtime = ThreadRuntime()
    pool, flusher = Pool(runtime, 1), Flusher(runtime)
    layout = PlexLayout("plex", 1, 0, (Piece(0, 0, lun.size, lun, 0),))
    volume = VolumeIo("v", fold([layout], lun.size), lambda fault: None, pool, flusher, runtime)
    sink, slot = kind(), volume.slot("test")
    batch = [Request(Op.WRITE, 0, 512, memoryview(bytearray(512))), *(Request(Op.FLUSH) for _ in range(15))]
    volume.execute(batch, slot, sink)
    sink.wait(len(batch))
    assert sorted(map(id, sink.ended)) == sorted(map(id, batch))
    assert volume.written == set()
    volume.retire(slot)
    volume.close()
    pool.close()
    flusher.close()
    lun.close()


def test_several_ends_are_one_call_where_the_sink_takes_them() -> None:
    requests = [Request(Op.FLUSH) for _ in range(3)]
    for sink, calls in ((Single(), 3), (Gathering(), 1)):
        finish_all(sink, requests, 0)
        assert sink.ended == requests
        assert sink.calls == calls


@pytest.mark.parametrize("offset", [0, 512, 60 * KIB + 512])
@pytest.mark.parametrize("length", [512, 64 * KIB, 64 * KIB + 512, MIB])
def test_long_writes_go_in_steps_and_arrive_whole(
    lun: FileDevice, monkeypatch: pytest.MonkeyPatch, offset: int, length: int
) -> None:
    sizes: list[int] = []

    def counted(fd: int, data: memoryview, at: int) -> int:
        sizes.append(len(data))
        return os.pwrite(fd, data, at)

    def counted_vector(fd: int, views: Sequence[memoryview], at: int, flags: int = 0) -> int:
        sizes.append(sum(map(len, views)))
        return real(fd, views, at, flags)

    real = os.pwritev
    monkeypatch.setattr("engine.devices.descriptor._pwrite", counted)
    monkeypatch.setattr("os.pwritev", counted_vector)
    data = os.urandom(length)
    lun.write(offset, data)
    assert sum(sizes) == length
    assert max(sizes) <= 64 * KIB
    assert Path(lun.name).read_bytes() == bytes(offset) + data + bytes(lun.size - offset - length)
    lun.close()
