"""Mail by TLS and with a login: against a mail server with a real certificate, and against those that are not it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine import commands
from engine.alerts import mail
from engine.alerts.mail import MailServer
from engine.alerts.notify_send import Notice, Sender
from engine.errors import CommandRejected, EngineError
from engine.records import Alert, Kind, MailSecurity, Notification, Remedy, Settings, Severity
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.smtp_stub import SmtpStub, certificate, smtp_stub

PASSWORD = "open-sesame-7"
NOTICE = Notice(Severity.ERROR, 0.0, "A disk fails.")

lab = lab_fixture(0, luns=2)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    return certificate(tmp_path_factory.mktemp("own"), "IP:127.0.0.1")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    return certificate(tmp_path_factory.mktemp("foreign"), "DNS:mail.example.org")


@pytest.fixture
def serve() -> Iterator[Callable[..., SmtpStub]]:
    with ExitStack() as stack:
        yield lambda *given, **named: stack.enter_context(smtp_stub(*given, **named))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A password file as it has to be."""
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\nwhat follows is not read\n")
    path.chmod(0o600)
    return path


def post(server: MailServer) -> None:
    Sender("host").mail("admin@example.org", server, [NOTICE])


def at(stub: SmtpStub, security: MailSecurity, secret: Path | None = None) -> MailServer:
    user, file = ("ann", str(secret)) if secret is not None else ("", "")
    return MailServer("127.0.0.1", stub.port, "", security, user, file)


@pytest.mark.parametrize("security", [MailSecurity.STARTTLS, MailSecurity.TLS])
def test_a_mail_with_a_login_goes_under_tls(  # type: ignore[no-untyped-def]
    serve, own, secret, security, monkeypatch
) -> None:
    context, trusted = own
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    stub = serve(context, at_once=security is MailSecurity.TLS, login=f"ann {PASSWORD}")
    post(at(stub, security, secret))
    assert "A disk fails." in stub.mails(1)[0]["Subject"]
    assert {line[:4] for line in stub.overheard.lower().splitlines()} <= {b"ehlo", b"star"}


@pytest.mark.parametrize(
    ("security", "offers", "words"),
    [
        (MailSecurity.STARTTLS, "own", "can't prove that it is 127.0.0.1: self-signed certificate"),
        (MailSecurity.TLS, "own", "can't prove that it is 127.0.0.1: self-signed certificate"),
        (MailSecurity.STARTTLS, "foreign", "can't prove that it is 127.0.0.1: IP address mismatch"),
        (MailSecurity.TLS, "foreign", "can't prove that it is 127.0.0.1: IP address mismatch"),
        (MailSecurity.STARTTLS, "", "offers no STARTTLS there"),
        (MailSecurity.TLS, "", "does not speak TLS there"),
    ],
)
def test_whoever_does_not_prove_itself_gets_no_mail(  # type: ignore[no-untyped-def]
    serve, own, foreign, secret, security, offers, words, monkeypatch
) -> None:
    if offers != "own":
        monkeypatch.setenv("SSL_CERT_FILE", str(foreign[1]))
    context = {"own": own[0], "foreign": foreign[0], "": None}[offers]
    stub = serve(context, at_once=security is MailSecurity.TLS and context is not None, login=f"ann {PASSWORD}")
    with pytest.raises(EngineError, match=words):
        post(at(stub, security, secret))
    assert b"mail from" not in stub.overheard.lower()
    assert b"auth" not in stub.overheard.lower()


@pytest.mark.parametrize(("login", "words"), [("ann other", "535 no such user"), ("", "takes no user name")])
def test_a_login_that_fails_says_so_without_the_password(  # type: ignore[no-untyped-def]
    serve, own, secret, login, words, monkeypatch
) -> None:
    context, trusted = own
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    stub = serve(context, login=login)
    with pytest.raises(EngineError, match=words) as told:
        post(at(stub, MailSecurity.STARTTLS, secret))
    assert PASSWORD not in str(told.value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "can't be read: No such file"),
        (lambda path: path.chmod(0o640), "chmod 600"),
        (lambda path: path.chmod(0o604), "chmod 600"),
        (lambda path: path.write_text("\nsecret\n"), "no password"),
        (lambda path: path.write_bytes(b"\xff\n"), "no password"),
        (lambda path: (path.unlink(), path.mkdir()), "no regular file"),
    ],
)
def test_a_password_file_that_will_not_do_is_told_before_anybody_is_spoken_to(  # type: ignore[no-untyped-def]
    serve, secret, spoil, words
) -> None:
    stub = serve()
    spoil(secret)
    with pytest.raises(EngineError, match=words):
        post(at(stub, MailSecurity.STARTTLS, secret))
    assert stub.overheard == b""


def test_the_password_is_nowhere_but_in_its_file(  # type: ignore[no-untyped-def]
    lab: EngineLab, serve, own, secret, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch
) -> None:
    """A rule that works, then one that fails and is told by an alert: neither leaves it in state, logs or records."""
    context, trusted = own
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    stub = serve(context, login=f"ann {PASSWORD}")
    lab.do(
        commands.ChangeSettings(
            notifications=(Notification(Severity.ERROR, mail="admin@example.org"),),
            mail_server="127.0.0.1",
            mail_port=stub.port,
            mail_security=MailSecurity.STARTTLS,
            mail_user="ann",
            mail_password_file=str(secret),
        )
    )
    lab.engine.committer.alert(Severity.ERROR, "One.")
    stub.mails(1)
    stub.login = "ann changed"
    lab.engine.committer.alert(Severity.ERROR, "Two.")

    def failed(config) -> bool:  # type: ignore[no-untyped-def]
        return any(each.action is Remedy.EVENT_NOTIFICATION for each in config.all(Kind.ALERT, Alert))

    assert lab.engine.committer.wait_until(failed, 60)
    assert lab.config.all(Kind.SETTINGS, Settings)[0].mail_password_file == str(secret)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != secret]
    assert files
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
    assert PASSWORD not in caplog.text
    assert not any(PASSWORD in repr(record) for record in lab.config)


def test_a_server_that_stops_in_the_middle_of_a_handshake_is_given_up_at_once(  # type: ignore[no-untyped-def]
    serve, own, monkeypatch
) -> None:
    monkeypatch.setattr(mail, "MAIL_DEADLINE_S", 600.0)
    stub = serve(own[0])
    stub.deaf = True
    sender, said = Sender("host"), []

    def run() -> None:
        try:
            sender.mail("a@example.org", at(stub, MailSecurity.STARTTLS), [NOTICE])
        except EngineError as error:
            said.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    stub.asked_for_tls()
    sender.abort()
    thread.join(60)
    assert said


@pytest.mark.parametrize(
    "wrong",
    [
        commands.ChangeSettings(mail_user="ann"),
        commands.ChangeSettings(mail_password_file="/etc/secret"),
        commands.ChangeSettings(mail_user="ann", mail_password_file="/etc/secret"),
        commands.ChangeSettings(mail_user="a b", mail_password_file="/x", mail_security=MailSecurity.TLS),
        commands.ChangeSettings(mail_user="ann", mail_password_file="x", mail_security=MailSecurity.TLS),
        commands.ChangeSettings(mail_user="ann", mail_password_file="/x\n", mail_security=MailSecurity.TLS),
    ],
)
def test_logins_that_make_no_sense_are_refused(lab: EngineLab, wrong: commands.ChangeSettings) -> None:
    with pytest.raises(CommandRejected):
        lab.engine.submit(wrong)


def test_a_login_keeps_its_tls(lab: EngineLab) -> None:
    login = {"mail_user": "ann", "mail_password_file": "/x"}
    lab.do(commands.ChangeSettings(mail_security=MailSecurity.TLS, **login))
    with pytest.raises(CommandRejected, match="overhear"):
        lab.engine.submit(commands.ChangeSettings(mail_security=MailSecurity.NONE))
    lab.do(commands.ChangeSettings(mail_security=MailSecurity.NONE, mail_user="", mail_password_file=""))
