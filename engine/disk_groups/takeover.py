"""Looks now and then whether another host has taken a group by force, and lets go of it before more is written.

Every commit looks, too; but a volume that is only written commits nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from engine.errors import EngineError
from engine.records import Group, Remedy, Severity
from engine.ticker import Ticker, monitoring_interval_s

if TYPE_CHECKING:
    from engine.commit import Committer
    from engine.config import Edit
    from engine.disk_groups.groups import GroupKeeper
    from engine.records import Ref
    from engine.runtime import Runtime
    from engine.store.group_store import GroupStore
    from engine.store.stamp import Stamp

log = logging.getLogger(__name__)


class TakeoverWatch:
    """Reads the import stamps once in each monitoring interval."""

    def __init__(self, committer: Committer, groups: GroupKeeper, runtime: Runtime) -> None:
        self._committer = committer
        self._groups = groups
        self._ticker = Ticker(
            "takeover watch", lambda: monitoring_interval_s(committer.config), lambda _: self.look(), runtime
        )

    def close(self) -> None:
        """Stop looking; waits for a look that is under way."""
        self._ticker.close()

    def look(self) -> None:
        """Read the stamps of every group without the control lock, as a LUN may be slow to answer."""
        with self._committer.lock:
            stores = sorted(self._committer.stores.items())
            copies = [(group, store, store.stamped()) for group, store in stores]
        for group, store, stamped in copies:
            if stamped.is_strange():
                self._confirm(group, store)

    def _confirm(self, group: Ref, store: GroupStore) -> None:
        """Once more under the lock: the group may have been deported meanwhile by this very host."""
        with self._committer.lock:
            if self._committer.stores.get(group) is not store:
                return
            found = store.look_for_fence()
            if not found.taken:
                return
            for volume in self._committer.config.volumes_of(group):
                if volume.ref in self._committer.ios:
                    self._committer.ios[volume.ref].fence()
        try:
            self._groups.lose(group)
            self._tell(group, found.stamp, found.reason)
        except EngineError as error:
            log.warning("A disk group that another host has taken could not be given up: %s", error)

    def _tell(self, group: Ref, stamp: Stamp | None, reason: str) -> None:
        owner = (stamp.host_name or stamp.host) if stamp is not None else ""

        def change(edit: Edit) -> None:
            record = edit.config.get(group)
            if isinstance(record, Group):
                edit.put(msgspec.structs.replace(record, owner=owner))

        self._committer.commit(change)
        name, whom = self._committer.config.group(group).name, f"the host {owner}" if owner else "another host"
        self._committer.alert(
            Severity.ERROR,
            f"{name} was taken over by {whom}.",
            about=group,
            cause=reason,
            remedy=f"Deport it on {owner or 'that host'} before it is imported here.",
            action=Remedy.IMPORT_GROUP,
        )
