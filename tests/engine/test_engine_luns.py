"""LUNs that are copied, exchanged, linked and taken by others under a whole engine; and how it starts and ends."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from engine import lab_content
from engine.commands import (
    AbortTask,
    AddLuns,
    AddMirrors,
    ChangeSettings,
    CreateGroup,
    CreateVolume,
    DeportGroup,
    DestroyGroup,
    ImportGroup,
    RemoveDisks,
    RemoveLuns,
    Rename,
    Rescan,
    ResyncVolume,
    StopVolumes,
)
from engine.errors import CommandRejected, EngineBusy, EngineError, GroupFrozen
from engine.host import start_host
from engine.lab import Lab, create_lab
from engine.records import Alert, Disk, Group, GroupState, Kind, PlexState, Volume
from engine.state_folder.host_state import HostState
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.nbd_peer import Client
from tests.engine.test_engine_faults import bring_back, disk_of, pull, states
from tests.engine.test_engine_life import pattern

DEADLINE_S = 60.0


lab = lab_fixture(frail=True)


def free_disk(lab: EngineLab) -> Disk:
    return next(disk for disk in lab.config.all(Kind.DISK, Disk) if disk.group is None)


# --- copies, links, exchanges ---
def test_a_copy_of_a_lun_in_use_is_never_written_to(lab: EngineLab, tmp_path: Path) -> None:
    """The copy's path sorts before the original's."""
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(1, MIB), 0) == 0
    disk = disk_of(lab, 0)
    copy = tmp_path / "0-copy.img"
    shutil.copy(lab.path_of(disk), copy)
    before = copy.read_bytes()
    original = lab.path_of(disk)
    lab.do(AddLuns(paths=(str(copy),)))
    lab.do(Rescan())
    assert lab.path_of(disk) == original
    lab.do(Rename(object=lab.volume().ref, name="w"))
    assert lab.write(pattern(2, MIB), 0, "w") == 0
    lab.do(Rescan())
    assert lab.equal("w")
    assert copy.read_bytes() == before
    shown = next(one for one in lab.config.all(Kind.DISK, Disk) if one.lun == str(copy))
    assert shown.content
    with pytest.raises(CommandRejected):
        lab.engine.submit(CreateGroup(name="x", disks=(shown.ref,)))


def test_a_lun_under_a_second_name_is_refused_and_the_first_goes_on(lab: EngineLab, tmp_path: Path) -> None:
    lab.make_volume()
    path = lab.path_of(disk_of(lab, 0))
    hard, soft = tmp_path / "hard.img", tmp_path / "soft.img"
    os.link(path, hard)
    soft.symlink_to(path)
    for paths in ((str(hard),), (str(soft),), (str(soft), "/nowhere"), (str(path), str(hard))):
        with pytest.raises(EngineError):
            lab.engine.submit(AddLuns(paths=paths))
    assert lab.write(b"on", 0) == 0
    assert len(lab.config.all(Kind.DISK, Disk)) == 6
    other = EngineLab(tmp_path, "b").start()
    try:
        with pytest.raises(EngineError):
            other.engine.submit(ImportGroup(group=other.group().ref, clear=True, force=True))
    finally:
        other.stop()


def test_the_way_back_of_a_mirror_over_another_file_is_a_resync(lab: EngineLab) -> None:
    """An operator puts an old copy back at the path: it is the disk again, and everything on it is copied anew."""
    lab.make_volume(mirrors=2)
    path = lab.path_of(disk_of(lab, 0))
    old = path.with_suffix(".old")
    shutil.copy(path, old)
    assert lab.write(pattern(3, MIB), 0) == 0
    path.unlink()
    old.rename(path)
    lab.do(Rescan())
    assert states(lab)[0] is PlexState.STALE
    assert lab.config.disk(disk_of(lab, 0)).present
    assert lab.read(0, MIB) == pattern(3, MIB)
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.equal()
    lab.restart()
    assert lab.read(0, MIB) == pattern(3, MIB)


def test_the_only_copy_over_another_file_takes_no_writes_until_somebody_has_looked(lab: EngineLab) -> None:
    lab.make_volume()
    path = lab.path_of(disk_of(lab, 0))
    shutil.copy(path, path.with_suffix(".old"))
    assert lab.write(pattern(4, MIB), 0) == 0
    path.unlink()
    path.with_suffix(".old").rename(path)
    lab.do(Rescan())
    assert lab.volume().fenced
    assert lab.write(b"x", 0) == errno.EIO


def test_a_disk_that_left_while_its_lun_was_away_is_free_when_it_is_back(lab: EngineLab) -> None:
    disk = next(one for one in lab.config.disks_of(lab.group().ref) if not lab.config.subdisks_on(one.ref))
    path = pull(lab, disk.ref)
    lab.do(Rescan())
    lab.do(RemoveDisks(disks=(disk.ref,)))
    bring_back(path)
    lab.do(Rescan())
    again = next(one for one in lab.config.all(Kind.DISK, Disk) if one.lun == str(path))
    assert (again.group, again.content) == (None, "")
    lab.do(CreateGroup(name="x", disks=(again.ref,)))


def test_a_group_that_another_engine_made_meanwhile_is_not_overwritten(lab: EngineLab, tmp_path: Path) -> None:
    """The other one has given it up again, so no lock tells; this one has not rescanned since."""
    mine = free_disk(lab)
    other = EngineLab(tmp_path, "b").start()
    try:
        theirs = next(one for one in other.config.all(Kind.DISK, Disk) if one.lun == mine.lun)
        other.do(CreateGroup(name="theirs", disks=(theirs.ref,)))
        other.do(DeportGroup(group=other.group("theirs").ref))
    finally:
        other.stop()
    with pytest.raises(CommandRejected, match="found since the last rescan"):
        lab.engine.submit(CreateGroup(name="x", disks=(mine.ref,)))
    lab.do(Rescan())
    lab.do(ImportGroup(group=lab.group("theirs").ref))


def test_a_look_that_began_before_a_group_was_destroyed_does_not_bring_it_back(lab: EngineLab) -> None:
    scanner = lab.engine._scanner
    original, reached, go_on = scanner._content, threading.Event(), threading.Event()

    def slow(lun):  # type: ignore[no-untyped-def]
        reached.set()
        assert go_on.wait(DEADLINE_S)
        return original(lun)

    scanner._content = slow  # type: ignore[method-assign]
    task = lab.engine.submit(Rescan())
    assert reached.wait(DEADLINE_S)
    lab.do(DestroyGroup(group=lab.group().ref))
    go_on.set()
    assert lab.engine.wait(task, DEADLINE_S)
    assert not lab.config.all(Kind.GROUP, Group)


# --- other hosts ---
def test_a_host_that_lost_its_group_by_force_writes_nothing_more_and_says_who_has_it(
    lab: EngineLab, tmp_path: Path
) -> None:
    volume = lab.make_volume(mirrors=2)
    lab.do(ChangeSettings(monitoring_interval_s=3600))  # here a commit is to find out
    assert lab.write(pattern(5, MIB), 0) == 0
    for lun in lab.engine._luns:
        if lun.lock is not None:
            lun.lock.give_up()  # as between two machines, which see no lock of each other
    other = EngineLab(tmp_path, "b").start()
    try:
        other.do(ImportGroup(group=other.group().ref, clear=True, force=True))
        assert other.read(0, MIB) == pattern(5, MIB)
        with pytest.raises(GroupFrozen, match="taken over"):
            lab.engine.submit(Rename(object=volume.ref, name="w"))
        assert lab.write(b"x" * 4096, 0) == errno.EIO
        lab.do(Rescan())
        assert lab.group().state is GroupState.FOREIGN
        assert any("taken over" in alert.name for alert in lab.config.all(Kind.ALERT, Alert))
        assert other.write(pattern(6, MIB), 0) == 0
        lab.stop()
        assert other.read(0, MIB) == pattern(6, MIB)
        assert other.equal()
    finally:
        other.stop()


# --- clients ---
def test_a_client_that_reads_no_answer_keeps_nobody_from_changing_anything(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.opened is not None
    with Client(lab.opened.nbd) as client:
        client.go("dg/v")
        blocked = threading.Event()

        def flood() -> None:
            with_length = MIB
            try:
                for cookie in range(64):
                    client.ask(0, cookie, 0, with_length)
            except OSError:
                pass
            blocked.set()

        asking = threading.Thread(target=flood, name="flood")
        asking.start()
        done = threading.Event()

        def change() -> None:
            lab.do(AddMirrors(volume=lab.volume().ref))
            done.set()

        changing = threading.Thread(target=change, name="change")
        changing.start()
        assert done.wait(DEADLINE_S)
        changing.join()
        with pytest.raises(CommandRejected):
            lab.engine.submit(StopVolumes(volumes=(lab.volume().ref,)))
        lab.do(StopVolumes(volumes=(lab.volume().ref,), force=True))
        asking.join(DEADLINE_S)
    assert states(lab) == [PlexState.CLEAN] * 3


def test_the_engine_ends_with_clients_tasks_and_a_frozen_group(lab: EngineLab) -> None:
    volume = lab.make_volume(size=32 * MIB)
    assert lab.write(pattern(7, MIB), 0) == 0
    assert lab.opened is not None
    with Client(lab.opened.nbd) as client:
        client.go("dg/v")
        lab.engine.submit(AddMirrors(volume=volume.ref))
        for disk in lab.config.disks_of(lab.group().ref):
            lab.lun(disk.ref).fail("durable", persistent=True)
        ended = threading.Thread(target=lab.stop, name="stop")
        ended.start()
        ended.join(60)
        assert not ended.is_alive()


test_the_engine_ends_with_clients_tasks_and_a_frozen_group = pytest.mark.allow_log("could not be marked clean")(
    test_the_engine_ends_with_clients_tasks_and_a_frozen_group
)


# --- the commit path ---
def test_a_commit_over_two_groups_of_which_one_is_frozen_changes_neither(lab: EngineLab) -> None:
    lab.make_volume()
    free = free_disk(lab)
    lab.do(CreateGroup(name="dg2", disks=(free.ref,)))
    lab.do(CreateVolume(group=lab.group("dg2").ref, name="v2", size=8 * MIB))
    second = lab.config.find(Kind.VOLUME, "v2", lab.group("dg2").ref)
    assert isinstance(second, Volume)
    order = sorted([lab.group("dg").ref, lab.group("dg2").ref])
    bad = order[1]
    for disk in lab.config.disks_of(bad):
        lab.lun(disk.ref).fail("durable", persistent=True)
    from msgspec.structs import replace

    volumes = (lab.volume(), second)
    with pytest.raises(GroupFrozen):
        lab.engine.committer.commit(lambda edit: [edit.put(replace(one, name=f"{one.name}-new")) for one in volumes])
    assert [lab.config.volume(one.ref).name for one in volumes] == ["v", "v2"]
    for disk in lab.config.disks_of(bad):
        lab.lun(disk.ref).heal()
    lab.kill()
    lab.start(frail=True)
    assert [lab.config.volume(one.ref).name for one in volumes] == ["v", "v2"]


@pytest.mark.parametrize("nth", range(1, 9))
def test_an_import_that_fails_at_any_metadata_write_can_be_done_again(lab: EngineLab, nth: int) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(8, MIB), 0) == 0
    lab.do(DeportGroup(group=lab.group().ref))
    disks = [lab.lun(disk.ref) for disk in lab.config.disks_of(lab.group().ref)]
    for device in disks:
        device.fail("durable", nth=nth, persistent=True)
    try:
        lab.engine.submit(ImportGroup(group=lab.group().ref))
    except EngineError:
        assert lab.group().state is not GroupState.IMPORTED
        assert lab.group().ref not in lab.engine.committer.stores
    for device in disks:
        device.heal()
    if lab.group().state is not GroupState.IMPORTED:
        lab.do(Rescan())
        lab.do(ImportGroup(group=lab.group().ref))
    else:
        lab.do(Rescan())
    assert lab.read(0, MIB) == pattern(8, MIB)
    assert lab.write(pattern(9, MIB), 0) == 0


@pytest.mark.parametrize("nth", range(1, 12))
def test_a_group_that_fails_in_the_making_leaves_disks_that_can_be_used(lab: EngineLab, nth: int) -> None:
    free = free_disk(lab)
    device = lab.lun(free.ref)
    device.fail("durable", nth=nth, persistent=True)
    try:
        lab.engine.submit(CreateGroup(name="x", disks=(free.ref,)))
    except EngineError:
        device.heal()
        lab.do(Rescan())
        found = lab.config.find(Kind.GROUP, "x")
        if found is None:
            lab.do(CreateGroup(name="x", disks=(lab.config.disk(free.ref).ref,), force=True))
        else:
            lab.do(ImportGroup(group=found.ref))
    device.heal()
    lab.do(Rescan())
    assert lab.group("x").state is GroupState.IMPORTED
    lab.do(DestroyGroup(group=lab.group("x").ref))


def test_a_task_that_gets_no_thread_can_be_aborted(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = lab.make_volume(size=8 * MIB)
    original = lab.engine.runtime.thread

    def none_left(name: str, target):  # type: ignore[no-untyped-def]
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lab.engine.runtime, "thread", none_left)
    with pytest.raises(EngineError, match="no thread"):
        lab.engine.submit(AddMirrors(volume=volume.ref))
    monkeypatch.setattr(lab.engine.runtime, "thread", original)
    (task,) = [one for one in lab.config.tasks_of(lab.group().ref) if one.state == "queued"]
    lab.engine.submit(AbortTask(task=task.ref))
    assert lab.engine.wait(task.ref, DEADLINE_S)
    assert len(lab.plexes()) == 1


# --- starts ---
def test_a_start_that_fails_leaves_nothing_and_the_next_one_succeeds(tmp_path: Path) -> None:
    lab = EngineLab(tmp_path).start()
    lab.make_group()
    lab.stop()
    here = tmp_path / "a"
    (here / "nbd.sock").write_text("in the way")
    with pytest.raises(EngineError, match="not a socket"):
        lab.start()
    (here / "nbd.sock").unlink()
    saved = (here / "state" / "host.json").read_bytes()
    (here / "state" / "host.json").write_bytes(b"{damaged")
    with pytest.raises(EngineError, match="damaged"):
        lab.start()
    (here / "state" / "host.json").write_bytes(saved)
    (here / "s").write_text("in the way")
    with pytest.raises(EngineError):
        lab.start()
    (here / "s").unlink()
    lab.start()
    assert lab.group().state is GroupState.IMPORTED
    lab.stop()


def test_a_group_that_cannot_be_recovered_keeps_no_other_from_being_served(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(1, MIB), 0) == 0
    lab.kill()
    from tests.engine import frail_lun

    class Failing(frail_lun.FrailLun):
        """Each takes the import, and no metadata write after it."""

        def __init__(self, path: str) -> None:
            super().__init__(path)
            self.fail("durable", nth=4, persistent=True)

    here = lab.folder / "a"
    lab.opened = start_host(lab=str(lab.lab), state=str(here / "state"), socket=str(here / "s"), opener=Failing)
    assert lab.config.all(Kind.ALERT, Alert)


test_a_group_that_cannot_be_recovered_keeps_no_other_from_being_served = pytest.mark.allow_log(
    "could not be marked clean"
)(test_a_group_that_cannot_be_recovered_keeps_no_other_from_being_served)


# --- the state folder ---
def test_numbers_are_never_used_twice_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    for turn in range(6):
        state = HostState(tmp_path / "state")
        used += [state.number() for _ in range(turn * 17)]
        if turn % 2:
            os.close(state._lock)  # killed
        else:
            state.close()
    assert len(set(used)) == len(used)


@pytest.mark.allow_log("could not be written")
def test_a_state_folder_that_cannot_be_written_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = HostState(tmp_path / "state")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    given = [state.number() for _ in range(64)]
    with pytest.raises(EngineError, match="cannot be written"):
        state.number()
    monkeypatch.undo()
    assert state.number() == given[-1] + 1
    state.close()


def test_one_state_folder_has_one_engine_also_after_a_failed_start(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "host.json").write_text("[]")
    with pytest.raises(EngineError, match="damaged"):
        HostState(tmp_path / "state")
    (tmp_path / "state" / "host.json").unlink()
    state = HostState(tmp_path / "state")
    with pytest.raises(EngineBusy):
        HostState(tmp_path / "state")
    state.close()


# --- labs ---
def test_a_folder_with_foreign_files_is_no_lab_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "lab0").mkdir()
    (tmp_path / "lab0" / "lun00.img").write_text("mine")
    with pytest.raises(EngineError, match="not empty"):
        create_lab(tmp_path, Lab())
    assert [path.name for path in tmp_path.rglob("*")] == ["lab0", "lun00.img"]
    assert (tmp_path / "lab0" / "lun00.img").read_text() == "mine"


@pytest.mark.parametrize("tool", ["false", "missing", "unwritable"])
def test_a_lab_opens_although_its_file_system_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    create_lab(tmp_path / "lab", Lab(arrays=2, luns=5, lun_size=96 * MIB))
    chosen = {"false": "/bin/false", "missing": "/nowhere/mkfs.ext4", "unwritable": "/etc/passwd"}[tool]
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: chosen if name == "mkfs.ext4" else found(name, **more))
    monkeypatch.setattr(lab_content, "_MKFS", ())
    lab = EngineLab(tmp_path).start()
    assert lab.group("dg1").state is GroupState.IMPORTED
    assert any("no file system" in alert.name for alert in lab.config.all(Kind.ALERT, Alert))
    lab.restart()
    assert len(lab.config.all(Kind.GROUP, Group)) == 1
    lab.stop()


def test_a_lab_whose_making_was_cut_off_is_made_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = os.ftruncate

    def limited(descriptor: int, length: int) -> None:
        calls.append(length)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(descriptor, length)

    monkeypatch.setattr(os, "ftruncate", limited)
    with pytest.raises(OSError, match="No space"):
        create_lab(tmp_path / "lab", Lab(arrays=2, luns=3, lun_size=96 * MIB))
    monkeypatch.undo()
    create_lab(tmp_path / "lab", Lab(arrays=2, luns=3, lun_size=96 * MIB))
    assert sum(path.stat().st_size for path in (tmp_path / "lab").rglob("*.img")) == 6 * 96 * MIB


def test_removing_a_lun_leaves_its_bytes(lab: EngineLab) -> None:
    free = free_disk(lab)
    path = Path(free.lun)
    before = path.read_bytes()[: 8 * MIB]
    lab.do(RemoveLuns(disks=(free.ref,)))
    assert path.read_bytes()[: 8 * MIB] == before
