"""What an operator does with snapshots on a simulated site, and what clients write to both sides of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import commands, rules
from engine.records import Kind, Volume
from tests.sim.acts import NAME, SIZE, Absent, do, hold, volume, write_some

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.records import Plex
    from tests.sim.site import Site

SNAPSHOT = "snap"
SECOND, SECOND_SNAPSHOT = "w", "snap-w"


def snap_plex(site: Site) -> Plex:
    found = rules.snap_plexes_of(site.config, volume(site).ref)
    if not found:
        raise Absent("a snap plex")
    return found[0]


def release(site: Site) -> None:
    """Clients may go on."""
    for known in site.volumes.values():
        known.held = False


# --- one step each ---
def prepare(site: Site) -> None:
    do(site, commands.PrepareSnapshot(volume=volume(site).ref, force=True))


def abort(site: Site) -> None:
    do(site, commands.AbortSnapshot(plexes=(snap_plex(site).ref,)))


def take(site: Site) -> None:
    """Nobody writes at the instant of the Snap Shot, so that the oracle knows it; afterwards both sides change."""
    hold(site)
    do(site, commands.TakeSnapshots(choices=(commands.SnapChoice(volume(site).ref, name=SNAPSHOT),)))
    release(site)
    write_both(site)


def take_set(site: Site) -> None:
    """Two volumes at one instant."""
    hold(site)
    names = ((NAME, SNAPSHOT), (SECOND, SECOND_SNAPSHOT))
    choices = tuple(commands.SnapChoice(volume(site, one).ref, name=other) for one, other in names)
    do(site, commands.TakeSnapshots(choices=choices))
    release(site)
    write_both(site)


def write_both(site: Site) -> None:
    """There may be no snapshot: a Snap Shot is refused where a disk has failed."""
    write_some(site, 6, seed=11)
    if any(known.name == SNAPSHOT for known in site.config.all(Kind.VOLUME, Volume)):
        write_some(site, 6, seed=12, name=SNAPSHOT)


def back(master: commands.Master, *names: str) -> Callable[[Site], None]:
    """The clients of a restored volume write while it is copied."""

    def act(site: Site) -> None:
        refs = tuple(volume(site, name).ref for name in names or (SNAPSHOT,))
        hold(site)
        task = site.submit(commands.SnapBack(snapshots=refs, master=master))
        site.take_over()
        release(site)
        write_some(site, 6, seed=13)
        if task is not None:
            site.finish(task)

    return act


def refresh(site: Site) -> None:
    """Nobody writes until the snapshot is there again."""
    snapshot = volume(site, SNAPSHOT).ref
    hold(site)
    do(site, commands.RefreshSnapshots(snapshots=(snapshot,)))
    release(site)
    write_both(site)


def clear(site: Site) -> None:
    do(site, commands.ClearSnapshots(volumes=(volume(site, SNAPSHOT).ref,)))


# --- where they begin ---
def taken(site: Site) -> None:
    prepare(site)
    take(site)


def prepared_set(site: Site) -> None:
    prepare(site)
    do(site, commands.CreateVolume(group=site.group.ref, name=SECOND, size=SIZE))
    write_some(site, 6, seed=14, name=SECOND)
    do(site, commands.PrepareSnapshot(volume=volume(site, SECOND).ref, force=True))


def taken_set(site: Site) -> None:
    prepared_set(site)
    take_set(site)


def taken_and_prepared(site: Site) -> None:
    """A restore can keep what the volume is now."""
    taken(site)
    prepare(site)


def restored_and_kept(site: Site) -> None:
    taken_and_prepared(site)
    back(commands.Master.SNAPSHOT)(site)


def take_back(site: Site) -> None:
    """What a restore has kept comes back."""
    back(commands.Master.SNAPSHOT, f"{NAME}-before-restore")(site)
