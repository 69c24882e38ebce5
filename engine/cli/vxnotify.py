"""vxnotify: the alerts that are open, and who is told of them."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING

from engine.cli import output, resolve, rows
from engine.cli.common import COMMON, run
from engine.cli.forms import Form, Tool, Usage, Words, shown
from engine.cli.vxtune import settings_of
from engine.errors import EngineError

if TYPE_CHECKING:
    from engine.cli.session import Session
    from engine.records import Notification, Severity

_HEADS = ("RULE", "FROM", "TELLS")


def _list(session: Session, words: Words) -> int:
    rules = settings_of(session).notifications
    if session.json:
        output.write_json(
            [
                {"rule": at, "severity": str(rule.severity), "mail": rule.mail, "program": list(rule.program)}
                for at, rule in enumerate(rules, 1)
            ]
        )
        return 0
    cells = [(str(at), str(rule.severity), _told(rule)) for at, rule in enumerate(rules, 1)]
    output.write(output.table(_HEADS, cells, right=("RULE",)))
    return 0


def _alerts(session: Session, words: Words) -> int:
    found = [rows.alert_row(session.config, alert) for alert in rows.open_alerts(session.config)]
    if session.json:
        output.write_json(found)
        return 0
    for row in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["time"]))
        output.write(f"{row['id']}  {when}  {row['severity']}: {row['message']}")
        for text in filter(None, (row["cause"], row["remedy"])):
            output.write(f"    {text}")
    if not found:
        output.write("No alert is open.")
    return 0


def _acknowledge(session: Session, words: Words) -> int:
    from engine.commands import AcknowledgeAlerts

    alerts = tuple(resolve.alert(session.config, number).ref for number in words.many("ID"))
    return session.carry_out(AcknowledgeAlerts(alerts=alerts))


def _told(rule: Notification) -> str:
    return rule.mail or shlex.join(rule.program)


def _severity(text: str) -> Severity:
    from engine.records import Severity

    found = next((each for each in Severity if str(each).casefold() == text.casefold()), None)
    if found is None:
        names = ", ".join(str(each).lower() for each in Severity)
        raise Usage(f"SEVERITY is one of {names}, not {shown(text)}.")
    return found


def _mail(session: Session, words: Words) -> int:
    from engine.records import Notification

    return _add(session, Notification(_severity(words["SEVERITY"]), mail=words["ADDRESS"]))


def _run(session: Session, words: Words) -> int:
    from engine.records import Notification

    return _add(session, Notification(_severity(words["SEVERITY"]), program=tuple(words.many("PROGRAM"))))


def _add(session: Session, rule: Notification) -> int:
    return _change(session, (*settings_of(session).notifications, rule))


def _change(session: Session, rules: tuple[Notification, ...]) -> int:
    from engine.commands import ChangeSettings

    return session.carry_out(ChangeSettings(notifications=rules))


def _rm(session: Session, words: Words) -> int:
    rules = settings_of(session).notifications
    gone = {_number(rules, text) for text in words.many("RULE")}
    return _change(session, tuple(rule for at, rule in enumerate(rules) if at not in gone))


def _test(session: Session, words: Words) -> int:
    from engine.commands import SendTestNotification
    from engine.records import MAIL_FIELDS

    settings = settings_of(session)
    rule = settings.notifications[_number(settings.notifications, words["RULE"])]
    mail = {name: getattr(settings, name) for name in MAIL_FIELDS}
    return session.carry_out(SendTestNotification(notification=rule, **mail))


def _number(rules: tuple[Notification, ...], text: str) -> int:
    """The place of a rule, from 0."""
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise Usage(f"{shown(text)} is no number of a rule. vxnotify list has them.")
    if not 1 <= int(text) <= len(rules):
        raise EngineError(f"There is no rule {int(text)}. vxnotify list has those that there are.")
    return int(text) - 1


TOOL = Tool(
    "vxnotify",
    "The alerts that are open, and who is told of them.",
    (
        Form(
            "alerts",
            "List what needs attention, each with its cause and what to do.",
            _alerts,
            examples=("vxnotify alerts", "vxnotify alerts --json"),
        ),
        Form(
            "ack [ID...]",
            "Take alerts off the list, or all of them; the alert log keeps them.",
            _acknowledge,
            examples=("vxnotify ack 12",),
        ),
        Form("list", "List the rules: who is told, from which severity on.", _list, examples=("vxnotify list --json",)),
        Form(
            "mail SEVERITY ADDRESS",
            "Send a mail; vxtune sets the server, its TLS and the login.",
            _mail,
            examples=("vxnotify mail warning storage@example.org",),
        ),
        Form(
            "run SEVERITY PROGRAM...",
            "Run a program with these arguments; its whole path. Put -- before arguments that begin with a dash.",
            _run,
            examples=("vxnotify run error -- /usr/local/bin/page --team storage",),
        ),
        Form("rm RULE...", "Take rules away.", _rm, examples=("vxnotify rm 2",)),
        Form("test RULE", "Send one notice as a rule says, now.", _test),
    ),
    COMMON,
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
