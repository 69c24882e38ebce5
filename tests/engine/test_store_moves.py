"""Splitting and joining of groups on disk: power is cut at each write, and at each write of what puts it right."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from engine.config import Config, Edit
from engine.disk_groups.group_moves import GroupMoves, copies_last
from engine.errors import EngineError
from engine.geometry import DIRTY_PAGE_REGIONS
from engine.luns import LunTable
from engine.records import Disk, Group, Kind, Plex, PlexLayout, Record, Ref, Subdisk, Volume
from engine.store.areas import Area
from engine.store.dirty_pages import BITMAP_BYTES, DirtyPages, PageOwner, page_start, read_pages
from engine.store.group_store import GroupStore
from engine.store.image import records_of
from engine.store.moves import MapPages, Move, MoveKind, pack_maps
from engine.store.policy import import_needs
from engine.store.rows import encode_row, fields_of, pack_ref
from engine.store.scan import Found, GroupFound, scan
from engine.units import MIB
from tests.engine.store_lab import GROUP, HOST, OTHER_HOST, Bus, Lun, PowerCut, disk_record, disk_ref, importer

SOAK = bool(os.environ.get("VEA_SOAK"))
OTHER = Ref(Kind.GROUP, "f1" * 16, HOST)
GENERATION = "ab" * 16
BITS = bytes([0b1010_0101]) + bytes(BITMAP_BYTES - 1)
TOKEN = b"t" * 16
REGION = 1 * MIB


def volume_on(number: int, disk: int, group: Ref) -> list[Record]:
    """A volume of one subdisk."""
    volume = Ref(Kind.VOLUME, f"{number + 0xE0:032x}", HOST)
    plex = Ref(Kind.PLEX, f"{number + 0xD0:032x}", HOST)
    return [
        Volume(ref=volume, name=f"v{number}", group=group, size=MIB),
        Plex(ref=plex, name=f"v{number}-01", volume=volume, layout=PlexLayout.CONCAT),
        Subdisk(
            ref=Ref(Kind.SUBDISK, f"{number + 0xC0:032x}", HOST),
            name=f"sd{number}",
            plex=plex,
            disk=disk_ref(disk),
            disk_offset=disk_record(disk).public_offset,
            plex_offset=0,
            length=MIB,
        ),
    ]


class HalfLun(Lun):
    """The power may also go while a range is being filled with zeros."""

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        if length > 4096 and self.bus.before_write is not None:
            half = length // 8192 * 4096
            super().zero(offset, half, may_unmap=may_unmap)
            self.bus.before_write(self, offset + half, bytes(4096))
        super().zero(offset, length, may_unmap=may_unmap)


class Site:
    """A host with LUNs in memory, a group on the first of them and one on the rest, if there is a second."""

    def __init__(self, first: int, second: int = 0) -> None:
        self.bus = Bus()
        self.count = first + second
        self.luns = {f"lun{number}": HalfLun(f"lun{number}", self.bus) for number in range(self.count)}
        self.leaving = tuple(range(max(1, first // 2), first)) if not second else tuple(range(first, self.count))
        self.stores: dict[Ref, GroupStore] = {}
        self.config = Config.of(
            [
                Group(ref=GROUP, name="dg1"),
                *([Group(ref=OTHER, name="dg2")] if second else []),
                *(replace(disk_record(n), group=GROUP if n < first else OTHER) for n in range(self.count)),
                *volume_on(0, 0, GROUP),
                *volume_on(1, self.leaving[0], OTHER if second else GROUP),
            ]
        )
        for group in (GROUP, OTHER)[: 2 if second else 1]:
            devices = {disk.ref: self.device(disk.ref) for disk in self.config.disks_of(group)}
            records = [self.config.group(group), *(one for one in records_of(self.config, group) if one.ref != group)]
            self.stores[group] = GroupStore.create(records, devices, importer())
        self.put_map(OTHER if second else GROUP)

    def device(self, disk: Ref) -> Lun:
        return self.luns[f"lun{int(disk.id, 16) - 1}"]

    @property
    def moved(self) -> Ref:
        return disk_ref(self.leaving[0])

    def put_map(self, group: Ref) -> None:
        """A map of the volume that moves, as its group's."""
        store = self.stores[group]
        start = page_start(store.span(self.moved, Area.DIRTY_MAPS), 0, 1)
        DirtyPages(self.device(self.moved), start, self.owner(group), [0]).write(0, BITS)

    def owner(self, group: Ref) -> PageOwner:
        ids = (self.moved.id, group.id, f"{0xE1:032x}", GENERATION)
        disk, group_id, volume, generation = (bytes.fromhex(one) for one in ids)
        return PageOwner(disk, group_id, volume, generation, REGION)

    def map_bits(self, group: GroupFound) -> bytes | None:
        """The map as a group tells it that has the disk."""
        label = group.members[self.moved.id].label
        start = page_start(label.span(Area.DIRTY_MAPS), 0, 1)
        (page,) = read_pages(self.device(self.moved), start, self.owner(Ref(Kind.GROUP, group.id, HOST)), 1)
        return page.bits if page is not None else None

    def maps(self) -> bytes:
        volume, generation = self.owner(GROUP).volume, self.owner(GROUP).generation
        return pack_maps([MapPages(bytes.fromhex(self.moved.id), 0, REGION, volume, generation, (BITS,))])

    def scan(self, but: tuple[int, ...] = ()) -> Found:
        return scan({name: lun for name, lun in self.luns.items() if name not in {f"lun{n}" for n in but}})

    def moves(self) -> GroupMoves:
        """The engine's own code, on these LUNs."""
        luns = [
            SimpleNamespace(path=name, device=lun, present=lambda: True, lock=None) for name, lun in self.luns.items()
        ]
        committer = SimpleNamespace(stores=self.stores)
        return GroupMoves(
            cast("object", committer),  # type: ignore[arg-type]
            cast(LunTable, luns),
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            importer(),
        )

    def after_split(self) -> Config:
        edit = Edit(self.config)
        edit.put(Group(ref=OTHER, name="dg2"))
        return self._moved(edit, OTHER)

    def after_join(self) -> Config:
        edit = Edit(self.config)
        edit.drop(OTHER)
        return self._moved(edit, GROUP)

    def _moved(self, edit: Edit, group: Ref) -> Config:
        for number in self.leaving:
            edit.put(replace(edit.config.disk(disk_ref(number)), group=group))
        volume = edit.config.volume(Ref(Kind.VOLUME, f"{0xE1:032x}", HOST))
        edit.put(replace(volume, group=group))
        return edit.config

    def split(self) -> None:
        """As the engine does it."""
        store, after = self.stores[GROUP], self.after_split()
        rows = {pack_ref(record.ref): encode_row(record) for record in records_of(after, OTHER)}
        move = self._move(MoveKind.SPLIT, OTHER, number=store.transaction + 1, rows=rows, fields=fields_of(rows))
        move = replace(move, maps=self.maps())
        devices = {disk_ref(number): self.device(disk_ref(number)) for number in self.leaving}
        self.moves().carry_split(store, move, after, devices)

    def join(self) -> None:
        """As the engine does it."""
        source, target = self.stores[OTHER], self.stores[GROUP]
        joined = replace(self._move(MoveKind.JOINED, OTHER), maps=self.maps())
        outcome = source.move(put=(self._move(MoveKind.JOINING, GROUP),))
        assert outcome.durable
        del self.stores[OTHER]
        devices = {disk_ref(number): self.device(disk_ref(number)) for number in self.leaving}
        self.moves().carry_join(target, joined, self.after_join(), devices)

    def _move(self, kind: MoveKind, other: Ref, **more: object) -> Move:
        source = self.stores.get(OTHER)
        leaving = sorted(map(disk_ref, self.leaving), key=copies_last(source) if source is not None else None)
        ids = [bytes.fromhex(ref.id) for ref in leaving]
        group = bytes.fromhex(other.id)
        return Move(kind=kind, token=TOKEN, group=group, name="it", disks=tuple(ids), **more)  # type: ignore[arg-type]

    # --- power ---
    def snapshot(self) -> dict[str, dict[int, bytes]]:
        return {name: dict(lun.pages) for name, lun in self.luns.items()}

    def restore(self, pages: dict[str, dict[int, bytes]]) -> None:
        for name, lun in self.luns.items():
            lun.pages = dict(pages[name])

    def cut_at(self, number: int, torn: Random | None = None) -> None:
        """The power goes at the write of this number from now on, of which some sectors may still be taken."""
        left = [number]

        def before(lun: Lun, offset: int, data: bytes) -> bool:
            left[0] -= 1
            if left[0] < 0:
                if torn is not None:
                    old = lun.bytes_at(offset, len(data))
                    at = torn.randrange(len(data) // 512 + 1) * 512
                    lun.put(offset, data[:at] + old[at:])
                raise PowerCut
            return True

        self.bus.before_write = before

    def power_on(self) -> None:
        self.bus.before_write = None

    # --- the next start ---
    def start(self) -> None:
        """What the engine does with the groups that it had."""
        self.stores.clear()
        for _ in range(3):
            found = self.scan()
            for group in found.groups.values():
                if not group.owners or group.joined or Ref(Kind.GROUP, group.id, HOST) in self.stores:
                    continue
                fresh = self.scan().groups[group.id]
                store = GroupStore.load(fresh, importer())
                self.moves().finish(store)
                self.stores[store.group] = store
            if not self.moves().finish_all():
                return

    def check(self) -> str:
        """Every disk is one group's, every volume is there once, with its map. Answers `before` or `after`."""
        found = self.scan()
        members = [disk for group in found.groups.values() for disk in group.members]
        assert sorted(members) == sorted(disk_ref(number).id for number in range(self.count))
        names = [one.name for group in found.groups.values() for one in group.records(HOST) if isinstance(one, Volume)]
        assert sorted(names) == ["v0", "v1"]
        assert not any(group.moves or group.missing or group.leftovers for group in found.groups.values())
        (home,) = [group for group in found.groups.values() if self.moved.id in group.members]
        assert self.map_bits(home) == BITS
        for group in found.groups.values():
            needs = import_needs(group, HOST)
            assert not needs.force
            assert not needs.impossible
            disks = {one.ref.id for one in group.records(HOST) if isinstance(one, Disk)}
            for subdisk in (one for one in group.records(HOST) if isinstance(one, Subdisk)):
                assert subdisk.disk.id in disks
        return "one" if len(found.groups) == 1 else "two"

    def check_in_between(self) -> None:
        """Without the disks that stay, nobody can take what was leaving for granted; no disk is anybody's."""
        found = self.scan()
        for group in found.groups.values():
            assert not group.leftovers, "a disk on its way is free for anybody"
        claimed = [disk for group in found.groups.values() for disk in group.members]
        assert len(claimed) == len(set(claimed))
        alone = self.scan(tuple(number for number in range(self.count) if number not in self.leaving))
        for group in alone.groups.values():
            needs = import_needs(group, OTHER_HOST)
            assert group.id != GROUP.id or needs.force or needs.impossible or not group.members


SHAPES = {"split of 2": (2, 0), "split of 8": (8, 0), "join of 1": (2, 1), "join of 6": (3, 6)}


@pytest.fixture(params=SHAPES)
def site(request: pytest.FixtureRequest) -> Site:
    return Site(*SHAPES[request.param])


def cuts(site: Site, torn: Random | None = None) -> Iterator[tuple[int, bool]]:
    """Each write of a split or join, and whether it had been acknowledged when the power went; then what is there."""
    pages, joins = site.snapshot(), OTHER in site.stores
    for number in range(10_000):
        site.restore(pages)
        site.power_on()
        site.start()
        site.cut_at(number, torn)
        done = False
        with contextlib.suppress(PowerCut):
            site.join() if joins else site.split()
            done = True
        site.power_on()
        yield number, done
        if done:
            return


def test_a_split_or_join_is_whole_after_a_cut_at_any_write(site: Site) -> None:
    joins = OTHER in site.stores
    seen = []
    for number, done in cuts(site):
        site.check_in_between()
        site.start()
        seen.append(site.check())
        assert not done or seen[-1] == ("one" if joins else "two"), number
    assert len(seen) >= 10
    before, after = ("two", "one") if joins else ("one", "two")
    turn = seen.index(after)
    assert turn > 0
    assert seen == [before] * turn + [after] * (len(seen) - turn), "decided once and for all"


def test_torn_writes_leave_it_whole_as_well(site: Site) -> None:
    random = Random(7)
    for _ in range(4 if SOAK else 1):
        for number, _ in cuts(site, random):
            if not number % 2 or SOAK:
                site.start()
                site.check()


def test_what_puts_it_right_may_be_cut_as_well(site: Site) -> None:
    random = Random(11)
    for number, done in cuts(site):
        if done or (number % 5 and not SOAK):
            continue
        pages = site.snapshot()
        for _ in range(12 if SOAK else 2):
            site.restore(pages)
            site.cut_at(random.randrange(40))
            with contextlib.suppress(PowerCut):
                site.start()
            site.power_on()
            site.check_in_between()
            site.start()
            site.check()


def test_a_disk_that_was_away_is_not_read_as_its_old_group(site: Site) -> None:
    """The last disk fails between the decision and its relabelling, and comes back later."""
    joins = OTHER in site.stores
    last = site.leaving[-1]
    for number, done in cuts(site):
        if done or len(site.leaving) == 1 or (number % 3 and not SOAK):
            continue
        away = site.luns.pop(f"lun{last}")
        with contextlib.suppress(EngineError):  # too few of its copies are there
            site.start()
        site.luns[f"lun{last}"] = away
        site.check_in_between()
        site.start()
        found = site.scan()
        owner = [group.id for group in found.groups.values() if disk_ref(last).id in group.members]
        named = [group.id for group in found.groups.values() if disk_ref(last).id in group.disk_names()]
        assert len(named) == 1, number
        assert owner in ([], named), number
        if joins and owner:
            assert found.groups[owner[0]].id in (GROUP.id, OTHER.id)


def test_a_group_is_not_joined_behind_its_back(site: Site) -> None:
    """The source of an undecided join was taken by force without the target: the target does not get its disks."""
    if OTHER not in site.stores:
        return
    forced = 0
    for _, done in cuts(site):
        source = site.scan().groups.get(OTHER.id)
        if done or source is None or not any(move.kind is MoveKind.JOINING for move in source.moves):
            continue
        if forced >= 3 and not SOAK:
            continue
        alone = site.scan(tuple(range(site.count - len(site.leaving)))).groups[OTHER.id]
        if not alone.undecided or not alone.members or len(alone.members) < len(site.leaving):
            continue
        with pytest.raises(EngineError, match="about to be joined"):
            GroupStore.load(alone, importer())
        GroupStore.load(alone, importer(), force=True)
        forced += 1
        site.start()
        found = site.scan()
        assert len(found.groups[OTHER.id].members) == len(site.leaving)
        assert not found.groups[OTHER.id].moves
    assert forced


def test_a_page_of_a_map_has_as_many_bits_as_it_says() -> None:
    assert DIRTY_PAGE_REGIONS == BITMAP_BYTES * 8
