"""LUNs that this host takes for itself: locked first, and looked at again before anything is written over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import CommandRejected, EngineError, MetadataError
from engine.plans import Problem
from engine.records import Kind, Ref
from engine.store.label import read_label
from engine.store.probe import content_of
from engine.store.usage import user_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.commit import Committer
    from engine.config import Config
    from engine.luns import HostDevice, Lun, LunTable
    from engine.state_folder.host_state import HostState


class Claims:
    """Takes LUNs that may be overwritten, and lets go of them. Every method is called under the control lock."""

    def __init__(self, committer: Committer, state: HostState, luns: LunTable) -> None:
        self._committer = committer
        self._state = state
        self._luns = luns

    def take(self, disks: Iterable[Ref], *, force: bool) -> list[Lun]:
        """The LUNs of disks, locked, after another look at what stands on them."""
        luns = []
        for ref in disks:
            lun = self._luns.of(ref)
            if lun is None or lun.device is None or not lun.present():
                name = self._committer.config.disk(ref).name
                raise EngineError(f"The LUN of {name} is missing. Bring it back and rescan.")
            _refuse_used(lun)
            _refuse_content(lun, content_of(device_of(lun)), force)
            luns.append(lun)
        taken = lock_all(luns)
        try:
            for lun in luns:
                _refuse_content(lun, self._member_of(lun), force)
        except EngineError:
            unlock_all(taken)
            raise
        return luns

    def _member_of(self, lun: Lun) -> str:
        """What the label says now: since the last look somebody may have made a group there."""
        try:
            label = read_label(device_of(lun))
        except MetadataError:
            return "a damaged label of this program"
        if label is None or not label.group or label.group == lun.leftover_of:
            return ""
        here = Ref(Kind.GROUP, label.group, self._state.host_id) in self._committer.stores
        return "" if here else "a disk of a disk group that was found since the last rescan"

    def keep_freed(self, config: Config, group: Ref) -> None:
        """Give no space of a group back to this host any more. Before another one may have it: what is in hand may land
        late."""
        self._committer.freed.withdraw_disks(disk.ref for disk in config.disks_of(group))

    def unlock_group(self, config: Config, group: Ref) -> None:
        """Give up the locks of all disks of a group."""
        self.keep_freed(config, group)
        for disk in config.disks_of(group):
            lun = self._luns.of(disk.ref)
            if lun is not None:
                unlock(lun)


def lock_all(luns: Iterable[Lun]) -> list[Lun]:
    """Lock LUNs; when one is held elsewhere, none stays locked that was not before. Answers the newly locked."""
    taken: list[Lun] = []
    for lun in luns:
        if lun.lock is None or lun.lock.held:
            continue
        try:
            lun.lock.take()
        except EngineError:
            unlock_all(taken)
            raise
        taken.append(lun)
    return taken


def unlock_all(luns: Iterable[Lun]) -> None:
    """Give up the locks of LUNs that have one."""
    for lun in luns:
        unlock(lun)


def unlock(lun: Lun) -> None:
    """Give up the lock of a LUN, if it has one."""
    if lun.lock is not None:
        lun.lock.give_up()


def _refuse_used(lun: Lun) -> None:
    """What is mounted or held by somebody is never overwritten: force is for what only lies there."""
    try:
        user = user_of(lun.path, device_of(lun).fd)
    except OSError as error:
        raise EngineError(f"Who uses {lun.name} can't be found out: {error.strerror or error}.") from error
    if user:
        problem = Problem(f"{lun.name} holds {user}.", "Release it there first; force does not take it.", lun.disk)
        raise CommandRejected((problem,))


def _refuse_content(lun: Lun, content: str, force: bool) -> None:
    if content and not force:
        problem = Problem(f"{lun.name} holds {content}.", "Choose another disk, or overwrite it by force.", lun.disk)
        raise CommandRejected((problem,))


def device_of(lun: Lun) -> HostDevice:
    """The device of a LUN that is known to be there."""
    assert lun.device is not None
    return lun.device


def disk_of(lun: Lun) -> Ref:
    """The disk that a LUN is known to be."""
    assert lun.disk is not None
    return lun.disk
