"""The rows of a group's configuration as the disks have them, and what a change does to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from engine.config import Config
from engine.records import PERSISTED_KINDS, AnyRecord, Disk, Kind, Record, Ref
from engine.store.format import sealed_length
from engine.store.rows import MOVE_KEY, decode_row, encode_row, fields_of, is_disk, kept, pack_ref

_ROW_OVERHEAD = 12  # bytes of msgpack around a key and its row
AS_FOUND_ROOM = 40  # bytes that the row of a disk may grow by, when an import tells how it has found that
_BODY_OVERHEAD = 12288  # everything in a checkpoint that is no row: identities, lineage, field names


class Delta(NamedTuple):
    """Rows to put and keys to drop; nothing in it is already so."""

    put: dict[bytes, bytes]
    drop: tuple[bytes, ...]

    def __bool__(self) -> bool:
        return bool(self.put or self.drop)


class Image:
    """A group's rows by packed `Ref`."""

    def __init__(self, rows: Mapping[bytes, bytes]) -> None:
        self.rows = dict(rows)
        self._size = sum(map(_cost, self.rows.items()))

    def delta(self, group: Ref, changed: Mapping[Ref, Record | None], config: Config) -> Delta:
        """What changes here when these records become so in `config`. A record that left the group is dropped."""
        put: dict[bytes, bytes] = {}
        drop: list[bytes] = []
        for ref in sorted(changed):
            if ref.kind not in PERSISTED_KINDS:
                continue
            key, record = pack_ref(ref), changed[ref]
            if record is not None and kept(record) and config.group_of(record) == group:
                row = encode_row(record)
                if self.rows.get(key) != row:
                    put[key] = row
            elif key in self.rows:
                drop.append(key)
        return Delta(put, tuple(drop))

    def delta_to(self, group: Ref, config: Config, moves: Mapping[bytes, bytes]) -> Delta:
        """What changes here to become all of `config`'s group, and these moves: a full comparison."""
        wanted = {pack_ref(record.ref): encode_row(record) for record in records_of(config, group)} | dict(moves)
        put = {key: row for key, row in sorted(wanted.items()) if self.rows.get(key) != row}
        return Delta(put, tuple(key for key in sorted(self.rows) if key not in wanted))

    def apply(self, delta: Delta) -> None:
        """Make a change."""
        self._size += self._growth(delta)
        self.rows.update(delta.put)
        for key in delta.drop:
            del self.rows[key]

    def checkpoint_length(self, delta: Delta | None = None) -> int:
        """Bytes, at most, that a checkpoint of all rows takes on disk, after `delta`."""
        return sealed_length(self._size + (self._growth(delta) if delta else 0) + _BODY_OVERHEAD)

    def with_room(self, told: dict[bytes, bytes], slots: Iterable[int]) -> dict[bytes, bytes]:
        """How disks were found, when slots of these lengths have room for it; else nothing. A commit leaves some: one
        that was made before there was anything to be told may not have."""
        needed = self.checkpoint_length(Delta(told, ())) - len(told) * AS_FOUND_ROOM
        return told if all(needed <= slot for slot in slots) else {}

    def _growth(self, delta: Delta) -> int:
        gone = (*delta.drop, *(key for key in delta.put if key in self.rows))
        return sum(map(_cost, delta.put.items())) - sum(_cost((key, self.rows[key])) for key in gone)

    def records(self, host: str) -> Iterator[AnyRecord]:
        """Every record, told by `host`. MetadataError when a row makes no sense."""
        fields = fields_of(self.rows)
        for key in sorted(key for key in self.rows if not key.startswith(MOVE_KEY)):
            yield decode_row(key, self.rows[key], fields, host)

    def record(self, ref: Ref) -> AnyRecord | None:
        """One of them, told by the host of `ref`."""
        row = self.rows.get(key := pack_ref(ref))
        return decode_row(key, row, fields_of([key]), ref.host) if row is not None else None

    def disks(self) -> tuple[str, ...]:
        """Ids of the member disks, sorted."""
        prefix = pack_ref(Ref(Kind.DISK, "0" * 32))[:1]
        return tuple(key[1:].hex() for key in sorted(self.rows) if key[:1] == prefix)


def records_of(config: Config, group: Ref) -> list[Record]:
    """Every record that a group's private regions keep."""
    found: list[Record] = []
    for record in config:
        if kept(record) and config.group_of(record) == group:
            found.append(record)
    return found


def enclosures_of(records: Iterable[Record]) -> dict[Ref, str]:
    """Id of the enclosure of each disk, where it is known."""
    return {
        record.ref: record.enclosure.id
        for record in records
        if isinstance(record, Disk) and record.enclosure is not None
    }


def _cost(item: tuple[bytes, bytes]) -> int:
    key, row = item
    return len(key) + len(row) + _ROW_OVERHEAD + (AS_FOUND_ROOM if is_disk(key) else 0)
