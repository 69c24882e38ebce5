"""Resize Volume: larger, or smaller with what lies behind the new end lost."""

from __future__ import annotations

from functools import partial

from engine.allocate import max_grow
from engine.commands import Command, GrowVolume, ShrinkVolume
from engine.config import Config
from engine.records import Ref
from engine.units import ALLOCATION_UNIT, align_down, format_exact, format_size
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.file_system import content_options
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page

NEW_SIZE, ADD_BY, SHRINK_BY = "to", "by", "less"
_WAYS = [
    Option(NEW_SIZE, "To a new size"),
    Option(ADD_BY, "Expand by an amount"),
    Option(SHRINK_BY, "Shrink by an amount"),
]
FORCE = "Shrink by force"


def resize_volume(config: Config, selection: Selection) -> Form:
    """Another size, without stopping the volume."""
    volume = selection.volumes[0].ref
    page = Page(
        "Resize Volume",
        "Decide the new size. The volume stays online; clients see the new size when they connect again.",
        (*_facts(volume), *_sizes(volume), *_places(volume)),
    )
    return Form("resize_volume", "Resize Volume", (page,), partial(_build, volume), about=(volume,))


def _facts(volume: Ref) -> tuple[Field, ...]:
    return (
        choices.volume_fact(volume),
        Field("current", "Current size", FieldKind.FACT, options=partial(_current, volume)),
        Field("content", "File system", FieldKind.FACT, options=partial(content_options, volume)),
        Field("way", "Resize", FieldKind.CHOICE, default=NEW_SIZE, options=lambda *_: _WAYS),
    )


def _sizes(volume: Ref) -> tuple[Field, ...]:
    return (
        Field(
            "size",
            "New size",
            FieldKind.SIZE,
            default=partial(_default_size, volume),
            enabled=lambda _, answers: answers["way"] == NEW_SIZE,
            hides=True,
            check=partial(_unchanged, volume),
            maximum=partial(_largest, volume),
        ),
        Field(
            "more",
            "Add by",
            FieldKind.SIZE,
            default=partial(_default_more, volume),
            enabled=lambda _, answers: answers["way"] == ADD_BY,
            hides=True,
            check=partial(_nothing, "more"),
            maximum=lambda config, answers: _largest(volume, config, answers) - config.volume(volume).size,
            problems=("size",),
        ),
        Field(
            "less",
            "Shrink by",
            FieldKind.SIZE,
            default=ALLOCATION_UNIT,
            enabled=lambda _, answers: answers["way"] == SHRINK_BY,
            hides=True,
            check=partial(_too_much, volume),
            problems=("size",),
        ),
    )


def _places(volume: Ref) -> tuple[Field, ...]:
    return (
        Field(
            "force",
            FORCE,
            FieldKind.CHECK,
            default=False,
            enabled=partial(_shrinks, volume),
            hides=True,
            caption="Options",
            hint="Disconnects clients, and cuts off what a file system or partition table still uses.",
        ),
        choices.way_field(shown=lambda config, answers: not _shrinks(volume, config, answers)),
        choices.disks_field(
            lambda config, _: choices.disks_of_group(config, config.volume(volume).group),
            lambda config, answers: choices.manual(config, answers) and not _shrinks(volume, config, answers),
            hides=True,
        ),
    )


def _current(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    size = config.volume(volume).size
    return [Option(size, f"{format_size(size)} ({format_exact(size)})")]


def _default_more(volume: Ref, config: Config, answers: Answers) -> int:
    """As much again, or what the group has when that is less."""
    record = config.volume(volume)
    copies = max(1, len(config.plexes_of(volume)))
    room = align_down(config.group(record.group).free // copies, ALLOCATION_UNIT)
    return max(ALLOCATION_UNIT, min(record.size, room))


def _default_size(volume: Ref, config: Config, answers: Answers) -> int:
    return config.volume(volume).size + _default_more(volume, config, answers)


def _unchanged(volume: Ref, config: Config, answers: Answers) -> str:
    size = config.volume(volume).size
    if answers["size"] != size:
        return _nothing("size", config, answers)
    return f"Give another size than the current size of {format_size(size)}."


def _nothing(field: str, config: Config, answers: Answers) -> str:
    return "" if answers[field] else "Give a size of at least 1 MiB."


def _too_much(volume: Ref, config: Config, answers: Answers) -> str:
    size = config.volume(volume).size
    if answers["less"] >= size:
        return f"Give less than the current size of {format_size(size)}."
    return _nothing("less", config, answers)


def _wanted(volume: Ref, config: Config, answers: Answers) -> int:
    size = config.volume(volume).size
    sizes = {NEW_SIZE: answers["size"], ADD_BY: size + answers["more"], SHRINK_BY: size - answers["less"]}
    return int(sizes[answers["way"]])


def _shrinks(volume: Ref, config: Config, answers: Answers) -> bool:
    return _wanted(volume, config, answers) < config.volume(volume).size


def _largest(volume: Ref, config: Config, answers: Answers) -> int:
    return max_grow(config, GrowVolume(volume=volume, size=0, disks=choices.chosen_disks(config, answers)))


def _build(volume: Ref, config: Config, answers: Answers) -> Command:
    size = _wanted(volume, config, answers)
    if _shrinks(volume, config, answers):
        return ShrinkVolume(volume=volume, size=size, force=bool(answers["force"]))
    return GrowVolume(volume=volume, size=size, disks=choices.chosen_disks(config, answers))
