"""Change Drive Letter and Path, and Format: what makes a volume usable on its host."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from engine import rules
from engine.commands import ChangeDrive, FormatVolume
from engine.config import Config
from engine.records import Ref
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.file_system import content_options
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page

NONE = ""


def change_drive(config: Config, selection: Selection) -> Form:
    """Other names of a volume on its host; both may be none."""
    volume = selection.volumes[0].ref
    record = config.volume(volume)
    fields = (
        choices.volume_fact(volume),
        Field("shown", "Shown now", FieldKind.FACT, options=partial(_shown, volume)),
        letter_field(record.drive_letter, volume),
        path_field(record.drive_path, volume),
        Field(
            "force",
            "Cut off who uses the drive",
            FieldKind.CHECK,
            default=False,
            enabled=lambda config, _: bool(config.volume(volume).drive_users),
            hides=True,
            caption="Options",
            hint="Programs that have its block file or its folder open fail from then on.",
        ),
    )
    page = Page(
        "Change Drive Letter and Path",
        "Both are names of the volume on this host. Its file system is mounted in the folder.",
        fields,
    )
    build = partial(_change, volume)
    return Form("change_drive", "Change Drive Letter and Path", (page,), build, verb="Change", about=(volume,))


def letter_field(default: str, own: Ref | None = None) -> Field:
    """A drive letter, or none; what another volume has says whose it is."""
    return Field(
        "letter",
        "Drive letter",
        FieldKind.COMBO,
        default=default,
        options=partial(_letters, own),
        check=partial(_letter_complaint, own),
        hint="The volume is shown as a block file under this letter.",
    )


def path_field(default: str, own: Ref | None = None) -> Field:
    """An empty folder of the host, or none."""
    return Field(
        "path",
        "Mount in the folder",
        FieldKind.TEXT,
        default=default,
        check=partial(_path_complaint, own),
        hint="An empty folder of the engine's host, in full, such as /srv/mail. Empty: it is not mounted.",
        sample="not mounted, or as in: /srv/mail",
    )


def _letters(own: Ref | None, config: Config, answers: Answers) -> list[Option]:
    options = [Option(NONE, "No drive letter")]
    for letter in rules.LETTERS:
        holder = rules.holder_of(config, letter, own)
        options.append(Option(letter, f"{letter}:", f"that of {holder.name}" if holder is not None else ""))
    return options


def _letter_complaint(own: Ref | None, config: Config, answers: Answers) -> str:
    letter = answers["letter"]
    return choices.sentence(rules.letter_free(config, letter, own)) if letter else ""


def _path_complaint(own: Ref | None, config: Config, answers: Answers) -> str:
    path = answers["path"]
    if not path:
        return ""
    return choices.sentence(rules.path_ok(path) or rules.path_unused(config, path, own))


def _shown(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    record = config.volume(volume)
    places = [record.drive, f"mounted in {record.mounted}" if record.mounted else "", record.drive_note]
    return [Option(NONE, ", ".join(filter(None, places)) or "as its export only")]


def _change(volume: Ref, config: Config, answers: Answers) -> ChangeDrive:
    return ChangeDrive(volume=volume, letter=answers["letter"], path=answers["path"], force=bool(answers["force"]))


# --- format ---
def format_volume(config: Config, selection: Selection) -> Form:
    """What stands on the volume is looked at when the plan is asked for."""
    volume = selection.volumes[0].ref
    fields = (
        choices.volume_fact(volume),
        Field("content", "Carries now", FieldKind.FACT, options=partial(content_options, volume)),
        *format_fields(),
        Field(
            "force",
            "Destroy what stands there",
            FieldKind.CHECK,
            default=False,
            enabled=lambda config, _: bool(config.volume(volume).content),
            hides=True,
            caption="Options",
            hint="It cannot be had back.",
        ),
    )
    page = Page(
        "Format", "An empty file system is made on the volume by this host, while nobody uses the volume.", fields
    )
    return Form("format_volume", "Format", (page,), partial(_format, volume), verb="Format", about=(volume,))


def file_systems(config: Config) -> list[Option]:
    """All that are known; those that the host can't make say what is missing."""
    return [Option(kind, kind, choices.short(rules.can_make(config, kind))) for kind in rules.FILE_SYSTEMS]


def _first_file_system(config: Config, answers: Answers) -> str:
    return next((option.value for option in file_systems(config) if not option.why_not), "ext4")


def _label_complaint(config: Config, answers: Answers) -> str:
    return choices.sentence(rules.label_problem(answers["file_system"], answers["label"]))


def _format(volume: Ref, config: Config, answers: Answers) -> FormatVolume:
    return FormatVolume(
        volume=volume,
        file_system=answers["file_system"],
        label=answers["label"],
        quick=bool(answers["quick"]),
        force=bool(answers["force"]),
    )


def format_fields(
    enabled: Callable[[Config, Answers], bool] = lambda config, answers: True, off: str = ""
) -> tuple[Field, ...]:
    """Which file system, its label, and how thoroughly; while not `enabled` they say `off`."""
    return (
        Field(
            "file_system",
            "File system",
            FieldKind.CHOICE,
            default=_first_file_system,
            options=lambda config, _: file_systems(config),
            check=lambda config, answers: choices.sentence(rules.can_make(config, answers["file_system"])),
            enabled=enabled,
            off=off,
        ),
        Field(
            "label",
            "File system label",
            FieldKind.TEXT,
            default="",
            sample="none",
            check=_label_complaint,
            enabled=enabled,
            off=off,
        ),
        Field(
            "quick",
            "Perform a quick format",
            FieldKind.CHECK,
            default=True,
            caption="Extent",
            hint="Otherwise every byte of the volume is zeroed first.",
            enabled=enabled,
            off=off,
        ),
    )


# --- as pages of New Volume ---
def drive_page() -> Page:
    """Under which letter, and in which folder, a new volume is found on its host."""
    return Page(
        "Drive Letter and Path",
        "Decide how programs of the engine's host find the volume, beside its export. Neither is needed by guests.",
        (letter_field(NONE), path_field(NONE)),
    )


def format_page() -> Page:
    """Whether a new volume gets a file system at once."""
    tick = Field(
        "formats",
        "Format this volume",
        FieldKind.CHECK,
        default=False,
        caption="File system info",
        hint="Guests make their own file systems: leave it off for them.",
    )
    fields = format_fields(lambda _, answers: bool(answers["formats"]), "Choose Format this volume for it.")
    return Page("Format", "Decide whether an empty file system is made once the volume is there.", (tick, *fields))


def asked(answers: Answers) -> dict[str, Any]:
    """What both pages have to say in a Create Volume."""
    drive = {"letter": answers["letter"], "path": answers["path"]}
    if not answers["formats"]:
        return drive
    made = {"file_system": answers["file_system"], "label": answers["label"], "quick": bool(answers["quick"])}
    return {**drive, **made}
