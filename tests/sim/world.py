"""One seed: a host, clients, an operator and trouble, over several lives, with everything checked on the way."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from engine.commands import BreakMirror, CreateGroup, CreateVolume, DeleteVolumes, DeportGroup, ImportGroup, PauseTask
from engine.errors import CommandRejected, EngineError, GroupFrozen
from engine.records import TASK_ENDED, Group, GroupState, Kind, Task, TaskState, Volume, VolumeStatus
from tests.sim import operations
from tests.sim.checks import check_mirrors, check_space
from tests.sim.client import Client
from tests.sim.journal import Journal
from tests.sim.machine import Machine
from tests.sim.oracle import VolumeOracle, WrongBytes
from tests.sim.trouble import KINDS, Trouble
from tests.sim.volume import Connection, SimVolume

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commands import Command
    from engine.config import Config
    from engine.plans import Plan
    from engine.records import Ref

PATIENCE_S = 900.0


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
    slow: float  # how much slower some LUNs are than others
    faults: tuple[str, ...]
    layouts: tuple[str, ...]
    verbs: tuple[str, ...]

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
            slow=dice.choice((1.0, 1.0, 30.0, 300.0)),
            faults=tuple(dice.sample(sorted(KINDS), dice.randint(1, 3))) if dice.random() < 0.6 else (),
            layouts=tuple(dice.sample(sorted(operations.LAYOUTS), 2)),
            verbs=tuple(dice.sample(verbs, dice.randint(4, len(verbs)))),
        )


class World:
    """`run` lives through all lives and raises whatever is wrong; `journal` has what happened."""

    def __init__(self, seed: int, journal: Journal | None = None, mix: Mix | None = None) -> None:
        self.dice = Random(seed)
        self.mix = mix or Mix.draw(self.dice)
        self.machine = Machine(self.dice.getrandbits(48), journal)
        self.machine.eager = self.mix.eager
        self.machine.add_luns()
        for path in self.dice.sample(sorted(self.machine.media), 2):
            self.machine.troubles[path].slow = self.mix.slow
        self.trouble = Trouble(self, self.mix.faults)
        self.volumes: dict[Ref, SimVolume] = {}
        self.coming: dict[str, VolumeOracle] = {}  # by name: volumes of commands that may not have become true
        self.going: set[Ref] = set()
        self.crashed = False
        self.moments = 0
        self._cut_at = -1

    # --- all lives ---
    def run(self) -> None:
        self.machine.moment = self._moment
        self._life(self._first)
        for number in range(self.mix.lives):
            last = number == self.mix.lives - 1
            if self.mix.crash and not last:
                self._cut_at = self.moments + self.dice.choice((5, 40, 200, 600)) * self.dice.randint(1, 4)
            self._life(self._settle if last else self._work)

    def _life(self, main: object) -> None:
        journal = self.machine.journal
        journal.note("life", "after a crash" if self.crashed else "in order")
        whole = self.machine.live(main)  # type: ignore[arg-type]
        self._cut_at = -1
        self.crashed = not whole
        if self.crashed:
            self.machine.power_on()
            for volume in self.volumes.values():
                volume.oracle.crash()
        else:
            self._ended_in_order()

    def _ended_in_order(self) -> None:
        """What an orderly end of service has made of writes that nobody has flushed."""
        for volume in self.volumes.values():
            if self.trouble.suspects:
                volume.oracle.crash()
            else:
                volume.oracle.flushed(volume.oracle.flush_begins())

    def _moment(self, lun: str, what: str) -> None:
        self.moments += 1
        if self.moments == self._cut_at:
            self.machine.cut()

    # --- one life ---
    def _first(self) -> None:
        self.submit(CreateGroup(name="dg", disks=operations.disks_named(self.config, len(self.machine.media))))
        for layout in self.mix.layouts:
            size = self.dice.choice(operations.SIZES)
            command = CreateVolume(group=self.group.ref, size=size, **operations.LAYOUTS[layout])  # type: ignore[arg-type]
            task = self.submit(command)
            if task is not None:
                self.finish(task)
        self._adopt()

    def _work(self) -> None:
        self._arrive()
        runtime = self.machine.runtime
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

    def _settle(self) -> None:
        """The last life: everything comes to rest, and is what it should be."""
        self._arrive()
        self.trouble.mend()
        self.rest()
        self._adopt()
        self.check_volumes()
        check_mirrors(self.machine, self.config)
        check_space(self.config)
        for volume in self.config.volumes_of(self.group.ref):
            healthy = volume.status in (VolumeStatus.HEALTHY, VolumeStatus.STOPPED, VolumeStatus.AT_RISK)
            left_out = any(not plex.complete for plex in self.config.plexes_of(volume.ref))
            assert healthy or left_out, f"{volume.name} is {volume.status}"

    def _arrive(self) -> None:
        """After a start: the group is here, nothing is lost, nothing is garbage."""
        if self.group.state is not GroupState.IMPORTED:
            self.submit(ImportGroup(group=self.group.ref))
        self._adopt()
        self.check_volumes(after_crash=self.crashed or bool(self.trouble.suspects))
        if self.dice.random() < 0.5:
            self.trouble.mend()
        check_space(self.config)
        self.crashed = False

    def rest(self) -> None:
        """Tasks that run come to their end."""
        for task in self.tasks():
            if self.config.task(task).state is TaskState.PAUSED:
                self.machine.engine.submit(operations.commands.ResumeTask(task=task))
        for task in self.tasks():
            self.finish(task)

    def tasks(self) -> list[Ref]:
        tasks = self.config.all(Kind.TASK, Task)
        return [task.ref for task in tasks if task.state not in TASK_ENDED]

    # --- looking ---
    @property
    def config(self) -> Config:
        return self.machine.engine.committer.config

    @property
    def group(self) -> Group:
        found = self.config.find(Kind.GROUP, "dg")
        assert isinstance(found, Group), "the group is gone"
        return found

    def check_volumes(self, *, after_crash: bool = False) -> None:
        for volume in self.volumes.values():
            record = volume.record(self.machine)
            assert record is not None
            if not record.serving:
                continue
            volume.take_size(self.machine)
            connection = Connection(self.machine, volume.ref)
            try:
                found = volume.all_bytes(connection)
                if after_crash:
                    volume.oracle.survivors(found, settle=not self.mix.faults)
                else:
                    volume.oracle.check(0, found)
            except OSError as error:
                if not self.excused(volume, error.errno or 0):
                    raise AssertionError(f"{record.name} cannot be read: {error}") from error
            except WrongBytes as error:
                raise WrongBytes(f"{record.name} ({record.layout}): {error}") from None
            finally:
                connection.close()

    def excused(self, volume: SimVolume, error: int) -> bool:
        """Whether a client may be told of this error."""
        record = volume.record(self.machine)
        if error == errno.ESHUTDOWN:
            return record is None or not record.serving or volume.held
        return self.trouble.excuses(volume, error)

    def _adopt(self) -> None:
        """The volumes that are there are those that ought to be."""
        here = {volume.ref for volume in self.config.all(Kind.VOLUME, Volume)}
        for ref in sorted(here - set(self.volumes)):
            self._welcome(ref)
        for ref in sorted(set(self.volumes) - here):
            assert ref in self.going or not self.volumes[ref].oracle.size, f"{ref} is lost"
            del self.volumes[ref]
        self.coming.clear()
        self.going.clear()
        for volume in self.volumes.values():
            volume.held = False
            volume.in_flight = 0
            volume.take_size(self.machine)

    def _welcome(self, ref: Ref) -> None:
        name = self.config.volume(ref).name
        assert name in self.coming, f"nobody has made {name}"
        volume = self.volumes[ref] = SimVolume(ref)
        volume.oracle = self.coming.pop(name)

    # --- doing ---
    def submit(self, command: Command) -> Ref | None:
        """Ask for it when its plan allows it; answers the task."""
        engine = self.machine.engine
        plan = engine.plan(command)
        if plan.problems:
            self.machine.journal.note("refused", type(command).__name__, plan.problems[0].text)
            return None
        self._expect(command, plan)
        try:
            task = engine.submit(command)
        except (CommandRejected, GroupFrozen, EngineError) as error:
            self.machine.journal.note("failed", type(command).__name__, error)
            return None
        self.machine.journal.note(f"{self.machine.runtime.clock:.6f}", "submitted", type(command).__name__, task.id)
        return task

    def _expect(self, command: Command, plan: Plan) -> None:
        """What may be there, or gone, whether or not anybody hears of it."""
        made = [record for record in plan.puts if isinstance(record, Volume) and record.ref not in self.volumes]
        for record in made:
            if isinstance(command, BreakMirror):
                self.coming[record.name] = self.volumes[self.config.plex(command.plex).volume].oracle.copy()
            else:
                self.coming[record.name] = VolumeOracle(record.size)
        if isinstance(command, DeleteVolumes):
            self.going.update(command.volumes)

    def finish(self, task: Ref) -> None:
        ended = self.machine.engine.wait(task, PATIENCE_S)
        record = self.config.get(task)
        assert ended, f"{record} never ends"
        if isinstance(record, Task):
            self.machine.journal.note(f"{self.machine.runtime.clock:.6f}", "ended", record.name, record.state)

    def _operate(self) -> None:
        dice = Random(self.dice.getrandbits(48))
        for _ in range(self.mix.commands):
            self.machine.runtime.sleep(dice.random() * 0.05)
            verb = dice.choice(self.mix.verbs)
            command = operations.OPERATIONS[verb](self.config, self.group.ref, dice)
            if command is not None:
                self._one(command, wait=dice.random() < 0.5)

    def _one(self, command: Command, *, wait: bool) -> None:
        held = self._hold_for(command)
        task = self.submit(command)
        if isinstance(command, DeportGroup) and task is not None:
            self._ended_in_order()
            self.submit(ImportGroup(group=command.group))
        self._take_over()
        for volume in held:
            volume.held = False
        if task is not None and wait and not isinstance(command, PauseTask):
            self.finish(task)
            self._take_over()

    def _hold_for(self, command: Command) -> list[SimVolume]:
        """Clients leave volumes that cannot be in use for this."""
        wanted = set(getattr(command, "volumes", ()))
        if isinstance(command, DeportGroup):
            wanted = set(self.volumes)
        if isinstance(command, BreakMirror):
            wanted = {self.config.plex(command.plex).volume}
        held = [volume for ref, volume in self.volumes.items() if ref in wanted]
        for volume in held:
            volume.held = True
        while any(volume.in_flight for volume in held):
            self.machine.runtime.sleep(0.001)
        return held

    def _take_over(self) -> None:
        """Volumes that have come, or gone, by a command that was answered."""
        here = {volume.ref for volume in self.config.all(Kind.VOLUME, Volume)}
        for ref in sorted(here - set(self.volumes)):
            self._welcome(ref)
        for ref in sorted(set(self.volumes) - here):
            if ref in self.going or not self.volumes[ref].oracle.size:
                del self.volumes[ref]
        self.going &= here


@dataclass(frozen=True)
class Outcome:
    """How a seed ended; `error` is None when nothing was wrong."""

    seed: int
    digest: str
    lines: int
    error: BaseException | None = None


def play(seed: int, tell: Callable[[str], None] | None = None) -> Outcome:
    """Run one seed. Call it inside of `simulated`."""
    world = World(seed, Journal(tell))
    error: BaseException | None = None
    try:
        world.run()
    except Exception as met:
        error = met
    return Outcome(seed, world.machine.journal.digest, world.machine.journal.lines, error)


def replay_command(seed: int) -> str:
    """What shows a seed again, with everything that happens in it."""
    return f"python -m tests.sim --seed {seed}"
