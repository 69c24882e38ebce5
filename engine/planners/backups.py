"""Restore Configuration: what has gone from a group since a backup comes back; nothing is taken away.

Layout only. A backup knows nothing of the bytes: what is complete today is complete because of what has happened since,
so mirrors that come back to a volume are out of date, and what stands on a volume that comes back is in doubt. Whatever
comes back is a new object under its old name: the one that it was may have left with another group, and be imported
again.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine import rules
from engine.commands import RestoreConfiguration
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.plans import Plan, Problem, refused
from engine.records import (
    AnyRecord,
    Backup,
    Disk,
    Group,
    Kind,
    PieceState,
    Plex,
    PlexLayout,
    PlexState,
    Ref,
    Schedule,
    Subdisk,
    Volume,
)
from engine.rules import listed
from engine.states import COMPLETE
from engine.units import format_size


def restore(config: Config, command: RestoreConfiguration, ids: Ids, saved: Sequence[AnyRecord] = ()) -> Plan:
    """`saved` are the records of the backup; none when it can't be read any more."""
    group, backup = config.group(command.group), config.get(command.backup)
    title = f"Restore the Configuration of {group.name}"
    if blocked := refuse(title, _problem(config, command, backup, saved)):
        return blocked
    work = _Restoring(Draft(config, ids, group.ref), Config.of(_without_host(saved)), group)
    work.all()
    if not work.changed:
        text = "Everything that the backup names is there, or can't come back."
        return refused(title, Problem(" ".join((text, *work.left)), "Choose another backup.", group.ref, "backup"))
    for sentence in work.left:
        work.draft.warn(sentence)
    return work.draft.plan(
        title,
        redundancy="Volumes that are there now keep the copies that they have; mirrors that come back are out of date "
        "until they are resynchronized.",
        irreversible="Volumes that come back hold what stands on their space now, which may not be what they held.",
        confirm=f"Restore the configuration of {group.name} from {backup.name if backup else 'this backup'}? "
        "What comes back is in doubt: check its data before it is used.",
        confirm_button="Restore Configuration",
    )


def _problem(
    config: Config, command: RestoreConfiguration, backup: AnyRecord | None, saved: Sequence[AnyRecord]
) -> Problem | None:
    if not isinstance(backup, Backup) or not saved:
        return Problem("The configuration backup is not there any more.", "Choose another one.", field="backup")
    if backup.group != command.group:
        text = f"{backup.name} is of another disk group."
        return Problem(text, "Choose one of this disk group.", command.group, "backup")
    return rules.needs_imported(config, command.group) or rules.group_quiet(config, command.group)


def _without_host(saved: Sequence[AnyRecord]) -> list[AnyRecord]:
    return [record for record in saved if record.ref.kind is not Kind.TASK]


class _Restoring:
    """A restore in the making: `then` is the group as it was saved, `left` what can't come back, and why."""

    def __init__(self, draft: Draft, then: Config, group: Group) -> None:
        self.draft = draft
        self.then = then
        self.group = group
        self.left: list[str] = []
        self.changed = False
        self._again: dict[Ref, Ref] = {}  # what a volume or plex that comes back is from now on

    def all(self) -> None:
        self._name(self.then.get(self.group.ref), None)
        for disk in self.then.disks_of(self.group.ref):
            self._disk(disk)
        for volume in self.then.volumes_of(self.group.ref):
            now = self.draft.config.get(volume.ref)
            if isinstance(now, Volume) and now.group != self.group.ref:
                self.left.append(f"{now.name} belongs to another disk group now.")
            elif now is not None:
                self._volume_here(volume)
            else:
                self._volume_gone(volume)
        for schedule in self.then.schedules_of(self.group.ref):
            if schedule.ref not in self.draft.config:
                self._schedule_gone(schedule)
        fresh = [volume.name for volume in self.draft.base.volumes_of(self.group.ref) if volume.ref not in self.then]
        if fresh and self.changed:
            self.left.append(f"{listed(fresh)}, made since, {'stays' if len(fresh) == 1 else 'stay'} as they are.")

    # --- what is still there ---
    def _name(self, then: AnyRecord | None, scope: Ref | None) -> None:
        """An object that was renamed has its old name again, if that is free."""
        now = self.draft.config.get(then.ref) if then is not None else None
        if then is None or now is None or now.name == then.name:
            return
        if self.draft.config.find(then.ref.kind, then.name, scope) is not None:
            self.left.append(f"{now.name} can't be {then.name} again: there is one of that name.")
            return
        self._step(f"Rename {now.name} to {then.name}")
        self.draft.put(replace(now, name=then.name))

    def _disk(self, then: Disk) -> None:
        now = self.draft.config.get(then.ref)
        if not isinstance(now, Disk) or now.group != self.group.ref:
            self.left.append(f"{then.name} has left the disk group.")
            return
        self._name(then, None)
        now = self.draft.config.disk(then.ref)
        if now.usage is not then.usage:
            self._step(f"Set the usage of {now.name} to {then.usage.value}")
            self.draft.put(replace(now, usage=then.usage))

    def _volume_here(self, then: Volume) -> None:
        """Its mirrors that have gone come back out of date; those that are there are left where they lie."""
        self._name(then, self.group.ref)
        now = self.draft.config.volume(then.ref)
        if now.size != then.size:
            had, has = format_size(then.size), format_size(now.size)
            self.left.append(f"{now.name} had {had} and keeps its {has}.")
            return
        for plex in self.then.plexes_of(then.ref):
            if plex.layout is not PlexLayout.RAID5 and self._fits(plex):
                self._put_plex(plex, now.ref, PlexState.STALE)
                self._step(f"Bring back {plex.name} of {now.name}", "out of date until it is resynchronized")

    # --- what has gone ---
    def _volume_gone(self, then: Volume) -> None:
        plexes = [plex for plex in self.then.plexes_of(then.ref) if self._fits(plex)]
        chosen = self._believed(then, plexes)
        if chosen is None or not then.size:
            self.left.append(f"{then.name} can't come back: none of its mirrors that were complete can.")
            return
        preferred = next((self._anew(plex.ref) for plex in plexes if plex.ref == then.preferred), None)
        parity = any(plex.layout is PlexLayout.RAID5 for plex in plexes)
        back, name = self._anew(then.ref), self._free_name(then)
        self.draft.put(replace(self._shown(_doubtful(then, name, preferred)), ref=back, parity_known=not parity))
        for plex in plexes:
            if self._fits(plex):  # two of them may have shared a disk, or another has just taken the space
                self._put_plex(plex, back, PlexState.CLEAN if plex.ref == chosen.ref else PlexState.STALE)
        believed = self._anew(chosen.ref)
        others = [plex.name for plex in self.draft.config.plexes_of(back) if plex.ref != believed]
        self._step(f"Bring back {name} ({format_size(then.size)}) with {chosen.name}", "stopped, for its data in doubt")
        if others:
            self._step(f"Bring back {listed(others)} of {name}", "out of date until resynchronized")

    def _shown(self, volume: Volume) -> Volume:
        """Without a drive letter or a folder that has another volume by now."""
        config = self.draft.config
        letter, path = volume.drive_letter, volume.drive_path
        if taken := rules.letter_free(config, letter) if letter else None:
            self._leave(taken.text)
            letter = ""
        if taken := rules.path_unused(config, path) if path else None:
            self._leave(taken.text)
            path = ""
        return replace(volume, drive_letter=letter, drive_path=path)

    def _believed(self, then: Volume, plexes: Sequence[Plex]) -> Plex | None:
        """The mirror that may hold the volume's data: complete when it was saved, and on disks that are there."""
        good = [plex for plex in plexes if plex.state in COMPLETE and then.source in (None, plex.ref)]
        good = [plex for plex in good if all(self._there(sd) for sd in self.then.subdisks_of(plex.ref))]
        return next((plex for plex in good if plex.ref == then.preferred), next(iter(good), None))

    def _there(self, subdisk: Subdisk) -> bool:
        disk = self.draft.config.get(subdisk.disk)
        return isinstance(disk, Disk) and disk.present

    def _free_name(self, then: Volume) -> str:
        if self.draft.config.find(Kind.VOLUME, then.name, self.group.ref) is None:
            return then.name
        taken = {volume.name for volume in self.draft.config.volumes_of(self.group.ref)}
        return rules.next_name(f"{then.name}-restored", taken)

    def _schedule_gone(self, then: Schedule) -> None:
        """It comes back disabled: its volumes may be in doubt, and sets of theirs must not replace older ones."""
        volumes = tuple(self._again.get(ref, ref) for ref in then.volumes)
        ours = {volume.ref for volume in self.draft.config.volumes_of(self.group.ref)}
        gone = [self.then.get(old) for old, ref in zip(then.volumes, volumes, strict=True) if ref not in ours]
        if gone:
            names = listed([volume.name for volume in gone if volume is not None]) or "a volume"
            self._leave(f"The schedule {then.name} can't come back: {names} of it is not there.")
            return
        here = self.draft.config.schedules_of(self.group.ref)
        if len(here) >= rules.SCHEDULES_MAX:
            self._leave(f"The schedule {then.name} can't come back: there are {rules.SCHEDULES_MAX}, the most.")
            return
        taken = {schedule.name for schedule in here}
        name = rules.next_name(f"{then.name}-restored", taken) if then.name in taken else then.name
        rested = replace(then, enabled=False, asked=False, dealt=0.0, run=None, next_run=0.0)
        back = replace(rested, ref=self.draft.ids(Kind.SCHEDULE), name=name, volumes=volumes)
        self._step(f"Bring back the schedule {name}", "disabled: enable it once its volumes are as they should be")
        self.draft.put(back)

    # --- plexes ---
    def _fits(self, plex: Plex) -> bool:
        """Whether it is gone and all of its places are free, or why not."""
        if plex.ref in self.draft.config:
            return False  # it is where it is now: a mirror that was broken off has become another volume's
        for subdisk in self._pieces(plex):
            disk = self.draft.config.get(subdisk.disk)
            if not isinstance(disk, Disk) or disk.group != self.group.ref:
                self._leave(f"{plex.name} can't come back: a disk that it was on has left the disk group.")
                return False
            if not self._is_free(subdisk):
                self._leave(f"{plex.name} can't come back: its space on {disk.name} is used now.")
                return False
        return bool(self._pieces(plex))

    def _leave(self, sentence: str) -> None:
        if sentence not in self.left:
            self.left.append(sentence)

    def _pieces(self, plex: Plex) -> list[Subdisk]:
        return [subdisk for subdisk in self.then.subdisks_of(plex.ref) if subdisk.replaces is None]

    def _is_free(self, subdisk: Subdisk) -> bool:
        start, end = subdisk.disk_offset, subdisk.disk_offset + subdisk.length
        return any(free.start <= start and end <= free.end for free in self.draft.config.free(subdisk.disk))

    def _anew(self, ref: Ref) -> Ref:
        """The identity of what comes back."""
        if ref not in self._again:
            self._again[ref] = self.draft.ids(ref.kind)
        return self._again[ref]

    def _put_plex(self, plex: Plex, to: Ref, state: PlexState) -> None:
        volume = self.draft.config.volume(to)
        names = {other.name for other in self.draft.config.all(Kind.PLEX, Plex)}
        name = rules.next_name(f"{volume.name}-", names, digits=2) if plex.name in names else plex.name
        back = replace(plex, ref=self._anew(plex.ref), volume=to, name=name)
        self.draft.put(replace(back, state=state, tracked=False, left_at=0, snap=None))
        for subdisk in self._pieces(plex):
            used = self.draft.config.find(Kind.SUBDISK, subdisk.name, self.group.ref) is not None
            name = self.draft.subdisk_name(subdisk.disk) if used else subdisk.name
            piece = PieceState.GOOD if subdisk.state is PieceState.GOOD else PieceState.STALE
            again = replace(subdisk, ref=self.draft.ids(Kind.SUBDISK), plex=back.ref, name=name)
            self.draft.claim(replace(again, state=piece, origin=None))

    def _step(self, text: str, meanwhile: str = "") -> None:
        self.changed = True
        self.draft.step(text, meanwhile)


def _doubtful(then: Volume, name: str, preferred: Ref | None) -> Volume:
    """A volume of which nothing is believed that only its logs could know."""
    return replace(
        then,
        name=name,
        started=False,
        preferred=preferred,
        source=None,
        fenced="",
        dirty_log=None,
        links=(),
        log_generation="",
    )
