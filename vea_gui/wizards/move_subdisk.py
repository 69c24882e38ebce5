"""Move Subdisk and Evacuate Disk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from engine import rules
from engine.commands import EvacuateDisk, Move, MoveSubdisks, Target
from engine.config import Config
from engine.records import Disk, Ref, Subdisk
from engine.units import MIB, format_size
from vea_gui.block_names import block_label
from vea_gui.risk import summary
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page

DROPPED = "dropped"
AUTO_TEXT, MANUAL_TEXT = "Auto select destination disks", "Manually select destination disks"
SENTENCE = "Decide where the data goes. It stays readable and writable while it moves."
MOST_SINGLY = 8
"""More subdisks than this go to one destination, or wherever the engine puts them."""


def move_subdisk(config: Config, selection: Selection, moves: Sequence[Move] = ()) -> Form:
    """`moves` are what a drag has decided already."""
    subdisks = tuple(subdisk.ref for subdisk in selection.of(Subdisk))
    start = DROPPED if moves else choices.AUTO
    fields = [
        Field(
            "what", "Subdisk" if len(subdisks) == 1 else "Subdisks", FieldKind.FACT, options=partial(_facts, subdisks)
        ),
        Field(
            "choice",
            "Destination",
            FieldKind.CHOICE,
            default=start,
            options=partial(_ways, tuple(moves)),
            problems=("moves", "targets"),
            hint="Automatic selection keeps mirrors and columns on different disks, and may split over free regions.",
        ),
    ]
    fields += _single(subdisks) if len(subdisks) == 1 else _several(config, subdisks)
    build = partial(_build_move, subdisks, tuple(moves))
    page = Page("Move Subdisk" if len(subdisks) == 1 else f"Move {len(subdisks)} Subdisks", SENTENCE, tuple(fields))
    return Form("move_subdisk", "Move Subdisk", (page,), build, about=subdisks)


def _ways(moves: tuple[Move, ...], config: Config, answers: Answers) -> list[Option]:
    ways = [Option(choices.AUTO, AUTO_TEXT), Option(choices.MANUAL, MANUAL_TEXT)]
    return [Option(DROPPED, f"Where it was dropped: {_dropped(config, moves)}"), *ways] if moves else ways


def _dropped(config: Config, moves: tuple[Move, ...]) -> str:
    places = []
    for target in (target for move in moves for target in move.targets):
        disk = config.get(target.disk)
        name = disk.name if disk is not None else "a disk that is gone"
        places.append(f"{name} at {format_size(target.offset)}" if target.offset >= 0 else name)
    return rules.listed(places)


def _facts(subdisks: tuple[Ref, ...], config: Config, answers: Answers) -> list[Option]:
    shown = [Option(ref, _fact(config, config.subdisk(ref))) for ref in subdisks[:MOST_SINGLY]]
    more = len(subdisks) - len(shown)
    return [*shown, Option("", f"and {more} more")] if more else shown


def _fact(config: Config, subdisk: Subdisk) -> str:
    disk = config.disk(subdisk.disk)
    where = ", ".join(filter(None, (disk.name, choices.enclosure_name(config, disk))))
    return f"{subdisk.name}, a piece of {block_label(config, subdisk.ref)}, {format_size(subdisk.length)}, on {where}"


def _single(subdisks: tuple[Ref, ...]) -> list[Field]:
    return [
        Field(
            "disk",
            "Destination disk",
            FieldKind.LIST,
            default=None,
            options=partial(_places, subdisks),
            enabled=choices.manual,
            hides=True,
            check=lambda _, answers: "" if answers["disk"] is not None else "Select a disk.",
        ),
        Field("exact", "At a chosen offset", FieldKind.CHECK, default=False, enabled=choices.manual, hides=True),
        Field(
            "offset",
            "Offset",
            FieldKind.SIZE,
            default=_first_free,
            enabled=lambda config, answers: choices.manual(config, answers) and answers["exact"],
            hides=True,
            hint="From the first byte of the disk, a multiple of 4 KiB.",
        ),
    ]


def _first_free(config: Config, answers: Answers) -> int:
    disk = config.get(answers["disk"])
    free = config.free(disk.ref) if isinstance(disk, Disk) else ()
    return max(free, key=lambda extent: extent.length).start if free else MIB


def _places(subdisks: tuple[Ref, ...], config: Config, answers: Answers) -> list[Option]:
    """Every disk of the group, those that can take the subdisks first."""
    records = [config.subdisk(ref) for ref in subdisks]
    group = config.volume_of(records[0]).group
    here = {record.disk for record in records}
    found = []
    for disk in config.disks_of(group):
        why_not = choices.short(rules.can_take_subdisk(config, records, disk.ref))
        text = choices.disk_text(config, disk)
        found.append(Option(disk.ref, f"{text}, where it is now" if disk.ref in here else text, why_not))
    return sorted(found, key=lambda option: (bool(option.why_not), option.value in here))


def _several(config: Config, subdisks: tuple[Ref, ...]) -> list[Field]:
    """A destination for each of a few; one for all of many."""
    if len(subdisks) > MOST_SINGLY:
        return [_destination("to", "Destination disk", subdisks)]
    names = [config.subdisk(ref).name for ref in subdisks]
    return [_destination(f"to{n}", f"Destination of {names[n]}", (ref,)) for n, ref in enumerate(subdisks)]


def _destination(name: str, label: str, subdisks: tuple[Ref, ...]) -> Field:
    return Field(
        name,
        label,
        FieldKind.COMBO,
        default=None,
        options=lambda config, _: [Option(None, "Automatic"), *_allowed(config, subdisks)],
        enabled=choices.manual,
        hides=True,
    )


def _allowed(config: Config, subdisks: tuple[Ref, ...]) -> list[Option]:
    return [option for option in _places(subdisks, config, {}) if not option.why_not]


def _build_move(subdisks: tuple[Ref, ...], moves: tuple[Move, ...], config: Config, answers: Answers) -> MoveSubdisks:
    if answers["choice"] == DROPPED:
        return MoveSubdisks(moves=moves)
    if answers["choice"] == choices.AUTO:
        return MoveSubdisks(moves=tuple(Move(ref) for ref in subdisks))
    if len(subdisks) == 1:
        offset = answers["offset"] if answers["exact"] else -1
        return MoveSubdisks(moves=(Move(subdisks[0], (Target(answers["disk"], offset),)),))
    names = (
        ["to"] * len(subdisks) if len(subdisks) > MOST_SINGLY else [f"to{number}" for number in range(len(subdisks))]
    )
    return MoveSubdisks(moves=tuple(_one(ref, answers[name]) for ref, name in zip(subdisks, names, strict=True)))


def _one(subdisk: Ref, disk: Ref | None) -> Move:
    return Move(subdisk, (Target(disk),) if disk is not None else ())


# --- evacuate ---
def evacuate_disk(config: Config, selection: Selection) -> Form:
    """Move everything off a disk."""
    disk = selection.one(Disk) or selection.disks[0]
    fields = (
        Field("what", "Disk", FieldKind.FACT, options=partial(_evacuated, disk.ref)),
        Field("risk", "If it fails", FieldKind.FACT, options=partial(_at_risk, disk.ref)),
        Field(
            "choice",
            "Destination",
            FieldKind.CHOICE,
            default=choices.AUTO,
            options=lambda *_: [Option(choices.AUTO, AUTO_TEXT), Option(choices.MANUAL, MANUAL_TEXT)],
        ),
        Field(
            "targets",
            "Selected disks",
            FieldKind.LISTS,
            default=(),
            options=partial(_others, disk.ref),
            enabled=choices.manual,
            hides=True,
            check=lambda _, answers: "" if answers["targets"] else "Select at least one disk.",
            problems=("disks",),
            lists=("Available disks", "Selected disks"),
        ),
    )
    page = Page("Evacuate Disk", "Decide where the subdisks of this disk go. Volumes stay online.", fields)
    return Form("evacuate_disk", "Evacuate Disk", (page,), partial(_build_evacuate, disk.ref), about=(disk.ref,))


def _evacuated(disk: Ref, config: Config, answers: Answers) -> list[Option]:
    subdisks = config.subdisks_on(disk)
    volumes = dict.fromkeys(config.volume_of(subdisk).name for subdisk in subdisks)
    if not subdisks:
        return [Option(disk, f"{config.disk(disk).name} holds nothing")]
    size = format_size(sum(subdisk.length for subdisk in subdisks))
    holds = f"{rules.counted(len(subdisks), 'subdisk')} of {rules.listed(volumes)}, {size}"
    return [Option(disk, f"{config.disk(disk).name} holds {holds}")]


def _at_risk(disk: Ref, config: Config, answers: Answers) -> list[Option]:
    return [Option(disk, sentence) for sentence in summary(config, disk)]


def _others(disk: Ref, config: Config, answers: Answers) -> list[Option]:
    return [option for option in choices.disks_of_group(config, config.disk(disk).group) if option.value != disk]


def _build_evacuate(disk: Ref, config: Config, answers: Answers) -> EvacuateDisk:
    return EvacuateDisk(disk=disk, targets=tuple(answers["targets"]) if choices.manual(config, answers) else ())
