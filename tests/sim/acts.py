"""What an operator and a client do on a simulated site: the words that cases and sequences are written in."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from engine.records import Disk, Kind, Plex, Subdisk, Volume
from engine.units import MIB
from tests.sim.parting import groups_of
from tests.sim.volume import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.commands import Command
    from engine.records import Ref
    from tests.sim.site import Site

SIZE = 2 * MIB
NAME = "v"


class Absent(LookupError):
    """What an operation needs is not there."""


def volume(site: Site, name: str = NAME) -> Volume:
    for group in groups_of(site.config):
        found = site.config.find(Kind.VOLUME, name, group.ref)
        if isinstance(found, Volume):
            return found
    raise Absent(name)


def plex(site: Site, number: int = -1) -> Plex:
    return sorted(site.config.plexes_of(volume(site).ref), key=lambda plex: plex.name)[number]


def subdisks(site: Site) -> list[Subdisk]:
    found = [piece for piece in site.config.all(Kind.SUBDISK, Subdisk) if piece.plex == plex(site, 0).ref]
    return sorted(found, key=lambda piece: (piece.column, piece.plex_offset))


def disks(site: Site) -> list[Disk]:
    return sorted(site.config.all(Kind.DISK, Disk), key=lambda disk: (len(disk.name), disk.name))


def empty_disks(site: Site) -> list[Ref]:
    return [disk.ref for disk in disks(site) if disk.group is not None and not site.config.subdisks_on(disk.ref)]


def do(site: Site, command: Command) -> bool:
    """Ask for it and wait for its end; False when it is refused."""
    task = site.submit(command)
    if task is not None:
        site.finish(task)
        site.take_over()
    return task is not None


def doing(make: Callable[[Site], Command]) -> Callable[[Site], None]:
    def act(site: Site) -> None:
        do(site, make(site))

    return act


def write_some(site: Site, count: int = 12, seed: int = 1, name: str = NAME, part: tuple[int, int] = (0, 4096)) -> None:
    """What a client does: bytes all over the volume, or from a sector on over so many, some of them flushed."""
    dice, known = Random(seed), site.volumes.get(volume(site, name).ref)
    if known is None or not known.oracle.size:
        return
    connection = Connection(site.machine, known.ref)
    for number in range(count):
        if known.held or known.ref not in site.volumes:
            break
        known.in_flight += 1
        sectors = known.oracle.size // 512 - part[0]
        length = dice.choice((1, 8, 16, 64))
        offset = (part[0] + dice.randrange(min(sectors - length, part[1]) if number % 3 else 64)) * 512
        known.write(connection, [(offset, length * 512)], durable=number % 5 == 4)
        if number % 4 == 3:
            known.flush(connection)
        known.in_flight -= 1
    connection.close()


def hold(site: Site, volumes: Iterable[Ref] | None = None) -> None:
    """No client is inside of these any more, or of any."""
    chosen = [site.volumes[ref] for ref in (site.volumes if volumes is None else volumes) if ref in site.volumes]
    for known in chosen:
        known.held = True
    while any(known.in_flight for known in chosen):
        site.machine.runtime.sleep(0.001)


def held(make: Callable[[Site], Command]) -> Callable[[Site], None]:
    def act(site: Site) -> None:
        hold(site)
        do(site, make(site))

    return act
