"""Each rule that the bytes depend on, with a way to take it out: the scene about it is green with it and red without.

Rules of the commit path (what is on record before a client is told), of the gates, and of durability. Where a test
elsewhere takes its own rule out already, `ELSEWHERE` names it, and it is checked that it is there.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from engine import assemble
from engine.dataplane import perform, table
from engine.dataplane.fault import Fault, FaultKind
from engine.dataplane.flusher import Flusher
from engine.dataplane.gate import Gate
from engine.dataplane.regions import RegionLocks
from engine.dataplane.request import Op
from engine.dataplane.table import Segment
from engine.dataplane.volume_io import VolumeIo
from engine.disk_groups import groups
from engine.edits import detach
from engine.store import format as sealing
from engine.store import group_store
from engine.store import scan as scanning
from engine.store.copy_writer import CopyWriter
from engine.store.group_store import GroupStore
from engine.tasks import create
from engine.trouble import faults
from tests.engine import rule_scenes_engine as on_engine
from tests.engine import rule_scenes_order as in_order
from tests.engine import rule_scenes_plane as on_plane
from tests.engine import rule_scenes_store as on_store
from tests.engine import rule_takeouts_order as without

Patch = pytest.MonkeyPatch


class Rule(NamedTuple):
    """A rule in a sentence, the scene about it, and what the engine would be without it."""

    text: str
    scene: Callable[[Path], None]
    take_out: Callable[[Patch], None]


# Without the rules of the commit path


def swallow_leg_faults(patch: Patch) -> None:
    honest = perform._write_legs

    def deaf(*given: Any) -> Any:
        verdict = honest(*given)
        return perform.DONE if isinstance(verdict, Fault) else verdict

    patch.setattr(perform, "_write_legs", deaf)


def leave_out_whatever_fails(patch: Patch) -> None:
    def always(edit: Any, plex: Any, state: Any) -> bool:
        edit.put(detach.left_out(edit.config, plex, state))
        return True

    patch.setattr(detach, "leave_out", always)


def take_no_space_for_a_fault(patch: Patch) -> None:
    patch.setattr(perform, "kind_of", lambda number, *, writing, readable: FaultKind.LEG)
    patch.setattr(faults, "NO_SPACE", frozenset())


def stay_inside_while_parked(patch: Patch) -> None:
    patch.setattr(Gate, "leave", lambda self, slot: None)


def write_before_the_record(patch: Patch) -> None:
    honest = assemble.fold
    patch.setattr(assemble, "fold", lambda *given, **more: honest(*given, **{**more, "writable": True}))


# Without the gates


def swap_without_waiting(patch: Patch) -> None:
    patch.setattr(Gate, "_await_slots", lambda self, allowed, timeout_s=None: True)


@contextmanager
def _held_open(self: Gate) -> Iterator[None]:
    yield


def hold_nobody_back(patch: Patch) -> None:
    patch.setattr(Gate, "hold", _held_open)


def lock_no_region(patch: Patch) -> None:
    patch.setattr(RegionLocks, "hold", lambda self, offset, length: nullcontext())


def read_in_turn(patch: Patch) -> None:
    turns = itertools.count()
    patch.setattr(table, "_ports", lambda readers: ())
    patch.setattr(Segment, "reader", lambda self, offset: self.readers[next(turns) % len(self.readers)])
    patch.setattr(
        perform,
        "_read",
        lambda volume, table, request, may_wait: perform._read_map(
            volume, request, table.find(request.offset).reader(request.offset), request.offset, request.buffer, True
        ),
    )


def read_one_leg_only(patch: Patch) -> None:
    patch.setattr(table, "_ports", lambda readers: ())
    patch.setattr(Segment, "reader", lambda self, offset: self.readers[0])


# Without the rules of durability


def discard_where_it_pays(patch: Patch) -> None:
    honest = perform._clear_legs

    def some(volume: Any, segment: Any, request: Any, at: int, size: int) -> Any:
        able = [leg for leg in segment.writers if all(device.discard_zeroes for device in leg.devices())]
        return honest(volume, SimpleNamespace(writers=able), request, at, size)

    patch.setattr(perform, "_clear_legs", some)
    patch.setattr(perform, "_clear", _clear_without_asking)


def _clear_without_asking(volume: Any, table: Any, request: Any, offset: int, length: int) -> Any:
    for segment, at, size in table.parts(offset, length):
        perform._clear_legs(volume, segment, request, at, size)
    return perform.DONE


def forget_legs_that_left(patch: Patch) -> None:
    honest = VolumeIo.swap

    def swap(self: VolumeIo, new: Any) -> None:
        honest(self, new)
        self.written &= set(new.devices())

    patch.setattr(VolumeIo, "swap", swap)


def forget_what_is_durable(patch: Patch) -> None:
    honest = perform._write_legs

    def cached(volume: Any, segment: Any, request: Any, at: int, data: memoryview) -> Any:
        lazy = SimpleNamespace(durable=False, op=Op.WRITE, offset=request.offset, length=request.length)
        return honest(volume, segment, lazy, at, data)  # type: ignore[arg-type]

    patch.setattr(perform, "_write_legs", cached)


def tell_one_volume_of_a_failed_flush(patch: Patch) -> None:
    patch.setattr(Flusher, "_lost", lambda self, device, number: self._losses.update({device: device.losses}))


def flush_again_and_believe(patch: Patch) -> None:
    honest = VolumeIo.suspect

    def once(self: VolumeIo, device: Any, number: int) -> None:
        honest(self, device, number)
        self._parking.acquit(())

    patch.setattr(VolumeIo, "suspect", once)


def believe_everybody_after_a_crash(patch: Patch) -> None:
    patch.setattr(groups, "mistrust", lambda *_: None)


def never_fence(patch: Patch) -> None:
    patch.setattr(VolumeIo, "fence", lambda self: self._parking.acquit(()) or self.release())
    patch.setattr(faults, "_fence", lambda edit, volume, reason: None)


def publish_without_zeroing(patch: Patch) -> None:
    patch.setattr(create, "zero_subdisks", lambda subdisks, done: iter(()))


def believe_any_checksum(patch: Patch) -> None:
    at = sealing._CHECKSUM_AT
    patch.setattr(sealing, "_checksum", lambda block: int.from_bytes(block[at : at + 4], "little"))


def count_what_few_have(patch: Patch) -> None:
    honest = GroupStore._write_all

    def all_of_them(self: GroupStore, targets: Any, *more: Any) -> Any:
        wanted = set(targets)
        honest(self, wanted, *more)
        return wanted

    patch.setattr(GroupStore, "_write_all", all_of_them)


def doubt_nothing(patch: Patch) -> None:
    honest = scanning.elect

    def sure(*given: Any) -> Any:
        elected = honest(*given)
        return elected and elected._replace(doubts=())

    patch.setattr(scanning, "elect", sure)


def leave_metadata_in_the_cache(patch: Patch) -> None:
    def put(self: CopyWriter, kind: Any, offset: int, number: int, body: bytes) -> None:
        disk, group = bytes.fromhex(self.label.disk), bytes.fromhex(self.label.group)
        self.device.write(offset, sealing.seal(kind, disk, group, offset, number, body))

    patch.setattr(CopyWriter, "_put", put)


def look_at_no_stamp(patch: Patch) -> None:
    patch.setattr(group_store, "look_for_fence", lambda *given: SimpleNamespace(reason="", taken=False))


RULES = {
    "record-before-answer": Rule(
        "A write that failed on a leg is acknowledged after “this plex is stale” is on stable storage elsewhere.",
        on_engine.a_write_that_failed_on_a_leg_is_acknowledged_after_the_record,
        swallow_leg_faults,
    ),
    "last-plex": Rule(
        "The last complete plex is never left out; then the client has the error.",
        on_engine.the_last_complete_plex_is_never_left_out,
        leave_out_whatever_fails,
    ),
    "no-space": Rule(
        "No space is no disk fault: an error to the client, the plex kept, the mirrors made equal later.",
        on_engine.no_space_is_no_disk_fault,
        take_no_space_for_a_fault,
    ),
    "parked-outside": Rule(
        "A request that waits for a decision waits outside of the gate.",
        on_plane.a_swap_never_waits_for_a_parked_request,
        stay_inside_while_parked,
    ),
    "intent-first": Rule(
        "What a write would make untrue on record is corrected before it goes to any leg.",
        on_engine.the_record_says_active_before_the_first_byte_is_written,
        write_before_the_record,
    ),
    "swap-waits": Rule(
        "A swap returns when nobody is on the old table any more.",
        on_plane.a_swap_waits_for_the_last_on_the_old_table,
        swap_without_waiting,
    ),
    "hold": Rule(
        "While a gate is held nobody comes in.",
        on_plane.nobody_is_inside_while_the_gate_is_held,
        hold_nobody_back,
    ),
    "region-locks": Rule(
        "What touches several legs of the same bytes is ordered.",
        on_plane.overlapping_writes_leave_the_legs_equal,
        lock_no_region,
    ),
    "one-reader": Rule(
        "A block is always read from one leg.",
        on_plane.a_block_is_always_read_from_one_leg,
        read_in_turn,
    ),
    "balance": Rule(
        "Reads are balanced by region.",
        on_plane.both_legs_are_read,
        read_one_leg_only,
    ),
    "one-source": Rule(
        "After an unclean stop one plex is believed, and the others are made equal to it.",
        on_engine.after_an_unclean_stop_one_plex_is_believed_and_the_others_made_equal,
        believe_everybody_after_a_crash,
    ),
    "discard": Rule(
        "A discard reaches every leg or none.",
        on_plane.a_discard_reaches_every_leg_or_none,
        discard_where_it_pays,
    ),
    "flush-covers": Rule(
        "A FLUSH covers every device written since the last good one, also those that have left.",
        on_plane.a_flush_covers_legs_that_have_left_the_table,
        forget_legs_that_left,
    ),
    "fua": Rule(
        "A durable write is durable on every leg.",
        on_plane.a_durable_write_is_durable_on_every_leg,
        forget_what_is_durable,
    ),
    "flush-fails-all": Rule(
        "A failed flush is told to every volume that had written there.",
        on_plane.a_failed_flush_is_told_to_every_volume_that_had_written_there,
        tell_one_volume_of_a_failed_flush,
    ),
    "flush-fails-once": Rule(
        "A failed flush is not tried again and believed.",
        on_plane.a_failed_flush_is_not_tried_again_and_believed,
        flush_again_and_believe,
    ),
    "fence": Rule(
        "Without a plex that can be trusted a volume takes no writes, over restarts.",
        on_engine.a_volume_without_a_plex_that_can_be_trusted_takes_no_writes,
        never_fence,
    ),
    "zeros": Rule(
        "Space that a volume gets is zeroed before its size is published.",
        on_engine.a_new_volume_shows_nothing_of_what_was_there,
        publish_without_zeroing,
    ),
    "checksum": Rule(
        "Altered metadata is never believed.",
        on_store.altered_metadata_is_never_believed,
        believe_any_checksum,
    ),
    "majority": Rule(
        "A transaction counts once a majority of the configuration copies has it.",
        on_store.a_transaction_counts_on_a_majority_only,
        count_what_few_have,
    ),
    "force": Rule(
        "Too few copies need force; never a guess.",
        on_store.too_few_copies_need_force,
        doubt_nothing,
    ),
    "durable-metadata": Rule(
        "Metadata is written durably, in aligned blocks of 4 KiB.",
        on_store.metadata_is_written_durably_and_in_whole_blocks,
        leave_metadata_in_the_cache,
    ),
    "shut-out": Rule(
        "A host whose group was taken over writes nothing more.",
        on_store.who_was_shut_out_writes_nothing,
        look_at_no_stamp,
    ),
    "anew-on-new-table": Rule(
        "What was parked runs again from its beginning, on the table that is true then.",
        in_order.what_was_parked_runs_again_on_the_new_table,
        without.answer_for_the_old_table,
    ),
    "ascending": Rule(
        "Locks of regions are taken in one order.",
        in_order.locks_of_regions_are_taken_in_one_order,
        without.take_locks_as_regions_come,
    ),
    "discard-marks": Rule(
        "A discard is marked in dirty maps as a write is.",
        in_order.a_discard_is_marked_as_a_write_is,
        without.mark_nothing_for_a_discard,
    ),
    "detached-by-the-commit": Rule(
        "A disk that fails a commit is left out, on record, before the commit returns.",
        in_order.a_disk_that_fails_the_commit_is_out_when_it_returns,
        without.leave_in_what_failed_the_commit,
    ),
    "freed-after-swap": Rule(
        "What a commit frees is free once nobody is on the old table.",
        in_order.what_a_commit_frees_is_freed_when_nobody_writes_there_any_more,
        without.free_before_the_swap,
    ),
    "no-flush-for-metadata": Rule(
        "No LUN is flushed for a piece of metadata.",
        in_order.no_lun_is_flushed_for_metadata,
        without.flush_luns_for_metadata,
    ),
    "flush-fails-out": Rule(
        "What a failed flush leaves in doubt is left out, on record, before the client has its answer.",
        in_order.what_a_failed_flush_leaves_in_doubt_is_out_before_the_answer,
        without.answer_a_failed_flush,
    ),
    "checkpoint-after-flush": Rule(
        "A checkpoint is written after a flush.",
        in_order.a_checkpoint_follows_a_flush,
        without.write_checkpoints_without_a_flush,
    ),
    "one-descriptor": Rule(
        "A LUN is open once for as long as the engine lives.",
        in_order.a_lun_is_open_once_for_as_long_as_the_engine_lives,
        without.open_luns_anew_at_each_rescan,
    ),
    "placement": Rule(
        "The beginning of a disk stays zero, and pieces begin and end on MiB.",
        in_order.what_lies_where_on_a_disk,
        without.allocate_by_blocks,
    ),
}

ELSEWHERE = {
    "A new plex gets every write from its first instant.": "test_engine_model_planted.py::test_a_planted_bug_is_found",
    "A new plex is not read until it is complete.": "test_engine_model_planted.py::test_a_planted_bug_is_found",
    "A copy worker takes the regions of its chunk.": "test_tasks_planted.py::test_without_region_locks_that_is_found",
    "A target is flushed before it takes over.": "test_tasks_planted.py::test_without_a_flush_first_that_is_found",
    "Space that a volume grows by is zeroed.": "test_engine_model_planted.py::test_a_planted_bug_is_found",
    "A newer format is refused.": "test_store_faults.py::test_a_newer_format_blocks_the_import",
    "A block in another place or of another disk is refused.": (
        "test_store_format.py::test_a_block_from_elsewhere_is_told_apart"
    ),
    "A plan that would not fit on disk is refused.": (
        "test_store_large.py::test_what_does_not_fit_is_refused_before_anything_is_written"
    ),
    "A frozen group's refused change never comes back.": (
        "test_store_crash.py::test_what_was_refused_while_frozen_does_not_come_back"
    ),
    "A dirty bit is durable before a leg is written, and is cleared after a flush that began after the last write; "
    "a write that failed keeps it.": ("test_dirty_map.py::test_each_of_the_rules_is_needed"),
    "A RAID-5 log has a change before any column has it, and gives it up after all columns are flushed.": (
        "test_raid5_crash.py::test_a_planted_bug_is_found"
    ),
    "The rows of a RAID-5 volume are locked whole.": "test_raid5_model.py::test_a_planted_bug_is_found",
    "Records name no host.": "test_store_rows.py::test_the_host_that_reads_is_the_one_that_tells",
}


@pytest.mark.parametrize("rule", RULES)
def test_with_the_rule_the_scene_is_green(rule: str, tmp_path: Path) -> None:
    RULES[rule].scene(tmp_path)


@pytest.mark.allow_log("")
@pytest.mark.parametrize("rule", RULES)
def test_without_the_rule_the_scene_is_red(rule: str, tmp_path: Path, monkeypatch: Patch) -> None:
    RULES[rule].take_out(monkeypatch)
    monkeypatch.setattr(on_plane.Looks, "for_what_must_not_s", 20.0)
    monkeypatch.setattr(on_plane.Looks, "for_what_must_s", 2.0)
    with pytest.raises(AssertionError):
        RULES[rule].scene(tmp_path)


@pytest.mark.parametrize("rule", ELSEWHERE)
def test_what_is_shown_elsewhere_is_there(rule: str) -> None:
    file, name = ELSEWHERE[rule].split("::")
    tree = ast.parse((Path(__file__).parent / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
