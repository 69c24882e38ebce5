"""Takes alerts off the list when what they ask for has been done, however it was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import (
    Alert,
    Disk,
    Group,
    GroupState,
    Kind,
    PieceState,
    PlexState,
    Remedy,
    Severity,
    Volume,
)
from engine.rules import lost_of, relocated
from engine.states import COMPLETE, pieces_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.records import Ref


_OF_RELOCATION = frozenset({Remedy.REPLACE_DISK, Remedy.UNDO_RELOCATION})
_OF_GROUP = frozenset({Remedy.RESCAN, Remedy.REPAIR_VOLUME})
_LACKING = frozenset({PlexState.STALE, PlexState.IOFAIL, PlexState.FILLING})


class SettledAlerts:
    """An alert that has been true once is settled as soon as it isn't any more, and any alert when the object that it
    is about has gone. What tells of something that is over stays until somebody acknowledges it."""

    def __init__(
        self, committer: Committer, held_up: Callable[[Config, Group], str], differs: Callable[[Ref], bool]
    ) -> None:
        """`held_up` says what keeps hot relocation in a group from beginning, `differs` whether the mirrors of a volume
        are known to differ."""
        self._committer = committer
        self._held_up = held_up
        self._differs = differs
        self._true: set[Ref] = set()
        self._seen: set[Ref] = set()  # alerts whose object was there

    def note(self, alert: Alert) -> None:
        """Under the control lock, as soon as there is an alert: what it tells of may be over before the next look."""
        if alert.open and self._is_true(self._committer.config, alert):
            self._true.add(alert.ref)
        if self._committer.config.get(alert.object) is not None:
            self._seen.add(alert.ref)

    def look(self) -> None:
        """Under the control lock."""
        config = self._committer.config
        alerts = [alert for alert in config.all(Kind.ALERT, Alert) if alert.open]
        true = {alert.ref for alert in alerts if self._is_true(config, alert)}
        seen = {alert.ref for alert in alerts if config.get(alert.object) is not None}
        over = (self._true - true) | (self._seen - seen)
        news = [replace(alert, acknowledged=True) for alert in alerts if alert.ref in over]
        news += [_way_back(config, alert) for alert in alerts if alert.ref in true and _can_go_back(config, alert)]
        self._true, self._seen = true, seen

        def change(edit: Edit) -> None:
            for alert in news:
                edit.put(alert)

        if news:
            self._committer.commit(change)

    def _is_true(self, config: Config, alert: Alert) -> bool:
        about = config.get(alert.object)
        on = config.get(alert.action_on or alert.object)
        if isinstance(about, Volume) and alert.cause and alert.cause == about.fenced:
            return True
        if alert.action is Remedy.RESYNC_VOLUME and isinstance(on, Volume):
            return _is_incomplete(config, on)
        if alert.action is Remedy.REPAIR_MIRRORS and isinstance(on, Volume):
            return self._differs(on.ref) and len(config.plexes_of(on.ref)) > 1
        if isinstance(about, Disk):
            return _of_disk(config, about, alert)
        if isinstance(about, Volume) and alert.action in _OF_RELOCATION:
            return _of_relocation(config, about, alert)
        return isinstance(about, Group) and self._of_group(config, about, alert)

    def _of_group(self, config: Config, group: Group, alert: Alert) -> bool:
        if alert.action is Remedy.IMPORT_GROUP:
            return group.state is not GroupState.IMPORTED
        if alert.action not in _OF_GROUP:
            return False
        return bool(group.frozen if alert.severity is Severity.ERROR else self._held_up(config, group))


def _of_disk(config: Config, disk: Disk, alert: Alert) -> bool:
    match alert.action:
        case Remedy.REACTIVATE_DISK:
            return disk.failing or not disk.present or _lacks(config, disk.ref)
        case Remedy.REPLACE_DISK:
            return _is_lost(disk)
        case Remedy.RESCAN:
            return disk.failing or not disk.present
        case _:
            return False


def _of_relocation(config: Config, volume: Volume, alert: Alert) -> bool:
    """An error says that something could not be relocated, a warning that it was."""
    disk = config.get(alert.action_on)
    if not isinstance(disk, Disk):
        return False
    if alert.severity is Severity.ERROR:
        return any(piece.disk == disk.ref for piece in lost_of(config, volume.ref))
    return _is_lost(disk) or _is_relocated(config, volume, alert)


def _is_lost(disk: Disk) -> bool:
    """Whether a disk of a disk group is to be replaced, or to be brought back."""
    return disk.group is not None and (disk.failing or not disk.present or disk.short_by > 0)


def _is_incomplete(config: Config, volume: Volume) -> bool:
    """Whether mirrors or columns of a volume are out of date or in doubt, but for those that somebody has detached."""
    plexes = config.plexes_of(volume.ref)
    out = any(plex.state in _LACKING or (plex.state in COMPLETE and not plex.complete) for plex in plexes)
    columns = any(pieces_out(config, plex) for plex in plexes)
    return out or columns or volume.source is not None or not volume.parity_known


def _is_relocated(config: Config, volume: Volume, alert: Alert) -> bool:
    """Whether pieces of a volume were taken away from the disk that an alert names, and lie elsewhere still."""
    disk = config.get(alert.action_on)
    away = relocated(config, disk.ref) if isinstance(disk, Disk) else []
    return any(config.volume_of(piece).ref == volume.ref for piece in away)


def _can_go_back(config: Config, alert: Alert) -> bool:
    """Whether an alert proposes to replace a disk to which its volume can be taken back by now."""
    disk, about = config.get(alert.action_on), config.get(alert.object)
    if alert.action is not Remedy.REPLACE_DISK or not isinstance(disk, Disk) or not isinstance(about, Volume):
        return False
    return disk.present and not disk.failing and _is_relocated(config, about, alert)


def _way_back(config: Config, alert: Alert) -> Alert:
    assert alert.action_on is not None
    name = config.disk(alert.action_on).name
    return replace(
        alert,
        action=Remedy.UNDO_RELOCATION,
        cause=f"{name} could not be used for a while. It is back.",
        remedy=f"Undo the hot relocation, so that it lies on {name} again; or leave it, and acknowledge this.",
    )


def _lacks(config: Config, disk: Ref) -> bool:
    """Whether something on a disk is out of date, or is being brought up to date."""
    pieces = config.subdisks_on(disk)
    return any(piece.state is not PieceState.GOOD or config.plex(piece.plex).state in _LACKING for piece in pieces)
