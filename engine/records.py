"""The objects an operator sees, as frozen values keyed by `Ref`.

Identity is the `Ref`, never a Python object. A record links to others by their `Ref`. Fields under *derived* are set
by `engine.states.settle` alone; fields under *host* are true on this host only and never reach a private region.
"""

from __future__ import annotations

import enum
import secrets
from typing import TypeAlias

import msgspec


class Kind(enum.StrEnum):
    """The kinds of objects."""

    HOST = "host"
    ENCLOSURE = "enclosure"
    DISK = "disk"
    GROUP = "group"
    VOLUME = "volume"
    PLEX = "plex"
    SUBDISK = "subdisk"
    TASK = "task"
    CONNECTION = "connection"
    ALERT = "alert"


class Ref(msgspec.Struct, frozen=True, gc=False, order=True, array_like=True, cache_hash=True):
    """Who an object is: its kind, its id (32 hex digits; a number for tasks and alerts) and the host that tells it."""

    kind: Kind
    id: str
    host: str = ""


def new_ref(kind: Kind, host: str) -> Ref:
    """A `Ref` nobody has had before."""
    return Ref(kind, secrets.token_hex(16), host)


class DiskUsage(enum.StrEnum):
    """What automatic allocation may do with a disk."""

    NORMAL = "normal"
    SPARE = "spare"
    RESERVED = "reserved"


class DiskStatus(enum.StrEnum):
    """Status texts of a disk."""

    ONLINE = "Online"  # no group; free to be used
    FOREIGN = "Foreign"  # no group of ours; carries somebody else's data
    IMPORTED = "Imported"
    DEPORTED = "Deported"
    FAILING = "Failing"
    MISSING = "Missing"


class GroupState(enum.StrEnum):
    """Whether this host owns a group now."""

    IMPORTED = "Imported"
    DEPORTED = "Deported"
    FOREIGN = "Foreign"  # imported by another host, by its own word


class PlexLayout(enum.StrEnum):
    """How a plex maps volume offsets to its columns."""

    CONCAT = "concat"
    STRIPE = "stripe"


class PlexState(enum.StrEnum):
    """What is known of a plex's content. Only CLEAN and ACTIVE plexes are complete."""

    EMPTY = "EMPTY"  # allocated, not yet zeroed
    CLEAN = "CLEAN"  # stopped in order, equal to its fellows
    ACTIVE = "ACTIVE"  # may have been written since the last start
    FILLING = "FILLING"  # takes every write, no read, until a copy has completed
    STALE = "STALE"  # was left out of writes: needs a copy
    IOFAIL = "IOFAIL"  # left out of writes after an I/O error: suspect its disk
    OFFLINE = "OFFLINE"  # detached by the operator


class VolumeLayout(enum.StrEnum):
    """Layout as the operator names it; derived from the plexes."""

    CONCAT = "Concatenated"
    STRIPE = "Striped"
    MIRROR = "Mirrored"
    MIRROR_STRIPE = "Mirrored Stripe"
    RAID5 = "RAID-5"


class VolumeStatus(enum.StrEnum):
    """Status texts of a volume."""

    HEALTHY = "Healthy"
    AT_RISK = "Healthy (At Risk)"
    RESYNCHING = "Resynching"
    FAILED_REDUNDANCY = "Failed Redundancy"
    FAILED = "Failed"
    STOPPED = "Stopped"
    MISSING = "Missing"
    INITIALIZING = "Initializing"


class TaskType(enum.StrEnum):
    """What a task does; the text is what the operator reads."""

    COMMAND = "Command"  # a change that was done at once; `title` says which
    CREATE_VOLUME = "Create Volume"
    GROW_VOLUME = "Expand Volume"
    ADD_MIRROR = "Add Mirror"
    RESYNC = "Mirror Resynchronization"
    MOVE_SUBDISK = "Move Subdisk"
    EVACUATE_DISK = "Evacuate Disk"
    VERIFY = "Verify Volume"
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


class Severity(enum.StrEnum):
    """How much an alert matters."""

    INFORMATION = "Information"
    WARNING = "Warning"
    ERROR = "Error"


class Record(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="kind"):
    """Base of all records."""

    ref: Ref
    name: str


class Host(Record, frozen=True, kw_only=True, tag="host"):
    """A host that runs an engine. `ref.id` is its host id, made on first use of its state folder."""

    system: str = ""
    version: str = ""
    nbd_socket: str = ""  # path of the NBD server's unix socket
    process_id: int = 0


class Enclosure(Record, frozen=True, kw_only=True, tag="enclosure"):
    """A shelf of LUNs: an array, a folder of image files, or a host's own devices."""

    vendor: str = ""
    product: str = ""


class Disk(Record, frozen=True, kw_only=True, tag="disk"):
    """A LUN under its disk name. Before `init` its id stands for the LUN's path, afterwards it is the label's."""

    size: int  # physical bytes, as last seen
    group: Ref | None = None
    usage: DiskUsage = DiskUsage.NORMAL
    public_offset: int = 0  # first byte that subdisks may use, from the start of the LUN
    public_length: int = 0  # 0 until initialized
    # host
    lun: str = ""  # path of the file or device; empty while the LUN is missing
    enclosure: Ref | None = None
    block_size: int = 512
    present: bool = False
    failing: bool = False  # an I/O error was seen since it was last reactivated
    content: str = ""  # what stands on it that is not ours: "ext4 file system"
    paths: int = 1
    # derived
    status: DiskStatus = DiskStatus.ONLINE
    free: int = 0
    largest_free: int = 0


class Group(Record, frozen=True, kw_only=True, tag="group"):
    """A disk group: the unit of configuration, import and deport."""

    state: GroupState = GroupState.IMPORTED
    transaction: int = 0
    # host
    owner: str = ""  # name of the host that has it, when that is not this one
    frozen: str = ""  # why no change can be made durable; empty when all is well
    # derived
    disks: int = 0
    volumes: int = 0
    size: int = 0
    free: int = 0


class Volume(Record, frozen=True, kw_only=True, tag="volume"):
    """A volume. `size` is what clients see: 0 until every plex has been zeroed."""

    group: Ref
    size: int = 0
    started: bool = True  # as the operator wants it; remembered across restarts
    preferred: Ref | None = None  # plex that reads go to; None balances them by region
    source: Ref | None = None  # the one plex to believe while the others are made identical to it
    fenced: str = ""  # why writes and flushes fail until the operator has acted
    # derived
    serving: bool = False  # clients can connect right now
    layout: VolumeLayout = VolumeLayout.CONCAT
    status: VolumeStatus = VolumeStatus.HEALTHY
    copies: int = 0  # complete plexes


class Plex(Record, frozen=True, kw_only=True, tag="plex"):
    """One whole instance of a volume's data."""

    volume: Ref
    layout: PlexLayout = PlexLayout.CONCAT
    columns: int = 1
    stripe_unit: int = 0  # bytes; 0 for concat
    state: PlexState = PlexState.EMPTY
    # derived
    complete: bool = False
    length: int = 0  # bytes of volume that its subdisks hold without a gap


class Subdisk(Record, frozen=True, kw_only=True, tag="subdisk"):
    """A contiguous range of one disk, in one column of one plex."""

    plex: Ref
    disk: Ref
    disk_offset: int  # from the first byte of the LUN
    plex_offset: int  # within its column
    length: int
    column: int = 0
    replaces: Ref | None = None  # the subdisk that this one takes over from when its copy has completed


class TaskParams(msgspec.Struct, frozen=True, gc=False):
    """Everything a task's generator needs to be made anew after a crash."""

    volume: Ref | None = None
    plexes: tuple[Ref, ...] = ()  # that are filled or zeroed
    subdisks: tuple[Ref, ...] = ()  # targets: that are filled or zeroed
    size: int = 0  # the size to publish at the end (create, grow)
    disk: Ref | None = None  # evacuate
    groups: tuple[Ref, ...] = ()


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


class Connection(Record, frozen=True, kw_only=True, tag="connection"):
    """A client of an export. `name` says who: `qemu-system-x86 (process 4711)`."""

    volume: Ref
    since: float  # seconds since the epoch
    process_id: int = 0
    user_id: int = -1


class Alert(Record, frozen=True, kw_only=True, tag="alert"):
    """Something the operator should know; `name` is the sentence of what happened."""

    severity: Severity
    time: float  # seconds since the epoch
    object: Ref | None = None
    cause: str = ""
    remedy: str = ""
    acknowledged: bool = False  # taken off the list of open ones; the alert log still shows it


AnyRecord: TypeAlias = Host | Enclosure | Disk | Group | Volume | Plex | Subdisk | Task | Connection | Alert

RECORD_TYPES: dict[Kind, type[Record]] = {
    Kind.HOST: Host,
    Kind.ENCLOSURE: Enclosure,
    Kind.DISK: Disk,
    Kind.GROUP: Group,
    Kind.VOLUME: Volume,
    Kind.PLEX: Plex,
    Kind.SUBDISK: Subdisk,
    Kind.TASK: Task,
    Kind.CONNECTION: Connection,
    Kind.ALERT: Alert,
}

HOST_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.DISK: ("lun", "enclosure", "block_size", "present", "failing", "content", "paths"),
    Kind.GROUP: ("owner", "frozen"),
    Kind.TASK: (
        "state",
        "finished_at",
        "bytes_done",
        "bytes_copied",
        "eta_low_s",
        "eta_high_s",
        "result",
        "cleared",
    ),
}
DERIVED_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.DISK: ("status", "free", "largest_free"),
    Kind.GROUP: ("disks", "volumes", "size", "free"),
    Kind.VOLUME: ("layout", "status", "copies", "serving"),
    Kind.PLEX: ("complete", "length"),
}
PERSISTED_KINDS = frozenset({Kind.GROUP, Kind.DISK, Kind.VOLUME, Kind.PLEX, Kind.SUBDISK, Kind.TASK})
"""Kinds that a group's private regions keep; the rest lives as long as the engine, or in the host's state folder."""
