"""New Dynamic Disk Group wizard, Add Disk, Import."""

from __future__ import annotations

from engine import rules
from engine.commands import AddDisks, CreateGroup, ImportGroup
from engine.config import Config
from engine.records import Disk, Group, GroupState, Kind, Ref
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page

WELCOME = """This wizard makes a dynamic disk group: disks that hold volumes together, and that are imported and \
deported as one.

You name the group and choose its disks. What stands on them is overwritten: a disk that carries data is \
taken only when you say so."""
FORCE = "Overwrite the data on these disks"


def new_group(config: Config, selection: Selection) -> Form:
    """Picked disks of no group are preselected."""
    start = {"disks": _joinable(config, selection)}
    fields = (
        Field("name", "Group name", FieldKind.TEXT, default=_default_name, check=_name_complaint),
        _disk_field(),
        *_force_fields(),
    )
    sentence = "Decide the name of the group and the disks that it begins with."
    page = Page("Name and Disks", sentence, fields)
    title = "New Dynamic Disk Group"
    return Form("new_group", title, (page,), _build_group, welcome=WELCOME, wizard=True, answers=start)


def _joinable(config: Config, selection: Selection) -> tuple[Ref, ...]:
    allowed = {option.value for option in choices.joinable_disks(config) if not option.why_not}
    return tuple(disk.ref for disk in selection.of(Disk) if disk.ref in allowed)


def _default_name(config: Config, answers: Answers) -> str:
    return rules.next_name("dg", {group.name for group in config.all(Kind.GROUP, Group)})


def _name_complaint(config: Config, answers: Answers) -> str:
    return choices.name_complaint(config, Kind.GROUP, answers["name"], None)


def _disk_field() -> Field:
    return choices.disks_field(lambda config, _: choices.joinable_disks(config), lambda *_: True)


def _force_fields() -> tuple[Field, ...]:
    return (
        Field("carried", "", FieldKind.FACT, options=_carried, enabled=_any_carried, hides=True),
        Field("force", FORCE, FieldKind.CHECK, default=False, enabled=_any_carried, hides=True, check=_force_complaint),
    )


def _any_carried(config: Config, answers: Answers) -> bool:
    return bool(choices.carrying(config, answers["disks"]))


def _carried(config: Config, answers: Answers) -> list[Option]:
    return [
        Option(disk.ref, f"{disk.name} carries: {disk.content}") for disk in choices.carrying(config, answers["disks"])
    ]


def _force_complaint(config: Config, answers: Answers) -> str:
    return "" if answers["force"] else f"Tick “{FORCE}”, or take these disks off the list."


def _forced(config: Config, answers: Answers) -> bool:
    return bool(answers["force"]) and _any_carried(config, answers)


def _build_group(config: Config, answers: Answers) -> CreateGroup:
    return CreateGroup(name=answers["name"], disks=tuple(answers["disks"]), force=_forced(config, answers))


def add_disk(config: Config, selection: Selection) -> Form:
    """More disks for a group."""
    usable = {group.ref for group in choices.imported_groups(config)}
    picked = selection.group
    group = picked.ref if picked is not None and picked.ref in usable else choices.roomiest(config)
    start = {"group": group, "disks": _joinable(config, selection)}
    fields = (
        choices.group_field(),
        _disk_field(),
        *_force_fields(),
    )
    page = Page("Add Disk to Dynamic Disk Group", "Decide which disks the group gets.", fields)
    return Form("add_disk", "Add Disk to Dynamic Disk Group", (page,), _build_add, answers=start)


def _build_add(config: Config, answers: Answers) -> AddDisks:
    return AddDisks(group=answers["group"], disks=tuple(answers["disks"]), force=_forced(config, answers))


# --- import ---
def import_group(config: Config, selection: Selection) -> Form:
    """Take a group that no host has imported, or take it away from one."""
    waiting = [group for group in config.all(Kind.GROUP, Group) if group.state is not GroupState.IMPORTED]
    picked = next((group for group in selection.of(Group) if group in waiting), None)
    first = picked or next(iter(waiting), None)
    fields = (
        Field(
            "group",
            "Group name",
            FieldKind.COMBO,
            options=_importable,
            check=lambda _, answers: "" if answers["group"] else "Every disk group that was found is imported.",
        ),
        Field(
            "facts", "Found", FieldKind.FACT, options=_import_facts, enabled=lambda _, a: bool(a["group"]), hides=True
        ),
        Field("new_name", "New name", FieldKind.TEXT, default="", hint="Empty keeps the name that the group has."),
        Field(
            "clear",
            "Clear host ID",
            FieldKind.CHECK,
            default=False,
            caption="Options",
            hint="Takes the group although its disks name another host. Only when that host does not use it any more: "
            "two hosts that write to one group destroy it.",
        ),
        Field(
            "force",
            "Force import",
            FieldKind.CHECK,
            default=False,
            hint="Imports with fewer configuration copies than a majority. Disks that are missing may hold newer data.",
        ),
    )
    page = Page("Import Dynamic Disk Group", "Decide which group this host takes, and under which name.", fields)
    start = {"group": first.ref if first is not None else None}
    return Form("import_group", "Import Dynamic Disk Group", (page,), _build_import, answers=start)


def _importable(config: Config, answers: Answers) -> list[Option]:
    groups = config.all(Kind.GROUP, Group)
    return [Option(group.ref, group.name) for group in groups if group.state is not GroupState.IMPORTED]


def _import_facts(config: Config, answers: Answers) -> list[Option]:
    group = config.get(answers["group"])
    if not isinstance(group, Group):
        return []
    missing = [disk.name for disk in config.disks_of(group.ref) if not disk.present]
    owner = f"imported by {group.owner}" if group.owner else "imported by no host"
    facts = [Option("state", f"{group.state}, {owner}")]
    facts.append(Option("disks", f"{rules.counted(group.disks, 'disk')}, {rules.counted(group.volumes, 'volume')}"))
    return [*facts, Option("missing", f"missing: {rules.listed(missing)}")] if missing else facts


def _build_import(config: Config, answers: Answers) -> ImportGroup:
    return ImportGroup(
        group=answers["group"], clear=answers["clear"], force=answers["force"], new_name=answers["new_name"].strip()
    )
