"""Requests and answers: what each command does, what is refused and how, in order and out of order."""

from __future__ import annotations

import errno
import itertools
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from engine.dataplane.request import Op
from engine.export.source import Extent
from tests.engine.nbd_peer import (
    MIB,
    REQUEST,
    Client,
    MappedVolume,
    MemoryVolume,
    Served,
    assert_serves,
    serving,
)

READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO = 1, 2, 4, 8, 16
SIZE = 96 * MIB
PATTERN = bytes(Random(7).randbytes(MIB))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    volume = MemoryVolume(SIZE)
    volume.put(0, PATTERN)
    volume.put(SIZE - MIB, PATTERN)
    with serving(tmp_path, volume) as served:
        yield served


@pytest.fixture(params=[False, True], ids=["simple", "structured"])
def client(served: Served, request: pytest.FixtureRequest) -> Iterator[Client]:
    with Client(served.path) as client:
        client.go(structured=request.param, allocation=request.param)
        yield client


@pytest.mark.parametrize("length", [1, 511, 512, 4096, 65535, 65536, 65537, MIB - 7, MIB])
def test_a_read_brings_the_bytes_of_the_volume(client: Client, served: Served, length: int) -> None:
    for offset in (0, 3, SIZE - length):
        assert client.call(READ, offset, length) == (0, served.volume.content(offset, length))


@pytest.mark.parametrize("length", [1, 512, 4096, 65536, 65537, 262144 - 28, 262144, MIB + 1, 32 * MIB])
def test_a_write_reaches_the_volume_and_nothing_else(client: Client, served: Served, length: int) -> None:
    for offset in (5, SIZE - length):
        before, after = served.volume.content(0, offset), served.volume.content(offset + length)
        payload = Random(length).randbytes(length)
        assert client.call(WRITE, offset, length, payload) == (0, b"")
        assert served.volume.content(offset, length) == payload
        assert served.volume.content(0, offset) == before
        assert served.volume.content(offset + length) == after


def test_the_largest_payload_is_read(client: Client, served: Served) -> None:
    assert client.call(READ, SIZE - 32 * MIB, 32 * MIB) == (0, served.volume.content(SIZE - 32 * MIB, 32 * MIB))


def test_flags_reach_the_volume(client: Client, served: Served) -> None:
    client.call(WRITE, 0, 512, bytes(512), flags=FUA)
    client.call(WRITE, 0, MIB, bytes(MIB), flags=FUA)
    client.call(WRITE, 0, 512, bytes(512))
    client.call(TRIM, 0, 512, flags=FUA)
    client.call(ZEROES, 0, 512)
    client.call(ZEROES, 0, 512, flags=NO_HOLE | FUA)
    client.call(FLUSH, flags=FUA)
    assert client.call(READ, 0, 1, flags=FUA)[0] == 0
    assert client.call(READ, 0, MIB, flags=FUA)[0] == 0
    assert served.volume.served == [
        (Op.WRITE, 0, 512, True, True),
        (Op.WRITE, 0, MIB, True, True),
        (Op.WRITE, 0, 512, False, True),
        (Op.DISCARD, 0, 512, True, True),
        (Op.ZERO, 0, 512, False, True),
        (Op.ZERO, 0, 512, True, False),
        (Op.FLUSH, 0, 0, False, True),
        (Op.READ, 0, 1, False, True),
        (Op.READ, 0, MIB, False, True),
    ]


@pytest.mark.parametrize("command", [TRIM, ZEROES])
def test_zeroing_and_trimming_may_be_longer_than_any_payload(client: Client, served: Served, command: int) -> None:
    assert client.call(command, 0, SIZE) == (0, b"")
    assert not any(served.volume.content(0, MIB) + served.volume.content(SIZE - MIB))


@pytest.mark.parametrize("flags", [DF, DF | FUA])
def test_df_needs_structured_replies(client: Client, served: Served, flags: int) -> None:
    expected = (0, served.volume.content(9, 70_000)) if client.structured else (22, b"")
    assert client.call(READ, 9, 70_000, flags=flags) == expected
    assert client.call(READ, 9, 7, flags=flags)[0] == (0 if client.structured else 22)


REFUSED = [
    (READ, SIZE, 1, 0, 22),
    (READ, SIZE - 1, 2, 0, 22),
    (READ, 2**64 - 1, 2, 0, 22),
    (READ, 0, 0, 0, 22),
    (READ, 0, 1, NO_HOLE, 22),
    (READ, 0, 1, 1 << 15, 22),
    (READ, 0, 32 * MIB + 1, 0, 22),
    (READ, 0, 2**32 - 1, 0, 22),
    (WRITE, SIZE, 1, 0, 28),
    (WRITE, SIZE - 1, 2, 0, 28),
    (WRITE, SIZE - 1, 70_000, 0, 28),
    (WRITE, 2**64 - 1, 300_000, 0, 28),
    (WRITE, 0, 0, 0, 22),
    (WRITE, 0, 1000, DF, 22),
    (WRITE, 0, 300_000, NO_HOLE, 22),
    (WRITE, 0, 32 * MIB + 1, 0, 22),
    (WRITE, 0, 64 * MIB, 0, 22),
    (TRIM, SIZE, 1, 0, 22),
    (TRIM, 1, SIZE, 0, 22),
    (TRIM, 0, 0, 0, 22),
    (TRIM, 0, 1, NO_HOLE, 22),
    (ZEROES, SIZE, 1, 0, 28),
    (ZEROES, 1, 2**32 - 1, 0, 28),
    (ZEROES, 0, 0, 0, 22),
    (ZEROES, 0, 1, FAST_ZERO, 22),
    (ZEROES, 0, 1, DF, 22),
    (FLUSH, 1, 0, 0, 22),
    (FLUSH, 0, 1, 0, 22),
    (FLUSH, 0, 0, NO_HOLE, 22),
    (CACHE, 0, 4096, 0, 22),
    (STATUS, 0, 0, 0, 22),
    (STATUS, SIZE, 1, 0, 22),
    (STATUS, SIZE - 1, 2, 0, 22),
    (STATUS, 0, 2**32 - 1, 0, 22),
    (STATUS, 0, 1, DF, 22),
    (8, 0, 4096, 0, 22),
    (65535, 0, 4096, 0, 22),
]


@pytest.mark.parametrize(("command", "offset", "length", "flags", "error"), REFUSED)
def test_a_refusal_changes_nothing_and_the_stream_stays_in_step(
    client: Client, served: Served, command: int, offset: int, length: int, flags: int, error: int
) -> None:
    payload = b"\x25\x60\x95\x13" * (length // 4 + 1) if command == WRITE else b""
    before = served.volume.content(0, MIB)
    client.ask(command, 1, offset, length, payload[:length], flags=flags)
    client.ask(READ, 2, 0, 16)
    assert client.answer() == (1, error, b"")
    assert client.answer() == (2, 0, PATTERN[:16])
    assert served.volume.content(0, MIB) == before
    assert served.volume.served == [(Op.READ, 0, 16, False, True)]


def test_every_refusal_in_one_send_is_answered_in_order(client: Client) -> None:
    small = [row for row in REFUSED if not (row[0] == WRITE and row[2] > MIB)]
    for cookie, (command, offset, length, flags, _) in enumerate(small):
        client.ask(command, cookie, offset, length, bytes(length) if command == WRITE else b"", flags=flags)
    assert [client.answer()[:2] for _ in small] == [(cookie, row[4]) for cookie, row in enumerate(small)]


def test_a_payload_of_more_than_twice_the_maximum_hangs_up(client: Client, served: Served) -> None:
    client.ask(WRITE, 1, 0, 64 * MIB + 1)
    assert client.is_dropped()
    assert_serves(served)


def test_a_wrong_magic_hangs_up(client: Client, served: Served) -> None:
    client.link.sendall(REQUEST.pack(0x25609514, 0, READ, 1, 0, 512))
    assert client.is_dropped()
    assert_serves(served)


def test_a_read_only_export_refuses_changes(tmp_path: Path) -> None:
    with serving(tmp_path, MemoryVolume(MIB), read_only=True) as served, Client(served.path) as client:
        assert struct.unpack(">QH", client.go()[0]) == (MIB, 0x10F)
        for command in (WRITE, TRIM, ZEROES):
            assert client.call(command, 0, 512, bytes(512) if command == WRITE else b"")[0] == 1
        assert client.call(WRITE, 0, 300_000, bytes(300_000))[0] == 1
        assert client.call(FLUSH)[0] == 0
        assert client.call(READ, 0, 512) == (0, bytes(512))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize(
    ("number", "wire"), [(errno.EIO, 5), (errno.ENOSPC, 28), (errno.ESHUTDOWN, 108), (errno.ENXIO, 5)]
)
def test_an_error_of_the_volume_is_told_and_no_byte_with_it(
    tmp_path: Path, late: bool, structured: bool, number: int, wire: int
) -> None:
    volume = MemoryVolume(
        4 * MIB, fail=lambda request: number * (request.offset >= MIB), defer=lambda _: late, workers=1
    )
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go(structured=structured)
        for command in (READ, WRITE, TRIM, ZEROES):
            for length in (1, 4096, 70_000, MIB):
                payload = bytes(length) if command == WRITE else b""
                assert client.call(command, MIB, length, payload) == (wire, b"")
                assert client.call(command, 0, length, payload)[0] == 0


def test_good_and_failed_requests_of_one_batch_are_told_apart(tmp_path: Path) -> None:
    volume = MemoryVolume(MIB, fail=lambda request: errno.EIO * (request.offset // 4096 % 3 == 1))
    volume.put(0, PATTERN)
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go(structured=True)
        requests = b""
        for cookie in range(60):
            client.lengths[cookie] = 4096
            requests += REQUEST.pack(0x25609513, 0, READ, cookie, cookie * 4096, 4096)
        client.link.sendall(requests)
        for cookie in range(60):
            expected = (cookie, 5, b"") if cookie % 3 == 1 else (cookie, 0, PATTERN[cookie * 4096 :][:4096])
            assert client.answer() == expected


# Block status


def test_without_knowledge_everything_is_data(client: Client) -> None:
    expected = (0, struct.pack(">III", 1, SIZE, 0)) if client.structured else (22, b"")
    assert client.call(STATUS, 0, SIZE) == expected


def test_status_needs_its_context(served: Served) -> None:
    with Client(served.path) as client:
        client.go(structured=True)
        assert client.call(STATUS, 0, 4096) == (22, b"")


def test_extents_are_clipped_to_what_was_asked(tmp_path: Path) -> None:
    volume = MappedVolume(8 * 1024 * MIB)
    volume.extents = [Extent(4096, True, True), Extent(4096, False, False), Extent(6 * 1024 * MIB, True, False)]
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go(structured=True, allocation=True)
        for length in (2**32 - 1, 2**32 - 512):
            body = client.call(STATUS, volume.size - length, length)[1]
            assert struct.unpack(">7I", body) == (1, 4096, 3, 4096, 0, length - 8192, 1)
        assert client.call(STATUS, 0, 2**32 - 1, flags=REQ_ONE)[1] == struct.pack(">3I", 1, 4096, 3)
        assert client.call(STATUS, 0, 100, flags=REQ_ONE)[1] == struct.pack(">3I", 1, 100, 3)


def test_many_extents_are_told_a_part_at_a_time(tmp_path: Path) -> None:
    volume = MappedVolume(8 * MIB)
    volume.extents = [Extent(512, bool(number % 2), False) for number in range(16384)]
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go(structured=True, allocation=True)
        for cookie in range(40):  # more than one batch of answers
            client.ask(STATUS, cookie, 0, 8 * MIB)
        for cookie in range(40):
            answer = client.answer()
            assert answer.cookie == cookie
            assert len(answer.body) == 4 + 8 * 4096


# Pipelines


@pytest.mark.parametrize("structured", [False, True])
def test_ten_thousand_requests_in_a_row_are_all_answered(served: Served, structured: bool) -> None:
    random = Random(1)
    with Client(served.path) as client:
        client.go(structured=structured)
        offsets = [random.randrange(MIB - 600) for _ in range(10_000)]
        client.lengths = dict.fromkeys(range(10_000), 600)
        stream = b"".join(REQUEST.pack(0x25609513, 0, READ, n, at, 600) for n, at in enumerate(offsets))
        sender = threading.Thread(target=client.link.sendall, args=(stream,))
        sender.start()
        try:
            for number, at in enumerate(offsets):
                assert client.answer() == (number, 0, PATTERN[at : at + 600])
        finally:
            sender.join()


def _random_stream(random: Random) -> bytes:
    """Requests of every kind and length, a quarter of them wrong, and a DISC."""
    stream = b""
    for cookie in range(250):
        command = random.choice((READ, READ, READ, WRITE, WRITE, WRITE, FLUSH, TRIM, CACHE, ZEROES, STATUS, 99))
        length = random.choice((0, 1, 512, 600, 4096, 65536, 65537, 130_000, 300_000))
        offset = random.choice((0, 5, 4096, MIB, SIZE - 600, SIZE - 4096, SIZE, 2**64 - 1))
        flags = random.choice((0, 0, 0, FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO))
        if command == FLUSH and random.random() < 0.7:
            offset = length = 0
        stream += REQUEST.pack(0x25609513, flags, command, cookie, offset, length)
        stream += random.randbytes(length) if command == WRITE else b""
    return stream + REQUEST.pack(0x25609513, 0, DISC, 0, 0, 0)


def _said(client: Client, pieces: list[bytes]) -> bytes:
    def send() -> None:
        for piece in pieces:
            client.link.sendall(piece)

    sender = threading.Thread(target=send)
    sender.start()
    said = bytearray()
    while piece := client.link.recv(MIB):
        said += piece
    sender.join()
    return bytes(said)


@pytest.mark.parametrize("structured", [False, True])
def test_however_a_stream_is_cut_the_answers_are_the_same(tmp_path: Path, seed: int, structured: bool) -> None:
    random = Random(seed)
    stream = _random_stream(random)
    cuts = sorted(random.randrange(len(stream)) for _ in range(3000))
    few = sorted(random.randrange(len(stream)) for _ in range(20))
    outcomes = []
    for edges in ([], few, cuts, range(0, len(stream), 28), range(0, len(stream), 65536)):
        bounds = [0, *edges, len(stream)]
        pieces = [stream[start:end] for start, end in itertools.pairwise(bounds)]
        with serving(tmp_path, MemoryVolume(SIZE)) as served, Client(served.path) as client:
            client.go(structured=structured, allocation=structured)
            outcomes.append((_said(client, pieces), served.volume.content(), served.volume.served))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert len(outcomes[0][0]) > MIB


def test_a_cookie_in_use_may_come_again(served: Served) -> None:
    with Client(served.path) as client:
        client.go()
        client.link.sendall(REQUEST.pack(0x25609513, 0, READ, 5, 0, 8) + REQUEST.pack(0x25609513, 0, FLUSH, 5, 0, 0))
        assert client.take(24) == struct.pack(">IIQ", 0x67446698, 0, 5) + PATTERN[:8]
        assert client.take(16) == struct.pack(">IIQ", 0x67446698, 0, 5)


@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_random_requests_in_any_order_of_ending_match_a_byte_array(
    tmp_path: Path, seed: int, share: float, structured: bool
) -> None:
    """Each slot of the volume has at most one request under way, so its content is known whatever ends first."""
    dice, random = Random(seed), Random(seed + 1)
    volume = MemoryVolume(64 * 200_000, defer=lambda _: dice.random() < share, workers=3, seed=seed)
    model = bytearray(volume.size)
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go(structured=structured)
        under_way: dict[int, tuple[int, int, int]] = {}
        expected: dict[int, bytes] = {}
        for cookie in range(1500):
            free = sorted(set(range(64)) - {slot for slot, _, _ in under_way.values()})
            while not free or (under_way and random.random() < 0.3):
                _take_one(client, under_way, expected)
                free = sorted(set(range(64)) - {slot for slot, _, _ in under_way.values()})
            slot = random.choice(free)
            command = random.choice((READ, READ, WRITE, WRITE, TRIM, ZEROES, FLUSH))
            length = random.choice((1, 512, 4096, 4096, 30_000, 65536, 65537, 180_000))
            offset = slot * 200_000 + random.randrange(200_000 - length)
            payload = b""
            if command == READ:
                expected[cookie] = bytes(model[offset : offset + length])
            elif command == FLUSH:
                offset = length = 0
            else:
                payload = random.randbytes(length) if command == WRITE else b""
                model[offset : offset + length] = payload or bytes(length)
            client.ask(command, cookie, offset, length, payload)
            under_way[cookie] = (slot, command, length)
        while under_way:
            _take_one(client, under_way, expected)
        assert volume.content() == model


def _take_one(client: Client, under_way: dict[int, tuple[int, int, int]], expected: dict[int, bytes]) -> None:
    answer = client.answer()
    del under_way[answer.cookie]
    assert answer.error == 0
    assert answer.body == expected.pop(answer.cookie, b"")


def test_an_unfinished_request_holds_up_no_other(tmp_path: Path) -> None:
    volume = MemoryVolume(16 * MIB, defer=lambda request: request.offset == 0 and request.op is not Op.FLUSH)
    volume.put(0, PATTERN)
    volume.put(4 * MIB, PATTERN)
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go(structured=True)
        payload = Random(3).randbytes(4096)
        client.ask(READ, 1, 0, 4096)
        client.ask(WRITE, 2, 0, 4096, payload)
        client.ask(READ, 3, 0, MIB)
        for cookie in range(100, 1100):  # enough to go around every buffer that isn't in use
            assert client.call(READ, 4 * MIB + cookie, 4096) == (0, PATTERN[cookie : cookie + 4096])
            assert client.call(WRITE, 8 * MIB, 4096, bytes(4096)) == (0, b"")
        for expected in ((1, 0, PATTERN[:4096]), (2, 0, b""), (3, 0, payload + PATTERN[4096:])):
            volume.let_one_end()
            assert client.answer() == expected
        assert volume.content(0, 4096) == payload


def test_a_request_that_ends_at_the_very_moment_its_batch_does_is_answered_once(tmp_path: Path) -> None:
    volume = MemoryVolume(4 * MIB, defer=lambda _: True, workers=2)
    volume.put(0, PATTERN)
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go()
        for turn in range(3000):
            length = 100_000 if turn % 3 == 0 else 512
            assert client.call(READ, turn, length) == (0, PATTERN[turn : turn + length])
