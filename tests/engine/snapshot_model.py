"""Volumes and snapshots as an operator would expect them: bytes by place, and which cells have changed since."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise

from engine import commands as c
from engine.dataplane.request import Op, Request
from engine.records import Kind, Link, LinkSide, Plex, Ref, Task, Volume
from engine.units import MIB
from tests.engine.engine_lab import EngineLab

REGIONS = 10
STAMP = 4096
CELLS = MIB // STAMP
PLACES = tuple(region * CELLS + cell for region in range(REGIONS) for cell in (0, 2, 9, CELLS - 1))
"""The cells that are stamped. The first two are so near to each other that what lies between is copied along."""


@dataclass
class Known:
    """What a volume holds in each place, and for each snapshot that it is linked to which cells either has changed."""

    bytes_: dict[int, int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))
    changed: dict[str, set[int]] = field(default_factory=dict)  # by generation


def of_region(region: int) -> range:
    """All its cells."""
    return range(region * CELLS, (region + 1) * CELLS)


def copied(cells: set[int]) -> int:
    """Bytes of these cells and of the gaps between them that are shorter than four cells."""
    found = sorted(cells)
    gaps = [second - first - 1 for first, second in pairwise(found)]
    return (len(found) + sum(gap for gap in gaps if gap < 4)) * STAMP


class SnapshotModel:
    """Does the same to an engine and to plain lists. `check` compares them."""

    def __init__(self, lab: EngineLab, seed: int) -> None:
        self.lab = lab
        self.random = random.Random(seed)
        self.known: dict[Ref, Known] = {}
        self.done: list[str] = []

    # --- looking ---
    def volumes(self) -> list[Volume]:
        return self.lab.config.volumes_of(self.lab.group().ref)

    def ready(self, volume: Volume) -> list[Plex]:
        return [plex for plex in self.lab.config.plexes_of(volume.ref) if plex.snap is not None and plex.complete]

    def snapshots(self) -> list[tuple[Volume, Link]]:
        found = [(volume, link) for volume in self.volumes() for link in volume.links]
        return [(volume, link) for volume, link in found if link.side is LinkSide.SNAPSHOT]

    def settle(self) -> None:
        """Every task has ended, and well."""
        for task in self.lab.config.all(Kind.TASK, Task):
            assert self.lab.engine.wait(task.ref, 60), task.name
            assert self.lab.config.task(task.ref).state == "completed", self.lab.config.task(task.ref).result

    # --- doing ---
    def make(self, name: str, mirrors: int) -> None:
        self.lab.make_volume(name, size=REGIONS * MIB, mirrors=mirrors)
        self.known[self.lab.volume(name).ref] = Known()

    def write(self, volume: Volume, region: int, value: int) -> None:
        """A stamp somewhere in a region; 0 zeroes or discards all of it."""
        cells = set(of_region(region))
        if value:
            cells = {self.random.choice([place for place in PLACES if place in cells])}
            assert self.lab.write(bytes([value]) * STAMP, min(cells) * STAMP, volume.name) == 0
        else:
            op = self.random.choice((Op.ZERO, Op.DISCARD))
            assert self.lab._io(volume.name, Request(op, region * MIB, MIB, may_unmap=True)) == 0
        self.done.append(f"write {volume.name} {min(cells)} {value}")
        self.known[volume.ref].bytes_.update(dict.fromkeys(cells & set(PLACES), value))
        for generation in self.known[volume.ref].changed:
            self._change(generation, cells)

    def _change(self, generation: str, cells: set[int]) -> None:
        for one in self.known.values():
            if generation in one.changed:
                one.changed[generation] |= cells

    def do(self, command: c.Command, *, wait: bool = True) -> Task:
        self.done.append(str(command))
        ref = self.lab.engine.submit(command)
        if wait:
            assert self.lab.engine.wait(ref, 60)
        self._adopt()
        return self.lab.config.task(ref)

    def attempt(self, command: c.Command) -> None:
        """What leaves all bytes as they are, where it is possible."""
        if not self.lab.engine.plan(command).problems:
            self.do(command)

    def take(self, volumes: list[Volume]) -> None:
        """A Snap Shot of a set."""
        self.do(c.TakeSnapshots(choices=tuple(c.SnapChoice(volume.ref) for volume in volumes)))

    def back(self, snapshot: Volume, link: Link, master: c.Master, *, wait: bool = True) -> Task:
        source, target = self.known[snapshot.ref], self.known[link.peer]
        union = set(source.changed[link.generation])
        if master is c.Master.SNAPSHOT:
            before = dict(target.bytes_)
            target.bytes_ = dict(source.bytes_)
            self._kept = before, union
            for generation in target.changed:
                self._change(generation, union)
        command = c.SnapBack(snapshots=(snapshot.ref,), master=master)
        filled = len([p for p in self.lab.config.plexes_of(link.peer) if p.complete]) - bool(
            master is c.Master.SNAPSHOT and self.ready(self.lab.config.volume(link.peer))
        )
        task = self.do(command, wait=wait)
        alone = len(self.lab.config.plexes_of(link.peer)) == 2
        if wait and (master is c.Master.SNAPSHOT or alone):
            most = copied(union) * (filled if master is c.Master.SNAPSHOT else 1)
            assert task.bytes_copied <= most, f"{task.bytes_copied} copied, {most} changed"
        return task

    _kept: tuple[dict[int, int], set[int]] | None = None

    def _adopt(self) -> None:
        """Volumes that have come hold what their original held; links begin with nothing, or with a restore."""
        here = {volume.ref: volume for volume in self.volumes()}
        for gone in self.known.keys() - here.keys():
            del self.known[gone]
        kept, self._kept = self._kept, None
        for volume in here.values():
            for link in volume.links if volume.ref not in self.known else ():
                original = self.known[link.peer]
                changed = set(kept[1]) if kept is not None else set()
                self.known[volume.ref] = Known(dict(kept[0] if kept is not None else original.bytes_))
                self.known[volume.ref].changed[link.generation] = set(changed)
                original.changed[link.generation] = set(changed)
        for ref, one in self.known.items():
            alive = {link.generation for link in here[ref].links}
            one.changed = {key: value for key, value in one.changed.items() if key in alive}

    def crash(self, *, in_order: bool) -> None:
        """The engine ends and starts again; what it begins by itself may run on. Of what has changed until then only
        the regions are known."""
        self.done.append("stop" if in_order else "kill")
        (self.lab.stop if in_order else self.lab.kill)()
        self.lab.start()
        for one in self.known.values():
            for cells in one.changed.values():
                cells.update(*(of_region(region) for region in {cell // CELLS for cell in cells}))

    def check(self) -> None:
        """All bytes are as they should be, on every complete plex."""
        self.settle()
        for volume in self.volumes():
            expected = self.known[volume.ref].bytes_
            told = "\n".join([*self.done[-25:], volume.name])
            found = {place: self.lab.read(place * STAMP, STAMP, volume.name) for place in PLACES}
            assert found == {place: bytes([value]) * STAMP for place, value in expected.items()}, told
            plexes = self.lab.config.plexes_of(volume.ref)
            assert all(plex.complete for plex in plexes), told
            assert len({self.lab.plex_digest(plex.ref) for plex in plexes}) == 1, told
