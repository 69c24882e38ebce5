"""Regions that nobody writes any more become clean again, and the operator sees how much is dirty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.records import Volume
from engine.ticker import Ticker

if TYPE_CHECKING:
    from engine.commit import Committer
    from engine.config import Edit
    from engine.dataplane.dirty_map import DirtyMap
    from engine.dataplane.request import Request
    from engine.dataplane.volume_io import VolumeIo
    from engine.records import Ref
    from engine.runtime import Runtime

SWEEP_S = 20.0
"""A region becomes clean when it has not been written for one to two of these."""


class Counts(NamedTuple):
    """What the maps of a volume tell now, in bytes."""

    dirty: int
    changed: tuple[tuple[str, int], ...]  # since each snapshot, by the link's generation


def changed_bytes(io: VolumeIo) -> tuple[tuple[str, int], ...]:
    """How much has been written since each snapshot, by the link's generation."""
    return tuple((key, known.dirty_bytes) for key, known in sorted(io.maps.items()) if known is not io.dirty)


class DirtySweep:
    """Looks at every dirty map from time to time."""

    def __init__(self, committer: Committer, runtime: Runtime) -> None:
        self._committer = committer
        self._ticker = Ticker("vea-sweep", lambda: SWEEP_S, lambda _: self.sweep(), runtime, look_s=SWEEP_S)

    def close(self) -> None:
        """End the looks. Flushes that are under way end by themselves."""
        self._ticker.close()

    def sweep(self) -> None:
        """One look at every map."""
        counts: dict[Ref, Counts] = {}
        for ref, io in sorted(self._committer.ios.copy().items()):
            counts[ref] = Counts(0, changed_bytes(io))
            dirty = io.dirty
            if dirty is not None and dirty.is_marked:
                close_regions(io, dirty)
                counts[ref] = counts[ref]._replace(dirty=dirty.dirty_bytes)
        self._show(counts)

    def _show(self, counts: dict[Ref, Counts]) -> None:
        config = self._committer.config
        changed = {
            ref: count
            for ref, count in counts.items()
            if isinstance(volume := config.get(ref), Volume) and (volume.dirty_bytes, volume.changed) != count
        }

        def change(edit: Edit) -> None:
            for ref, count in changed.items():
                volume = edit.config.get(ref)
                if isinstance(volume, Volume):
                    edit.put(msgspec.structs.replace(volume, dirty_bytes=count.dirty, changed=count.changed))

        if changed:
            self._committer.show(change)


def close_regions(io: VolumeIo, dirty: DirtyMap) -> None:
    """Begin to make regions clean that nobody has touched since the last time; the flush that it needs ends later."""
    turn = dirty.begin_closing()
    if turn:
        io.gate.pass_once()
        dirty.written_out(turn)
        io.flush_soon(_Flushed(dirty, turn))


class _Flushed:
    """Where the outcome of the flush goes."""

    def __init__(self, dirty: DirtyMap, turn: int) -> None:
        self._dirty = dirty
        self._turn = turn

    def finish(self, request: Request, error: int) -> None:
        self._dirty.end_closing(self._turn, not error)
