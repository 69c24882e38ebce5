"""Writing what lies in several buffers as one range, without copying it together where the device can do that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.devices.base import BlockDevice


def write_parts(
    device: BlockDevice, offset: int, parts: Sequence[memoryview], *, durable: bool = False, step: int = 0
) -> None:
    """As `device.write` of all `parts` one behind the other. `step` is about how many bytes go in a system call where
    that is the device's to choose; 0 leaves it to the device."""
    gather = getattr(device, "write_gathered", None)
    if durable or gather is None or (len(parts) == 1 and not step):
        device.write(offset, parts[0] if len(parts) == 1 else b"".join(parts), durable=durable)
    else:
        gather(offset, parts, step=step)
