"""Words: every state has a tone and a text, times and sizes read as they should, errors are sentences."""

from __future__ import annotations

import errno

import msgspec
import pytest

from engine.errors import CommandRejected, DeviceError
from engine.plans import Problem
from engine.records import (
    DiskStatus,
    GroupState,
    Kind,
    PlexState,
    Ref,
    Severity,
    Task,
    TaskState,
    TaskType,
    VolumeStatus,
)
from tests.gui import sample_lab
from tests.gui.sample_lab import HOST_ID, ref
from vea_gui import words
from vea_gui.mirror import Mirror
from vea_gui.words import Tone

replace = msgspec.structs.replace


@pytest.mark.parametrize(
    ("states", "table"),
    [
        (VolumeStatus, words.VOLUME_TONES),
        (DiskStatus, words.DISK_TONES),
        (GroupState, words.GROUP_TONES),
        (PlexState, words.PLEX_TONES),
        (PlexState, words.PLEX_WORDS),
        (TaskState, words.TASK_TONES),
        (TaskState, words.TASK_WORDS),
        (Severity, words.SEVERITY_TONES),
        (Kind, words.KIND_NAMES),
    ],
)
def test_tables_are_whole(states: type, table: dict[object, object]) -> None:
    assert set(table) == set(states)


def test_a_fenced_volume_is_an_error_whatever_its_status() -> None:
    volume = replace(sample_lab.volume(1, "ev", 1), fenced="A flush failed")
    assert words.tone_of(volume) is Tone.ERROR
    assert words.trouble(volume) == "Volume ev: A flush failed."


def test_what_is_well_has_no_trouble() -> None:
    for record in sample_lab.records():
        if record.ref.kind is not Kind.VOLUME:
            assert words.trouble(record) == ""


def task(**more: object) -> Task:
    return Task(ref=Ref(Kind.TASK, "1", HOST_ID), name="Move", type=TaskType.MOVE_SUBDISK, **more)


@pytest.mark.parametrize(
    ("values", "percent"),
    [
        ({"bytes_total": 0}, None),
        ({"bytes_total": 200, "bytes_done": 122}, 61),
        ({"bytes_total": 200, "bytes_done": 200}, 99),
        ({"bytes_total": 200, "bytes_done": 250}, 99),
        ({"bytes_total": 0, "state": TaskState.COMPLETED}, 100),
    ],
)
def test_percent_is_100_only_at_the_end(values: dict[str, object], percent: int | None) -> None:
    assert words.percent_done(task(**values)) == percent


def test_time_left_is_a_band_while_it_runs() -> None:
    running = task(state=TaskState.RUNNING, eta_low_s=38.0, eta_high_s=52.0)
    assert words.time_left(running) == "38-52 s left"
    assert words.time_left(replace(running, state=TaskState.PAUSED)) == ""
    assert words.time_left(replace(running, eta_low_s=-1.0)) == ""


def test_errors_are_sentences() -> None:
    refusal = CommandRejected([Problem("ev is in use.", "Disconnect its clients.")])
    assert words.error_sentence(refusal) == "ev is in use. Disconnect its clients."
    assert words.problem_lines(refusal) == ["ev is in use. Disconnect its clients."]
    broken = DeviceError(errno.EIO, "/dev/sdb", "Reading")
    assert words.error_sentence(broken) == "Reading on /dev/sdb failed: Input/output error."
    assert "No such file" in words.error_sentence(FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"))
    assert "KeyError" not in words.error_sentence(KeyError("row_of"))


def test_counts_read_well() -> None:
    assert words.count_of(1, Kind.VOLUME) == "1 volume"
    assert words.count_of(12_000, Kind.DISK) == "12,000 disks"
    assert words.count_of(0, Kind.PLEX) == "0 mirrors"


def test_status_without_work_is_the_status_alone() -> None:
    mirror = Mirror()
    assert words.status_text(mirror, sample_lab.volume(1, "ev", 1)) == "Healthy"
    assert words.status_text(mirror, sample_lab.plex(1, 1, "ev-01", state=PlexState.STALE)) == "Out of date"
    assert ref(Kind.VOLUME, 1).kind is Kind.VOLUME
