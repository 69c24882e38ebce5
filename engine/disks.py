"""Disks that join a disk group of this host and leave it: what that writes on their LUNs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.claims import device_of, disk_of, unlock, unlock_all
from engine.errors import EngineError
from engine.records import Severity
from engine.store.member import make_disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine import commands
    from engine.claims import Claims
    from engine.commit import Committer
    from engine.config import Edit
    from engine.luns import LunTable
    from engine.plans import Plan


class DiskKeeper:
    """Does to LUNs what commands on disks ask for. Every method is called under the control lock."""

    def __init__(self, committer: Committer, luns: LunTable, claims: Claims) -> None:
        self._committer = committer
        self._luns = luns
        self._claims = claims

    def init(self, command: commands.InitDisks, plan: Plan) -> Callable[[Edit], None]:
        """Label LUNs that stay without a group."""
        luns = self._claims.take(command.disks, force=command.force)
        try:
            for lun in luns:
                make_disk(device_of(lun), disk_of(lun).id, self._committer.runtime.time())
        finally:
            unlock_all(luns)
        return nothing

    def add(self, command: commands.AddDisks, plan: Plan) -> Callable[[Edit], None]:
        """Label LUNs for a group; the commit makes them members."""
        store = self._committer.stores[command.group]
        luns = self._claims.take(command.disks, force=command.force)
        try:
            for lun in luns:
                store.add_disk(disk_of(lun), device_of(lun))
        except (EngineError, ValueError):
            self.not_added(command, plan)
            raise
        return nothing

    def not_added(self, command: commands.AddDisks, plan: Plan) -> None:
        """The disks do not join after all."""
        for ref in command.disks:
            lun = self._luns.of(ref)
            if lun is not None:
                self._committer.stores[command.group].lose_disk(ref)
                unlock(lun)

    def release(self, command: commands.RemoveDisks, plan: Plan) -> None:
        """After the commit that took them out: their labels name no group any more."""
        assert plan.group is not None
        store = self._committer.stores[plan.group]
        for ref in command.disks:
            lun = self._luns.of(ref)
            try:
                store.remove_disk(ref)
            except EngineError as error:
                self._committer.alert(
                    Severity.WARNING,
                    f"{lun.name if lun else 'A disk'} still carries the label of the disk group that it has left.",
                    about=ref,
                    cause=str(error),
                    remedy="Initialize the disk before it is used again.",
                )
            if lun is not None:
                unlock(lun)


def nothing(edit: Edit) -> None:
    """No more than the plan's own edit."""
