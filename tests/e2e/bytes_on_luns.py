"""What lies on the LUN files, read past the engine by what `vxprint --json` says of offsets."""

from __future__ import annotations

import hashlib
from typing import Any

CHUNK = 1 << 20


def lun_of(group: dict[str, Any], disk: str) -> str:
    return str(next(each["lun"] for each in group["disks"] if each["name"] == disk))


def plex_digest(group: dict[str, Any], plex: dict[str, Any]) -> str:
    """A digest of a concatenated plex from its first byte to its last."""
    assert plex["columns"] <= 1
    digest = hashlib.sha256()
    end = 0
    for subdisk in sorted(plex["subdisks"], key=lambda each: each["plex_offset"]):
        assert subdisk["plex_offset"] == end, "a hole in the plex"
        end += subdisk["length"]
        with open(lun_of(group, subdisk["disk"]), "rb") as lun:
            left = subdisk["length"]
            lun.seek(subdisk["disk_offset"])
            while left:
                data = lun.read(min(CHUNK, left))
                assert data, "the LUN ends inside of a subdisk"
                digest.update(data)
                left -= len(data)
    return digest.hexdigest()


def taken(group: dict[str, Any], disk: str) -> list[tuple[int, int]]:
    """(start, end) of every subdisk on a disk."""
    found = []
    for volume in group["volumes"]:
        for plex in volume["plexes"]:
            for each in plex["subdisks"]:
                if each["disk"] == disk:
                    found.append((each["disk_offset"], each["disk_offset"] + each["length"]))
    return sorted(found)
