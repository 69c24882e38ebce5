"""File systems that are frozen on this host for a Snap Shot: real ones, mounted from a volume's export."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import commands as c
from engine.filesystems.tools import path_of
from engine.quiesce.held import Held
from engine.quiesce.journal import Entry, FreezeJournal, boot_id
from engine.quiesce.mounts import Mounts
from engine.quiesce.own_files import own_devices
from engine.records import Consistency, Freezable, Ref
from engine.runtime import ThreadRuntime
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.mounted_volume import is_frozen, mounted_file, mounted_volume, run
from tests.engine.service import needs_loop_mounts
from tests.engine.test_engine_prepare import prepare
from tests.engine.test_quiesce_agent import await_idle, link_of

SIZE = 24 * MIB
ROWS = 200


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    needs_loop_mounts()
    made = EngineLab(tmp_path).start()
    made.make_group()
    made.make_volume(size=SIZE)
    made.do(c.ChangeSettings(freeze_limit_s=60))  # a busy host brings to its disks what it has to, and takes its time
    yield made
    made.stop()


@pytest.fixture
def files(lab: EngineLab, tmp_path: Path) -> Iterator[Path]:
    """The mounted file system of a volume that is Snap Ready."""
    assert lab.opened is not None
    with mounted_volume(lab.opened.nbd, "dg/v", tmp_path / "mount") as point:
        prepare(lab)
        yield point


def snap(lab: EngineLab, quiesce: c.Quiesce = c.Quiesce.FS) -> c.TakeSnapshots:
    return c.TakeSnapshots(choices=(c.SnapChoice(lab.volume().ref),), quiesce=quiesce)


def image_of(lab: EngineLab, folder: Path, name: str = "SnapVolume01") -> Path:
    image = folder / f"{name}.img"
    image.write_bytes(lab.read(0, SIZE, name))
    return image


def checked(image: Path) -> int:
    """The status of a check that changes nothing."""
    return subprocess.run([path_of("e2fsck") or "e2fsck", "-f", "-n", str(image)], capture_output=True).returncode


class Writer:
    """Commits one row after the other to a database with a write-ahead log, until it is stopped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.committed = 0
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        with self._changed:
            assert self._changed.wait_for(lambda: self.committed >= 20, 60)
        return self

    def __exit__(self, *details: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        base = sqlite3.connect(self.path)
        base.execute("pragma journal_mode = wal")
        base.execute("pragma synchronous = full")
        base.execute("create table t (n integer primary key, filler blob)")
        while not self._stop.is_set() and self.committed < ROWS:
            base.execute("insert into t values (?, zeroblob(2000))", (self.committed + 1,))
            base.commit()
            with self._changed:
                self.committed += 1
                self._changed.notify_all()
        base.close()


def rows_in(image: Path, point: Path) -> tuple[str, int]:
    """What the database in an image says of itself, and how many rows it has."""
    with mounted_file(image, point) as folder:
        base = sqlite3.connect(folder / "base")
        (sound,) = base.execute("pragma integrity_check").fetchone()
        (count,) = base.execute("select count(*) from t").fetchone()
        base.close()
    return sound, count


@pytest.mark.parametrize("quiesce", [c.Quiesce.FS, c.Quiesce.NONE])
def test_a_database_at_work_is_whole_in_its_snapshot(
    lab: EngineLab, files: Path, tmp_path: Path, quiesce: c.Quiesce
) -> None:
    """Frozen: nothing is to be repaired or played back. Not frozen: as after a power cut, and its journal mends it."""
    with Writer(files / "base") as writer:
        before = writer.committed
        task = lab.do(snap(lab, quiesce))
        after = writer.committed
    image = image_of(lab, tmp_path)
    link = link_of(lab)
    frozen = quiesce is c.Quiesce.FS
    assert link.consistency is (Consistency.FILE_SYSTEM if frozen else Consistency.CRASH)
    assert ("Frozen for" in task.result) is frozen
    if frozen:
        assert "needs_recovery" not in run("dumpe2fs", "-h", str(image))
        assert checked(image) == 0
    sound, count = rows_in(image, tmp_path / "look")
    assert sound == "ok"
    assert before <= count <= after + 1
    assert checked(image) == 0
    (files / "goes on").write_text("as before")


def test_what_fails_after_the_freeze_thaws(lab: EngineLab, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Ref:
        assert is_frozen(files)
        raise OSError("no")

    monkeypatch.setattr(lab.engine, "_carry_out", fails)
    with pytest.raises(OSError, match="no"):
        lab.engine.submit(snap(lab))
    await_idle(lab)
    (files / "goes on").write_text("as before")
    assert not (lab.engine.state.folder / "frozen.json").exists()


def test_what_holds_files_of_the_engine_is_never_frozen(lab: EngineLab, files: Path) -> None:
    mounts = Mounts()
    (thing,) = lab.engine._quiescer._look(lab.config, {lab.volume().ref: ""})[lab.volume().ref]
    assert (thing.place, thing.problem) == (str(files), "")
    assert thing.number in own_devices(mounts, [str(files / "lun.img")])
    root = next(point.number for point in mounts.points if point.place == "/")
    assert root in own_devices(mounts, [])
    assert thing.number not in own_devices(mounts, [])
    lab.engine.state.remember_luns([*lab.engine.state._saved.luns])
    known = lab.engine.state._saved.luns
    lab.engine.state._saved.luns = [*known, type(known[0])(path=str(files / "lun.img"), name="x")]
    plan = lab.engine.plan(snap(lab))
    lab.engine.state._saved.luns = known
    assert "holds files of this engine, and is never frozen" in plan.problems[0].text


def test_a_file_system_in_a_file_of_another_one_is_frozen_with_it_and_before_it(
    lab: EngineLab, files: Path, tmp_path: Path
) -> None:
    inner = files / "inner.img"
    with inner.open("wb") as file:
        file.truncate(4 * MIB)
    run("mkfs.ext4", "-q", "-F", str(inner))
    with mounted_file(inner, tmp_path / "inner"):
        task = lab.do(snap(lab))
        things = lab.volume().freezers
        assert [(one.place, one.depth) for one in sorted(things, key=_depth)] == [
            (str(files), 0),
            (str(tmp_path / "inner"), 1),
        ]
        assert len(link_of(lab).frozen) == 2
        assert Consistency.FILE_SYSTEM in task.result
        (tmp_path / "inner" / "goes on").write_text("as before")


def _depth(thing: Freezable) -> int:
    return thing.depth


def test_a_killed_engine_thaws(files: Path, tmp_path: Path) -> None:
    """Whoever keeps it frozen is another process, and lets go when the engine is not there any more."""
    number = next(point.number for point in Mounts().points if point.place == str(files))
    code = f"""
import time
from engine.quiesce.held import Held
from engine.runtime import ThreadRuntime
runtime = ThreadRuntime()
held = Held(runtime, "mount", ({str(files)!r}, {number!r}), 10.0, 100.0)
assert held.await_still(runtime.now() + 60)
print("still", flush=True)
time.sleep(1000)
"""
    engine = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    assert engine.stdout is not None
    with engine.stdout:
        assert engine.stdout.readline() == "still\n"
        assert is_frozen(files)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    _await_thawed(files)


_ROOT = Path(__file__).parents[2]


def _await_thawed(files: Path) -> None:
    subprocess.run(["touch", str(files / "goes on")], check=True, timeout=60)


def test_a_start_thaws_what_a_host_that_killed_everything_has_left(
    lab: EngineLab, files: Path, leave_frozen: Callable[[Path], tuple[str, str]]
) -> None:
    words = leave_frozen(files)
    assert is_frozen(files)
    folder = lab.engine.state.folder
    journal = FreezeJournal(folder, lab.engine.runtime)
    gone = Entry("agent", (str(folder / "nowhere"),), "", boot_id())
    other = Entry("mount", ("/", "0:0"), "", "another")
    journal.add([Entry("mount", words, lab.volume().ref.id, boot_id()), other, gone])
    lab.engine._quiescer.start()
    _await_thawed(files)
    for thread in lab.engine._quiescer._threads:
        thread.join()
    assert not (folder / "frozen.json").exists()


@pytest.fixture
def leave_frozen() -> Iterator[Callable[[Path], tuple[str, str]]]:
    """Freezes a file system, and kills whoever was to thaw it."""
    runtime = ThreadRuntime()

    def freeze(files: Path) -> tuple[str, str]:
        number = next(point.number for point in Mounts().points if point.place == str(files))
        held = Held(runtime, "mount", (str(files), number), 10.0, 100.0)
        assert held.await_still(runtime.now() + 60)
        assert held._process is not None
        os.kill(held._process.pid, signal.SIGKILL)
        assert held.await_over(runtime.now() + 60)
        return str(files), number

    return freeze


def test_its_own_limit_thaws_whatever_the_engine_does(files: Path) -> None:
    runtime = ThreadRuntime()
    number = next(point.number for point in Mounts().points if point.place == str(files))
    held = Held(runtime, "mount", (str(files), number), 10.0, 0.1)
    assert held.await_over(runtime.now() + 60)
    assert held.thawed_at is not None
    (files / "goes on").write_text("as before")
    wrong = Held(runtime, "mount", (str(files), "0:0"), 10.0, 10.0)
    assert not wrong.await_still(runtime.now() + 60)
    assert wrong.problem == "something else is mounted there now"
    assert wrong.await_over(runtime.now() + 60)
