"""A host for walks through the console: its engine and its LUN files are real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.host import OpenedHost, start_host
from engine.lab import Lab, create_lab
from engine.luns import HostDevice


def host_fixture(lab: Lab, opener: Callable[[str], HostDevice] | None = None) -> Callable[[Path], Iterator[OpenedHost]]:
    """A fixture for a module's `host`: it runs on a new lab of this shape. `opener` opens each LUN."""

    @pytest.fixture
    def host(tmp_path: Path) -> Iterator[OpenedHost]:
        create_lab(tmp_path / "lab", lab)
        opened = start_host(
            lab=str(tmp_path / "lab"),
            state=str(tmp_path / "state"),
            socket=str(tmp_path / "control"),
            nbd=str(tmp_path / "nbd"),
            opener=opener,
        )
        yield opened
        opened.close()

    return host
