"""Takes alerts off the list when what they ask for has been done, however it was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import Alert, Disk, Group, Kind, PieceState, PlexState, Remedy, Volume
from engine.rules import relocated

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.records import Ref


_OF_RELOCATION = frozenset({Remedy.REPLACE_DISK, Remedy.UNDO_RELOCATION})
_LACKING = frozenset({PlexState.STALE, PlexState.IOFAIL, PlexState.FILLING})


class SettledAlerts:
    """An alert that has been true once is settled as soon as it isn't any more. What tells of something that is over
    stays until somebody acknowledges it."""

    def __init__(self, committer: Committer, held_up: Callable[[Config, Group], str]) -> None:
        """`held_up` says what keeps hot relocation in a group from beginning."""
        self._committer = committer
        self._held_up = held_up
        self._true: set[Ref] = set()

    def look(self) -> None:
        """Under the control lock."""
        config = self._committer.config
        alerts = [alert for alert in config.all(Kind.ALERT, Alert) if alert.open]
        true = {alert.ref for alert in alerts if self._is_true(config, alert)}
        news = [replace(alert, acknowledged=True) for alert in alerts if alert.ref in self._true - true]
        news += [_way_back(config, alert) for alert in alerts if alert.ref in true and _can_go_back(config, alert)]
        self._true = true

        def change(edit: Edit) -> None:
            for alert in news:
                edit.put(alert)

        if news:
            self._committer.commit(change)

    def _is_true(self, config: Config, alert: Alert) -> bool:
        about = config.get(alert.object)
        if isinstance(about, Disk) and alert.action is Remedy.REACTIVATE_DISK:
            return about.failing or not about.present or _lacks(config, about.ref)
        if isinstance(about, Volume) and alert.cause and alert.cause == about.fenced:
            return True
        if isinstance(about, Volume) and alert.action in _OF_RELOCATION:
            return _is_relocated(config, about, alert)
        if isinstance(about, Group) and alert.action is Remedy.RESCAN:
            return bool(self._held_up(config, about))
        return False


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
