"""Passes alerts on by the operator's rules, whether or not a console is open.

A thread of its own takes what has come together, so that a storm of alerts is one mail for each rule. What cannot be
sent is an alert itself, once until it works again; that alert goes by the other rules only, so that it ends.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from engine.alerts.mail import MailServer
from engine.alerts.notify_send import RANK, Notice, Sender
from engine.errors import EngineError
from engine.records import Notification, Remedy, Settings, Severity, settings_ref

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.commands import SendTestNotification
    from engine.commit import Committer
    from engine.records import Alert
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

WAITING_MAX = 1000
"""So many alerts wait at most; what is more is in the alert log only."""
_UNSET = Settings(ref=settings_ref(""), name="")
PROGRAMS_MAX = 20
"""For so many alerts of those that came together a program is run; a mail has all of them."""


class Notifier:
    """Hears of every alert from the committer."""

    def __init__(self, committer: Committer, runtime: Runtime, make_sender: Callable[[str], Sender] = Sender) -> None:
        self._committer = committer
        self._runtime = runtime
        self._make_sender = make_sender
        self._sender = make_sender(runtime.host_name())
        self._wake = runtime.condition()
        self._waiting: list[Alert] = []
        self._ended = False
        self._broken: set[Notification] = set()  # rules whose last attempt failed
        self._thread = runtime.thread("notify", self._run)

    def tell(self, alert: Alert) -> None:
        """Called under the control lock; returns at once."""
        if not self._settings().notifications:
            return
        with self._wake:
            if len(self._waiting) < WAITING_MAX:
                self._waiting.append(alert)
                self._wake.notify_all()

    def test(self, command: SendTestNotification) -> None:
        """Send one notice now, on the caller's thread. EngineError when it does not arrive."""
        notice = Notice(
            Severity.INFORMATION,
            self._runtime.time(),
            "This is a test of the event notification.",
            remedy="Nothing is to be done.",
        )
        self._send(self._make_sender(self._runtime.host_name()), command.notification, _server(command), [notice])

    def close(self) -> None:
        """End what is being sent. What waits is in the alert log."""
        with self._wake:
            self._ended = True
            self._wake.notify_all()
        self._sender.abort()
        self._thread.join()

    # --- on its own thread ---
    def _run(self) -> None:
        while alerts := self._take():
            try:
                self._pass_all_on(alerts)
            except Exception:
                log.exception("Alerts could not be passed on")

    def _pass_all_on(self, alerts: Sequence[Alert]) -> None:
        settings = self._settings()
        for rule in settings.notifications:
            wanted = [alert for alert in alerts if self._concerns(rule, alert)]
            if wanted and not self._ended:
                self._pass_on(rule, settings, [self._notice(alert) for alert in wanted])

    def _take(self) -> list[Alert]:
        with self._wake:
            self._wake.wait_for(lambda: self._ended or bool(self._waiting))
            taken, self._waiting = self._waiting, []
            return [] if self._ended else taken

    def _concerns(self, rule: Notification, alert: Alert) -> bool:
        if alert.action is Remedy.EVENT_NOTIFICATION and rule in self._broken:
            return False
        return RANK[alert.severity] >= RANK[rule.severity]

    def _pass_on(self, rule: Notification, settings: Settings, notices: Sequence[Notice]) -> None:
        try:
            self._send(self._sender, rule, _server(settings), notices)
        except EngineError as error:
            self._failed(rule, str(error))
        else:
            self._broken.discard(rule)

    def _send(self, sender: Sender, rule: Notification, server: MailServer, notices: Sequence[Notice]) -> None:
        if rule.mail:
            sender.mail(rule.mail, server, notices)
            return
        for notice in notices[:PROGRAMS_MAX]:
            sender.run(rule.program, notice)
        if len(notices) > PROGRAMS_MAX:
            log.warning("%s was not run for %d more alerts", rule.program[0], len(notices) - PROGRAMS_MAX)

    def _failed(self, rule: Notification, why: str) -> None:
        log.info("A notification could not be sent: %s", why)
        if rule in self._broken or self._ended:
            return
        self._broken.add(rule)
        self._committer.alert(
            Severity.WARNING,
            f"Alerts could not be passed on to {rule.mail or rule.program[0]}.",
            cause=why,
            remedy="Open Event Notification, correct the rule, and send a test.",
            action=Remedy.EVENT_NOTIFICATION,
        )

    # --- helpers ---
    def _settings(self) -> Settings:
        return self._committer.config.settings or _UNSET

    def _notice(self, alert: Alert) -> Notice:
        about = self._committer.config.get(alert.object)
        return Notice(alert.severity, alert.time, alert.name, about.name if about else "", alert.cause, alert.remedy)


def _server(said: Settings | SendTestNotification) -> MailServer:
    return MailServer(
        said.mail_server,
        said.mail_port,
        said.mail_from,
        said.mail_security,
        said.mail_user,
        said.mail_password_file,
    )
