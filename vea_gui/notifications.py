"""Rules of the event notification as an operator edits them: text first, a rule when it is asked for. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.commands import ChangeSettings, SendTestNotification
from engine.records import MailSecurity, Notification, Settings, Severity

FROM_WORDS = {
    Severity.ERROR: "Errors",
    Severity.WARNING: "Warnings and errors",
    Severity.INFORMATION: "All alerts",
}
SECURITY_WORDS = {
    MailSecurity.NONE: "No encryption",
    MailSecurity.STARTTLS: "STARTTLS",
    MailSecurity.TLS: "TLS",
}
USUAL_PORTS = {MailSecurity.NONE: 25, MailSecurity.STARTTLS: 587, MailSecurity.TLS: 465}


@dataclass(frozen=True)
class RuleDraft:
    """One rule in the making; `mail` decides which of the other fields count."""

    severity: Severity = Severity.ERROR
    mail: bool = True
    address: str = ""
    program: str = ""
    arguments: str = ""  # one a line

    @classmethod
    def of(cls, rule: Notification) -> RuleDraft:
        if rule.mail:
            return cls(rule.severity, True, rule.mail)
        return cls(rule.severity, False, "", rule.program[0], "\n".join(rule.program[1:]))

    def rule(self) -> Notification:
        """As the engine keeps it; whether it makes sense is for its planner to say."""
        if self.mail:
            return Notification(self.severity, mail=self.address.strip())
        return Notification(self.severity, program=(self.program.strip(), *self.arguments.splitlines()))

    @property
    def to(self) -> str:
        """Who is told, on one line."""
        if self.mail:
            return self.address.strip() or "nobody yet"
        return " ".join([self.program.strip() or "no program yet", *self.arguments.splitlines()])


@dataclass(frozen=True)
class Draft:
    """The whole dialog."""

    server: str = ""
    port: int = 25
    sender: str = ""
    security: MailSecurity = MailSecurity.NONE
    user: str = ""
    password_file: str = ""
    rules: tuple[RuleDraft, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Draft:
        return cls(
            settings.mail_server,
            settings.mail_port,
            settings.mail_from,
            settings.mail_security,
            settings.mail_user,
            settings.mail_password_file,
            tuple(RuleDraft.of(rule) for rule in settings.notifications),
        )

    def with_rule(self, number: int, rule: RuleDraft) -> Draft:
        rules = [*self.rules]
        rules[number] = rule
        return replace(self, rules=tuple(rules))

    def secured(self, security: MailSecurity) -> Draft:
        """With another security, at its usual port where the usual one stood before."""
        usual = self.port == USUAL_PORTS[self.security]
        return replace(self, security=security, port=USUAL_PORTS[security] if usual else self.port)

    def command(self) -> ChangeSettings:
        """What OK does."""
        return ChangeSettings(
            notifications=tuple(rule.rule() for rule in self.rules),
            mail_server=self.server.strip(),
            mail_port=self.port,
            mail_from=self.sender.strip(),
            mail_security=self.security,
            mail_user=self.user.strip(),
            mail_password_file=self.password_file.strip(),
        )

    def test(self, number: int) -> SendTestNotification:
        """What Send Test does, with what stands in the dialog, whatever is set."""
        return SendTestNotification(
            notification=self.rules[number].rule(),
            mail_server=self.server.strip(),
            mail_port=self.port,
            mail_from=self.sender.strip(),
            mail_security=self.security,
            mail_user=self.user.strip(),
            mail_password_file=self.password_file.strip(),
        )

    def changes(self, settings: Settings) -> bool:
        """Whether OK would change anything."""
        return self.command() != Draft.of(settings).command()
