"""An operator who does what alerts propose, and nothing else: the action that each names, or what its refusal asks for.

Where an alert asks to bring a LUN back the hands do it, if the LUN is to be had; what is gone for good is replaced.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from engine.commands import (
    AcknowledgeAlerts,
    AddLuns,
    Command,
    DeleteVolumes,
    EvacuateDisk,
    ImportGroup,
    ReactivateDisk,
    RemoveLuns,
    RepairVolumes,
    ReplaceDisk,
    Rescan,
    ResyncVolume,
    StartVolumes,
    StopVolumes,
    UndoRelocation,
)
from engine.config import Config, Edit
from engine.errors import CommandRejected, EngineError
from engine.events import Batch, Remove, Upsert
from engine.records import Alert, Disk, Group, Kind, Ref, Remedy, Severity, Task, TaskState, Volume, VolumeStatus
from engine.remote.client import RemoteEngine

PATIENCE_S = 120
ROUNDS = 8
R = TypeVar("R")


class Operator:
    """Attached to a running engine. `done` counts what was done, `asked` what alerts have asked for in their words."""

    def __init__(
        self, socket: Path, new_lun: Callable[[], Path], least: int, take_copies_away: Callable[[], bool]
    ) -> None:
        """`new_lun` makes a file where no LUN of no group has `least` bytes."""
        engine = RemoteEngine.connect(socket)
        assert engine is not None
        self.engine = engine
        self._new_lun, self._least, self._take_copies_away = new_lun, least, take_copies_away
        self._changed = threading.Condition()
        self._edit = Edit(Config())
        self.done: Counter[str] = Counter()
        self.lost: list[str] = []  # volumes that were deleted, as nothing else could be done
        self.log: list[str] = []
        self._early: list[Batch] | None = []
        snapshot = engine.attach(self._hear)
        with self._changed:
            for record in snapshot.records:
                self._edit.put(record)
            early, self._early = self._early, None
            for batch in early or ():
                if batch.sequence > snapshot.sequence:
                    self._apply(batch)

    def close(self) -> None:
        self.engine.close()

    # --- what there is ---
    def _hear(self, batch: Batch) -> None:
        with self._changed:
            if self._early is not None:
                self._early.append(batch)
            else:
                self._apply(batch)
            self._changed.notify_all()

    def _apply(self, batch: Batch) -> None:
        edit = Edit(self._edit.unsettled())
        for event in batch.events:
            if isinstance(event, Upsert):
                edit.put(event.record)
            elif isinstance(event, Remove) and event.ref in edit.config:
                edit.drop(event.ref)
        self._edit = edit

    @property
    def config(self) -> Config:
        with self._changed:
            return self._edit.unsettled()

    def wait(self, holds: Callable[[Config], bool], what: str = "") -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self._edit.unsettled()), PATIENCE_S), (what, self.told())

    def is_quiet(self, config: Config) -> bool:
        return all(task.ended for task in config.all(Kind.TASK, Task))

    def alerts(self) -> list[Alert]:
        """Open ones, the oldest first."""
        found = [alert for alert in self.config.all(Kind.ALERT, Alert) if alert.open]
        return sorted(found, key=lambda alert: int(alert.ref.id))

    def told(self) -> str:
        """Everything that somebody who looks into a failed run wants to see."""
        config = self.config
        lines = [f"did: {line}" for line in self.log]
        for alert in self.alerts():
            lines.append(f"alert: {alert.name} | {alert.cause} | {alert.remedy} | {alert.action}")
        lines += [f"{one.name}: {one.status}, {one.fenced}" for one in config.all(Kind.VOLUME, Volume)]
        lines += [f"{one.name}: {one.status} {one.content} {one.lun}" for one in config.all(Kind.DISK, Disk)]
        lines += [f"{one.name}: {one.state} {one.result}" for one in config.all(Kind.TASK, Task)]
        return "\n".join(lines)

    def sick(self) -> list[str]:
        """What is not as it should be."""
        config = self.config
        volumes = [one.name for one in config.all(Kind.VOLUME, Volume) if one.status is not VolumeStatus.HEALTHY]
        groups = [one for one in config.all(Kind.GROUP, Group)]
        disks = [disk for group in groups for disk in config.disks_of(group.ref) if disk.failing or not disk.present]
        return [*volumes, *(disk.name for disk in disks), *(one.name for one in groups if one.frozen or one.owner)]

    # --- doing ---
    def do(self, command: Command) -> str:
        """Empty when it was done; else the refusal, with what would help."""
        try:
            ref = self.engine.submit(command)
        except CommandRejected as refusal:
            problem = refusal.problems[0]
            self.log.append(f"{type(command).__name__} refused: {problem.text} {problem.help}")
            return f"{problem.text} {problem.help}"
        except EngineError as error:
            self.log.append(f"{type(command).__name__} failed: {error}")
            return str(error)
        self.log.append(type(command).__name__)
        self.wait(lambda config: ref not in config or cast(Task, config[ref]).ended, type(command).__name__)
        self.wait(self.is_quiet, "tasks")
        task = self.config.get(ref)
        return task.result if isinstance(task, Task) and task.state is TaskState.FAILED else ""

    def mend(self, bring_back: Callable[[], bool] = lambda: False) -> None:
        """Do what is proposed until nothing is wrong any more; fails when the alerts lead nowhere."""
        for _ in range(ROUNDS):
            self.wait(self.is_quiet, "tasks")
            for alert in self.alerts():
                self._follow(alert, bring_back)
            if not self.sick() and not [alert for alert in self.alerts() if alert.action and self._matters(alert)]:
                return
        raise AssertionError(f"What is proposed leads nowhere: {self.sick()}\n{self.told()}")

    def _matters(self, alert: Alert) -> bool:
        return alert.severity is not Severity.INFORMATION

    def _follow(self, alert: Alert, bring_back: Callable[[], bool]) -> None:
        self.wait(self.is_quiet, "tasks")
        record = self.config.get(alert.ref)
        if not isinstance(record, Alert) or not record.open:
            return  # it has been settled meanwhile
        about = alert.action_on or alert.object
        refused = ""
        if "Take the copy away" in alert.remedy and self._take_copies_away():
            self.done["take the copy away"] += 1
            refused = self._act(Remedy.RESCAN, None, alert)
        elif "back" in alert.remedy and bring_back():
            self.done["bring its LUN back"] += 1
            refused = self._act(Remedy.RESCAN, None, alert)
        elif alert.action is not None:
            refused = self._act(alert.action, about, alert)
        if not refused or "nothing to do" in refused or about not in self.config:
            self.engine.submit(AcknowledgeAlerts(alerts=(alert.ref,)))

    def _act(self, action: Remedy, about: Ref | None, alert: Alert) -> str:
        if about is not None and about not in self.config:
            return ""
        self.log.append(f"[{alert.name}] -> {action}")
        refused = self._take(action, about, alert)
        if not refused:
            self.done[action] += 1
        return refused

    def _take(self, action: Remedy, about: Ref | None, alert: Alert) -> str:
        if action is Remedy.RESCAN:
            refused = self.do(Rescan())
            gone = self.config.get(about)
            if not refused and isinstance(gone, Disk) and not gone.present and "Gone for good" in alert.remedy:
                return self._replace(gone.ref) if gone.group is not None else self.do(RemoveLuns(disks=(gone.ref,)))
            return refused
        assert about is not None, alert
        lost = re.search(r"delete (\S+) and restore", alert.remedy)
        if lost is not None:  # the LUN is not the right one
            return self._delete(lost[1])
        match action:
            case Remedy.REPLACE_DISK:
                return self._replace(about)
            case Remedy.STOP_VOLUME:  # "then start it again", it says
                return self.do(StopVolumes(volumes=(about,), force=True)) or self.do(StartVolumes(volumes=(about,)))
        return self.do(_COMMANDS[action](about))

    def _replace(self, disk: Ref) -> str:
        """By a LUN of no group, a new one where there is none; what the disk took with it is deleted when asked for."""
        refused = self.do(ReplaceDisk(disk=disk, by=self._free_lun()))
        while lost := re.search(r"delete (\S+?)( first)?\.", refused):
            if "Evacuate" not in refused or self.do(EvacuateDisk(disk=disk)):
                self._delete(lost[1])
            refused = self.do(ReplaceDisk(disk=disk, by=self._free_lun()))
        return refused

    def _delete(self, name: str) -> str:
        volume = next(one for one in self.config.all(Kind.VOLUME, Volume) if one.name == name)
        self.lost.append(name)
        assert self.do(DeleteVolumes(volumes=(volume.ref,), force=True)) == "", self.told()
        self.done["delete what is lost"] += 1
        return ""

    def _free_lun(self) -> Ref:
        for _ in range(2):
            for disk in self.config.all(Kind.DISK, Disk):
                if disk.group is None and disk.present and not disk.content and disk.size >= self._least:
                    return disk.ref
            assert self.do(AddLuns(paths=(str(self._new_lun()),))) == ""
        raise AssertionError(self.told())


_COMMANDS: dict[Remedy, Callable[[Ref], Command]] = {
    Remedy.EVACUATE_DISK: lambda ref: EvacuateDisk(disk=ref),
    Remedy.REACTIVATE_DISK: lambda ref: ReactivateDisk(disk=ref),
    Remedy.UNDO_RELOCATION: lambda ref: UndoRelocation(disk=ref),
    Remedy.REPAIR_VOLUME: lambda ref: RepairVolumes(volumes=(ref,)),
    Remedy.RESYNC_VOLUME: lambda ref: ResyncVolume(volume=ref),
    Remedy.START_VOLUME: lambda ref: StartVolumes(volumes=(ref,)),
    Remedy.IMPORT_GROUP: lambda ref: ImportGroup(group=ref),
    Remedy.REMOVE_LUN: lambda ref: RemoveLuns(disks=(ref,)),
}
