"""Records and errors in the operator's words: tone of a state, status texts, sentences. One table each."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

from engine.errors import CommandRejected, EngineError
from engine.records import (
    Alert,
    Connection,
    Disk,
    DiskStatus,
    Enclosure,
    Group,
    GroupState,
    Host,
    Kind,
    Plex,
    PlexState,
    Record,
    Ref,
    Severity,
    Subdisk,
    Task,
    TaskState,
    Volume,
    VolumeStatus,
)
from engine.units import format_band


class Tone(enum.IntEnum):
    """How a state is shown; a higher one matters more."""

    NONE = 0
    GOOD = 1
    INFORMATION = 2
    WORKING = 3
    WARNING = 4
    ERROR = 5


TONE_NAMES = {
    Tone.NONE: "",
    Tone.GOOD: "good",
    Tone.INFORMATION: "information",
    Tone.WORKING: "working",
    Tone.WARNING: "warning",
    Tone.ERROR: "error",
}

VOLUME_TONES = {
    VolumeStatus.HEALTHY: Tone.GOOD,
    VolumeStatus.AT_RISK: Tone.WARNING,
    VolumeStatus.RESYNCHING: Tone.WORKING,
    VolumeStatus.REBUILDING: Tone.WORKING,
    VolumeStatus.FAILED_REDUNDANCY: Tone.WARNING,
    VolumeStatus.FAILED_REDUNDANCY_AT_RISK: Tone.WARNING,
    VolumeStatus.DEGRADED: Tone.WARNING,
    VolumeStatus.DEGRADED_AT_RISK: Tone.WARNING,
    VolumeStatus.FAILED: Tone.ERROR,
    VolumeStatus.STOPPED: Tone.INFORMATION,
    VolumeStatus.MISSING: Tone.ERROR,
    VolumeStatus.INITIALIZING: Tone.WORKING,
}
DISK_TONES = {
    DiskStatus.ONLINE: Tone.GOOD,
    DiskStatus.FOREIGN: Tone.INFORMATION,
    DiskStatus.IMPORTED: Tone.GOOD,
    DiskStatus.DEPORTED: Tone.INFORMATION,
    DiskStatus.FAILING: Tone.WARNING,
    DiskStatus.MISSING: Tone.ERROR,
}
GROUP_TONES = {
    GroupState.IMPORTED: Tone.GOOD,
    GroupState.DEPORTED: Tone.INFORMATION,
    GroupState.FOREIGN: Tone.INFORMATION,
}
PLEX_TONES = {
    PlexState.EMPTY: Tone.WORKING,
    PlexState.CLEAN: Tone.GOOD,
    PlexState.ACTIVE: Tone.GOOD,
    PlexState.FILLING: Tone.WORKING,
    PlexState.STALE: Tone.WARNING,
    PlexState.IOFAIL: Tone.ERROR,
    PlexState.OFFLINE: Tone.INFORMATION,
}
PLEX_WORDS = {
    PlexState.EMPTY: "Being prepared",
    PlexState.CLEAN: "Complete",
    PlexState.ACTIVE: "Complete",
    PlexState.FILLING: "Being filled",
    PlexState.STALE: "Out of date",
    PlexState.IOFAIL: "Failed",
    PlexState.OFFLINE: "Detached",
}
TASK_TONES = {
    TaskState.QUEUED: Tone.INFORMATION,
    TaskState.RUNNING: Tone.WORKING,
    TaskState.PAUSED: Tone.INFORMATION,
    TaskState.COMPLETED: Tone.GOOD,
    TaskState.FAILED: Tone.ERROR,
    TaskState.ABORTED: Tone.INFORMATION,
}
TASK_WORDS = {
    TaskState.QUEUED: "Waiting",
    TaskState.RUNNING: "In progress",
    TaskState.PAUSED: "Paused",
    TaskState.COMPLETED: "Completed",
    TaskState.FAILED: "Failed",
    TaskState.ABORTED: "Aborted",
}
SEVERITY_TONES = {
    Severity.INFORMATION: Tone.INFORMATION,
    Severity.WARNING: Tone.WARNING,
    Severity.ERROR: Tone.ERROR,
}
KIND_NAMES: dict[Kind, tuple[str, str]] = {
    Kind.HOST: ("host", "hosts"),
    Kind.ENCLOSURE: ("enclosure", "enclosures"),
    Kind.DISK: ("disk", "disks"),
    Kind.GROUP: ("disk group", "disk groups"),
    Kind.VOLUME: ("volume", "volumes"),
    Kind.PLEX: ("mirror", "mirrors"),
    Kind.SUBDISK: ("subdisk", "subdisks"),
    Kind.TASK: ("task", "tasks"),
    Kind.CONNECTION: ("client", "clients"),
    Kind.ALERT: ("alert", "alerts"),
    Kind.SETTINGS: ("setting", "settings"),
    Kind.BACKUP: ("configuration backup", "configuration backups"),
    Kind.SCHEDULE: ("schedule", "schedules"),
}


class Works(Protocol):
    """Who knows the tasks on an object."""

    def work_on(self, ref: Ref) -> list[Task]: ...


def count_of(number: int, kind: Kind) -> str:
    """`1 volume`, `3 volumes`."""
    return f"{number:,} {KIND_NAMES[kind][number != 1]}"


def is_unreachable(plex: Plex) -> bool:
    """Whether a mirror that was filled to its end cannot be read as a whole, since a disk of it is away."""
    return PLEX_TONES[plex.state] is Tone.GOOD and not plex.complete


def plex_words(plex: Plex) -> str:
    """The state of a mirror, the same in tables, pictures and dialogs."""
    if is_unreachable(plex):
        return "Unreachable"
    return "Snap Ready" if plex.snap is not None and plex.complete else PLEX_WORDS[plex.state]


def tone_of(record: Record) -> Tone:
    """How a record's state is shown."""
    match record:
        case Volume():
            return Tone.ERROR if record.fenced else VOLUME_TONES[record.status]
        case Disk():
            unused = record.status is DiskStatus.MISSING and record.group is None  # nothing is lost with it
            return Tone.WARNING if unused else DISK_TONES[record.status]
        case Group():
            return Tone.ERROR if record.frozen else GROUP_TONES[record.state]
        case Plex():
            return Tone.ERROR if is_unreachable(record) else PLEX_TONES[record.state]
        case Task():
            return TASK_TONES[record.state]
        case Alert():
            return SEVERITY_TONES[record.severity]
    return Tone.NONE


def trouble(record: Record) -> str:
    """Why a record marks what it belongs to, as one sentence; empty when it does not."""
    if tone_of(record) < Tone.WARNING:
        return ""
    match record:
        case Volume():
            return f"Volume {record.name}: {record.fenced or record.status}."
        case Disk():
            return f"{record.name}: {record.status}."
        case Group():
            return f"Disk group {record.name}: {record.frozen}."
    return ""


def percent_done(task: Task) -> int | None:
    """How far a task is, 0 to 100; None when nothing is known of it."""
    if task.state is TaskState.COMPLETED:
        return 100
    if task.bytes_total <= 0:
        return None
    return min(99, max(0, task.bytes_done * 100 // task.bytes_total))


def time_left(task: Task) -> str:
    """`38-52 s left`; empty when nobody knows."""
    if task.state is not TaskState.RUNNING or task.eta_low_s < 0:
        return ""
    return f"{format_band(task.eta_low_s, max(task.eta_low_s, task.eta_high_s))} left"


def status_text(works: Works, record: Record) -> str:
    """The status column of any record: its state, and how far work on it is."""
    match record:
        case Volume() | Disk():
            done = [percent_done(task) for task in works.work_on(record.ref)]
            known = [percent for percent in done if percent is not None]
            working = tone_of(record) is Tone.WORKING
            return f"{record.status} {known[0]} %" if known and working else str(record.status)
        case Group():
            return f"{record.state} (no change possible)" if record.frozen else str(record.state)
        case Plex():
            return plex_words(record)
        case Task():
            return TASK_WORDS[record.state]
        case Alert():
            return str(record.severity)
        case Subdisk() | Connection() | Enclosure() | Host():
            return ""
    return ""


def error_sentence(error: BaseException) -> str:
    """What happened, for an operator. Errors that are not meant for one get a sentence that says so."""
    if isinstance(error, EngineError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"The system refused: {error.strerror}{where}."
    return "The console met an error that it did not expect. Nothing on the disks was changed by it."


def problem_lines(error: BaseException) -> Sequence[str]:
    """Every reason behind a refusal, one line each."""
    if isinstance(error, CommandRejected):
        return [problem.sentences for problem in error.problems]
    return []
