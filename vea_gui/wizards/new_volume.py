"""New Volume wizard."""

from __future__ import annotations

from engine import rules
from engine.allocate import max_size
from engine.commands import CreateVolume, LogType
from engine.config import Config
from engine.records import Disk, Group, Kind, Ref
from engine.units import ALLOCATION_UNIT, GIB, MIB, align_down
from vea_gui.selection import Selection
from vea_gui.wizards import choices, drives, stripes
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Page

USUAL_SIZE = GIB
WELCOME = """This wizard makes a volume: space on the disks of a disk group that virtual machines and file systems \
can use at once.

You choose the disks or leave that to the engine, then name, size and layout, and how the engine's host shows it. The \
last page shows what will happen on \
which disk. Nothing is changed before you choose Finish there."""


def new_volume(config: Config, selection: Selection) -> Form:
    """What is picked is preselected: the group, disks, or a stretch of free space."""
    group = selection.group
    usable = group is not None and rules.needs_imported(config, group.ref) is None
    start: dict[str, object] = {"group": group.ref if usable and group else choices.roomiest(config)}
    disks = [disk.ref for disk in selection.disks if usable and disk.group == start["group"] and disk.free]
    if disks:
        start |= {"choice": choices.MANUAL, "disks": tuple(disks)}
    if selection.free:
        size = align_down(sum(space.length for space in selection.free), ALLOCATION_UNIT)
        start["size"] = size or USUAL_SIZE
    pages = (_disk_page(), _attribute_page(), drives.drive_page(), drives.format_page())
    return Form("new_volume", "New Volume", pages, build, welcome=WELCOME, wizard=True, answers=start)


def _disk_page() -> Page:
    return Page(
        "Assign Disks",
        "Decide which disk group, and which of its disks, the volume takes its space from.",
        (
            choices.group_field("Every part of a volume lies in one disk group."),
            choices.way_field(
                "Automatic selection never puts two mirrors or two columns on one disk, and leaves spare, reserved and "
                "failing disks alone."
            ),
            choices.disks_field(lambda config, answers: choices.disks_of_group(config, answers["group"])),
        ),
    )


def _attribute_page() -> Page:
    return Page(
        "Volume Attributes",
        "Decide name, size and layout. Mirrors and RAID-5 keep data when a disk fails; stripes spread it over disks.",
        (
            Field("name", "Volume name", FieldKind.TEXT, default=_default_name, check=_name_complaint),
            Field(
                "size",
                "Size",
                FieldKind.SIZE,
                default=_default_size,
                check=lambda _, answers: "" if answers["size"] else "Give a size of at least 1 MiB.",
                maximum=_largest,
                hint="What clients will see. It is rounded up to whole mebibytes, of RAID-5 also to whole rows.",
            ),
            *stripes.fields(parity=True),
            Field(
                "mirrored",
                "Mirrored",
                FieldKind.CHECK,
                default=False,
                caption="Mirror info",
                enabled=lambda _, answers: not stripes.is_parity(answers),
                off="A RAID-5 volume has no mirrors: its parity stands for a column that is lost.",
            ),
            Field(
                "mirrors",
                "Total mirrors",
                FieldKind.NUMBER,
                default=2,
                lowest=2,
                highest=rules.MIRRORS_MAX,
                enabled=_mirrored,
                off="The volume has one copy. Choose Mirrored for more.",
                hint="Complete copies of the data, the first one included.",
            ),
            Field(
                "across_enclosures",
                "Enclosure",
                FieldKind.CHECK,
                default=False,
                caption="Mirror across",
                enabled=_mirrored,
                off="The volume has one copy. Choose Mirrored for more.",
                hint="Each mirror lies in an enclosure of its own, so that one can fail as a whole.",
            ),
            Field(
                "logging",
                "Enable logging",
                FieldKind.CHECK,
                default=True,
                caption="Log",
                enabled=_redundant,
                off="Only mirrored and RAID-5 volumes have a log.",
                problems=("log",),
                hint="After a crash only what was being written is made whole, and not the whole volume.",
            ),
        ),
    )


def _mirrored(_: Config, answers: Answers) -> bool:
    return bool(answers["mirrored"]) and not stripes.is_parity(answers)


def _redundant(config: Config, answers: Answers) -> bool:
    return _mirrored(config, answers) or stripes.is_parity(answers)


def _default_name(config: Config, answers: Answers) -> str:
    group = config.get(answers["group"])
    taken = {volume.name for volume in config.volumes_of(group.ref)} if group is not None else ()
    return rules.next_name("Volume", taken)


def _name_complaint(config: Config, answers: Answers) -> str:
    if answers["group"] not in config:
        return ""
    return choices.name_complaint(config, Kind.VOLUME, answers["name"], answers["group"])


def _default_size(config: Config, answers: Answers) -> int:
    """The usual size, or what the largest free region of the chosen disks holds when that is less."""
    group: Ref | None = answers["group"]
    if group is None or group not in config:
        return USUAL_SIZE
    chosen = set(answers["disks"]) if choices.manual(config, answers) else None
    disks: list[Disk] = [disk for disk in config.disks_of(group) if chosen is None or disk.ref in chosen]
    room = align_down(max((disk.largest_free for disk in disks), default=0), ALLOCATION_UNIT)
    return min(USUAL_SIZE, room) or 100 * MIB


def _largest(config: Config, answers: Answers) -> int:
    if not isinstance(config.get(answers["group"]), Group):
        return 0
    return max_size(config, build(config, answers))


def build(config: Config, answers: Answers) -> CreateVolume:
    """The command."""
    mirrored = _mirrored(config, answers)
    return CreateVolume(
        group=answers["group"],
        size=answers["size"],
        name=answers["name"],
        **stripes.asked(answers),
        raid5=stripes.is_parity(answers),
        log=LogType.DEFAULT if answers["logging"] or not _redundant(config, answers) else LogType.NONE,
        mirrors=answers["mirrors"] if mirrored else 1,
        disks=choices.chosen_disks(config, answers),
        across_enclosures=mirrored and answers["across_enclosures"],
        **drives.asked(answers),
    )
