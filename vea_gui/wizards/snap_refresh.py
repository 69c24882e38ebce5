"""Refresh: snapshots are brought to this instant, under their names."""

from __future__ import annotations

from functools import partial

from engine import rules
from engine.commands import RefreshSnapshots
from engine.config import Config
from engine.records import Quiesce, Ref
from vea_gui import snap_words
from vea_gui.selection import Selection
from vea_gui.wizards.form import Answers, Form, Page
from vea_gui.wizards.snap_back import force_field, going, snapshots_of, which_fields
from vea_gui.wizards.snap_quiesce import limit_of, quiesce_fields

SENTENCE = (
    "The snapshots get the data that their volumes have now. Until that is copied there is none. A file that describes "
    "the set is out of date afterwards."
)


def refresh_snapshots(config: Config, selection: Selection) -> Form:
    """On snapshots; on an original, of which one of its snapshots is chosen."""
    refs, fixed = snapshots_of(config, selection)
    fields = (
        *which_fields(refs, fixed),
        *quiesce_fields(partial(_originals, fixed)),
        force_field(
            partial(_used, fixed),
            "No client is connected to the snapshots.",
            "The connections to the snapshots end at once.",
        ),
    )
    return Form(
        "refresh_snapshots",
        "Refresh",
        (Page("Refresh", SENTENCE, fields),),
        partial(_build, fixed),
        verb="Refresh",
        about=fixed,
    )


def _originals(fixed: tuple[Ref, ...], config: Config, answers: Answers) -> list[Ref]:
    found = (snap_words.original_of(config, config.volume(ref)) for ref in going(fixed, config, answers))
    return [volume.ref for volume in found if volume is not None]


def _used(fixed: tuple[Ref, ...], config: Config, answers: Answers) -> bool:
    return any(rules.in_use_by_clients(config, ref) is not None for ref in going(fixed, config, answers))


def _build(fixed: tuple[Ref, ...], config: Config, answers: Answers) -> RefreshSnapshots:
    refs = going(fixed, config, answers)
    link = snap_words.link_of(config.get(refs[0])) if refs else None
    return RefreshSnapshots(
        snapshots=refs,
        force=bool(answers["force"]) and _used(fixed, config, answers),
        quiesce=Quiesce(answers["quiesce"]),
        limit_s=limit_of(config, answers),
        set_name=link.set_name if link is not None else "",
    )
