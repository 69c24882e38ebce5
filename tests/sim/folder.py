"""A host's state folder: what its file system has been told to keep, and what a power cut leaves of the rest.

The files are real, in memory. An fsync of a file keeps its bytes, one of a folder keeps its names; what neither has
asked for may be there after a cut, or be as it was, or be torn.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_MEMORY = Path("/dev/shm")
_LOCK = "lock"

Files = dict[str, bytes]
"""By their paths inside of the folder."""


@dataclass(frozen=True, slots=True)
class Inode:
    """A file as programs see it, and as it was when it was last brought to stable storage: None when it never was."""

    now: bytes
    stable: bytes | None

    def after_cut(self, dice: Random, keep: float) -> bytes:
        """What is left of it: a part of what came since the last fsync, of which a part may be zeros."""
        if self.stable == self.now or dice.random() < keep * 0.6:
            return self.now
        before = self.stable or b""
        if dice.random() < 0.5 or not self.now.startswith(before):
            return before
        more = self.now[len(before) : dice.randint(len(before), len(self.now))]
        written = dice.randint(0, len(more))
        return before + more[:written] + bytes(len(more) - written)


@dataclass(frozen=True, slots=True)
class FolderImage:
    """A folder at one instant, power still on. Names are paths inside of it; the numbers are those of inodes."""

    inodes: dict[int, Inode]
    names: dict[str, int]
    stable_names: dict[str, int]
    unsure: frozenset[str] = frozenset()  # folders inside of it whose own names may be gone after a cut

    @classmethod
    def of(cls, files: Files) -> FolderImage:
        """A folder of which everything is stable."""
        names = {name: number for number, name in enumerate(files)}
        return cls({names[name]: Inode(data, data) for name, data in files.items()}, names, names)

    def files(self) -> Files:
        """What programs see."""
        return {name: self.inodes[number].now for name, number in sorted(self.names.items())}

    def after_cut(self, dice: Random, keep: float) -> Files:
        """What is there when the power is back. Each name leads to the newer or to the older file."""
        found = {}
        gone = {folder for folder in sorted(self.unsure) if dice.random() >= keep}
        for name in sorted(self.names.keys() | self.stable_names.keys()):
            if not gone.isdisjoint(_above(name)):
                continue
            now, stable = self.names.get(name), self.stable_names.get(name)
            number = now if now == stable or dice.random() < keep else stable
            if number is not None:
                found[name] = self.inodes[number].after_cut(dice, keep)
        return found


class HostFolder:
    """`path` is the folder; `tell` hears of each step that a power cut may come between."""

    def __init__(self, files: Files, tell: Callable[[str], None]) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="vea-sim-", dir=_MEMORY if _MEMORY.is_dir() else None))
        for name, content in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        self._tell = tell
        self._contents: dict[int, tuple[tuple[int, int], bytes]] = {}
        self._stable: dict[int, bytes] = {}
        names = self._names()
        self._stable = {number: self._contents[number][1] for number in names.values()}
        self._stable_names = names
        self._stable_folders = self._folders()

    def remove(self) -> None:
        shutil.rmtree(self.path)

    def image(self) -> FolderImage:
        names = self._names()
        known = {*names.values(), *self._stable_names.values()}
        inodes = {number: Inode(self._now(number), self._stable.get(number)) for number in sorted(known)}
        return FolderImage(inodes, names, dict(self._stable_names), frozenset(self._folders() - self._stable_folders))

    # --- what the engine's calls mean ---
    def synced(self, descriptor: int) -> None:
        """An fsync has been answered."""
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if not path.startswith(f"{self.path}"):
            return
        self._tell("fsync")
        found = os.fstat(descriptor)
        names = self._names()
        if stat.S_ISDIR(found.st_mode):
            inside = os.path.relpath(path, self.path)
            others = {name: number for name, number in self._stable_names.items() if _parent(name) != inside}
            self._stable_names = others | {name: number for name, number in names.items() if _parent(name) == inside}
            self._stable_folders |= {folder for folder in self._folders() if _parent(folder) == inside}
        elif found.st_ino in self._contents:
            self._stable[found.st_ino] = self._contents[found.st_ino][1]
        self._tell("fsynced")

    def renamed(self) -> None:
        """A file has taken another's name."""
        self._tell("renamed")

    def _now(self, number: int) -> bytes:
        """What a file holds; one that has lost its name cannot change any more."""
        return self._contents[number][1]

    def _folders(self) -> set[str]:
        found = ((here, name) for here, names, _ in os.walk(self.path) for name in names)
        return {os.path.relpath(os.path.join(here, name), self.path) for here, name in found}

    def _names(self) -> dict[str, int]:
        """What is there, with its contents read where they have changed."""
        found = {}
        for here, _, names in os.walk(self.path):
            for name in names:
                if name != _LOCK:
                    path = os.path.join(here, name)
                    found[os.path.relpath(path, self.path)] = self._look(path)
        return found

    def _look(self, path: str) -> int:
        known = os.stat(path)
        state = known.st_size, known.st_mtime_ns
        if self._contents.get(known.st_ino, (None,))[0] != state:
            with open(path, "rb", buffering=0) as file:
                self._contents[known.st_ino] = state, file.readall()
        return known.st_ino


def _parent(name: str) -> str:
    return os.path.dirname(name) or "."


def _above(name: str) -> set[str]:
    """The folders that a path leads through."""
    parts = name.split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts))}
