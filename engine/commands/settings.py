"""What is set for the host."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import MailSecurity, Notification, Quiescing, RelocationMode, TaskDelay


class ChangeSettings(Command, frozen=True, kw_only=True, tag=True):
    """Set what is not None; the rest stays as it is. Lists replace those that there are."""

    hot_relocation: RelocationMode | None = None
    relocation_wait_s: int | None = None
    iodelay_ms: tuple[TaskDelay, ...] | None = None
    monitoring_interval_s: int | None = None
    notifications: tuple[Notification, ...] | None = None
    mail_server: str | None = None
    mail_port: int | None = None
    mail_from: str | None = None
    mail_security: MailSecurity | None = None
    mail_user: str | None = None
    mail_password_file: str | None = None
    backups_kept: int | None = None
    quiesce: tuple[Quiescing, ...] | None = None
    freeze_limit_s: int | None = None


class SendTestNotification(Command, frozen=True, kw_only=True, tag=True):
    """Send one notice as a rule says, by this mail server, whatever is set; an error says why it did not arrive."""

    notification: Notification
    mail_server: str
    mail_port: int
    mail_from: str = ""
    mail_security: MailSecurity = MailSecurity.NONE
    mail_user: str = ""
    mail_password_file: str = ""
