"""Changes of a host's settings."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine import rules
from engine.commands import ChangeSettings, SendTestNotification
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.plans import Plan, Problem
from engine.records import MAIL_FIELDS, MailSecurity, Notification, Quiescing, TaskDelay

_BOUNDS = {
    "relocation_wait_s": (0, 86_400, "The wait before hot relocation", "s"),
    "monitoring_interval_s": (1, 3600, "The monitoring interval", "s"),
    "mail_port": (1, 65_535, "The port of the mail server", ""),
    "backups_kept": (1, 1000, "The number of configuration backups", ""),
    "freeze_limit_s": (1, rules.FREEZE_LIMIT_MAX_S, "The time for freezing", "s"),
}
"""Field -> least, most, what it is, its unit."""
_WORDS = {
    "hot_relocation": "hot relocation",
    "relocation_wait_s": "the wait before hot relocation",
    "iodelay_ms": "task throttling",
    "monitoring_interval_s": "the monitoring interval",
    "notifications": "event notification",
    "mail_server": "the mail server",
    "mail_port": "the port of the mail server",
    "mail_from": "the sender of mail",
    "mail_security": "the security of mail",
    "mail_user": "the user name at the mail server",
    "mail_password_file": "the password file",
    "backups_kept": "the number of configuration backups",
    "quiesce": "quiescing",
    "freeze_limit_s": "the time for freezing",
}
_RULES_MAX = 64
_TEXT_MAX = 4096


def change(config: Config, command: ChangeSettings, ids: Ids) -> Plan:
    """The given settings hold for what begins from now on."""
    title = "Change Settings"
    settings = config.settings
    wanted = {name: value for name in _WORDS if (value := getattr(command, name)) is not None}
    gone = Problem("This host's settings are not known yet.", "Try again in a moment.") if settings is None else None
    mail = {name: wanted.get(name, getattr(settings, name)) for name in MAIL_FIELDS} if settings is not None else {}
    about_mail = _login_problem(mail) if mail.keys() & wanted.keys() else None
    blocked = refuse(title, gone, *_problems(wanted), about_mail)
    if blocked or settings is None:
        return blocked or refuse_nothing(title)
    before = {name: getattr(settings, name) for name in wanted}
    changed = [name for name in wanted if wanted[name] != before[name]]
    if not changed:
        return refuse_nothing(title)
    draft = Draft(config, ids)
    draft.put(msgspec.structs.replace(settings, **{name: wanted[name] for name in changed}))
    draft.step(f"Set {rules.listed([_WORDS[name] for name in changed])}", "what runs already goes on as it does")
    return draft.plan(title, undo=ChangeSettings(**{name: before[name] for name in changed}))


def send_test(config: Config, command: SendTestNotification, ids: Ids) -> Plan:
    """One notice goes out now; nothing changes."""
    title, rule = "Send Test Notification", command.notification
    wanted: dict[str, object] = {name: getattr(command, name) for name in MAIL_FIELDS} if rule.mail else {}
    blocked = refuse(title, *_problems({**wanted, "notifications": (rule,)}), _login_problem(wanted))
    if blocked:
        return blocked
    draft = Draft(config, ids)
    way = f"Send a mail to {rule.mail} by {command.mail_server}" if rule.mail else f"Run {rule.program[0]}"
    draft.step(way, "nothing changes")
    return draft.plan(title)


def refuse_nothing(title: str) -> Plan:
    """The plan of a change that changes nothing."""
    return Plan(title=title, problems=(Problem("All of this is set already.", "Change one of the settings."),))


def _problems(wanted: dict[str, object]) -> Iterable[Problem | None]:
    for name, (least, most, what, unit) in _BOUNDS.items():
        value = wanted.get(name, least)
        if not isinstance(value, int) or not least <= value <= most:
            text = f"{what} can't be {value} {unit}".rstrip()
            yield Problem(f"{text}.", f"Give {least} to {most} {unit}".rstrip() + ".", field=name)
    for name in ("mail_server", "mail_from"):
        if not _is_word(str(wanted.get(name, "a")), empty=name == "mail_from"):
            yield Problem("This is no name of a mail server or sender.", "Give one word.", field=name)
    delays, rules_ = wanted.get("iodelay_ms", ()), wanted.get("notifications", ())
    yield _delays_problem(delays if isinstance(delays, tuple) else ())
    yield _notifications_problem(rules_ if isinstance(rules_, tuple) else ())
    quiesce = wanted.get("quiesce", ())
    yield _quiesce_problem(quiesce if isinstance(quiesce, tuple) else ())


def _login_problem(mail: dict[str, object]) -> Problem | None:
    """A user name, its password file and a talk that nobody overhears go together."""
    user, file = str(mail.get("mail_user", "")), str(mail.get("mail_password_file", ""))
    if not _is_word(user, empty=True) or not user.isascii():
        return Problem("This is no user name at a mail server.", "Give one word.", field="mail_user")
    if file and not (file.startswith("/") and _is_argument(file) and file.isprintable()):
        text = "The password file is not named by its whole path."
        return Problem(text, "Begin with a slash.", field="mail_password_file")
    if bool(user) != bool(file):
        field = "mail_password_file" if user else "mail_user"
        return Problem("A user name and a password file go together.", "Give both, or neither.", field=field)
    if user and mail.get("mail_security") is MailSecurity.NONE:
        text = "A password is not sent where everybody can overhear it."
        return Problem(text, "Choose STARTTLS or TLS, or log in without one.", field="mail_security")
    return None


def _delays_problem(delays: tuple[TaskDelay, ...]) -> Problem | None:
    if len({delay.type for delay in delays}) < len(delays):
        return Problem("A type of task is named twice.", "Name each once.", field="iodelay_ms")
    for delay in delays:
        if not 0 <= delay.iodelay_ms <= rules.IODELAY_MAX_MS:
            text = f"A rest of {delay.iodelay_ms} ms is not possible."
            return Problem(text, f"Give 0 to {rules.IODELAY_MAX_MS} ms.", field="iodelay_ms")
    return None


def _notifications_problem(notifications: tuple[Notification, ...]) -> Problem | None:
    if len(notifications) > _RULES_MAX:
        text = f"{len(notifications)} rules are too many."
        return Problem(text, f"Give {_RULES_MAX} at most.", field="notifications")
    for rule in notifications:
        if bool(rule.mail) == bool(rule.program):
            text = "A rule names a mail address or a program."
            return Problem(text, "Give one of the two.", field="notifications")
        if rule.mail and (rule.mail.count("@") != 1 or not _is_word(rule.mail)):
            return Problem("This is no mail address.", "Give one as in admin@example.org.", field="notifications")
        if rule.program and not all(_is_argument(part) for part in rule.program):
            text = "The program or one of its arguments can't be given to it."
            return Problem(text, "Give its path, then its arguments one by one.", field="notifications")
        if rule.program and not rule.program[0].startswith("/"):
            text = "The program is not named by its whole path."
            return Problem(text, "Begin with a slash.", field="notifications")
    return None


def _quiesce_problem(quiesce: tuple[Quiescing, ...]) -> Problem | None:
    if len({one.volume for one in quiesce}) < len(quiesce):
        return Problem("A volume is named twice.", "Name each once.", field="quiesce")
    for one in quiesce:
        if one.agent and not (one.agent.startswith("/") and _is_argument(one.agent)):
            text = "The guest agent's socket is not named by its whole path."
            return Problem(text, "Begin with a slash.", field="quiesce")
        if one.program and not all(_is_argument(part) for part in one.program):
            text = "The program or one of its arguments can't be given to it."
            return Problem(text, "Give its path, then its arguments one by one.", field="quiesce")
        if one.program and not one.program[0].startswith("/"):
            return Problem("The program is not named by its whole path.", "Begin with a slash.", field="quiesce")
    return None


def _is_word(text: str, *, empty: bool = False) -> bool:
    return (empty or bool(text)) and len(text) <= _TEXT_MAX and text.isprintable() and " " not in text


def _is_argument(text: str) -> bool:
    return len(text) <= _TEXT_MAX and "\0" not in text
