"""Frames and messages of the control socket: all that is told arrives, all else is refused before it costs anything."""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import struct
from collections.abc import Iterator

import msgspec
import pytest

from engine import commands
from engine.errors import CommandRejected, EngineError, GroupFrozen
from engine.events import Batch, Remove, Sample, Upsert
from engine.plans import Plan, PlanStep, Problem, Range
from engine.records import Disk, Kind, Ref, Volume, new_ref
from engine.remote import wire

HOST = "h" * 32
GROUP = new_ref(Kind.GROUP, HOST)
DISK = new_ref(Kind.DISK, HOST)
VOLUME = Volume(ref=new_ref(Kind.VOLUME, HOST), name="ev", group=GROUP, size=1 << 40)
PLAN = Plan(
    title="Create Volume ev",
    basis=7,
    group=GROUP,
    problems=(Problem("No.", "Try again.", DISK, "size"),),
    puts=(VOLUME, Disk(ref=DISK, name="Harddisk0", size=1 << 40)),
    drops=(DISK,),
    steps=(PlanStep("Allocate", "nothing"),),
    allocates=(Range(DISK, 1 << 33, 1 << 20, "ev-01"),),
)
MESSAGES: list[wire.Message] = [
    wire.Records(number=3, records=(VOLUME,)),
    wire.Attached(number=3, host=Ref(Kind.HOST, HOST, HOST), sequence=12),
    wire.Told(number=3, batch=Batch(13, (Upsert(VOLUME), Remove(DISK), Sample(DISK, 1.5, 1.0, reads=3)))),
    wire.Planned(number=4, plan=PLAN),
    wire.Submitted(number=5, task=Ref(Kind.TASK, "17", HOST)),
    wire.Done(number=6),
    wire.Rejected(number=7, problems=PLAN.problems, plan=PLAN),
    wire.Failed(number=8, sentence="It broke.", error="GroupFrozen"),
    wire.Goodbye(reason="The engine has been stopped."),
]
MOVE = commands.Move(DISK, (commands.Target(DISK, 5),))
REQUESTS: list[wire.Request] = [
    wire.Attach(number=1),
    wire.Detach(number=2, attachment=1),
    wire.AskPlan(number=3, command=commands.CreateVolume(group=GROUP, size=1 << 50, name="ä/\n")),
    wire.Submit(
        number=4, command=commands.MoveSubdisks(moves=(commands.Move(DISK, (commands.Target(DISK, 5),)),)), basis=9
    ),
    wire.Show(number=5),
    wire.Close(number=6),
]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        yield ours, theirs


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_arrive_as_they_were_sent(pair: tuple[socket.socket, socket.socket], message: wire.Message) -> None:
    pair[1].sendall(wire.frame(message))
    assert wire.read_frame(pair[0], wire.MESSAGES) == message


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_requests_arrive_as_they_were_sent(pair: tuple[socket.socket, socket.socket], request_: wire.Request) -> None:
    pair[1].sendall(wire.frame(request_))
    assert wire.read_frame(pair[0], wire.REQUESTS) == request_


def test_every_command_travels(pair: tuple[socket.socket, socket.socket]) -> None:
    types = commands.AnyCommand.__args__  # type: ignore[attr-defined]
    made = [msgspec.convert(_least(each), each) for each in types]
    assert len(made) > 30
    for number, command in enumerate(made):
        pair[1].sendall(wire.frame(wire.Submit(number=number, command=command)))
        back = wire.read_frame(pair[0], wire.REQUESTS)
        assert isinstance(back, wire.Submit)
        assert back.command == command


def _least(command: type[commands.Command]) -> dict[str, object]:
    """The least that a command needs: its tag, and a value for each field without a default."""
    samples: dict[str, object] = {"Ref": ["disk", "1", "h"], "tuple": [], "str": "x", "int": 1, "DiskUsage": "spare"}
    samples["Notification"] = {"severity": "Error", "mail": "a@example.org"}
    samples["Pattern"] = {"times": [0]}
    fields: dict[str, object] = {"command": command.__name__}
    for each in msgspec.structs.fields(command):
        if each.required:
            name = getattr(each.type, "__origin__", each.type).__name__
            fields[each.encode_name] = samples[name]
    return fields


def test_the_end_between_messages_is_an_end_and_inside_of_one_an_error(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    data = wire.frame(wire.Done(number=1))
    pair[1].sendall(data + data[:-1])
    pair[1].shutdown(socket.SHUT_WR)
    assert wire.read_frame(pair[0], wire.MESSAGES) == wire.Done(number=1)
    with pytest.raises(wire.WireError, match="inside of a message"):
        wire.read_frame(pair[0], wire.MESSAGES)
    assert wire.read_frame(pair[0], wire.MESSAGES) is None


@pytest.mark.parametrize("length", [wire.FRAME_MAX + 1, 0xFFFFFFFF])
def test_a_length_beyond_the_cap_is_refused_before_anything_is_allocated(
    pair: tuple[socket.socket, socket.socket], length: int
) -> None:
    pair[1].sendall(struct.pack(">I", length))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(wire.WireError, match="is the most"):
        wire.read_frame(pair[0], wire.REQUESTS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10


def test_an_announced_length_costs_nothing_until_its_bytes_come(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(struct.pack(">I", wire.FRAME_MAX) + b"x")
    pair[1].shutdown(socket.SHUT_WR)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(wire.WireError, match="inside of a message"):
        wire.read_frame(pair[0], wire.REQUESTS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10


def test_a_message_beyond_the_cap_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FRAME_MAX", 100)
    with pytest.raises(EngineError, match="more than the control socket carries"):
        wire.frame(wire.Goodbye(reason="x" * 200))


def test_a_number_beyond_64_bits_is_one_error() -> None:
    with pytest.raises(EngineError, match="more than 64 bits"):
        wire.frame(wire.AskPlan(number=1, command=commands.CreateVolume(group=GROUP, size=1 << 70)))


@pytest.mark.parametrize("body", [
    b"", b"\xc0", b"\x93\x01\x02\x03", msgspec.msgpack.encode({"do": "Nothing", "number": 1}),
    msgspec.msgpack.encode({"do": "Attach"}), msgspec.msgpack.encode({"do": "Attach", "number": "1"}),
    msgspec.msgpack.encode({"do": "Attach", "number": 1, "more": 2}),
    msgspec.msgpack.encode({"do": "Submit", "number": 1, "command": {"command": "Nothing"}}),
    msgspec.msgpack.encode({"do": "Submit", "number": 1, "command": {"command": "Rename", "object": ["disk"]}}),
    b"\x91" * 5000,
])  # fmt: skip
def test_what_is_no_message_is_one_error(pair: tuple[socket.socket, socket.socket], body: bytes) -> None:
    pair[1].sendall(struct.pack(">I", len(body)) + body)
    with pytest.raises(wire.WireError):
        wire.read_frame(pair[0], wire.REQUESTS)


def test_changed_bytes_are_a_message_or_one_error(pair: tuple[socket.socket, socket.socket], seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(2_000):
        data = bytearray(wire.frame(rng.choice(REQUESTS))[4:])
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = data[: rng.randrange(1, len(data) + 1)]
        pair[1].sendall(struct.pack(">I", len(data)) + data)
        with contextlib.suppress(wire.WireError):
            assert isinstance(wire.read_frame(pair[0], wire.REQUESTS), wire.Request)


def test_hello_tells_the_protocol_and_refuses_others(pair: tuple[socket.socket, socket.socket]) -> None:
    wire.send_hello(pair[1])
    assert wire.read_hello(pair[0]) == wire.PROTOCOL
    pair[1].sendall(b"NBDMAGIC")
    with pytest.raises(wire.WireError):
        wire.read_hello(pair[0])
    pair[1].close()
    assert wire.read_hello(pair[0]) is None


def test_errors_come_back_as_what_they_were() -> None:
    frozen = wire.to_error(wire.to_message(1, GroupFrozen("dg1 is frozen.")))
    assert type(frozen) is GroupFrozen
    assert str(frozen) == "dg1 is frozen."
    rejected = wire.to_error(wire.to_message(1, CommandRejected(PLAN.problems, PLAN)))
    assert isinstance(rejected, CommandRejected)
    assert (rejected.problems, rejected.plan, str(rejected)) == (PLAN.problems, PLAN, "No. Try again.")
    bug = wire.to_error(wire.to_message(1, KeyError("x")))
    assert type(bug) is EngineError
    assert "KeyError" in str(bug)
