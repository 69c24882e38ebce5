"""Verify and Repair: which mirror is believed where the others differ from it."""

from __future__ import annotations

from functools import partial

from engine.commands import ScrubVolume
from engine.config import Config
from engine.records import Ref
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page


def repair_mirrors(config: Config, selection: Selection) -> Form:
    """The plan tells whether it is the ranges of the last verification, or the whole volume."""
    volume = selection.volumes[0].ref
    plexes = _mirrors(volume, config, {})
    fields = (
        choices.volume_fact(volume),
        Field(
            "source",
            "Believe",
            FieldKind.CHOICE,
            default=plexes[0].value if plexes else None,
            options=partial(_mirrors, volume),
            hint="Where the other mirrors differ, they get what stands on this one. After a verification only the "
            "places are compared that it has found.",
        ),
    )
    page = Page("Verify and Repair", "Decide which mirror holds what is right.", fields)
    title = "Verify and Repair Volume"
    return Form("repair_mirrors", title, (page,), partial(_build, volume), verb="Verify and Repair", about=(volume,))


def _mirrors(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    plexes = config.plexes_of(volume) if volume in config else []
    return [Option(plex.ref, plex.name, "" if plex.complete else "not complete") for plex in plexes]


def _build(volume: Ref, config: Config, answers: Answers) -> ScrubVolume:
    return ScrubVolume(volume=volume, source=answers["source"])
