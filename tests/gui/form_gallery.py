"""Every wizard page and dialog on the sample lab, one after the other. As a program: tells what is cut, as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from PySide6.QtWidgets import QApplication

from engine.commands import Move, Rename, Target, encode
from engine.records import Disk, Group, GroupState, Kind, Origin, Record, Task, TaskState, TaskType
from engine.units import MIB
from tests.gui import sample_lab
from tests.gui.cut_text import cut, nameless, unsaid
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import GROUP, ref
from tests.gui.snap_lab import BOOKS, ORDERS, ORDERS_SNAP, snap_records
from vea_gui import theme
from vea_gui.actions.book import book
from vea_gui.console import Console
from vea_gui.sessions import Session
from vea_gui.settings import Settings
from vea_gui.wizards.dialog import FormDialog

EV, PIECE, OTHER_PIECE, TASK = ref(Kind.VOLUME, 1), ref(Kind.SUBDISK, 1), ref(Kind.SUBDISK, 3), ref(Kind.TASK, 1)
DISKS = [ref(Kind.DISK, number) for number in range(12)]
LOST = ref(Kind.DISK, 5)
DEADLINE_S = 60.0

Show = tuple[str, str, FormDialog]


def gallery_records() -> list[Record]:
    """The lab with long names, foreign data, a deported group and a task that can be undone."""
    records: list[Record] = []
    for record in sample_lab.records():
        if isinstance(record, Disk) and record.name == "Harddisk8":
            record = msgspec.structs.replace(record, content="Microsoft dynamic disk (LDM) of another computer")
        if record.ref == LOST:
            record = msgspec.structs.replace(record, present=False, lun="")
        if record.ref == OTHER_PIECE:
            record = msgspec.structs.replace(record, origin=Origin(DISKS[4], 1 << 30))
        if record.ref == EV:
            record = msgspec.structs.replace(record, name="accounting-database-2026_backup")
        records.append(record)
    task = Task(ref=TASK, name="Rename ev", type=TaskType.COMMAND, group=GROUP, state=TaskState.COMPLETED)
    undo = encode(Rename(object=EV, name="ev"))
    away = Group(ref=ref(Kind.GROUP, 2), name="away", state=GroupState.DEPORTED, owner="another-host.example.com")
    return [*records, *snap_records(), msgspec.structs.replace(task, undo=undo), away]


def cases() -> list[tuple[str, list[object], tuple[object, ...]]]:
    """Name, what is picked, and what else is handed over."""
    dropped = (Move(PIECE, (Target(DISKS[4], 700 * MIB),)),)
    return [
        ("new_volume", [GROUP], ()),
        ("new_group", [DISKS[8]], ()),
        ("add_disk", [GROUP], ()),
        ("import_group", [ref(Kind.GROUP, 2)], ()),
        ("split_group", [EV], ()),
        ("join_groups", [GROUP], ()),
        ("resize_volume", [EV], ()),
        ("repair_mirrors", [EV], ()),
        ("add_column", [ref(Kind.VOLUME, 2)], ()),
        ("format_volume", [EV], ()),
        ("change_drive", [EV], ()),
        ("resize_file_system", [EV], ()),
        ("restore_configuration", [GROUP], ()),
        ("add_mirror", [EV], ()),
        ("remove_mirror", [EV], ()),
        ("break_mirror", [EV], ()),
        ("set_volume_usage", [EV], ()),
        ("move_subdisk", [PIECE], ()),
        ("move_subdisk", [PIECE], (dropped,)),
        ("move_subdisk", [PIECE, OTHER_PIECE], ()),
        ("evacuate_disk", [DISKS[0]], ()),
        ("split_subdisk", [PIECE], ()),
        ("join_subdisks", [PIECE], ()),
        ("replace_disk", [LOST], ()),
        ("repair_volume", [ref(Kind.VOLUME, 2)], ()),
        ("undo_relocation", [DISKS[4]], ()),
        ("prepare_snapshot", [EV], ()),
        ("abort_snapshot", [BOOKS], ()),
        ("snap_shot", [BOOKS], ()),
        ("snap_back", [ORDERS_SNAP], ()),
        ("snap_back", [ORDERS], ()),
        ("refresh_snapshots", [ORDERS_SNAP], ()),
        ("quiesce_settings", [BOOKS], ()),
        ("rename", [EV], ()),
        ("set_disk_usage", [DISKS[2], DISKS[3]], ()),
        ("add_lun", [], ()),
        ("throttle_task", [TASK], ()),
        ("undo_task", [TASK], ()),
    ]


def walk(console: Console, wait: Callable[[Callable[[], bool]], None]) -> Iterator[Show]:
    """Open each, with automatic and with manual choices, page by page; closed again when the caller goes on."""
    for number, (name, picked, more) in enumerate(cases()):
        dialog = console.ask(name, console.at(*picked), *more)
        assert isinstance(dialog, FormDialog)
        for page in range(dialog.stack.count()):
            yield from _page(f"{number}-{name}-{page}", name, dialog, wait)
            if page + 1 < dialog.stack.count() and dialog.next.isEnabled():
                dialog.next.click()
        dialog.reject()


def _page(title: str, name: str, dialog: FormDialog, wait: Callable[[Callable[[], bool]], None]) -> Iterator[Show]:
    known = dialog.inquiry
    wait(lambda: not known.asking and bool(known.plan or known.reasons) and dialog.isVisible())
    yield title, name, dialog
    choice = next((page.controls["choice"] for page in dialog._shown_pages() if "choice" in page.controls), None)
    if choice is None:
        return
    buttons = choice.group.buttons()
    buttons[-1].click()
    wait(lambda: not known.asking and bool(known.plan or known.reasons))
    yield f"{title}-manual", name, dialog
    buttons[-2].click()
    wait(lambda: not known.asking and bool(known.plan or known.reasons))


def main(folder: Path | None, font_points: int) -> list[str]:
    """Everything that is wrong; with a folder, pictures in it."""
    app = QApplication(sys.argv[:1])
    theme.apply(app, "dark" if font_points > 12 else "light", font_points)
    api = PlannedEngine(gallery_records(), sample_lab.HOST)
    session = Session.open(api)

    def wait(done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError("the dialog does not settle")
            app.processEvents()
        for _ in range(20):
            app.processEvents()

    wait(lambda: session.bridge.attached)
    found = []
    with tempfile.TemporaryDirectory() as state:
        settings = Settings(Path(state))
        for title, _, dialog in walk(Console(session, settings, book()), wait):
            found += [f"{title}: {text}" for text in (*cut(dialog), *nameless(dialog), *unsaid(dialog))]
            if folder is not None:
                dialog.grab().save(str(folder / f"{title}.png"))
        settings.close()
    session.close()
    return found


if __name__ == "__main__":
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    sys.stdout.write(json.dumps(main(out, int(sys.argv[1])), indent=1))
