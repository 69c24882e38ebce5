"""What must hold of an engine whose work is done, looked at on its LUNs and not through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.records import Disk, Kind, PieceState, PlexLayout, Volume
from engine.states import COMPLETE
from tests.sim import media

if TYPE_CHECKING:
    from engine.config import Config
    from engine.records import Plex, Ref
    from tests.sim.machine import Machine


def plex_pages(machine: Machine, config: Config, plex: Plex, size: int) -> media.Pages:
    """What stands on the LUNs under a plex, by its place in the volume; pages of zeros are left out."""
    found: media.Pages = {}
    for subdisk in config.subdisks_of(plex.ref):
        if subdisk.replaces is not None:
            continue
        pages = machine.media[path_of(config, subdisk.disk)].current
        first, apart = divmod(subdisk.disk_offset, media.PAGE)
        assert not apart, f"{subdisk.name} begins inside of a page"
        for number in range(first, first + subdisk.length // media.PAGE):
            content = pages.get(number)
            if content is not None:
                offset = subdisk.plex_offset + (number - first) * media.PAGE
                found[_in_volume(plex, subdisk.column, offset)] = content
    inside = ((at, content[: size - at]) for at, content in found.items() if at < size)
    return {at: content for at, content in inside if content.strip(b"\0")}


def _in_volume(plex: Plex, column: int, offset: int) -> int:
    """The byte of the volume that stands at an offset of a column."""
    if plex.columns == 1:
        return offset
    row, rest = divmod(offset, plex.stripe_unit)
    return (row * plex.columns + column) * plex.stripe_unit + rest


def columns_of(machine: Machine, config: Config, plex: Plex) -> list[bytes]:
    """What stands on the LUNs under each column of a plex."""
    columns: list[list[bytearray]] = [[] for _ in range(plex.columns)]
    for subdisk in sorted(config.subdisks_of(plex.ref), key=lambda subdisk: subdisk.plex_offset):
        if subdisk.replaces is None:
            part = bytearray(subdisk.length)
            media.read(machine.media[path_of(config, subdisk.disk)].current, subdisk.disk_offset, memoryview(part))
            columns[subdisk.column].append(part)
    return [b"".join(parts) for parts in columns]


def path_of(config: Config, disk: Ref) -> str:
    """The LUN of a disk that is present."""
    return config.disk(disk).lun


def check_mirrors(machine: Machine, config: Config) -> None:
    """Complete plexes of a volume in no doubt are equal, byte for byte."""
    for volume in config.all(Kind.VOLUME, Volume):
        if volume.source is not None or volume.fenced:
            continue
        plexes = [
            plex
            for plex in config.plexes_of(volume.ref)
            if plex.state in COMPLETE and plex.layout in (PlexLayout.CONCAT, PlexLayout.STRIPE)
        ]
        plexes = [plex for plex in plexes if _reachable(config, plex)]
        contents = [plex_pages(machine, config, plex, volume.size) for plex in plexes]
        for plex, content in zip(plexes[1:], contents[1:], strict=True):
            if content != contents[0]:
                both = content.keys() | contents[0].keys()
                at = min(at for at in both if content.get(at, b"") != contents[0].get(at, b""))
                raise AssertionError(f"{plexes[0].name} and {plex.name} of {volume.name} differ in the page at {at}")


def check_parity(machine: Machine, config: Config) -> None:
    """The columns of a RAID-5 plex of which nothing is out, and whose parity is known, are nothing together."""
    for volume in config.all(Kind.VOLUME, Volume):
        for plex in config.plexes_of(volume.ref):
            pieces = config.subdisks_of(plex.ref)
            good = all(piece.state is PieceState.GOOD for piece in pieces) and _reachable(config, plex)
            if plex.layout is not PlexLayout.RAID5 or not good or not volume.parity_known or volume.fenced:
                continue
            row = (plex.columns - 1) * plex.stripe_unit
            used = -(-volume.size // row) * plex.stripe_unit  # what lies behind belongs to no row yet
            columns = [np.frombuffer(column, np.uint8)[:used] for column in columns_of(machine, config, plex)]
            odd = np.flatnonzero(np.bitwise_xor.reduce(columns))
            assert not len(odd), f"the parity of {volume.name} is wrong from byte {odd[0]} of its columns on"


def check_space(config: Config) -> None:
    """No two subdisks share a byte, and each lies inside of its disk's public region."""
    for disk in config.all(Kind.DISK, Disk):
        end = disk.public_offset
        for subdisk in sorted(config.subdisks_on(disk.ref), key=lambda subdisk: subdisk.disk_offset):
            assert subdisk.disk_offset >= end, f"{subdisk.name} overlaps what lies before it on {disk.name}"
            end = subdisk.disk_offset + subdisk.length
        assert end <= disk.public_offset + disk.public_length, f"{disk.name} is overfull"


def _reachable(config: Config, plex: Plex) -> bool:
    return all(config.disk(subdisk.disk).present for subdisk in config.subdisks_of(plex.ref))
