"""Tells of disks that fail, of groups that are frozen and of mirrors that differ: once, for as long as it lasts.

Who finds it out may be a commit, a start or an import, which say nothing themselves, or an earlier run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from engine.records import Alert, Kind, Remedy, Severity, Task, TaskType, Volume
from engine.rules import differing

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from engine.commit import Committer
    from engine.config import Config
    from engine.records import Disk, Group, Record, Ref


class TroubleTeller:
    """Looks under the control lock, as those do who tell of a failing disk at once: then an alert stands already."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._failing: frozenset[Ref] = frozenset()
        self._frozen: frozenset[Ref] = frozenset()
        self._differing: frozenset[Ref] = frozenset()
        self._verified: dict[Ref, Task] | None = None  # what verifications have found; None: to be looked up

    def hear(self, record: Record) -> None:
        """A record has changed. There may be thousands of ended tasks: they are gone through when this says so."""
        if isinstance(record, Task) and record.ended and record.type in (TaskType.VERIFY, TaskType.SCRUB):
            self._verified = None

    def differs(self, volume: Ref) -> bool:
        """Whether the last that was seen of a volume's mirrors is that they differ."""
        return volume in self._found()

    def _found(self) -> dict[Ref, Task]:
        if self._verified is None:
            self._verified = differing(self._committer.config)
        return self._verified

    def look(self) -> None:
        """Tell what is new since the last look; the first one tells everything."""
        config, stores = self._committer.config, self._committer.stores
        groups = [config.group(ref) for ref in sorted(stores) if ref in config]
        failing = [disk for group in groups for disk in _failing(config, group.ref)]
        for disk in failing:
            if disk.ref not in self._failing and not _is_told(config, disk.ref, Remedy.REPLACE_DISK):
                self._tell_failing(disk)
        self._failing = frozenset(disk.ref for disk in failing)
        frozen = [group for group in groups if group.frozen and not stores[group.ref].taken]
        for group in frozen:
            if group.ref not in self._frozen:
                self._tell_frozen(group)
        self._frozen = frozenset(group.ref for group in frozen)
        differ = {ref: task for ref, task in self._found().items() if _has_mirrors(config, ref, stores)}
        for ref, task in differ.items():
            if ref not in self._differing and not _is_told(config, ref, Remedy.REPAIR_MIRRORS):
                self._tell_differing(ref, task)
        self._differing = frozenset(differ)

    def _tell_failing(self, disk: Disk) -> None:
        self._committer.alert(
            Severity.ERROR,
            f"{disk.name} is failing.",
            about=disk.ref,
            cause="An operation on it failed, and it has not been reactivated since.",
            remedy="Replace the disk, or see to the cause and reactivate it.",
            action=Remedy.REPLACE_DISK,
        )

    def _tell_frozen(self, group: Group) -> None:
        self._committer.alert(
            Severity.ERROR,
            f"No change is possible in {group.name}.",
            about=group.ref,
            cause=group.frozen,
            remedy="Bring its disks back and rescan. Until then nothing in it can be changed, and writes may fail.",
            action=Remedy.RESCAN,
        )

    def _tell_differing(self, volume: Ref, task: Task) -> None:
        """In the words of the commit that has the verification end."""
        self._committer.alert(
            Severity.ERROR,
            f"{task.name}: its mirrors differ.",
            about=volume,
            cause=task.result,
            remedy="Decide which mirror is right, and repair the others.",
            action=Remedy.REPAIR_MIRRORS,
        )


def _failing(config: Config, group: Ref) -> list[Disk]:
    """Of thousands of disks few are put in order."""
    disks = cast("Iterable[Disk]", config.children(group, Kind.DISK, "group"))
    return sorted((disk for disk in disks if disk.failing and disk.present), key=lambda disk: disk.ref)


def _is_told(config: Config, about: Ref, action: Remedy) -> bool:
    alerts = (alert for alert in config.all(Kind.ALERT, Alert) if alert.open and alert.action is action)
    return any(about in (alert.object, alert.action_on) for alert in alerts)


def _has_mirrors(config: Config, volume: Ref, groups: Container[Ref]) -> bool:
    record = config.get(volume)
    return isinstance(record, Volume) and record.group in groups and len(config.plexes_of(volume)) > 1
