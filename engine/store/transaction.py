"""What a configuration copy keeps of a transaction, as a whole checkpoint or as a journal entry of its changes."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from engine.errors import MetadataError
from engine.store.format import Sealed


class Identity(NamedTuple):
    """Which transaction: its number, and the serial of the import under which it was made.

    Two hosts that both believe to own a group may use a number twice, never an identity.
    """

    number: int
    serial: bytes


NEVER = Identity(0, b"")


class GroupPhase(enum.IntEnum):
    """What a group was from this transaction on."""

    IMPORTED = 0
    DEPORTED = 1
    DESTROYED = 2


class Transaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The body of a checkpoint or journal block. Disk ids and serials are 16 bytes."""

    number: int
    serial: bytes
    base: tuple[int, bytes]  # the checkpoint that this copy's journal continues; of a checkpoint: itself
    previous: tuple[int, bytes]  # what this copy held before
    durable: tuple[int, bytes]  # the newest transaction that was known to count when this one was written
    copies: tuple[bytes, ...]  # disks that hold a configuration copy from this transaction on
    phase: int = 0
    lineage: tuple[tuple[int, bytes], ...] = ()  # of checkpoints: first number and serial of each import, ascending
    fields: dict[str, tuple[str, ...]] = {}
    put: dict[bytes, msgspec.Raw] = {}
    drop: tuple[bytes, ...] = ()

    @property
    def identity(self) -> Identity:
        return Identity(self.number, self.serial)


_encode = msgspec.msgpack.Encoder().encode
_decode_v1 = msgspec.msgpack.Decoder(Transaction).decode

_DECODERS: dict[int, Callable[[bytes], Transaction]] = {1: _decode_v1}
"""How to read the body of each format version; `engine.store.format.READABLE_VERSIONS` has the same keys."""


def encode(transaction: Transaction) -> bytes:
    """The body of a block."""
    return _encode(transaction)


def decode(block: Sealed) -> Transaction:
    """The transaction in a block. MetadataError when there is none, or its number is not the header's."""
    try:
        found = _DECODERS[block.version](block.body)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise MetadataError(
            f"Transaction {block.transaction} of a configuration copy makes no sense: {error}."
        ) from error
    if found.number != block.transaction or not found.copies:
        raise MetadataError(f"Transaction {block.transaction} of a configuration copy contradicts its own header.")
    return found
