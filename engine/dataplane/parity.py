"""XOR of buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Bytes: TypeAlias = bytes | bytearray | memoryview


def xor_into(target: bytearray | memoryview, *sources: Bytes) -> None:
    """`target` becomes the XOR of itself and all `sources`, which must be as long. ValueError when they are not."""
    array = np.frombuffer(target, np.uint8)
    for source in sources:
        if len(source) != len(target):
            raise ValueError(f"{len(source)} bytes cannot be combined with {len(target)}.")
        np.bitwise_xor(array, np.frombuffer(source, np.uint8), out=array)


def xor_of(sources: Sequence[Bytes]) -> memoryview:
    """A new buffer with the XOR of `sources`, of which there must be at least one, all equally long."""
    target = memoryview(bytearray(sources[0]))
    xor_into(target, *sources[1:])
    return target


def is_zero(data: Bytes) -> bool:
    """Whether every byte is zero."""
    return not np.frombuffer(data, np.uint8).any()
