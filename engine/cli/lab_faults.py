"""What a lab can do to its LUNs, behind the engine's back."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from engine.errors import EngineError
from engine.geometry import LABEL_OFFSET, LUN_MIN, METADATA_BLOCK, geometry
from engine.units import MIB, format_size

_AWAY = ".away"


def vanish(lun: Path, size: int) -> str:
    """The LUN's path leads nowhere any more; its bytes wait beside it."""
    if not lun.exists():
        raise EngineError(f"{lun} is gone already. Bring it back with: vea-lab fault DIR LUN return.")
    lun.rename(_away(lun))
    return f"{lun} has vanished."


def come_back(lun: Path, size: int) -> str:
    """Undo `vanish`."""
    if lun.exists() or not _away(lun).exists():
        raise EngineError(f"{lun} is not gone, so that it can't come back.")
    _away(lun).rename(lun)
    return f"{lun} is back."


def resize(lun: Path, size: int) -> str:
    """Another physical size; what lies behind a smaller one is lost."""
    if size <= 0:
        raise EngineError("A size is needed: vea-lab fault DIR LUN resize SIZE.")
    os.truncate(_there(lun), size)
    return f"{lun} has {format_size(size)} now."


def damage(lun: Path, size: int) -> str:
    """Random bytes over label and private region, as a stray write would leave them."""
    found = _there(lun).stat().st_size
    if found < LUN_MIN:
        raise EngineError(f"{lun} has {format_size(found)}, which is too little for a LUN.")
    start, length, _, _ = geometry(found)
    with lun.open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), secrets.token_bytes(METADATA_BLOCK), LABEL_OFFSET)
        for offset in range(start, start + length, MIB):
            os.pwrite(file.fileno(), secrets.token_bytes(MIB), offset)
        os.fsync(file.fileno())
    return f"Label and private region of {lun} are random bytes now."


FAULTS: dict[str, Callable[[Path, int], str]] = {
    "vanish": vanish,
    "return": come_back,
    "resize": resize,
    "damage": damage,
}


def _away(lun: Path) -> Path:
    return lun.with_name(lun.name + _AWAY)


def _there(lun: Path) -> Path:
    if not lun.exists():
        raise EngineError(f"{lun} is not there. Bring it back first: vea-lab fault DIR LUN return.")
    return lun
