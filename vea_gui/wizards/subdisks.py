"""Split and Join Subdisk."""

from __future__ import annotations

from functools import partial

from engine import rules
from engine.commands import JoinSubdisks, SplitSubdisk
from engine.config import Config
from engine.records import Ref, Subdisk
from engine.units import ALLOCATION_UNIT, align_down, format_size
from vea_gui.block_names import block_label
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page


def _text(config: Config, ref: Ref) -> str:
    subdisk = config.subdisk(ref)
    where = f"{config.disk(subdisk.disk).name} at {format_size(subdisk.disk_offset)}"
    return f"{subdisk.name}, a piece of {block_label(config, ref)}, {format_size(subdisk.length)}, on {where}"


def split_subdisk(config: Config, selection: Selection) -> Form:
    """One subdisk becomes two; no data moves."""
    subdisk = selection.of(Subdisk)[0]
    half = align_down(subdisk.length // 2, ALLOCATION_UNIT)
    fields = (
        Field("what", "Subdisk", FieldKind.FACT, options=lambda config, _: [Option("", _text(config, subdisk.ref))]),
        Field(
            "size", "Size of the first piece", FieldKind.SIZE, default=half, check=partial(_cannot_split, subdisk.ref)
        ),
    )
    page = Page("Split Subdisk", "Decide where the subdisk is cut in two. No data moves.", fields)
    return Form(
        "split_subdisk",
        "Split Subdisk",
        (page,),
        lambda _, answers: SplitSubdisk(subdisk=subdisk.ref, size=answers["size"]),
        about=(subdisk.ref,),
    )


def _cannot_split(ref: Ref, config: Config, answers: Answers) -> str:
    return "" if answers["size"] else "Give a size of at least 1 MiB."


def join_subdisks(config: Config, selection: Selection) -> Form:
    """Two neighbours become one; no data moves."""
    picked = sorted(selection.of(Subdisk), key=lambda subdisk: (subdisk.plex_offset, subdisk.disk_offset))
    about = picked[0].ref
    pairs = _pairs(config, picked)
    fields = (
        Field(
            "pair",
            "Subdisks",
            FieldKind.LIST,
            default=pairs[0].value if pairs else None,
            options=lambda config, _: _pairs(config, [config.subdisk(one.ref) for one in picked if one.ref in config]),
            check=lambda _, answers: "" if answers["pair"] else "There is no neighbour that it can be joined with.",
        ),
    )
    page = Page("Join Subdisks", "Decide which two neighbours become one. No data moves.", fields)
    return Form("join_subdisks", "Join Subdisks", (page,), _build_join, about=(about,))


def _pairs(config: Config, picked: list[Subdisk]) -> list[Option]:
    """The two that are picked, or the one with each of its neighbours; what fits stands first."""
    if len(picked) == 2:
        found = [(picked[0], picked[1])]
    else:
        found = [pair for subdisk in picked for pair in _with_neighbours(config, subdisk)]
    return sorted((_pair(config, *pair) for pair in found), key=lambda option: bool(option.why_not))


def _with_neighbours(config: Config, subdisk: Subdisk) -> list[tuple[Subdisk, Subdisk]]:
    others = [other for other in config.subdisks_of(subdisk.plex) if other.column == subdisk.column]
    before = [other for other in others if other.plex_offset + other.length == subdisk.plex_offset]
    after = [other for other in others if subdisk.plex_offset + subdisk.length == other.plex_offset]
    return [*((other, subdisk) for other in before), *((subdisk, other) for other in after)]


def _pair(config: Config, first: Subdisk, second: Subdisk) -> Option:
    why_not = choices.sentence(rules.can_join(config, first, second))
    text = f"{first.name} ({format_size(first.length)}) and {second.name} ({format_size(second.length)})"
    return Option((first.ref, second.ref), text, why_not)


def _build_join(config: Config, answers: Answers) -> JoinSubdisks:
    first, second = answers["pair"]
    return JoinSubdisks(first=first, second=second)
