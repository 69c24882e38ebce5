"""Everything that the console shows has a name of its own and readable words, on a sound lab.

`test_inventory_trouble` does the same on one in trouble."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import display as displays
from tests.e2e.display import Display
from tests.e2e.gallery import Gallery
from tests.e2e.inventory import complaints
from tests.e2e.walker import Node, Walker, walking

AT_LEAST = 60
"""Sights that a walk has at least; fewer mean that it has gone blind."""


ROOM = {"1": "1280x720", "2": "2560x1440"}
"""Scale -> the screen on which a window has 1280x720 points."""


@pytest.fixture
def display(everything_there: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Display]:
    """A screen that is no larger than it must be; `scale` is Qt's."""
    scale = request.param
    with displays.opened(tmp_path / "display", ROOM[scale]) as opened:
        opened.environment["QT_SCALE_FACTOR"] = scale
        yield opened


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without an underscore: paths of LUNs are shown."""
    return tmp_path_factory.mktemp("inventory")


def walk(walker: Walker) -> None:
    """Look at everything and fail with all that is wrong."""
    found: dict[str, None] = {}

    def look(node: Node, where: str) -> None:
        for line in complaints(node, "", frozenset({str(walker.folder)})):
            found.setdefault(line.removeprefix(": "), None)
            places.setdefault(line.removeprefix(": "), where)

    places: dict[str, str] = {}
    gallery = Gallery(walker, look)
    walker.find(("tree", ""), ("table cell", "StorageAgent"))
    gallery.all()
    assert [f"{places[line]}: {line}" for line in found] == []
    assert gallery.cut == []
    assert gallery.grey == []
    assert len(gallery.seen) >= AT_LEAST, sorted(gallery.seen)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("display", ["1"], indirect=True)
def test_the_lab(display: Display, folder: Path) -> None:
    with walking(display, folder) as walker:
        walk(walker)
