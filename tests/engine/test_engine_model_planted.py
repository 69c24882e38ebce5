"""Proof that the model of a whole engine sees what it is for: each planted bug turns a run of usual length red."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from engine import assemble
from engine.dataplane import perform
from engine.records import TaskType, Volume
from engine.tasks import grow, move
from engine.tasks.belt import Belt
from engine.tasks.kinds import KINDS
from engine.tasks.ledger import Ledger
from engine.tasks.steps import COPY_BYTES
from tests.engine.test_engine_model import CI_STEPS, drive

SEED = 7

Plant = Callable[[pytest.MonkeyPatch], None]


def _forget_the_target_of_a_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Client writes go to the old place only."""
    honest = perform._write_legs

    def lazy(volume: Any, segment: Any, request: Any, at: int, data: memoryview) -> Any:
        old = [writer for writer in segment.writers if writer.piece is None]
        return honest(volume, SimpleNamespace(writers=old), request, at, data)

    monkeypatch.setattr(perform, "_write_legs", lazy)


def _forget_to_zero_what_is_being_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = perform._clear_legs

    def lazy(volume: Any, segment: Any, request: Any, at: int, size: int) -> Any:
        complete = [writer for writer in segment.writers if writer.readable]
        return honest(volume, SimpleNamespace(writers=complete), request, at, size)

    monkeypatch.setattr(perform, "_clear_legs", lazy)


def _take_over_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last chunk of a subdisk is not waited for."""
    honest = move.chunks

    def early(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
        yield from list(honest(start, end, size))[:-1]

    monkeypatch.setattr(move, "chunks", early)


def _take_over_without_the_last_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "flush", lambda self, disks=(): None)


def _grow_without_zeroing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grow, "zero_subdisks", lambda subdisks, done: iter(()))


def _read_from_a_plex_that_is_being_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = assemble.PlexLayout
    monkeypatch.setattr(assemble, "PlexLayout", lambda *given, readable: honest(*given, readable=True))


def _keep_the_target_of_an_aborted_move(monkeypatch: pytest.MonkeyPatch) -> None:
    for type_ in (TaskType.MOVE_SUBDISK, TaskType.EVACUATE_DISK):
        monkeypatch.setitem(KINDS, type_, KINDS[type_]._replace(undo=lambda edit, task: ""))


def _go_on_too_far_behind_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Belt.watermark
    monkeypatch.setattr(Belt, "watermark", lambda self: honest(self) + COPY_BYTES)


def _publish_a_growth_by_a_wrong_size(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = grow._publish

    def longer(edit: Any, task: Any) -> None:
        honest(edit, task)
        volume = edit.config.volume(task.params.volume)
        assert isinstance(volume, Volume)
        edit.put(replace(volume, size=volume.size + 4096))

    monkeypatch.setattr(grow, "_publish", longer)


@pytest.mark.parametrize(
    ("plant", "layout"),
    [
        (_forget_the_target_of_a_move, "concat"),
        (_forget_to_zero_what_is_being_filled, "mirrored stripe"),
        (_take_over_too_early, "stripe"),
        (_take_over_without_the_last_flush, "mirror"),
        (_grow_without_zeroing, "concat"),
        (_read_from_a_plex_that_is_being_filled, "mirror"),
        (_keep_the_target_of_an_aborted_move, "pieces"),
        (_go_on_too_far_behind_a_pause, "mirror of three"),
        (_publish_a_growth_by_a_wrong_size, "mirror"),
    ],
)
def test_a_planted_bug_is_found(plant: Plant, layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        drive(tmp_path, SEED, layout, CI_STEPS, monkeypatch)


def test_a_seed_makes_the_same_run_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        with monkeypatch.context() as patch:
            logs.append(list(drive(folder, SEED, "mirror", 300, patch).log))
    assert logs[0] == logs[1]
