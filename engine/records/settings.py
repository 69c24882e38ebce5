"""What an operator has set for one host: kept in its state folder, never in a group."""

from __future__ import annotations

import enum

import msgspec

from engine.records.base import Kind, Record, Ref
from engine.records.hosts import Severity
from engine.records.quiesce import Quiescing
from engine.records.tasks import TaskType


class RelocationMode(enum.StrEnum):
    """Who begins hot relocation."""

    AUTOMATIC = "automatic"  # the engine, once a disk has been away for long enough or has failed
    MANUAL = "manual"  # the operator, by Repair Volume


class MailSecurity(enum.StrEnum):
    """How the mail server is spoken to."""

    NONE = "none"  # in the open: for this host's own mail server
    STARTTLS = "starttls"  # TLS once the talk has begun, as a rule at port 587
    TLS = "tls"  # TLS from the beginning, as a rule at port 465


class TaskDelay(msgspec.Struct, frozen=True, gc=False):
    """How long new tasks of a type rest after each mebibyte that they copy."""

    type: TaskType
    iodelay_ms: int


class Notification(msgspec.Struct, frozen=True, gc=False):
    """Who is told of alerts of a severity or a worse one: an address, or a program with its arguments, never by way of
    a shell."""

    severity: Severity
    mail: str = ""
    program: tuple[str, ...] = ()


class Settings(Record, frozen=True, kw_only=True, tag="settings"):
    """The settings of a host. `ref.id` is its host id."""

    hot_relocation: RelocationMode = RelocationMode.AUTOMATIC
    relocation_wait_s: int = 60  # how long a disk is missing before its pieces are made anew elsewhere
    iodelay_ms: tuple[TaskDelay, ...] = ()  # types that are not named do not rest
    monitoring_interval_s: int = 1  # between two samples of traffic, and two looks for a takeover
    notifications: tuple[Notification, ...] = ()
    mail_server: str = "localhost"
    mail_port: int = 25
    mail_from: str = ""  # empty: vea-console at the host's name
    mail_security: MailSecurity = MailSecurity.NONE
    mail_user: str = ""  # empty: without a login
    mail_password_file: str = ""  # where the password stands; it is nowhere else
    backups_kept: int = 32  # configuration backups of each group
    quiesce: tuple[Quiescing, ...] = ()  # how volumes are kept still for their snapshots, beside what is mounted here
    freeze_limit_s: int = 10  # what can't be kept still within this time is not

    def delay_of(self, type_: TaskType) -> int:
        """The rest of new tasks of a type, in milliseconds."""
        return next((delay.iodelay_ms for delay in self.iodelay_ms if delay.type is type_), 0)


MAIL_FIELDS = ("mail_server", "mail_port", "mail_from", "mail_security", "mail_user", "mail_password_file")
"""Fields of `Settings` that say how mail is sent."""


def settings_ref(host: str) -> Ref:
    """The `Ref` of a host's settings."""
    return Ref(Kind.SETTINGS, host, host)
