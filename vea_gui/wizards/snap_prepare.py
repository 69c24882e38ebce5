"""Prepare for Snap Shot, and Snap Abort: snap plexes come and go."""

from __future__ import annotations

from functools import partial

from engine import rules
from engine.commands import AbortSnapshot, PrepareSnapshot
from engine.config import Config
from engine.records import Plex, Ref
from engine.units import format_size
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page
from vea_gui.words import plex_words

NEW, OWN = "new", "own"


def prepare_snapshot(config: Config, selection: Selection) -> Form:
    """A snap plex for a volume. A mirror that is picked is the one to convert."""
    volume = selection.volumes[0].ref
    picked = selection.one(Plex)
    fields = (
        choices.volume_fact(volume),
        Field(
            "way",
            "Snap plex",
            FieldKind.CHOICE,
            default=NEW,
            options=partial(_ways, volume),
            hint="A new mirror is filled while the volume is in use. A mirror that is there is ready at once; from "
            "then on it is no copy to count on.",
        ),
        Field(
            "plex",
            "Mirror to use",
            FieldKind.LIST,
            default=_first_convertible(config, volume),
            options=partial(_mirrors, volume),
            enabled=_converts,
            hides=True,
            check=lambda _, answers: "" if answers["plex"] is not None else "Select a mirror.",
        ),
        choices.way_field(
            "Automatic selection takes disks that carry nothing of the volume: its snapshots can be split off.",
            shown=_makes,
        ),
        choices.disks_field(
            lambda config, _: choices.disks_of_group(config, config.volume(volume).group), _chooses, hides=True
        ),
        Field(
            "share",
            "Disks of the volume's mirrors, too",
            FieldKind.CHECK,
            default=False,
            caption="May lie on",
            enabled=_makes,
            hides=True,
            problems=("force",),
            hint="For a group with few disks. The snapshots fail with a disk that they share, and can't be split off.",
        ),
    )
    sentence = "Decide which plex is kept in step with the volume until a Snap Shot is taken. This is done once."
    return Form(
        "prepare_snapshot",
        "Prepare for Snap Shot",
        (Page("Prepare for Snap Shot", sentence, fields),),
        partial(_build, volume),
        verb="Prepare",
        about=(volume,),
        answers={"way": OWN, "plex": picked.ref} if picked is not None else {},
    )


def _ways(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    whys = [rules.can_convert(config, plex.ref) for plex in rules.mirrors_of(config, volume)]
    why = "" if None in whys else choices.short(whys[0] if whys else None)
    return [Option(NEW, "Add a new mirror"), Option(OWN, "Use a mirror that the volume has", why)]


def _converts(_: Config, answers: Answers) -> bool:
    return bool(answers["way"] == OWN)


def _makes(_: Config, answers: Answers) -> bool:
    return bool(answers["way"] == NEW)


def _chooses(config: Config, answers: Answers) -> bool:
    return _makes(config, answers) and choices.manual(config, answers)


def _mirrors(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    return [
        Option(plex.ref, plex_text(config, plex), choices.short(rules.can_convert(config, plex.ref)))
        for plex in rules.mirrors_of(config, volume)
    ]


def _first_convertible(config: Config, volume: Ref) -> Ref | None:
    fine = [plex.ref for plex in rules.mirrors_of(config, volume) if rules.can_convert(config, plex.ref) is None]
    return fine[-1] if fine else None


def plex_text(config: Config, plex: Plex) -> str:
    """`ev-02, snap ready, 2.0 GiB, on Harddisk4`."""
    disks = dict.fromkeys(config.disk(subdisk.disk).name for subdisk in config.subdisks_of(plex.ref))
    on = f"on {rules.listed(disks)}" if disks else "on no disk"
    return f"{plex.name}, {plex_words(plex).lower()}, {format_size(plex.length)}, {on}"


def _build(volume: Ref, config: Config, answers: Answers) -> PrepareSnapshot:
    if _converts(config, answers):
        return PrepareSnapshot(volume=volume, plex=answers["plex"])
    return PrepareSnapshot(volume=volume, disks=choices.chosen_disks(config, answers), force=answers["share"])


# --- abort ---
def abort_snapshot(config: Config, selection: Selection) -> Form:
    """Snap plexes that are not wanted any more; those of the picked volumes are selected already."""
    volumes = tuple(volume.ref for volume in selection.volumes)
    picked = [plex.ref for plex in selection.of(Plex) if plex.snap is not None]
    own = [plex.ref for volume in volumes for plex in rules.snap_plexes_of(config, volume)]
    field = Field(
        "plexes",
        "Snap plexes to abort",
        FieldKind.LISTS,
        default=(),
        options=partial(_snap_plexes, volumes),
        check=lambda _, answers: "" if answers["plexes"] else "Select at least one snap plex.",
        lists=("Snap plexes to keep", "Snap plexes to abort"),
        hint="A mirror that was made for it goes, and its space becomes free. A converted one is a mirror again.",
    )
    sentence = "Decide which snap plexes go. Snapshots that were taken stay; before the next one, Prepare is needed."
    return Form(
        "abort_snapshot",
        "Snap Abort",
        (Page("Snap Abort", sentence, (field,)),),
        lambda _, answers: AbortSnapshot(plexes=tuple(answers["plexes"])),
        verb="Snap Abort",
        about=volumes,
        answers={"plexes": tuple(picked or own)},
    )


def _snap_plexes(volumes: tuple[Ref, ...], config: Config, answers: Answers) -> list[Option]:
    plexes = [plex for volume in volumes for plex in rules.snap_plexes_of(config, volume)]
    return [Option(plex.ref, f"{plex_text(config, plex)}, of {config.volume(plex.volume).name}") for plex in plexes]
