"""Add Column: where one more column of a striped volume goes."""

from __future__ import annotations

from functools import partial

from engine.commands import AddColumn
from engine.config import Config
from engine.records import Ref
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Form, Page


def add_column(config: Config, selection: Selection) -> Form:
    """The columns are made anew beside the old ones; the plan says what that takes."""
    volume = selection.volumes[0].ref
    fields = (
        choices.volume_fact(volume),
        choices.way_field("The new column goes to a disk without any part of the volume."),
        choices.disks_field(lambda config, _: choices.disks_of_group(config, config.volume(volume).group)),
    )
    page = Page(
        "Add Column",
        "Decide where the new column goes. The volume stays online; its data is copied to the wider stripe.",
        fields,
    )
    return Form("add_column", "Add Column", (page,), partial(_build, volume), verb="Add Column", about=(volume,))


def _build(volume: Ref, config: Config, answers: Answers) -> AddColumn:
    return AddColumn(volume=volume, disks=choices.chosen_disks(config, answers))
