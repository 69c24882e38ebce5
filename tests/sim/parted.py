"""What an operator does with a snapshot whose disks become a disk group of their own, and with sizes of volumes that
have snapshots; and what must come of all of that when the snapshot goes back in the end."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from engine import commands, rules
from engine.dataplane.fine_map import CELL_MIN, GAP
from engine.errors import CommandRejected
from engine.records import GroupState, LinkSide, Task, TaskState
from engine.units import MIB
from tests.sim import snaps
from tests.sim.acts import NAME, SIZE, Absent, do, hold, volume, write_some
from tests.sim.oracle import SECTOR
from tests.sim.parting import OTHER, disks_of, other_group
from tests.sim.snaps import SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commands import Command, Master
    from engine.records import Link, Volume
    from tests.sim.site import Site


# --- where they begin ---
def prepared(site: Site) -> None:
    """A snap plex on disks of its own, of a volume of which clients write the first third."""
    do(site, commands.GrowVolume(volume=volume(site).ref, size=3 * SIZE))
    do(site, commands.PrepareSnapshot(volume=volume(site).ref))


def taken(site: Site) -> None:
    """From the Snap Shot on what either side changes is counted."""
    prepared(site)
    hold(site)
    do(site, commands.TakeSnapshots(choices=(commands.SnapChoice(volume(site).ref, name=SNAPSHOT),)))
    for known in site.volumes.values():
        known.oracle.touched.clear()
    snaps.release(site)
    write_both(site, 0)


def parted(site: Site) -> None:
    taken(site)
    split(site)


def left(site: Site) -> None:
    """The other group is nobody's."""
    taken(site)
    leave(site)


# --- one step each ---
def split(site: Site) -> None:
    """The original's clients write all the time; those of the snapshot before and afterwards."""
    _split(site, imports=True)
    write_both(site, 1)


def leave(site: Site) -> None:
    _split(site, imports=False)
    write_some(site, 6, seed=21)


def _split(site: Site, *, imports: bool) -> bool:
    snapshot = _find(site, SNAPSHOT)
    if snapshot is None:
        return False
    hold(site, [snapshot.ref])
    what = (snapshot.ref,)
    done = do(site, commands.SplitGroup(group=site.group.ref, name=OTHER, objects=what, imports=imports))
    snaps.release(site)
    return done


def join(site: Site) -> None:
    other = other_group(site.config)
    if other is None or other.state is not GroupState.IMPORTED:
        return
    hold(site, [one.ref for one in site.config.volumes_of(other.ref)])
    do(site, commands.JoinGroups(group=site.group.ref, joined=other.ref))
    snaps.release(site)
    write_both(site, 2)


def round_trip(site: Site) -> None:
    """As if another host had it in between: split off, taken, written, given up, taken back, joined, snapped back."""
    leave(site)
    _take(site)
    write_both(site, 1)
    _give(site)
    write_some(site, 6, seed=23)
    _take(site)
    join(site)
    bring_back(commands.Master.ORIGINAL)(site)


def _take(site: Site) -> None:
    other = other_group(site.config)
    if other is not None:
        do(site, commands.ImportGroup(group=other.ref))


def _give(site: Site) -> None:
    other = other_group(site.config)
    if other is not None:
        volumes = [one.ref for one in site.config.volumes_of(other.ref)]
        hold(site, volumes)
        if do(site, commands.DeportGroup(group=other.ref)):
            site.ended_in_order(volumes)
        snaps.release(site)


def write_both(site: Site, step: int) -> None:
    """The snapshot's clients write where the original's do not, and at each step elsewhere: what either map tells it
    tells alone."""
    write_some(site, 6, seed=22)
    if _find(site, SNAPSHOT) is not None:
        first = (SIZE + step * MIB) // SECTOR
        write_some(site, 6, seed=23, name=SNAPSHOT, part=(first, MIB // SECTOR - 64))


# --- sizes ---
def refused(site: Site) -> None:
    """What the two differ in is known for one size only, so that neither may change: nothing is done by halves."""
    for record in (volume(site), volume(site, SNAPSHOT)):
        sizes = {commands.GrowVolume: record.size + SIZE, commands.ShrinkVolume: record.size - SIZE // 2}
        for kind, size in sizes.items():
            _is_refused(site, kind(volume=record.ref, size=size))
    write_both(site, 1)


def _is_refused(site: Site, command: Command) -> None:
    problems = site.machine.engine.plan(command).problems
    assert problems, "a volume that has a snapshot may be resized"
    assert NAME in problems[0].text
    assert SNAPSHOT in problems[0].text
    try:
        site.machine.engine.submit(command)
    except CommandRejected:
        return
    raise AssertionError("what its plan refuses is carried out")


def grow_then_take(site: Site) -> None:
    """Its snap plex grows with a volume."""
    _resize(site, NAME, 4 * SIZE)
    _take_again(site)


def shrink_then_take(site: Site) -> None:
    _resize(site, NAME, SIZE)
    _take_again(site)


def back_then_grow(site: Site) -> None:
    """A snapshot goes back, and the next one is of another size."""
    snaps.back(commands.Master.ORIGINAL)(site)
    grow_then_take(site)


def clear_then_resize(site: Site) -> None:
    """Two volumes that have forgotten each other have sizes of their own."""
    snaps.clear(site)
    _resize(site, SNAPSHOT, 4 * SIZE)
    _resize(site, NAME, SIZE)
    write_both(site, 0)


def _resize(site: Site, name: str, size: int) -> None:
    record = _find(site, name)
    if record is None:
        return
    if size > record.size:
        do(site, commands.GrowVolume(volume=record.ref, size=size))
    else:
        hold(site, [record.ref])
        do(site, commands.ShrinkVolume(volume=record.ref, size=size))
        snaps.release(site)


def _take_again(site: Site) -> None:
    if _find(site, SNAPSHOT) is None:
        snaps.take(site)


# --- what must come of it ---
def settle_back(*, known: bool) -> Callable[[Site], None]:
    """The parts are joined and the snapshot goes back, in either direction: all of that is possible after anything."""

    def then(site: Site) -> None:
        join(site)
        bring_back(site.dice.choice(list(commands.Master)), known=known)(site)

    return then


def bring_back(master: Master, *, known: bool = True) -> Callable[[Site], None]:
    """The bytes are those of the model; copied is what either side has written since, and no more. Of a Snap Shot that
    a crash may have met need not be `known` what that is."""

    def act(site: Site) -> None:
        snapshot = _find(site, SNAPSHOT)
        link = next((one for one in snapshot.links if one.side is LinkSide.SNAPSHOT), None) if snapshot else None
        if snapshot is None or link is None or link.peer not in site.volumes:
            return
        most = _changed(site, snapshot, link, master, known=known)
        hold(site)
        task = site.submit(commands.SnapBack(snapshots=(snapshot.ref,), master=master))
        assert task is not None or site.trouble.met, "a snapshot cannot go back"
        site.take_over()
        snaps.release(site)
        if task is None:
            return
        site.finish(task)
        record = site.config.get(task)
        assert isinstance(record, Task)
        if not site.trouble.met:
            assert record.state is TaskState.COMPLETED, record.result
            text = f"{record.bytes_copied} bytes are copied, and the two sides have changed {most}"
            assert record.bytes_copied <= most, text

    return act


def _changed(site: Site, snapshot: Volume, link: Link, master: Master, *, known: bool) -> int:
    """The bytes that may be copied: to each plex what either side has written since the Snap Shot, in cells with what
    lies close between them or, after a crash, in regions."""
    plexes = len(site.config.plexes_of(link.peer)) if master is commands.Master.SNAPSHOT else 1
    if not _is_known(site, snapshot, link):
        excused = site.trouble.met or not known or _has_one_place(site, snapshot)
        assert excused, "nobody knows any more what has changed"
        return plexes * snapshot.size
    unit = link.changes.region_size if site.has_crashed else CELL_MIN
    gap = 0 if site.has_crashed else GAP
    touched = site.volumes[snapshot.ref].oracle.touched | site.volumes[link.peer].oracle.touched
    units = sorted({sector * SECTOR // unit for sector in touched})
    between = [(after - before - 1) * unit for before, after in itertools.pairwise(units)]
    return plexes * (len(units) * unit + sum(length for length in between if length <= gap))


def _has_one_place(site: Site, snapshot: Volume) -> bool:
    """What one disk alone tells nobody knows when a cut has met the page that an import writes anew."""
    return site.has_crashed and len(disks_of(site.config, snapshot)) == 1


def _is_known(site: Site, snapshot: Volume, link: Link) -> bool:
    """Whether both sides tell what has changed."""
    other = rules.other_end(site.config, snapshot.ref, link)
    return link.is_known and other is not None and other.is_known


def _find(site: Site, name: str) -> Volume | None:
    try:
        return volume(site, name)
    except Absent:
        return None
