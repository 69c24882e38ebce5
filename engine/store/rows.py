"""Records as rows: what of a record reaches the disk, and back.

A row is the array of a record's persisted fields; their names stand once in each block, so that a later version may add
fields. A `Ref` is one byte for its kind and its id in binary; it names no host.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

import msgspec

from engine.errors import MetadataError
from engine.records import (
    DERIVED_FIELDS,
    HOST_FIELDS,
    PERSISTED_KINDS,
    RECORD_TYPES,
    AnyRecord,
    Kind,
    Record,
    Ref,
    Task,
)

Fields: TypeAlias = Mapping[str, tuple[str, ...]]

_CODES = {
    Kind.GROUP: 1,
    Kind.DISK: 2,
    Kind.VOLUME: 3,
    Kind.PLEX: 4,
    Kind.SUBDISK: 5,
    Kind.TASK: 6,
    Kind.ENCLOSURE: 7,
    Kind.HOST: 8,
    Kind.CONNECTION: 9,
    Kind.ALERT: 10,
    Kind.SETTINGS: 11,
    Kind.BACKUP: 12,
    Kind.SCHEDULE: 13,
}
_KINDS = {code: kind for kind, code in _CODES.items()}
MOVE_KEY = b"\x7f"
"""Rows under keys that begin so are no records: engine.store.moves reads them."""
_DISK_KEY = bytes((_CODES[Kind.DISK],))
_TEXT_ID = 0x80  # set in the kind's byte when the id is text, not 16 bytes
_KEPT_ELSEWHERE = {Kind.GROUP: ("transaction", "state")}  # in block headers and import stamps

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


def _persisted(kind: Kind) -> tuple[str, ...]:
    left_out = {
        "ref",
        *HOST_FIELDS.get(kind, ()),
        *DERIVED_FIELDS.get(kind, ()),
        *_KEPT_ELSEWHERE.get(kind, ()),
    }
    return tuple(name for name in RECORD_TYPES[kind].__struct_fields__ if name not in left_out)


PERSISTED_FIELDS: dict[Kind, tuple[str, ...]] = {kind: _persisted(kind) for kind in sorted(PERSISTED_KINDS)}
"""The fields of each kind that reach the disk, in the order of their row."""


def pack_ref(ref: Ref) -> bytes:
    """A `Ref` on disk."""
    code = _CODES[ref.kind]
    if len(ref.id) == 32:
        try:
            raw = bytes.fromhex(ref.id)
        except ValueError:
            raw = b""
        if raw.hex() == ref.id:
            return bytes((code,)) + raw
    return bytes((code | _TEXT_ID,)) + ref.id.encode()


def is_disk(key: bytes) -> bool:
    """Whether a packed `Ref` is of a disk that has been initialized: by its label's id."""
    return key[:1] == _DISK_KEY


def unpack_ref(raw: bytes, host: str = "") -> Ref:
    """The `Ref` that `pack_ref` wrote, told by `host`. MetadataError when it is none."""
    kind = _KINDS.get(raw[0] & ~_TEXT_ID) if raw else None
    if kind is None:
        raise MetadataError("A configuration copy refers to an object of a kind that this program does not know.")
    if not raw[0] & _TEXT_ID:
        return Ref(kind, raw[1:].hex(), host)
    try:
        return Ref(kind, raw[1:].decode(), host)
    except UnicodeDecodeError as error:
        raise MetadataError("A configuration copy refers to an object by an id that is no text.") from error


def kept(record: Record) -> bool:
    """Whether a record belongs on disk at all: a task that has ended does not."""
    if record.ref.kind not in PERSISTED_KINDS:
        return False
    return not (isinstance(record, Task) and record.ended)


def persistent(record: Record | None) -> bytes | None:
    """What of a record reaches the disk: equal for two records that differ in host or derived fields only."""
    return encode_row(record) if record is not None and kept(record) else None


def encode_row(record: Record) -> bytes:
    """The row of a record."""
    return _encode([_plain(getattr(record, name)) for name in PERSISTED_FIELDS[record.ref.kind]])


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return pack_ref(value)
    if isinstance(value, (str, int, float)) or value is None:
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    raise TypeError(f"{type(value).__name__} has no form on disk")


def decode_row(key: bytes, row: bytes, fields: Fields, host: str = "") -> AnyRecord:
    """The record of a row that was written with these fields. MetadataError when it cannot be one."""
    ref = unpack_ref(key, host)
    names = fields.get(ref.kind)
    if names is None or ref.kind not in PERSISTED_KINDS:
        raise MetadataError(f"A configuration copy holds a {ref.kind} that it does not describe.")
    unknown = set(names) - set(PERSISTED_FIELDS[ref.kind])
    if unknown:
        raise MetadataError(
            f"A configuration copy was written by a newer program: a {ref.kind} has the field {min(unknown)}."
        )
    try:
        values = (_live(value, host) for value in _decode(row))
        content = dict(zip(names, values, strict=True))
        record = msgspec.convert({"kind": ref.kind.value, "ref": ref, **content}, RECORD_TYPES[ref.kind])
    except (msgspec.MsgspecError, ValueError) as error:
        raise MetadataError(f"A configuration copy holds a {ref.kind} that makes no sense: {error}.") from error
    return cast(AnyRecord, record)


def _live(value: Any, host: str) -> Any:
    if isinstance(value, bytes):
        return unpack_ref(value, host)
    if isinstance(value, list):
        return tuple(_live(item, host) for item in value)
    if isinstance(value, dict):
        return {name: _live(item, host) for name, item in value.items()}
    return value


@functools.cache
def current_fields(kinds: frozenset[Kind]) -> dict[str, tuple[str, ...]]:
    """The names of the fields of these kinds, as a block carries them."""
    return {kind.value: PERSISTED_FIELDS[kind] for kind in sorted(kinds)}


def fields_of(keys: Iterable[bytes]) -> dict[str, tuple[str, ...]]:
    """The field names that rows under these keys need beside them."""
    codes = {key[0] for key in keys if not key.startswith(MOVE_KEY)}
    return current_fields(frozenset(_KINDS[code & ~_TEXT_ID] for code in codes))


def modernise(rows: Mapping[bytes, bytes], fields: Fields) -> dict[bytes, bytes]:
    """Rows written with other fields than today's, as today's rows. MetadataError when that cannot be."""
    today = {kind.value: names for kind, names in PERSISTED_FIELDS.items()}
    if all(today.get(kind) == tuple(names) for kind, names in fields.items()):
        return dict(rows)
    moves = {key: row for key, row in rows.items() if key.startswith(MOVE_KEY)}
    return moves | {key: encode_row(decode_row(key, row, fields)) for key, row in rows.items() if key not in moves}
