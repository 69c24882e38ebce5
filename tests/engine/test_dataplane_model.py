"""Volumes of every layout against a flat byte array, and proof that the check sees planted bugs."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from engine.dataplane import perform
from engine.dataplane.fold import fold
from engine.dataplane.table import PlexMap, Run
from tests.conftest import SOAK
from tests.engine.model_volume import Space, VolumeModel, data_plane, random_plex, reference_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAYOUTS = {
    "concat": (1,),
    "stripe": (3,),
    "mirror": (1, 1),
    "mirror of four": (1, 1, 1, 1),
    "mirrored stripe": (2, 4),
    "mixed": (1, 3),
}
STEPS = 20_000 if SOAK else 2_000


def run_model(seed: int, columns: tuple[int, ...], steps: int) -> None:
    with data_plane() as plane:
        model = VolumeModel(plane, Random(seed), columns)
        model.run(steps)
        model.close()
        assert plane.faults == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_volume_is_a_flat_byte_array(layout: str, seed: int) -> None:
    run_model(seed, LAYOUTS[layout], STEPS)


def test_the_folded_table_equals_the_stack_of_layers(seed: int) -> None:
    random = Random(seed)
    with data_plane() as plane:
        for _ in range(60):
            space = Space(list(plane.memory), random)
            size = random.randrange(1, 700_000)
            columns = random.choice(list(LAYOUTS.values()))
            plexes = [random_plex(random, space, size + 1, count, count) for count in columns]
            stack, table = reference_stack(plexes), fold(plexes, size)
            for _ in range(20):
                offset = random.randrange(size)
                length = random.randrange(1, min(200_000, size - offset) + 1)
                found, expected = bytearray(length), memoryview(bytearray(length))
                for segment, at, part in table.parts(offset, length):
                    assert len(segment.readers) == len(segment.writers) == len(plexes)
                    for run in segment.readers[0].runs(at, part):
                        start = at - offset + run.start
                        run.device.read_into(run.offset, memoryview(found)[start : start + run.length])
                reference_stack(plexes[:1]).read_into(offset, expected)
                assert found == expected
            assert stack.size >= size


def _drop_one_leg(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = perform._write_legs

    def lazy(volume: object, segment: object, request: object, at: int, data: memoryview) -> object:
        fewer = SimpleNamespace(writers=segment.writers[:-1] or segment.writers)
        return honest(volume, fewer, request, at, data)

    monkeypatch.setattr(perform, "_write_legs", lazy)


def _drop_offset_in_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = PlexMap.runs

    def sloppy(self: PlexMap, offset: int, length: int) -> Iterator[Run]:
        for run in honest(self, offset, length):
            inside = (offset + run.start) % self.unit if len(self.columns) > 1 else 0
            yield run._replace(offset=run.offset - inside)

    monkeypatch.setattr(PlexMap, "runs", sloppy)


def _clear_the_first_column_only(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = PlexMap.spans
    monkeypatch.setattr(PlexMap, "spans", lambda self, offset, length: list(honest(self, offset, length))[:1])


def _forget_zeroing_unfinished_plexes(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = perform._clear_legs

    def lazy(volume: object, segment: object, request: object, at: int, size: int) -> object:
        complete = SimpleNamespace(writers=[writer for writer in segment.writers if writer.readable])
        return honest(volume, complete, request, at, size)

    monkeypatch.setattr(perform, "_clear_legs", lazy)


def _copy_a_plex_short(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = VolumeModel._copy_plex
    monkeypatch.setattr(VolumeModel, "_copy_plex", lambda self, key, at, length: honest(self, key, at, length - 1))


@pytest.mark.parametrize(
    ("plant", "columns"),
    [
        (_drop_one_leg, (1, 1)),
        (_drop_offset_in_unit, (3,)),
        (_clear_the_first_column_only, (2, 2)),
        (_forget_zeroing_unfinished_plexes, (1, 1)),
        (_copy_a_plex_short, (1,)),
    ],
)
def test_planted_bugs_are_found(
    plant: Callable[[pytest.MonkeyPatch], None], columns: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run_model(1, columns, STEPS)
