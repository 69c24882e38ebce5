"""Random steps for an engine beside its model: requests, commands, and the fates of tasks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from engine.commands import (
    AbortTask,
    AddMirrors,
    AttachPlex,
    BreakMirror,
    Command,
    DeleteVolumes,
    DetachPlex,
    EvacuateDisk,
    GrowVolume,
    JoinSubdisks,
    Move,
    MoveSubdisks,
    PauseTask,
    RemoveMirrors,
    ResumeTask,
    ResyncVolume,
    SetVolumeUsage,
    SplitSubdisk,
    StartVolumes,
    StopVolumes,
    Target,
    ThrottleTask,
    VerifyVolume,
    decode,
)
from engine.edits.columns import leave_out_piece
from engine.records import PieceState, PlexLayout, PlexState, Ref, Subdisk, TaskState
from engine.units import KIB, MIB
from tests.engine.model_crowd import Crowd, break_under_writes
from tests.engine.model_stepper import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from engine.config import Config, Edit, Extent
    from engine.records import Plex
    from tests.engine.engine_model import EngineModel

SIZE_MAX = 11 * MIB
VOLUMES_MAX = 3
SECTOR = 4 * KIB
REQUESTS = {"do_read": 8, "do_change": 11, "do_batch": 2, "do_flush": 0.3, "do_beyond": 0.2}
CHECK_EVERY = 250

Weighted = dict["Callable[[str], None]", float]


class Driver:
    """Chooses what comes next. A step is one request or batch, one grant to a task, or one command."""

    def __init__(self, model: EngineModel) -> None:
        self.model = model
        self.random: Random = model.random
        self._broken = 0
        for _ in range(model.layout.cuts):
            self._split("v")

    def run(self, steps: int) -> None:
        """So many steps; then every task comes to its end, and everything is checked."""
        model = self.model
        for number in range(steps):
            self.step()
            if number % CHECK_EVERY == CHECK_EVERY - 1:
                model.check()
        for task in list(model.tasks):
            self._finish(task)
        model.check()
        model.restart()
        model.check()
        model.check_untouched()

    def step(self) -> None:
        dice = self.random.random()
        name = self._volume()
        if dice < 0.78 or (dice < 0.88 and not self.model.tasks):
            self._request(name)
        elif dice < 0.88:
            self._task_step()
        else:
            self._choose({**self._of_any(), **self._of(name)}, name)

    # --- choosing ---
    @property
    def config(self) -> Config:
        return self.model.lab.config

    def _volume(self) -> str:
        names = sorted(self.model.bytes, reverse=True)  # "v" first
        return names[0] if self.random.random() < 0.8 else self.random.choice(names)

    def _request(self, name: str) -> None:
        chosen = self.random.choices(list(REQUESTS), list(REQUESTS.values()))[0]
        getattr(self.model, chosen)(name)

    def _choose(self, weighted: Weighted, name: str) -> None:
        self.random.choices(list(weighted), list(weighted.values()))[0](name)

    def _of(self, name: str) -> Weighted:
        return self._of_busy() if self.model.busy(name) else self._of_idle(name)

    def _of_any(self) -> Weighted:
        return {self._restart: 0.5, self._crowd: 2}

    def _of_busy(self) -> Weighted:
        return {self._end: 8, self._pause: 2, self._abort: 3, self._throttle: 1}

    def _of_idle(self, name: str) -> Weighted:
        plexes = self._plexes(name)
        complete = [plex for plex in plexes if plex.complete]
        left_out = len(complete) < len(plexes)
        base = self.model.layout.mirrors
        return {
            self._lose_piece: 2 if self._parity_pieces(name, PieceState.GOOD) else 0,
            self._rebuild: 6 if self._parity_pieces(name, PieceState.STALE) else 0.2 if self.model.layout.parity else 0,
            self._add_mirror: 4 if len(plexes) <= min(base, 3) and not self.model.layout.parity else 0,
            self._remove_mirror: (4 if len(plexes) > base else 1) if len(plexes) > 1 else 0,
            self._detach: 2 if len(complete) > 1 else 0,
            self._attach: 5 if left_out else 0,
            self._resync: (4 if left_out else 1) if len(plexes) > 1 else 0,
            self._move: 8,
            self._evacuate: 2,
            self._grow: 2 if len(self.model.bytes[name]) < SIZE_MAX else 0,
            self._break: 3 if len(complete) > 1 and len(self.model.bytes) < VOLUMES_MAX else 0,
            self._split: 2,
            self._join: 2,
            self._prefer: 1 if len(plexes) > 1 else 0,
            self._verify: 0.5,
            self._undo: 1 if self.model.undo else 0,
            self._stop_and_start: 0.5,
            self._delete: 3 if name != "v" else 0,
        }

    # --- tasks ---
    def _task_step(self) -> None:
        """Most steps of a task are copies; some let an evacuation change over what it has copied."""
        task = self.random.choice(sorted(self.model.tasks, key=lambda ref: int(ref.id)))
        record = self.config.task(task)
        if record.paused:
            self.model.lab.engine.submit(ResumeTask(task=task))
            self.model.count("resume")
            self.model.lab.engine.committer.wait_until(lambda config: not config.task(task).paused, DEADLINE_S)
            self.model.stepper.rest(task)
        else:
            self.model.stepper.step(task, self.random.randrange(1, 4))
        self.model.log.append(f"step of {record.name}")

    def _end(self, name: str) -> None:
        """Let it go on over one commit, which is the end of all but evacuations."""
        task = self.model.busy(name)
        assert task is not None
        if self.config.task(task).paused:
            return
        self.model.stepper.commit(task)
        self.model.log.append(f"commit of {self.config.task(task).name}")
        if self.config.task(task).finished_at:
            self.model.ended(task, TaskState.COMPLETED)

    def _finish(self, task: Ref) -> None:
        if self.config.task(task).paused:
            self.model.lab.engine.submit(ResumeTask(task=task))
            self.model.lab.engine.committer.wait_until(lambda config: not config.task(task).paused, DEADLINE_S)
            self.model.stepper.rest(task)
        self.model.stepper.open(task)
        self.model.ended(task, TaskState.COMPLETED)

    def _pause(self, name: str) -> None:
        task = self.model.busy(name)
        assert task is not None
        if not self.config.task(task).paused:
            self.model.log.append(f"pause {self.config.task(task).name}")
            self.model.count("pause")
            self.model.lab.engine.submit(PauseTask(task=task))
            paused = self.model.lab.engine.committer.wait_until(
                lambda config: config.task(task).state is TaskState.PAUSED, DEADLINE_S
            )
            assert paused, f"task {task.id} never paused"
            self.model.stepper.rest(task)

    def _abort(self, name: str) -> None:
        task = self.model.busy(name)
        assert task is not None
        self.model.lab.engine.submit(AbortTask(task=task))
        self.model.ended(task, TaskState.ABORTED)

    def _throttle(self, name: str) -> None:
        task = self.model.busy(name)
        assert task is not None
        self.model.count("throttle")
        self.model.lab.engine.submit(ThrottleTask(task=task, iodelay_ms=self.random.randrange(4)))

    def _restart(self, name: str) -> None:
        self.model.restart()

    def _crowd(self, name: str) -> None:
        """Several clients at once, while a task of the volume runs by itself or something is asked for."""
        self.model.count("crowd")
        self.model.log.append(f"crowd on {name}")
        task = self.model.busy(name)
        crowd = Crowd(self.model, name)
        if task is not None and not self.config.task(task).paused:
            self.model.stepper.open(task)
        with crowd:
            if task is None:
                of_idle = self._of_idle(name)
                for unfit in (
                    self._stop_and_start,
                    self._break,
                    self._delete,
                    self._attach,
                    self._resync,
                    self._rebuild,
                    self._undo,
                ):
                    of_idle.pop(unfit)
                self._choose(of_idle, name)
        if task is not None and not self.config.task(task).paused:
            self.model.ended(task, TaskState.COMPLETED)

    # --- mirrors ---
    def _plexes(self, name: str) -> list[Plex]:
        return self.config.plexes_of(self.model.volume(name).ref)

    def _command(self, command: Command, name: str) -> Ref | None:
        return self.model.command(command, frozenset({name}))

    def _add_mirror(self, name: str) -> None:
        force = self.random.random() < 0.2
        self._command(AddMirrors(volume=self.model.volume(name).ref, count=1, force=force), name)

    def _remove_mirror(self, name: str) -> None:
        self._command(RemoveMirrors(plexes=(self.random.choice(self._plexes(name)).ref,)), name)

    def _detach(self, name: str) -> None:
        self._command(DetachPlex(plex=self.random.choice(self._plexes(name)).ref), name)

    def _attach(self, name: str) -> None:
        left_out = [plex for plex in self._plexes(name) if plex.state in (PlexState.OFFLINE, PlexState.STALE)]
        if left_out:
            self._command(AttachPlex(plex=self.random.choice(left_out).ref), name)

    def _resync(self, name: str) -> None:
        self._command(ResyncVolume(volume=self.model.volume(name).ref), name)

    def _prefer(self, name: str) -> None:
        plex = self.random.choice([None, *(plex.ref for plex in self._plexes(name))])
        self._command(SetVolumeUsage(volume=self.model.volume(name).ref, preferred=plex), name)

    def _verify(self, name: str) -> None:
        self._command(VerifyVolume(volume=self.model.volume(name).ref), name)

    def _break(self, name: str) -> None:
        """The new volume holds the bytes of that instant, and is a volume of its own from then on."""
        plex = self.random.choice(self._plexes(name))
        self._broken += 1
        command = BreakMirror(plex=plex.ref, name=f"b{self._broken}")
        if self.random.random() < 0.5:
            break_under_writes(self.model, name, command)
        elif self.model.done_at_once(command, frozenset({name, command.name})):
            self.model.bytes[command.name] = bytearray(self.model.bytes[name])
        self.model.check()

    # --- columns ---
    def _parity_pieces(self, name: str, state: PieceState) -> list[Subdisk]:
        plexes = [plex for plex in self._plexes(name) if plex.layout is PlexLayout.RAID5]
        pieces = [piece for plex in plexes for piece in self.config.subdisks_of(plex.ref)]
        return [piece for piece in pieces if piece.replaces is None and piece.state is state]

    def _lose_piece(self, name: str) -> None:
        """A piece of a column misses writes from now on, as when its disk had failed."""
        piece = self.random.choice(self._parity_pieces(name, PieceState.GOOD))
        self.model.log.append(f"lose {piece.name} of {name}")
        self.model.count("lose a piece")
        self.model.lab.engine.committer.commit(lambda edit: _leave_out(edit, piece))

    def _rebuild(self, name: str) -> None:
        """What is out of date; else parity is looked at throughout."""
        self._command(ResyncVolume(volume=self.model.volume(name).ref), name)

    # --- subdisks ---
    def _subdisks(self, name: str) -> list[Subdisk]:
        return [subdisk for plex in self._plexes(name) for subdisk in self.config.subdisks_of(plex.ref)]

    def _split(self, name: str) -> None:
        subdisk = self.random.choice(self._subdisks(name))
        size = self.random.randrange(1, max(2, subdisk.length // MIB)) * MIB
        self._command(SplitSubdisk(subdisk=subdisk.ref, size=size), name)

    def _join(self, name: str) -> None:
        """Any neighbours that there are, else two that may be none."""
        subdisks = self._subdisks(name)
        pairs = [(one, two) for one, two in itertools.pairwise(subdisks) if _neighbours(one, two)]
        if not pairs and len(subdisks) > 1:
            pairs = [(subdisks[0], subdisks[-1])]
        if pairs:
            first, second = self.random.choice(pairs)
            self._command(JoinSubdisks(first=first.ref, second=second.ref), name)

    def _move(self, name: str) -> None:
        """One or two subdisks: wherever the engine likes, to a disk, to an offset, to several places."""
        subdisks = self._subdisks(name)
        chosen = self.random.sample(subdisks, min(len(subdisks), self.random.choice((1, 1, 2))))
        moves = tuple(Move(subdisk.ref, self._targets(subdisk)) for subdisk in chosen)
        self._command(MoveSubdisks(moves=moves, force=self.random.random() < 0.3), name)

    def _targets(self, subdisk: Subdisk) -> tuple[Target, ...]:
        disks = [disk.ref for disk in self.config.disks_of(self.model.lab.group().ref)]
        way = self.random.randrange(4)
        if way == 0:
            return ()
        if way == 1:
            return (Target(self.random.choice(disks)),)
        if way == 2:
            return (self._place(subdisk.length),)
        first = self.random.randrange(1, max(2, subdisk.length // SECTOR)) * SECTOR
        if first >= subdisk.length:
            return (self._place(subdisk.length),)
        return (self._place(first), self._place(subdisk.length - first))

    def _place(self, length: int) -> Target:
        """A chosen offset on a disk, often at an edge of its free range or across an allocation unit."""
        disks = [disk.ref for disk in self.config.disks_of(self.model.lab.group().ref)]
        rooms = [(disk, free) for disk in disks for free in self.config.free(disk) if free.length >= length]
        if not rooms:
            return Target(self.random.choice(disks), -1, length)
        disk, free = self.random.choice(rooms)
        return Target(disk, self._offset(free, length), length)

    def _offset(self, free: Extent, length: int) -> int:
        last = (free.end - length - free.start) // SECTOR
        return free.start + SECTOR * self.random.choice((0, last, self.random.randrange(last + 1)))

    def _evacuate(self, name: str) -> None:
        disk = self.random.choice(self._subdisks(name)).disk
        names = {self.config.volume_of(subdisk).name for subdisk in self.config.subdisks_on(disk)}
        self.model.command(EvacuateDisk(disk=disk, force=self.random.random() < 0.5), frozenset(names))

    def _undo(self, name: str) -> None:
        """The inverse of the last command that had one; it may be impossible by now, or of another volume."""
        command = decode(self.model.undo)
        self.model.undo = ""
        if isinstance(command, MoveSubdisks) and all(move.subdisk in self.config for move in command.moves):
            subdisks = [self.config.subdisk(move.subdisk) for move in command.moves]
            self.model.command(command, frozenset(self.config.volume_of(subdisk).name for subdisk in subdisks))

    # --- volumes ---
    def _grow(self, name: str) -> None:
        more = self.random.randrange(1, 3) * MIB
        self._command(GrowVolume(volume=self.model.volume(name).ref, size=self.model.volume(name).size + more), name)

    def _stop_and_start(self, name: str) -> None:
        volume = self.model.volume(name).ref
        if self.model.done_at_once(StopVolumes(volumes=(volume,)), frozenset({name})):
            self.model.done_at_once(StartVolumes(volumes=(volume,)), frozenset({name}))

    def _delete(self, name: str) -> None:
        self.model.forget_client(name)
        if self.model.done_at_once(DeleteVolumes(volumes=(self.model.volume(name).ref,)), frozenset({name})):
            del self.model.bytes[name]
        self.model.check()


def _leave_out(edit: Edit, piece: Subdisk) -> None:
    leave_out_piece(edit, piece)


def _neighbours(one: Subdisk, two: Subdisk) -> bool:
    return (one.disk, one.disk_offset + one.length, one.plex, one.column) == (
        two.disk,
        two.disk_offset,
        two.plex,
        two.column,
    )
