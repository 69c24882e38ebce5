"""A lab: enclosures of sparse image files that serve as LUNs, in one folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from engine.errors import EngineError
from engine.geometry import LUN_MIN
from engine.units import GIB, format_size

LUNS_MAX = 200
_FILE = "lab.json"


class Lab(msgspec.Struct, frozen=True, kw_only=True):
    """What a lab folder holds: `arrays` enclosures of `luns` image files of `lun_size` bytes each."""

    arrays: int = 2
    luns: int = 6
    lun_size: int = 2 * GIB
    ports: int = 1
    furnished: bool = False  # an engine has made dg1 once; what the operator did since is his

    def paths(self, folder: Path) -> list[tuple[str, str]]:
        """(path, enclosure) of every LUN, in order."""
        return [
            (str(_lun_path(folder, array, lun).resolve()), f"lab{array}")
            for array in range(self.arrays)
            for lun in range(self.luns)
        ]


def open_lab(folder: Path) -> Lab | None:
    """The lab in a folder, or None when there is none. EngineError when its description is damaged."""
    try:
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=Lab)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, ValueError) as error:  # what is no text is a ValueError
        raise EngineError(f"{folder / _FILE} is damaged: {error}. Make the lab anew in an empty folder.") from error


def mark_furnished(folder: Path, lab: Lab) -> None:
    """Remember that dg1 has been made."""
    _save(folder, msgspec.structs.replace(lab, furnished=True))


def create_lab(folder: Path, lab: Lab) -> Lab:
    """Make a lab in a folder that is new or empty. EngineError when it is not, or when the numbers make no sense."""
    _check(lab)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EngineError(f"{folder} is not empty. Name a new folder for the lab.")
    made: list[Path] = []
    try:
        for path, _ in lab.paths(folder):
            _make_lun(Path(path), lab.lun_size, made)
        _save(folder, lab)
    except BaseException:
        _unmake(made)
        raise
    return lab


def _make_lun(path: Path, size: int, made: list[Path]) -> None:
    """A new sparse file; `made` gets each path before something is there that has to go if this fails."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        made.append(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    made.append(path)
    try:
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def _unmake(made: list[Path]) -> None:
    """Take away what was made, and nothing else: a folder that somebody has put something into stays."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def _save(folder: Path, lab: Lab) -> None:
    temporary = folder / (_FILE + ".new")
    temporary.write_bytes(msgspec.json.encode(lab))
    temporary.replace(folder / _FILE)


def _check(lab: Lab) -> None:
    if not 1 <= lab.arrays * lab.luns <= LUNS_MAX or lab.arrays < 1 or lab.luns < 1:
        raise EngineError(
            f"A lab has 1 to {LUNS_MAX} LUNs; {lab.arrays} arrays of {lab.luns} make {lab.arrays * lab.luns}."
        )
    if lab.lun_size < LUN_MIN:
        raise EngineError(f"A LUN needs at least {format_size(LUN_MIN)}; {format_size(lab.lun_size)} were asked for.")
    if not 1 <= lab.ports <= 8:
        raise EngineError(f"An array has 1 to 8 ports; {lab.ports} were asked for.")


def _lun_path(folder: Path, array: int, lun: int) -> Path:
    return folder / f"lab{array}" / f"lun{lun:02d}.img"
