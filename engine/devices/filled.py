"""Making room for what is written durably, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice


def fill(device: BlockDevice, offset: int, length: int) -> None:
    """As `device.zero` without holes; a device for which durable writes are dearer where nothing was ever written
    writes there once."""
    filler = getattr(device, "fill", None)
    if filler is None:
        device.zero(offset, length, may_unmap=False)
    else:
        filler(offset, length)
