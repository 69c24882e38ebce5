"""Who has a drive's file or folder open: what the kernel tells of all processes. The drive itself is not touched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from engine.drives.mounts import loops_on, mounts_below

_MAPS_MAX = 1 << 20


class Place(NamedTuple):
    """Where a drive is seen: its file, the folder that it is mounted in, the loop device between both."""

    file: str
    folder: str = ""
    loop: str = ""


def users_of(place: Place) -> tuple[str, ...]:
    """Who uses one drive, by name."""
    return users({0: place})[0]


def users(places: Mapping[int, Place]) -> dict[int, tuple[str, ...]]:
    """Who uses each of several drives: processes, other loop devices, other mounts."""
    found: dict[int, list[str]] = {key: [] for key in places}
    for process in _processes():
        paths = set(_paths_of(process)) if places else set()
        for key, place in places.items():
            if any(_is_at(path, place) for path in paths):
                found[key].append(f"{_name_of(process)} (process {process})")
    for key, place in places.items():
        found[key] += [loop for loop in loops_on(place.file) if loop != place.loop]
        if place.folder:
            found[key] += [f"what is mounted at {mount.point}" for mount in mounts_below(place.folder)]
    return {key: tuple(sorted(names)) for key, names in found.items()}


def _is_at(path: str, place: Place) -> bool:
    return path == place.file or bool(place.folder and (path == place.folder or path.startswith(f"{place.folder}/")))


def _processes() -> Iterator[int]:
    own = os.getpid()
    yield from (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own)


def _paths_of(process: int) -> Iterator[str]:
    """The paths that a process has open, runs, maps or stands in; what it keeps from us is left out."""
    base = f"/proc/{process}"
    for name in ("cwd", "root", "exe"):
        yield from _link(f"{base}/{name}")
    try:
        descriptors = os.listdir(f"{base}/fd")
    except OSError:
        return
    for name in descriptors:
        yield from _link(f"{base}/fd/{name}")
    try:
        with open(f"{base}/maps", errors="surrogateescape") as maps:
            lines = maps.read(_MAPS_MAX).splitlines()
    except OSError:
        return
    yield from (parts[5] for line in lines if len(parts := line.split(None, 5)) == 6 and parts[5].startswith("/"))


def _link(path: str) -> Iterator[str]:
    try:
        yield os.readlink(path)
    except OSError:
        return


def _name_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text(errors="replace").strip() or "a program"
    except OSError:
        return "a program"
