"""The cells of a map as a text: compressed, and so coarse that it is short enough."""

from __future__ import annotations

import base64
import binascii
import struct
import zlib

import numpy as np

from engine.dataplane.fine_map import CELLS_MAX, FineMap

_VERSION = 1
_HEAD = struct.Struct("<BQQ")  # version, bytes of the volume, bytes of a cell
_LEVEL = 1


def pack(fine: FineMap, coarsest: int, limit: int) -> str:
    """The cells in at most `limit` characters, two of them as one as often as that takes. Empty when they would become
    as coarse as `coarsest` bytes."""
    cells = np.frombuffer(fine.cells[: fine.count], np.uint8)
    size = fine.cell_size
    while size < coarsest:
        bits = np.packbits(cells, bitorder="little").tobytes()
        text = base64.b64encode(_HEAD.pack(_VERSION, fine.size, size) + zlib.compress(bits, _LEVEL))
        if len(text) <= limit:
            return text.decode()
        cells = np.pad(cells, (0, len(cells) % 2)).reshape(-1, 2).max(axis=1)
        size *= 2
    return ""


def unpack(text: str, size: int) -> FineMap | None:
    """The cells of a volume of `size` bytes; None when the text makes no sense for it."""
    made = FineMap(size)
    try:
        data = base64.b64decode(text, validate=True)
        version, told, cell = _HEAD.unpack_from(data)
        factor = cell // made.cell_size
        if version != _VERSION or told != size or factor < 1 or cell != made.cell_size * factor or factor & factor - 1:
            return None
        count = -(-size // cell)
        unpacker = zlib.decompressobj()
        bits = unpacker.decompress(data[_HEAD.size :], CELLS_MAX)
        if not unpacker.eof or unpacker.unused_data or len(bits) != -(-count // 8):
            return None
    except (binascii.Error, struct.error, zlib.error, ValueError):
        return None
    cells = np.unpackbits(np.frombuffer(bits, np.uint8), count=count, bitorder="little")
    made.cells[: made.count] = np.repeat(cells, factor)[: made.count].tobytes()
    return made
