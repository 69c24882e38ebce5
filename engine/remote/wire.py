"""What travels over the control socket, and how: a hello with the protocol's version, then frames of one message each.

A frame is four bytes of length, most significant first, and that many bytes of msgpack. Nothing is allocated for a
length before it has been checked, and then only as the bytes arrive.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TypeAlias, TypeVar

import msgspec

from engine.commands import AnyCommand
from engine.errors import CommandRejected, EngineBusy, EngineError, GroupFrozen, MetadataError, TaskAborted
from engine.events import Batch
from engine.plans import Plan, Problem
from engine.records import AnyRecord, Ref

PROTOCOL = 1
FRAME_MAX = 64 << 20
"""Bytes of one message. The largest is a plan or a commit that touches some 100,000 records."""

RECORDS_AT_ONCE = 512
"""Records of a snapshot in one message: others may run in between."""

_HELLO = struct.Struct(">6sH")
_MAGIC = b"VEACTL"
_LENGTH = struct.Struct(">I")
_PIECE = 1 << 20
_CREDENTIALS = struct.Struct("3i")

M = TypeVar("M")


class Request(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    """What a client asks. `number` comes back with the answer."""

    number: int


class Attach(Request, frozen=True, kw_only=True, tag=True):
    """Answered by Records as often as needed, then Attached; after it every Batch, under this request's number."""


class Detach(Request, frozen=True, kw_only=True, tag=True):
    """End the attachment that the request `attachment` began."""

    attachment: int


class AskPlan(Request, frozen=True, kw_only=True, tag=True):
    command: AnyCommand


class Submit(Request, frozen=True, kw_only=True, tag=True):
    command: AnyCommand
    basis: int | None = None


class Show(Request, frozen=True, kw_only=True, tag=True):
    """Ask the console that serves this engine to show its windows again."""


class Close(Request, frozen=True, kw_only=True, tag=True):
    """Leave. The answer is the last thing that is sent."""


AnyRequest: TypeAlias = Attach | Detach | AskPlan | Submit | Show | Close


class Message(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="say", forbid_unknown_fields=True):
    """What a server says. `number` is that of the request; 0 when nobody asked."""

    number: int = 0


class Records(Message, frozen=True, kw_only=True, tag=True):
    """A part of a snapshot."""

    records: tuple[AnyRecord, ...]


class Attached(Message, frozen=True, kw_only=True, tag=True):
    """The snapshot is complete."""

    host: Ref
    sequence: int


class Told(Message, frozen=True, kw_only=True, tag=True):
    """Events of one attachment."""

    batch: Batch


class Planned(Message, frozen=True, kw_only=True, tag=True):
    plan: Plan


class Submitted(Message, frozen=True, kw_only=True, tag=True):
    task: Ref


class Done(Message, frozen=True, kw_only=True, tag=True):
    """The request was carried out. `shown` answers `Show`: windows that had been away have come back."""

    shown: bool = False


class Rejected(Message, frozen=True, kw_only=True, tag=True):
    """The plan forbids it, or would now act otherwise than was shown."""

    problems: tuple[Problem, ...]
    plan: Plan | None = None


class Failed(Message, frozen=True, kw_only=True, tag=True):
    """It went wrong: an error's sentence, and which error it was."""

    sentence: str
    error: str = "EngineError"


class Goodbye(Message, frozen=True, kw_only=True, tag=True):
    """The server ends this connection, and why."""

    reason: str


AnyMessage: TypeAlias = Records | Attached | Told | Planned | Submitted | Done | Rejected | Failed | Goodbye

REQUESTS: msgspec.msgpack.Decoder[AnyRequest] = msgspec.msgpack.Decoder(AnyRequest)
MESSAGES: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)
_ENCODER = msgspec.msgpack.Encoder()

_ERRORS: dict[str, type[EngineError]] = {
    error.__name__: error for error in (EngineError, EngineBusy, GroupFrozen, MetadataError, TaskAborted)
}


class WireError(EngineError):
    """What arrived is not of this protocol."""


def frame(message: Request | Message) -> bytes:
    """A message as it travels. EngineError when it is larger than a frame may be."""
    try:
        body = _ENCODER.encode(message)
    except OverflowError:
        raise EngineError("A number has more than 64 bits, which no size or count has. Give a smaller one.") from None
    if len(body) > FRAME_MAX:
        raise EngineError(
            f"A message of {len(body):,} bytes is more than the control socket carries. Ask for less at once."
        )
    return _LENGTH.pack(len(body)) + body


def read_frame(link: socket.socket, decoder: msgspec.msgpack.Decoder[M]) -> M | None:
    """The next message; None when the peer has left between two messages. WireError for anything else."""
    head = _read(link, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > FRAME_MAX:
        raise WireError(f"A message of {length:,} bytes was announced; {FRAME_MAX:,} is the most.")
    body = _read(link, length)
    if body is None:
        raise WireError("The connection ended inside of a message.")
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise WireError(f"A message could not be understood: {error}.") from error


def send_hello(link: socket.socket) -> None:
    """Tell which protocol is spoken here."""
    link.sendall(_HELLO.pack(_MAGIC, PROTOCOL))


def read_hello(link: socket.socket) -> int | None:
    """The protocol of the peer; None when it left without a word. WireError when it isn't one of ours."""
    head = _read(link, _HELLO.size)
    if head is None:
        return None
    magic, version = _HELLO.unpack(head)
    if magic != _MAGIC:
        raise WireError("What answers is not a VEA console's engine.")
    return int(version)


def peer(link: socket.socket) -> tuple[int, int]:
    """(process id, user id) of the other end of a unix socket, as the kernel knows them."""
    process, user, _ = _CREDENTIALS.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return process, user


def may_connect(user: int) -> bool:
    """Who may command this engine: its own user and root."""
    return user in (os.geteuid(), 0)


def to_message(number: int, error: Exception) -> Rejected | Failed:
    """An error as a value."""
    if isinstance(error, CommandRejected):
        return Rejected(number=number, problems=error.problems, plan=error.plan)
    name = type(error).__name__
    if isinstance(error, EngineError):
        return Failed(number=number, sentence=str(error), error=name if name in _ERRORS else "EngineError")
    text = f"The engine met an error of its own ({name}: {error}). Its log has the details."
    return Failed(number=number, sentence=text)


def to_error(message: Rejected | Failed) -> EngineError:
    """The error that such a value stands for."""
    if isinstance(message, Rejected):
        return CommandRejected(message.problems, message.plan)
    return _ERRORS.get(message.error, EngineError)(message.sentence)


def _read(link: socket.socket, length: int) -> bytearray | None:
    """Exactly so many bytes; None when the peer left before the first. WireError when it left after it."""
    data = bytearray()
    while len(data) < length:
        piece = link.recv(min(length - len(data), _PIECE))
        if not piece:
            if data:
                raise WireError("The connection ended inside of a message.")
            return None
        data += piece
    return data
