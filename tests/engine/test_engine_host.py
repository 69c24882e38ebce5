"""The host under the engine: a full file system, LUNs that can't be written, no descriptors, a clock that jumps.

Also an engine that is told to end before it has begun.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import runtime as runtime_module
from engine.commands import (
    AcknowledgeAlerts,
    AddLuns,
    CreateGroup,
    CreateVolume,
    Move,
    MoveSubdisks,
    Rescan,
    ResyncVolume,
    StartVolumes,
    VerifyVolume,
)
from engine.config import Config
from engine.errors import EngineError
from engine.records import Alert, Disk, Kind, PlexState, Remedy, Task, VolumeStatus
from engine.units import MIB
from tests.engine.cli_program import command_line
from tests.engine.engine_lab import EngineLab
from tests.engine.nbd_peer import Client
from tests.engine.service import Service, needs, needs_loop_mounts

READ, WRITE, DISC, FLUSH = range(4)


def told(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.strip()


def pattern(number: int, length: int = MIB) -> bytes:
    return bytes([number % 255 + 1]) * length


def wait_for(lab: EngineLab, happened: Callable[[Config], bool]) -> None:
    assert lab.engine.committer.wait_until(happened, 60)


def alerts_of(lab: EngineLab) -> list[Alert]:
    return [alert for alert in lab.config.all(Kind.ALERT, Alert) if alert.open]


# --- a file system that is full ---
@contextlib.contextmanager
def small_file_system(folder: Path, kind: str, size: int) -> Iterator[Path]:
    """A file system of this size, mounted."""
    needs_loop_mounts()
    place = folder / "small"
    place.mkdir()
    if kind == "tmpfs":
        told("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    else:
        image = folder / "small.img"
        with image.open("wb") as file:
            file.truncate(size)
        told("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        told("mount", "-o", "loop", str(image), str(place))
    try:
        yield place
    finally:
        told("umount", str(place))


@pytest.fixture(params=["tmpfs", "ext4"])
def cramped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineLab]:
    """A lab whose LUNs promise far more than the file system under them has."""
    with small_file_system(tmp_path, request.param, 192 * MIB) as small:
        (tmp_path / "lab").symlink_to(small / "lab")
        lab = EngineLab(tmp_path).start()
        lab.make_group()
        yield lab
        if lab.opened is not None:
            lab.stop()


def test_a_full_file_system_is_an_error_to_the_client_and_never_a_wrong_byte(cramped: EngineLab) -> None:
    lab = cramped
    lab.make_volume(size=60 * MIB, mirrors=2)
    ballast = lab.lab / "ballast"
    ballast.write_bytes(bytes(100 * MIB))
    done = []
    errors = {lab.write(pattern(turn), turn * MIB) or done.append(turn) for turn in range(60)}
    assert errors == {None, errno.ENOSPC}
    wait_for(lab, lambda config: lab.volume().source is not None)  # the client's error was quicker than the record
    assert len(alerts_of(lab)) <= 2, "told once, not for each write"
    assert 5 < len(done) < 60
    for turn in done:
        assert lab.read(turn * MIB, MIB) == pattern(turn)
    assert all(disk.status == "Imported" for disk in lab.config.disks_of(lab.group().ref)), "no disk is at fault"
    assert PlexState.IOFAIL not in {plex.state for plex in lab.plexes()}
    ballast.unlink()
    for turn in done:
        assert lab.write(pattern(turn + 7), turn * MIB) == 0
    assert lab.flush() == 0
    _make_equal(lab)
    for turn in done:
        assert lab.read(turn * MIB, MIB) == pattern(turn + 7)
    lab.restart()
    for turn in done:
        assert lab.read(turn * MIB, MIB) == pattern(turn + 7)
    _make_equal(lab)


def test_parity_on_a_full_file_system_keeps_its_log_and_is_put_right_when_there_is_room(cramped: EngineLab) -> None:
    """Columns that have no room fail all at once: writes stop, nothing is lost, and no disk is at fault."""
    lab = cramped
    volume = lab.make_volume(size=60 * MIB, raid5=True, columns=3).ref
    lab.write(pattern(1))
    (lab.lab / "ballast").write_bytes(bytes(100 * MIB))
    (lab.lab / "pebbles").write_bytes(bytes(shutil.disk_usage(lab.lab).free - 16 * MIB))
    done, error, turn = [], 0, 0
    while not error and turn < 60:
        error = lab.write(pattern(turn), turn * MIB)
        done += [turn] * (not error)
        turn += 1
    assert error
    assert 5 < len(done) < 60
    assert all(log.state is PlexState.ACTIVE for log in lab.config.logs_of(volume)), "it had its room from the start"
    assert all(disk.status == "Imported" for disk in lab.config.disks_of(lab.group().ref)), "no disk is at fault"
    (lab.lab / "ballast").unlink()
    lab.restart()
    while proposed := [alert for alert in alerts_of(lab) if alert.action is Remedy.START_VOLUME]:
        lab.do(StartVolumes(volumes=(volume,)))
        lab.do(AcknowledgeAlerts(alerts=tuple(alert.ref for alert in proposed)))
    lab.do(ResyncVolume(volume=volume))
    assert lab.volume().status is VolumeStatus.HEALTHY
    for turn in done:
        assert lab.read(turn * MIB, MIB) == pattern(turn)
    assert lab.write(pattern(99), 59 * MIB) == 0
    lab.do(VerifyVolume(volume=volume))


def _make_equal(lab: EngineLab) -> None:
    wait_for(lab, lambda config: all(task.ended for task in config.all(Kind.TASK, Task)))
    if lab.volume().source is not None:
        lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.equal()


def test_commands_on_a_full_file_system_are_done_or_refused_and_never_half(cramped: EngineLab) -> None:
    lab = cramped
    lab.make_volume(size=8 * MIB, mirrors=2)
    assert lab.write(pattern(3), 0) == 0
    ballast = (lab.lab / "ballast").open("wb", buffering=0)
    with ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(64 * 1024))
    for number in range(3):
        with contextlib.suppress(EngineError):
            lab.engine.wait(lab.engine.submit(CreateVolume(group=lab.group().ref, name=f"n{number}", size=4 * MIB)), 60)
    assert lab.read(0, MIB) == pattern(3)
    (lab.lab / "ballast").unlink()
    lab.restart()
    assert lab.read(0, MIB) == pattern(3)
    for number in range(3):
        if lab.config.find(Kind.VOLUME, f"n{number}", lab.group().ref) is not None:
            assert lab.read(0, 4 * MIB, f"n{number}") == bytes(4 * MIB)
    lab.make_volume("after", size=4 * MIB)


# --- LUNs that cannot be written ---
@pytest.fixture
def loops(tmp_path: Path) -> Iterator[list[str]]:
    """Two kernel block devices, which can be made read-only while they are in use."""
    needs_loop_mounts()
    needs("blockdev")
    devices = []
    try:
        for number in range(2):
            image = tmp_path / f"loop{number}.img"
            with image.open("wb") as file:
                file.truncate(64 * MIB)
            devices.append(told("losetup", "--find", "--show", str(image)))
        yield devices
    finally:
        for device in devices:
            subprocess.run(["blockdev", "--setrw", device], check=False)
            told("losetup", "--detach", device)


def test_a_lun_that_becomes_read_only_is_left_out_and_named(tmp_path: Path, loops: list[str]) -> None:
    lab = EngineLab(tmp_path).start()
    try:
        lab.do(AddLuns(paths=tuple(loops)))
        disks = [disk for disk in lab.config.all(Kind.DISK, Disk) if disk.lun in loops]
        lab.do(CreateGroup(name="dg", disks=tuple(disk.ref for disk in disks)))
        lab.make_volume(size=16 * MIB, mirrors=2)
        assert lab.write(pattern(1), 0) == 0
        assert lab.flush() == 0
        victim = lab.config.subdisks_of(lab.plexes()[0].ref)[0].disk
        told("blockdev", "--setro", lab.config.disk(victim).lun)
        for turn in range(4):
            assert lab.write(pattern(2), turn * MIB) == 0
        assert lab.flush() == 0
        assert lab.read(0, MIB) == pattern(2)
        assert lab.config.disk(victim).status == "Failing"
        wait_for(lab, lambda config: any(alert.object == victim for alert in alerts_of(lab)))
        told("blockdev", "--setrw", lab.config.disk(victim).lun)
        lab.do(Rescan())
        lab.do(ResyncVolume(volume=lab.volume().ref))
        assert lab.equal()
    finally:
        lab.stop()


def test_a_start_on_read_only_luns_is_told_and_ends_by_itself_when_they_can_be_written(tmp_path: Path) -> None:
    with small_file_system(tmp_path, "ext4", 192 * MIB) as small:
        (tmp_path / "lab").symlink_to(small / "lab")
        lab = EngineLab(tmp_path).start()
        lab.make_group()
        lab.make_volume(size=8 * MIB, mirrors=2)
        assert lab.write(pattern(5), 0) == 0
        lab.stop()
        told("mount", "-o", "remount,ro", str(small))
        lab.start()
        assert alerts_of(lab), "nobody says why nothing is there"
        lab.stop()
        told("mount", "-o", "remount,rw", str(small))
        lab.start()
        assert lab.read(0, MIB) == pattern(5)
        assert lab.volume().status is VolumeStatus.HEALTHY
        lab.stop()


# --- no descriptors ---
@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Every descriptor that this process may have is taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.allow_log("could not be written")
def test_without_descriptors_clients_are_served_and_commands_done_or_refused(tmp_path: Path) -> None:
    lab = EngineLab(tmp_path).start()
    try:
        lab.make_group()
        lab.make_volume(size=16 * MIB, mirrors=2)
        assert lab.opened is not None
        with Client(lab.opened.nbd) as client:
            client.go("dg/v")
            with no_descriptors():
                for turn in range(8):
                    assert client.call(WRITE, turn * MIB, MIB, pattern(turn)) == (0, b"")
                    assert client.call(READ, turn * MIB, MIB) == (0, pattern(turn))
                assert client.call(FLUSH) == (0, b"")
                for number in range(4):
                    with contextlib.suppress(EngineError):
                        made = CreateVolume(group=lab.group().ref, name=f"n{number}", size=4 * MIB)
                        lab.engine.wait(lab.engine.submit(made), 60)
                with contextlib.suppress(EngineError):
                    lab.engine.wait(lab.engine.submit(Rescan()), 60)
            assert client.call(READ, 0, MIB) == (0, pattern(0))
        lab.do(Rescan())
        assert all(disk.status == "Imported" for disk in lab.config.disks_of(lab.group().ref))
        lab.make_volume("after", size=4 * MIB)
        assert lab.equal()
        lab.restart()
        assert lab.read(0, 8 * MIB) == b"".join(pattern(turn) for turn in range(8))
    finally:
        lab.stop()


# --- an end in the middle of a start ---
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_start_that_is_ended_at_any_moment_leaves_all_as_it_was(
    tmp_path: Path, number: signal.Signals, seed: int
) -> None:
    """The first starts also make the lab's group and its first volume."""
    chance = random.Random(seed)
    service = Service(tmp_path)
    assert service.run("vea-lab", "create", "lab", "--lun-size", "64m").returncode == 0
    ends = set()
    words = command_line(["vxsvc", "--lab", "lab", "--state", "state", "--socket", "c", "--nbd", "n"])
    for turn in range(60 if os.environ.get("VEA_SOAK") else 14):
        with subprocess.Popen(words, cwd=tmp_path, env=service.environment, stdout=subprocess.PIPE) as started:
            time.sleep(chance.uniform(0.05, 0.2 + 0.07 * turn))  # at any moment
            started.send_signal(number)
            ends.add(started.wait(60))
            said = started.stdout.read() if started.stdout is not None else b""
            assert said in (b"", b"ready\n")
    assert ends <= {0, -number}, ends
    service.start()
    try:
        group = service.group()
        assert group["state"] == "Imported"
        assert all(volume["status"] == "Healthy" for volume in group["volumes"]), group["volumes"]
        service.make("v", "4m", "layout=mirror")
        assert service.run("vxtask", "wait", "--all").returncode == 0
        assert service.end(signal.SIGTERM) == 0
    finally:
        service.stop()
    assert not (tmp_path / "c").exists()
    assert not (tmp_path / "n").exists()


# --- files that somebody has spoilt ---
SPOILT = [b"", b"{", b"[]", b'["\xff\xfe"]', b"\xff" * 40, b"null"]


@pytest.mark.parametrize("content", SPOILT)
@pytest.mark.parametrize("name", ["a/state/host.json", "lab/lab.json"])
def test_a_file_that_is_spoilt_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    lab = EngineLab(tmp_path).start()
    lab.stop()
    good = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError, match="damaged"):
        lab.start()
    (tmp_path / name).write_bytes(good)
    lab.start()
    lab.stop()


@pytest.mark.parametrize("content", SPOILT)
def test_spoilt_logs_cost_what_was_spoilt(tmp_path: Path, content: bytes) -> None:
    lab = EngineLab(tmp_path).start()
    lab.make_group()
    count = len(lab.config.all(Kind.TASK, Task))
    lab.stop()
    for name in ("tasks.jsonl", "alerts.jsonl"):
        with (tmp_path / "a" / "state" / name).open("ab") as file:
            file.write(content + b"\n")
    lab.start()
    assert len(lab.config.all(Kind.TASK, Task)) >= count
    lab.stop()


# --- a clock that jumps ---
def test_a_clock_that_jumps_back_stops_nothing_and_nothing_ends_before_it_began(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    shift = [0.0]
    monkeypatch.setattr(runtime_module.time, "time", _shifted(shift, time.time))
    lab = EngineLab(tmp_path).start()
    try:
        lab.make_group()
        lab.make_volume(size=16 * MIB, mirrors=2)
        for turn in range(6):
            shift[0] = chance.choice((-86_400.0 * 400, -3600.0, 3600.0, 86_400.0 * 400, -time.time() + 1))
            assert lab.write(pattern(turn), turn * MIB) == 0
            subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
            moved = lab.engine.submit(MoveSubdisks(moves=(Move(subdisk=subdisk.ref),)))
            shift[0] -= 7200.0
            assert lab.engine.wait(moved, 60)
            assert lab.config.task(moved).state == "completed", lab.config.task(moved).result
            if turn % 3 == 2:
                lab.kill()
                lab.start()
                wait_for(lab, lambda config: all(task.ended for task in config.all(Kind.TASK, Task)))
        for task in lab.config.all(Kind.TASK, Task):
            assert not task.finished_at or task.finished_at >= task.started_at, task
        numbers = [int(task.ref.id) for task in lab.config.all(Kind.TASK, Task)]
        assert len(numbers) == len(set(numbers))
        for turn in range(6):
            assert lab.read(turn * MIB, MIB) == pattern(turn)
    finally:
        monkeypatch.undo()
        lab.stop()


def _shifted(shift: list[float], real: Callable[[], float]) -> Callable[[], float]:
    return lambda: real() + shift[0]
