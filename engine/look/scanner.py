"""Looks at every LUN of this host and brings the configuration in line with what is there."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

import msgspec

from engine.alerts.held_teller import HeldTeller
from engine.alerts.teller import Teller
from engine.disk_groups.groups import forget_group, nothing
from engine.edits.detach import send_away, without_disk
from engine.edits.dirty_places import note_left, tend_all
from engine.edits.doubts import doubt, doubt_all, name_sources
from engine.errors import EngineError
from engine.geometry import public_length
from engine.look.binding import Binder
from engine.look.overwritten import overwritten
from engine.look.returned_disks import ReturnedDisks
from engine.records import (
    Disk,
    Enclosure,
    Group,
    GroupState,
    Kind,
    PlexState,
    Ref,
    Severity,
    Task,
    TaskState,
    new_ref,
)
from engine.store.probe import content_of
from engine.store.scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from engine import commands
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.disk_groups.groups import GroupKeeper
    from engine.luns import Lun, LunTable
    from engine.plans import Plan
    from engine.runtime import Runtime, Thread
    from engine.state_folder.host_state import HostState
    from engine.store.group_store import GroupStore
    from engine.store.scan import Found
    from engine.trouble.catch_up import CatchUp

log = logging.getLogger(__name__)


class Scanner:
    """Finds LUNs, disks and groups. `discover` is the start's, `rescan` an operator's; foreign data is only read."""

    def __init__(
        self,
        committer: Committer,
        state: HostState,
        luns: LunTable,
        groups: GroupKeeper,
        catch_up: CatchUp,
        runtime: Runtime,
    ) -> None:
        self._committer = committer
        self._state = state
        self._luns = luns
        self._groups = groups
        self._catch_up = catch_up
        self._runtime = runtime
        self._threads: list[Thread] = []
        self._changes = 0  # how often a command has changed what stands on LUNs
        self._binder = Binder(committer, state, luns)
        self._teller = Teller(committer)
        self._held_teller = HeldTeller(committer)
        self._returned = ReturnedDisks()
        self._back: set[Ref] = set()  # disks that were away until now
        self._unjudged: set[Ref] = set()  # disks that are back, of which it could not be written down what they lack
        self._exchanged: set[Ref] = set()  # disks under whose path another file has turned up

    def discover(self, first: Sequence[tuple[str, str]]) -> None:
        """At start: open every LUN, show what is there, import the groups that this host had."""
        for path, enclosure in first:
            try:
                self._luns.expect(path, enclosure)
            except EngineError as error:
                self._committer.alert(Severity.WARNING, str(error), remedy="Bring it back and rescan, or correct it.")
        self._look(import_ours=True)

    def rescan(self, task: Ref) -> None:
        """Begin the work of a Rescan task on a thread of its own."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(self._runtime.thread(f"task {task.id} rescan", lambda: self._rescan(task)))

    def close(self) -> None:
        for thread in self._threads:
            thread.join()

    # --- commands on LUNs ---
    def add_luns(self, command: commands.AddLuns, plan: Plan) -> Callable[[Edit], None]:
        """Open new LUNs; the rest is a look at them."""
        added: list[Lun] = []
        try:
            for path in command.paths:
                if os.path.realpath(path) in self._luns:
                    raise EngineError(f"{path} leads to a LUN that is known already. Choose another LUN.")
                added.append(self._luns.add(path, taken=self._disk_names()))
        except EngineError:
            for lun in added:
                self._luns.forget(lun)
            raise
        self._look(import_ours=False)
        return nothing

    def refresh(self, command: commands.Refresh, plan: Plan) -> Callable[[Edit], None]:
        """The sizes of the LUNs that are there."""
        self._luns.refresh()
        sizes = {lun.disk: lun.device.size for lun in self._luns if lun.device is not None and lun.present()}

        def change(edit: Edit) -> None:
            for disk in edit.config.all(Kind.DISK, Disk):
                edit.put(msgspec.structs.replace(disk, size=sizes.get(disk.ref, disk.size)))

        return change

    def refreshed(self, command: commands.Refresh, plan: Plan) -> None:
        """Labels of groups take over what has grown."""
        for group in sorted(self._committer.stores):
            self._settle_group(group)
        self.catch_up()

    def added(self, command: commands.AddLuns, plan: Plan) -> None:
        """Among new LUNs there may be disks that were away."""
        self.catch_up()

    def remove_luns(self, command: commands.RemoveLuns, plan: Plan) -> None:
        for ref in command.disks:
            lun = self._luns.of(ref)
            if lun is not None:
                self._luns.forget(lun)

    # --- looking ---
    def outdate(self) -> None:
        """Under the control lock: what stands on LUNs changes, so a look that is under way must begin anew."""
        self._changes += 1

    def _rescan(self, task: Ref) -> None:
        result, state = "", TaskState.COMPLETED
        try:
            self._give_up_taken(self._look(import_ours=False))
            self._resume_copies()
            self.catch_up()
        except Exception as error:
            if not isinstance(error, EngineError):
                log.exception("A rescan met a defect")
            result, state = str(error), TaskState.FAILED

        def ended(edit: Edit) -> None:
            record = edit.config.get(task)
            if isinstance(record, Task):
                ended_at = max(record.started_at, self._runtime.time())  # the clock may have been set back meanwhile
                edit.put(msgspec.structs.replace(record, state=state, result=result, finished_at=ended_at))

        self._committer.commit(ended)

    def _resume_copies(self) -> None:
        """What kept a copy from its end may be mended now; a group that is frozen still keeps no other from it."""
        with self._committer.lock:
            for group in sorted(self._committer.stores):
                try:
                    self._groups.volumes.resume(group)
                except EngineError as error:
                    log.info("The copies of a disk group could not go on: %s", error)

    def catch_up(self) -> None:
        """After a look: disks that it has found again get what they have missed, or the operator hears of it."""
        with self._committer.lock:
            back, self._back = self._back, set()
            self._catch_up.returned(back)

    def _look(self, *, import_ours: bool) -> Found:
        """Open, read without the control lock what can be slow, then change the configuration.

        First what only this host knows, which needs no disk; then each group by itself, as one may be frozen.
        """
        while True:
            with self._committer.lock:
                self._exchange_replaced()
                changes, copies = self._changes, self._binder.copies()
            self._luns.open_all()
            here = [lun for lun in self._luns if lun.present()]
            found = scan({lun.path: lun.device for lun in here if lun.device is not None}, copies)
            contents = {lun.path: self._content(lun) for lun in here if lun.path not in found.labels}
            with self._committer.lock:
                if changes != self._changes:
                    continue
                if self._settle({lun.path for lun in here}, found, contents, import_ours):
                    continue
                return found

    def follow_moves(self) -> None:
        """After an import, which may have finished the split or join of a group: show what has come of it."""
        if self._groups.moves.finish_all():
            self._look(import_ours=False)

    def _settle(self, here: set[str], found: Found, contents: dict[str, str], import_ours: bool) -> bool:
        """Whether a split or join was finished by the way, so that what was found is so no more."""
        self._luns.refresh()
        self._leave_overwritten(found)
        claimed = self._binder.claims(found)
        self._leave_moved(claimed)
        self._binder.bind(found, claimed)
        there = {lun.path for lun in self._luns if lun.path in here and lun.present()}
        contents |= self._ours(found, claimed)
        self._hold_back_older()
        self._committer.commit(lambda edit: self._show(edit, found, contents, there))
        for group in sorted(self._committer.stores):
            self._settle_group(group)
        if import_ours:
            self._groups.import_ours(found)
        if self._groups.moves.finish_all():
            return True
        self._teller.tell(found)
        self._held_teller.tell()
        return False

    def _exchange_replaced(self) -> None:
        """Another file stands at the path of a LUN: the disk has gone with the old one, whatever the new one is."""
        self._luns.add_expected()
        self._luns.follow_names()
        replaced = self._luns.replaced()
        gone = {lun.disk for lun in replaced}
        if replaced:
            self._send_away(gone)
        for lun in replaced:
            with contextlib.suppress(EngineError):
                self._luns.reopen(lun)
                if lun.disk is not None:
                    self._exchanged.add(lun.disk)

    def _leave_overwritten(self, found: Found) -> None:
        """Somebody has written over a disk that is in use, an old copy of it, say: nothing on it is believed, and it
        comes back as one that was away."""
        gone = overwritten(self._committer, self._luns, found, self._held_teller.unlabelled)
        if gone:
            self._send_away(gone)
            self._exchanged |= gone

    def _leave_moved(self, claimed: dict[str, str]) -> None:
        """What turns up elsewhere as a disk whose LUN has gone is another LUN: it comes back as one that was away."""
        moved = self._binder.moved(claimed)
        if moved:
            self._send_away(moved)
            self._exchanged |= moved

    def _send_away(self, disks: Collection[Ref | None]) -> None:
        """What stands at their paths is not believed to be these disks as they were: they are gone, and what comes back
        comes back old. Whatever has no other copy is held back before it can be read again."""
        self._committer.commit(lambda edit: send_away(edit, disks))
        for group in sorted(self._committer.stores):
            self._settle_group(group)
        self._committer.commit(lambda edit: doubt_all(edit, disks))

    def _hold_back_older(self) -> None:
        """What has no other copy than one on a disk that comes back as an old image of itself: before anybody can read
        it, and before the disk is written. Where that can't be written down now, the next commit does."""
        older = self._returned.older(self._committer, self._luns)
        if not older:
            return
        self._exchanged |= older
        try:
            self._committer.commit(lambda edit: doubt_all(edit, older))
        except EngineError as error:
            log.info("What an old disk holds could not be held back yet: %s", error)
            for store in self._committer.stores.values():
                store.distrust()
            self._committer.show(lambda edit: doubt_all(edit, older))

    def _ours(self, found: Found, claimed: dict[str, str]) -> dict[str, str]:
        """What labels of this program say that forbids to use a LUN as a free one."""
        contents = {path: "a damaged label of this program" for path in found.damaged}
        for lun in self._luns:
            label = found.labels.get(lun.path)
            lun.leftover_of = ""
            if label is None:
                continue
            group = found.groups.get(label.group)
            if claimed.get(label.disk, lun.path) != lun.path:
                contents[lun.path] = "a copy of another disk"
            elif group is not None and lun.path in group.leftovers:
                lun.leftover_of = label.group
            elif group is not None and label.disk not in group.members:
                contents[lun.path] = "a disk of a disk group whose configuration cannot be read"
        return contents

    def _content(self, lun: Lun) -> str:
        assert lun.device is not None
        try:
            return content_of(lun.device)
        except EngineError as error:
            return str(error)

    def _show(self, edit: Edit, found: Found, contents: dict[str, str], there: set[str]) -> None:
        """What only this host knows: nothing of it is written to a group."""
        self._show_foreign_groups(edit, found)
        for lun in self._luns:
            known = lun.remembered or edit.config.get(lun.disk) is not None  # else nobody knows which disk is away
            if lun.device is not None or known:
                self._show_lun(edit, lun, found, contents.get(lun.path, ""), present=lun.path in there)
        for disk in edit.config.all(Kind.DISK, Disk):
            if self._luns.of(disk.ref) is not None:
                continue
            if edit.config.get(disk.group) is None:
                edit.drop(disk.ref)  # its LUN has turned out to be another disk
            elif disk.present:
                edit.put(msgspec.structs.replace(disk, present=False, lun=""))

    def _show_foreign_groups(self, edit: Edit, found: Found) -> None:
        """Groups that are not imported here are shown as their disks tell them."""
        for group in sorted(found.groups):
            ref = Ref(Kind.GROUP, group, self._state.host_id)
            if ref in self._committer.stores or not found.groups[group].members:
                continue
            for record in found.groups[group].records(self._state.host_id):
                if isinstance(record, Group) and record.state is GroupState.IMPORTED:
                    record = msgspec.structs.replace(record, state=GroupState.DEPORTED)
                if not isinstance(record, Task):
                    edit.put(record)
        for shown in edit.config.all(Kind.GROUP, Group):
            told = found.groups.get(shown.ref.id)
            if shown.ref not in self._committer.stores and (told is None or told.joined):
                forget_group(edit, shown.ref)

    def _show_lun(self, edit: Edit, lun: Lun, found: Found, content: str, *, present: bool) -> None:
        assert lun.disk is not None
        known = edit.config.get(lun.disk)
        label = found.labels.get(lun.path)
        name = self._name(edit.config, lun)
        fresh = Disk(ref=lun.disk, name=name, size=0, failing=lun.failing, errors=lun.errors)
        disk = known if isinstance(known, Disk) else fresh
        grouped = edit.config.get(disk.group) is not None
        if not grouped:
            disk = msgspec.structs.replace(disk, group=None, content=content)
            ours = label is not None
            disk = msgspec.structs.replace(
                disk,
                public_offset=label.public_offset if ours and label else 0,
                public_length=label.public_length if ours and label else 0,
            )
        device = lun.device
        edit.put(
            msgspec.structs.replace(
                disk,
                lun=lun.path if present or not grouped else "",
                enclosure=self._enclosure(edit, lun.enclosure),
                present=present,
                size=device.size if device is not None else disk.size or lun.size,
                block_size=device.block_size if device is not None else disk.block_size,
            )
        )
        self._luns.rename(lun, disk.name)

    def _settle_group(self, group: Ref) -> None:
        """Bring a group in line with the LUNs that it has now, and write what any of its disks still lacks."""
        store, config = self._committer.stores[group], self._committer.config
        lost: list[Ref] = []
        gone: list[Ref] = []
        back: list[Ref] = []
        grown: dict[Ref, int] = {}
        for disk in config.disks_of(group):
            lun = self._luns.of(disk.ref)
            if not disk.present or lun is None or lun.device is None:
                if store.has(disk.ref):
                    gone.append(disk.ref)
                store.lose_disk(disk.ref)
                lost.append(disk.ref)
                continue
            if not store.works(disk.ref):
                self._returned.look(disk.ref, lun.device)
                (back if self._comes_back(store, disk, lun) else lost).append(disk.ref)
            elif disk.ref in self._unjudged:
                back.append(disk.ref)
            if store.has(disk.ref) and 0 < disk.public_length < public_length(disk.size, disk.public_offset):
                grown[disk.ref] = self._resized(store, disk)
        ended: list[Ref] = []
        found: list[Ref] = []  # volumes of which something that was away is known again

        def change(edit: Edit) -> None:
            for ref, length in grown.items():
                edit.put(msgspec.structs.replace(edit.config.disk(ref), public_length=length))
            for ref in lost:
                if not store.has(ref):
                    edit.put(msgspec.structs.replace(edit.config.disk(ref), present=False))
            for disk in edit.config.disks_of(group):
                ended.extend(without_disk(edit, disk.ref, PlexState.STALE))
            note_left(edit, gone)
            name_sources(edit, group, self._committer.unequal)
            for ref in self._exchanged.intersection(back):
                doubt(edit, edit.config.disk(ref))
            for disk in map(edit.config.disk, back):
                if disk.least_stamp is None or disk.least_stamp.serial != store.begun.serial:
                    edit.put(msgspec.structs.replace(disk, least_stamp=store.begun))
            for ref in back:
                found.extend(self._committer.maps.read_again(group, ref, edit.config, self._committer.ios))
                self._returned.judge(edit, ref)
            tend_all(edit, group)

        try:
            self._committer.commit(change, owed=(group,))
        except EngineError as error:
            for ref in found:
                self._committer.maps.forget(ref)
            self._unjudged.update(back)
            log.info("A disk group could not follow its disks: %s", error)
            return
        self._after_settling(group, back, ended)

    def _after_settling(self, group: Ref, back: list[Ref], ended: list[Ref]) -> None:
        self._exchanged.difference_update(back)
        self._unjudged.difference_update(back)
        self._back.update(back)
        config = self._committer.config
        self._returned.note(config.disks_of(group), self._luns, self._committer.stores[group])
        for volume in config.volumes_of(group):
            self._committer.unequal.discard(volume.ref)
            io = self._committer.ios.get(volume.ref)
            if volume.fenced and io is not None and not io.fenced:
                io.fence()
        for task in ended:
            self._committer.end_task(task, "A disk that it writes to is missing.")

    def _comes_back(self, store: GroupStore, disk: Disk, lun: Lun) -> bool:
        """Whether a LUN that was away, or failed, belongs to its group again: a label and a stamp are written."""
        assert lun.device is not None
        assert lun.lock is not None
        held = lun.lock.held
        try:
            lun.lock.take()
            store.attach_disk(disk.ref, lun.device)
        except EngineError as error:
            if not held:
                lun.lock.give_up()
            self._teller.unusable(disk, str(error))
            return False
        return True

    def _resized(self, store: GroupStore, disk: Disk) -> int:
        """A LUN that has grown offers its new space at once."""
        try:
            return store.resize_disk(disk.ref)
        except EngineError as error:
            log.warning("The new size of %s could not be written to its label: %s", disk.name, error)
            return disk.public_length

    def _give_up_taken(self, found: Found) -> None:
        """Groups that another host has taken by force are not this one's any more. Never under the control lock: their
        tasks may be waiting for it."""
        for group in sorted(self._committer.stores):
            told = found.groups.get(group.id)
            others = told.owner_names(self._state.host_id) if told is not None else ""
            if not others:
                continue
            self._groups.lose(group)
            self._teller.taken(group, others)

    # --- helpers ---
    def _enclosure(self, edit: Edit, name: str) -> Ref:
        known = edit.config.find(Kind.ENCLOSURE, name)
        if known is not None:
            return known.ref
        record = Enclosure(ref=self._new_ref(Kind.ENCLOSURE), name=name, vendor="", product="Image files")
        edit.put(record)
        return record.ref

    def _new_ref(self, kind: Kind) -> Ref:
        return new_ref(kind, self._state.host_id, self._runtime.token)

    def _name(self, config: Config, lun: Lun) -> str:
        taken = config.find(Kind.DISK, lun.name)
        if taken is None or taken.ref == lun.disk:
            return lun.name
        return next(name for n in range(1 << 20) if config.find(Kind.DISK, name := f"Harddisk{n}") is None)

    def _disk_names(self) -> Iterable[str]:
        return [disk.name for disk in self._committer.config.all(Kind.DISK, Disk)]
