"""What an operator sets for a host: durable before it holds, checked, taken back, and given to what begins later."""

from __future__ import annotations

import pytest

from engine import commands
from engine.errors import CommandRejected, EngineError
from engine.records import (
    Kind,
    Notification,
    RelocationMode,
    Settings,
    Severity,
    Task,
    TaskDelay,
    TaskType,
)
from engine.state_folder.host_state import HostState
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

DELAYS = (TaskDelay(TaskType.ADD_MIRROR, 3), TaskDelay(TaskType.RESYNC, 5))


lab = lab_fixture(0, luns=2, relocates=True)


def settings(lab: EngineLab) -> Settings:
    (found,) = lab.config.all(Kind.SETTINGS, Settings)
    return found


def test_settings_outlive_the_engine_and_are_taken_back(lab: EngineLab) -> None:
    before = settings(lab)
    assert before.hot_relocation is RelocationMode.AUTOMATIC
    rules = (Notification(Severity.ERROR, program=("/usr/bin/logger", "a b")),)
    task = lab.do(
        commands.ChangeSettings(
            hot_relocation=RelocationMode.MANUAL, backups_kept=5, notifications=rules, iodelay_ms=DELAYS
        )
    )
    assert (settings(lab).backups_kept, settings(lab).notifications) == (5, rules)
    lab.relocates = False
    lab.restart()
    assert settings(lab).hot_relocation is RelocationMode.MANUAL
    assert settings(lab).delay_of(TaskType.RESYNC) == 5
    assert settings(lab).delay_of(TaskType.VERIFY) == 0
    lab.do(commands.decode(task.undo))
    assert settings(lab) == before


def test_new_tasks_rest_as_their_type_is_set_to(lab: EngineLab) -> None:
    lab.make_group()
    lab.make_volume(size=4 * MIB)
    lab.do(commands.ChangeSettings(iodelay_ms=DELAYS))
    added = lab.do(commands.AddMirrors(volume=lab.volume().ref))
    assert added.iodelay_ms == 3


@pytest.mark.allow_log("not stopped in order")
@pytest.mark.parametrize(
    ("choices", "type_"),
    [
        ({"mirrors": 2, "log": commands.LogType.NONE}, TaskType.RESYNC),
        ({"raid5": True, "columns": 3, "log": commands.LogType.NONE}, TaskType.PARITY),
    ],
    ids=["mirrors", "parity"],
)
def test_what_begins_by_itself_after_a_crash_rests_too(
    lab: EngineLab, choices: dict[str, object], type_: TaskType
) -> None:
    lab.make_group()
    lab.make_volume(size=4 * MIB, **choices)
    lab.do(commands.ChangeSettings(iodelay_ms=(TaskDelay(type_, 7),)))
    assert lab.write(b"x" * 4096) == 0
    lab.kill()
    lab.start()
    (copy,) = [task for task in lab.config.all(Kind.TASK, Task) if task.type is type_]
    assert copy.iodelay_ms == 7


@pytest.mark.parametrize(
    "wrong",
    [
        commands.ChangeSettings(),
        commands.ChangeSettings(relocation_wait_s=-1),
        commands.ChangeSettings(monitoring_interval_s=0),
        commands.ChangeSettings(backups_kept=0),
        commands.ChangeSettings(mail_server=""),
        commands.ChangeSettings(iodelay_ms=(TaskDelay(TaskType.RESYNC, -1),)),
        commands.ChangeSettings(iodelay_ms=(TaskDelay(TaskType.RESYNC, 1), TaskDelay(TaskType.RESYNC, 2))),
        commands.ChangeSettings(notifications=(Notification(Severity.ERROR),)),
        commands.ChangeSettings(notifications=(Notification(Severity.ERROR, mail="nobody"),)),
        commands.ChangeSettings(notifications=(Notification(Severity.ERROR, program=("logger",)),)),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(lab: EngineLab, wrong: commands.ChangeSettings) -> None:
    before = settings(lab)
    with pytest.raises(CommandRejected):
        lab.engine.submit(wrong)
    assert settings(lab) == before


def test_what_cannot_be_written_down_does_not_hold(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: HostState, next_number: int) -> None:
        raise OSError(28, "No space left on device")

    before = settings(lab)
    with monkeypatch.context() as patched:
        patched.setattr(HostState, "_write", full)
        with pytest.raises(EngineError, match="No space left"):
            lab.engine.submit(commands.ChangeSettings(backups_kept=3))
    assert settings(lab) == before == lab.engine.state.settings
