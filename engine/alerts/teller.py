"""Says what a look at the LUNs found wrong: once for as long as it is so, and again at the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.records import Alert, Disk, Group, GroupState, Kind, PlexLayout, Remedy, Severity, VolumeLayout
from engine.rules import listed
from engine.store.scan import missing, returned_old, shrunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.records import Ref
    from engine.store.scan import Found

_NAMES_MAX = 5


class Teller:
    """Makes alerts of what is wrong with LUNs and disks."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._told: frozenset[tuple[str, Ref | None]] = frozenset()
        self._away: frozenset[Ref] = frozenset()
        self._missing: dict[Ref, None] = {}  # disks that were told of as missing

    def tell(self, found: Found) -> None:
        """After a look, once the configuration shows it."""
        config = self._committer.config
        disks = {
            missing(disk.name, group.name): disk.ref
            for group in config.all(Kind.GROUP, Group)
            for disk in config.disks_of(group.ref)
        }
        problems = frozenset((said, disks.get(said)) for said in found.problems)  # another disk may go by the same name
        later: set[str] = set()  # to be told as soon as it matters
        for sentence in found.problems:
            about = disks.get(sentence)
            if (sentence, about) not in self._told:
                if self._tell_shrunk(sentence) or self._tell_old(sentence):
                    continue
                if about is not None and config.disk(about).present:
                    later.add(sentence)  # it is in use: only the look can't tell that, its label having gone, say
                    continue
                if about is None:
                    self._committer.alert(Severity.WARNING, sentence)
                else:
                    self._tell_missing(sentence, about, found)
        self._told = frozenset(each for each in problems if each[0] not in later)
        for ref in [ref for ref in self._missing if _is_back(config, ref)]:
            del self._missing[ref]
            self._settle(config.disk(ref))
        free = [disk for disk in config.all(Kind.DISK, Disk) if not disk.present and disk.group is None]
        self._tell_free([disk for disk in free if disk.ref not in self._away])
        self._away = frozenset(disk.ref for disk in free)

    def taken(self, group: Ref, owners: str) -> None:
        """Another host has taken a group by force."""
        self._committer.alert(
            Severity.ERROR,
            f"{self._committer.config.group(group).name} was taken over by the host {owners}.",
            about=group,
            cause=f"The import stamp of {owners} stands on its disks.",
            remedy=f"Deport it on {owners} before it is imported here.",
            action=Remedy.IMPORT_GROUP,
        )

    def unusable(self, disk: Disk, why: str) -> None:
        """What stands in the place of a disk that was away can't be it: told once while it is so."""
        name = f"{disk.name} can't be used."
        alerts = self._committer.config.all(Kind.ALERT, Alert)
        if any(alert.open and (alert.name, alert.cause, alert.object) == (name, why, disk.ref) for alert in alerts):
            return
        self._committer.alert(
            Severity.WARNING,
            name,
            about=disk.ref,
            cause=why,
            remedy="Correct the cause and rescan, or replace the LUN.",
            action=Remedy.RESCAN,
        )

    def _tell_shrunk(self, said: str) -> bool:
        """Whether the problem is that a disk of ours has become smaller."""
        config = self._committer.config
        for group in sorted(self._committer.stores):
            for disk in config.disks_of(group):
                sentence = shrunk(disk.name, config.group(group).name)
                if not said.startswith(sentence):
                    continue
                alerts = config.all(Kind.ALERT, Alert)
                if not any(alert.open and alert.name == sentence for alert in alerts):
                    self._committer.alert(
                        Severity.ERROR,
                        sentence,
                        about=disk.ref,
                        cause=said.removeprefix(sentence).strip(),
                        remedy="Make its LUN as large as it was, rescan, and reactivate it; or replace the disk.",
                        action=Remedy.REPLACE_DISK,
                    )
                return True
        return False

    def _tell_old(self, said: str) -> bool:
        """Whether the problem is that a disk of ours has missed changes."""
        config = self._committer.config
        for group in sorted(self._committer.stores):
            for disk in config.disks_of(group):
                sentence = returned_old(disk.name, config.group(group).name)
                if said.startswith(sentence):
                    self._committer.alert(
                        Severity.WARNING,
                        sentence,
                        about=disk.ref,
                        cause=said.removeprefix(sentence).strip(),
                        remedy="What has another copy is brought up to date by itself. If you did not take the disk "
                        "away, see whether its LUN is the right one.",
                    )
                    return True
        return False

    def _tell_missing(self, sentence: str, disk: Ref, found: Found) -> None:
        """A lost disk matters by what it takes with it."""
        config = self._committer.config
        group = config.disk(disk).group
        if group not in self._committer.stores:
            self._tell_missing_elsewhere(sentence, disk)
            return
        told = found.groups.get(group.id)
        if told is not None and disk.id in told.unclear:
            self._tell_unclear(sentence, disk, told.unclear[disk.id])
            return
        refs = dict.fromkeys(config.volume_of(subdisk).ref for subdisk in config.subdisks_on(disk))
        volumes = [config.volume(ref) for ref in refs]
        lost = [volume.name for volume in volumes if not volume.copies]
        thinner = [volume.name for volume in volumes if volume.copies and volume.layout is not VolumeLayout.RAID5]
        parity = [volume for volume in volumes if volume.copies and volume.layout is VolumeLayout.RAID5]
        pieces = [config.plex(subdisk.plex) for subdisk in config.subdisks_on(disk)]
        columns = {plex.volume for plex in pieces if plex.layout is not PlexLayout.LOG}
        thin = [volume.name for volume in parity if volume.ref in columns]
        unlogged = [volume.name for volume in parity if volume.ref not in columns]
        causes = (
            f"{listed(lost)} can't be used without it." if lost else "",
            _goes_on(thinner, "with fewer copies"),
            _goes_on(thin, "without a column"),
            _goes_on(unlogged, "without a log"),
        )
        replace = f"delete {listed(lost)}, then replace the disk" if lost else "replace the disk"
        self._committer.alert(
            Severity.ERROR,  # a failed object, as its mark in the console says; what goes on has warnings of its own
            sentence,
            about=disk,
            cause=" ".join(filter(None, causes)) or "No volume lies on it.",
            remedy=f"Bring its LUN back, rescan and reactivate it. Gone for good: {replace}.",
            action=Remedy.RESCAN if lost else Remedy.REPLACE_DISK,
        )
        self._missing[disk] = None

    def _tell_unclear(self, sentence: str, disk: Ref, keys: Sequence[str]) -> None:
        """Nothing is lost: the disk is there, and so is a copy of it."""
        self._committer.alert(
            Severity.ERROR,
            sentence,
            about=disk,
            cause=f"{listed(keys)} carry its label, and nothing tells which of them is the copy.",
            remedy="Take the copy away and rescan. Nothing on the disk has to be given up.",
            action=Remedy.RESCAN,
        )
        self._missing[disk] = None

    def _tell_missing_elsewhere(self, sentence: str, disk: Ref) -> None:
        """Who has the group knows it; when nobody has it, whoever imports it should know."""
        group = self._committer.config.get(self._committer.config.disk(disk).group)
        if isinstance(group, Group) and group.state is GroupState.DEPORTED:
            remedy = "Bring its LUN back and rescan before the group is imported."
            self._committer.alert(Severity.WARNING, sentence, about=disk, remedy=remedy, action=Remedy.RESCAN)
            self._missing[disk] = None

    def _settle(self, disk: Disk) -> None:
        """That it was missing is settled."""
        config = self._committer.config
        settled = [
            alert
            for alert in config.all(Kind.ALERT, Alert)
            if alert.open and alert.object == disk.ref and alert.action in (Remedy.RESCAN, Remedy.REPLACE_DISK)
        ]

        def change(edit: Edit) -> None:
            for alert in settled:
                edit.put(msgspec.structs.replace(alert, acknowledged=True))

        self._committer.commit(change)

    def _tell_free(self, disks: Sequence[Disk]) -> None:
        """One alert for all: a whole enclosure may be away."""
        if not disks:
            return
        one, them = len(disks) == 1, "it" if len(disks) == 1 else "them"
        names = [disk.name for disk in disks[:_NAMES_MAX]]
        more = [f"{len(disks) - _NAMES_MAX} more"] if len(disks) > _NAMES_MAX else []
        self._committer.alert(
            Severity.WARNING,
            f"{listed(names + more)} {'is' if one else 'are'} missing.",
            about=disks[0].ref if one else None,
            cause=f"Nothing that can be used stands at {disks[0].lun}." if one else "Their LUNs cannot be opened.",
            remedy=f"Bring {'its LUN' if one else 'their LUNs'} back and rescan, or take {them} off the list.",
            action=Remedy.RESCAN,
        )


def _is_back(config: Config, ref: Ref) -> bool:
    disk = config.get(ref)
    return isinstance(disk, Disk) and disk.present and not disk.failing


def _goes_on(names: Sequence[str], how: str) -> str:
    return f"{listed(names)} {'goes' if len(names) == 1 else 'go'} on {how}." if names else ""
