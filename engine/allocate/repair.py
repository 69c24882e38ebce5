"""Space for what lay on a disk that is lost: on spares first."""

from __future__ import annotations

from collections.abc import Sequence

from engine.allocate.move import place_piece
from engine.allocate.space import Piece, Space, usable_disks
from engine.config import Config
from engine.records import Disk, DiskUsage, Ref, Subdisk


def place_lost(config: Config, subdisk: Subdisk, named: Sequence[Ref] = ()) -> tuple[Piece, ...] | None:
    """New places for a whole subdisk, none beside another mirror or column of its volume; None when there are none.

    On `named` disks only when there are any. Else on spares; when these are short, on spares and preferred disks
    together, then on disks of normal usage as well. Other disks, and failing ones, give nothing by themselves.
    """
    found = None
    for pool in relocation_pools(config, config.volume_of(subdisk).group, named):
        found = found or place_piece(config, subdisk, Space(config, pool), force=False)
    return found


def relocation_pools(config: Config, group: Ref, named: Sequence[Ref] = ()) -> list[list[Disk]]:
    """The disks that are tried one set after the other."""
    if named:
        return [usable_disks(config, group, named)]
    sound = [disk for disk in config.disks_of(group) if disk.present and not disk.failing and not disk.short_by]
    pools: list[list[Disk]] = []
    for usage in (DiskUsage.SPARE, DiskUsage.PREFERRED, DiskUsage.NORMAL):
        pools.append([*(pools[-1] if pools else []), *(disk for disk in sound if disk.usage is usage)])
    return pools
