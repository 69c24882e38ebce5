"""Event Notification: rules are edited, tested and kept; what makes no sense is told before OK."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from pytestqt.qtbot import QtBot

from engine.commands import Command, SendTestNotification
from engine.errors import EngineError
from engine.records import Kind, MailSecurity, Notification, Record, Ref, Settings, Severity
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from vea_gui.notifications import Draft, RuleDraft
from vea_gui.views.event_notification import NO_RULE, EventNotification
from vea_gui.views.main_window import MainWindow

LEFT = Qt.MouseButton.LeftButton


class Posting(PlannedEngine):
    """Sends no mail, but says what a real one says when it cannot."""

    failure = ""

    def submit(self, command: Command, basis: int | None = None) -> Ref:
        if isinstance(command, SendTestNotification) and self.failure:
            raise EngineError(self.failure)
        return super().submit(command, basis)


@pytest.fixture
def api(records: list[Record]) -> PlannedEngine:
    return Posting(records, sample_lab.HOST)


@pytest.fixture
def dialog(window: MainWindow, qtbot: QtBot) -> Iterator[EventNotification]:
    window.console.trigger("event-notification")
    [opened] = window.findChildren(EventNotification)
    qtbot.waitUntil(opened.isVisible)
    yield opened
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def rules(api: PlannedEngine) -> tuple[Notification, ...]:
    return api.config.all(Kind.SETTINGS, Settings)[0].notifications


def typed(qtbot: QtBot, line, text: str) -> None:  # type: ignore[no-untyped-def]
    line.clear()
    qtbot.keyClicks(line, text)


def test_a_mail_rule_and_a_program_rule_are_kept(dialog: EventNotification, api: PlannedEngine, qtbot: QtBot) -> None:
    qtbot.mouseClick(dialog.add, LEFT)
    typed(qtbot, dialog.address, "admin@example.org")
    dialog.severity.setCurrentText("Warnings and errors")
    qtbot.mouseClick(dialog.add, LEFT)
    dialog.way.setCurrentIndex(1)
    typed(qtbot, dialog.program, "/bin/logger")
    dialog.arguments.setPlainText("-t\na b\n$HOME")
    typed(qtbot, dialog.server, "mail.example.org")
    qtbot.waitUntil(dialog.ok.isEnabled)
    qtbot.mouseClick(dialog.ok, LEFT)
    qtbot.waitUntil(lambda: len(rules(api)) == 2)
    assert rules(api) == (
        Notification(Severity.WARNING, mail="admin@example.org"),
        Notification(Severity.ERROR, program=("/bin/logger", "-t", "a b", "$HOME")),
    )
    assert api.config.all(Kind.SETTINGS, Settings)[0].mail_server == "mail.example.org"


def test_what_makes_no_sense_is_said_and_not_taken(dialog: EventNotification, api: PlannedEngine, qtbot: QtBot) -> None:
    qtbot.mouseClick(dialog.add, LEFT)
    typed(qtbot, dialog.address, "nobody")
    qtbot.waitUntil(lambda: "mail address" in dialog.notice.said)
    assert not dialog.ok.isEnabled()
    assert not dialog.test.isEnabled()
    assert dialog.ok.toolTip()
    typed(qtbot, dialog.address, "a@example.org")
    qtbot.waitUntil(dialog.ok.isEnabled)
    assert dialog.notice.said == ""
    qtbot.mouseClick(dialog.remove, LEFT)
    assert dialog.test.toolTip() == NO_RULE
    qtbot.mouseClick(dialog.cancel, LEFT)
    assert api.submitted == []


def test_a_test_says_that_it_went_or_why_not(dialog: EventNotification, api: PlannedEngine, qtbot: QtBot) -> None:
    qtbot.mouseClick(dialog.add, LEFT)
    typed(qtbot, dialog.address, "a@example.org")
    qtbot.waitUntil(dialog.test.isEnabled)
    qtbot.mouseClick(dialog.test, LEFT)
    qtbot.waitUntil(lambda: dialog.said.said == "Sent to a@example.org.")
    [sent] = api.submitted
    assert isinstance(sent, SendTestNotification)
    assert rules(api) == ()
    api.failure = "The mail server is asleep."  # type: ignore[attr-defined]
    qtbot.mouseClick(dialog.test, LEFT)
    qtbot.waitUntil(lambda: dialog.said.said == "The mail server is asleep.")
    assert dialog.test.isEnabled()


def test_rules_are_shown_as_they_are_kept(qtbot: QtBot) -> None:
    kept = (
        Notification(Severity.INFORMATION, mail="a@b.c"),
        Notification(Severity.ERROR, program=("/bin/x", "a", "", "b c")),
    )
    for rule in kept:
        assert RuleDraft.of(rule).rule() == rule
    settings = Settings(ref=Ref(Kind.SETTINGS, "1"), name="Settings", notifications=kept)
    assert not Draft.of(settings).changes(settings)


def test_tls_and_a_login_are_kept_and_tried(dialog: EventNotification, api: PlannedEngine, qtbot: QtBot) -> None:
    qtbot.mouseClick(dialog.add, LEFT)
    typed(qtbot, dialog.address, "a@example.org")
    typed(qtbot, dialog.user, "ann")
    typed(qtbot, dialog.password_file, "/etc/vea/mail")
    qtbot.waitUntil(lambda: "overhear" in dialog.notice.said)
    assert not dialog.ok.isEnabled()
    dialog.security.setCurrentText("STARTTLS")
    qtbot.waitUntil(dialog.ok.isEnabled)
    assert dialog.port.value() == 587
    qtbot.mouseClick(dialog.test, LEFT)
    qtbot.waitUntil(lambda: bool(api.submitted))
    sent = api.submitted[0]
    assert isinstance(sent, SendTestNotification)
    assert (sent.mail_security, sent.mail_user, sent.mail_port) == (MailSecurity.STARTTLS, "ann", 587)
    qtbot.waitUntil(dialog.ok.isEnabled)
    qtbot.mouseClick(dialog.ok, LEFT)
    qtbot.waitUntil(lambda: len(rules(api)) == 1)
    kept = api.config.all(Kind.SETTINGS, Settings)[0]
    assert (kept.mail_security, kept.mail_user, kept.mail_password_file) == (
        MailSecurity.STARTTLS,
        "ann",
        "/etc/vea/mail",
    )
    assert not Draft.of(kept).changes(kept)


def test_the_port_follows_the_security_until_one_is_chosen() -> None:
    usual = Draft().secured(MailSecurity.TLS)
    assert usual.port == 465
    assert usual.secured(MailSecurity.NONE).port == 25
    assert replace(usual, port=2525).secured(MailSecurity.STARTTLS).port == 2525
