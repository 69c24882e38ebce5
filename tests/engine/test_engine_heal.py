"""Places of a LUN that have gone bad: mended from the other mirror, counted, and never believed without a look."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random

import pytest

import engine.trouble.heal as heal
from engine.commands import (
    AddMirrors,
    Command,
    Move,
    MoveSubdisks,
    ReactivateDisk,
    ResyncVolume,
    VerifyVolume,
)
from engine.dataplane.fault import Fault, FaultKind
from engine.dataplane.request import Op
from engine.errors import DeviceError
from engine.records import Alert, DiskStatus, Kind, PlexState, Ref, Severity, VolumeStatus
from engine.store import uncached
from engine.store.uncached import read_strictly
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.frail_lun import BLOCK, FrailLun
from tests.engine.test_engine_life import pattern
from tests.engine.test_engine_snapshots import prepared, snap

lab = lab_fixture(frail=True)


def place(lab: EngineLab, number: int = 0, name: str = "v") -> tuple[Ref, FrailLun, int]:
    """The disk of a plex, its LUN, and where the volume begins there."""
    subdisk = lab.config.subdisks_of(lab.plexes(name)[number].ref)[0]
    return subdisk.disk, lab.lun(subdisk.disk), subdisk.disk_offset


def read_both(lab: EngineLab, offset: int, length: int) -> set[bytes]:
    """What every mirror says, whichever is read by itself."""
    found = {lab.read(offset, length)}
    for number in range(len(lab.plexes())):
        _, lun, start = place(lab, number)
        buffer = bytearray(length)
        lun.read_into(start + offset, memoryview(buffer))
        found.add(bytes(buffer))
    return found


def alerts(lab: EngineLab, about: Ref) -> list[Alert]:
    return [alert for alert in lab.config.all(Kind.ALERT, Alert) if alert.object == about]


def told_of(lab: EngineLab, about: Ref) -> list[Alert]:
    """Its alerts, once there is one: a client may have its answer before the operator is told."""
    assert lab.engine.committer.wait_until(lambda _: bool(alerts(lab, about)), 60)
    return alerts(lab, about)


def _is_error(alert: Alert) -> bool:
    return alert.severity is Severity.ERROR and bool(alert.cause and alert.remedy)


def test_a_latent_error_is_mended_counted_and_told_and_costs_no_mirror(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(1, MIB)
    assert lab.write(data, 0) == 0
    disk, lun, start = place(lab)
    lun.spoil(start + 100 * KIB, 12 * KIB)
    assert lab.read(0, MIB) == data
    assert not lun.spoilt
    assert read_both(lab, 0, MIB) == {data}
    assert [plex.state for plex in lab.plexes()] == [PlexState.ACTIVE] * 2
    assert (lab.config.disk(disk).errors, lab.config.disk(disk).status) == (1, DiskStatus.IMPORTED)
    (told,) = told_of(lab, disk)
    assert told.severity is Severity.INFORMATION
    assert lab.volume().status is VolumeStatus.HEALTHY


def test_a_short_write_into_a_bad_block_mends_the_whole_block_first(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = bytearray(pattern(2, MIB))
    assert lab.write(bytes(data), 0) == 0
    disk, lun, start = place(lab)
    lun.spoil(start, BLOCK)
    assert lab.write(b"x" * 512, 1024) == 0
    data[1024:1536] = b"x" * 512
    assert read_both(lab, 0, MIB) == {bytes(data)}
    assert lab.config.disk(disk).errors == 1
    assert not lab.config.disk(disk).failing


def test_a_write_that_was_mended_leaves_no_doubt_behind(lab: EngineLab) -> None:
    """A snapshot is taken as if nothing had been, and the stop is one in order."""
    prepared(lab, mirrors=2)
    disk, lun, start = place(lab, 1)
    lun.spoil(start + 3 * MIB, BLOCK)
    assert lab.write(b"w" * 100, 3 * MIB + 10) == 0
    told_of(lab, disk)
    snap(lab)
    assert lab.read(3 * MIB + 10, 100, "SnapVolume01") == b"w" * 100
    lab.restart_frail()
    assert lab.volume().source is None
    assert {plex.state for plex in lab.plexes()} == {PlexState.CLEAN}


def test_a_volume_that_says_clean_is_corrected_before_it_is_mended(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(3, MIB)
    assert lab.write(data, 0) == 0
    lab.stop()
    lab.start(frail=True)
    assert {plex.state for plex in lab.plexes()} == {PlexState.CLEAN}
    _, lun, start = place(lab)
    lun.spoil(start, MIB)
    assert lab.read(0, MIB) == data
    assert {plex.state for plex in lab.plexes()} == {PlexState.ACTIVE}
    assert read_both(lab, 0, MIB) == {data}


@pytest.mark.parametrize(
    "verbs", [("read", "durable"), ("read",)], ids=["writing fails, too", "reading fails for good"]
)
def test_what_cannot_be_mended_fails_the_disk_and_spares_the_volume(lab: EngineLab, verbs: tuple[str, ...]) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(4, MIB)
    assert lab.write(data, 0) == 0
    disk, lun, start = place(lab)
    lun.fail(*verbs, persistent=True, at=lambda offset: start <= offset < start + MIB)
    assert lab.read(0, MIB) == data
    assert lab.config.disk(disk).failing
    assert lab.plexes()[0].state is PlexState.IOFAIL
    assert lab.engine.committer.wait_until(lambda _: any(_is_error(alert) for alert in alerts(lab, disk)), 60)


def test_too_many_errors_make_a_disk_failing_and_reactivation_forgets_them(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(5, MIB)
    assert lab.write(data, 0) == 0
    disk, lun, start = place(lab)
    for turn in range(1, heal.ERRORS_MAX + 1):
        assert not lab.config.disk(disk).failing
        lun.spoil(start + turn * BLOCK, BLOCK)
        assert lab.read(0, MIB) == data
    assert lab.engine.committer.wait_until(lambda config: config.disk(disk).failing, 60)
    lab.restart_frail()
    assert lab.config.disk(disk).failing, "a restart mends no disk"
    lab.do(ReactivateDisk(disk=disk))
    assert (lab.config.disk(disk).errors, lab.config.disk(disk).failing) == (0, False)
    assert lab.engine.committer.wait_until(lambda config: config.volume(lab.volume().ref).copies == 2, 60)
    assert read_both(lab, 0, MIB) == {data}


def test_the_only_copy_is_never_mended_with_anything(lab: EngineLab) -> None:
    lab.make_volume()
    assert lab.write(pattern(6, MIB), 0) == 0
    disk, lun, start = place(lab)
    lun.spoil(start, BLOCK)
    with pytest.raises(OSError, match="Input/output"):
        lab.read(0, BLOCK)
    assert lun.spoilt
    assert lab.config.disk(disk).failing
    assert lab.read(BLOCK, MIB - BLOCK) == pattern(6, MIB)[BLOCK:]


def test_a_mirror_in_doubt_mends_nothing_of_the_one_that_is_believed(lab: EngineLab) -> None:
    """While a source is named, another mirror may hold older bytes: they must not come back."""
    lab.make_volume(mirrors=2)
    data = pattern(7, MIB)
    assert lab.write(data, 0) == 0
    believed = lab.plexes()[0]
    lab.engine.committer.commit(
        lambda edit: edit.put(lab.volume().__class__(**_fields(lab.volume(), source=believed.ref)))
    )
    other = place(lab, 1)
    other[1].write(other[2], b"old" * 1000)
    _, lun, start = place(lab, 0)
    lun.spoil(start, BLOCK)
    with pytest.raises(heal._Cannot):
        heal._maps(
            lab.engine.committer.ios[lab.volume().ref].table.find(0),
            Fault("v", FaultKind.LEG, Op.READ, lun, believed.ref, None, 5, 0, BLOCK),
        )


def _fields(record: object, **changed: object) -> dict[str, object]:
    names = record.__struct_fields__  # type: ignore[attr-defined]
    return {name: getattr(record, name) for name in names} | changed


def test_what_a_cache_says_of_a_rewritten_place_is_not_believed(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The medium gives back something else than what was written: the disk fails, though its cache looks well."""
    lab.make_volume(mirrors=2)
    data = pattern(8, MIB)
    assert lab.write(data, 0) == 0
    disk, lun, start = place(lab)
    monkeypatch.setattr(heal, "read_strictly", lambda device, offset, length: bytearray(length))
    lun.spoil(start, BLOCK)
    assert lab.read(0, MIB) == data
    assert lab.config.disk(disk).failing
    assert lab.plexes()[0].state is PlexState.IOFAIL


def test_where_the_medium_cannot_be_asked_nothing_counts_as_mended(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(9, MIB), 0) == 0
    disk, lun, start = place(lab)
    monkeypatch.setattr(heal, "read_strictly", lambda device, offset, length: None)
    lun.spoil(start, BLOCK)
    assert lab.read(0, BLOCK) == pattern(9, MIB)[:BLOCK]
    assert lab.config.disk(disk).failing


def test_a_file_system_without_direct_reading_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lun"
    path.write_bytes(b"a" * 16 * MIB)
    lun = FrailLun(str(path))
    try:
        assert read_strictly(lun, 0, BLOCK) == b"a" * BLOCK
        monkeypatch.setattr(uncached, "in_memory", lambda descriptor: False)
        monkeypatch.setattr(uncached, "_read_direct", lambda descriptor, offset, length: None)
        assert read_strictly(lun, 0, BLOCK) is None
        lun.spoil(0, BLOCK)
        with pytest.raises(DeviceError):
            read_strictly(lun, 0, BLOCK)
    finally:
        lun.close()


def test_latent_errors_everywhere_while_writers_verify_never_give_a_wrong_byte(lab: EngineLab) -> None:
    """Blocks go bad on either mirror at random while three clients write and read back what they wrote."""
    lab.make_volume(size=8 * MIB, mirrors=2, striped=True, columns=2)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(heal, "ERRORS_MAX", 1 << 30)
    wrong: list[str] = []
    stop = threading.Event()

    def client(number: int) -> None:
        random, known = Random(number), {}
        base = number * 2 * MIB
        for turn in range(120):
            at, size = (
                base + random.randrange(0, 2 * MIB - 16384) // 512 * 512,
                random.randrange(512, 16384) // 512 * 512,
            )
            data = random.randbytes(size)
            if lab.write(data, at) != 0:
                wrong.append("a write failed")
            for one in range(0, size, 512):
                known[at + one] = data[one : one + 512]
            place_, wanted = random.choice(sorted(known.items()))
            if lab.read(place_, 512) != wanted:
                wrong.append(f"client {number}, turn {turn}, at {place_}")
        for place_, wanted in known.items():
            if lab.read(place_, 512) != wanted:
                wrong.append(f"client {number} at the end, at {place_}")

    def decay() -> None:
        random = Random(99)
        pieces = [sd for plex in lab.plexes() for sd in lab.config.subdisks_of(plex.ref)]
        halves = [pieces[:2], pieces[2:]]
        gone: set[tuple[Ref, int]] = set()
        while not stop.wait(0.005):
            half = random.choice(halves)
            if any(lab.lun(sd.disk).spoilt for sd in pieces if sd not in half):
                continue  # both copies of a block gone bad is no case for a mirror
            subdisk = random.choice(half)
            place_ = subdisk.disk, subdisk.disk_offset + random.randrange(subdisk.length // BLOCK) * BLOCK
            if place_ not in gone:  # one that goes bad again while it is being mended is given up, and rightly so
                gone.add(place_)
                lab.lun(place_[0]).spoil(place_[1], BLOCK)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(3)]
    rot = threading.Thread(target=decay)
    for thread in (*threads, rot):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    rot.join()
    monkey.undo()
    assert wrong == []
    assert lab.flush() == 0
    for disk in {sd.disk for plex in lab.plexes() for sd in lab.config.subdisks_of(plex.ref)}:
        lab.lun(disk).heal()
        assert not lab.config.disk(disk).failing
    assert sum(lab.config.disk(disk.ref).errors for disk in lab.config.disks_of(lab.group().ref)) > 0


@pytest.mark.parametrize("what", ["verify", "add", "move", "resync"])
def test_a_task_that_meets_a_latent_error_mends_it_and_goes_on(lab: EngineLab, what: str) -> None:
    volume = lab.make_volume(size=16 * MIB, mirrors=2)
    data = pattern(10, 16 * MIB)
    assert lab.write(data, 0) == 0
    assert lab.flush() == 0
    disk, lun, start = place(lab)
    for at in range(1, 16, 5):
        lun.spoil(start + at * MIB + 64 * KIB, 8 * KIB)
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    commands: dict[str, Command] = {
        "verify": VerifyVolume(volume=volume.ref),
        "add": AddMirrors(volume=volume.ref),
        "move": MoveSubdisks(moves=(Move(subdisk.ref),)),
        "resync": ResyncVolume(volume=volume.ref),
    }
    ref = lab.engine.submit(commands[what])
    assert lab.engine.wait(ref, 60)
    assert lab.config.task(ref).state == "completed" or what == "resync", lab.config.task(ref).result
    assert lab.config.disk(disk).failing == (what == "resync"), "while one mirror is believed none can stand for it"
    if what == "verify":
        assert not lun.spoilt
    assert lab.read(0, 16 * MIB) == data


def test_a_write_that_fails_on_what_is_filled_is_no_case_for_mending(lab: EngineLab) -> None:
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    volume = lab.make_volume(size=16 * MIB, disks=(disks[0],))
    lab.lun(disks[1]).fail("write", nth=3, persistent=True)
    task = lab.engine.submit(AddMirrors(volume=volume.ref, disks=(disks[1],)))
    for turn in range(16):
        assert lab.write(pattern(turn, MIB), turn * MIB) == 0
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state == "failed"
    assert lab.config.disk(disks[1]).failing
