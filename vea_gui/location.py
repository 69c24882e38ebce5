"""Addresses of views, `vea://localhost/StorageAgent/DiskGroups/dg1`, and the way back and forward."""

from __future__ import annotations

from urllib.parse import quote, unquote

from engine.config import Config
from engine.records import Record, Ref
from vea_gui.tree_shape import FOLDER_NAMES, Folder, Key, Path, children, title

SCHEME = "vea://"
HISTORY_MAX = 100


def segment(config: Config, key: Key) -> str:
    """One part of an address, as a folder or an object writes it."""
    name = title(config, key)
    return name.replace(" ", "") if isinstance(key, Folder) else quote(name, safe="")


def address(config: Config, path: Path) -> str:
    """The address of a place in the tree."""
    return SCHEME + "/".join(segment(config, key) for key in path)


def resolve(config: Config, host: Ref, text: str) -> Path:
    """The place that an address names. ValueError says, in one sentence, which part leads nowhere."""
    wanted = text.strip()
    if wanted.casefold().startswith(SCHEME):
        wanted = wanted[len(SCHEME) :]
    parts = [part for part in wanted.split("/") if part]
    root = config.get(host)
    if not parts or not isinstance(root, Record) or unquote(parts[0]).casefold() != root.name.casefold():
        known = root.name if isinstance(root, Record) else "localhost"
        raise ValueError(f"Addresses begin with {SCHEME}{quote(known)}.")
    path: list[Key] = [host]
    for part in parts[1:]:
        path.append(_child(config, path[-1], part))
    return tuple(path)


def _child(config: Config, above: Key, part: str) -> Key:
    wanted = unquote(part).casefold()
    for key in children(config, above):
        name = title(config, key).casefold()
        if wanted == name or (isinstance(key, Folder) and wanted == FOLDER_NAMES[key.name].replace(" ", "").casefold()):
            return key
    raise ValueError(f"{title(config, above)} has nothing named {unquote(part)[:60]}.")


class History:
    """Where this window has been."""

    def __init__(self) -> None:
        self._back: list[Path] = []
        self._forward: list[Path] = []
        self.current: Path = ()

    def visit(self, path: Path) -> None:
        """Go somewhere new; what lay ahead is forgotten."""
        if path == self.current:
            return
        if self.current:
            self._back.append(self.current)
            del self._back[:-HISTORY_MAX]
        self._forward.clear()
        self.current = path

    def back(self, config: Config) -> Path | None:
        """The last place that still exists; None when there is none."""
        return self._step(self._back, self._forward, config)

    def forward(self, config: Config) -> Path | None:
        """The place that `back` came from, when it still exists."""
        return self._step(self._forward, self._back, config)

    def can_go_back(self) -> bool:
        return bool(self._back)

    def can_go_forward(self) -> bool:
        return bool(self._forward)

    def _step(self, source: list[Path], other: list[Path], config: Config) -> Path | None:
        while source:
            path = source.pop()
            if all(isinstance(key, Folder) or key in config for key in path):
                if self.current:
                    other.append(self.current)
                self.current = path
                return path
        return None
