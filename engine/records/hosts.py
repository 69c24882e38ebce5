"""A host, its clients, and what its operator should know."""

from __future__ import annotations

import enum

from engine.records.base import Record, Ref


class Severity(enum.StrEnum):
    """How much an alert matters."""

    INFORMATION = "Information"
    WARNING = "Warning"
    ERROR = "Error"


class Host(Record, frozen=True, kw_only=True, tag="host"):
    """A host that runs an engine. `ref.id` is its host id, made on first use of its state folder."""

    system: str = ""
    version: str = ""
    nbd_socket: str = ""  # path of the NBD server's unix socket
    process_id: int = 0


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

    @property
    def open(self) -> bool:
        """Whether it is on the list of what needs attention: nobody has acknowledged it."""
        return not self.acknowledged
