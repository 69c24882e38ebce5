"""What can be begun against a trouble: the action that an alert names, or those that help an object in its state."""

from __future__ import annotations

from typing import NamedTuple

from engine.records import Alert, Kind, Record, Ref, Remedy
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


class Way(NamedTuple):
    """An action by its id, and what it acts on; None: on nothing in particular."""

    action: str
    on: Ref | None

    @property
    def words(self) -> str:
        return WORDS.get(self.action, self.action)


def ways(mirror: Mirror, record: Record) -> list[Way]:
    """What helps, the best first; nothing where all is well or nothing can be begun from here."""
    if not isinstance(record, Alert):
        if tone_of(record) < Tone.WARNING:
            return []
        return [Way(action, on) for action, on in trouble_of(mirror, record).ways]
    if record.action is not None:
        on = record.action_on or record.object
        return [Way(record.action, on)] if on is None or on in mirror.config else []
    about = mirror.config.get(record.object)
    return ways(mirror, about) if about is not None and not isinstance(about, Alert) else []


def first_words(mirror: Mirror, record: Record) -> str:
    """What the best of the ways is called; empty when there is none."""
    found = ways(mirror, record)
    return found[0].words if found else ""
