"""A real engine on a small lab: twelve sparse LUNs of 64 MiB in a temporary folder, with its sockets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.host import OpenedHost, start_host
from engine.lab import Lab, create_lab
from engine.units import MIB

LUN_SIZE = 64 * MIB


@contextlib.contextmanager
def small_host(folder: Path, lab: Lab | None = None) -> Iterator[OpenedHost]:
    """The engine, serving. The lab has dg1 on six disks, and Harddisk3-5 and 9-11 free."""
    create_lab(folder / "lab", lab or Lab(lun_size=LUN_SIZE))
    host = start_host(lab=str(folder / "lab"), state=str(folder / "state"), socket=str(folder / "c.sock"))
    try:
        yield host
    finally:
        host.close()


def host_fixture() -> Callable[[Path], Iterator[OpenedHost]]:
    """A fixture for a module's `host`: such an engine for each test."""

    @pytest.fixture
    def host(tmp_path: Path) -> Iterator[OpenedHost]:
        with small_host(tmp_path / "cli") as opened:
            yield opened

    return host
