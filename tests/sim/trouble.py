"""What goes wrong with a LUN while clients and operators are at work: one LUN at a time, until all is whole again."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from engine import commands
from engine.records import Disk, Kind, Plex, Volume
from engine.states import COMPLETE
from tests.sim.parting import groups_of
from tests.sim.volume import Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.sim.lun import Troubles
    from tests.sim.machine import Machine
    from tests.sim.site import Site
    from tests.sim.volume import SimVolume

_NO_SPACE = (errno.ENOSPC,)


def error_once(machine: Machine, path: str, dice: Random) -> None:
    verb, number = dice.choice(("read", "write", "dsync", "zero", "any")), dice.choice((errno.EIO, errno.ETIMEDOUT))
    machine.troubles[path].errors[verb] = (dice.randint(1, 30), number, False)


def dies(machine: Machine, path: str, dice: Random) -> None:
    machine.troubles[path].dead = True


def writes_fail(machine: Machine, path: str, dice: Random) -> None:
    machine.troubles[path].errors["write"] = (1, errno.EIO, True)


def is_pulled(machine: Machine, path: str, dice: Random) -> None:
    """What was on its way is lost, which the next flush through the same descriptor tells once."""
    machine.troubles[path].pulled = True
    machine.troubles[path].mute_flushes += machine.media[path].drop(dice)


def shake(world: Site, path: str) -> None:
    """A LUN has lost its cache: where it was the only one, what it had taken is in doubt."""
    config, luns = world.config, world.machine.engine._luns
    for volume in world.volumes.values():
        plexes = [plex for plex in config.plexes_of(volume.ref) if plex.state in COMPLETE]
        disks = [{subdisk.disk for subdisk in config.subdisks_of(plex.ref)} for plex in plexes]
        if all(any((lun := luns.of(disk)) and lun.path == path for disk in here) for here in disks):
            volume.oracle.shake()


def runs_full(machine: Machine, path: str, dice: Random) -> None:
    machine.troubles[path].full = True


def flush_fails(machine: Machine, path: str, dice: Random) -> None:
    machine.troubles[path].mute_flushes = 1


def rots(machine: Machine, path: str, dice: Random) -> None:
    """Some pages can't be read until they are written."""
    media = machine.media[path]
    pages = sorted(page for page in media.stable if page >= _PUBLIC_PAGE)
    media.bad.update(dice.sample(pages, min(len(pages), dice.randint(1, 4))))


_PUBLIC_PAGE = (5 << 20) // 4096

KINDS: dict[str, Callable[[Machine, str, Random], None]] = {
    function.__name__: function for function in (error_once, dies, writes_fail, is_pulled, runs_full, flush_fails, rots)
}


class Trouble:
    """Picks the victim of a world, and knows what may be blamed on it."""

    def __init__(self, world: Site, kinds: tuple[str, ...]) -> None:
        self._world = world
        self.kinds = kinds
        self.suspects: set[str] = set()
        self.full: set[str] = set()
        self._mended = False

    @property
    def met(self) -> bool:
        """Whether there is any, or has been."""
        return self._mended or bool(self.suspects)

    def run(self) -> None:
        """On a thread of its own: something happens to a LUN, now and then it is well again."""
        world, dice = self._world, self._world.dice
        if not self.kinds or self.suspects:
            return
        machine = world.machine
        machine.runtime.sleep(dice.random() * 0.2)
        path = dice.choice(sorted(machine.media))
        self.suspects.add(path)
        for _ in range(dice.randint(1, 3)):
            kind = dice.choice(self.kinds)
            machine.journal.note(f"{machine.runtime.clock:.6f}", "trouble:", path, kind)
            if kind == runs_full.__name__:
                self.full.add(path)
            KINDS[kind](machine, path, dice)
            if kind == is_pulled.__name__:
                shake(world, path)
            machine.runtime.sleep(dice.random() * 0.1)
            if dice.random() < 0.5:
                self._troubles(path).heal()
                world.submit(commands.Rescan())
                machine.runtime.sleep(dice.random() * 0.05)

    def mend(self) -> None:
        """All LUNs are well again, and the operator does what is needed until every mirror is complete."""
        machine, world = self._world.machine, self._world
        if not self.suspects and not any(disk.failing for disk in self._disks()):
            return
        self._mended = True
        for path in sorted(self.suspects):
            self._troubles(path).heal()
            machine.media[path].bad.clear()
        world.rest()
        self._do(commands.Rescan())
        self._hear_of_losses()
        for disk in world.config.all(Kind.DISK, Disk):
            if disk.failing:
                self._do(commands.ReactivateDisk(disk=disk.ref))
        for _ in range(2):
            for volume in self._volumes():
                if volume.fenced:
                    self._do(commands.StopVolumes(volumes=(volume.ref,)))
                    self._do(commands.StartVolumes(volumes=(volume.ref,)))
                    world.volumes[volume.ref].oracle.crash()  # what was not stable the operator has given up
                self._do(commands.ResyncVolume(volume=volume.ref))
            for plex in world.config.all(Kind.PLEX, Plex):
                if plex.state not in COMPLETE:
                    self._do(commands.AttachPlex(plex=plex.ref))
            world.rest()
        self.suspects.clear()
        self.full.clear()

    def _hear_of_losses(self) -> None:
        """A loss that nobody has met yet is told to whoever flushes first: every volume does."""
        for _, volume in sorted(self._world.volumes.items()):
            connection = Connection(self._world.machine, volume.ref)
            volume.flush(connection)
            connection.close()
        for path in self.suspects:
            self._troubles(path).mute_flushes = 0

    def _disks(self) -> list[Disk]:
        return [disk for group in groups_of(self._world.config) for disk in self._world.config.disks_of(group.ref)]

    def _volumes(self) -> list[Volume]:
        return [one for group in groups_of(self._world.config) for one in self._world.config.volumes_of(group.ref)]

    def _do(self, command: commands.Command) -> None:
        task = self._world.submit(command)
        if task is not None:
            self._world.finish(task)

    def excuses(self, volume: SimVolume, error: int) -> bool:
        """Whether a LUN in trouble can be the reason for a client's error: no complete plex lies beside it."""
        if not self.suspects:
            return False
        config, record = self._world.config, volume.record(self._world.machine)
        if record is not None and record.fenced:
            return True
        if error in _NO_SPACE:
            return any(self._lies_on(plex, self.full) for plex in config.plexes_of(volume.ref))
        complete = [plex for plex in config.plexes_of(volume.ref) if plex.state in COMPLETE]
        return all(self._lies_on(plex, self.suspects) for plex in complete)

    def _lies_on(self, plex: Plex, paths: set[str]) -> bool:
        luns = self._world.machine.engine._luns
        found = (luns.of(subdisk.disk) for subdisk in self._world.config.subdisks_of(plex.ref))
        return any(lun is None or lun.path in paths for lun in found)

    def _troubles(self, path: str) -> Troubles:
        return self._world.machine.troubles[path]
