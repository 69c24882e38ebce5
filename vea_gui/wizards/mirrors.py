"""Add, Remove and Break Mirror, and which mirror serves reads."""

from __future__ import annotations

from functools import partial

from engine import rules
from engine.commands import AddMirrors, BreakMirror, RemoveMirrors, SetVolumeUsage
from engine.config import Config
from engine.records import Plex, Ref
from engine.units import format_size
from vea_gui.selection import Selection
from vea_gui.wizards import choices, stripes
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page
from vea_gui.words import plex_words


def _volume(selection: Selection) -> Ref:
    return selection.volumes[0].ref


def _plex_text(config: Config, plex: Plex) -> str:
    disks = dict.fromkeys(config.disk(subdisk.disk).name for subdisk in config.subdisks_of(plex.ref))
    on = f"on {rules.listed(disks)}" if disks else "on no disk"
    return f"{plex.name}, {plex_words(plex).lower()}, {format_size(plex.length)}, {on}"


# --- add ---
def add_mirror(config: Config, selection: Selection) -> Form:
    """More copies of a volume."""
    volume = _volume(selection)
    fields = (
        choices.volume_fact(volume),
        Field("count", "Mirrors to add", FieldKind.NUMBER, default=1, lowest=1, highest=rules.MIRRORS_MAX - 1),
        *stripes.fields(_model(config, volume), "A mirror may be laid out otherwise than the others."),
        choices.way_field("Each mirror lies on disks that hold no other mirror of the volume."),
        choices.disks_field(lambda config, _: choices.disks_of_group(config, config.volume(volume).group), hides=True),
        Field(
            "across_enclosures",
            "Enclosure",
            FieldKind.CHECK,
            default=False,
            caption="Mirror across",
            hint="Each mirror lies in an enclosure of its own.",
        ),
    )
    sentence = "Decide how many copies the volume gets, and where. It stays online while they are filled."
    return Form(
        "add_mirror",
        "Add Mirror",
        (Page("Add Mirror", sentence, fields),),
        partial(_build_add, volume),
        about=(volume,),
    )


def _model(config: Config, volume: Ref) -> Plex | None:
    """The mirror that a new one would be like."""
    trusted = rules.trusted(config, volume)
    return trusted[0] if trusted else None


def _build_add(volume: Ref, config: Config, answers: Answers) -> AddMirrors:
    return AddMirrors(
        volume=volume,
        count=answers["count"],
        **stripes.asked(answers),
        disks=choices.chosen_disks(config, answers),
        across_enclosures=answers["across_enclosures"],
    )


# --- remove ---
def remove_mirror(config: Config, selection: Selection) -> Form:
    """Copies that a volume gives up."""
    volume = _volume(selection)
    picked = tuple(plex.ref for plex in selection.of(Plex) if plex.volume == volume)
    fields = (
        choices.volume_fact(volume),
        Field(
            "plexes",
            "Mirrors to remove",
            FieldKind.LISTS,
            default=(),
            options=partial(_removable, volume),
            check=lambda _, answers: "" if answers["plexes"] else "Select at least one mirror.",
            lists=("Mirrors to keep", "Mirrors to remove"),
        ),
    )
    page = Page("Remove Mirror", "Decide which copies go. Their space becomes free at once.", fields)
    build = partial(_build_remove, volume)
    return Form(
        "remove_mirror",
        "Remove Mirror",
        (page,),
        build,
        verb="Remove Mirror",
        about=(volume,),
        answers={"plexes": picked},
    )


def _removable(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    return [
        Option(plex.ref, _plex_text(config, plex), choices.short(rules.plexes_can_go(config, [plex.ref])))
        for plex in rules.mirrors_of(config, volume)
    ]


def _build_remove(volume: Ref, config: Config, answers: Answers) -> RemoveMirrors:
    return RemoveMirrors(plexes=tuple(answers["plexes"]))


# --- break ---
def break_mirror(config: Config, selection: Selection) -> Form:
    """A copy becomes a volume of its own."""
    volume = _volume(selection)
    picked = selection.one(Plex)
    plex = picked.ref if picked is not None else _first_breakable(config, volume)
    fields = (
        choices.volume_fact(volume),
        Field(
            "plex",
            "Mirror to break off",
            FieldKind.LIST,
            default=plex,
            options=partial(_breakable, volume),
            check=lambda _, answers: "" if answers["plex"] is not None else "Select a mirror.",
        ),
        Field("name", "Name of the new volume", FieldKind.TEXT, default=partial(_broken_name, volume)),
    )
    sentence = "Decide which copy becomes a volume of its own. It keeps the data of this moment."
    page = Page("Break Mirror", sentence, fields)
    return Form("break_mirror", "Break Mirror", (page,), _build_break, verb="Break Mirror", about=(volume,))


def _first_breakable(config: Config, volume: Ref) -> Ref | None:
    fine = [plex.ref for plex in rules.mirrors_of(config, volume) if rules.plex_can_break(config, plex.ref) is None]
    return fine[-1] if fine else None


def _breakable(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    return [
        Option(plex.ref, _plex_text(config, plex), choices.short(rules.plex_can_break(config, plex.ref)))
        for plex in rules.mirrors_of(config, volume)
    ]


def _broken_name(volume: Ref, config: Config, answers: Answers) -> str:
    group = config.volume(volume).group
    return rules.next_name("Volume", {other.name for other in config.volumes_of(group)})


def _build_break(config: Config, answers: Answers) -> BreakMirror:
    return BreakMirror(plex=answers["plex"], name=answers["name"])


# --- reads ---
def set_volume_usage(config: Config, selection: Selection) -> Form:
    """Which mirror serves reads."""
    volume = _volume(selection)
    fields = (
        choices.volume_fact(volume),
        Field(
            "preferred",
            "Reads",
            FieldKind.CHOICE,
            default=config.volume(volume).preferred,
            options=partial(_readers, volume),
        ),
    )
    page = Page("Set Volume Usage", "Decide which mirror serves reads. Writes always go to every mirror.", fields)
    build = partial(_build_usage, volume)
    return Form("set_volume_usage", "Set Volume Usage", (page,), build, about=(volume,))


def _readers(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    plexes = [
        Option(plex.ref, f"Preferred: {plex.name}", choices.short(rules.plex_complete(config, plex.ref)))
        for plex in rules.mirrors_of(config, volume)
    ]
    return [Option(None, "Based on layouts: all complete mirrors take part"), *plexes]


def _build_usage(volume: Ref, config: Config, answers: Answers) -> SetVolumeUsage:
    return SetVolumeUsage(volume=volume, preferred=answers["preferred"])
