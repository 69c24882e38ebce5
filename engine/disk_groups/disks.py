"""Disks that join a disk group of this host and leave it: what that writes on their LUNs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.alerts.settled import settle
from engine.disk_groups.claims import device_of, disk_of, unlock, unlock_all
from engine.errors import EngineError
from engine.records import Severity
from engine.store.member import make_disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine import commands
    from engine.commit import Committer
    from engine.config import Edit
    from engine.disk_groups.claims import Claims
    from engine.luns import LunTable
    from engine.plans import Plan
    from engine.records import Ref


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
        for ref in command.disks:
            self._release(plan.group, ref)

    def reactivate(self, command: commands.ReactivateDisk, plan: Plan) -> Callable[[Edit], None]:
        """Read the label of a disk again and write a stamp. EngineError, in a sentence, when it is not this disk, or
        does not take it."""
        lun = self._luns.of(command.disk)
        if lun is None or lun.lock is None or not lun.present():
            raise EngineError(f"The LUN of {self._committer.config.disk(command.disk).name} is missing. Rescan.")
        held = lun.lock.held
        lun.lock.take()
        try:
            self._committer.stores[_group_of(plan)].attach_disk(command.disk, device_of(lun))
        except EngineError:
            if not held:
                unlock(lun)
            raise
        return nothing

    # --- replacement ---
    def replace(self, command: commands.ReplaceDisk, plan: Plan) -> Callable[[Edit], None]:
        """Label the LUN that takes over; the commit makes it the member that the old one has been."""
        (lun,) = self._claims.take([command.by], force=command.force)
        try:
            self._committer.stores[_group_of(plan)].add_disk(disk_of(lun), device_of(lun))
        except (EngineError, ValueError):
            self.not_replaced(command, plan)
            raise
        return nothing

    def not_replaced(self, command: commands.ReplaceDisk, plan: Plan) -> None:
        """Everything stays as it was."""
        lun = self._luns.of(command.by)
        if lun is not None:
            self._committer.stores[_group_of(plan)].lose_disk(command.by)
            unlock(lun)

    def replaced(self, command: commands.ReplaceDisk, plan: Plan) -> None:
        """After the commit: the old LUN, if it is there, is a disk of no group, and both go by their new names."""
        old, new = self._luns.of(command.disk), self._luns.of(command.by)
        if new is not None:
            former, name = new.name, self._committer.config.disk(command.by).name
            if old is not None:
                self._luns.rename(old, former)
            self._luns.rename(new, name)
        if self._committer.stores[_group_of(plan)].has(command.disk):
            self._release(_group_of(plan), command.disk)
        settle(self._committer, command.disk)

    def _release(self, group: Ref, disk: Ref) -> None:
        lun = self._luns.of(disk)
        try:
            self._committer.stores[group].remove_disk(disk)
        except EngineError as error:
            self._committer.alert(
                Severity.WARNING,
                f"{lun.name if lun else 'A disk'} still carries the label of the disk group that it has left.",
                about=disk if disk in self._committer.config else None,
                cause=str(error),
                remedy="Initialize the disk before it is used again.",
            )
        if lun is not None:
            unlock(lun)


def _group_of(plan: Plan) -> Ref:
    assert plan.group is not None
    return plan.group


def nothing(edit: Edit) -> None:
    """No more than the plan's own edit."""
