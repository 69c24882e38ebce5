"""Negotiation byte by byte: the good way, every early end, and every length that lies."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.export import handshake
from tests.engine.nbd_peer import (
    NAME,
    Client,
    MemoryVolume,
    Served,
    assert_serves,
    info,
    meta,
    option,
    serving,
)

LENGTHS = (0, 255, 256, 257, 4095, 4096, 4097, 65536, 65537, 2**31, 2**32 - 1)
UNSUP, INVALID, UNKNOWN, TOO_BIG = 0x80000001, 0x80000003, 0x80000006, 0x80000009
LARGEST_BODY = 65536


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    volume = MemoryVolume(1 << 20)
    volume.put(0, bytes(range(256)) * 16)
    with serving(tmp_path, volume) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.path) as client:
        yield client


def test_go_tells_size_flags_and_block_sizes(client: Client) -> None:
    pieces = client.go(structured=True)
    assert struct.unpack(">QH", pieces[0]) == (1 << 20, 0x1ED)
    assert struct.unpack(">III", pieces[3]) == (1, 4096, 32 << 20)


def test_go_tells_name_and_description_to_whom_it_may_concern(client: Client) -> None:
    client.greet()
    client.option(6, info(NAME, 1, 2, 3))
    bodies = [body for kind, body in client.answers(6) if kind == 3]
    assert bodies[2:] == [b"\0\1" + NAME.encode(), b"\0\2A volume in memory"]


def test_info_opens_nothing(client: Client, served: Served) -> None:
    client.greet()
    for _ in range(5):
        client.option(6, info(NAME))
        assert client.answers(6)[-1][0] == 1
    assert not served.shelf.opened


def test_list_names_every_export_in_order(client: Client, served: Served) -> None:
    served.shelf.volumes["dg1/a"] = served.volume
    client.greet()
    client.option(3)
    names = [body[4:].decode() for kind, body in client.answers(3) if kind == 2]
    assert names == ["dg1/a", NAME]


def test_an_unknown_option_is_refused_and_the_next_one_is_answered(client: Client) -> None:
    client.greet()
    for number in (4, 5, 11, 0, 2**32 - 1):
        client.option(number, b"some text")
        assert [kind for kind, _ in client.answers(number)] == [UNSUP]
    client.option(7, info(NAME))
    assert client.answers(7)[-1][0] == 1


def test_an_unknown_export_is_refused_without_repeating_its_name(client: Client) -> None:
    client.greet()
    for number in (6, 7):
        client.option(number, info("s3cret" * 600))
        [(kind, message)] = client.answers(number)
        assert kind == UNKNOWN
        assert b"s3cret" not in message
    client.option(7, info(NAME))
    assert client.answers(7)[-1][0] == 1


def test_abort_is_acknowledged_and_ends(client: Client) -> None:
    client.greet()
    client.option(2)
    assert client.answers(2) == [(1, b"")]
    assert client.is_dropped()


@pytest.mark.parametrize("number", [3, 8])
def test_an_option_without_a_body_refuses_one(client: Client, number: int) -> None:
    client.greet()
    client.option(number, b"x")
    assert client.answers(number)[0][0] == INVALID


def test_structured_replies_are_negotiated_once(client: Client) -> None:
    client.greet()
    client.option(8)
    assert client.answers(8) == [(1, b"")]
    client.option(8)
    assert client.answers(8)[0][0] == INVALID


@pytest.mark.parametrize("number", [9, 10])
def test_contexts_need_structured_replies_and_a_known_export(client: Client, number: int) -> None:
    client.greet()
    client.option(number, meta(NAME, b"base:allocation"))
    assert client.answers(number)[0][0] == INVALID
    client.option(8)
    client.answers(8)
    client.option(number, meta("dg1/none", b"base:allocation"))
    assert client.answers(number)[0][0] == UNKNOWN


@pytest.mark.parametrize(
    ("number", "queries", "expected"),
    [
        (9, (), b"\0\0\0\0base:allocation"),
        (9, (b"base:",), b"\0\0\0\0base:allocation"),
        (9, (b"qemu:", b"base:allocation"), b"\0\0\0\0base:allocation"),
        (9, (b"qemu:",), None),
        (10, (), None),
        (10, (b"base:",), None),
        (10, (b"x" * 4096,), None),
        (10, (b"base:allocation",), b"\0\0\0\1base:allocation"),
    ],
)
def test_which_contexts_are_answered(
    client: Client, number: int, queries: tuple[bytes, ...], expected: bytes | None
) -> None:
    client.greet()
    client.option(8)
    client.answers(8)
    client.option(number, meta(NAME, *queries))
    assert client.answers(number) == ([] if expected is None else [(4, expected)]) + [(1, b"")]


@pytest.mark.parametrize(
    "undone",
    [meta(NAME), meta(NAME, b"base:"), meta("dg1/none", b"base:allocation"), b"", meta("dg1/a", b"base:allocation")],
)
def test_each_choice_of_contexts_replaces_the_one_before(client: Client, served: Served, undone: bytes) -> None:
    served.shelf.volumes["dg1/a"] = served.volume
    client.greet()
    for number, body in ((8, b""), (10, meta(NAME, b"base:allocation")), (10, undone), (7, info(NAME))):
        client.option(number, body)
        client.answers(number)
    client.structured = True
    assert client.call(7, 0, 4096) == (22, b"")


@pytest.mark.parametrize(("flags", "zeroes"), [(1, 124), (3, 0), (0, 124), (2, 0)])
def test_old_clients_are_let_in_by_export_name(client: Client, flags: int, zeroes: int) -> None:
    client.greet(flags)
    client.option(1, NAME.encode())
    assert struct.unpack(">QH", client.take(10)) == (1 << 20, 0x16D)
    assert client.take(zeroes) == bytes(zeroes)
    assert client.call(0, 0, 4)[1] == bytes(range(4))


@pytest.mark.parametrize("name", [b"", b"dg1/none", b"\xff", b"n" * 4097])
def test_export_name_cannot_refuse_and_so_hangs_up(client: Client, name: bytes) -> None:
    client.greet()
    client.option(1, name)
    assert client.is_dropped()


@pytest.mark.parametrize("flags", [4, 7, 1 << 31])
def test_unknown_client_flags_drop(client: Client, flags: int) -> None:
    client.greet(flags)
    assert client.is_dropped()


def test_without_fixed_newstyle_only_export_name_is_known(client: Client) -> None:
    client.greet(2)
    client.option(7, info(NAME))
    assert client.is_dropped()


def test_a_wrong_magic_drops(client: Client) -> None:
    client.greet()
    client.link.sendall(b"IHAVEOPS" + bytes(8))
    assert client.is_dropped()


def test_options_are_counted(client: Client) -> None:
    client.greet()
    for _ in range(32):
        client.option(99)
        client.answers(99)
    client.option(99)
    assert client.is_dropped()


def test_after_a_list_there_may_be_questions_about_each_name(client: Client, served: Served) -> None:
    for number in range(40):
        served.shelf.volumes[f"dg1/v{number}"] = served.volume
    client.greet()
    client.option(3)
    names = [body[4:].decode() for kind, body in client.answers(3) if kind == 2]
    for name in names:
        client.option(6, info(name))
        assert client.answers(6)[-1][0] == 1
    for _ in range(31 + 7 * len(names)):
        client.option(3)
        client.answers(3)
    client.option(3)
    assert client.is_dropped()


GOOD = (
    struct.pack(">I", 3)
    + option(8)
    + option(3)
    + option(99, b"what")
    + option(9, meta(NAME))
    + option(10, meta(NAME, b"base:allocation", b"base:"))
    + option(6, info(NAME, 0, 1, 2, 3))
    + option(7, info(NAME, 3))
)


def test_an_end_at_every_byte_of_the_negotiation_leaves_nothing_behind(served: Served) -> None:
    for cut in range(len(GOOD)):
        with Client(served.path) as client:
            client.link.sendall(GOOD[:cut])
    assert not served.shelf.opened
    with Client(served.path) as client:
        client.link.sendall(GOOD)
        client.take(18)
        while client.option_answer()[:2] != (7, 1):
            pass
    assert_serves(served)
    served.shelf.wait_closed(2)
    assert len(served.shelf.opened) == 2


def test_a_whole_negotiation_in_one_send_or_byte_by_byte_is_the_same(served: Served) -> None:
    seen = []
    for step in (len(GOOD), 1):
        with Client(served.path) as client:
            for at in range(0, len(GOOD), step):
                client.link.sendall(GOOD[at : at + step])
            client.link.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 2, 0, 0, 0))
            said = bytearray()
            with contextlib.suppress(EOFError):
                while True:
                    said += client.take(1)
            seen.append(bytes(said))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("number", [1, 2, 3, 6, 7, 8, 9, 10, 99])
def test_an_option_of_any_announced_length_harms_nobody(served: Served, number: int, length: int) -> None:
    with Client(served.path) as client:
        client.greet()
        client.option(number, length=length)
        if length > LARGEST_BODY:
            assert client.is_dropped()
        else:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.link.sendall(b"\0" * length)
    assert_serves(served)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("number", "before", "after"),
    [
        (6, b"", b"name\0\0"),
        (7, b"", b"name\0\0"),
        (9, b"", b"name\0\0\0\0"),
        (10, b"", b"name\0\0\0\0"),
        (9, struct.pack(">I8s", 8, NAME.encode()), b"\0\0\0\4base"),
        (10, struct.pack(">I8sI", 8, NAME.encode(), 1), b"base:allocation"),
    ],
)
def test_an_inner_length_that_lies_is_refused_and_negotiation_goes_on(
    served: Served, length: int, number: int, before: bytes, after: bytes
) -> None:
    with Client(served.path) as client:
        client.greet()
        client.option(8)
        client.answers(8)
        client.option(number, before + struct.pack(">I", length) + after)
        assert client.answers(number)[-1][0] in (INVALID, TOO_BIG)
        client.option(7, info(NAME))
        assert client.answers(7)[-1][0] == 1


@settings(max_examples=60)
@given(noise=st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"IHAVEOPT", GOOD, option(7), option(10)]))))
def test_noise_instead_of_negotiation_harms_nobody(
    tmp_path_factory: pytest.TempPathFactory, noise: list[bytes]
) -> None:
    with serving(tmp_path_factory.mktemp("noise"), MemoryVolume(8192)) as served:
        with Client(served.path) as client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in noise:
                client.link.sendall(piece)
        assert_serves(served)


def test_negotiation_has_a_deadline_however_slowly_it_goes_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, Client(served.path) as silent, Client(served.path) as chatty:
        patch.setattr(handshake, "HANDSHAKE_DEADLINE_S", 0.3)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            chatty.greet()
            for _ in range(40):
                chatty.option(99)
        assert silent.take(18)
        assert silent.is_dropped()
    assert_serves(served)
