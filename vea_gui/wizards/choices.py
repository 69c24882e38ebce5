"""What can be chosen in forms: groups and disks in words, with the reason why one cannot; the fields for it. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from engine import rules
from engine.config import Config
from engine.plans import Problem
from engine.records import Disk, Enclosure, Group, GroupState, Kind, Ref, Volume
from engine.units import format_size
from vea_gui.block_names import USAGE_WORDS
from vea_gui.wizards.form import Answers, Field, FieldKind, Option

AUTO, MANUAL = "auto", "manual"


def sentence(problem: Problem | None) -> str:
    """A problem as one line; empty when there is none."""
    return problem.sentences if problem is not None else ""


def short(problem: Problem | None) -> str:
    """Only what is wrong, without the full stop: to stand in brackets."""
    return problem.text.rstrip(".") if problem is not None else ""


def imported_groups(config: Config) -> list[Group]:
    """Groups that can be changed now."""
    groups = config.all(Kind.GROUP, Group)
    return [group for group in groups if rules.needs_imported(config, group.ref) is None]


def group_options(config: Config) -> list[Option]:
    """Groups by name, with what is free in them."""
    return [
        Option(group.ref, f"{group.name} ({format_size(group.free)} free on {rules.counted(group.disks, 'disk')})")
        for group in imported_groups(config)
    ]


def roomiest(config: Config) -> Ref | None:
    """The group with the most free space."""
    groups = imported_groups(config)
    return max(groups, key=lambda group: group.free).ref if groups else None


def enclosure_name(config: Config, disk: Disk) -> str:
    """The name of the enclosure that a disk is in."""
    shelf = config.get(disk.enclosure)
    return shelf.name if isinstance(shelf, Enclosure) else ""


def disk_text(config: Config, disk: Disk) -> str:
    """`Harddisk3, 1.2 GiB free of 2.0 GiB, lab0, spare`."""
    usage = USAGE_WORDS[disk.usage]
    room = f"{format_size(disk.free)} free of {format_size(disk.size)}"
    return ", ".join(filter(None, (disk.name, room, enclosure_name(config, disk), usage, errors_seen(disk))))


def errors_seen(disk: Disk) -> str:
    """What is said beside the name of a disk that has failed; also in no group it is the same disk."""
    return "I/O errors seen" if disk.failing else ""


def disks_of_group(config: Config, group: Ref | None) -> list[Option]:
    """The disks of a group as places for new pieces."""
    if group is None or group not in config:
        return []
    return [Option(disk.ref, disk_text(config, disk), _no_place(config, disk)) for disk in config.disks_of(group)]


def _no_place(config: Config, disk: Disk) -> str:
    if not disk.present:
        return "missing"
    return "" if disk.free else "full"


def joinable_disks(config: Config) -> list[Option]:
    """Disks outside of groups; one that carries foreign data says which."""
    found = []
    for disk in config.all(Kind.DISK, Disk):
        owner = config.get(disk.group)
        if isinstance(owner, Group) and owner.state is GroupState.IMPORTED:
            continue
        parts = (disk.name, format_size(disk.size), enclosure_name(config, disk), errors_seen(disk))
        text = ", ".join(filter(None, parts))
        text = f"{text}, carries: {disk.content}" if disk.content else text
        found.append(Option(disk.ref, text, short(rules.disk_can_join(config, disk.ref, force=True))))
    return found


def carrying(config: Config, disks: Iterable[Ref]) -> list[Disk]:
    """Those of the disks that carry somebody else's data."""
    records = (config.get(ref) for ref in disks)
    return [disk for disk in records if isinstance(disk, Disk) and disk.content]


def volume_text(volume: Volume) -> str:
    """`ev, Mirrored, 2.0 GiB, Healthy`."""
    return f"{volume.name}, {volume.layout}, {format_size(volume.size)}, {volume.status}"


def volume_fact(volume: Ref) -> Field:
    """The line that says which volume a dialog is about."""

    def text(config: Config, _: Answers) -> list[Option]:
        return [Option(volume, volume_text(config.volume(volume)))]

    return Field("what", "Volume", FieldKind.FACT, options=text)


def group_field(hint: str = "") -> Field:
    """Which group; only one that can be changed now."""
    return Field(
        "group",
        "Group name",
        FieldKind.COMBO,
        options=lambda config, _: group_options(config),
        check=lambda _, answers: "" if answers["group"] else "There is no imported disk group.",
        hint=hint,
    )


def way_field(hint: str = "", shown: Callable[[Config, Answers], bool] | None = None) -> Field:
    """Who chooses the disks: the engine or the operator. With `shown` it is there only while somebody has to."""
    ways = [Option(AUTO, "Auto select disks"), Option(MANUAL, "Manually select disks")]
    field = Field("choice", "Disks", FieldKind.CHOICE, default=AUTO, options=lambda *_: ways, hint=hint)
    return field if shown is None else replace(field, enabled=shown, hides=True)


def manual(_: Config, answers: Answers) -> bool:
    """Whether the operator chooses the disks."""
    return bool(answers["choice"] == MANUAL)


def disks_field(
    options: Callable[[Config, Answers], list[Option]],
    enabled: Callable[[Config, Answers], bool] = manual,
    *,
    hides: bool = False,
) -> Field:
    """The disks, one at least, out of those that can be had."""
    return Field(
        "disks",
        "Selected disks",
        FieldKind.LISTS,
        default=(),
        options=options,
        enabled=enabled,
        off="The engine chooses the disks. Choose manual selection to name them.",
        hides=hides,
        check=lambda _, answers: "" if answers["disks"] else "Select at least one disk.",
        lists=("Available disks", "Selected disks"),
    )


def chosen_disks(config: Config, answers: Answers) -> tuple[Ref, ...]:
    """The disks for a command; none when the engine chooses."""
    return tuple(answers["disks"]) if manual(config, answers) else ()


def name_complaint(config: Config, kind: Kind, name: str, group: Ref | None) -> str:
    """Why a name cannot be taken."""
    return sentence(rules.name_ok(name) or rules.name_free(config, kind, name, group))
