"""All sequences of up to three administrative operations, with a power cut after what the last of them made durable."""

from __future__ import annotations

import functools
import itertools
from random import Random
from typing import TYPE_CHECKING

from engine import commands
from tests.sim import cases, snaps
from tests.sim.acts import do, plex, subdisks, volume, write_some
from tests.sim.crashes import Moment, Recorder, Result, begun, look, site_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sim.site import Site

LENGTH_MAX = 3
_DURABLE = ("dsync done", "flushed", "the end")


def grow(site: Site) -> None:
    do(site, commands.GrowVolume(volume=volume(site).ref, size=volume(site).size + (1 << 20)))


def move(site: Site) -> None:
    do(site, commands.MoveSubdisks(moves=(commands.Move(subdisks(site)[0].ref),)))


def add_mirror(site: Site) -> None:
    do(site, commands.AddMirrors(volume=volume(site).ref))


def remove_mirror(site: Site) -> None:
    do(site, commands.RemoveMirrors(plexes=(plex(site).ref,)))


def break_mirror(site: Site) -> None:
    do(site, commands.BreakMirror(plex=plex(site).ref))


def detach(site: Site) -> None:
    do(site, commands.DetachPlex(plex=plex(site).ref))


def attach(site: Site) -> None:
    do(site, commands.AttachPlex(plex=plex(site).ref))


def split(site: Site) -> None:
    do(site, commands.SplitSubdisk(subdisk=subdisks(site)[0].ref, size=1 << 19))


def join(site: Site) -> None:
    do(site, commands.JoinSubdisks(first=subdisks(site)[0].ref, second=subdisks(site)[1].ref))


def stop_start(site: Site) -> None:
    do(site, commands.StopVolumes(volumes=(volume(site).ref,)))
    do(site, commands.StartVolumes(volumes=(volume(site).ref,)))


def deport_import(site: Site) -> None:
    cases.deport(site)
    cases.reimport(site)
    site.greet()


def create(site: Site) -> None:
    do(site, commands.CreateVolume(group=site.group.ref, size=1 << 20, mirrors=2))


def delete(site: Site) -> None:
    do(site, commands.DeleteVolumes(volumes=(volume(site).ref,)))


def evacuate(site: Site) -> None:
    do(site, commands.EvacuateDisk(disk=subdisks(site)[-1].disk))


def snap_shot(site: Site) -> None:
    snaps.taken(site)


def snap_back(site: Site) -> None:
    snaps.back(commands.Master.ORIGINAL)(site)


def snap_restore(site: Site) -> None:
    snaps.back(commands.Master.SNAPSHOT)(site)


ALPHABET: dict[str, Callable[[Site], None]] = {
    function.__name__: function
    for function in (
        grow, move, add_mirror, remove_mirror, break_mirror, detach, attach, split, join, stop_start, deport_import,
        create, delete, evacuate, snap_shot, snap_back, snap_restore,
    )
}  # fmt: skip


def sequences() -> Iterator[tuple[str, ...]]:
    """Every one, the short ones first."""
    for length in range(1, LENGTH_MAX + 1):
        yield from itertools.product(ALPHABET, repeat=length)


def play_sequence(names: tuple[str, ...], start: Moment, seed: int) -> list[Moment]:
    """Do one after the other, a client writing in between; answers the moments after the last one's durable writes."""
    site = site_after(start, seed, 1.0)
    recorder = Recorder(site, only=_DURABLE)
    site.machine.moment = recorder.take

    def main() -> None:
        site.greet()
        for number, name in enumerate(names):
            recorder.on = number == len(names) - 1
            try:
                ALPHABET[name](site)
                write_some(site, 3, seed=number)
            except LookupError:
                site.machine.journal.note(name, "has nothing to work on")
        recorder.take("", "the end")
        recorder.on = False

    site.machine.live(main)
    return recorder.moments


def enumerate_sequence(
    names: tuple[str, ...], layout: str, start: Moment, seed: int, points_max: int | None = None
) -> Result:
    """Cut one sequence after each durable write of its last operation, or at about `points_max` of them, spread evenly;
    always at its end."""
    result = Result(" > ".join(names), layout)
    moments = play_sequence(names, start, seed)
    result.points = len(moments)
    step = max(1, len(moments) // points_max) if points_max else 1
    for number in sorted({*range(seed % step, len(moments), step), len(moments) - 1}):
        result.states += 1
        found = moments[number]
        try:
            look(found, seed + number, Random(seed + number).choice((0.0, 0.5, 1.0)))
        except Exception as error:
            where = f"moment {number} ({found.what})"
            result.failures.append(f"{result.name} on {layout}, seed {seed}, {where}: {type(error).__name__}: {error}")
    return result


@functools.cache
def base(layout: str, seed: int) -> Moment:
    """Where every sequence on a layout begins."""
    return begun(layout, lambda site: None, seed)
