"""Alerts whose trouble is over leave the list of open ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import Alert, Kind

if TYPE_CHECKING:
    from engine.commit import Committer
    from engine.config import Edit
    from engine.records import Ref


def settle(committer: Committer, about: Ref) -> None:
    """Nothing is left to do of what open alerts propose for this object."""
    alerts = (alert for alert in committer.config.all(Kind.ALERT, Alert) if alert.open and alert.action is not None)
    settled = [alert for alert in alerts if (alert.action_on or alert.object) == about]

    def change(edit: Edit) -> None:
        for alert in settled:
            edit.put(replace(alert, acknowledged=True))

    if settled:
        committer.commit(change)
