"""Every way in which one disk's metadata may lie, as changes of pages: torn, lost, misdirected, flipped, stale, cloned.

A case is what a LUN's pages become. A verdict is what a scan makes of it; a configuration that is not the true one and
that nothing is said about is the one verdict that must never be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engine.geometry import LABEL_OFFSET, PRIVATE_OFFSET
from engine.records import GroupState
from engine.store.areas import Area, areas
from engine.store.found import GroupFound
from engine.store.group_store import GroupStore
from engine.store.scan import Found, scan
from engine.units import MIB
from tests.engine.store_lab import GROUP, HOST, PAGE, SECTOR, Lab, Lun, importer, rows

Pages = Mapping[int, bytes]
ZERO = bytes(PAGE)
VICTIM = "lun0"
FIRST, LAST = PRIVATE_OFFSET // PAGE, (PRIVATE_OFFSET + 4 * MIB) // PAGE
HEADER = 128


@dataclass
class Case:
    """`pages` are put on the victim, `others` on LUNs by name (new names: more LUNs)."""

    kind: str
    what: str
    pages: dict[int, bytes] = field(default_factory=dict)
    others: dict[str, Pages] = field(default_factory=dict)


class Life:
    """A group that has been imported twice, has switched checkpoints, and has begun its journal anew."""

    def __init__(self, disks: int, commits: int) -> None:
        self.lab = Lab(disks)
        self.lab.create()
        self.history = [rows(self.lab.config)]
        self.stages = [self.lab.snapshot()]
        self._commit(range(1, commits // 2))
        found = self.lab.found()
        assert found is not None
        self.lab.store = GroupStore.load(found, importer())
        self._commit(range(commits // 2, commits + 1))
        self.now = self.lab.snapshot()
        self.earlier = self._earlier()

    def _commit(self, values: range) -> None:
        for value in values:
            self.lab.set_value(value)
            self.history.append(rows(self.lab.config))
            self.stages.append(self.lab.snapshot())

    def _earlier(self) -> dict[int, list[bytes]]:
        """What stood in each of the victim's pages before, newest last; zeros at first."""
        found: dict[int, list[bytes]] = {}
        for stage in self.stages:
            for page, content in stage[VICTIM].items():
                versions = found.setdefault(page, [ZERO])
                if versions[-1] != content:
                    versions.append(content)
        return {page: versions[:-1] for page, versions in found.items()}

    def used(self) -> list[int]:
        """The victim's pages that hold something: label, its copy, stamps, checkpoints, journal."""
        return sorted(page for page, content in self.now[VICTIM].items() if content != ZERO)

    def live(self, journal: int) -> list[int]:
        """As `used`, with only so many pages of the journal: what follows there is left over from before."""
        start = FIRST + areas(4 * MIB)[Area.JOURNAL].offset // PAGE
        return [page for page in self.used() if page < start + journal]


def torn(life: Life) -> Iterator[Case]:
    """Each page half new, half what was there before, cut at each sector, either half."""
    for page in life.used():
        new = life.now[VICTIM][page]
        for old in life.earlier[page][-2:]:
            for cut in range(SECTOR, PAGE, SECTOR):
                yield Case("torn", f"page {page}, new up to {cut}", {page: new[:cut] + old[cut:]})
                yield Case("torn", f"page {page}, new from {cut}", {page: old[:cut] + new[cut:]})


def lost(life: Life) -> Iterator[Case]:
    """Each page as it was at any time before its last write."""
    for page in life.used():
        for age, old in enumerate(reversed(life.earlier[page])):
            yield Case("lost", f"page {page}, {age + 1} writes ago", {page: old})


def misdirected(life: Life, *, everywhere: bool) -> Iterator[Case]:
    """Each page, of each disk, written over another page: each one in use and the edges of each area, or all."""
    targets = set(life.used()) | {LABEL_OFFSET // PAGE - 1}
    for span in areas(4 * MIB).values():
        first, after = FIRST + span.offset // PAGE, FIRST + (span.offset + span.length) // PAGE
        targets |= {first, first + 1, after - 1}
    if everywhere:
        targets |= set(range(FIRST, LAST))
    for name in sorted(life.now):
        for source in life.used() if everywhere else life.live(4):
            content = life.now[name].get(source, ZERO)
            for target in sorted(targets):
                if name != VICTIM or source != target:
                    yield Case("misdirected", f"page {source} of {name} at page {target}", {target: content})


def flipped(life: Life, *, every_bit: bool) -> Iterator[Case]:
    """Bits of each page in use: one of each header byte and of some bytes of the body, or all there are."""
    for page in life.used() if every_bit else life.live(8):
        places = [(byte, bit) for byte in range(PAGE) for bit in range(8)]
        if not every_bit:
            places = [(byte, byte % 8) for byte in (*range(HEADER), *range(HEADER, PAGE, 127))]
        for byte, bit in places:
            content = bytearray(life.now[VICTIM][page])
            content[byte] ^= 1 << bit
            yield Case("flipped", f"page {page}, byte {byte}, bit {bit}", {page: bytes(content)})


def stale(life: Life) -> Iterator[Case]:
    """The whole disk, or one of its areas, as it stood after any commit before."""
    for age, stage in enumerate(life.stages[:-1]):
        old = {page: stage[VICTIM].get(page, ZERO) for page in life.used()}
        yield Case("stale", f"the disk as of commit {age}", old)
        for area, span in areas(4 * MIB).items():
            first, after = FIRST + span.offset // PAGE, FIRST + (span.offset + span.length) // PAGE
            part = {page: content for page, content in old.items() if first <= page < after}
            if any(life.now[VICTIM][page] != content for page, content in part.items()):
                yield Case("stale", f"its {area} as of commit {age}", part)


def cloned(life: Life) -> Iterator[Case]:
    """A second LUN that is the disk as it is, or as it was; and the disk in place of each other one."""
    for age, stage in enumerate(life.stages):
        yield Case("cloned", f"a clone as of commit {age} beside it", others={"clone": stage[VICTIM]})
    for name in sorted(life.now):
        if name != VICTIM:
            yield Case("cloned", f"{name} is a copy of it", others={name: life.now[VICTIM]})
            yield Case("cloned", f"it is a copy of {name}", others={VICTIM: life.now[name]})


def judged(life: Life, case: Case) -> str:
    """`detected`: it is named, and what counts is the truth or nothing. `harmless`: the truth. `before`: the only disk
    of a group is, whole and sound, what it was before, and nothing but itself could tell. Else: what went wrong."""
    luns = {name: Lun(name, life.lab.bus, pages=pages) for name, pages in life.now.items()}
    for name, pages in case.others.items():
        luns[name] = Lun(name, life.lab.bus, pages=pages)
    luns[VICTIM].pages.update(case.pages)
    seen = scan(luns)
    found = seen.groups.get(GROUP.id)
    if found is None or found.elected is None:
        return "detected" if seen.problems or not _redundant(life) else "silently gone"
    told = rows(found.records(HOST))
    if told == life.history[-1]:
        return _owner(found, seen)
    if _redundant(life):
        return "not the truth, though other copies have it"
    if _named(found, seen):
        return "detected"
    since = life.history[:-1] if case.kind == "stale" else life.history[-2:-1]
    return "before" if told in since and case.kind in ("lost", "stale", "torn") else "not the truth"


def _redundant(life: Life) -> bool:
    return len(life.now) > 1


def _named(found: GroupFound, seen: Found) -> bool:
    return bool(seen.problems or found.blocked or (found.elected and found.elected.doubts))


def _owner(found: GroupFound, seen: Found) -> str:
    if found.state(HOST) == GroupState.IMPORTED or found.unknown_owner or _named(found, seen):
        return "detected" if _named(found, seen) or found.unknown_owner else "harmless"
    return "owner forgotten"


def census(life: Life, cases: Iterator[Case]) -> tuple[Counter[str], list[str]]:
    """How many cases got which verdict, and those that must not be."""
    count: Counter[str] = Counter()
    wrong = []
    for case in cases:
        verdict = judged(life, case)
        count[verdict] += 1
        if verdict not in ("detected", "harmless", "before"):
            wrong.append(f"{case.kind}: {case.what}: {verdict}")
    return count, wrong
