"""Wizards on the real engine: what Finish has promised lies on the LUNs afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from pytestqt.qtbot import QtBot

from engine.config import Config
from engine.host import OpenedHost
from engine.lab import Lab
from engine.plans import Plan
from engine.records import Group, Kind, Subdisk, Task, TaskState, Volume, VolumeStatus
from engine.units import MIB
from tests.gui.form_driver import Driver, close_all
from tests.gui.real_host import host_fixture
from vea_gui.actions.book import book
from vea_gui.console import Console
from vea_gui.sessions import Session
from vea_gui.settings import Settings

DEADLINE_MS = 60_000


host = host_fixture(Lab(arrays=2, luns=4, lun_size=64 * MIB))
"""An engine with a small lab of its own."""


@pytest.fixture
def real(qtbot: QtBot, host: OpenedHost, tmp_path: Path) -> Iterator[Console]:
    """A console on it."""
    session, settings = Session.open(host.api), Settings(tmp_path / "console")
    qtbot.waitUntil(lambda: session.bridge.attached)
    yield Console(session, settings, book())
    close_all()
    session.bridge.close(end=False)
    settings.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def make_group(qtbot: QtBot, console: Console) -> Group:
    """A group of the lab's own, by its wizard, when the lab brings none with enough disks."""
    driver = Driver(qtbot, console, "new_group").next()
    free = [option.text.split(",")[0] for option in driver.dialog.control("disks")._options if not option.why_not]
    driver.fill(name="work", disks=free[:4]).next().finish()
    qtbot.waitUntil(lambda: console.config.find(Kind.GROUP, "work") is not None, timeout=DEADLINE_MS)
    found = console.config.find(Kind.GROUP, "work")
    assert isinstance(found, Group)
    return found


def make_volume(qtbot: QtBot, console: Console, group: Group, **answers: object) -> tuple[Plan, Volume]:
    """A volume by its wizard, once it is ready; with the plan that the last page showed."""
    driver = Driver(qtbot, console, "new_volume", [group.ref]).next(2).fill(**answers).next(3)
    driver.settle()
    plan = driver.dialog.plan
    assert plan is not None
    driver.finish()
    return plan, ready(qtbot, console, group, str(answers["name"]))


def ready(qtbot: QtBot, console: Console, group: Group, name: str) -> Volume:
    """The volume of that name, once it can be used."""
    found: list[Volume] = []

    def there() -> bool:
        found[:] = [volume for volume in console.config.volumes_of(group.ref) if volume.name == name and volume.size]
        return bool(found)

    qtbot.waitUntil(there, timeout=DEADLINE_MS)
    idle(qtbot, console)
    return found[0]


def idle(qtbot: QtBot, console: Console) -> None:
    """Every task has ended, and well."""

    def done() -> bool:
        tasks = console.config.all(Kind.TASK, Task)
        assert not [task for task in tasks if task.state is TaskState.FAILED]
        return bool(tasks) and all(task.state is TaskState.COMPLETED for task in tasks)

    qtbot.waitUntil(done, timeout=DEADLINE_MS)


def places(config: Config, volume: Volume) -> list[tuple[str, int, int]]:
    """Where a volume lies."""
    subdisks = [subdisk for plex in config.plexes_of(volume.ref) for subdisk in config.subdisks_of(plex.ref)]
    return sorted((sd.disk.id, sd.disk_offset, sd.length) for sd in subdisks)


def promised(plan: Plan) -> list[tuple[str, int, int]]:
    return sorted((given.disk.id, given.offset, given.length) for given in plan.allocates)


def test_a_new_mirrored_volume_lies_where_the_plan_page_said(qtbot: QtBot, real: Console) -> None:
    group = make_group(qtbot, real)
    plan, volume = make_volume(qtbot, real, group, name="ev", size="12 MiB", mirrored=True, across_enclosures=True)
    assert places(real.config, volume) == promised(plan)
    assert (volume.size, volume.copies, volume.status) == (12 * MIB, 2, VolumeStatus.HEALTHY)


def test_a_subdisk_moves_where_the_plan_said_and_back_by_undo(qtbot: QtBot, real: Console) -> None:
    group = make_group(qtbot, real)
    _, volume = make_volume(qtbot, real, group, name="ev", size="12 MiB", mirrored=True)
    before = places(real.config, volume)
    piece = real.config.subdisks_of(real.config.plexes_of(volume.ref)[0].ref)[0]
    driver = Driver(qtbot, real, "move_subdisk", [piece.ref])
    plan = driver.dialog.plan
    assert plan is not None
    driver.finish()
    (target,) = plan.allocates

    def arrived() -> bool:
        now = real.config.get(piece.ref)
        return isinstance(now, Subdisk) and (now.disk, now.disk_offset) == (target.disk, target.offset)

    qtbot.waitUntil(arrived, timeout=DEADLINE_MS)
    idle(qtbot, real)
    assert places(real.config, volume) != before
    last = max(real.config.all(Kind.TASK, Task), key=lambda task: int(task.ref.id))
    Driver(qtbot, real, "undo_task", [last.ref]).finish()
    qtbot.waitUntil(lambda: places(real.config, volume) == before, timeout=DEADLINE_MS)
    idle(qtbot, real)
    back = max(real.config.all(Kind.TASK, Task), key=lambda task: int(task.ref.id))
    assert back.name.endswith(f"(undoes task {last.ref.id})")
    assert back.object == piece.ref
    reason = real.actions.row("undo-task").reason(real.at(last.ref))
    assert f"“{back.name}” has done it already." in reason


def test_a_group_that_has_changed_meanwhile_gets_a_new_plan_first(qtbot: QtBot, real: Console) -> None:
    """Somebody takes the space between the plan and Finish: nothing happens that was not shown."""
    group = make_group(qtbot, real)
    driver = Driver(qtbot, real, "new_volume", [group.ref]).next(2).fill(name="mine", size="12 MiB").next(3)
    driver.settle()
    shown, command = driver.dialog.plan, driver.dialog.inquiry.command
    assert shown is not None
    driver.dialog.console.changed.disconnect(driver.dialog._changed)  # the news does not arrive in time
    make_volume(qtbot, real, group, name="theirs", size="12 MiB")
    assert driver.dialog.plan is shown
    driver.click(driver.dialog.finish)
    qtbot.waitUntil(lambda: "have changed" in driver.dialog.plan_view.warnings.said, timeout=DEADLINE_MS)
    assert real.config.find(Kind.VOLUME, "mine", group.ref) is None
    newer = driver.dialog.plan
    assert newer is not None
    assert promised(newer) != promised(shown)
    assert driver.dialog.inquiry.command == command
    driver.finish()
    volume = ready(qtbot, real, group, "mine")
    assert places(real.config, volume) == promised(newer)
