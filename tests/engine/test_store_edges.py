"""What the store says at its edges: bodies that contradict their headers, LUNs that fail in the middle, odd kernels."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engine.devices.file import FileDevice
from engine.errors import DeviceError, EngineError, MetadataError
from engine.geometry import LABEL_OFFSET, PRIVATE_OFFSET
from engine.records import Kind, Ref
from engine.store import probe, rows, uncached, usage
from engine.store import transaction as transactions
from engine.store.areas import STAMP_OFFSETS, Area
from engine.store.format import Block, Sealed, seal
from engine.store.group_store import GroupStore
from engine.store.label import new_label, read_label
from engine.store.member import Member, claim, release
from engine.store.policy import import_needs
from engine.store.scan import scan
from engine.units import MIB
from tests.engine.store_lab import GROUP, HOST, PAGE, SIZE, Bus, Lab, Lun, disk_ref, importer, value_of

DISK, OF = bytes.fromhex(disk_ref(0).id), bytes.fromhex(GROUP.id)


def lab_with(disks: int, values: int = 3) -> Lab:
    lab = Lab(disks)
    lab.create()
    for value in range(1, values + 1):
        lab.set_value(value)
    return lab


# --- blocks that are whole and make no sense ---
def reseal(lab: Lab, kind: Block, offset: int, number: int, body: bytes) -> None:
    """A block that nobody could tell from a good one by its header."""
    group = b"\0" * 16 if kind is Block.LABEL and not body else OF
    lab.luns["lun0"].put(offset, bytes(seal(kind, DISK, group, offset, number, body)))


NONSENSE = (
    b"",
    b"\xc1",
    msgspec.msgpack.encode({"no": "such field"}),
    msgspec.msgpack.encode([1, 2, 3]),
    b"\x81\xa4host\xa1\xff",
)


@pytest.mark.parametrize("body", NONSENSE)
def test_a_checkpoint_that_makes_no_sense_is_named(body: bytes) -> None:
    lab = lab_with(2)
    for area in (Area.SLOT_A, Area.SLOT_B):
        reseal(lab, Block.CHECKPOINT, lab.store.span(disk_ref(0), area).offset, 9, body)
    found = lab.found()
    assert found is not None
    assert value_of(found) == 3
    assert any("makes no sense" in problem for problem in found.problems)


def test_a_transaction_whose_number_is_not_its_headers_is_named() -> None:
    lab = lab_with(2)
    place = lab.store.span(disk_ref(0), Area.SLOT_A).offset
    first = lab.found()
    assert first is not None
    state = first.require().chain.states[0]
    reseal(lab, Block.CHECKPOINT, place, state.number + 1, transactions.encode(state))
    found = lab.found()
    assert found is not None
    assert value_of(found) == 3
    assert any("contradicts its own header" in problem for problem in found.problems)


@pytest.mark.parametrize("body", NONSENSE)
def test_stamps_that_make_no_sense_leave_the_owner_to_the_other_disks(body: bytes) -> None:
    lab = lab_with(2)
    for offset in STAMP_OFFSETS:
        reseal(lab, Block.STAMP, PRIVATE_OFFSET + offset, 99, body)
    found = lab.found()
    assert found is not None
    assert found.state(HOST) == "Imported"
    assert any("stamp" in problem for problem in found.problems)


@pytest.mark.parametrize("body", NONSENSE)
def test_labels_that_make_no_sense_are_damage(body: bytes) -> None:
    lab = lab_with(2)
    for place in (LABEL_OFFSET, PRIVATE_OFFSET):
        reseal(lab, Block.LABEL, place, 99, body)
    seen = scan(lab.luns)
    assert "makes no sense" in seen.damaged["lun0"]
    assert value_of(seen.groups[GROUP.id]) == 3


def test_rows_that_are_whole_and_wrong_block_the_group_with_a_sentence() -> None:
    lab = lab_with(1)
    first = lab.found()
    assert first is not None
    state = first.require().chain.states[0]
    spoilt = transactions.encode(state).replace(b"number", b"numbe\xff").replace(b"volume", b"volum\xff")
    with pytest.raises(MetadataError):
        transactions.decode(Sealed(1, Block.CHECKPOINT, DISK, OF, state.number, spoilt))
    wrong = msgspec.structs.replace(state, put={rows.pack_ref(GROUP): msgspec.msgpack.encode([7])})
    for area in (Area.SLOT_A, Area.SLOT_B):
        reseal(
            lab, Block.CHECKPOINT, lab.store.span(disk_ref(0), area).offset, wrong.number, transactions.encode(wrong)
        )
    found = lab.found()
    assert found is not None
    assert found.elected is None
    with pytest.raises(MetadataError, match="makes no sense"):
        found.require()
    with pytest.raises(MetadataError, match="makes no sense"):
        GroupStore.load(found, importer())
    assert import_needs(found, HOST).impossible


@pytest.mark.parametrize("raw", [b"", b"\x7f", b"\xff" * 3, bytes((0x82,)) + b"\xff\xfe"])
def test_references_that_are_none(raw: bytes) -> None:
    with pytest.raises(MetadataError):
        rows.unpack_ref(raw)


def test_a_value_without_a_form_on_disk_is_a_defect_and_not_written() -> None:
    with pytest.raises(TypeError, match="no form on disk"):
        rows._plain(object())


def test_ids_that_are_no_hex_are_kept_as_text() -> None:
    for text in ("z" * 32, "A" * 32, "7", ""):
        ref = Ref(Kind.TASK, text)
        assert rows.unpack_ref(rows.pack_ref(ref)) == ref


@pytest.mark.parametrize("disk", ["", "short", "A" * 32, "g" * 32])
def test_a_label_needs_an_id(disk: str) -> None:
    with pytest.raises(ValueError, match="no disk id"):
        new_label(disk, SIZE, 0.0)


# --- LUNs that fail in the middle ---
class Failing(Lun):
    """A LUN whose reads of the private region fail once they are told to."""

    broken = False
    lies = False

    def read_into(self, offset: int, into: memoryview) -> None:
        if self.broken and offset >= PRIVATE_OFFSET:
            raise DeviceError(errno.EIO, self.name, "Reading")
        super().read_into(offset, into)

    def write(self, offset: int, data: object, *, durable: bool = False) -> None:
        if not self.lies:
            super().write(offset, data, durable=durable)  # type: ignore[arg-type]


def failing_lab() -> tuple[Lab, Failing]:
    lab = Lab(3)
    lun = Failing("lun1", lab.bus, SIZE)
    lab.luns["lun1"] = lun
    lab.create()
    lab.set_value(1)
    return lab, lun


def test_a_lun_that_cannot_be_read_is_left_to_its_write_and_the_scan_says_so() -> None:
    lab, lun = failing_lab()
    lun.broken = True
    assert lab.try_value(2)
    seen = scan(lab.luns)
    assert "lun1" in seen.unreadable
    assert value_of(seen.groups[GROUP.id]) == 2


def test_stamps_of_which_none_can_be_believed_stop_the_writing() -> None:
    lab = lab_with(2)
    for lun in lab.luns.values():
        for offset in STAMP_OFFSETS:
            lun.put(PRIVATE_OFFSET + offset + 200, b"broken")
    assert not lab.try_value(9)
    assert "can't be read" in lab.store.frozen


def test_stamps_that_somebody_took_away_stop_the_writing() -> None:
    lab = lab_with(2)
    for lun in lab.luns.values():
        for offset in STAMP_OFFSETS:
            lun.put(PRIVATE_OFFSET + offset, bytes(PAGE))
    assert not lab.try_value(9)
    assert "taken away by another program" in lab.store.frozen


def test_a_stamp_whose_write_was_lost_is_noticed() -> None:
    lab, lun = failing_lab()
    lab.store.lose_disk(disk_ref(1))
    lab.set_value(2)
    lun.lies = True
    with pytest.raises(MetadataError, match="did not become what was written"):
        lab.store.attach_disk(disk_ref(1), lun)


def test_only_the_disk_that_is_missing_can_come_back() -> None:
    lab = lab_with(3)
    lab.store.lose_disk(disk_ref(1))
    assert not lab.store.has(disk_ref(1))
    with pytest.raises(MetadataError, match="not the disk that is missing"):
        lab.store.attach_disk(disk_ref(1), lab.luns["lun2"])
    with pytest.raises(MetadataError, match="not the disk that is missing"):
        lab.store.attach_disk(disk_ref(1), Lun("blank", lab.bus))
    lab.store.attach_disk(disk_ref(1), lab.luns["lun1"])
    assert lab.store.works(disk_ref(1))


def test_a_member_is_not_taken_apart() -> None:
    lab = lab_with(2)
    with pytest.raises(MetadataError, match="still a disk of the group"):
        lab.store.remove_disk(disk_ref(1))


def test_a_lun_that_shrank_keeps_its_label() -> None:
    lab = lab_with(1)
    label = read_label(lab.luns["lun0"])
    assert label is not None
    lab.luns["lun0"].size -= 2 * MIB
    with pytest.raises(MetadataError, match="has become smaller"):
        Member(lab.luns["lun0"], label).resize()
    assert read_label(lab.luns["lun0"]) == label


def test_nobodys_lun_cannot_be_released_and_damaged_labels_are_made_anew() -> None:
    bus = Bus()
    assert release(Lun("blank", bus)) is None
    lun = Lun("lun", bus)
    claim(lun, disk_ref(0).id, GROUP.id, 1.0)
    for place in (LABEL_OFFSET, PRIVATE_OFFSET):
        lun.put(place + 300, b"damage")
    claim(lun, disk_ref(0).id, GROUP.id, 2.0)
    label = read_label(lun)
    assert label is not None
    assert label.created == 2.0


# --- who uses a LUN, as odd kernels tell it ---
@pytest.fixture
def lun(tmp_path: Path) -> str:
    path = tmp_path / "a lun"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(8 * MIB)
    return str(path)


def test_swap_space_is_seen_through_the_kernels_way_to_write_blanks(
    lun: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "swaps"
    monkeypatch.setattr(usage, "_SWAPS", table)
    assert usage.user_of(lun) == ""  # a kernel without swap has no table
    table.write_text("Filename\tType\tSize\tUsed\tPriority\n/dev/nowhere partition 8 0 -2\n")
    assert usage.user_of(lun) == ""
    table.write_text(f"Filename\n{lun.replace(' ', chr(92) + '040')} file 8 0 -2\n")
    assert usage.user_of(lun) == "swap space in use"


def test_a_lun_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        usage.user_of(str(tmp_path / "nowhere"))


def test_what_the_kernel_stacks_on_a_device_or_its_partitions_is_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "8:0" / "sda1").mkdir(parents=True)
    (tmp_path / "8:0" / "sda1" / "partition").write_text("1\n")
    (tmp_path / "8:0" / "sda1" / "dev").write_text("8:1\n")
    (tmp_path / "8:1" / "holders" / "dm-3").mkdir(parents=True)
    monkeypatch.setattr(usage, "_SYS_DEV", tmp_path)
    numbers = list(usage._with_partitions(os.makedev(8, 0)))
    assert numbers == ["8:0", "8:1"]
    assert usage._holder_of(numbers) == "data in use by /dev/dm-3"
    assert usage._holder_of(["8:0"]) == ""


def test_a_mount_is_found_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("36 35 8:17 / /mnt/a\\040place rw,noatime shared:1 - xfs /dev/sdb1 rw\n")
    monkeypatch.setattr(usage, "_MOUNTS", table)
    assert usage._mount_of(["8:17"]) == "xfs file system mounted on /mnt/a place"
    assert usage._mount_of(["8:1"]) == ""


def test_a_loop_device_that_is_given_up_while_it_is_looked_at_is_nobody(
    lun: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop0" / "loop").mkdir(parents=True)
    (tmp_path / "loop0" / "loop" / "backing_file").mkdir()  # reading it fails
    (tmp_path / "loop1" / "loop").mkdir(parents=True)
    (tmp_path / "loop1" / "loop" / "backing_file").write_text(lun + "\n")
    monkeypatch.setattr(usage, "_SYS_BLOCK", tmp_path)
    assert usage._loop_of(lun) == "loop1"
    assert usage._loop_of(lun + "2") == ""


# --- what blkid answers, or doesn't ---
Answer = Callable[..., subprocess.CompletedProcess[bytes]]


def answering(status: int, text: bytes = b"") -> Answer:
    return lambda *_args, **_options: subprocess.CompletedProcess((), status, text)


def never(*_args: object, **_options: object) -> subprocess.CompletedProcess[bytes]:
    raise subprocess.TimeoutExpired("blkid", 30.0)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answering(8), "data of several kinds"),
        (answering(2), ""),
        (answering(0, b"TYPE=xfs\nUSAGE=filesystem\n"), "xfs file system"),
        (answering(4), EngineError("blkid failed \\(status 4\\)")),
        (never, EngineError("did not answer")),
    ],
)
def test_what_blkid_says_is_passed_on(
    lun: str, answer: Answer, words: str | EngineError, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FileDevice(lun)
    monkeypatch.setattr(probe.subprocess, "run", answer)
    try:
        if isinstance(words, EngineError):
            with pytest.raises(EngineError, match=str(words)):
                probe.content_of(device)
        else:
            assert probe.content_of(device) == words
    finally:
        monkeypatch.undo()
        device.close()


def test_a_lun_whose_user_cannot_be_found_out_is_a_sentence(lun: str) -> None:
    device = FileDevice(lun)
    Path(lun).unlink()
    with pytest.raises(EngineError, match="can't be found out: No such file"):
        probe.content_of(device)
    device.close()


def test_without_direct_reads_the_cache_is_dropped_first(lun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = FileDevice(lun)
    device.write(4096, b"x" * 4096, durable=True)
    monkeypatch.setattr(uncached, "_read_direct", lambda *_: None)
    assert uncached.read_uncached(device, 4096, 4096) == b"x" * 4096
    device.close()
