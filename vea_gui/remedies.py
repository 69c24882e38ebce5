"""What can be begun against a trouble: the action that an alert names, or those that help an object in its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine import rules
from engine.config import Config
from engine.plans import Problem
from engine.records import Alert, Disk, DiskStatus, Kind, Record, Ref, Remedy
from vea_gui.attention import trouble_of
from vea_gui.mirror import Mirror
from vea_gui.words import Tone, tone_of

WORDS: dict[str, str] = {
    Remedy.RESCAN: "Rescan",
    Remedy.REPLACE_DISK: "Replace Disk...",
    Remedy.REACTIVATE_DISK: "Reactivate Disk",
    Remedy.EVACUATE_DISK: "Evacuate Disk...",
    Remedy.REMOVE_LUN: "Remove LUN...",
    Remedy.UNDO_RELOCATION: "Undo Hot Relocation...",
    Remedy.REPAIR_VOLUME: "Repair Volume...",
    Remedy.RESYNC_VOLUME: "Resynchronize",
    Remedy.VERIFY_VOLUME: "Verify",
    Remedy.REPAIR_MIRRORS: "Verify and Repair...",
    Remedy.START_VOLUME: "Start Volume",
    Remedy.STOP_VOLUME: "Stop Volume",
    Remedy.ADD_MIRROR: "Add Mirror...",
    Remedy.IMPORT_GROUP: "Import Dynamic Disk Group...",
    Remedy.PREPARE_SNAPSHOT: "Prepare...",
    Remedy.RUN_SCHEDULE: "Run Schedule Now",
    Remedy.CHANGE_SCHEDULE: "Change Schedule...",
    Remedy.EVENT_NOTIFICATION: "Event Notification...",
}
"""What is read on a button or in a cell. In a menu some of them stand under a title that says the rest."""
TABS = {
    Kind.DISK: "Volumes",
    Kind.VOLUME: "Mirrors",
    Kind.GROUP: "Disks",
    Kind.HOST: "Objects",
    Kind.SCHEDULE: "Schedules",
}
"""The tab that shows best what an alert about an object is about."""


DISK_RULES: dict[str, tuple[Callable[[Config, Ref], Problem | None], ...]] = {
    Remedy.REPLACE_DISK: (rules.is_lost_disk, rules.can_do_without),
    Remedy.REACTIVATE_DISK: (rules.disk_can_return,),
    Remedy.EVACUATE_DISK: (rules.disk_present,),
}
"""What the engine looks at before it lets one of these begin."""


class Way(NamedTuple):
    """An action by its id, and what it acts on; None: on nothing in particular."""

    action: str
    on: Ref | None

    @property
    def words(self) -> str:
        return WORDS.get(self.action, self.action)


def ways(mirror: Mirror, record: Record) -> list[Way]:
    """What helps, the best first; nothing where all is well or nothing can be begun from here.

    What an alert proposes comes first, even where it is refused by now; what helps instead follows it.
    """
    if not isinstance(record, Alert):
        if tone_of(record) < Tone.WARNING:
            return []
        return [Way(action, on) for action, on in trouble_of(mirror, record).ways]
    if record.action is None:
        about = mirror.config.get(record.object)
        return ways(mirror, about) if about is not None and not isinstance(about, Alert) else []
    proposed = Way(record.action, record.action_on or record.object)
    if proposed.on is not None and proposed.on not in mirror.config:
        return []
    return [proposed, *_instead(mirror.config, proposed)]


def best(mirror: Mirror, record: Record) -> Way | None:
    """The first way that no rule of disks refuses; the first of all when each is refused."""
    found = ways(mirror, record)
    return next((way for way in found if _why_not(mirror.config, way) is None), found[0] if found else None)


def best_words(mirror: Mirror, record: Record) -> str:
    """What the best of the ways is called; empty when there is none."""
    found = best(mirror, record)
    return found.words if found is not None else ""


def _instead(config: Config, proposed: Way) -> list[Way]:
    """What can be done about a disk that may not be replaced, as something is on no other."""
    disk = config.get(proposed.on)
    if proposed.action != Remedy.REPLACE_DISK or not isinstance(disk, Disk) or _why_not(config, proposed) is None:
        return []
    others = [Remedy.EVACUATE_DISK] if disk.status is DiskStatus.FAILING else []
    others += [Remedy.REACTIVATE_DISK] if disk.present else [Remedy.RESCAN]
    return [way for other in others if _why_not(config, way := Way(other, disk.ref)) is None]


def _why_not(config: Config, way: Way) -> Problem | None:
    """What the rules of disks say against it."""
    disk = config.get(way.on)
    checks = DISK_RULES.get(way.action, ()) if isinstance(disk, Disk) else ()
    problems = (check(config, disk.ref) for check in checks) if isinstance(disk, Disk) else ()
    return next((problem for problem in problems if problem is not None), None)
