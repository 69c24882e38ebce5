"""Says after each look, once while it lasts, what is held back, which disks have become smaller, and what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.records import Alert, Disk, Kind, Remedy, Severity, Volume
from engine.rules import listed, volumes_on
from engine.store.scan import shrunk
from engine.units import format_size

if TYPE_CHECKING:
    from engine.commit import Committer
    from engine.config import Config
    from engine.records import Ref

_WAYS = frozenset({Remedy.START_VOLUME, Remedy.STOP_VOLUME, Remedy.RESCAN, Remedy.REPLACE_DISK})


class HeldTeller:
    """What takes no writes and is started is told of by whoever finds that out."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._told: dict[Ref, str] = {}
        self._short: dict[Ref, int] = {}  # bytes that disks lack at their ends

    def tell(self) -> None:
        """Under the control lock."""
        self._tell_held()
        self._tell_short()

    def _tell_held(self) -> None:
        config = self._committer.config
        held = {
            volume.ref: volume
            for group in sorted(self._committer.stores)
            for volume in config.volumes_of(group)
            if volume.fenced and not volume.started
        }
        for ref, volume in held.items():
            if self._told.get(ref) != volume.fenced and not _is_told(config, ref):
                self._alert(volume)
        self._told = {ref: volume.fenced for ref, volume in held.items()}

    def _tell_short(self) -> None:
        config = self._committer.config
        disks = [disk for group in sorted(self._committer.stores) for disk in config.disks_of(group)]
        short = {disk.ref: disk for disk in disks if disk.short_by}
        for ref, disk in short.items():
            if self._short.get(ref) != disk.short_by and not _is_told(config, ref):
                self._alert_short(disk)
        self._short = {ref: disk.short_by for ref, disk in short.items()}

    def _alert_short(self, disk: Disk) -> None:
        """The end of a LUN is gone, with all that lay there."""
        config = self._committer.config
        group = config.group(disk.group).name if disk.group is not None else ""
        volumes = (config.volume(ref) for ref in volumes_on(config, disk.ref))
        lost = [volume.name for volume in volumes if not volume.copies]
        without = f": {listed(lost)} can't be used without them" if lost else ""
        first = f"delete {listed(lost)}, to be restored from a backup, and " if lost else ""
        self._committer.alert(
            Severity.ERROR,
            shrunk(disk.name, group),
            about=disk.ref,
            cause=f"Its last {format_size(disk.short_by)} are gone{without}.",
            remedy=f"Make its LUN as large as it was, rescan, and reactivate it; or {first}replace the disk.",
            action=Remedy.REPLACE_DISK,
        )

    def unlabelled(self, disk: Ref) -> None:
        """The label of a disk in use is gone: with the next start, or the next import, so is the disk."""
        record = self._committer.config.disk(disk)
        text = f"The label of {record.name} was overwritten."
        if any(alert.open and alert.name == text for alert in self._committer.config.all(Kind.ALERT, Alert)):
            return
        self._committer.alert(
            Severity.ERROR,
            text,
            about=disk,
            cause="It holds the only copy of something, of which nobody knows whether it was overwritten, too.",
            remedy=f"Evacuate {record.name} before the engine ends, replace it, and check the data.",
            action=Remedy.EVACUATE_DISK,
        )

    def _alert(self, volume: Volume) -> None:
        remedy = "If that is not so, start it and check its data. "
        remedy += f"Else put the right LUN back and rescan; or delete {volume.name} and restore it from a backup."
        self._committer.alert(
            Severity.ERROR,
            f"{volume.name} is held back.",
            about=volume.ref,
            cause=volume.fenced,
            remedy=remedy,
            action=Remedy.START_VOLUME,
        )


def _is_told(config: Config, about: Ref) -> bool:
    alerts = (alert for alert in config.all(Kind.ALERT, Alert) if alert.open and alert.object == about)
    return any(alert.action in _WAYS for alert in alerts)
