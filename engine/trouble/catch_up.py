"""Disks that are back: what they have missed is copied to them where a dirty map tells it; of the rest the operator
hears, with what helps.

It begins by itself where hot relocation does. A disk that comes and goes is left to the operator: each return would
begin a copy that the next loss cuts short.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import rules
from engine.commands import ReactivateDisk
from engine.errors import EngineError
from engine.records import Alert, Disk, Kind, RelocationMode, Remedy, Severity, Task
from engine.rules import listed
from engine.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.records import Plex, Ref
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

RETURNS_MAX = 3
"""A disk that has come back so often within `WINDOW_S` waits for the operator."""
WINDOW_S = 600.0
AT_ONCE_MAX = 2
"""So many volumes are filled at a time; the others wait for their turn."""


class CatchUp:
    """Keeps which mirrors are due. Every method is called under the control lock; `submit` is the front door's."""

    def __init__(self, committer: Committer, submit: Callable[[Command], Ref], runtime: Runtime) -> None:
        self._committer = committer
        self._submit = submit
        self._runtime = runtime
        self._returns: dict[Ref, list[float]] = {}  # when each disk came back, by our clock
        self._due: dict[Ref, int] = {}  # mirrors that are to be filled, by the transaction in which they left
        self._begun: set[Ref] = set()  # tasks

    def returned(self, disks: Iterable[Ref]) -> None:
        """A look at the LUNs has found these again."""
        for ref in sorted(disks):
            self._returns[ref] = [*self._recent(ref), self._runtime.now()]
            self._take(ref, "is back, and")
        self.go_on()

    def imported(self, group: Ref) -> None:
        """A group has come, after a start or an import: some of its disks may have missed something."""
        if group in self._committer.stores:
            for disk in self._committer.config.disks_of(group):
                self._take(disk.ref, "is")
            self.go_on()

    def go_on(self) -> None:
        """Begin what is due, as far as nothing else runs on the volumes."""
        config = self._committer.config
        self._due = {ref: left_at for ref, left_at in self._due.items() if _still_out(config, ref, left_at)}
        if not self._due or not _is_automatic(config):
            return
        waiting: dict[Ref, list[Ref]] = {}
        for ref in sorted(self._due):
            plex = config.plex(ref)
            for disk in sorted({subdisk.disk for subdisk in config.subdisks_of(ref)}):
                if plex in rules.plexes_to_return(config, disk) and _is_ready(config, plex):
                    waiting.setdefault(disk, []).append(plex.volume)
                    break
        for disk, volumes in waiting.items():
            self._begin(disk, tuple(dict.fromkeys(volumes))[: self._room()])

    # --- what a disk lacks ---
    def _take(self, ref: Ref, how: str) -> None:
        config = self._committer.config
        disk = config.get(ref)
        if not isinstance(disk, Disk) or not disk.present or disk.failing:
            return
        waiting = rules.volumes_to_return(config, ref)
        if not waiting:
            return
        known = rules.known_to_return(config, ref) if _is_automatic(config) else []
        self._settle(ref)
        if known and len(self._recent(ref)) >= RETURNS_MAX:
            self._tell_unsteady(disk, waiting)
            return
        for plex in rules.plexes_to_return(config, ref):
            if plex.volume in known:
                self._due[plex.ref] = plex.left_at
        if known:
            self._tell_begun(disk, how, known)
        if len(known) < len(waiting):
            self._tell_waiting(disk, how, [volume for volume in waiting if volume not in known])

    def _recent(self, disk: Ref) -> list[float]:
        now = self._runtime.now()
        return [moment for moment in self._returns.get(disk, ()) if now - moment < WINDOW_S]

    def _settle(self, disk: Ref) -> None:
        """What was told of an earlier return is told anew."""

        alerts = [alert for alert in self._committer.config.all(Kind.ALERT, Alert) if alert.open]
        settled = [each for each in alerts if each.object == disk and each.action is Remedy.REACTIVATE_DISK]

        def change(edit: Edit) -> None:
            for alert in settled:
                edit.put(replace(alert, acknowledged=True))

        if settled:
            self._committer.commit(change)

    # --- doing ---
    def _room(self) -> int:
        config = self._committer.config
        self._begun = {ref for ref in self._begun if isinstance(task := config.get(ref), Task) and not task.ended}
        return max(0, AT_ONCE_MAX - len(self._begun))

    def _begin(self, disk: Ref, volumes: tuple[Ref, ...]) -> None:
        if not volumes:
            return
        before = {task.ref for task in self._committer.config.all(Kind.TASK, Task)}
        self._forget(volumes)
        try:
            self._submit(ReactivateDisk(disk=disk, volumes=volumes))
        except EngineError as error:
            self._tell_impossible(self._committer.config.disk(disk), volumes, str(error))
        else:
            tasks = self._committer.config.all(Kind.TASK, Task)
            self._begun |= {task.ref for task in tasks if task.ref not in before and not task.ended}

    def _forget(self, volumes: tuple[Ref, ...]) -> None:
        config = self._committer.config
        self._due = {ref: left_at for ref, left_at in self._due.items() if config.plex(ref).volume not in volumes}

    # --- telling ---
    def _tell_begun(self, disk: Disk, how: str, volumes: list[Ref]) -> None:
        maps = [io.dirty for ref in volumes if (io := self._committer.ios.get(ref)) is not None]
        size = sum(dirty.dirty_bytes for dirty in maps if dirty is not None)
        self._committer.alert(
            Severity.INFORMATION,
            f"{disk.name} {how} brought up to date.",
            about=disk.ref,
            cause=f"{self._used(volumes)} without it; "
            + (f"{format_size(size)} may differ and are copied." if size else "nothing has to be copied."),
            remedy="Nothing to do: what is out of date is not read.",
        )

    def _tell_waiting(self, disk: Disk, how: str, volumes: list[Ref]) -> None:
        cause = f"{self._used(volumes)} without it meanwhile."
        self._propose(disk, f"{how} out of date.", cause, "Reactivate it: what it has missed is copied.")

    def _tell_unsteady(self, disk: Disk, volumes: list[Ref]) -> None:
        times = len(self._recent(disk.ref))
        cause = f"It came back {times} times within {WINDOW_S / 60:.0f} minutes. {self._used(volumes)} without it."
        remedy = "See to its connection, then reactivate it: what it has missed is copied."
        self._propose(disk, "comes and goes, and is out of date.", cause, remedy)

    def _tell_impossible(self, disk: Disk, volumes: tuple[Ref, ...], why: str) -> None:
        cause = f"{why} {self._used(list(volumes))} without it."
        self._propose(disk, "could not be brought up to date.", cause, "Correct the cause, then reactivate it.")

    def _propose(self, disk: Disk, what: str, cause: str, remedy: str) -> None:
        """The operator is to reactivate the disk."""
        self._committer.alert(
            Severity.WARNING,
            f"{disk.name} {what}",
            about=disk.ref,
            cause=cause,
            remedy=remedy,
            action=Remedy.REACTIVATE_DISK,
        )

    def _used(self, volumes: list[Ref]) -> str:
        names = [self._committer.config.volume(ref).name for ref in volumes]
        return f"{listed(names)} {'has' if len(names) == 1 else 'have'} been used"


def _is_automatic(config: Config) -> bool:
    settings = config.settings
    return settings is not None and settings.hot_relocation is RelocationMode.AUTOMATIC


def _still_out(config: Config, ref: Ref, left_at: int) -> bool:
    """Whether a mirror is as it was when its disk came back: nobody has filled it, and it has not left again."""
    if ref not in config:
        return False
    plex = config.plex(ref)
    return plex.state in rules.LEFT_OUT and plex.tracked and plex.left_at == left_at


def _is_ready(config: Config, plex: Plex) -> bool:
    volume = config.volume(plex.volume)
    if volume.fenced or config.group(volume.group).frozen:
        return False
    return rules.no_running_task(config, volume.ref) is None and rules.has_source(config, volume.ref) is None
