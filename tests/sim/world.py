"""One seed: a host, clients, an operator and trouble, over several lives, with everything checked on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from engine.commands import (
    BreakMirror,
    ChangeSettings,
    CreateGroup,
    CreateVolume,
    DeleteVolumes,
    DeportGroup,
    ImportGroup,
    JoinGroups,
    PauseTask,
    RefreshSnapshots,
    ShrinkVolume,
    SnapBack,
    SplitGroup,
    StopVolumes,
    TakeSnapshots,
)
from engine.records import RelocationMode
from engine.rules import closure
from tests.sim import operations
from tests.sim.client import Client
from tests.sim.journal import Journal
from tests.sim.machine import Machine
from tests.sim.parting import groups_of
from tests.sim.site import Site
from tests.sim.snap_operations import SNAP_OPERATIONS
from tests.sim.trouble import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commands import Command
    from engine.records import Ref
    from tests.sim.runtime import SimThread
    from tests.sim.volume import SimVolume

TRIES = 6
_PROPOSALS = operations.OPERATIONS | SNAP_OPERATIONS
GROUP_DISKS = 6
LUNS = 7
"""One more than the group has: what replaces a disk."""


@dataclass(frozen=True)
class Mix:
    """What one seed is about: drawn anew for each, so that seeds differ in kind and not in detail only."""

    lives: int
    requests: int
    commands: int
    clients: int
    crash: bool
    eager: float
    durable: float
    hot_sectors: int
    flushes: float  # how many of a client's requests are FLUSHes
    pace_s: float  # what a client waits between requests, at most
    slow: float  # how much slower some LUNs are than others
    faults: tuple[str, ...]
    layouts: tuple[str, ...]
    verbs: tuple[str, ...]
    manual: bool = False  # nothing is relocated but by the operator
    snapshots: bool = False  # clients come to snapshots as soon as they are there

    @classmethod
    def draw(cls, dice: Random) -> Mix:
        verbs = sorted(operations.OPERATIONS)
        return cls(
            lives=dice.randint(2, 4),
            requests=dice.choice((20, 60, 150)),
            commands=dice.choice((0, 2, 4, 8)),
            clients=dice.randint(1, 3),
            crash=dice.random() < 0.8,
            eager=dice.choice((0.0, 0.05, 0.2, 0.5)),
            durable=dice.choice((0.0, 0.1, 0.5)),
            hot_sectors=dice.choice((8, 64, 2048)),
            flushes=dice.choice((0.15, 0.15, 0.0)),
            pace_s=dice.choice((0.002, 0.002, 0.3, 15.0)),
            slow=dice.choice((1.0, 1.0, 30.0, 300.0)),
            faults=tuple(dice.sample(sorted(KINDS), dice.randint(1, 3))) if dice.random() < 0.6 else (),
            layouts=tuple(dice.sample(sorted(operations.LAYOUTS), 2)),
            verbs=tuple(dice.sample(verbs, dice.randint(4, len(verbs)))),
            manual=dice.random() < 0.5,
        )

    @classmethod
    def draw_snapshots(cls, dice: Random) -> Mix:
        """Of a family of seeds of its own, so that the others stay what they are: volumes that have snapshots, and
        some of what is done to others."""
        others = sorted(operations.OPERATIONS.keys() - {"restore"})
        return replace(
            cls.draw(dice),
            commands=dice.choice((6, 12, 20)),
            layouts=tuple(dice.sample(sorted(operations.LAYOUTS.keys() - {"raid5"}), 2)),
            verbs=(*sorted(SNAP_OPERATIONS) * 2, *dice.sample(others, dice.choice((0, 3, 8)))),
            snapshots=True,
        )


class World(Site):
    """`run` lives through all lives and raises whatever is wrong; `journal` has what happened."""

    def __init__(
        self, seed: int, journal: Journal | None = None, mix: Mix | None = None, *, snapshots: bool = False
    ) -> None:
        dice = Random(seed)
        self.mix = mix or (Mix.draw_snapshots(dice) if snapshots else Mix.draw(dice))
        super().__init__(Machine(dice.getrandbits(48), journal), dice, self.mix.faults)
        self.machine.eager = self.mix.eager
        self.machine.add_luns(LUNS)
        for path in self.dice.sample(sorted(self.machine.media), 2):
            self.machine.troubles[path].slow = self.mix.slow
        self.moments = 0
        self._cut_at = -1
        self._late: list[SimThread] = []  # clients of what has come meanwhile

    # --- all lives ---
    def run(self) -> None:
        self.machine.moment = self._moment
        self._life(self._first)
        for number in range(self.mix.lives):
            last = number == self.mix.lives - 1
            if self.mix.crash and not last:
                self._cut_at = self.moments + self.dice.choice((5, 40, 200, 600)) * self.dice.randint(1, 4)
            self._life(self.settle if last else self._work)

    def _life(self, main: object) -> None:
        journal = self.machine.journal
        journal.note("life", "after a crash" if self.crashed else "in order")
        whole = self.machine.live(main)  # type: ignore[arg-type]
        self._cut_at = -1
        self.crashed = not whole
        if self.crashed:
            self.machine.power_on()
            self.power_failed()
        else:
            self.ended_in_order()

    def _moment(self, lun: str, what: str) -> None:
        self.moments += 1
        if self.moments == self._cut_at:
            self.machine.cut()

    # --- one life ---
    def _first(self) -> None:
        if self.mix.manual:
            self.submit(ChangeSettings(hot_relocation=RelocationMode.MANUAL))
        self.submit(CreateGroup(name="dg", disks=operations.disks_named(self.config, GROUP_DISKS)))
        for layout in self.mix.layouts:
            size = self.dice.choice(operations.SIZES)
            shape = operations.LAYOUTS[layout]
            command = CreateVolume(group=self.group.ref, size=size, **shape)  # type: ignore[arg-type]
            task = self.submit(command)
            if task is not None:
                self.finish(task)
        self.adopt()

    def _work(self) -> None:
        self.arrive()
        runtime = self.machine.runtime
        self._late = []
        clients = [
            Client(self, volume, Random(self.dice.getrandbits(48)), self.mix)
            for _, volume in sorted(self.volumes.items())
            for _ in range(self.mix.clients)
        ]
        threads = [runtime.thread(f"client {number}", client.run) for number, client in enumerate(clients)]
        threads.append(runtime.thread("operator", self._operate))
        threads.append(runtime.thread("trouble", self.trouble.run))
        for thread in threads:
            thread.join()
        for thread in self._late:
            thread.join()

    def _operate(self) -> None:
        dice = Random(self.dice.getrandbits(48))
        for _ in range(self.mix.commands):
            self.machine.runtime.sleep(dice.random() * 0.05)
            if self.mix.snapshots:
                self.take_over()  # a refresh may have ended by itself
            command = self._possible(dice)
            if command is not None:
                self._one(command, wait=dice.random() < 0.5)

    def _possible(self, dice: Random) -> Command | None:
        """Something that its plan allows now, if that is found soon."""
        command = None
        for _ in range(TRIES):
            propose = _PROPOSALS[dice.choice(self.mix.verbs)]
            groups = [group.ref for group in groups_of(self.config)]
            group = groups[0] if len(groups) == 1 else dice.choice(groups)
            command = propose(self.config, group, dice) or command
            if command is not None and not self.machine.engine.plan(command).problems:
                break
        return command

    def _one(self, command: Command, *, wait: bool) -> None:
        held, before = self._hold_for(command), set(self.volumes)
        task = self.submit(command)
        if isinstance(command, DeportGroup) and task is not None:
            self.ended_in_order(volume.ref for volume in self.config.volumes_of(command.group))
            self.submit(ImportGroup(group=command.group))
        self.take_over()
        for volume in held:
            volume.held = False
        if task is not None and wait and not isinstance(command, PauseTask):
            self.finish(task)
            self.take_over()
        if self.mix.snapshots:
            self._come_to(sorted(set(self.volumes) - before))

    def _come_to(self, volumes: list[Ref]) -> None:
        """Clients of volumes that have come."""
        mix = replace(self.mix, requests=self.mix.requests // 3)
        for ref in volumes:
            client = Client(self, self.volumes[ref], Random(self.dice.getrandbits(48)), mix)
            self._late.append(self.machine.runtime.thread(f"late client {len(self._late)}", client.run))

    def _hold_for(self, command: Command) -> list[SimVolume]:
        """Clients leave volumes that cannot be in use for this."""
        wanted: set[Ref | None] = set()
        if isinstance(command, StopVolumes | DeleteVolumes):
            wanted = set(command.volumes)
        if isinstance(command, DeportGroup):
            wanted = {volume.ref for volume in self.config.volumes_of(command.group)}
        if isinstance(command, SplitGroup):
            wanted = {*closure(self.config, command.objects).volumes}
        if isinstance(command, JoinGroups):
            wanted = {volume.ref for volume in self.config.volumes_of(command.joined)}
        if isinstance(command, BreakMirror):
            wanted = {self.volume_of(command.plex)}
        if isinstance(command, ShrinkVolume):
            wanted = {command.volume}
        if isinstance(command, SnapBack | RefreshSnapshots):
            originals = {self.config.volume(ref).links[0].peer for ref in command.snapshots}
            wanted = {*command.snapshots, *(originals if isinstance(command, SnapBack) else ())}
        if isinstance(command, TakeSnapshots) and self.dice.random() < 0.5:
            wanted = {choice.volume for choice in command.choices}  # else they write while it is taken
        held = [volume for ref, volume in self.volumes.items() if ref in wanted]
        for volume in held:
            volume.held = True
        while any(volume.in_flight for volume in held):
            self.machine.runtime.sleep(0.001)
        return held


@dataclass(frozen=True)
class Outcome:
    """How a seed ended; `error` is None when nothing was wrong."""

    seed: int
    digest: str
    lines: int
    error: BaseException | None = None


def play(
    seed: int, tell: Callable[[str], None] | None = None, mix: Mix | None = None, *, snapshots: bool = False
) -> Outcome:
    """Run one seed, with what it draws or with this mix. Call it inside of `simulated`.

    `snapshots`: of the family in which volumes have snapshots.
    """
    world = World(seed, Journal(tell), mix, snapshots=snapshots)
    error: BaseException | None = None
    try:
        world.run()
    except Exception as met:
        error = met
    return Outcome(seed, world.machine.journal.digest, world.machine.journal.lines, error)


def replay_command(seed: int, *, snapshots: bool = False) -> str:
    """What shows a seed again, with everything that happens in it."""
    return f"python -m tests.sim {'--snapshots ' if snapshots else ''}--seed {seed}"
