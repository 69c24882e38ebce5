"""The operations that are cut short at every write and flush: how each is made ready, and what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine import commands
from engine.records import DiskUsage, PlexState, Task, TaskState
from engine.units import MIB
from tests.sim import parted, repairs, snaps
from tests.sim.acts import (
    NAME,
    SIZE,
    disks,
    do,
    doing,
    empty_disks,
    held,
    hold,
    plex,
    subdisks,
    volume,
    write_some,
)
from tests.sim.operations import EVERY_LAYOUT, SMALL_ROWS
from tests.sim.site import PATIENCE_S
from tests.sim.volume import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commands import Command
    from engine.config import Config
    from engine.records import Ref
    from tests.sim.site import Site

NO_MIRROR = ("concat", "stripe", "raid5", SMALL_ROWS)
NO_SPARE = ("concat", "stripe")
PARITY = ("raid5", SMALL_ROWS)
NOT_STRIPED = ("concat", "mirror", "mirror of 3", "raid5", SMALL_ROWS)


class Case(NamedTuple):
    """`ready` brings the site to where `act` begins; both run inside of a life."""

    act: Callable[[Site], None]
    ready: Callable[[Site], None] = lambda site: None
    never_on: tuple[str, ...] = ()  # layouts on which it makes no sense
    busy: bool = True  # a client writes meanwhile
    then: Callable[[Site], None] | None = None  # what must be possible when all has come to rest, with its checks


# --- operations of more than one command ---
def new_group(site: Site) -> None:
    free = [disk.ref for disk in disks(site) if disk.group is None]
    do(site, commands.CreateGroup(name="other", disks=tuple(free)))


def pause_and_resume(site: Site) -> None:
    task = site.submit(commands.EvacuateDisk(disk=subdisks(site)[0].disk))
    if task is not None:
        site.submit(commands.PauseTask(task=task))
        site.machine.engine.committer.wait_until(lambda config: _rests(config, task), PATIENCE_S)
        site.submit(commands.ResumeTask(task=task))
        site.finish(task)


def _rests(config: Config, task: Ref) -> bool:
    record = config.get(task)
    return not isinstance(record, Task) or record.ended or record.state is TaskState.PAUSED


def abort(site: Site) -> None:
    task = site.submit(commands.EvacuateDisk(disk=subdisks(site)[0].disk))
    if task is not None:
        site.submit(commands.AbortTask(task=task))
        site.finish(task)


def abort_creation(site: Site) -> None:
    task = site.submit(commands.CreateVolume(group=site.group.ref, name="w", size=SIZE, mirrors=2))
    if task is not None:
        site.submit(commands.AbortTask(task=task))
        site.finish(task)
        site.take_over()


def grow_to(size: int) -> Callable[[Site], None]:
    return doing(lambda site: commands.GrowVolume(volume=volume(site).ref, size=size))


def two_at_once(site: Site) -> None:
    """A mirror is added while the volume grows elsewhere."""
    first = site.submit(commands.AddMirrors(volume=volume(site).ref))
    second = site.submit(commands.CreateVolume(group=site.group.ref, name="w", size=SIZE))
    for task in (first, second):
        if task is not None:
            site.finish(task)
    site.take_over()


def stop_and_delete(site: Site) -> None:
    hold(site)
    do(site, commands.StopVolumes(volumes=(volume(site).ref,)))
    do(site, commands.DeleteVolumes(volumes=(volume(site).ref,)))


def deport(site: Site) -> None:
    hold(site)
    if do(site, commands.DeportGroup(group=site.group.ref)):
        site.ended_in_order()


def split_first(site: Site) -> None:
    do(site, commands.SplitSubdisk(subdisk=subdisks(site)[0].ref, size=MIB // 2))


def split_large(site: Site) -> None:
    grow_to(3 * SIZE)(site)
    split_first(site)


def rest_then_write(site: Site) -> None:
    """The first write after an orderly start."""
    write_some(site, 2, seed=7)


def clear(site: Site, *, discard: bool) -> None:
    known = site.volumes[volume(site).ref]
    connection = Connection(site.machine, known.ref)
    for offset in (0, 100 * 512, MIB):
        known.zero(connection, offset, 64 << 10, discard=discard, durable=offset == MIB)
    known.flush(connection)
    connection.close()


def detached(site: Site) -> None:
    do(site, commands.DetachPlex(plex=plex(site).ref))


def other_volume(site: Site) -> None:
    do(site, commands.CreateVolume(group=site.group.ref, name="w", size=SIZE, mirrors=2))


def out_of_date(site: Site) -> bool:
    return any(found.state is PlexState.STALE for found in site.config.plexes_of(volume(site).ref))


def deported(site: Site) -> None:
    deport(site)


def reimport(site: Site) -> None:
    do(site, commands.ImportGroup(group=site.group.ref))


def _volume_command(kind: type[Command], **fields: object) -> Callable[[Site], None]:
    return doing(lambda site: kind(volume=volume(site).ref, **fields))  # type: ignore[call-arg]


def _with_end(act: Callable[[Site], None], ready: Callable[[Site], None], *, known: bool = True) -> Case:
    """In the end all parts are one group, and the snapshot goes back."""
    return Case(act, ready, never_on=PARITY, then=parted.settle_back(known=known))


CASES: dict[str, Case] = {
    "create a group": Case(new_group),
    "add a disk": Case(doing(lambda s: commands.AddDisks(group=s.group.ref, disks=(_free(s),)))),
    "remove a disk": Case(doing(lambda s: commands.RemoveDisks(disks=tuple(empty_disks(s)[:1])))),
    "initialize a disk": Case(doing(lambda s: commands.InitDisks(disks=(_free(s),)))),
    "set a disk's usage": Case(
        doing(lambda s: commands.SetDiskUsage(disks=tuple(empty_disks(s)[:1]), usage=DiskUsage.SPARE))
    ),
    "rename a disk": Case(doing(lambda s: commands.Rename(object=disks(s)[0].ref, name="renamed"))),
    "rename a volume": Case(doing(lambda s: commands.Rename(object=subdisks(s)[0].ref, name="renamed"))),
    "rescan": Case(doing(lambda s: commands.Rescan())),
    "deport": Case(deport),
    "import": Case(reimport, deported, busy=False),
    "create a concatenation": Case(doing(lambda s: _new(s))),
    "create a stripe": Case(doing(lambda s: _new(s, striped=True, columns=3))),
    "create a mirror": Case(doing(lambda s: _new(s, mirrors=2))),
    "create a mirrored stripe": Case(doing(lambda s: _new(s, mirrors=2, striped=True, columns=2))),
    "abort a creation": Case(abort_creation),
    "delete": Case(stop_and_delete),
    "grow": Case(grow_to(SIZE + MIB)),
    "grow by little": Case(grow_to(SIZE + 512)),
    "shrink": Case(held(lambda s: commands.ShrinkVolume(volume=volume(s).ref, size=SIZE // 2))),
    "add a column": Case(_volume_command(commands.AddColumn), never_on=NOT_STRIPED),
    "scrub": Case(
        doing(lambda s: commands.ScrubVolume(volume=volume(s).ref, source=plex(s, 0).ref)), never_on=NO_MIRROR
    ),
    "remove the log": Case(_volume_command(commands.RemoveLog), never_on=NO_SPARE),
    "add a log": Case(_volume_command(commands.AddLog), _volume_command(commands.RemoveLog), never_on=NO_SPARE),
    "move a subdisk": Case(doing(lambda s: commands.MoveSubdisks(moves=(commands.Move(subdisks(s)[0].ref),)))),
    "evacuate a disk": Case(doing(lambda s: commands.EvacuateDisk(disk=subdisks(s)[0].disk))),
    "pause and resume": Case(pause_and_resume),
    "abort": Case(abort),
    "two tasks at once": Case(two_at_once, never_on=PARITY),
    "add a mirror": Case(_volume_command(commands.AddMirrors), never_on=PARITY),
    "add a striped mirror": Case(_volume_command(commands.AddMirrors, striped=True, columns=2), never_on=PARITY),
    "add two mirrors": Case(_volume_command(commands.AddMirrors, count=2, striped=False), never_on=PARITY),
    "remove a mirror": Case(doing(lambda s: commands.RemoveMirrors(plexes=(plex(s).ref,))), never_on=NO_MIRROR),
    "break a mirror": Case(held(lambda s: commands.BreakMirror(plex=plex(s).ref)), never_on=NO_MIRROR),
    "detach a mirror": Case(doing(lambda s: commands.DetachPlex(plex=plex(s).ref)), never_on=NO_MIRROR),
    "attach a mirror": Case(doing(lambda s: commands.AttachPlex(plex=plex(s).ref)), detached, never_on=NO_MIRROR),
    "resynchronize": Case(_volume_command(commands.ResyncVolume), never_on=NO_MIRROR),
    "verify": Case(_volume_command(commands.VerifyVolume), never_on=NO_MIRROR),
    "prefer a mirror": Case(
        doing(lambda s: commands.SetVolumeUsage(volume=volume(s).ref, preferred=plex(s).ref)), never_on=NO_MIRROR
    ),
    "split a subdisk": Case(split_first, grow_to(3 * SIZE)),
    "join subdisks": Case(
        doing(lambda s: commands.JoinSubdisks(first=subdisks(s)[0].ref, second=subdisks(s)[1].ref)), split_large
    ),
    "stop": Case(held(lambda s: commands.StopVolumes(volumes=(volume(s).ref,)))),
    "start": Case(
        doing(lambda s: commands.StartVolumes(volumes=(volume(s).ref,))),
        held(lambda s: commands.StopVolumes(volumes=(volume(s).ref,))),
        busy=False,
    ),
    "reactivate a disk": Case(repairs.reactivate, repairs.failing_disk, never_on=NO_SPARE),
    "replace a disk": Case(repairs.replace, repairs.failing_disk, never_on=NO_SPARE),
    "repair": Case(repairs.repair, repairs.failing_disk, never_on=NO_SPARE),
    "undo a relocation": Case(repairs.undo, repairs.relocated, never_on=NO_SPARE),
    "restore a volume": Case(repairs.restore, repairs.deleted_volume),
    "restore a mirror": Case(repairs.restore, repairs.removed_mirror, never_on=NO_MIRROR),
    "prepare": Case(snaps.prepare, never_on=PARITY),
    "abort a snap plex": Case(snaps.abort, snaps.prepare, never_on=PARITY),
    "snap shot": Case(snaps.take, snaps.prepare, never_on=PARITY),
    "snap shot of a set": Case(snaps.take_set, snaps.prepared_set, never_on=PARITY),
    "write to both sides": Case(snaps.write_both, snaps.taken, never_on=PARITY, busy=False),
    "snap back, original": Case(snaps.back(commands.Master.ORIGINAL), snaps.taken, never_on=PARITY),
    "snap back, snapshot": Case(snaps.back(commands.Master.SNAPSHOT), snaps.taken, never_on=PARITY),
    "snap back a set": Case(
        snaps.back(commands.Master.SNAPSHOT, snaps.SNAPSHOT, snaps.SECOND_SNAPSHOT), snaps.taken_set, never_on=PARITY
    ),
    "snap back and keep": Case(snaps.back(commands.Master.SNAPSHOT), snaps.taken_and_prepared, never_on=PARITY),
    "take a restore back": Case(snaps.take_back, snaps.restored_and_kept, never_on=PARITY),
    "refresh": Case(snaps.refresh, snaps.taken, never_on=PARITY),
    "snap clear": Case(snaps.clear, snaps.taken, never_on=PARITY),
    "split a group": _with_end(parted.split, parted.taken),
    "split and leave deported": _with_end(parted.leave, parted.taken),
    "join groups": _with_end(parted.join, parted.parted),
    "off-host round trip": _with_end(parted.round_trip, parted.taken),
    "resize with a snapshot": _with_end(parted.refused, parted.taken),
    "grow, then snap shot": _with_end(parted.grow_then_take, parted.prepared, known=False),
    "shrink, then snap shot": _with_end(parted.shrink_then_take, parted.prepared, known=False),
    "snap back, then grow": _with_end(parted.back_then_grow, parted.taken, known=False),
    "snap clear, then resize": _with_end(parted.clear_then_resize, parted.taken),
    "write": Case(rest_then_write, busy=False),
    "write from two clients": Case(lambda s: write_some(s, 10, seed=9)),
    "zero": Case(lambda s: clear(s, discard=False)),
    "discard": Case(lambda s: clear(s, discard=True)),
}


def _free(site: Site) -> Ref:
    return next(disk.ref for disk in disks(site) if disk.group is None)


def _new(site: Site, **choices: object) -> Command:
    return commands.CreateVolume(group=site.group.ref, name="w", size=SIZE, **choices)  # type: ignore[arg-type]


def set_up(site: Site, layout: str) -> None:
    """A group on six of eight LUNs, a volume of this layout with bytes in it."""
    do(site, commands.CreateGroup(name="dg", disks=tuple(disk.ref for disk in disks(site)[:6])))
    shape = EVERY_LAYOUT[layout]
    do(site, commands.CreateVolume(group=site.group.ref, name=NAME, size=SIZE, **shape))  # type: ignore[arg-type]
    write_some(site, 16)
