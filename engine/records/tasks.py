"""Tasks, and what one needs to be taken up again."""

from __future__ import annotations

import enum

import msgspec

from engine.records.base import Record, Ref


class TaskType(enum.StrEnum):
    """What a task does; the text is what the operator reads."""

    COMMAND = "Command"  # a change that was done at once; `title` says which
    CREATE_VOLUME = "Create Volume"
    GROW_VOLUME = "Expand Volume"
    ADD_MIRROR = "Add Mirror"
    ADD_COLUMN = "Add Column"
    RESYNC = "Mirror Resynchronization"
    MOVE_SUBDISK = "Move Subdisk"
    EVACUATE_DISK = "Evacuate Disk"
    VERIFY = "Verify Volume"
    SCRUB = "Verify and Repair"
    SNAP_SHOT = "Snap Shot"
    REFRESH = "Refresh Snapshots"
    FILE_SYSTEM = "Resize File System"
    FORMAT = "Format"
    REBUILD = "RAID-5 Rebuild"
    PARITY = "RAID-5 Parity Resynchronization"
    RESCAN = "Rescan"


class TaskState(enum.StrEnum):
    """States of a task, as the command line prints them."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    ABORTED = "aborted"


TASK_ENDED = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.ABORTED})


class TaskParams(msgspec.Struct, frozen=True, gc=False):
    """Everything a task's generator needs to be made anew after a crash."""

    volume: Ref | None = None
    plexes: tuple[Ref, ...] = ()  # that are filled or zeroed
    subdisks: tuple[Ref, ...] = ()  # targets: that are filled or zeroed
    volumes: tuple[Ref, ...] = ()  # snapshots that are taken at one instant, and their originals
    size: int = 0  # the size to publish at the end (create, grow)
    disk: Ref | None = None  # evacuate
    groups: tuple[Ref, ...] = ()
    leaving: tuple[Ref, ...] = ()  # plexes that `plexes` take over from, one from one, once they are complete
    ranges: tuple[tuple[int, int], ...] = ()  # (offset, length) in the volume: where its plexes were found to differ
    whole: bool = False  # every byte is copied, whatever the dirty map says
    then: str = ""  # the command that follows, as engine.commands.encode writes it
    file_system: str = ""  # format: which one is made
    label: str = ""
    quick: bool = True  # format: what stands on the rest of the volume stays
    lineage: str = ""  # the knowledge of a dirty map that the checkpoint counts in; empty: in bytes of the volume


class Task(Record, frozen=True, kw_only=True, tag="task"):
    """Long work, or a change that was done at once. `ref.id` is its number; `name` says what it does to what."""

    type: TaskType
    object: Ref | None = None
    group: Ref | None = None  # whose configuration keeps it while it runs
    params: TaskParams = TaskParams()
    checkpoint: int = 0  # bytes that are done for good
    bytes_total: int = 0
    iodelay_ms: int = 0
    paused: bool = False  # as the operator wants it; remembered across restarts
    started_at: float = 0.0  # seconds since the epoch
    undoes: int = 0  # the number of the task that it takes back
    undo: str = ""  # the inverse command, as engine.commands.encode writes it; empty when there is none
    # host
    state: TaskState = TaskState.QUEUED
    finished_at: float = 0.0
    bytes_done: int = 0
    bytes_copied: int = 0  # really written to targets
    eta_low_s: float = -1.0  # -1: not known
    eta_high_s: float = -1.0
    result: str = ""  # one sentence when it failed or was aborted
    cleared: bool = False  # ended and taken off the list; the task log still shows it

    @property
    def ended(self) -> bool:
        """Whether its state is final: nothing of it will be done any more."""
        return self.state in TASK_ENDED
