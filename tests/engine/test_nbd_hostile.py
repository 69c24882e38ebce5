"""Clients that mean harm, one row for each fault that other NBD programs had to publish, and what they exhaust.

After every case a well-behaved client is served, nothing was written that was not asked for in whole, and the log is
quiet: an attack is no event that an operator should have to read about.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from engine.dataplane.request import Op, Request
from engine.export import handshake
from engine.export.constants import MAXIMUM_OPTION
from engine.export.source import Extent
from tests.engine.nbd_peer import (
    MIB,
    NAME,
    REQUEST,
    Client,
    MappedVolume,
    MemoryVolume,
    Served,
    assert_serves,
    info,
    meta,
    option,
    serving,
)

READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
ACK, UNSUPPORTED, INVALID, UNKNOWN, TOO_BIG = 1, 0x80000001, 0x80000003, 0x80000006, 0x80000009
LENGTHS = (0, 1, 255, 256, 257, 4095, 4096, 4097, 65535, 65536, 65537, 2**31 - 1, 2**31, 2**32 - 1)
PATTERN = bytes(Random(11).randbytes(4 * MIB))
MAGIC = 0x25609513
SESSIONS = 20_000 if os.environ.get("VEA_SOAK") else 250

Row = Callable[[Served], None]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    volume = MappedVolume(4 * MIB)
    volume.put(0, PATTERN)
    with serving(tmp_path, volume) as served:
        yield served


# What each published fault needs to happen


def name_lengths(served: Served) -> None:
    """A length of 2**32 - 1 that becomes a buffer of no bytes; a name longer than the buffer on the stack."""
    for number in (1, 6, 7, 9, 10):
        for length in LENGTHS:
            with Client(served.path) as client, contextlib.suppress(EOFError, OSError):
                client.greet()
                client.option(8)
                client.answers(8)
                client.option(number, struct.pack(">I", length) + b"n" * 300)
                answers = client.answers(number)
                assert answers[-1][0] in (UNKNOWN, INVALID, TOO_BIG)
                assert all(len(body) < 200 for _, body in answers)


def ends_while_negotiating(served: Served) -> None:
    """The server of old ended with the client that hung up, or that asked for what isn't there."""
    for said in (b"", b"\0", struct.pack(">I", 3), struct.pack(">I", 3) + option(1, b"nobody"), option(7)):
        with Client(served.path) as client:
            client.link.sendall(said)
    with Client(served.path) as client:
        client.greet()
        client.option(7, info("nobody"))
        assert client.answers(7)[-1][0] == UNKNOWN
        client.option(7, info(NAME))
        assert client.answers(7)[-1][0] == ACK


def strangers(served: Served) -> None:
    """An address list that matched by prefix let strangers in: here the kernel decides by the socket's mode."""
    tried = subprocess.run(
        ["python3", "-c", "import os,socket,sys; os.setgid(65534); os.setuid(65534); "
         "socket.socket(socket.AF_UNIX).connect(sys.argv[1])", str(served.path)],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert tried.returncode != 0
    assert "PermissionError" in tried.stderr
    assert not served.shelf.opened


def signals_under_load(served: Served) -> None:
    """A handler that took locks, called in the middle of anything."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with Client(served.path) as client:
            client.go()
            for turn in range(300):
                client.ask(READ, turn, turn * 4096, 4096)
                os.kill(os.getpid(), signal.SIGUSR1)
                assert client.answer() == (turn, 0, PATTERN[turn * 4096 : turn * 4096 + 4096])
    finally:
        signal.signal(signal.SIGUSR1, before)


def leaves_early(served: Served) -> None:
    """Gone before, between and behind the answers, with more sent than anybody asked for."""
    burst = b"".join(REQUEST.pack(MAGIC, 0, READ, n, 0, MIB) for n in range(20))
    for said in (b"", burst, burst[:-5], burst + os.urandom(400), os.urandom(28)):
        for reads in (0, 1, 5000):
            with Client(served.path) as client, contextlib.suppress(OSError):
                client.go()
                client.link.sendall(said)
                client.link.shutdown(socket.SHUT_WR)
                client.link.recv(reads)


def stack_smashing_name(served: Served) -> None:
    """A name of 4,096 bytes where 256 were expected; one more is too long."""
    for length, reply in ((4096, UNKNOWN), (4097, TOO_BIG)):
        with Client(served.path) as client:
            client.greet()
            client.option(6, info("n" * length))
            assert client.answers(6)[-1][0] == reply


def endless_option(served: Served) -> None:
    """A body of 4 GiB that was read to the end: here the connection ends at the announcement."""
    for number in (3, 7, 99, 2**32 - 1):
        for length in (MAXIMUM_OPTION + 1, 2**31, 2**32 - 1):
            with Client(served.path) as client:
                client.greet()
                client.option(number, length=length)
                assert client.is_dropped()


def echoed_name(served: Served) -> None:
    """A long name that was put into a longer error text: nothing that a client says is said back to it."""
    with Client(served.path) as client:
        client.greet()
        client.option(8)
        client.answers(8)
        for number, body in ((6, info("E" * 4000)), (7, info("E" * 4000)), (10, meta("E" * 4000)), (99, b"E" * 4000)):
            client.option(number, body)
            [(_, text)] = client.answers(number)
            assert b"EE" not in text
            assert len(text) < 200


def half_open_clients(served: Served) -> None:
    """Sockets that never negotiate: the oldest make room, and a stop doesn't wait for them."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(handshake, "HANDSHAKE_DEADLINE_S", 600.0)  # that is not what ends them
        for _ in range(300):
            stack.enter_context(Client(served.path))
        assert_serves(served)
        assert served.server.stop(60)
    served.server.start()


def opens_before_it_is_asked(served: Served) -> None:
    """Options in any order and again and again; the volume is opened at GO, once."""
    for seed in range(20):
        with Client(served.path) as client:
            client.greet()
            chance = Random(seed)
            for _ in range(20):
                number = chance.choice((3, 5, 6, 8, 9, 10, 99))
                bodies = {6: info(NAME), 9: meta(NAME), 10: meta(NAME, b"base:allocation")}
                client.option(number, bodies.get(number, b""))
                client.answers(number)
            assert len(served.shelf.opened) == seed
            client.option(7, info(NAME))
            assert client.answers(7)[-1][0] == ACK
        served.shelf.wait_closed(seed + 1)


def keeps_state_through_encryption(served: Served) -> None:
    """What was agreed on before STARTTLS counted after it. There is none on this socket: refused, nothing changed."""
    with Client(served.path) as client:
        client.greet()
        client.option(8)
        client.answers(8)
        client.option(5)
        assert client.answers(5)[-1][0] == UNSUPPORTED
        client.option(7, info(NAME))
        assert client.answers(7)[-1][0] == ACK
        client.structured = True
        assert client.call(READ, 0, 512) == (0, PATTERN[:512])


def status_of_everything(served: Served) -> None:
    """The largest length at offsets near the end, extents of more than 4 GiB: sums of 32 bits ran over."""
    assert isinstance(served.volume, MappedVolume)
    served.volume.extents = [Extent(2**33, hole=True, zero=True), Extent(2**40, hole=False, zero=False)]
    size = served.volume.size
    with Client(served.path) as client:
        client.go(structured=True, allocation=True)
        for offset in (0, 1, size - 512, size - 1, size, size + 1, 2**32 - 1, 2**63, 2**64 - 1):
            for length in (1, 512, 2**31, 2**32 - 512, 2**32 - 1):
                for flags in (0, 8):
                    error, body = client.call(STATUS, offset, length, flags=flags)
                    assert error == (0 if offset + length <= size else 22)
                    if not error:
                        assert struct.unpack(">III", body) == (1, length, 3)


def errors_that_nobody_looks_at(served: Served) -> None:
    """nbdcopy once took failed reads for zeros: an error of ours is one that it can't overlook."""
    with serving(served.path.parent / "bad", MemoryVolume(MIB, fail=_fails_in_the_middle)) as bad:
        target = served.path.parent / "copy"
        copied = subprocess.run(["nbdcopy", bad.uri(), str(target)], capture_output=True, check=False, timeout=240)
        assert copied.returncode != 0


def _fails_in_the_middle(request: Request) -> int:
    return errno.EIO if request.offset <= MIB // 2 < request.offset + request.length else 0


def downgrade(served: Served) -> None:
    """A client that is talked into less than it asked for: each reply has the form that was agreed on."""
    for structured in (False, True):
        with Client(served.path) as client:
            client.go(structured=structured)
            assert client.call(READ, 0, 512) == (0, PATTERN[:512])
            assert client.call(READ, served.volume.size, 512) == (22, b"")


def sizes_and_flags_at_the_edge(served: Served) -> None:
    """Offsets and lengths whose sum passes 64 bits, every flag, every command: refused, and in step."""
    size, turn = served.volume.size, 0
    with Client(served.path) as client:
        client.go()
        for command in (READ, FLUSH, TRIM, CACHE, ZEROES, STATUS, 8, 99, 65535):
            for offset, length in ((2**64 - 1, 2**32 - 1), (2**63, 1), (size - 1, 2), (size, 1), (0, 2**32 - 1)):
                for flags in (0, 1, 4, 0x20, 0xFFFF):
                    turn += 1
                    client.ask(command, turn, offset, length, flags=flags)
                    assert client.answer()[:2] in {(turn, 22), (turn, 28)}
        assert client.call(READ, 0, 512) == (0, PATTERN[:512])


ROWS: dict[str, Row] = {
    "CVE-2022-26495 and 26496, nbd-server": name_lengths,
    "CVE-2013-7441, nbd-server": ends_while_negotiating,
    "CVE-2013-6410, nbd-server": strangers,
    "CVE-2015-0847, nbd-server": signals_under_load,
    "CVE-2017-9524 and 7539, qemu": leaves_early,
    "CVE-2017-15118, qemu": stack_smashing_name,
    "CVE-2017-15119, qemu": endless_option,
    "CVE-2020-10761, qemu": echoed_name,
    "CVE-2024-7409, qemu": half_open_clients,
    "CVE-2019-14850 and 14851, nbdkit": opens_before_it_is_asked,
    "CVE-2021-3716, nbdkit": keeps_state_through_encryption,
    "CVE-2025-47711 and 47712, nbdkit": status_of_everything,
    "CVE-2022-0485 and 2021-20286, libnbd": errors_that_nobody_looks_at,
    "CVE-2019-14842, libnbd": downgrade,
    "CVE-2023-5215 and 5871, libnbd": sizes_and_flags_at_the_edge,
}


@pytest.mark.parametrize("fault", ROWS)
def test_what_others_had_to_publish(served: Served, fault: str) -> None:
    if ROWS[fault] is strangers and os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    (served.path.parent / "bad").mkdir()
    ROWS[fault](served)
    assert served.volume.content() == PATTERN
    assert_serves(served)


# Time


@pytest.mark.parametrize("drip", [b"", b"\0", b"IHAVEOPT"])
def test_negotiation_ends_at_its_deadline_whatever_drips_in(
    served: Served, drip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One deadline for everything: each byte that arrives must not buy more time."""
    with monkeypatch.context() as patch, Client(served.path) as loris:
        patch.setattr(handshake, "HANDSHAKE_DEADLINE_S", 0.4)
        with contextlib.suppress(OSError):  # it may be over before a word was said
            loris.greet()
        loris.link.settimeout(0.02)
        for _ in range(3000):
            try:
                loris.link.sendall(drip)
                if not loris.link.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("the server waits for as long as anything comes")
    assert_serves(served)


# Memory


def held_bytes() -> int:
    """The memory that this process has, both ends of every socket included."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_socket_that_has_not_chosen_an_export_costs_less_than_a_mebibyte(served: Served) -> None:
    assert_serves(served)
    before = held_bytes()
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            client = stack.enter_context(Client(served.path))
            client.greet()
            client.link.sendall(option(99, bytes(MAXIMUM_OPTION))[:-1])
        assert_serves(served)
        assert (held_bytes() - before) / 60 < MIB


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Both ends of every socket are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 8192:
        pytest.skip(f"a process may have {hard} descriptors here, and both ends of 2,000 sockets need more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_thousand_idle_clients_and_a_thousand_silent_ones_keep_nobody_out(tmp_path: Path) -> None:
    """Each has the export open and says nothing; then as many connect and don't even negotiate."""
    volume = MemoryVolume(4 * MIB)
    volume.put(0, PATTERN)
    before = held_bytes()
    with serving(tmp_path, volume) as served, contextlib.ExitStack() as stack:
        idle = []
        for _ in range(1000):
            idle.append(stack.enter_context(Client(served.path)))
            idle[-1].go()
        assert len(served.server.clients()) == 1000
        for _ in range(1000):
            stack.enter_context(Client(served.path))
        assert_serves(served)
        assert (held_bytes() - before) / 2000 < MIB
        for client in idle[::100]:
            assert client.call(READ, 0, 512) == (0, PATTERN[:512])
        stack.close()
        served.shelf.wait_closed(1001)


def test_a_reader_that_never_reads_is_held_in_bounded_memory(served: Served) -> None:
    """It asks for answers of a gigabyte; what isn't taken isn't made."""
    before = held_bytes()
    with Client(served.path) as deaf:
        deaf.go()
        deaf.link.setblocking(False)
        asked = 0
        with contextlib.suppress(BlockingIOError):
            while asked < 2**30:
                deaf.link.sendall(REQUEST.pack(MAGIC, 0, READ, 1, 0, 60_000))
                asked += 60_000
        assert_serves(served)
        assert held_bytes() - before < 16 * MIB


# Drops


def test_a_drop_at_every_byte_of_a_write_leaves_all_of_it_or_nothing(served: Served) -> None:
    """The write before it stands and was acknowledged; of the one that breaks off, no byte arrives."""
    first = REQUEST.pack(MAGIC, 0, WRITE, 1, 0, 512) + b"A" * 512
    second = REQUEST.pack(MAGIC, 1, WRITE, 2, 4096, 512) + b"B" * 512
    for cut in range(len(second) + 1):
        with Client(served.path) as client:
            client.go()
            client.link.sendall(first + second[:cut])
            assert client.answer() == (1, 0, b"")
            if cut == len(second):
                assert client.answer() == (2, 0, b"")
        served.shelf.wait_closed(cut + 1)
        expected = b"B" * 512 if cut == len(second) else PATTERN[4096:4608]
        assert served.volume.content(4096, 512) == expected
    assert served.volume.content(0, 512) == b"A" * 512
    assert served.volume.content(4608, MIB) == PATTERN[4608 : 4608 + MIB]
    assert served.volume.slots == served.volume.released


@pytest.mark.parametrize("length", [65_536, 65_537, 300_001])
def test_a_drop_within_a_long_payload_leaves_nothing_of_it(served: Served, length: int) -> None:
    whole = REQUEST.pack(MAGIC, 0, WRITE, 1, 512, length) + bytes(length)
    cuts = [*range(29), *range(29, len(whole), 4099), len(whole) - 1]
    for cut in cuts:
        with Client(served.path) as client:
            client.go()
            client.link.sendall(whole[:cut])
    served.shelf.wait_closed(len(cuts))
    assert served.volume.content() == PATTERN
    assert all(op is not Op.WRITE for op, *_ in served.volume.served)


def test_cookies_that_are_in_use_already_are_answered_each(tmp_path: Path) -> None:
    volume = MemoryVolume(MIB, defer=lambda request: request.op is Op.WRITE)
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go()
        for turn in range(8):
            client.ask(WRITE, 5, turn * 512, 512, bytes([turn + 1]) * 512)
        volume.wait_deferred(8)
        for _ in range(8):
            volume.let_one_end()
            assert client.answer() == (5, 0, b"")
        assert volume.content(0, 4096) == b"".join(bytes([turn + 1]) * 512 for turn in range(8))


# Noise


SESSION = (
    struct.pack(">I", 3)
    + option(8)
    + option(10, meta(NAME, b"base:allocation"))
    + option(7, info(NAME, 3))
    + REQUEST.pack(MAGIC, 0, READ, 1, 0, 4096)
    + REQUEST.pack(MAGIC, 0, WRITE, 2, 8192, 100)
    + PATTERN[8192:8292]
    + REQUEST.pack(MAGIC, 0, STATUS, 3, 0, 65536)
    + REQUEST.pack(MAGIC, 0, FLUSH, 4, 0, 0)
    + REQUEST.pack(MAGIC, 0, READ, 5, 65536, 100_000)
    + REQUEST.pack(MAGIC, 0, DISC, 6, 0, 0)
)


def mutated(chance: Random) -> bytes:
    """A good session with some of it changed, doubled, lost or moved."""
    said = bytearray(SESSION)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(said))
        piece = said[at : at + chance.choice((1, 4, 8, 28))]
        kind = chance.randrange(5)
        if kind == 0:
            said[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            said[at : at + len(piece)] = chance.choice((b"\xff", b"\0", b"\x7f")) * len(piece)
        elif kind == 2:
            del said[at : at + len(piece)]
        elif kind == 3:
            said[at:at] = piece
        else:
            said[at:at] = chance.randbytes(chance.randrange(1, 64))
    return bytes(said)


def test_mutated_sessions_cost_nobody_else_anything(tmp_path: Path, seed: int) -> None:
    """A second export beside the one that is attacked never changes and is never told."""
    chance = Random(seed)
    other = MemoryVolume(MIB)
    other.put(0, b"secret" * 100)
    with serving(tmp_path, MappedVolume(4 * MIB)) as served:
        served.volume.put(0, PATTERN)
        served.shelf.volumes["dg1/other"] = other
        try:
            for _ in range(SESSIONS):
                assert b"secret" not in _heard(served.path, mutated(chance))
            assert_serves(served)
            assert other.content(0, 600) == b"secret" * 100
            assert not other.served
        finally:
            served.server.stop()
            other.close()


def _heard(path: Path, said: bytes) -> bytes:
    """Everything that the server answers to this, up to its end."""
    heard = bytearray()
    with Client(path) as client, contextlib.suppress(OSError):
        client.link.sendall(said)
        client.link.shutdown(socket.SHUT_WR)
        while piece := client.link.recv(MIB):
            heard += piece
    return bytes(heard)
