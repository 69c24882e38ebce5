"""Numbers of the NBD protocol (fixed newstyle, doc/proto.md of NetworkBlockDevice/nbd) and this server's own limits."""

from __future__ import annotations

import enum

NBD_MAGIC = 0x4E42444D41474943
OPTION_MAGIC = 0x49484156454F5054
OPTION_REPLY_MAGIC = 0x0003E889045565A9
REQUEST_MAGIC = 0x25609513
SIMPLE_REPLY_MAGIC = 0x67446698
CHUNK_MAGIC = 0x668E33EF

KIB = 1024
MIB = 1024 * KIB

MINIMUM_BLOCK = 1
PREFERRED_BLOCK = 4096
MAXIMUM_PAYLOAD = 32 * MIB
HANG_UP_PAYLOAD = 2 * MAXIMUM_PAYLOAD
"""A refused WRITE up to here has its payload read and thrown away; beyond it the connection is dropped."""

MAXIMUM_STRING = 4096
MAXIMUM_OPTION = 64 * KIB
"""Longest option body that is read at all; a longer one drops the connection."""

MAXIMUM_OPTIONS = 32
OPTIONS_PER_LISTED_EXPORT = 8
"""What a LIST adds to the allowance for each name, so that a client may ask about everything that it was shown."""

HANDSHAKE_DEADLINE_S = 10.0

SMALL_PAYLOAD = 64 * KIB
"""Payloads up to here travel inside of the connection's buffers, longer ones in a buffer of their own."""


class HandshakeFlag(enum.IntFlag):
    """What the server offers first, and what the client answers."""

    FIXED_NEWSTYLE = 1
    NO_ZEROES = 2


class Option(enum.IntEnum):
    """What a client may ask before it transmits."""

    EXPORT_NAME = 1
    ABORT = 2
    LIST = 3
    STARTTLS = 5
    INFO = 6
    GO = 7
    STRUCTURED_REPLY = 8
    LIST_META_CONTEXT = 9
    SET_META_CONTEXT = 10


class OptionReply(enum.IntEnum):
    """Kinds of answers to an option; the highest bit marks a refusal."""

    ACK = 1
    SERVER = 2
    INFO = 3
    META_CONTEXT = 4
    ERR_UNSUP = 0x80000001
    ERR_POLICY = 0x80000002
    ERR_INVALID = 0x80000003
    ERR_UNKNOWN = 0x80000006
    ERR_SHUTDOWN = 0x80000007
    ERR_TOO_BIG = 0x80000009


class Info(enum.IntEnum):
    """Pieces of information about an export in the answer to INFO and GO."""

    EXPORT = 0
    NAME = 1
    DESCRIPTION = 2
    BLOCK_SIZE = 3


class ExportFlag(enum.IntFlag):
    """What an export can do."""

    HAS_FLAGS = 1 << 0
    READ_ONLY = 1 << 1
    SEND_FLUSH = 1 << 2
    SEND_FUA = 1 << 3
    SEND_TRIM = 1 << 5
    SEND_WRITE_ZEROES = 1 << 6
    SEND_DF = 1 << 7
    CAN_MULTI_CONN = 1 << 8


# What follows is compared for every request on data threads, so plain ints instead of enumerations.
CMD_READ = 0
CMD_WRITE = 1
CMD_DISC = 2
CMD_FLUSH = 3
CMD_TRIM = 4
CMD_WRITE_ZEROES = 6
CMD_BLOCK_STATUS = 7

FLAG_FUA = 1 << 0
FLAG_NO_HOLE = 1 << 1
FLAG_DF = 1 << 2
FLAG_REQ_ONE = 1 << 3

CHUNK_DONE = 1
CHUNK_OFFSET_DATA = 1
CHUNK_BLOCK_STATUS = 5
CHUNK_ERROR = 0x8001

BASE_ALLOCATION = b"base:allocation"
BASE_ALLOCATION_ID = 1
STATE_HOLE = 1
STATE_ZERO = 2
DIRTY_BITMAP = b"qemu:dirty-bitmap:fastresync"
"""What has changed since a snapshot was taken: QEMU's name for such a thing, and the name of the map."""
DIRTY_BITMAP_ID = 2
STATE_DIRTY = 1
WILDCARDS = (b"base:", b"qemu:", b"qemu:dirty-bitmap:")
"""Asked for in a list, each stands for all contexts that begin so."""
MAXIMUM_EXTENTS = 4096
"""Descriptors in one BLOCK_STATUS answer; the protocol allows 2**20, a client asks again for what is left."""
