"""Configuration -> table: the only place that decides which plexes of a volume are read and which are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.records import PlexState
from engine.states import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config import Config
    from engine.dataplane.table import Table
    from engine.devices.base import BlockDevice
    from engine.records import Plex, Ref, Volume

WRITTEN = COMPLETE | {PlexState.FILLING}
"""States of a plex that takes client writes."""


def assemble(config: Config, volume: Volume, device_of: Callable[[Ref], BlockDevice | None]) -> Table:
    """The table of a volume. `device_of` answers None for a missing disk: its pieces are left out."""
    plexes = [plex for plex in config.plexes_of(volume.ref) if plex.state in WRITTEN]
    layouts = [_layout(config, volume, plex, device_of) for plex in plexes]
    return fold(
        layouts,
        volume.size,
        transaction=config.group(volume.group).transaction,
        writable=not any(plex.state is PlexState.CLEAN for plex in plexes),
        prefer=volume.preferred,
    )


def _layout(config: Config, volume: Volume, plex: Plex, device_of: Callable[[Ref], BlockDevice | None]) -> PlexLayout:
    trusted = volume.source in (None, plex.ref)
    pieces = []
    for subdisk in config.subdisks_of(plex.ref):
        device = device_of(subdisk.disk)
        if device is not None and subdisk.disk_offset + subdisk.length <= device.size:
            pieces.append(
                Piece(
                    column=subdisk.column,
                    column_offset=subdisk.plex_offset,
                    length=subdisk.length,
                    device=device,
                    device_offset=subdisk.disk_offset,
                    readable=subdisk.replaces is None,
                    key=subdisk.ref,
                )
            )
    return PlexLayout(plex.ref, plex.columns, plex.stripe_unit, tuple(pieces), readable=plex.complete and trusted)
