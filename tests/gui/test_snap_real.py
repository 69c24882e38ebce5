"""A set taken by the wizard on a real engine, with its file, and taken back by Snap Back: the records and the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from engine import snap_file
from engine.commands import CreateGroup, CreateVolume, PrepareSnapshot
from engine.host import OpenedHost
from engine.lab import Lab
from engine.records import Disk, Group, Kind, Ref, Task, TaskState, Volume
from engine.units import MIB
from tests.gui.form_driver import Driver, close_all
from tests.gui.real_host import host_fixture
from vea_gui import snap_words
from vea_gui.actions.book import book
from vea_gui.console import Console
from vea_gui.sessions import Session
from vea_gui.settings import Settings

DEADLINE_MS = 60_000
SIZE = 8 * MIB

host = host_fixture(Lab(arrays=2, luns=2, lun_size=64 * MIB))


@pytest.fixture
def real(qtbot: QtBot, host: OpenedHost, tmp_path: Path) -> Iterator[Console]:
    """A console on an engine with the volumes `db` and `logs`, both prepared."""
    session, settings = Session.open(host.api), Settings(tmp_path / "console")
    qtbot.waitUntil(lambda: session.bridge.attached, timeout=DEADLINE_MS)
    console = Console(session, settings, book())
    prepare(qtbot, console)
    yield console
    close_all()
    session.bridge.close(end=False)
    settings.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def prepare(qtbot: QtBot, console: Console) -> None:
    free = [disk.ref for disk in console.config.all(Kind.DISK, Disk) if disk.group is None]
    console.submit(CreateGroup(name="work", disks=tuple(free)))
    qtbot.waitUntil(lambda: console.config.find(Kind.GROUP, "work") is not None, timeout=DEADLINE_MS)
    group = console.config.find(Kind.GROUP, "work")
    assert isinstance(group, Group)
    for name in ("db", "logs"):
        console.submit(CreateVolume(group=group.ref, name=name, size=SIZE))
        qtbot.waitUntil(lambda name=name: find(console, name) is not None, timeout=DEADLINE_MS)
        idle(qtbot, console)
        console.submit(PrepareSnapshot(volume=volume(console, name).ref))
    qtbot.waitUntil(lambda: all(is_ready(console, name) for name in ("db", "logs")), timeout=DEADLINE_MS)
    idle(qtbot, console)


def find(console: Console, name: str) -> Volume | None:
    """A volume of the group `work` that is ready."""
    group = console.config.find(Kind.GROUP, "work")
    assert group is not None
    return next((each for each in console.config.volumes_of(group.ref) if each.name == name and each.size), None)


def volume(console: Console, name: str) -> Volume:
    found = find(console, name)
    assert found is not None
    return found


def is_ready(console: Console, name: str) -> bool:
    plexes = console.config.plexes_of(volume(console, name).ref)
    return any(plex.snap is not None and plex.complete for plex in plexes)


def idle(qtbot: QtBot, console: Console) -> None:
    """Every task has ended, and well."""

    def done() -> bool:
        tasks = console.config.all(Kind.TASK, Task)
        assert not [task.result for task in tasks if task.state is TaskState.FAILED]
        return all(task.state is TaskState.COMPLETED for task in tasks)

    qtbot.waitUntil(done, timeout=DEADLINE_MS)


def take(qtbot: QtBot, console: Console, path: Path) -> None:
    """Through the pages of the wizard, for both volumes, with a file."""
    driver = Driver(qtbot, console, "snap_shot", [volume(console, "db").ref]).next()
    driver._add(driver.dialog.control("volumes"), ["logs"])
    driver.next()
    line = driver.dialog.control("file").line
    line.setFocus()
    qtbot.keyClicks(line, str(path))
    driver.settle()
    driver.next()
    driver.finish()
    qtbot.waitUntil(path.exists, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: find(console, "SnapVolume02") is not None, timeout=DEADLINE_MS)
    idle(qtbot, console)


def test_a_set_taken_by_the_wizard_has_a_file_that_names_it(qtbot: QtBot, real: Console, tmp_path: Path) -> None:
    path = tmp_path / "nightly.xml"
    take(qtbot, real, path)
    told = snap_file.read(path)
    assert [(one.original, one.snapshot) for one in told.members] == [("db", "SnapVolume01"), ("logs", "SnapVolume02")]
    for one in told.members:
        snapshot = real.config.volume(Ref(Kind.VOLUME, one.snapshot_id, real.host.id))
        link = snap_words.link_of(snapshot)
        assert link is not None
        assert (link.generation, link.set_name, link.settled) == (one.generation, "nightly", True)
        assert snapshot.serving
    assert {one.name for one in snap_words.set_of(real.config, volume(real, "SnapVolume01"))} == {
        "SnapVolume01",
        "SnapVolume02",
    }


def test_a_file_that_is_there_by_then_is_left_alone_and_told(qtbot: QtBot, real: Console, tmp_path: Path) -> None:
    """Somebody else is faster between Finish and the last write."""
    from vea_gui.wizards.snap_set_file import TITLE, write_when_taken

    path = tmp_path / "nightly.xml"
    take(qtbot, real, path)
    before = path.read_bytes()
    task = next(one for one in real.config.all(Kind.TASK, Task) if one.name.startswith("Snap Shot"))
    write_when_taken(real, task.ref, path, overwrite=False)
    qtbot.waitUntil(lambda: bool(real.errors.entries), timeout=DEADLINE_MS)
    assert real.errors.entries[-1].title == TITLE
    assert "could not be written" in real.errors.entries[-1].text
    assert path.read_bytes() == before


def test_the_whole_set_goes_back_by_one_dialog(qtbot: QtBot, real: Console, tmp_path: Path) -> None:
    take(qtbot, real, tmp_path / "nightly.xml")
    driver = Driver(qtbot, real, "snap_back", [volume(real, "SnapVolume01").ref])
    driver.fill(whole="The whole", master="Resynchronize using the snapshot")
    driver.click(driver.dialog.finish)
    (box,) = driver.dialog.findChildren(QMessageBox)
    next(each for each in box.buttons() if each.text() == "Yes").click()
    qtbot.waitUntil(lambda: find(real, "SnapVolume01") is None, timeout=DEADLINE_MS)
    assert find(real, "SnapVolume02") is None
    qtbot.waitUntil(lambda: is_ready(real, "db") and is_ready(real, "logs"), timeout=DEADLINE_MS)
    idle(qtbot, real)


def test_taking_a_set_is_undone_by_its_task(qtbot: QtBot, real: Console, tmp_path: Path) -> None:
    take(qtbot, real, tmp_path / "nightly.xml")
    task = next(one for one in real.config.all(Kind.TASK, Task) if one.name.startswith("Snap Shot"))
    Driver(qtbot, real, "undo_task", [task.ref]).finish()
    qtbot.waitUntil(lambda: find(real, "SnapVolume01") is None, timeout=DEADLINE_MS)
    idle(qtbot, real)
