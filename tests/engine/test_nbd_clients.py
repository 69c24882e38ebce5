"""Clients that leave in the middle, never listen, ask for too much at once, and what that costs the others: nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from engine.dataplane.request import Op, Request
from tests.engine.nbd_peer import MIB, REQUEST, Client, MemoryVolume, Served, assert_serves, serving

READ, WRITE, DISC, FLUSH = range(4)
PATTERN = bytes(Random(7).randbytes(MIB))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    volume = MemoryVolume(4 * MIB)
    volume.put(0, PATTERN)
    with serving(tmp_path, volume) as served:
        yield served


@pytest.mark.parametrize("length", [40, 70_000])
def test_of_a_write_that_breaks_off_nothing_is_applied(served: Served, length: int) -> None:
    whole = REQUEST.pack(0x25609513, 0, WRITE, 1, 8192, length) + bytes(length)
    cuts = range(len(whole)) if length < 100 else (27, 28, 29, 4095, 65535, 65536, 65563, 65564, len(whole) - 1)
    for cut in cuts:
        with Client(served.path) as client:
            client.go()
            client.link.sendall(whole[:cut])
    served.shelf.wait_closed(len(cuts))
    assert served.volume.content(0, MIB) == PATTERN
    assert not any(op is Op.WRITE for op, *_ in served.volume.served)


def test_disconnecting_finishes_what_is_outstanding_and_flushes(tmp_path: Path) -> None:
    volume = MemoryVolume(MIB, defer=lambda request: request.op is Op.WRITE)
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go()
        client.ask(WRITE, 1, 0, 4, b"last")
        client.ask(DISC, 2)
        volume.let_one_end()
        assert client.answer() == (1, 0, b"")
        assert client.is_dropped()
        served.shelf.wait_closed(1)
        assert volume.content(0, 4) == b"last"
        assert [op for op, *_ in volume.served] == [Op.WRITE, Op.FLUSH]
        assert volume.slots == volume.released


def test_nothing_after_a_disconnect_is_done(served: Served) -> None:
    with Client(served.path) as client:
        client.go()
        disc = REQUEST.pack(0x25609513, 0, DISC, 2, 0, 0)
        client.link.sendall(disc + REQUEST.pack(0x25609513, 0, WRITE, 3, 0, 4) + b"evil")
        assert client.is_dropped()
        served.shelf.wait_closed(1)
    assert served.volume.content(0, MIB) == PATTERN


def test_a_client_that_leaves_with_requests_under_way_is_waited_for(tmp_path: Path) -> None:
    volume = MemoryVolume(4 * MIB, defer=lambda request: request.op is not Op.FLUSH)
    with serving(tmp_path, volume) as served:
        with Client(served.path) as client:
            client.go()
            client.ask(READ, 1, 0, MIB)
            client.ask(WRITE, 2, 0, 4096, PATTERN[:4096])
            volume.wait_deferred(2)
        assert not volume.released
        assert len(served.server.clients()) == 1
        volume.let_one_end()
        volume.let_one_end()
        served.shelf.wait_closed(1)
        assert volume.content(0, 4096) == PATTERN[:4096]


@pytest.mark.parametrize("late", [False, True])
def test_a_client_that_never_reads_blocks_only_itself(tmp_path: Path, late: bool) -> None:
    volume = MemoryVolume(64 * MIB, defer=lambda request: late and request.offset >= 4096, workers=2)
    with serving(tmp_path, volume) as served, Client(served.path) as deaf:
        deaf.go()
        deaf.link.setblocking(False)
        asked = REQUEST.pack(0x25609513, 0, READ, 1, 8192, 65536) + REQUEST.pack(0x25609513, 0, READ, 1, 8192, MIB)
        with contextlib.suppress(BlockingIOError):
            while True:
                deaf.link.send(asked)
        assert_serves(served)
        with Client(served.path) as other:
            other.go()
            for _ in range(50):
                assert other.call(READ, MIB, 100_000) == (0, bytes(100_000))
        assert len(volume.waiting) < 2000


def test_unfinished_requests_of_one_client_are_bounded(tmp_path: Path) -> None:
    volume = MemoryVolume(64 * MIB, defer=lambda request: request.op is Op.READ)
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go()
        client.lengths = dict.fromkeys(range(400), MIB)
        stream = b"".join(REQUEST.pack(0x25609513, 0, READ, n, 0, MIB) for n in range(400))
        client.link.sendall(stream)
        volume.wait_deferred(60)
        assert_other_client_gets_through(served)
        assert len(volume.waiting) <= 64
        for _ in range(400):
            volume.let_one_end()
            client.answer()


def assert_other_client_gets_through(served: Served) -> None:
    with Client(served.path) as other:
        other.go()
        assert other.call(FLUSH) == (0, b"")


def test_a_flush_on_one_connection_follows_writes_on_another(served: Served) -> None:
    with Client(served.path) as one, Client(served.path) as two, Client(served.path) as three:
        for client in (one, two, three):
            client.go()
        for turn in range(50):
            payload = turn.to_bytes(4, "big") * 128
            assert one.call(WRITE, 512 * turn, 512, payload) == (0, b"")
            assert two.call(FLUSH) == (0, b"")
            assert three.call(READ, 512 * turn, 512) == (0, payload)
        served_ops = [op for op, *_ in served.volume.served]
        assert served_ops == [Op.WRITE, Op.FLUSH, Op.READ] * 50


def test_a_fault_of_the_volumes_own_code_costs_one_connection(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    def broken(request: Request) -> int:
        if request.offset == 4096:
            raise ValueError("planted")
        return 0

    with serving(tmp_path, MemoryVolume(MIB, fail=broken)) as served:
        with Client(served.path) as client:
            client.go()
            expect_log("nbd-client-1 dropped for an error of our own")
            client.ask(READ, 1, 4096, 512)
            assert client.is_dropped()
        assert_serves(served)
        served.shelf.wait_closed(2)
        assert served.volume.slots == served.volume.released
