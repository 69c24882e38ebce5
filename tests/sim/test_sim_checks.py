"""What looks at the LUNs when all is at rest sees one byte that is wrong."""

from __future__ import annotations

from random import Random

import pytest

from engine.records import Subdisk
from tests.sim import acts, cases, media
from tests.sim.checks import check_mirrors, check_parity, path_of
from tests.sim.machine import Machine
from tests.sim.site import Site


def spoil(layout: str, offset: int) -> None:
    """A site at rest, with one byte changed under the first piece of its volume's last mirror or column."""
    site = Site(Machine(7), Random(7))
    site.machine.add_luns(8, 24 << 20)

    def main() -> None:
        cases.set_up(site, layout)
        site.rest()
        found = site.config.subdisks_of(acts.plex(site).ref)
        piece: Subdisk = max(found, key=lambda piece: (piece.column, -piece.plex_offset))
        pages = site.machine.media[path_of(site.config, piece.disk)].current
        byte = bytearray(1)
        media.read(pages, piece.disk_offset + offset, memoryview(byte))
        check_mirrors(site.machine, site.config)
        check_parity(site.machine, site.config)
        media.write(pages, piece.disk_offset + offset, bytes([byte[0] ^ 1]))
        check_mirrors(site.machine, site.config)
        check_parity(site.machine, site.config)

    site.machine.live(main)


@pytest.mark.parametrize("offset", [0, 4097, acts.SIZE // 2 - 1])
@pytest.mark.parametrize("layout", ["mirror", "mirror of 3", "mirrored stripe", "raid5"])
def test_one_wrong_byte_is_seen(layout: str, offset: int) -> None:
    with pytest.raises(AssertionError, match=r"differ in the page|the parity of"):
        spoil(layout, offset)
