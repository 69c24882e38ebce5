"""Configurations of disk groups, saved in the host's state folder before they change.

A file is one sealed block: a crash leaves it whole or leaves none, and a damaged one is never believed. Nothing of the
storage depends on these files: what cannot be saved is told, and keeps no change from being made.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.config import Config
from engine.errors import MetadataError
from engine.records import AnyRecord, Backup, Kind, Record, Ref, backup_ref
from engine.store.format import NO_ID, Block, seal, unseal
from engine.store.image import records_of
from engine.store.rows import decode_row, encode_row, fields_of, pack_ref

log = logging.getLogger(__name__)

_SUFFIX = ".backup"


class _Body(msgspec.Struct, frozen=True):
    name: str
    time: float
    reason: str
    fields: dict[str, tuple[str, ...]]
    rows: dict[bytes, bytes]


class Saved(NamedTuple):
    """A backup, and the records that it holds."""

    backup: Backup
    records: tuple[AnyRecord, ...]


class BackupShelf:
    """The backups of all groups of a host: a folder for each group, a file for each backup."""

    def __init__(self, folder: Path, host: str) -> None:
        self._folder = folder
        self._host = host

    def every(self) -> list[Backup]:
        """All backups that can be believed; the others are told to the log."""
        found = []
        for path in sorted(self._folder.glob(f"*/*{_SUFFIX}")):
            try:
                found.append(self._load(path).backup)
            except (MetadataError, OSError) as error:
                log.warning("The configuration backup %s can't be used: %s", path, error)
        return found

    def read(self, ref: Ref) -> Saved | None:
        """A backup with its records; None when it is gone. MetadataError when it can't be believed."""
        group, _, number = ref.id.partition(".")
        try:
            return self._load(self._path(group, int(number)))
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            raise MetadataError(f"The configuration backup can't be read: {error.strerror or error}.") from error

    def save(self, config: Config, group: Ref, reason: str, now: float) -> Backup | None:
        """Save a group as it is in `config`; None when it does not differ from its newest backup. OSError as ever."""
        rows = {pack_ref(record.ref): encode_row(record) for record in _kept(config, group)}
        numbers = self._numbers(group.id)
        if numbers and self._rows_of(group.id, numbers[-1]) == rows:
            return None
        record = config.group(group)
        body = _Body(record.name, now, reason, fields_of(rows), rows)
        number = numbers[-1] + 1 if numbers else 1
        block = seal(Block.BACKUP, NO_ID, bytes.fromhex(group.id), 0, record.transaction, msgspec.msgpack.encode(body))
        path = self._path(group.id, number)
        _write(path, block)
        return self._describe(path, body, record.transaction, len(block))

    def keep(self, group: Ref, most: int) -> list[Ref]:
        """Delete the oldest until so many are left; answers those that are gone."""
        gone = []
        for number in self._numbers(group.id)[:-most]:
            self._path(group.id, number).unlink(missing_ok=True)
            gone.append(backup_ref(group, number))
        return gone

    def _rows_of(self, group: str, number: int) -> Mapping[bytes, bytes] | None:
        try:
            return _unsealed(self._path(group, number))[0].rows
        except (MetadataError, OSError):
            return None

    def _load(self, path: Path) -> Saved:
        body, transaction, size = _unsealed(path)
        backup = self._describe(path, body, transaction, size)
        records = tuple(decode_row(key, row, body.fields, self._host) for key, row in sorted(body.rows.items()))
        return Saved(backup, records)

    def _describe(self, path: Path, body: _Body, transaction: int, size: int) -> Backup:
        group, number = Ref(Kind.GROUP, path.parent.name, self._host), int(path.stem)
        kinds = [key[:1] for key in body.rows]
        return Backup(
            ref=backup_ref(group, number),
            name=f"{body.name}, backup {number}",
            group=group,
            group_name=body.name,
            number=number,
            transaction=transaction,
            time=body.time,
            reason=body.reason,
            disks=kinds.count(_first_byte(Kind.DISK)),
            volumes=kinds.count(_first_byte(Kind.VOLUME)),
            size=size,
        )

    def _numbers(self, group: str) -> list[int]:
        stems = (path.stem for path in (self._folder / group).glob(f"*{_SUFFIX}"))
        return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit())

    def _path(self, group: str, number: int) -> Path:
        return self._folder / group / f"{number}{_SUFFIX}"


def _kept(config: Config, group: Ref) -> list[Record]:
    """The layout: no tasks, which are no part of it."""
    return [record for record in records_of(config, group) if record.ref.kind is not Kind.TASK]


def _first_byte(kind: Kind) -> bytes:
    return pack_ref(Ref(kind, "0" * 32))[:1]


def _unsealed(path: Path) -> tuple[_Body, int, int]:
    """What a file holds, its transaction and length. MetadataError when it is not whole, or another group's."""
    data = path.read_bytes()
    try:
        sealed = unseal(data, kind=Block.BACKUP, offset=0, group=bytes.fromhex(path.parent.name))
        if sealed is None:
            raise MetadataError("It is no configuration backup.")
        return msgspec.msgpack.decode(sealed.body, type=_Body), sealed.transaction, len(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise MetadataError(f"It makes no sense: {error}.") from error


def _write(path: Path, data: bytes | bytearray) -> None:
    """Whole and durable, or not at all; so are the names of the folders that this is the first file in."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    for folder in list(path.parents)[:3]:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
