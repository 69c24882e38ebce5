"""The XML file of a snapshot set: written once the set is durable, read to restore it. `resources/vxsnap.xsd` is its
schema. Entities and document types are refused: a file from somewhere else must not make this program read others."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from engine.config import Config
from engine.errors import EngineError
from engine.records import LinkSide, Ref

LENGTH_MAX = 1 << 20
_VERSION = "1"
_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MEMBERS_MAX = 4096


class SetMember(NamedTuple):
    """A snapshot of a set: names as they were, ids (32 hex digits) as they are."""

    original: str
    original_id: str
    snapshot: str
    snapshot_id: str
    generation: str
    plex: str
    drive_letter: str = ""  # of the snapshot
    drive_path: str = ""
    consistency: str = ""  # of the snapshot: "file-system-consistent"


_OPTIONAL = tuple(SetMember._field_defaults)


class SnapFile(NamedTuple):
    """What a file tells. `taken` is seconds since the epoch."""

    group: str
    group_id: str
    set_id: str
    taken: float
    members: tuple[SetMember, ...]


def set_of(config: Config, snapshots: Iterable[Ref]) -> SnapFile:
    """What a file tells of snapshots, in this order. EngineError when one of them is no snapshot any more."""
    members = []
    first = None
    for ref in snapshots:
        volume = config.volume(ref) if ref in config else None
        link = next((one for one in volume.links if one.side is LinkSide.SNAPSHOT), None) if volume else None
        if volume is None or link is None or link.peer not in config:
            raise EngineError("The snapshots were taken, and are gone again already: no file was written.")
        ids = (config.volume(link.peer).name, link.peer.id, volume.name, ref.id)
        more = (volume.drive_letter, volume.drive_path, str(link.consistency))
        members.append(SetMember(*ids, link.generation, link.plex_name, *more))
        first = first or (config.group(volume.group), link)
    if first is None:
        raise EngineError("There are no snapshots: no file was written.")
    group, link = first
    return SnapFile(group.name, group.ref.id, link.set_id, link.taken, tuple(members))


def checked_name(name: str) -> Path:
    """The path of a file that is to be written or read. EngineError when it is not called .xml."""
    if not name.lower().endswith(".xml") or Path(name).name.lower() == ".xml":
        raise EngineError(f"{name or 'The file'} has no name that ends in .xml. Name it so: -x hyperbackup.xml.")
    return Path(name)


def check_free(path: Path, *, overwrite: bool) -> None:
    """That a file may be written there. EngineError while nothing has been touched."""
    if path.is_dir():
        raise EngineError(f"{path} is a folder. Name a file.")
    if path.exists() and not overwrite:
        raise EngineError(f"{path} is there already. Choose another name, or overwrite it with -o.")
    if not path.parent.is_dir():
        raise EngineError(f"There is no folder {path.parent}. Make it first.")
    if not os.access(path.parent, os.W_OK):
        raise EngineError(f"Nothing can be written to the folder {path.parent}. Choose another one.")


def write(path: Path, snap_set: SnapFile, *, overwrite: bool) -> None:
    """All of it or nothing, and on stable storage. EngineError says why it could not be."""
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                file.write(_text(snap_set).encode())
                file.flush()
                os.fsync(file.fileno())
            _put(Path(draft), path, overwrite)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
    except OSError as error:
        why = error.strerror or str(error)
        raise EngineError(f"The snapshots were taken, but {path} could not be written: {why}.") from error


def _put(draft: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(draft, path)
    else:
        os.link(draft, path)  # fails when somebody else was faster
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _text(snap_set: SnapFile) -> str:
    heads = {
        "version": _VERSION,
        "group": snap_set.group,
        "group-id": snap_set.group_id,
        "set-id": snap_set.set_id,
        "taken": f"{snap_set.taken:.6f}",
    }
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<snapshot-set {_attributes(heads)}>"]
    for member in snap_set.members:
        told = {name: value for name, value in member._asdict().items() if value or name not in _OPTIONAL}
        fields = {name.replace("_", "-"): value for name, value in told.items()}
        lines.append(f"  <snapshot {_attributes(fields)}/>")
    return "\n".join([*lines, "</snapshot-set>", ""])


def _attributes(fields: dict[str, str]) -> str:
    return " ".join(f"{name}={quoteattr(value)}" for name, value in fields.items())


def read(path: Path) -> SnapFile:
    """What the file tells. EngineError for one that is missing, truncated, foreign, hostile or too large."""
    try:
        with open(path, "rb") as file:
            content = file.read(LENGTH_MAX + 1)
    except OSError as error:
        raise EngineError(f"{path} can't be read: {error.strerror or error}.") from error
    if len(content) > LENGTH_MAX:
        raise EngineError(f"{path} is larger than any file of a snapshot set. It is another one.")
    try:
        return _Reader().read(content)
    except (expat.ExpatError, _Foreign, ValueError) as error:
        raise EngineError(f"{path} is no whole file of a snapshot set: {error}. Name one that vxsnap wrote.") from error


class _Foreign(Exception):
    """The file is well-formed, and not one of ours."""


class _Reader:
    def __init__(self) -> None:
        self._head: dict[str, str] | None = None
        self._members: list[SetMember] = []
        self._depth = 0

    def read(self, content: bytes) -> SnapFile:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        parser.Parse(content, True)
        if self._head is None or not self._members:
            raise _Foreign("it names no snapshots")
        head = self._head
        taken = float(head["taken"])
        if not 0 <= taken < 1e12:
            raise _Foreign("its time makes no sense")
        return SnapFile(head["group"], _id(head["group-id"]), _id(head["set-id"]), taken, tuple(self._members))

    def _start(self, name: str, fields: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            _check(name, "snapshot-set", fields, {"version", "group", "group-id", "set-id", "taken"})
            if fields["version"] != _VERSION:
                raise _Foreign(f"it has the version {fields['version'][:20]}, and this program knows {_VERSION}")
            self._head = fields
        elif self._depth == 2 and len(self._members) < _MEMBERS_MAX:
            names = {field.replace("_", "-"): field for field in SetMember._fields}
            optional = {field.replace("_", "-") for field in _OPTIONAL}
            _check(name, "snapshot", fields, {key for key in names if key not in optional or key in fields})
            for key in ("original-id", "snapshot-id", "generation"):
                _id(fields[key])
            self._members.append(SetMember(**{names[key]: value for key, value in fields.items()}))
        else:
            raise _Foreign(f"<{name[:40]}> has no place there")

    def _end(self, name: str) -> None:
        self._depth -= 1

    def _characters(self, text: str) -> None:
        if text.strip():
            raise _Foreign("it has text between its elements")

    def _refuse(self, *declared: object) -> int:
        raise _Foreign("it declares a document type or entities")


def _check(name: str, wanted: str, fields: dict[str, str], keys: set[str]) -> None:
    if name != wanted:
        raise _Foreign(f"<{name[:40]}> stands where <{wanted}> belongs")
    if fields.keys() != keys:
        odd = sorted(keys ^ fields.keys())[0]
        raise _Foreign(f"<{name}> {'has' if odd in fields else 'lacks'} the attribute {odd[:40]}")


def _id(text: str) -> str:
    if not _HEX.fullmatch(text):
        raise _Foreign(f"{text[:40]!r} is no id")
    return text
