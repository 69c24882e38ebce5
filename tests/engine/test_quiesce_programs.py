"""Programs of the site that are told of a Snap Shot: run as the host is set, by no shell, and never left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import commands as c
from engine.records import Consistency, Link, Quiescing, Settings
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_prepare import prepare, why_not
from tests.engine.test_quiesce_agent import await_idle, link_of

lab = lab_fixture()


def program(folder: Path, script: str) -> str:
    path = folder / "hook"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/log\n{script}\n')
    path.chmod(0o755)
    return str(path)


def told(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text().splitlines() if log.exists() else []


def snap(lab: EngineLab, folder: Path, script: str, *, limit_s: int = 10, quiesce: c.Quiesce = c.Quiesce.AUTO) -> Link:
    lab.make_volume()
    prepare(lab)
    rule = Quiescing(lab.volume().ref.id, program=(program(folder, script), "a b", "$(touch x)"))
    lab.do(c.ChangeSettings(quiesce=(rule,), freeze_limit_s=limit_s if limit_s != 10 else None))
    lab.do(c.TakeSnapshots(choices=(c.SnapChoice(lab.volume().ref),), quiesce=quiesce))
    await_idle(lab)
    return link_of(lab)


def test_a_program_is_told_before_and_after_and_gives_the_highest_level(lab: EngineLab, tmp_path: Path) -> None:
    link = snap(lab, tmp_path, "")
    assert told(tmp_path) == ["a b $(touch x) freeze", "a b $(touch x) thaw"]
    assert link.consistency is Consistency.APPLICATION
    assert link.frozen == (f"what {tmp_path}/hook takes care of",)


def test_none_runs_nothing(lab: EngineLab, tmp_path: Path) -> None:
    link = snap(lab, tmp_path, "", quiesce=c.Quiesce.NONE)
    assert (told(tmp_path), link.consistency, link.lower) == ([], Consistency.CRASH, "")


@pytest.mark.parametrize(
    ("script", "limit_s", "why"),
    [
        ("echo no room >&2; test $3 = thaw", 10, "could not be frozen: it ended with status 1: no room"),
        ("test $3 = thaw || sleep 1000", 1, "could not be frozen: it"),
        ("test $3 = freeze", 10, "could not be thawed: it ended with status 1"),
    ],
    ids=["fails", "hangs", "does not thaw"],
)
def test_a_program_that_goes_wrong_is_told_to_thaw_nevertheless(
    lab: EngineLab, tmp_path: Path, script: str, limit_s: int, why: str
) -> None:
    link = snap(lab, tmp_path, f"echo $$ >> {tmp_path}/pids\n{script}", limit_s=limit_s)
    assert link.consistency is Consistency.CRASH
    assert why in link.lower
    assert "a b $(touch x) thaw" in told(tmp_path)
    for number in (tmp_path / "pids").read_text().split():
        assert not os.path.exists(f"/proc/{number}")


def test_only_whole_paths_are_taken(lab: EngineLab) -> None:
    lab.make_volume()
    here = lab.volume().ref.id
    bad = [Quiescing(here, program=("hook",)), Quiescing(here, agent="agent"), Quiescing(here, program=("/a\0b",))]
    for rule in bad:
        assert "path" in why_not(lab, c.ChangeSettings(quiesce=(rule,))) or "argument" in why_not(
            lab, c.ChangeSettings(quiesce=(rule,))
        )
    assert "twice" in why_not(lab, c.ChangeSettings(quiesce=(Quiescing(here, agent="/a"), Quiescing(here, agent="/b"))))
    assert isinstance(lab.config.settings, Settings)
    assert lab.config.settings.quiesce == ()
