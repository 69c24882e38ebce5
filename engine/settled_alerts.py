"""Takes alerts off the list when what they ask for has been done, however it was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import Alert, Disk, Group, Kind, PieceState, PlexState, Remedy, Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.records import Ref


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
        settled = [alert for alert in alerts if alert.ref in self._true - true]
        self._true = true

        def change(edit: Edit) -> None:
            for alert in settled:
                edit.put(replace(alert, acknowledged=True))

        if settled:
            self._committer.commit(change)

    def _is_true(self, config: Config, alert: Alert) -> bool:
        about = config.get(alert.object)
        if isinstance(about, Disk) and alert.action is Remedy.REACTIVATE_DISK:
            return about.failing or not about.present or _lacks(config, about.ref)
        if isinstance(about, Volume) and alert.cause and alert.cause == about.fenced:
            return True
        if isinstance(about, Group) and alert.action is Remedy.RESCAN:
            return bool(self._held_up(config, about))
        return False


def _lacks(config: Config, disk: Ref) -> bool:
    """Whether something on a disk is out of date, or is being brought up to date."""
    pieces = config.subdisks_on(disk)
    return any(piece.state is not PieceState.GOOD or config.plex(piece.plex).state in _LACKING for piece in pieces)
