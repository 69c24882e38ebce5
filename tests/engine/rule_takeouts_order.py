"""What the engine would be without the rules of `rule_scenes_order`: each takes one of them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine import commit as committing
from engine.allocate import shape, space
from engine.commit import Committer
from engine.dataplane import execute, perform, volume_io
from engine.dataplane.regions import RegionLocks
from engine.dataplane.request import Op
from engine.dataplane.table import REGION_SHIFT
from engine.freed import FreedSpace, given_and_freed
from engine.luns import LunTable
from engine.store import format as sealing
from engine.store.copy_writer import CopyWriter
from engine.tasks.ledger import Ledger
from engine.trouble.faults import FaultKeeper

if TYPE_CHECKING:
    from engine.store.format import Block

Patch = pytest.MonkeyPatch


def answer_for_the_old_table(patch: Patch) -> None:
    """What had reached some legs is done."""

    def release(self: volume_io.VolumeIo) -> None:
        for request, sink in self._parking.take():
            sink.finish(request, 0)

    patch.setattr(volume_io.VolumeIo, "release", release)


def take_locks_as_regions_come(patch: Patch) -> None:
    def indexes(self: RegionLocks, offset: int, length: int) -> list[int]:
        first, last = offset >> REGION_SHIFT, (offset + length - 1) >> REGION_SHIFT
        return [region % len(self.locks) for region in range(first, last + 1)]

    patch.setattr(RegionLocks, "_indexes", indexes)


class _Unmarked:
    """A volume that forgets its dirty map."""

    def __init__(self, volume: Any) -> None:
        self._volume = volume
        self.dirty = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._volume, name)


def mark_nothing_for_a_discard(patch: Patch) -> None:
    honest = perform.perform

    def unmarked(volume: Any, table: Any, request: Any, **more: Any) -> Any:
        return honest(_Unmarked(volume) if request.op is Op.DISCARD else volume, table, request, **more)

    for module in (execute, volume_io):
        patch.setattr(module, "perform", unmarked)


def leave_in_what_failed_the_commit(patch: Patch) -> None:
    patch.setattr(committing, "fail_disk", lambda edit, disk: [])


def free_before_the_swap(patch: Patch) -> None:
    honest, take = Committer._swap_tables, FreedSpace.take

    def early(self: Committer, old: Any, new: Any, touched: Any, logs: Any) -> Any:
        take(self.freed, given_and_freed(old, new, touched)[1], None)
        self.freed.settle(5)
        return honest(self, old, new, touched, logs)

    patch.setattr(Committer, "_swap_tables", early)
    patch.setattr(FreedSpace, "take", lambda self, ranges, task: None)


def flush_luns_for_metadata(patch: Patch) -> None:
    def put(self: CopyWriter, kind: Block, offset: int, number: int, body: bytes) -> None:
        disk, group = bytes.fromhex(self.label.disk), bytes.fromhex(self.label.group)
        self.device.write(offset, sealing.seal(kind, disk, group, offset, number, body))
        self.device.flush()

    patch.setattr(CopyWriter, "_put", put)


def answer_a_failed_flush(patch: Patch) -> None:
    def forgive(self: FaultKeeper, volume: Any, fault: Any) -> None:
        io = self._committer.ios[volume.ref]
        io._parking.acquit(())
        io.release()

    patch.setattr(FaultKeeper, "_flush_failed", forgive)


def write_checkpoints_without_a_flush(patch: Patch) -> None:
    patch.setattr(Ledger, "flush", lambda self, disks=(): None)


def open_luns_anew_at_each_rescan(patch: Patch) -> None:
    def refresh(self: LunTable) -> None:
        for lun in self:
            self.reopen(lun)

    patch.setattr(LunTable, "refresh", refresh)


def allocate_by_blocks(patch: Patch) -> None:
    for module in (shape, space):
        patch.setattr(module, "ALLOCATION_UNIT", 4096)
