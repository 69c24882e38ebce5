"""A real engine killed under fio, under a file system and under a database: nothing that was promised is lost.

fio verifies through a middle man that connects anew and repeats what failed, as a virtual machine's client does: it
never notices the kills, and every byte that it reads must be the one that it wrote. The file system notices each: its
device is gone. Afterwards its journal must mend it, and the database must have every row whose commit it was told of.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import figures
from tests.engine.service import Service, needs, needs_loop_mounts

SOAK = bool(os.environ.get("VEA_SOAK"))
SLICE_S = 12
FIO_KILLS = 200
FILE_SYSTEM_KILLS = 60
"""In a soak, the latter on each layout: more than 300 in all."""

LAYOUTS = {
    "mirror": ("layout=mirror",),
    "mirrored stripe": ("layout=mirror-stripe", "columns=2"),
    "RAID-5": ("layout=raid5", "columns=3"),
}
SIZE = "48m"


class Clock:
    """When a run has had enough: after some seconds in the slice, after so many kills in a soak."""

    def __init__(self, kills: int) -> None:
        self._until = time.monotonic() + SLICE_S
        self._kills = kills
        self.killed = 0

    def goes_on(self) -> bool:
        return self.killed < self._kills if SOAK else time.monotonic() < self._until


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def rows() -> Iterator[list[tuple[object, ...]]]:
    """Lines of a table, published at the end."""
    found: list[tuple[object, ...]] = []
    yield found
    figures.publish("kills", figures.table(("`kill -9` of `vxsvc` under", "kills", "checked", "lost"), found))


# fio


@contextlib.contextmanager
def repeater(service: Service, volume: str) -> Iterator[Path]:
    """A socket of nbdkit, which repeats on a new connection what the engine took with it to its end."""
    path = service.folder / f"r-{volume}"
    words = ["nbdkit", "-f", "-U", str(path), "--filter=retry", "nbd", f"uri={service.uri(volume)}"]
    words += ["retries=120", "retry-delay=1", "retry-exponential=no"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as running:
        try:
            for _ in range(2400):
                if path.is_socket():
                    break
                time.sleep(0.05)
            assert path.is_socket(), "nbdkit does not listen"
            yield path
        finally:
            running.terminate()


class Verifier(threading.Thread):
    """Random writes of every size with their checksums, all read back, again and again until told."""

    def __init__(self, path: Path, seed: int) -> None:
        super().__init__(name=f"fio-{path.name}")
        self.over = threading.Event()
        self.first = threading.Event()  # a run has ended
        self.runs = 0
        self.complaint = ""
        self._path, self._chance = path, random.Random(seed)

    def run(self) -> None:
        while not self.over.is_set() and not self.complaint:
            words = ["fio", "--name=v", "--ioengine=nbd", f"--uri=nbd+unix:///?socket={self._path}", "--rw=randwrite"]
            words += [
                "--bsrange=512-64k",
                "--bs_unaligned",
                "--size=8m",
                "--rate=4m",
                "--iodepth=16",
                "--norandommap=0",
            ]
            words += [
                "--verify=crc32c",
                "--do_verify=1",
                "--verify_fatal=1",
                f"--randseed={self._chance.randrange(10**6)}",
            ]
            words += [f"--offset={self._chance.randrange(32)}m", "--fsync=64"]
            done = subprocess.run(words, cwd=self._path.parent, capture_output=True, text=True, check=False)
            if "nbd_connect_uri" in done.stderr:
                self.over.wait(0.2)  # nobody was there to connect to; what is connected is repeated for
                continue
            if done.returncode:
                self.complaint = f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
            self.runs += 1
            self.first.set()


@pytest.mark.timeout(7200 if SOAK else 400)
def test_fio_finds_every_byte_that_it_wrote_whenever_the_engine_is_killed(
    service: Service, seed: int, rows: list[tuple[object, ...]]
) -> None:
    needs("fio", "nbdkit")
    chance = random.Random(seed)
    service.create()
    with contextlib.ExitStack() as stack:
        verifiers = []
        for number, layout in enumerate(LAYOUTS.values()):
            service.make(f"f{number}", SIZE, *layout)
            path = stack.enter_context(repeater(service, f"f{number}"))
            verifiers.append(Verifier(path, seed + number))
        clock = Clock(FIO_KILLS)
        for verifier in verifiers:
            verifier.start()
        try:
            while clock.goes_on() and not any(verifier.complaint for verifier in verifiers):
                time.sleep(chance.uniform(0.1, 2.0))  # the kill may come at any moment
                service.end(signal.SIGKILL)
                clock.killed += 1
                service.start()
            for verifier in verifiers:
                assert verifier.first.wait(100), verifier.name
        finally:
            for verifier in verifiers:
                verifier.over.set()
            for verifier in verifiers:
                verifier.join(240)
    assert not any(verifier.complaint for verifier in verifiers), [verifier.complaint for verifier in verifiers]
    assert all(verifier.runs for verifier in verifiers)
    runs = sum(verifier.runs for verifier in verifiers)
    rows.append((f"fio --verify, {len(verifiers)} layouts", clock.killed, f"{runs:,} runs read back", 0))
    print(f"fio: {clock.killed} kills, {runs} verified runs")


# A file system and a database


class Mount:
    """An export as a file, the file as a loop device, the device as a mounted file system."""

    def __init__(self, service: Service, volume: str) -> None:
        self.file = service.folder / f"{volume}.raw"
        self.folder = service.folder / f"{volume}.mount"
        self.file.touch()
        self.folder.mkdir(exist_ok=True)
        self._uri = service.uri(volume)
        self._fuse: subprocess.Popen[bytes] | None = None
        self.device = ""

    def attach(self) -> None:
        before = self.file.stat().st_dev
        self._fuse = subprocess.Popen(["nbdfuse", str(self.file), self._uri], stderr=subprocess.DEVNULL)
        for _ in range(5000):
            if self.file.stat().st_dev != before:
                break
            assert self._fuse.poll() is None
            time.sleep(0.02)
        else:
            pytest.fail("nbdfuse shows no volume")
        self.device = told("losetup", "--find", "--show", str(self.file)).strip()

    def mount(self) -> None:
        told("mount", "-o", "discard", self.device, str(self.folder))

    def leave(self) -> None:
        """In the order of the layers, whether or not anything is behind them any more."""
        subprocess.run(["umount", str(self.folder)], capture_output=True, check=False)
        if self.device:
            subprocess.run(["losetup", "--detach", self.device], capture_output=True, check=False)
            self.device = ""
        subprocess.run(["fusermount3", "-u", "-z", str(self.file)], capture_output=True, check=False)
        if self._fuse is not None:
            self._fuse.wait(100)
            self._fuse = None

    def mended(self) -> None:
        """The journal is played back; then nothing at all may be wrong."""
        assert subprocess.run(["e2fsck", "-p", self.device], capture_output=True, check=False).returncode in (0, 1)
        checked = subprocess.run(["e2fsck", "-fn", self.device], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


def told(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


class Ledger:
    """A database in WAL mode whose rows tell what they should be. `promised`: the last row whose commit returned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.promised = 0

    def open(self) -> sqlite3.Connection:
        link = sqlite3.connect(self._path, isolation_level=None, timeout=1, check_same_thread=False)
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("PRAGMA synchronous=FULL")
        link.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, what TEXT)")
        return link

    def write_until_it_fails(self, started: threading.Event) -> None:
        """`started`: some rows are in."""
        least = self.promised + 3
        with contextlib.suppress(sqlite3.Error):
            link = self.open()
            with contextlib.closing(link):
                while True:
                    number = self.promised + 1
                    link.execute("INSERT OR REPLACE INTO rows VALUES (?, ?)", (number, f"row {number} " * 50))
                    self.promised = number
                    if number >= least:
                        started.set()
        started.set()

    def check(self) -> None:
        with contextlib.closing(self.open()) as link:
            assert link.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            rows = dict(link.execute("SELECT id, what FROM rows").fetchall())
        lost = [number for number in range(1, self.promised + 1) if rows.get(number) != f"row {number} " * 50]
        assert not lost, f"committed rows are gone: {lost[:10]} of {self.promised}"
        assert len(rows) <= self.promised + 1
        self.promised = max(rows, default=0)


@pytest.mark.timeout(7200 if SOAK else 400)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_system_and_a_database_survive_each_kill(
    service: Service, layout: str, seed: int, rows: list[tuple[object, ...]]
) -> None:
    needs_loop_mounts()
    chance = random.Random(seed)
    service.create()
    service.make("fs", SIZE, *LAYOUTS[layout])
    mount = Mount(service, "fs")
    ledger = Ledger(mount.folder / "ledger.db")
    clock = Clock(FILE_SYSTEM_KILLS)
    try:
        mount.attach()
        told("mkfs.ext4", "-q", "-b", "4096", mount.device)
        while clock.goes_on():
            mount.mount()
            ledger.check()
            started = threading.Event()
            writer = threading.Thread(target=ledger.write_until_it_fails, args=(started,), name="ledger")
            writer.start()
            assert started.wait(100)
            time.sleep(chance.uniform(0, 0.8))  # the kill may come at any moment
            service.end(signal.SIGKILL)
            clock.killed += 1
            writer.join(100)
            mount.leave()
            service.start()
            mount.attach()
            mount.mended()
        mount.mount()
        ledger.check()
    finally:
        mount.leave()
    assert ledger.promised > clock.killed
    rows.append((f"ext4 and SQLite on {layout}", clock.killed, f"{ledger.promised:,} committed rows", 0))
    print(f"{layout}: {clock.killed} kills, {ledger.promised} committed rows, none lost")
