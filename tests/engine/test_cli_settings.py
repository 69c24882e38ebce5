"""The command line of what is set for the host: listed, changed, planned, and taken over by the next engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.host import OpenedHost
from engine.records import TaskType
from tests.engine.cli_lab import Line
from tests.engine.small_host import host_fixture

host = host_fixture()


@pytest.fixture
def line(host: OpenedHost) -> Line:
    return Line(host.socket)


def test_settings_are_listed_and_changed(line: Line) -> None:
    before = line.ask("vxtune list")
    assert (before["hot_relocation"], before["backups_kept"]) == ("automatic", 32)
    planned = line("vxtune set hotrelocation=manual relocationwait=300 --plan")
    assert planned.status == 0
    assert "hot relocation" in planned.out
    assert line.ask("vxtune list") == before
    words = (
        "hotrelocation=manual relocationwait=300 monitoringinterval=2 backupskept=7 mailserver=m mailport=26 mailfrom=v"
        " mailsecurity=starttls mailuser=ann mailpasswordfile=/etc/vea/mail"
    )
    assert line(f"vxtune set {words}").status == 0
    after = line.ask("vxtune list")
    assert after == before | {
        "hot_relocation": "manual",
        "relocation_wait_s": 300,
        "monitoring_interval_s": 2,
        "backups_kept": 7,
        "mail_server": "m",
        "mail_port": 26,
        "mail_from": "v",
        "mail_security": "starttls",
        "mail_user": "ann",
        "mail_password_file": "/etc/vea/mail",
    }
    refused = line("vxtune set backupskept=7")
    assert (refused.status, "set already" in refused.err) == (1, True)
    assert "mailport" in line("vxtune list").out


def test_each_type_of_task_has_its_rest(line: Line) -> None:
    kinds = {kind.name.lower() for kind in TaskType} - {"command", "rescan"}
    assert set(line.ask("vxtune list")["iodelay_ms"]) == kinds
    assert line("vxtune throttle all iodelay=5").status == 0
    assert line("vxtune throttle resync iodelay=20").status == 0
    assert line.ask("vxtune list")["iodelay_ms"] == dict.fromkeys(kinds, 5) | {"resync": 20}
    assert line("vxtune throttle all iodelay=0").status == 0
    assert line.ask("vxtune list")["iodelay_ms"] == dict.fromkeys(kinds, 0)


def test_rules_are_added_tried_and_taken_away(line: Line, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = tmp_path / "page"
    script.write_text(f'#!/bin/sh\necho "$1 $VEA_SEVERITY" > {seen}\n')
    script.chmod(0o755)
    assert line("vxnotify mail warning storage@example.org").status == 0
    assert line(["vxnotify", "run", "Error", "--", str(script), "--team"]).status == 0
    first, second = line.ask("vxnotify list")
    assert first == {"rule": 1, "severity": "Warning", "mail": "storage@example.org", "program": []}
    assert second == {"rule": 2, "severity": "Error", "mail": "", "program": [str(script), "--team"]}
    assert line("vxnotify test 2").status == 0
    assert seen.read_text().startswith("--team ")
    assert line("vxnotify rm 1").status == 0
    assert [rule["program"] for rule in line.ask("vxnotify list")] == [[str(script), "--team"]]
    assert line("vxnotify rm 2").status == 1
    assert str(script) in line("vxnotify list").out
    assert json.loads(line("vxnotify rm 1 --json").out)
    assert line.ask("vxnotify list") == []


def test_alerts_are_listed_with_what_to_do_and_acknowledged(line: Line, host: OpenedHost) -> None:
    assert line("vxnotify alerts").out == "No alert is open.\n"
    assert line.ask("vxnotify alerts") == []
    lun = Path(next(disk["lun"] for disk in line.ask("vxdisk list") if disk["name"] == "Harddisk7"))
    lun.rename(lun.with_suffix(".away"))
    assert line("vxdisk rescan").status == 0
    (alert,) = line.ask("vxnotify alerts")
    assert alert["message"] == "Harddisk7 of the disk group dg1 is missing."
    assert (alert["severity"], alert["object"], alert["action_on"]) == ("Error", "Harddisk7", "Harddisk7")
    assert alert["remedy"] in line("vxnotify alerts").out
    refused = line("vxnotify ack 99999")
    assert (refused.status, "no open alert 99999" in refused.err) == (1, True)
    assert line(f"vxnotify ack {alert['id']} --plan").status == 0
    assert line.ask("vxnotify alerts") == [alert]
    assert line(f"vxnotify ack {alert['id']}").status == 0
    assert line.ask("vxnotify alerts") == []
    assert line("vxnotify ack").status == 0
