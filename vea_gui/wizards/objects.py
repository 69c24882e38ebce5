"""Rename, Set Disk Usage, Throttle Task, Undo, and any command that is only confirmed by its plan."""

from __future__ import annotations

from functools import partial

import msgspec

from engine import rules
from engine.commands import Rename, SetDiskUsage, ThrottleTask, decode
from engine.config import Config
from engine.records import Disk, DiskUsage, Record, Ref, Task
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page
from vea_gui.words import KIND_NAMES

USAGES = {
    DiskUsage.NORMAL: "Normal: automatic selection uses it",
    DiskUsage.PREFERRED: "Preferred: as normal, and hot relocation takes it before other disks",
    DiskUsage.NO_HOT_USE: "Not a hot-relocation target: as normal, but hot relocation never takes it",
    DiskUsage.SPARE: "Spare: kept for hot relocation",
    DiskUsage.RESERVED: "Reserved: used only when it is selected by hand",
}
SLOWEST_MS = 10_000


def rename(config: Config, selection: Selection) -> Form:
    """Another name for a group, volume, disk or subdisk."""
    record = selection.of(Record)[0]
    kind = KIND_NAMES[record.ref.kind][0]
    field = Field("name", "New name", FieldKind.TEXT, default=record.name, check=partial(_same_name, record.ref))
    page = Page(f"Rename {record.name}", f"Decide the new name of this {kind}. Nothing else changes.", (field,))
    build = partial(_build_rename, record.ref)
    return Form("rename", f"Rename {kind.title()}", (page,), build, about=(record.ref,))


def _same_name(ref: Ref, config: Config, answers: Answers) -> str:
    if answers["name"] == config[ref].name:
        return "This is its name now. Give another one."
    return choices.sentence(rules.name_ok(answers["name"]))


def _build_rename(ref: Ref, config: Config, answers: Answers) -> Rename:
    return Rename(object=ref, name=answers["name"])


def set_disk_usage(config: Config, selection: Selection) -> Form:
    """What automatic selection may do with disks."""
    disks = tuple(disk.ref for disk in selection.of(Disk))
    fields = (
        Field("what", "Disk" if len(disks) == 1 else "Disks", FieldKind.FACT, options=partial(_disk_facts, disks)),
        Field(
            "usage",
            "Usage",
            FieldKind.CHOICE,
            default=config.disk(disks[0]).usage,
            options=lambda *_: [Option(usage, text) for usage, text in USAGES.items()],
        ),
    )
    page = Page("Set Disk Usage", "Decide what automatic disk selection may do with these disks.", fields)
    build = partial(_build_usage, disks)
    return Form("set_disk_usage", "Set Disk Usage", (page,), build, about=disks)


def _disk_facts(disks: tuple[Ref, ...], config: Config, answers: Answers) -> list[Option]:
    shown = [Option(ref, choices.disk_text(config, config.disk(ref))) for ref in disks[:8]]
    return [*shown, Option("", f"and {len(disks) - 8} more")] if len(disks) > 8 else shown


def _build_usage(disks: tuple[Ref, ...], config: Config, answers: Answers) -> SetDiskUsage:
    return SetDiskUsage(disks=disks, usage=answers["usage"])


# --- tasks ---
def throttle_task(config: Config, selection: Selection) -> Form:
    """How much a task rests between its copies."""
    task = selection.of(Task)[0]
    fields = (
        Field("what", "Task", FieldKind.FACT, options=lambda config, _: [Option("", config.task(task.ref).name)]),
        Field(
            "iodelay_ms",
            "I/O delay in milliseconds",
            FieldKind.NUMBER,
            default=task.iodelay_ms,
            highest=SLOWEST_MS,
            hint="The task rests this long after each mebibyte. 0 is full speed; more leaves more to the clients.",
        ),
    )
    page = Page("Throttle Task", "Decide how much the task gives way to the clients of the volumes.", fields)
    return Form("throttle_task", "Throttle Task", (page,), partial(_build_throttle, task.ref), about=(task.ref,))


def _build_throttle(task: Ref, config: Config, answers: Answers) -> ThrottleTask:
    return ThrottleTask(task=task, iodelay_ms=answers["iodelay_ms"])


def undo_task(config: Config, selection: Selection) -> Form:
    """The inverse of what a task has done, as a plan against today's records."""
    task = selection.of(Task)[0]
    command = msgspec.structs.replace(decode(task.undo), undoes=int(task.ref.id))
    fact = Field("what", "To undo", FieldKind.FACT, default=task.name)
    page = Page("Undo", "This is what will happen. Nothing is changed before you choose Undo.", (fact,))
    return Form("undo_task", "Undo", (page,), lambda *_: command, verb="Undo")
