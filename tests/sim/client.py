"""A client that reads, writes and flushes without end, and believes nothing."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from tests.sim.oracle import SECTOR
from tests.sim.volume import Connection

if TYPE_CHECKING:
    from random import Random

    from tests.sim.volume import SimVolume
    from tests.sim.world import Mix, World

_SECTORS = (1, 1, 2, 8, 8, 16, 128)


class Client:
    """One connection to one volume. `run` ends after so many requests, or when the volume is gone."""

    def __init__(self, world: World, volume: SimVolume, dice: Random, mix: Mix) -> None:
        self._world = world
        self._volume = volume
        self._dice = dice
        self._mix = mix

    def run(self) -> None:
        machine, volume = self._world.machine, self._volume
        connection = Connection(machine, volume.ref)
        for _ in range(self._mix.requests):
            machine.runtime.sleep(self._dice.random() * self._mix.pace_s)
            if volume.ref not in self._world.volumes:
                break
            record = volume.record(machine)
            if volume.held or record is None or not record.serving or not record.size:
                machine.runtime.sleep(0.01)
                continue
            volume.take_size(machine)
            begun_full = self._world.excused(volume, errno.ENOSPC)  # its disk may be left while it is on its way there
            volume.in_flight += 1
            try:
                error = self._one(connection)
            finally:
                volume.in_flight -= 1
            excused = (begun_full and error == errno.ENOSPC) or self._world.excused(volume, error)
            assert not error or excused, f"{record.name} answers {errno.errorcode.get(error, error)} though it need not"
        connection.close()

    def _one(self, connection: Connection) -> int:
        """One request, or a few together; answers the first error."""
        dice, volume = self._dice, self._volume
        durable = dice.random() < self._mix.durable
        verb = dice.random()
        if verb < 0.45:
            spans = [self._span() for _ in range(dice.choice((1, 1, 1, 2, 4)))]
            return next(filter(None, volume.write(connection, spans, durable=durable)), 0)
        if verb < 0.75:
            return volume.read(connection, *self._span())
        if verb < 0.75 + self._mix.flushes:
            return volume.flush(connection)
        return volume.zero(connection, *self._span(), discard=verb > 0.95, durable=durable)

    def _span(self) -> tuple[int, int]:
        """A range; most of them lie where others do."""
        dice, sectors = self._dice, self._volume.oracle.size // SECTOR
        length = min(dice.choice(_SECTORS), sectors)
        hot = min(self._mix.hot_sectors, sectors)
        first = dice.randrange(hot) if dice.random() < 0.8 else dice.randrange(sectors)
        first = min(first, sectors - length)
        return first * SECTOR, length * SECTOR
