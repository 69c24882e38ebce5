"""Replace Disk, Repair Volume and Undo Hot Relocation: the ways back to a whole volume. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from engine import rules
from engine.commands import RepairVolumes, ReplaceDisk, UndoRelocation
from engine.config import Config
from engine.records import Disk, Kind, Ref, Subdisk, Volume
from engine.units import format_size
from vea_gui.risk import summary
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page

FEW = 8


# --- replace ---
def replace_disk(config: Config, selection: Selection) -> Form:
    """A free LUN in place of a disk that is lost."""
    disk = selection.of(Disk)[0].ref
    fields = (
        Field("what", "Disk to replace", FieldKind.FACT, options=partial(_state_of, disk)),
        Field("touched", "What lies on it", FieldKind.FACT, options=partial(_touched, disk)),
        Field(
            "by",
            "New disk",
            FieldKind.LIST,
            default=partial(_best_lun, disk),
            options=partial(_luns, disk),
            check=partial(_no_lun, disk),
            problems=("disk",),
            hint="It takes the name and the usage of the old disk. What it carries is overwritten.",
        ),
        Field(
            "force",
            "Overwrite what the new disk carries",
            FieldKind.CHECK,
            default=False,
            caption="Foreign data",
            enabled=lambda config, answers: bool(choices.carrying(config, [answers["by"]] if answers["by"] else [])),
            off="Nothing foreign is on the new disk.",
        ),
    )
    sentence = "Decide which LUN takes its place. Everything that lay there is copied anew from what is left."
    page = Page(f"Replace {config.disk(disk).name}", sentence, fields)
    return Form("replace_disk", "Replace Disk", (page,), partial(_build_replace, disk), "Replace Disk", about=(disk,))


def _state_of(disk: Ref, config: Config, _: Answers) -> list[Option]:
    record = config.disk(disk)
    return [Option(disk, f"{record.name}, {format_size(record.size)}, {record.status}")]


def _touched(disk: Ref, config: Config, _: Answers) -> list[Option]:
    return [Option(number, text) for number, text in enumerate(summary(config, disk))]


def _free(config: Config, disk: Ref) -> list[Disk]:
    free = (each for each in config.all(Kind.DISK, Disk) if each.ref != disk and each.present)
    return [each for each in free if rules.disk_can_join(config, each.ref, force=True) is None]


def _luns(disk: Ref, config: Config, _: Answers) -> list[Option]:
    found = []
    for each in _free(config, disk):
        shelf, errors = choices.enclosure_name(config, each), choices.errors_seen(each)
        text = ", ".join(filter(None, (each.name, format_size(each.size), shelf, errors)))
        found.append(
            Option(each.ref, f"{text}, carries: {each.content}" if each.content else text, _small(config, disk, each))
        )
    return found


def _small(config: Config, disk: Ref, lun: Disk) -> str:
    """Only what needs no look at what lies where: the plan knows it exactly."""
    used = sum(subdisk.length for subdisk in config.subdisks_on(disk))
    return f"too small for the {format_size(used)} that lie there" if lun.size < used else ""


def _best_lun(disk: Ref, config: Config, _: Answers) -> Ref | None:
    """The smallest that is as large as the old one and carries nothing; of the same enclosure first. None that has
    failed: one that was replaced stands here, too."""
    old = config.disk(disk)
    fits = [each for each in _free(config, disk) if not each.failing and not _small(config, disk, each)]
    order = sorted(
        fits, key=lambda each: (bool(each.content), each.size < old.size, each.enclosure != old.enclosure, each.size)
    )
    return order[0].ref if order else None


def _no_lun(disk: Ref, config: Config, answers: Answers) -> str:
    if not _free(config, disk):
        if not config.subdisks_on(disk):
            return "No LUN is free. Add a LUN or, as nothing lies on this disk, remove it from its disk group."
        return "No LUN is free. Add a LUN, or choose Repair Volume, which uses the free space of other disks."
    return "" if answers["by"] is not None else "Choose the LUN that takes its place."


def _build_replace(disk: Ref, config: Config, answers: Answers) -> ReplaceDisk:
    force = bool(answers["force"] and choices.carrying(config, [answers["by"]]))
    return ReplaceDisk(disk=disk, by=answers["by"], force=force)


# --- repair ---
def repair_volume(config: Config, selection: Selection) -> Form:
    """New places for what is lost, and fresh copies of what is out of date."""
    volumes = tuple(volume.ref for volume in selection.of(Volume))
    one = len(volumes) == 1
    fields = (
        Field("what", "Volume" if one else "Volumes", FieldKind.FACT, options=partial(_volumes, volumes)),
        Field("lost", "Lost", FieldKind.FACT, options=partial(_lost, volumes)),
        choices.way_field("Automatic selection takes spare disks first, then free space of other disks."),
        choices.disks_field(
            lambda config, _: choices.disks_of_group(config, config.volume(volumes[0]).group), hides=True
        ),
    )
    sentence = "Decide where what is lost gets a new place. The volume stays online."
    page = Page("Repair Volume", sentence, fields)
    return Form("repair_volume", "Repair Volume", (page,), partial(_build_repair, volumes), "Repair", about=volumes)


def _volumes(volumes: tuple[Ref, ...], config: Config, _: Answers) -> list[Option]:
    shown = [Option(ref, choices.volume_text(config.volume(ref))) for ref in volumes[:FEW]]
    return [*shown, Option("", f"and {len(volumes) - FEW} more")] if len(volumes) > FEW else shown


def _lost(volumes: tuple[Ref, ...], config: Config, _: Answers) -> list[Option]:
    """The pieces on lost disks, disk by disk; those that only are out of date lie where they are."""
    by_disk: dict[Ref, list[Subdisk]] = {}
    for volume in volumes:
        for plex in config.plexes_of(volume):
            for piece in rules.lost_pieces(config, plex.ref):
                by_disk.setdefault(piece.disk, []).append(piece)
    if not by_disk:
        return [Option("", "no disk; what is out of date is copied anew where it lies")]
    return [Option(ref, _on_disk(config.disk(ref), pieces)) for ref, pieces in by_disk.items()]


def _on_disk(disk: Disk, pieces: list[Subdisk]) -> str:
    length = format_size(sum(piece.length for piece in pieces))
    return f"{rules.counted(len(pieces), 'subdisk')} with {length} on {disk.name} ({str(disk.status).lower()})"


def _build_repair(volumes: tuple[Ref, ...], config: Config, answers: Answers) -> RepairVolumes:
    return RepairVolumes(volumes=volumes, disks=choices.chosen_disks(config, answers))


# --- undo hot relocation ---
def undo_relocation(config: Config, selection: Selection) -> Form:
    """What was taken away from a disk comes home."""
    disk = selection.of(Disk)[0].ref
    fields = (
        Field("what", "Disk", FieldKind.FACT, options=partial(_state_of, disk)),
        Field("away", "Relocated from it", FieldKind.FACT, options=partial(_relocated, disk)),
    )
    sentence = "Everything that was relocated from this disk moves back to it. The volumes stay online."
    page = Page(f"Undo Hot Relocation to {config.disk(disk).name}", sentence, fields)
    build: Callable[[Config, Answers], UndoRelocation] = lambda *_: UndoRelocation(disk=disk)  # noqa: E731
    return Form("undo_relocation", "Undo Hot Relocation", (page,), build, "Move Back", about=(disk,))


def _relocated(disk: Ref, config: Config, _: Answers) -> list[Option]:
    found = rules.relocated(config, disk)
    shown = [
        Option(
            sd.ref,
            f"{sd.name} of {config.volume_of(sd).name}, {format_size(sd.length)}, now on {config.disk(sd.disk).name}",
        )
        for sd in found[:FEW]
    ]
    return (
        [*shown, Option("", f"and {len(found) - FEW} more")] if len(found) > FEW else shown or [Option("", "nothing")]
    )
