"""A simulated host with the volumes that ought to be on it, and what must hold of both."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from engine.commands import (
    BreakMirror,
    DeleteVolumes,
    ImportGroup,
    Master,
    RefreshSnapshots,
    RestoreConfiguration,
    ResumeTask,
    SnapBack,
)
from engine.errors import CommandRejected, EngineError, GroupFrozen
from engine.records import (
    TASK_ENDED,
    Group,
    GroupState,
    Kind,
    LinkSide,
    Plex,
    Task,
    TaskState,
    TaskType,
    Volume,
    VolumeStatus,
)
from tests.sim.checks import check_mirrors, check_parity, check_space
from tests.sim.oracle import VolumeOracle, WrongBytes
from tests.sim.parting import NAME, Parting, groups_of, moved_by
from tests.sim.trouble import Trouble
from tests.sim.volume import Connection, SimVolume

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from engine.commands import Command
    from engine.config import Config
    from engine.plans import Plan
    from engine.records import Ref
    from tests.sim.machine import Machine

PATIENCE_S = 900.0


class Site:
    """`volumes` are those that ought to be there; `coming` and `going` those of commands that nobody has answered."""

    def __init__(self, machine: Machine, dice: Random, faults: tuple[str, ...] = ()) -> None:
        self.machine = machine
        self.dice = dice
        self.faults = faults
        self.trouble = Trouble(self, faults)
        self.volumes: dict[Ref, SimVolume] = {}
        self.coming: dict[str, VolumeOracle] = {}  # by name
        self.going: set[Ref] = set()
        self.sizes: dict[str, set[int]] = {}  # that new volumes may have, by name
        self.parting = Parting()
        self.restored: dict[Ref, Ref] = {}  # volumes that get the bytes of a snapshot, if that has been carried out
        self._twins = 0
        self._followed: dict[str, VolumeOracle] = {}  # the originals of snapshots to come, by the snapshot's name
        self.crashed = False
        self.has_crashed = False  # in any of its lives
        self.refused: list[str] = []
        self.failed: list[str] = []
        self.number = 0  # the highest that a task has had

    # --- a life ---
    def settle(self) -> None:
        """The last life: everything comes to rest, and is what it should be."""
        self.arrive()
        self.trouble.mend()
        self.rest()
        self.adopt()
        self.check_volumes()
        check_mirrors(self.machine, self.config)
        check_parity(self.machine, self.config)
        check_space(self.config)
        self.parting.check(self.config, whole=not self.trouble.met)
        for volume in self.config.all(Kind.VOLUME, Volume):
            healthy = volume.status in (VolumeStatus.HEALTHY, VolumeStatus.STOPPED, VolumeStatus.AT_RISK)
            left_out = any(not plex.complete for plex in self.config.plexes_of(volume.ref))
            assert healthy or left_out, f"{volume.name} is {volume.status}"

    def arrive(self) -> None:
        """After a start: the group is here, in one part or in two, nothing is lost, nothing is garbage."""
        self.check_host()
        for known in (self.group.ref, *(group.ref for group in groups_of(self.config))):
            self._import(known)
        self.parting.check(self.config, whole=not self.trouble.met)
        self._restore()
        self.restored.clear()
        self.adopt()
        self.check_volumes(after_crash=self.crashed or bool(self.trouble.suspects))
        if self.dice.random() < 0.5:
            self.trouble.mend()
        check_space(self.config)
        self.crashed = False

    def _import(self, group: Ref) -> None:
        found = self.config.get(group)
        if isinstance(found, Group) and found.state is not GroupState.IMPORTED:
            self.submit(ImportGroup(group=group))
            assert self.config.group(group).state is GroupState.IMPORTED, f"{found.name} cannot be imported"

    def greet(self) -> None:
        """After an orderly start: the volumes are those that were there."""
        for volume in self.volumes.values():
            volume.held = False
            volume.in_flight = 0

    def rest(self) -> None:
        """Tasks that run come to their end."""
        for task in self.tasks():
            if self.config.task(task).state is TaskState.PAUSED:
                self.machine.engine.submit(ResumeTask(task=task))
        for task in self.tasks():
            self.finish(task)

    def tasks(self) -> list[Ref]:
        tasks = self.config.all(Kind.TASK, Task)
        return [task.ref for task in tasks if task.state not in TASK_ENDED]

    def power_failed(self) -> None:
        """What was not stable may be gone."""
        self.crashed = self.has_crashed = True
        for oracle in (*self.coming.values(), *(volume.oracle for volume in self.volumes.values())):
            oracle.crash()

    def ended_in_order(self, volumes: Iterable[Ref] | None = None) -> None:
        """What an orderly end of service has made of writes that nobody has flushed; to these, or to all."""
        for volume in [self.volumes[ref] for ref in (self.volumes if volumes is None else volumes)]:
            if self.trouble.suspects:
                volume.oracle.crash()
            else:
                volume.oracle.flushed(volume.oracle.flush_begins())

    # --- looking ---
    @property
    def config(self) -> Config:
        return self.machine.engine.committer.config

    @property
    def group(self) -> Group:
        found = self.config.find(Kind.GROUP, NAME)
        assert isinstance(found, Group), "the group is gone"
        return found

    def check_host(self) -> None:
        """The host remembers who it is, and which numbers it has given away."""
        host, state = self.machine.host, self.machine.state
        assert state is not None
        assert host in ("", state.host_id), "the host is another one"
        self.machine.host = state.host_id
        with self.machine.engine.committer.lock:
            number = state.number()
        assert number > self.number, f"the number {number} is given away for the second time"
        self.number = number

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
                    # Of what is fenced a write that failed is decided when it is started again: its log has it.
                    volume.oracle.survivors(found, settle=not self.faults and not record.fenced)
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

    def adopt(self) -> None:
        """The volumes that are there are those that ought to be."""
        here = {volume.ref for volume in self.config.all(Kind.VOLUME, Volume)}
        for ref in sorted(here - set(self.volumes)):
            self._welcome(ref)
        for ref in sorted(set(self.volumes) - here):
            assert ref in self.going or not self.volumes[ref].oracle.size, f"{ref} is lost"
            del self.volumes[ref]
        if not any(self.config.task(ref).type is TaskType.REFRESH for ref in self.tasks()):
            self._follow_no_more(list(self._followed))
            self.coming.clear()  # else what is being refreshed is still to come
        self.going.clear()
        for volume in self.volumes.values():
            volume.held = False
            volume.in_flight = 0
            volume.take_size(self.machine)

    def _welcome(self, ref: Ref) -> None:
        name = self.config.volume(ref).name
        assert name in self.coming, f"nobody has made {name}"
        volume = self.volumes[ref] = SimVolume(ref)
        self._follow_no_more([name])
        volume.oracle, volume.sizes = self.coming.pop(name), self.sizes[name]

    # --- doing ---
    def submit(self, command: Command) -> Ref | None:
        """Ask for it when its plan allows it; answers the task."""
        engine = self.machine.engine
        plan = engine.plan(command)
        if plan.problems:
            self.machine.journal.note("refused", type(command).__name__, plan.problems[0].text)
            self.refused.append(f"{type(command).__name__}: {plan.problems[0].text}")
            return None
        self._expect(command, plan)
        after = self.parting.expect(command, plan)
        moved = moved_by(self.config, command, plan)
        try:
            task = engine.submit(command)
        except (CommandRejected, GroupFrozen, EngineError) as error:
            self.machine.journal.note("failed", type(command).__name__, error)
            self.failed.append(f"{type(command).__name__}: {error}")
            self._follow_no_more([record.name for record in plan.puts if isinstance(record, Volume)])
            return None
        self.parting.answered(command, after)
        self.ended_in_order(ref for ref in moved if ref in self.volumes)
        self.number = max(self.number, int(task.id))
        self._restore()
        self.machine.journal.note(f"{self.machine.runtime.clock:.6f}", "submitted", type(command).__name__, task.id)
        return task

    def _expect(self, command: Command, plan: Plan) -> None:
        """What may be there, or gone, whether or not anybody hears of it."""
        known = self.volumes.keys() | {volume.ref for volume in self.config.all(Kind.VOLUME, Volume)}
        made = [record for record in plan.puts if isinstance(record, Volume) and record.ref not in known]
        for record in made:
            self.sizes[record.name] = {record.size, plan.task.params.size if plan.task is not None else 0}
            peer = next((link.peer for link in record.links if link.side is LinkSide.SNAPSHOT), None)
            if isinstance(command, BreakMirror):
                self.coming[record.name] = self.volumes[self.volume_of(command.plex)].oracle.copy()
            elif peer in self.volumes:
                self._follow(record.name, self.volumes[peer].oracle)
            else:
                wild = isinstance(command, RestoreConfiguration)
                self.coming[record.name] = VolumeOracle(record.size, wild=wild)
        if plan.task is not None and plan.task.params.size and plan.task.params.volume in self.volumes:
            self.volumes[plan.task.params.volume].sizes.add(plan.task.params.size)
        for record in plan.puts:
            if isinstance(record, Volume) and record.ref in self.volumes:
                self.volumes[record.ref].sizes.add(record.size)
        if isinstance(command, DeleteVolumes):
            self.going.update(command.volumes)
        if isinstance(command, SnapBack | RefreshSnapshots):
            self._expect_back(command)

    def _expect_back(self, command: SnapBack | RefreshSnapshots) -> None:
        """Snapshots go; one that is refreshed comes again, with what its original has then."""
        self.going.update(command.snapshots)
        for snapshot in (self.config.volume(ref) for ref in command.snapshots):
            original = snapshot.links[0].peer
            if isinstance(command, RefreshSnapshots):
                self.sizes[snapshot.name] = {snapshot.size}
                self._follow(snapshot.name, self.volumes[original].oracle)
            elif command.master is Master.SNAPSHOT:
                self.restored[original] = snapshot.ref

    def _restore(self) -> None:
        """Of what may get a snapshot's bytes: the snapshot is gone in the very transaction that gives them."""
        for original, snapshot in list(self.restored.items()):
            if snapshot not in self.config:
                del self.restored[original]
                self.volumes[original].oracle = self.volumes[snapshot].oracle

    def _follow(self, name: str, original: VolumeOracle) -> None:
        """A snapshot is to come: it has what its original has now, and may have what is written until it is there."""
        self._follow_no_more([name])
        twin = self.coming[name] = self._twin(original)
        self._followed[name] = original
        original.followers.append(twin)

    def _follow_no_more(self, names: list[str]) -> None:
        for name in names:
            original, twin = self._followed.pop(name, None), self.coming.get(name)
            if original is not None:
                original.followers = [other for other in original.followers if other is not twin]

    def _twin(self, oracle: VolumeOracle) -> VolumeOracle:
        """For a snapshot. What is written to it from now on is told from what is written to its original."""
        found = oracle.copy()
        self._twins += 1
        found.number_from(self._twins << 32)
        return found

    def finish(self, task: Ref) -> None:
        ended = self.machine.engine.wait(task, PATIENCE_S)
        record = self.config.get(task)
        assert ended, f"{record} never ends"
        if isinstance(record, Task):
            self.machine.journal.note(f"{self.machine.runtime.clock:.6f}", "ended", record.name, record.state)

    def volume_of(self, plex: Ref) -> Ref | None:
        record = self.config.get(plex)
        return record.volume if isinstance(record, Plex) else None

    def take_over(self) -> None:
        """Volumes that have come, or gone, by a command that was answered."""
        here = {volume.ref for volume in self.config.all(Kind.VOLUME, Volume)}
        for ref in sorted(here - set(self.volumes)):
            self._welcome(ref)
        for ref in sorted(set(self.volumes) - here):
            if ref in self.going or not self.volumes[ref].oracle.size:
                del self.volumes[ref]
        self.going &= here
        for volume in self.volumes.values():
            volume.take_size(self.machine)
