"""A RAID-5 volume against a flat byte array: any requests, columns that fail and are rebuilt, logs that are lost."""

from __future__ import annotations

import errno
import threading
from random import Random
from typing import TYPE_CHECKING

import pytest

from engine.dataplane import raid5_plan
from engine.dataplane.fault import FaultKind
from engine.dataplane.request import Op, Request
from tests.conftest import SOAK
from tests.engine.model_volume import DataPlane, data_plane
from tests.engine.raid5_lab import read, request, write
from tests.engine.raid5_site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEPS = 3_000 if SOAK else 250


@pytest.fixture
def plane() -> Iterator[DataPlane]:
    with data_plane(10) as made:
        yield made


class Model:
    """One client that does any requests in its own part of a volume, and knows what must be there."""

    def __init__(self, site: Site, random: Random, low: int, high: int) -> None:
        self._site = site
        self._random = random
        self._low, self._high = low, high
        self.bytes = bytearray(high - low)

    def step(self) -> None:
        offset = self._random.randrange(self._low, self._high)
        row = self._site.unit * (len(self._site.devices) - 1)
        most = self._random.choice([1, 512, 5000, self._site.unit, row, 5 * row])
        length = self._random.randint(1, min(most, self._high - offset))
        self._do(self._random.random(), offset, length)

    def _do(self, kind: float, offset: int, length: int) -> None:
        volume, runtime = self._site.volume, self._site.plane.runtime
        inside = slice(offset - self._low, offset - self._low + length)
        if kind < 0.5:
            data = self._random.randbytes(length)
            assert write(volume, runtime, offset, data, durable=self._random.random() < 0.1) == 0
            self.bytes[inside] = data
        elif kind < 0.6:
            assert request(volume, runtime, Request(Op.ZERO, offset, length, may_unmap=kind < 0.55)) == 0
            self.bytes[inside] = bytes(length)
        elif kind < 0.65:
            assert request(volume, runtime, Request(Op.FLUSH)) == 0
        else:
            same = read(volume, runtime, offset, length) == self.bytes[inside]
            assert same, f"{length} bytes at {offset} are not what was written"

    def check(self) -> None:
        found = read(self._site.volume, self._site.plane.runtime, self._low, self._high - self._low)
        same = found == self.bytes  # told apart first: comparing them in words would take minutes
        assert same


def trouble(site: Site, random: Random) -> None:
    """Something happens to a column; never to two at once."""
    for device in site.devices:
        device.heal()
    assert request(site.volume, site.plane.runtime, Request(Op.FLUSH)) == 0  # what has struck is decided by then
    gone = site.out | site.filling
    if gone:
        site.rebuild(next(iter(gone)))
        return
    bad = random.randrange(len(site.devices))
    verb = random.choice(["write", "write", "flush", "read"])
    site.devices[bad].fail(verb, "zero", nth=random.randint(1, 6), persistent=True, torn_bytes=random.choice([0, 700]))


def run_model(plane: DataPlane, seed: int, columns: int, unit: int, logs: int, steps: int) -> None:
    random = Random(seed)
    rows = random.randint(5, 12)
    size = (columns - 1) * unit * rows - random.choice([0, 1, 5000])
    site = Site(plane, columns, unit, rows, size=size, logs=logs)
    try:
        for device in plane.memory:
            device.zero(0, 4 << 20, may_unmap=True)
        model = Model(site, random, 0, size)
        for step in range(steps):
            if step % 40 == 39:
                trouble(site, random)
            if step % 90 == 60 and site.log_devices:
                site.log_devices[0].fail("write", persistent=True)
            model.step()
        model.check()
        assert not site.volume.fenced
    finally:
        site.close()
    content, wrong = site.content()
    assert content == model.bytes
    assert not wrong


@pytest.mark.parametrize(("columns", "unit", "logs"), [(3, 4096, 1), (4, 65536, 2), (7, 16384, 1), (5, 8192, 0)])
def test_a_volume_is_a_flat_byte_array(plane: DataPlane, seed: int, columns: int, unit: int, logs: int) -> None:
    run_model(plane, seed, columns, unit, logs, STEPS)


def test_many_clients_beside_a_rebuild(plane: DataPlane, seed: int) -> None:
    site = Site(plane, 4, 16384, 24, logs=1)
    for device in plane.memory:
        device.zero(0, 4 << 20, may_unmap=True)
    share = site.size // 6 // 512 * 512 + 512  # so that clients share rows
    models = [Model(site, Random(seed + n), n * share, min((n + 1) * share, site.size)) for n in range(6)]
    failures: list[BaseException] = []

    def client(model: Model) -> None:
        try:
            for _ in range(60):
                model.step()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=client, args=(model,)) for model in models]
    try:
        for thread in threads:
            thread.start()
        site.out.add(2)
        site.change()
        site.rebuild(2)
        for thread in threads:
            thread.join()
        assert not failures
        for model in models:
            model.check()
    finally:
        site.close()
    content, wrong = site.content()
    assert content == b"".join(model.bytes for model in models)
    assert not wrong


def _old_parity_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = raid5_plan._from_old

    def sloppy(*what: object) -> memoryview:
        return raid5_plan.xor_of([honest(*what), b"\1" * len(honest(*what))])

    monkeypatch.setattr(raid5_plan, "_from_old", sloppy)


def _others_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = raid5_plan._from_others
    monkeypatch.setattr(raid5_plan, "_from_others", lambda *what: honest(*what[:-1], what[-1][:-1]))


@pytest.mark.parametrize("plant", [_old_parity_forgotten, _others_forgotten])
def test_a_planted_bug_is_found(
    plane: DataPlane, seed: int, plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run_model(plane, seed, 5, 8192, 1, STEPS)


# --- single faults ---
def fresh(plane: DataPlane, columns: int = 4, logs: int = 1) -> Site:
    for device in plane.memory:
        device.zero(0, 4 << 20, may_unmap=True)
    return Site(plane, columns, 4096, 8, logs=logs)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_column_that_fails_a_write_is_left_out_before_the_answer(plane: DataPlane, number: int) -> None:
    site = fresh(plane)
    try:
        site.devices[3].fail("write", number=number, persistent=True)
        data = bytes(range(256)) * 16
        for unit in range(6):
            assert write(site.volume, plane.runtime, unit * 4096, data) == 0
        assert site.out == {3}
        assert [(fault.kind, fault.piece, fault.number) for fault in site.faults][:1] == [
            (FaultKind.LEG, "sd3", number)
        ]
        assert read(site.volume, plane.runtime, 0, 6 * 4096) == data * 6
    finally:
        site.close()


def test_a_second_column_that_fails_fences_and_nothing_of_the_row_is_believed(plane: DataPlane) -> None:
    site = fresh(plane)
    try:
        old = b"o" * site.size
        assert write(site.volume, plane.runtime, 0, old) == 0
        site.out.add(0)
        site.change()
        site.devices[3].fail("write", persistent=True)  # parity of row 0, whose first unit lies in the lost column
        assert write(site.volume, plane.runtime, 4096, b"n" * 4096) == errno.EIO
        assert site.volume.fenced
        assert site.out == {0}
        assert [fault.kind for fault in site.faults] == [FaultKind.BROKEN]
        raid5 = site.volume.raid5
        assert raid5 is not None
        assert raid5.broken == (0,)
        assert read(site.volume, plane.runtime, 0, 4096) == errno.EIO
        assert read(site.volume, plane.runtime, 8192, 4096) == old[:4096]
        assert write(site.volume, plane.runtime, 100_000 // 4096 * 4096 - 4096 * 4, b"x") == errno.EIO
    finally:
        site.close()


def test_a_log_copy_that_fails_is_dropped_before_any_leg_is_touched(plane: DataPlane) -> None:
    site = fresh(plane, logs=2)
    try:
        first, second = site.log_devices
        first.fail("write", persistent=True)
        assert write(site.volume, plane.runtime, 0, b"x" * 4096) == 0
        assert site.log_devices == [second]
        assert [(fault.kind, fault.piece) for fault in site.faults] == [(FaultKind.LOG, "log0")]
        second.fail("write", persistent=True)
        assert write(site.volume, plane.runtime, 0, b"y" * 4096) == 0
        assert site.volume.raid5 is not None
        assert site.volume.raid5.log is None
        assert read(site.volume, plane.runtime, 0, 4096) == b"y" * 4096
    finally:
        site.close()


def test_old_bytes_that_cannot_be_read_are_made_from_the_rest_of_the_row(plane: DataPlane) -> None:
    site = fresh(plane)
    try:
        whole = b"".join(bytes([unit]) * 4096 for unit in range(24))
        assert write(site.volume, plane.runtime, 0, whole) == 0
        site.devices[0].fail("read", persistent=True)
        assert write(site.volume, plane.runtime, 0, b"n" * 2048) == 0
        site.devices[0].heal()
        assert not site.faults
        assert read(site.volume, plane.runtime, 0, 8192) == b"n" * 2048 + whole[2048:8192]
    finally:
        site.close()
    content, wrong = site.content()
    assert content == b"n" * 2048 + whole[2048:]
    assert not wrong


def test_above_known_parity_nothing_is_reconstructed(plane: DataPlane) -> None:
    site = fresh(plane)
    try:
        raid5 = site.volume.raid5
        assert raid5 is not None
        assert write(site.volume, plane.runtime, 0, b"x" * site.size) == 0
        raid5.parity_known_to = 2 * 3 * 4096
        site.out.add(1)
        site.change()
        found = [read(site.volume, plane.runtime, unit * 4096, 4096) for unit in range(24)]
        lost = [unit for unit, data in enumerate(found) if data == errno.EIO]
        assert lost
        assert min(lost) >= 6
        assert all(data == b"x" * 4096 for unit, data in enumerate(found) if unit not in lost)
    finally:
        site.close()


def test_a_failed_flush_is_a_failed_column(plane: DataPlane) -> None:
    site = fresh(plane)
    try:
        assert write(site.volume, plane.runtime, 0, b"x" * site.size) == 0
        site.devices[1].fail("flush")
        assert request(site.volume, plane.runtime, Request(Op.FLUSH)) == 0
        assert site.out == {1}
        assert read(site.volume, plane.runtime, 0, site.size) == b"x" * site.size
    finally:
        site.close()
