"""Hot relocation: what lay on a lost disk is made anew on a spare, or in free space, without anybody asking for it.

A disk that fails is lost at once, one that is missing after a while that the operator has set. Nothing is begun
while so much is away that more than disks must have failed: then a copy of everything would only be in the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import rules
from engine.alerts.settled_alerts import SettledAlerts
from engine.alerts.trouble_teller import TroubleTeller
from engine.commands import RepairVolumes
from engine.errors import CommandRejected, EngineError
from engine.events import Remove, Upsert
from engine.lookout import Lookout
from engine.records import Alert, Disk, Group, Kind, RelocationMode, Remedy, Severity, Task
from engine.rules import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Config
    from engine.events import Batch, Event
    from engine.records import Ref, Subdisk, Volume
    from engine.runtime import Runtime
    from engine.trouble.catch_up import CatchUp

AT_ONCE_MAX = 2
"""So many volumes are filled at a time; the others wait for their turn."""
_MATTERS = frozenset({Kind.DISK, Kind.GROUP, Kind.PLEX, Kind.SUBDISK, Kind.SETTINGS, Kind.ALERT})


class HotRelocation:
    """A thread that looks whenever disks, mirrors or settings change, and when a wait is over. `submit` is the front
    door's."""

    def __init__(
        self, committer: Committer, submit: Callable[[Command], Ref], catch_up: CatchUp, runtime: Runtime
    ) -> None:
        """`catch_up` goes on whenever this looks."""
        self._committer = committer
        self._submit = submit
        self._catch_up = catch_up
        self._runtime = runtime
        self._troubles = TroubleTeller(committer)
        self._settled = SettledAlerts(committer, too_much_away, self._troubles.differs)
        self._missing: dict[Ref, float] = {}  # since when, by our clock
        self._begun: set[Ref] = set()  # tasks
        self._tried: dict[Ref, list[Subdisk]] = {}  # what a repair was last begun for
        self._told: dict[Ref, str] = {}  # what keeps a volume or a group from it, as it was told
        self._lookout = Lookout(runtime, "hot relocation", self._look)
        committer.attach(self._hear)
        self._lookout.begin()

    def close(self) -> None:
        """Begin nothing any more."""
        self._committer.detach(self._hear)
        self._lookout.close()

    def _hear(self, batch: Batch) -> None:
        """A listener: called under the control lock, and done at once."""
        for event in batch.events:
            if isinstance(event, Upsert):
                self._troubles.hear(event.record)
                if isinstance(event.record, Alert):
                    self._settled.note(event.record)
        if any(_matters(event) for event in batch.events):
            self._lookout.wake()

    # --- looking ---
    def _look(self) -> float | None:
        """Begin what is due; answers the seconds until more of it is."""
        with self._committer.lock:
            self._catch_up.go_on()
            self._troubles.look()
            self._settled.look()
            config = self._committer.config
            settings = config.settings
            groups = [config.group(ref) for ref in sorted(self._committer.stores) if ref in config]
            self._note_missing(config, groups)
            if settings is None or settings.hot_relocation is not RelocationMode.AUTOMATIC:
                return None
            waits = [self._look_at(config, group, settings.relocation_wait_s) for group in groups if not group.frozen]
        return min((wait for wait in waits if wait is not None), default=None)

    def _note_missing(self, config: Config, groups: Iterable[Group]) -> None:
        away = {disk.ref for group in groups for disk in config.disks_of(group.ref) if not disk.present}
        now = self._runtime.now()
        self._missing = {ref: self._missing.get(ref, now) for ref in sorted(away)}

    def _look_at(self, config: Config, group: Group, wait_s: int) -> float | None:
        affected = [volume for volume in config.volumes_of(group.ref) if _lost(config, volume)]
        for volume in config.volumes_of(group.ref):
            if volume not in affected:
                self._tried.pop(volume.ref, None)
                self._told.pop(volume.ref, None)
        if not affected:
            self._told.pop(group.ref, None)
            return None
        why = too_much_away(config, group)
        if why:
            self._tell_held(group, why, affected[0])
            return None
        self._told.pop(group.ref, None)
        waits = []
        for volume in affected:
            wait = max(self._wait_of(piece, wait_s) for piece in _lost(config, volume))
            if wait > 0:
                waits.append(wait)
            elif not self._is_busy():
                self._relocate(volume)
        return min(waits, default=None)

    def _wait_of(self, piece: Subdisk, wait_s: int) -> float:
        """How long the disk of a lost piece may still come back."""
        since = self._missing.get(piece.disk)
        return 0.0 if since is None else since + wait_s - self._runtime.now()

    def _is_busy(self) -> bool:
        """Looked at again whenever one of them ends, as that changes mirrors."""
        config = self._committer.config
        live = {ref for ref in self._begun if isinstance(task := config.get(ref), Task) and not task.ended}
        self._begun = live
        return len(live) >= AT_ONCE_MAX

    # --- doing ---
    def _relocate(self, volume: Volume) -> None:
        """Under the control lock: what is planned is what is true."""
        config = self._committer.config
        pieces = _lost(config, volume)
        disks = sorted({piece.disk for piece in pieces})
        if busy := rules.task_of(config, volume.ref):
            if busy.paused:  # and may rest for ever
                text = f"The task “{busy.name}” rests on {volume.name}."
                self._tell_impossible(volume, disks, text, "Resume or abort it: then this goes on by itself.")
            return
        if self._tried.get(volume.ref) == pieces:
            return  # it has changed nothing
        try:
            task = self._submit(RepairVolumes(volumes=(volume.ref,)))
        except CommandRejected as refusal:
            problem = refusal.problems[0]
            self._tell_impossible(volume, disks, problem.text, problem.help)
        except EngineError as error:
            self._tell_impossible(volume, disks, str(error), "Correct the cause, then choose Repair Volume.")
        else:
            self._begun.add(task)
            self._tried[volume.ref] = pieces
            self._told.pop(volume.ref, None)
            self._tell_begun(volume, disks, pieces)

    # --- telling ---
    def _tell_begun(self, volume: Volume, disks: list[Ref], pieces: list[Subdisk]) -> None:
        config = self._committer.config
        where = [config.disk(config.subdisk(piece.ref).disk).name for piece in pieces if piece.ref in config]
        names = listed([config.disk(ref).name for ref in disks])
        self._committer.alert(
            Severity.WARNING,
            f"{volume.name} is relocated from {names} to {listed(dict.fromkeys(where))}.",
            about=volume.ref,
            cause=f"{names} {'is' if len(disks) == 1 else 'are'} {_state(config.disk(disks[0]))}.",
            remedy=f"Replace {names}; or reactivate what was mended, and undo the hot relocation.",
            action=Remedy.REPLACE_DISK,
            action_on=disks[0],
        )

    def _tell_impossible(self, volume: Volume, disks: list[Ref], text: str, help_: str) -> None:
        names = listed([self._committer.config.disk(ref).name for ref in disks])
        if self._told.get(volume.ref) == f"{names}: {text}":
            return
        self._told[volume.ref] = f"{names}: {text}"
        self._committer.alert(
            Severity.ERROR,
            f"{volume.name} could not be relocated from {names}.",
            about=volume.ref,
            cause=text,
            remedy=help_,
            action=Remedy.REPLACE_DISK,
            action_on=disks[0],
        )

    def _tell_held(self, group: Group, why: str, volume: Volume) -> None:
        if self._told.get(group.ref) == why:
            return
        self._told[group.ref] = why
        away = any(not disk.present for disk in self._committer.config.disks_of(group.ref))
        self._committer.alert(
            Severity.WARNING,
            f"Hot relocation in {group.name} waits.",
            about=group.ref,
            cause=why,
            remedy="Bring the disks back and rescan. If they are lost, choose Repair Volume on what lay there."
            if away
            else "Replace the disks; or choose Repair Volume on what lies there, where other disks have room.",
            action=Remedy.RESCAN if away else Remedy.REPAIR_VOLUME,
            action_on=None if away else volume.ref,
        )


def too_much_away(config: Config, group: Group) -> str:
    """Why it is no matter of single disks; empty when it may be."""
    disks = config.disks_of(group.ref)
    missing = [disk for disk in disks if not disk.present]
    lost = [disk for disk in disks if disk.failing or not disk.present]
    if 2 * len(lost) >= len(disks):
        return f"{len(lost)} of its {len(disks)} disks are missing or failing."
    if len({disk.enclosure for disk in missing}) > 1:
        return f"Disks of more than one enclosure are missing: {listed([disk.name for disk in missing])}."
    return ""


def _lost(config: Config, volume: Volume) -> list[Subdisk]:
    """What a repair would have to place elsewhere."""
    return sorted(rules.lost_of(config, volume.ref), key=lambda piece: piece.ref)


def _state(disk: Disk) -> str:
    if disk.short_by and not disk.failing:
        return "too short for what lay on it"
    return "failing" if disk.present else "missing"


def _matters(event: Event) -> bool:
    if isinstance(event, Upsert):
        record = event.record
        return record.ended or record.paused if isinstance(record, Task) else record.ref.kind in _MATTERS
    return isinstance(event, Remove) and event.ref.kind in _MATTERS
