"""Alerts leave the host by the operator's rules: real mail over a real socket, real programs, no shell anywhere."""

from __future__ import annotations

import ast
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import commands
from engine.alerts import mail, notify_send
from engine.errors import CommandRejected, EngineError
from engine.records import Alert, Kind, Notification, Remedy, Settings, Severity
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.smtp_stub import SmtpStub, smtp_stub

ADDRESS = "admin@example.org"
BY_MAIL = Notification(Severity.WARNING, mail=ADDRESS)


lab = lab_fixture(0, luns=2)


@pytest.fixture
def server() -> Iterator[SmtpStub]:
    with smtp_stub() as stub:
        yield stub


def use(lab: EngineLab, server: SmtpStub | None, *rules: Notification) -> None:
    port = server.port if server is not None else 25
    lab.do(commands.ChangeSettings(notifications=rules, mail_server="127.0.0.1", mail_port=port))


def script(tmp_path: Path, text: str, name: str = "tell.py") -> str:
    """An executable that runs Python lines; `out` is the folder to leave something in."""
    path = tmp_path / name
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\nout = {str(tmp_path)!r}\n{text}\n")
    path.chmod(0o755)
    return str(path)


def alert(lab: EngineLab, severity: Severity, text: str, **more: object) -> None:
    lab.engine.committer.alert(severity, text, **more)  # type: ignore[arg-type]


def troubles(lab: EngineLab) -> list[Alert]:
    """The alerts about notifications themselves."""
    return [each for each in lab.config.all(Kind.ALERT, Alert) if each.action is Remedy.EVENT_NOTIFICATION]


def until(lab: EngineLab, holds) -> None:  # type: ignore[no-untyped-def]
    assert lab.engine.committer.wait_until(lambda _: holds(), 60)


def appears(path: Path) -> str:
    """The text of a file that a program writes and then renames into place."""
    end = time.monotonic() + 60
    waiting = threading.Event()
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} does not come"
        waiting.wait(0.01)
    return path.read_text()


def test_a_mail_says_what_happened_why_and_what_to_do(lab: EngineLab, server: SmtpStub) -> None:
    use(lab, server, BY_MAIL)
    group = lab.make_group().ref
    alert(lab, Severity.INFORMATION, "Nothing that matters.")
    alert(lab, Severity.ERROR, "A disk\nfails.", about=group, cause="It hums.", remedy="Pull it.")
    [mail] = server.mails(1)
    assert mail["To"] == ADDRESS
    assert "Error: A disk fails." in mail["Subject"]
    body = mail.get_content()
    for words in (lab.config[group].name, "It hums.", "Pull it."):
        assert words in body
    assert "Nothing that matters" not in body


def test_a_storm_is_few_mails_and_every_alert_is_in_one(lab: EngineLab, server: SmtpStub) -> None:
    use(lab, server, BY_MAIL)
    with lab.engine.committer.lock:  # none of them waits for a mail
        for number in range(200):
            alert(lab, Severity.ERROR, f"Trouble {number:03d}.")
    alert(lab, Severity.ERROR, "The last one.")
    told, mails = "", 0
    while "The last one." not in told:
        mails += 1
        told = "".join(mail.get_content() for mail in server.mails(mails))
    assert [number for number in range(200) if f"Trouble {number:03d}." not in told] == []
    assert mails < 100


def test_a_program_gets_its_arguments_as_they_are(lab: EngineLab, tmp_path: Path) -> None:
    """What a shell would have taken for its own arrives as text; the alert is in the environment and on the input."""
    program = script(
        tmp_path,
        "text = repr((sys.argv[1:], os.environ['VEA_SEVERITY'], os.environ['VEA_MESSAGE'], sys.stdin.read()))\n"
        "open(out + '/new', 'w').write(text); os.rename(out + '/new', out + '/told')",
    )
    arguments = ("a b", "$(touch /tmp/x); `id`", "%s {0}", "")
    use(lab, None, Notification(Severity.ERROR, program=(program, *arguments)))
    alert(lab, Severity.ERROR, "'; rm -rf /", cause="$HOME")
    found = ast.literal_eval(appears(tmp_path / "told"))
    assert found[:3] == (list(arguments), "Error", "'; rm -rf /")
    assert "Cause: $HOME" in found[3]


def test_what_cannot_be_sent_is_told_once_and_by_the_other_rules(
    lab: EngineLab, server: SmtpStub, tmp_path: Path
) -> None:
    bad = script(tmp_path, "print('no tape in the machine'); sys.exit(3)")
    use(lab, server, Notification(Severity.INFORMATION, program=(bad,)), BY_MAIL)
    for number in range(3):
        alert(lab, Severity.WARNING, f"Event {number}.")
    until(lab, lambda: len(troubles(lab)) == 1)
    [told] = troubles(lab)
    assert "status 3" in told.cause
    assert "no tape in the machine" in told.cause
    everything = ""
    mails = 0
    while not all(words in everything for words in ("Event 2.", "could not be passed on")):
        mails += 1
        everything = "".join(mail.get_content() for mail in server.mails(mails))
    assert len(troubles(lab)) == 1


def test_it_is_told_again_when_it_worked_in_between(lab: EngineLab, server: SmtpStub) -> None:
    use(lab, server, BY_MAIL)
    server.refuse = "550 no such box"
    alert(lab, Severity.ERROR, "One.")
    until(lab, lambda: len(troubles(lab)) == 1)
    assert "550 no such box" in troubles(lab)[0].cause
    server.refuse = ""
    alert(lab, Severity.ERROR, "Two.")
    server.mails(1)
    server.refuse = "550 gone again"
    alert(lab, Severity.ERROR, "Three.")
    until(lab, lambda: len(troubles(lab)) == 2)


def test_the_test_button_sends_now_or_says_why_not(lab: EngineLab, server: SmtpStub) -> None:
    command = commands.SendTestNotification(notification=BY_MAIL, mail_server="127.0.0.1", mail_port=server.port)
    lab.do(command)
    assert "test" in server.mails(1)[0]["Subject"]
    assert lab.config.all(Kind.SETTINGS, Settings)[0].notifications == ()
    server.refuse = "550 not here"
    with pytest.raises(EngineError, match="550 not here"):
        lab.do(command)


def test_a_server_that_nobody_runs_and_a_program_that_is_not_there(lab: EngineLab, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(EngineError, match="refused"):
        lab.do(commands.SendTestNotification(notification=BY_MAIL, mail_server="127.0.0.1", mail_port=port))
    gone = Notification(Severity.ERROR, program=(str(tmp_path / "gone"),))
    with pytest.raises(EngineError, match="could not be run"):
        lab.do(commands.SendTestNotification(notification=gone, mail_server="x", mail_port=25))


@pytest.mark.parametrize(
    "rule",
    [
        Notification(Severity.ERROR),
        Notification(Severity.ERROR, mail="a@b\nBcc: everybody@example.org"),
        Notification(Severity.ERROR, mail="nobody"),
        Notification(Severity.ERROR, program=("logger",)),
        Notification(Severity.ERROR, program=("/bin/true", "a\0b")),
        Notification(Severity.ERROR, mail=ADDRESS, program=("/bin/true",)),
    ],
)
def test_rules_that_make_no_sense_are_refused(lab: EngineLab, rule: Notification) -> None:
    with pytest.raises(CommandRejected):
        lab.do(commands.ChangeSettings(notifications=(rule,)))
    with pytest.raises(CommandRejected):
        lab.do(commands.SendTestNotification(notification=rule, mail_server="127.0.0.1", mail_port=25))


def test_a_program_that_hangs_is_ended_with_its_children(
    lab: EngineLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify_send, "PROGRAM_DEADLINE_S", 0.5)
    hangs = script(tmp_path, "import subprocess\nsubprocess.run(['sleep', '600'])")
    with pytest.raises(EngineError, match="ran longer"):
        lab.do(
            commands.SendTestNotification(
                notification=Notification(Severity.ERROR, program=(hangs,)), mail_server="x", mail_port=25
            )
        )


def test_the_end_of_the_engine_waits_for_nobody(
    tmp_path: Path, server: SmtpStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent mail server and a program that hangs keep no engine from ending; alerts come back for nobody."""
    monkeypatch.setattr(mail, "MAIL_DEADLINE_S", 600.0)
    monkeypatch.setattr(notify_send, "PROGRAM_DEADLINE_S", 600.0)
    hangs = script(tmp_path, "open(out + '/begun', 'w').close()\ntime.sleep(600)")
    server.silent = True
    for rule, begun in ((BY_MAIL, server.spoken_to), (Notification(Severity.ERROR, program=(hangs,)), None)):
        folder = tmp_path / ("mail" if rule.mail else "program")
        folder.mkdir()
        running = EngineLab(folder, luns=1).start()
        use(running, server, rule)
        alert(running, Severity.ERROR, "Trouble.")
        if begun is not None:
            begun()
        else:
            appears(tmp_path / "begun")
        before = time.monotonic()
        running.stop()
        assert time.monotonic() - before < 60


def test_a_slow_rule_holds_up_no_commit(lab: EngineLab, tmp_path: Path) -> None:
    hangs = script(tmp_path, "open(out + '/begun', 'w').close()\ntime.sleep(600)")
    use(lab, None, Notification(Severity.ERROR, program=(hangs,)))
    alert(lab, Severity.ERROR, "Trouble.")
    appears(tmp_path / "begun")
    lab.make_group()
