"""Restore Configuration: which saved configuration of a disk group comes back."""

from __future__ import annotations

from functools import partial

from engine import rules
from engine.commands import RestoreConfiguration
from engine.config import Config
from engine.records import Backup, Kind, Ref
from vea_gui import moments
from vea_gui.selection import Selection
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page


def backups_of(config: Config, group: Ref) -> list[Backup]:
    """The backups of a group, the newest first."""
    found = [backup for backup in config.all(Kind.BACKUP, Backup) if backup.group == group]
    return sorted(found, key=lambda backup: -backup.number)


def restore_configuration(config: Config, selection: Selection) -> Form:
    """The plan below tells what would come back."""
    picked = next(iter(selection.of(Backup)), None)
    group = picked.group if picked is not None else selection.group.ref if selection.group is not None else None
    backups = backups_of(config, group) if group is not None else []
    first = picked or next(iter(backups), None)
    fields = (
        Field("group", "Group name", FieldKind.FACT, options=partial(_name, group)),
        Field(
            "backup",
            "Backups",
            FieldKind.LIST,
            default=first.ref if first is not None else None,
            options=partial(_options, group),
            check=lambda _, answers: "" if answers["backup"] else "No configuration of this disk group was saved yet.",
            hint="A configuration is saved before what destroys something, and before other changes once a minute. "
            "Control Panel decides how many are kept.",
        ),
    )
    page = Page(
        "Restore Configuration",
        "Decide which saved configuration comes back. Nothing that is there now is taken away, and no data is copied.",
        fields,
    )
    about = (group,) if group is not None else ()
    build = partial(_build, group)
    return Form("restore_configuration", "Restore Configuration", (page,), build, about=about)


def _name(group: Ref | None, config: Config, answers: Answers) -> list[Option]:
    record = config.get(group)
    return [Option(group, record.name)] if record is not None else []


def _options(group: Ref | None, config: Config, answers: Answers) -> list[Option]:
    return [Option(backup.ref, _text(backup)) for backup in backups_of(config, group)] if group is not None else []


def _text(backup: Backup) -> str:
    when = moments.moment(backup.time)
    volumes, disks = rules.counted(backup.volumes, "volume"), rules.counted(backup.disks, "disk")
    return f"{backup.number}, {when}, {volumes} on {disks}, before: {backup.reason}"


def _build(group: Ref | None, config: Config, answers: Answers) -> RestoreConfiguration:
    assert group is not None
    return RestoreConfiguration(group=group, backup=answers["backup"])
