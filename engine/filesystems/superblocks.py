"""Which file system, or other known content, stands on a run of bytes, and how many of them it claims.

Nothing is mounted and no program is asked: each row of the table reads the few fields that the format has fixed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from engine.units import KIB

HEAD = 72 * KIB
"""Bytes from the start in which every format of the table has its mark."""

_SECTOR = 512
_EXT, _BTRFS, _SWAP_MARK = 1024, 64 * KIB, 4086
_EXT_64BIT, _EXT_EXTENTS, _EXT_FLEX_GROUPS = 0x80, 0x40, 0x200
_ENTRIES, _ENTRY = 446, 16


class Content(NamedTuple):
    """A phrase, and the bytes from the start that it claims; 0 when that is not known."""

    phrase: str
    size: int


Probe: TypeAlias = Callable[[bytes], "Content | None"]


def content_of(head: bytes) -> Content | None:
    """What the first `HEAD` bytes (fewer where there are no more) tell; None when nothing known stands there."""
    head = head.ljust(HEAD, b"\0")
    return next((found for probe in _PROBES if (found := probe(head)) is not None), None)


def _ext(head: bytes) -> Content | None:
    if head[_EXT + 56 : _EXT + 58] != b"\x53\xef":
        return None
    (blocks,), (shift,) = struct.unpack_from("<I", head, _EXT + 4), struct.unpack_from("<I", head, _EXT + 24)
    compatible, incompatible = struct.unpack_from("<II", head, _EXT + 92)
    if incompatible & _EXT_64BIT:
        blocks |= struct.unpack_from("<I", head, _EXT + 0x150)[0] << 32
    modern = incompatible & (_EXT_EXTENTS | _EXT_64BIT | _EXT_FLEX_GROUPS)
    kind = "ext4" if modern else "ext3" if compatible & 4 else "ext2"
    return Content(f"{kind} file system", blocks << (10 + min(shift, 6)))


def _xfs(head: bytes) -> Content | None:
    if head[:4] != b"XFSB":
        return None
    block, blocks = struct.unpack_from(">IQ", head, 4)
    return Content("xfs file system", block * blocks)


def _btrfs(head: bytes) -> Content | None:
    if head[_BTRFS + 64 : _BTRFS + 72] != b"_BHRfS_M":
        return None
    return Content("btrfs file system", struct.unpack_from("<Q", head, _BTRFS + 0xC9 + 8)[0])


def _ntfs(head: bytes) -> Content | None:
    """Behind its last sector stands a copy of the first."""
    if head[3:11] != b"NTFS    ":
        return None
    return Content("ntfs file system", (struct.unpack_from("<Q", head, 40)[0] + 1) * _sector(head))


def _exfat(head: bytes) -> Content | None:
    if head[3:11] != b"EXFAT   ":
        return None
    return Content("exfat file system", struct.unpack_from("<Q", head, 72)[0] << min(head[108], 12))


def _fat(head: bytes) -> Content | None:
    if head[510:512] != b"\x55\xaa" or (head[54:57] != b"FAT" and head[82:85] != b"FAT"):
        return None
    sectors = struct.unpack_from("<H", head, 19)[0] or struct.unpack_from("<I", head, 32)[0]
    return Content("vfat file system", sectors * _sector(head))


def _swap(head: bytes) -> Content | None:
    if head[_SWAP_MARK : _SWAP_MARK + 10] != b"SWAPSPACE2":
        return None
    return Content("swap space", (struct.unpack_from("<I", head, 1028)[0] + 1) * 4 * KIB)


def _luks(head: bytes) -> Content | None:
    return Content("LUKS encrypted volume", 0) if head[:6] == b"LUKS\xba\xbe" else None


def _lvm(head: bytes) -> Content | None:
    marked = any(head[sector * _SECTOR : sector * _SECTOR + 8] == b"LABELONE" for sector in range(4))
    return Content("LVM physical volume", 0) if marked else None


def _gpt(head: bytes) -> Content | None:
    """Its other copy stands in the very last sector that it knows of."""
    for sector in (_SECTOR, 8 * _SECTOR):
        if head[sector : sector + 8] == b"EFI PART":
            return Content("GPT partition table", (struct.unpack_from("<Q", head, sector + 32)[0] + 1) * sector)
    return None


def _mbr(head: bytes) -> Content | None:
    if head[510:512] != b"\x55\xaa":
        return None
    entries = [head[at : at + _ENTRY] for at in range(_ENTRIES, _ENTRIES + 4 * _ENTRY, _ENTRY)]
    ends = [sum(struct.unpack_from("<II", entry, 8)) for entry in entries if entry[4] and entry[0] in (0, 0x80)]
    return Content("MBR partition table", max(ends) * _SECTOR) if ends else None


def _sector(head: bytes) -> int:
    size: int = struct.unpack_from("<H", head, 11)[0]
    return size or _SECTOR


_PROBES: tuple[Probe, ...] = (_ext, _xfs, _btrfs, _ntfs, _exfat, _fat, _swap, _luks, _lvm, _gpt, _mbr)
