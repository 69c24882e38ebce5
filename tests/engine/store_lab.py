"""LUNs for tests of the store: pages in a dictionary, every change recorded, power cut wherever a test likes."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from engine.config import Config, Edit
from engine.devices.base import Data, check_range
from engine.errors import DeviceError
from engine.geometry import geometry
from engine.records import Disk, Group, Kind, Plex, Ref, Subdisk, Volume
from engine.store.group_store import GroupStore
from engine.store.member import Importer
from engine.store.rows import persistent
from engine.store.scan import GroupFound, scan
from engine.units import MIB

PAGE = 4096
SECTOR = 512
HOST = "a0" * 16
OTHER_HOST = "b0" * 16
GROUP = Ref(Kind.GROUP, "f0" * 16, HOST)
VOLUME = Ref(Kind.VOLUME, "e0" * 16, HOST)
SIZE = 16 * MIB
_serials = itertools.count(1)


class PowerCut(BaseException):
    """The machine is off; nothing that runs may go on."""


@dataclass
class Write:
    """One change of a LUN, in the order of all LUNs."""

    name: str
    offset: int
    data: bytes


@dataclass
class Bus:
    """What all LUNs of a test share: the record of writes, and who may break the next one."""

    writes: list[Write] = field(default_factory=list)
    before_write: Callable[[Lun, int, bytes], bool] | None = None  # False: the write is silently lost


class Lun:
    """A LUN of zeros in memory. Pages are immutable, so that a snapshot costs nothing."""

    block_size = 512
    losses = 0
    discard_zeroes = True

    def __init__(self, name: str, bus: Bus, size: int = SIZE, pages: Mapping[int, bytes] | None = None) -> None:
        self.name, self.size, self.bus = name, size, bus
        self.pages = dict(pages or {})
        self.reads = 0

    def read_into(self, offset: int, into: memoryview) -> None:
        check_range(self.name, self.size, offset, len(into))
        self.reads += 1
        done = 0
        while done < len(into):
            page, start = divmod(offset + done, PAGE)
            step = min(PAGE - start, len(into) - done)
            into[done : done + step] = self.pages.get(page, bytes(PAGE))[start : start + step]
            done += step

    def try_read(self, offset: int, into: memoryview) -> bool:
        return False

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        check_range(self.name, self.size, offset, len(data))
        assert durable or not any(data), "metadata that is not durable"
        assert offset % PAGE == 0, "metadata that is not aligned"
        assert len(data) % PAGE == 0, "metadata that is not aligned"
        content = bytes(data)
        if not durable:
            self.zero(offset, len(data), may_unmap=False)
            return
        if self.bus.before_write is None or self.bus.before_write(self, offset, content):
            self.put(offset, content)
            self.bus.writes.append(Write(self.name, offset, content))

    def put(self, offset: int, data: bytes) -> None:
        """Change bytes without anybody noticing."""
        done = 0
        while done < len(data):
            page, start = divmod(offset + done, PAGE)
            step = min(PAGE - start, len(data) - done)
            old = self.pages.get(page, bytes(PAGE))
            self.pages[page] = old[:start] + data[done : done + step] + old[start + step :]
            done += step

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        check_range(self.name, self.size, offset, length)
        first, last = offset // PAGE, (offset + length) // PAGE
        for page in [page for page in self.pages if first <= page < last]:
            del self.pages[page]

    def discard(self, offset: int, length: int) -> None:
        raise AssertionError("metadata is never discarded")

    def flush(self) -> None:
        """Everything is stable at once."""

    def bytes_at(self, offset: int, length: int) -> bytes:
        """The content of a range."""
        buffer = bytearray(length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def failed(self) -> DeviceError:
        return DeviceError(errno.EIO, self.name, "Writing")


def importer(host: str = HOST, name: str = "alpha") -> Importer:
    """A host that imports; serials are never used twice."""
    return Importer(host, name, lambda: 1_700_000_000.0, lambda: next(_serials).to_bytes(16, "big"))


def disk_ref(number: int, host: str = HOST) -> Ref:
    """The disk on LUN `lun<number>`."""
    return Ref(Kind.DISK, f"{number + 1:032x}", host)


def disk_record(number: int, size: int = SIZE, host: str = HOST) -> Disk:
    regions = geometry(size)
    return Disk(
        ref=disk_ref(number, host),
        name=f"Harddisk{number}",
        size=size,
        group=msgspec.structs.replace(GROUP, host=host),
        public_offset=regions.public_offset,
        public_length=regions.public_length,
        present=True,
    )


class Lab:
    """A group on some LUNs, its configuration, and what the disks say of it."""

    def __init__(self, disks: int, size: int = SIZE) -> None:
        self.bus = Bus()
        self.luns = {f"lun{number}": Lun(f"lun{number}", self.bus, size) for number in range(disks)}
        self.config = Config.of(
            [Group(ref=GROUP, name="dg1"), *(disk_record(number, size) for number in range(disks)), volume(0)]
        )
        self.store: GroupStore

    def create(self) -> GroupStore:
        """Make the group."""
        devices = {disk_ref(number): self.luns[f"lun{number}"] for number in range(len(self.luns))}
        self.store = GroupStore.create(self.config, devices, importer())
        return self.store

    def snapshot(self) -> dict[str, dict[int, bytes]]:
        return {name: dict(lun.pages) for name, lun in self.luns.items()}

    def restore(self, pages: Mapping[str, Mapping[int, bytes]]) -> None:
        for name, lun in self.luns.items():
            lun.pages = dict(pages[name])

    def found(self, names: Iterable[str] | None = None) -> GroupFound | None:
        """The group as a scan of these LUNs (all when not told) finds it."""
        wanted = set(self.luns if names is None else names)
        return scan({name: lun for name, lun in self.luns.items() if name in wanted}).groups.get(GROUP.id)

    def set_value(self, value: int) -> None:
        """Commit a volume of this size; an assertion when that isn't durable."""
        outcome = self.try_value(value)
        assert outcome, self.store.frozen

    def try_value(self, value: int) -> bool:
        """Commit a volume of this size, as the engine does: the new configuration holds when it is durable."""
        config, changed = edited(self.config, volume(value))
        outcome = self.store.commit({ref: config.get(ref) for ref in changed}, self.store.transaction + 1, config)
        if outcome.durable:
            self.config = config
        return outcome.durable


def volume(size: int, name: str = "v") -> Volume:
    """The volume whose size tests use as the value of a configuration."""
    return Volume(ref=VOLUME, name=name, group=GROUP, size=size)


def edited(config: Config, *records: Disk | Volume | Plex | Subdisk | Group) -> tuple[Config, frozenset[Ref]]:
    edit = Edit(config)
    for record in records:
        edit.put(record)
    return edit.result()


def rows(records: Iterable[object]) -> dict[Ref, bytes | None]:
    """What of records reaches the disk, to compare configurations by."""
    return {record.ref: persistent(record) for record in records}  # type: ignore[attr-defined]


def value_of(found: GroupFound) -> int:
    """The value that tests set, as the disks tell it."""
    (value,) = [record.size for record in found.records(HOST) if isinstance(record, Volume) and record.ref == VOLUME]
    return value


def tears(old: bytes, new: bytes) -> Iterable[bytes]:
    """What a power cut may leave of a write of up to 4 KiB: every choice of its sectors."""
    count = len(new) // SECTOR
    for choice in range(1 << count):
        parts = [
            (new if choice >> sector & 1 else old)[sector * SECTOR : (sector + 1) * SECTOR] for sector in range(count)
        ]
        yield b"".join(parts)
