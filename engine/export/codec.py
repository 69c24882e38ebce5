"""NBD messages as values and back: bytes only, no sockets and no state."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.export.constants import (
    CHUNK_BLOCK_STATUS,
    CHUNK_DONE,
    CHUNK_ERROR,
    CHUNK_MAGIC,
    CHUNK_OFFSET_DATA,
    MAXIMUM_EXTENTS,
    MAXIMUM_PAYLOAD,
    MAXIMUM_STRING,
    MINIMUM_BLOCK,
    NBD_MAGIC,
    OPTION_MAGIC,
    OPTION_REPLY_MAGIC,
    PREFERRED_BLOCK,
    SIMPLE_REPLY_MAGIC,
    STATE_HOLE,
    STATE_ZERO,
    ExportFlag,
    HandshakeFlag,
    Info,
    Option,
    OptionReply,
)
from engine.export.source import Extent

REQUEST = struct.Struct(">IHHQQI")
"""Magic, command flags, command, cookie, offset, length."""

SIMPLE_REPLY = struct.Struct(">IIQ")
"""Magic, error, cookie."""

READ_CHUNK = struct.Struct(">IHHQIQ")
"""Magic, flags, type, cookie, length of what follows, offset of the data that comes after it."""

OPTION_HEADER = struct.Struct(">QII")

_CHUNK = struct.Struct(">IHHQI")
_ERROR_CHUNK = struct.Struct(">IHHQIIH")
_GREETING = struct.Struct(">QQH")
_OPTION_REPLY = struct.Struct(">QIII")
_INFO_EXPORT = struct.Struct(">HQH")
_INFO_BLOCK_SIZE = struct.Struct(">HIII")
_DESCRIPTOR = struct.Struct(">II")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")

EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN = 1, 5, 12, 22, 28, 75, 95, 108

_WIRE_ERRORS = {
    0: 0,
    errno.EPERM: EPERM,
    errno.EACCES: EPERM,
    errno.EROFS: EPERM,
    errno.EIO: EIO,
    errno.ENOMEM: ENOMEM,
    errno.EINVAL: EINVAL,
    errno.ENOSPC: ENOSPC,
    errno.EDQUOT: ENOSPC,
    errno.EFBIG: ENOSPC,
    errno.EOVERFLOW: EOVERFLOW,
    errno.EOPNOTSUPP: ENOTSUP,
    errno.ESHUTDOWN: ESHUTDOWN,
}


class ProtocolError(Exception):
    """The peer broke the protocol so that the connection can only be dropped."""


class Refusal(Exception):
    """An option that is answered with an error; the connection goes on."""

    def __init__(self, reply: OptionReply, message: str) -> None:
        super().__init__(message)
        self.reply = reply


class InfoQuery(NamedTuple):
    """The body of INFO and GO: an export's name and what the client wants to know of it."""

    name: str
    infos: frozenset[int]


class MetaQuery(NamedTuple):
    """The body of LIST_META_CONTEXT and SET_META_CONTEXT."""

    name: str
    queries: tuple[bytes, ...]


def wire_error(number: int) -> int:
    """The protocol's number for a system's errno; what the protocol doesn't know becomes EIO."""
    return _WIRE_ERRORS.get(number, EIO)


def greeting() -> bytes:
    """What a server says first."""
    return _GREETING.pack(NBD_MAGIC, OPTION_MAGIC, HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES)


def option_reply(option: int, reply: OptionReply, body: bytes = b"") -> bytes:
    """One answer to an option."""
    return _OPTION_REPLY.pack(OPTION_REPLY_MAGIC, option, reply, len(body)) + body


def listed_export(name: str) -> bytes:
    """The answer to LIST for one export."""
    encoded = name.encode()
    return option_reply(Option.LIST, OptionReply.SERVER, _U32.pack(len(encoded)) + encoded)


def meta_context(option: int, context: int, name: bytes) -> bytes:
    """The answer that a context is served, under the number `context`."""
    return option_reply(option, OptionReply.META_CONTEXT, _U32.pack(context) + name)


def export_flags(*, read_only: bool, structured: bool) -> ExportFlag:
    """What an export can do on a connection with or without structured replies."""
    flags = ExportFlag.HAS_FLAGS | ExportFlag.SEND_FLUSH | ExportFlag.SEND_FUA | ExportFlag.CAN_MULTI_CONN
    flags |= ExportFlag.READ_ONLY if read_only else ExportFlag.SEND_TRIM | ExportFlag.SEND_WRITE_ZEROES
    return flags | ExportFlag.SEND_DF if structured else flags


def info_export(size: int, flags: ExportFlag) -> bytes:
    """Size in bytes and flags, as in the answer to INFO and GO."""
    return _INFO_EXPORT.pack(Info.EXPORT, size, flags)


def info_block_size() -> bytes:
    """The least, the preferred and the largest request."""
    return _INFO_BLOCK_SIZE.pack(Info.BLOCK_SIZE, MINIMUM_BLOCK, PREFERRED_BLOCK, MAXIMUM_PAYLOAD)


def info_text(kind: Info, text: str) -> bytes:
    """The export's name or description; a longer text than the protocol's strings is cut."""
    return _U16.pack(kind) + text.encode()[:MAXIMUM_STRING]


def old_style_export(size: int, flags: ExportFlag, *, zeroes: bool) -> bytes:
    """The answer to EXPORT_NAME."""
    return struct.pack(">QH", size, flags) + bytes(124 if zeroes else 0)


class _Reader:
    """Takes fields off the front of an option's body; what isn't there is the client's mistake."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._body):
            raise Refusal(OptionReply.ERR_INVALID, "the option is shorter than the lengths in it")
        piece = self._body[self._at : end]
        self._at = end
        return piece

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        length = self.u32()
        if length > MAXIMUM_STRING:
            raise Refusal(OptionReply.ERR_TOO_BIG, f"a string is longer than {MAXIMUM_STRING} bytes")
        return self.take(length)

    def end(self) -> None:
        if self._at != len(self._body):
            raise Refusal(OptionReply.ERR_INVALID, "the option is longer than its fields")


def export_name(raw: bytes) -> str:
    """An export's name from the wire. Refuses what is too long or isn't UTF-8."""
    if len(raw) > MAXIMUM_STRING:
        raise Refusal(OptionReply.ERR_TOO_BIG, f"an export's name is longer than {MAXIMUM_STRING} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refusal(OptionReply.ERR_INVALID, "an export's name is not UTF-8") from None


def parse_info_query(body: bytes) -> InfoQuery:
    """The body of INFO or GO. Raises Refusal."""
    reader = _Reader(body)
    name = export_name(reader.string())
    infos = frozenset(reader.u16() for _ in range(reader.u16()))
    reader.end()
    return InfoQuery(name, infos)


def parse_meta_query(body: bytes) -> MetaQuery:
    """The body of LIST_META_CONTEXT or SET_META_CONTEXT. Raises Refusal."""
    reader = _Reader(body)
    name = export_name(reader.string())
    queries = tuple(reader.string() for _ in range(reader.u32()))
    reader.end()
    return MetaQuery(name, queries)


def simple_reply(cookie: int, error: int) -> bytes:
    """A whole answer without payload; `error` is the protocol's number."""
    return SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, error, cookie)


def read_chunk(cookie: int, offset: int, length: int) -> bytes:
    """What stands before the data of a READ that is answered in one chunk."""
    return READ_CHUNK.pack(CHUNK_MAGIC, CHUNK_DONE, CHUNK_OFFSET_DATA, cookie, 8 + length, offset)


def error_chunk(cookie: int, error: int) -> bytes:
    """A whole structured answer that is nothing but an error."""
    return _ERROR_CHUNK.pack(CHUNK_MAGIC, CHUNK_DONE, CHUNK_ERROR, cookie, 6, error, 0)


def status_chunk(cookie: int, context: int, descriptors: Sequence[tuple[int, int]], *, last: bool = True) -> bytes:
    """What BLOCK_STATUS tells of one context, of the `last` one or not; descriptors are (length, state)."""
    body = _U32.pack(context) + b"".join(_DESCRIPTOR.pack(*descriptor) for descriptor in descriptors)
    flags = CHUNK_DONE if last else 0
    return _CHUNK.pack(CHUNK_MAGIC, flags, CHUNK_BLOCK_STATUS, cookie, len(body)) + body


def descriptors(extents: Iterable[Extent], length: int, *, only_one: bool) -> list[tuple[int, int]]:
    """Extents as (length, state): see `states`. Without any extent all is data, which is always a safe answer."""
    told = ((extent.length, STATE_HOLE * extent.hole | STATE_ZERO * extent.zero) for extent in extents)
    return states(told, length, otherwise=0, only_one=only_one)


def states(told: Iterable[tuple[int, int]], length: int, *, otherwise: int, only_one: bool) -> list[tuple[int, int]]:
    """Runs of (length, state), clipped to `length` bytes, equal neighbours joined, the count bounded. Without any run
    the state is what `otherwise` says; the protocol knows no empty answer."""
    found: list[tuple[int, int]] = []
    limit = 1 if only_one else MAXIMUM_EXTENTS
    for run, state in told:
        taken = min(run, length)
        if taken <= 0:
            continue
        if found and found[-1][1] == state:
            found[-1] = (found[-1][0] + taken, state)
        elif len(found) == limit:
            break
        else:
            found.append((taken, state))
        length -= taken
        if not length:
            break
    return found or [(length, otherwise)]
