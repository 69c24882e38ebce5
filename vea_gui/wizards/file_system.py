"""Resize File System: as large as its volume, or to a size before the volume shrinks."""

from __future__ import annotations

from functools import partial

from engine.commands import MAX_SIZE, ResizeFileSystem
from engine.config import Config
from engine.records import Ref
from engine.units import format_size
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page

WHOLE, TO_SIZE = "whole", "size"


def resize_file_system(config: Config, selection: Selection) -> Form:
    """What stands on the volume is looked at when the plan is asked for."""
    volume = selection.volumes[0].ref
    fields = (
        choices.volume_fact(volume),
        Field("content", "File system", FieldKind.FACT, options=partial(content_options, volume)),
        Field(
            "way",
            "Resize",
            FieldKind.CHOICE,
            default=WHOLE,
            options=lambda *_: [
                Option(WHOLE, "As large as the volume"),
                Option(TO_SIZE, "To a size, before the volume shrinks"),
            ],
        ),
        Field(
            "size",
            "New size",
            FieldKind.SIZE,
            default=lambda config, _: config.volume(volume).size,
            enabled=lambda _, answers: answers["way"] == TO_SIZE,
            hides=True,
            check=lambda _, answers: "" if answers["size"] else "Give a size of at least 1 MiB.",
        ),
    )
    page = Page(
        "Resize File System",
        "The file system's own programs do this on this host, while nobody uses the volume.",
        fields,
    )
    build = partial(_build, volume)
    return Form("resize_file_system", "Resize File System", (page,), build, verb="Resize", about=(volume,))


def content_options(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    """What stands on a volume, as last seen."""
    record = config.volume(volume)
    if not record.content:
        return [Option("", "none that is known")]
    size = f", {format_size(record.content_size)}" if record.content_size else ", size not known"
    return [Option(record.content, record.content + size)]


def _build(volume: Ref, config: Config, answers: Answers) -> ResizeFileSystem:
    return ResizeFileSystem(volume=volume, size=answers["size"] if answers["way"] == TO_SIZE else MAX_SIZE)
