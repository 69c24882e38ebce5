"""Expand Volume."""

from __future__ import annotations

from functools import partial

from engine.allocate import max_grow
from engine.commands import GrowVolume
from engine.config import Config
from engine.records import Ref
from engine.units import ALLOCATION_UNIT, align_down, format_exact, format_size
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page

NEW_SIZE, ADD_BY = "to", "by"


def expand_volume(config: Config, selection: Selection) -> Form:
    """A larger volume, without stopping it."""
    volume = selection.volumes[0].ref
    fields = (
        choices.volume_fact(volume),
        Field("current", "Current size", FieldKind.FACT, options=partial(_current, volume)),
        Field(
            "way",
            "Expand",
            FieldKind.CHOICE,
            default=NEW_SIZE,
            options=lambda *_: [Option(NEW_SIZE, "To a new size"), Option(ADD_BY, "By an amount")],
        ),
        Field(
            "size",
            "New size",
            FieldKind.SIZE,
            default=partial(_default_size, volume),
            enabled=lambda _, answers: answers["way"] == NEW_SIZE,
            hides=True,
            check=partial(_too_small, volume),
            maximum=partial(_largest, volume),
        ),
        Field(
            "more",
            "Add by",
            FieldKind.SIZE,
            default=partial(_default_more, volume),
            enabled=lambda _, answers: answers["way"] == ADD_BY,
            hides=True,
            check=lambda _, answers: "" if answers["more"] else "Give a size of at least 1 MiB.",
            maximum=lambda config, answers: _largest(volume, config, answers) - config.volume(volume).size,
            problems=("size",),
        ),
        choices.way_field(),
        choices.disks_field(lambda config, _: choices.disks_of_group(config, config.volume(volume).group), hides=True),
    )
    page = Page(
        "Expand Volume",
        "Decide the new size. The volume stays online meanwhile.",
        fields,
    )
    return Form("expand_volume", "Expand Volume", (page,), partial(_build, volume), about=(volume,))


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


def _too_small(volume: Ref, config: Config, answers: Answers) -> str:
    size = config.volume(volume).size
    if answers["size"] > size:
        return ""
    return f"Give more than the current size of {format_size(size)}."


def _largest(volume: Ref, config: Config, answers: Answers) -> int:
    return max_grow(config, _build(volume, config, answers))


def _build(volume: Ref, config: Config, answers: Answers) -> GrowVolume:
    by = config.volume(volume).size + answers["more"]
    return GrowVolume(
        volume=volume,
        size=by if answers["way"] == ADD_BY else answers["size"],
        disks=choices.chosen_disks(config, answers),
    )
