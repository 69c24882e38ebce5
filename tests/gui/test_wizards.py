"""Each wizard and dialog, answered through its widgets: the command that arrives, and the reasons on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

import vea_gui
from engine.commands import (
    AddDisks,
    AddLuns,
    AddMirrors,
    BreakMirror,
    CreateGroup,
    CreateVolume,
    EvacuateDisk,
    ImportGroup,
    JoinSubdisks,
    Move,
    MoveSubdisks,
    RemoveMirrors,
    Rename,
    SetDiskUsage,
    SetVolumeUsage,
    SplitSubdisk,
    Target,
    ThrottleTask,
    encode,
)
from engine.records import (
    Disk,
    DiskUsage,
    GroupState,
    Host,
    Kind,
    Record,
    Task,
    TaskState,
    TaskType,
)
from engine.units import GIB, KIB, MIB
from tests.gui import sample_lab
from tests.gui.form_driver import Driver, close_all
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import GROUP, ref
from vea_gui.console import Console
from vea_gui.selection import FreeSpace, Selection
from vea_gui.wizards import REGISTRY
from vea_gui.wizards.dialog import ASKING, CHANGED, GONE

EV, ST = ref(Kind.VOLUME, 1), ref(Kind.VOLUME, 2)
EV_PIECE, ST_PIECE = ref(Kind.SUBDISK, 1), ref(Kind.SUBDISK, 3)


def disk(number: int) -> object:
    return ref(Kind.DISK, number)


@pytest.fixture
def records() -> list[Record]:
    """The lab, where Harddisk8 carries somebody else's data."""
    foreign = "ext4 file system"
    lab = sample_lab.records()
    return [
        msgspec.structs.replace(record, content=foreign)
        if isinstance(record, Disk) and record.name == "Harddisk8"
        else record
        for record in lab
    ]


@pytest.fixture(autouse=True)
def _closed(console: Console) -> Iterator[None]:
    """Nothing stays open, whatever a test has left."""
    yield
    close_all()


# --- the frame's names ---
def test_everything_that_is_asked_for_is_there() -> None:
    folder = Path(vea_gui.__file__).parent
    form = re.compile(r'(?:\.ask|\basks)\(\s*"(\w+)"')
    asked = {name for path in folder.rglob("*.py") for name in form.findall(path.read_text())}
    assert len(asked) > 12
    assert asked <= REGISTRY.keys()


# --- New Volume ---
def test_next_next_next_finish_makes_a_volume(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP])
    assert driver.dialog.title.text() == "Welcome to the New Volume wizard"
    driver.next(5)
    assert "Zero 1.0 GiB" in driver.steps()
    driver.finish()
    assert api.submitted == [CreateVolume(group=GROUP, size=GIB, name="Volume1")]


def test_every_attribute_of_a_new_volume_arrives(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next()
    driver.fill(choice="Manually", disks=["Harddisk2", "Harddisk3", "Harddisk4", "Harddisk5"]).next()
    driver.fill(name="db", size="300 MiB", layout="Striped", columns=2, stripe_unit="128 KiB")
    driver.fill(mirrored=True, mirrors=2, across_enclosures=True).next(3)
    driver.finish()
    chosen = tuple(disk(number) for number in (2, 3, 4, 5))
    assert api.submitted == [
        CreateVolume(
            group=GROUP,
            size=300 * MIB,
            name="db",
            striped=True,
            columns=2,
            stripe_unit=128 * KIB,
            mirrors=2,
            disks=chosen,
            across_enclosures=True,
        )
    ]


def test_a_drive_and_a_file_system_arrive(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    host = next(record for record in console.config.all(Kind.HOST, Host))
    api.change([msgspec.structs.replace(host, formats=("ext4",))])
    qtbot.waitUntil(lambda: bool(console.config.all(Kind.HOST, Host)[0].formats))
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next(3)
    driver.fill(letter="E:", path="here")
    assert "no full path" in driver.reason("path")
    assert not driver.dialog.next.isEnabled()
    driver.fill(path="/srv/mail").next()
    assert not driver.dialog.control("label").isEnabled()
    driver.fill(formats=True, label="x" * 17)
    assert "16 is the most" in driver.reason("label")
    driver.fill(label="mail").next().finish()
    (command,) = api.submitted
    assert isinstance(command, CreateVolume)
    assert (command.letter, command.path, command.file_system, command.label) == ("E", "/srv/mail", "ext4", "mail")


def test_max_size_is_what_the_engine_grants_to_the_byte(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next(2).fill(mirrored=True)
    size = driver.dialog.control("size")
    qtbot.waitUntil(lambda: size.maximum.text().startswith("At most"))
    before = driver.dialog.inquiry.answers["size"]
    driver.click(size.most)
    qtbot.waitUntil(lambda: driver.dialog.inquiry.answers["size"] != before)
    driver.settle()
    largest = driver.dialog.inquiry.answers["size"]
    driver.fill(size=f"{largest + MIB} bytes")
    assert "is the most" in driver.reason("size")
    assert not driver.dialog.next.isEnabled()
    driver.fill(size=f"{largest} bytes").next(3).finish()
    assert api.submitted[0].size == largest


def test_the_largest_size_follows_the_layout(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next(2)
    size = driver.dialog.control("size")
    qtbot.waitUntil(lambda: "GiB" in size.maximum.text())
    plain = size.maximum.text()
    driver.fill(mirrored=True)
    qtbot.waitUntil(lambda: size.maximum.text() != plain)


@pytest.mark.parametrize(
    ("answers", "field", "words"),
    [
        ({"name": "a b"}, "name", "a space"),
        ({"name": "ev"}, "name", "already"),
        ({"name": ""}, "name", "empty"),
        ({"size": "x MiB"}, "size", "not a size"),
        ({"size": "0 MiB"}, "size", "at least 1 MiB"),
        ({"size": "900 TiB"}, "size", "the most"),
    ],
)
def test_a_bad_attribute_says_why_as_it_is_typed(
    qtbot: QtBot, console: Console, answers: dict[str, str], field: str, words: str
) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next(2).fill(**answers)
    assert words in driver.reason(field)
    assert words in driver.dialog.control(field).focusProxy().accessibleDescription()
    assert not driver.dialog.next.isEnabled()
    assert not driver.dialog.finish.isEnabled()


def test_a_default_follows_until_it_is_touched(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next(2)
    assert driver.dialog.control("name").line.text() == "Volume1"
    taken = sample_lab.volume(9, "Volume1", MIB)
    api.change([taken])
    qtbot.waitUntil(lambda: driver.dialog.control("name").line.text() == "Volume2")
    driver.fill(name="mine")
    api.change([sample_lab.volume(10, "Volume2", MIB)])
    qtbot.waitUntil(lambda: ref(Kind.VOLUME, 10) in console.config)
    driver.fill(mirrored=True)
    assert driver.dialog.control("name").line.text() == "mine"


def test_picked_free_space_decides_disk_and_size(qtbot: QtBot, console: Console) -> None:
    space = FreeSpace(ref(Kind.DISK, 4), 40 * MIB, 700 * MIB)
    dialog = REGISTRY["new_volume"](console, Selection(console.config, free=(space,)))
    assert dialog.inquiry.answers["disks"] == (disk(4),)
    assert dialog.inquiry.answers["size"] == 700 * MIB
    dialog.reject()
    dialog.deleteLater()


def test_the_welcome_page_can_be_skipped_for_good(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP])
    box = next(
        box for box in driver.dialog.findChildren(type(driver.dialog.control("mirrored").tick)) if "again" in box.text()
    )
    assert box.text() == "Do not show this page again"
    box.click()
    driver.dialog.reject()
    again = Driver(qtbot, console, "new_volume", [GROUP])
    assert again.dialog.title.text() == "Assign Disks"
    assert not console.settings.preferences.welcome_pages
    again.dialog.reject()


def test_back_keeps_the_answers(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next(2).fill(name="kept").next()
    driver.click(driver.dialog.back)
    assert driver.dialog.control("name").line.text() == "kept"
    assert driver.dialog.title.text() == "Volume Attributes"


def test_the_keyboard_alone_makes_a_volume(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP])
    qtbot.waitExposed(driver.dialog)
    for _ in range(5):
        driver.settle()
        qtbot.keyClick(driver.dialog.focusWidget(), Qt.Key.Key_Return)
    driver.settle()
    with qtbot.waitSignal(driver.dialog.accepted):
        qtbot.keyClick(driver.dialog.focusWidget(), Qt.Key.Key_Return)
    assert api.submitted == [CreateVolume(group=GROUP, size=GIB, name="Volume1")]


def test_escape_changes_nothing(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next(5)
    with qtbot.waitSignal(driver.dialog.rejected):
        qtbot.keyClick(driver.dialog, Qt.Key.Key_Escape)
    assert api.submitted == []


def test_help_explains_the_fields_of_this_page(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next(2)
    driver.click(driver.dialog.help)
    (box,) = driver.dialog.findChildren(QMessageBox)
    assert "Columns: Each column lies on disks of its own." in box.text()
    assert "Group name" not in box.text()
    box.accept()


# --- groups ---
def test_a_new_group_takes_foreign_data_only_when_told_so(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "new_group").next()
    driver.fill(name="data", disks=["Harddisk7", "Harddisk8"])
    assert "Overwrite" in driver.reason("force")
    assert not driver.dialog.next.isEnabled()
    assert "ext4" in driver.dialog.control("carried").text.text()
    driver.fill(force=True).next().finish()
    assert api.submitted == [CreateGroup(name="data", disks=(disk(7), disk(8)), force=True)]


def test_a_new_group_without_foreign_data_asks_nothing_more(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "new_group", [disk(7)]).next()
    assert not driver.dialog.control("force").isVisibleTo(driver.dialog)
    driver.next().finish()
    assert api.submitted == [CreateGroup(name="dg2", disks=(disk(7),))]


def test_add_disk(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    Driver(qtbot, console, "add_disk", [GROUP]).fill(disks=["Harddisk9"]).finish()
    assert api.submitted == [AddDisks(group=GROUP, disks=(disk(9),))]


def test_import(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    group = console.config.group(GROUP)
    api.change([msgspec.structs.replace(group, state=GroupState.DEPORTED)])
    qtbot.waitUntil(lambda: console.config.group(GROUP).state is GroupState.DEPORTED)
    Driver(qtbot, console, "import_group", [GROUP]).fill(new_name="back").finish()
    assert api.submitted == [ImportGroup(group=GROUP, new_name="back")]


# --- mirrors ---
def test_add_mirror(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "add_mirror", [ST])
    driver.fill(choice="Manually", disks=["Harddisk4", "Harddisk5"]).finish()
    stripes = {"striped": True, "columns": 2, "stripe_unit": 64 * KIB}  # as the volume has them
    assert api.submitted == [AddMirrors(volume=ST, disks=(disk(4), disk(5)), **stripes)]


def test_a_mirror_may_be_striped_beside_one_that_is_not(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "add_mirror", [EV])
    assert not driver.dialog.control("columns").isEnabled()
    driver.fill(layout="Striped", columns=3, stripe_unit="128 KiB").finish()
    stripes = {"striped": True, "columns": 3, "stripe_unit": 128 * KIB}
    assert api.submitted == [AddMirrors(volume=EV, **stripes)]


def test_remove_mirror_says_what_is_lost(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "remove_mirror", [EV]).fill(plexes=["ev-02"])
    assert driver.dialog.finish.text() == "Remove Mirror"
    assert "ev-02 is lost" in driver.dialog.plan_view.accessibleDescription()
    driver.finish()
    assert api.submitted == [RemoveMirrors(plexes=(ref(Kind.PLEX, 2),))]


def test_break_mirror(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    Driver(qtbot, console, "break_mirror", [EV]).fill(plex="ev-01", name="old").finish()
    assert api.submitted == [BreakMirror(plex=ref(Kind.PLEX, 1), name="old")]


def test_set_volume_usage(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    Driver(qtbot, console, "set_volume_usage", [EV]).fill(preferred="Preferred: ev-02").finish()
    assert api.submitted == [SetVolumeUsage(volume=EV, preferred=ref(Kind.PLEX, 2))]


# --- subdisks ---
def test_move_automatically(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "move_subdisk", [EV_PIECE])
    assert "Copy 512 MiB" in driver.steps()
    driver.finish()
    assert api.submitted == [MoveSubdisks(moves=(Move(EV_PIECE),))]


def test_move_to_a_chosen_disk_and_offset(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "move_subdisk", [EV_PIECE]).fill(choice="Manually", disk="Harddisk4")
    driver.fill(exact=True, offset="900 MiB").finish()
    assert api.submitted == [MoveSubdisks(moves=(Move(EV_PIECE, (Target(disk(4), 900 * MIB),)),))]


def test_move_says_why_a_disk_cannot_take_it(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "move_subdisk", [EV_PIECE]).fill(choice="Manually", disk="Harddisk1")
    assert driver.reason("disk") == "Harddisk1 holds the other mirror of ev"
    assert not driver.dialog.finish.isEnabled()


def test_a_drop_arrives_as_it_was_dropped(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    moves = (Move(EV_PIECE, (Target(ref(Kind.DISK, 5), 700 * MIB, 512 * MIB),)),)
    driver = Driver(qtbot, console, "move_subdisk", [EV_PIECE], moves)
    assert "Harddisk5 at 700 MiB" in driver.dialog.control("choice").group.checkedButton().text()
    driver.finish()
    assert api.submitted == [MoveSubdisks(moves=moves)]


def test_several_subdisks_to_different_disks(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "move_subdisk", [EV_PIECE, ST_PIECE])
    driver.fill(choice="Manually", to0="Harddisk4", to1="Harddisk5").finish()
    moves = (Move(EV_PIECE, (Target(disk(4)),)), Move(ST_PIECE, (Target(disk(5)),)))
    assert api.submitted == [MoveSubdisks(moves=moves)]


def test_evacuate(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    Driver(qtbot, console, "evacuate_disk", [disk(0)]).fill(choice="Manually", targets=["Harddisk4"]).finish()
    assert api.submitted == [EvacuateDisk(disk=disk(0), targets=(disk(4),))]


def test_split_then_join(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    Driver(qtbot, console, "split_subdisk", [EV_PIECE]).fill(size="100 MiB").finish()
    qtbot.waitUntil(lambda: len(console.config.subdisks_of(ref(Kind.PLEX, 1))) == 2)
    Driver(qtbot, console, "join_subdisks", [EV_PIECE]).finish()
    assert api.submitted[0] == SplitSubdisk(subdisk=EV_PIECE, size=100 * MIB)
    assert isinstance(api.submitted[1], JoinSubdisks)
    assert api.submitted[1].first == EV_PIECE


# --- the rest ---
def test_rename(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "rename", [EV])
    assert not driver.dialog.finish.isEnabled()
    driver.fill(name="st")
    assert "already" in driver.reason("name")
    driver.fill(name="evening").finish()
    assert api.submitted == [Rename(object=EV, name="evening")]


def test_set_disk_usage(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    Driver(qtbot, console, "set_disk_usage", [disk(2), disk(3)]).fill(usage="Spare").finish()
    assert api.submitted == [SetDiskUsage(disks=(disk(2), disk(3)), usage=DiskUsage.SPARE)]


def test_add_lun(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    Driver(qtbot, console, "add_lun").fill(paths="/tmp/new.img").finish()
    assert api.submitted == [AddLuns(paths=("/tmp/new.img",))]


def test_throttle(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    task = ref(Kind.TASK, 1)
    api.change([Task(ref=task, name="Move", type=TaskType.MOVE_SUBDISK, group=GROUP, state=TaskState.RUNNING)])
    qtbot.waitUntil(lambda: task in console.config)
    Driver(qtbot, console, "throttle_task", [task]).fill(iodelay_ms=250).finish()
    assert api.submitted == [ThrottleTask(task=task, iodelay_ms=250)]


def test_undo_shows_and_does_the_inverse(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    task, inverse = ref(Kind.TASK, 1), Rename(object=EV, name="before")
    done = Task(ref=task, name="Rename ev", type=TaskType.COMMAND, group=GROUP, state=TaskState.COMPLETED)
    api.change([msgspec.structs.replace(done, undo=encode(inverse))])
    qtbot.waitUntil(lambda: task in console.config)
    driver = Driver(qtbot, console, "undo_task", [task])
    assert driver.dialog.finish.text() == "Undo"
    assert driver.dialog.focusWidget() is driver.dialog.finish
    assert driver.steps()
    driver.finish()
    assert api.submitted == [Rename(object=EV, name="before", undoes=1)]


# --- what happens meanwhile ---
def test_the_object_goes_away(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "rename", [EV])
    api.change(
        drops=[record.ref for record in api.config if record.name.startswith(("ev", "Harddisk0-", "Harddisk1-"))]
    )
    qtbot.waitUntil(lambda: driver.dialog.notice.said == GONE)
    assert not driver.dialog.finish.isEnabled()


def test_a_plan_stays_in_sight_while_records_change(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "rename", [EV]).fill(name="other")
    shown = driver.dialog.plan
    told: list[str] = []
    driver.dialog.plan_view.title.setText = told.append  # type: ignore[method-assign]
    api.change([sample_lab.volume(9, "new", MIB)])
    qtbot.waitUntil(lambda: driver.dialog.plan is not shown and driver.dialog.plan is not None)
    assert ASKING not in told
    assert driver.dialog.finish.isEnabled()


def test_a_late_answer_after_cancel_is_for_nobody(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "rename", [EV])
    api.answers.clear()
    driver.dialog.control("name").line.setText("late")
    driver.dialog.control("name").changed.emit()
    assert driver.dialog.inquiry.asking
    assert not driver.dialog.finish.isEnabled()
    driver.dialog.reject()
    api.answers.set()
    done: list[object] = []
    console.plan(Rename(object=EV, name="z"), done.append)
    qtbot.waitUntil(lambda: bool(done))
    assert api.submitted == []


def test_a_plan_that_has_changed_is_shown_before_it_is_done(
    qtbot: QtBot, console: Console, api: PlannedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.errors import CommandRejected
    from engine.plans import Problem

    driver = Driver(qtbot, console, "rename", [EV]).fill(name="other")
    real, calls = api.submit, []

    def submit(command: object, basis: int | None = None) -> object:
        calls.append(basis)
        if len(calls) == 1:
            raise CommandRejected((Problem("It would act otherwise now."),), api.plan(command))
        return real(command, basis)

    monkeypatch.setattr(api, "submit", submit)
    driver.click(driver.dialog.finish)
    qtbot.waitUntil(lambda: CHANGED in driver.dialog.plan_view.warnings.said)
    assert driver.dialog.isVisible()
    driver.finish()
    assert len(calls) == 2


def test_a_refusal_stays_in_the_dialog(
    qtbot: QtBot, console: Console, api: PlannedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.errors import GroupFrozen

    driver = Driver(qtbot, console, "rename", [EV]).fill(name="other")

    def submit(command: object, basis: int | None = None) -> object:
        raise GroupFrozen("No majority of dg1 can be written.")

    monkeypatch.setattr(api, "submit", submit)
    driver.click(driver.dialog.finish)
    qtbot.waitUntil(lambda: "No majority of dg1" in driver.dialog.notice.said)
    driver.settle()
    assert "No majority of dg1" in driver.dialog.notice.said
