"""All that can befall the blocks of a dirty region log and of a RAID-5 log, enumerated: seen, or without consequence.

Both logs have two copies on two disks, and either copy alone when a disk is gone. Whatever happens to the blocks of one
of two copies changes nothing; what happens to the only one is seen, but for the last block of all whose write a lying
disk has lost: nothing but that block could have told of it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from engine.dataplane import raid5_log
from engine.dataplane.fold import fold
from engine.dataplane.raid5_log import Raid5Log
from engine.dataplane.raid5_log_format import BLOCK, RING_AT, ExtentKind, LogCopy, LogExtent
from engine.dataplane.raid5_replay import Damaged, replay
from engine.devices.memory import MemoryDevice
from engine.maps.dirty_maps import _union
from engine.runtime import ThreadRuntime
from engine.store.dirty_pages import BITMAP_BYTES, DirtyPages, PageOwner, newest_sequences, read_pages
from tests import figures
from tests.engine.raid5_lab import GROUP_ID, VOLUME_ID, column_bytes, generation, layout
from tests.engine.store_lab import Bus, Lun

SECTOR = 512
SOAK = bool(os.environ.get("VEA_SOAK"))
STEP = 1 if SOAK else 61
"""Every so many bytes of a block's body one bit is flipped; of its header, in every byte."""


class Case(NamedTuple):
    """What becomes of blocks of the first copy, by their offset."""

    kind: str
    what: str
    blocks: dict[int, bytes]


def cases(history: list[dict[int, bytes]], others: dict[str, bytes]) -> Iterator[Case]:
    """`history` is what the copy's blocks were, newest last; `others` are whole blocks of other places and owners."""
    now = history[-1]
    yield from _torn_and_lost(history)
    yield from _flipped(now)
    for target in now:
        for source, content in {**{f"block {at}": data for at, data in now.items() if at != target}, **others}.items():
            yield Case("misdirected", f"{source} at {target}", {target: content})
    for age, then in enumerate(history[:-1]):
        yield Case("stale", f"all as of write {age}", then)


def _torn_and_lost(history: list[dict[int, bytes]]) -> Iterator[Case]:
    now = history[-1]
    for at, new in now.items():
        versions = list(dict.fromkeys(then[at] for then in history))[:-1]
        for age, old in enumerate(reversed(versions)):
            yield Case("lost", f"block {at}, {age + 1} writes ago", {at: old})
        for old in versions[-2:]:
            for cut in range(SECTOR, BLOCK, SECTOR):
                yield Case("torn", f"block {at}, new up to {cut}", {at: new[:cut] + old[cut:]})
                yield Case("torn", f"block {at}, new from {cut}", {at: old[:cut] + new[cut:]})


def _flipped(now: dict[int, bytes]) -> Iterator[Case]:
    for at, content in now.items():
        if any(content):
            for byte in (*range(128), *range(128, BLOCK, STEP)):
                changed = bytearray(content)
                changed[byte] ^= 1 << byte % 8
                yield Case("flipped", f"block {at}, byte {byte}", {at: bytes(changed)})


Figures = list[tuple[object, ...]]
VERDICTS = ("harmless", "detected", "before")


@pytest.fixture(scope="module")
def rows() -> Iterator[Figures]:
    """Lines of a table, published at the end."""
    found: Figures = []
    yield found
    columns = ("log, copies at hand", "cases", "harmless", "detected", "as before", "neither")
    figures.publish("logs", figures.table(columns, found))


def census(found: Iterator[Case], judge: Callable[[Case], str], title: str, rows: Figures) -> None:
    """Judge them all; prints how many had which verdict, and fails with those that must not be."""
    counts: dict[str, Counter[str]] = {}
    wrong = []
    for case in found:
        verdict = judge(case)
        counts.setdefault(case.kind, Counter())[verdict] += 1
        if verdict not in ("detected", "harmless", "before"):
            wrong.append(f"{case.kind}: {case.what}: {verdict}")
    for kind, count in counts.items():
        print(f"{title}, {kind}: {count.total()} cases, {dict(sorted(count.items()))}")
        rows.append((f"{title}, {kind}", count.total(), *(count[each] for each in VERDICTS), len(wrong)))
    assert not wrong, "\n".join(wrong[:20])
    assert set(counts) == {"torn", "lost", "flipped", "misdirected", "stale"}
    assert sum(sum(count.values()) for count in counts.values()) > 500


# --- a dirty region log ---
PAGES = 2
START = 1 << 20
REGIONS = PAGES * BITMAP_BYTES * 8


def owner(disk: int, number: int = 1, volume: bytes = b"v" * 16) -> PageOwner:
    return PageOwner(bytes([disk]) * 16, b"g" * 16, volume, bytes([number]) * 16, 65536)


class DirtyLife:
    """Two places that have been written alike; which regions the last pages name."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.luns = [Lun(f"lun{number}", self.bus) for number in range(2)]
        self.history: list[dict[int, bytes]] = []
        self._write_all(0, 7)  # the generation before
        self._note()
        self.bits = [bytearray(BITMAP_BYTES) for _ in range(PAGES)]
        places = [self._place(number, 1) for number in range(2)]
        for turn in range(6):
            page = turn % PAGES
            self.bits[page][turn] = 0xFF
            for place in places:
                place.write(page, bytes(self.bits[page]))
            self._note()
        self.now = [dict(lun.pages) for lun in self.luns]

    def _place(self, number: int, life: int) -> DirtyPages:
        lun, of = self.luns[number], owner(number, life)
        return DirtyPages(lun, START, of, newest_sequences(lun, START, of, PAGES))  # type: ignore[arg-type]

    def _write_all(self, number: int, life: int) -> None:
        for turn in range(4):
            self._place(number, life).write(turn % PAGES, b"\xff" * BITMAP_BYTES)

    def _note(self) -> None:
        blocks = (START + number * BLOCK for number in range(2 * PAGES))
        self.history.append({at: self.luns[0].bytes_at(at, BLOCK) for at in blocks})

    def others(self) -> dict[str, bytes]:
        """Good blocks of another volume, of an older generation, and of the other place."""
        found = {f"block {at} of the other disk": self.luns[1].bytes_at(at, BLOCK) for at in self.history[-1]}
        for title, of in (("another volume", owner(0, volume=b"w" * 16)), ("an older log", owner(0, 9))):
            lun = Lun("other", self.bus)
            place = DirtyPages(lun, START, of, [40] * PAGES)  # type: ignore[arg-type]
            place.write(0, bytes(BITMAP_BYTES))
            found[f"a block of {title}"] = lun.bytes_at(START + BLOCK, BLOCK)
        return found

    def judged(self, case: Case, places: int) -> str:
        for lun, pages in zip(self.luns, self.now, strict=True):
            lun.pages = dict(pages)
        for at, content in case.blocks.items():
            self.luns[0].put(at, content)
        told = [
            read_pages(self.luns[number], START, owner(number), PAGES)  # type: ignore[arg-type]
            for number in range(places)
        ]
        regions = _union(told, REGIONS)
        if regions is None:
            return "detected"
        truth = _union([read_pages(self.luns[1], START, owner(1), PAGES)], REGIONS)  # type: ignore[arg-type]
        assert truth is not None
        if all(mark or not wanted for mark, wanted in zip(regions, truth, strict=True)):
            return "harmless"
        return "before" if places == 1 and case.kind in ("torn", "lost", "stale") else "a region is forgotten"


@pytest.fixture(scope="module")
def dirty() -> DirtyLife:
    return DirtyLife()


@pytest.mark.parametrize("places", [1, 2])
def test_no_dirty_region_is_forgotten(dirty: DirtyLife, places: int, rows: Figures) -> None:
    found = cases(dirty.history, dirty.others())
    census(found, lambda case: dirty.judged(case, places), f"dirty region log, {places} of 2", rows)


# --- a RAID-5 log ---
UNIT, ROWS, LENGTH = 4096, 8, 256 << 10
LOG_AT = 131072
ENTRIES = 5
RUNTIME = ThreadRuntime()


class ParityLife:
    """A log of two copies in its second generation, none of whose entries has reached the columns."""

    def __init__(self) -> None:
        self.memory = [MemoryDevice(f"lun{number}", 1 << 20) for number in range(5)]
        self.history: list[dict[int, bytes]] = []
        old = Raid5Log(self.copies(2), VOLUME_ID, generation(1), RUNTIME)
        for row in range(ENTRIES + 2):
            self._put(old, row, 0xEE)
        self._note()
        log = Raid5Log(self.copies(2), VOLUME_ID, generation(2), RUNTIME, previous=generation(1))
        self._note()
        for row in range(ENTRIES):
            self._put(log, row, row + 1)
            self._note()
        self.now = [self._bytes(number) for number in range(2)]

    def copies(self, count: int) -> list[LogCopy]:
        return [
            LogCopy(f"log{number}", self.memory[3 + number], LOG_AT, LENGTH, bytes([number]) * 16, GROUP_ID)
            for number in range(count)
        ]

    def _put(self, log: Raid5Log, row: int, fill: int) -> None:
        log.append([LogExtent(ExtentKind.COLUMN, 0, 0, row * UNIT, UNIT)], [bytes([fill]) * UNIT])

    def _bytes(self, number: int) -> bytes:
        data = bytearray(LENGTH)
        self.memory[3 + number].read_into(LOG_AT, memoryview(data))
        return bytes(data)

    def _note(self) -> None:
        data = self._bytes(0)
        blocks = (0, BLOCK, *range(RING_AT, RING_AT + (2 * ENTRIES + 2) * BLOCK, BLOCK))
        self.history.append({at: data[at : at + BLOCK] for at in blocks})

    def others(self) -> dict[str, bytes]:
        data = self._bytes(1)
        return {f"block {at} of the other copy": data[at : at + BLOCK] for at in self.history[-1]}

    def judged(self, case: Case, copies: int) -> str:
        for device in self.memory[:3]:
            device.write(65536, bytes(ROWS * UNIT))
        for number, content in enumerate(self.now):
            self.memory[3 + number].write(LOG_AT, content)
        for at, content in case.blocks.items():
            self.memory[3].write(LOG_AT + at, content)
        table = fold([layout(self.memory[:3], UNIT, ROWS)], ROWS * 2 * UNIT)
        if isinstance(replay(self.copies(copies), VOLUME_ID, generation(2), table), Damaged):
            return "detected" if copies == 1 else "the other copy is not believed"
        told = column_bytes(self.memory[0], ROWS * UNIT)[::UNIT]
        wanted = [bytes(range(1, count + 1)) + bytes(ROWS - count) for count in range(ENTRIES + 1)]
        if told == wanted[ENTRIES]:
            return "harmless"
        if copies == 1 and (told == wanted[ENTRIES - 1] or (case.kind == "stale" and told in wanted)):
            return "before"  # nothing but the newest entry itself can tell of it
        return f"an entry is forgotten: {told!r}"

    def close(self) -> None:
        for device in self.memory:
            device.close()


@pytest.fixture(scope="module")
def parity() -> Iterator[ParityLife]:
    patch = pytest.MonkeyPatch()
    patch.setattr(raid5_log, "SMALLEST", LENGTH)
    life = ParityLife()
    yield life
    life.close()
    patch.undo()


@pytest.mark.parametrize("copies", [1, 2])
def test_no_entry_is_forgotten_or_made_up(parity: ParityLife, copies: int, rows: Figures) -> None:
    found = cases(parity.history, parity.others())
    census(found, lambda case: parity.judged(case, copies), f"RAID-5 log, {copies} of 2", rows)
