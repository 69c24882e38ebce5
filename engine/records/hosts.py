"""A host, its clients, and what its operator should know."""

from __future__ import annotations

import enum

from engine.records.base import Record, Ref


class Severity(enum.StrEnum):
    """How much an alert matters."""

    INFORMATION = "Information"
    WARNING = "Warning"
    ERROR = "Error"


class Remedy(enum.StrEnum):
    """The action that helps most against what an alert tells of. The text is the console's id of it."""

    RESCAN = "rescan"
    REPLACE_DISK = "replace-disk"
    REACTIVATE_DISK = "reactivate-disk"
    EVACUATE_DISK = "evacuate-disk"
    REMOVE_LUN = "remove-lun"
    UNDO_RELOCATION = "undo-relocation"
    REPAIR_VOLUME = "repair-volume"
    RESYNC_VOLUME = "resync-volume"
    VERIFY_VOLUME = "verify-volume"
    REPAIR_MIRRORS = "repair-mirrors"
    START_VOLUME = "start-volume"
    STOP_VOLUME = "stop-volume"
    ADD_MIRROR = "add-mirror"
    IMPORT_GROUP = "import-group"
    PREPARE_SNAPSHOT = "prepare-snapshot"
    RUN_SCHEDULE = "run-schedule"
    CHANGE_SCHEDULE = "change-schedule"
    EVENT_NOTIFICATION = "event-notification"


class Host(Record, frozen=True, kw_only=True, tag="host"):
    """A host that runs an engine. `ref.id` is its host id, made on first use of its state folder."""

    system: str = ""
    version: str = ""
    nbd_socket: str = ""  # path of the NBD server's unix socket
    process_id: int = 0
    resizable: tuple[str, ...] = ()  # contents of volumes that its programs can resize: "ext4 file system"
    formats: tuple[str, ...] = ()  # file systems that its programs can make: "ext4"
    no_drives: str = ""  # why volumes can't be shown as block files, and what would help; empty: they can
    no_mounts: str = ""  # why file systems can't be mounted in folders, and what would help


class Connection(Record, frozen=True, kw_only=True, tag="connection"):
    """A client of an export. `name` says who: `qemu-system-x86 (process 4711)`."""

    volume: Ref
    since: float  # seconds since the epoch
    process_id: int = 0
    user_id: int = -1
    helper: bool = False  # a program of the engine's own: not by itself somebody who uses the volume


class Alert(Record, frozen=True, kw_only=True, tag="alert"):
    """Something the operator should know; `name` is the sentence of what happened."""

    severity: Severity
    time: float  # seconds since the epoch
    object: Ref | None = None
    cause: str = ""
    remedy: str = ""
    action: Remedy | None = None  # what of the remedy the operator can begin from here
    action_on: Ref | None = None  # what it acts on, where that is not `object`
    acknowledged: bool = False  # taken off the list of open ones; the alert log still shows it

    @property
    def open(self) -> bool:
        """Whether it is on the list of what needs attention: nobody has acknowledged it."""
        return not self.acknowledged
