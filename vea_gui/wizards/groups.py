"""New Dynamic Disk Group wizard, Add Disk, Import, Split and Join."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine import rules
from engine.commands import AddDisks, CreateGroup, ImportGroup, JoinGroups, SplitGroup
from engine.config import Config, natural
from engine.records import Disk, Group, GroupState, Kind, Ref, Volume
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
        Field(
            "new_name",
            "New name",
            FieldKind.TEXT,
            default="",
            hint="Empty keeps the name that the group has.",
            sample="as it is",
        ),
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


# --- split and join ---
SPLIT_WELCOME = """This wizard makes disks and volumes of a disk group a group of their own, so that another host can \
import them: a snapshot, say, that is backed up there.

You choose volumes or disks. What shares disks with them has to come along, and is listed before anything is done."""
BY_DISKS, BY_VOLUMES = "disks", "volumes"
EXPAND = "Take along what shares disks with it"
STAYING_SHOWN = 8


def split_group(config: Config, selection: Selection) -> Form:
    """Picked disks or volumes are chosen already, picked snapshots above all."""
    group = selection.group
    imported = {each.ref for each in choices.imported_groups(config)}
    source = group.ref if group is not None and group.ref in imported else choices.roomiest(config)
    disks = tuple(disk.ref for disk in selection.of(Disk) if disk.group == source)
    volumes = tuple(volume.ref for volume in selection.of(Volume) if volume.group == source)
    ways = [Option(BY_VOLUMES, "Split by volumes"), Option(BY_DISKS, "Split by disks")]
    first = (
        choices.group_field(),
        Field("way", "Choose by", FieldKind.CHOICE, default=BY_VOLUMES, options=lambda *_: ways),
        _object_list("volumes", BY_VOLUMES, "volume", _volumes_to_split),
        _object_list("disks", BY_DISKS, "disk", _disks_to_split),
    )
    second = (
        Field("along", "Leaves the group", FieldKind.FACT, options=_leaving_facts),
        Field("stays", "Stays in the group", FieldKind.FACT, options=_staying_facts),
        Field(
            "expand",
            EXPAND,
            FieldKind.CHECK,
            default=False,
            check=_expand_complaint,
            enabled=lambda config, answers: bool(_leaving(config, answers).why),
            hides=True,
            caption="Comes along",
        ),
        Field("name", "Name of the new group", FieldKind.TEXT, default=_default_name, check=_name_complaint),
        Field(
            "imports",
            "Import the new group on this host",
            FieldKind.CHECK,
            default=False,
            caption="Afterwards",
            hint="Else it is left deported, so that another host can import it.",
        ),
    )
    pages = (
        Page("Volumes or Disks", "Decide what leaves the disk group.", first),
        Page("New Disk Group", "See what leaves together, and name the new group.", second),
    )
    way = BY_DISKS if disks and not volumes else BY_VOLUMES
    start = {"group": source, "way": way, "disks": disks, "volumes": volumes}
    title = "Split Dynamic Disk Group"
    return Form("split_group", title, pages, _build_split, welcome=SPLIT_WELCOME, wizard=True, answers=start)


def _object_list(name: str, way: str, what: str, options: Callable[[Config, Answers], list[Option]]) -> Field:
    return Field(
        name,
        f"Selected {what}s",
        FieldKind.LISTS,
        default=(),
        options=options,
        enabled=lambda _, answers: answers["way"] == way,
        hides=True,
        check=lambda _, answers: "" if answers[name] or answers["way"] != way else f"Select at least one {what}.",
        problems=("objects",),
        lists=(f"{what.capitalize()}s that stay", f"{what.capitalize()}s that leave"),
    )


def _volumes_to_split(config: Config, answers: Answers) -> list[Option]:
    if answers["group"] is None:
        return []
    return [Option(volume.ref, choices.volume_text(volume)) for volume in config.volumes_of(answers["group"])]


def _disks_to_split(config: Config, answers: Answers) -> list[Option]:
    if answers["group"] is None:
        return []
    disks = config.disks_of(answers["group"])
    return [
        Option(disk.ref, choices.disk_text(config, disk), choices.short(rules.disk_sound(config, disk.ref)))
        for disk in disks
    ]


def _objects(answers: Answers) -> tuple[Ref, ...]:
    return tuple(answers["disks"] if answers["way"] == BY_DISKS else answers["volumes"])


def _leaving(config: Config, answers: Answers) -> rules.Closure:
    return rules.closure(config, (ref for ref in _objects(answers) if ref in config))


def _leaving_facts(config: Config, answers: Answers) -> list[Option]:
    leaving = _leaving(config, answers)
    facts = [
        Option("volumes", f"Volumes: {_all_names(config, leaving.volumes)}"),
        Option("disks", f"Disks: {_all_names(config, leaving.disks)}"),
    ]
    return [*facts, *(Option(sentence, sentence) for sentence in leaving.sentences(config))]


def _staying_facts(config: Config, answers: Answers) -> list[Option]:
    group, leaving = answers["group"], _leaving(config, answers)
    if group not in config:
        return []
    volumes = [volume.name for volume in config.volumes_of(group) if volume.ref not in leaving.volumes]
    disks = [disk.name for disk in config.disks_of(group) if disk.ref not in leaving.disks]
    kept = (("Volumes", volumes), ("Disks", disks))
    return [
        Option(what, f"{what}: {rules.listed(sorted(names, key=natural), STAYING_SHOWN)}")
        for what, names in kept
        if names
    ]


def _all_names(config: Config, refs: Iterable[Ref]) -> str:
    """Every name: what leaves is read before it is accepted."""
    names = sorted((config[ref].name for ref in refs), key=natural)
    return rules.listed(names, len(names)) if names else "none"


def _expand_complaint(config: Config, answers: Answers) -> str:
    if answers["expand"] or not _leaving(config, answers).why:
        return ""
    return f"Tick “{EXPAND}”, or go back and choose otherwise."


def _build_split(config: Config, answers: Answers) -> SplitGroup:
    return SplitGroup(
        group=answers["group"],
        name=answers["name"],
        objects=_objects(answers),
        expand=bool(answers["expand"]),
        imports=answers["imports"],
    )


def join_groups(config: Config, selection: Selection) -> Form:
    """The picked group ends; another one takes over all that it has."""
    groups = choices.imported_groups(config)
    picked = next((group for group in selection.of(Group) if group in groups), None)
    source = picked or (groups[-1] if groups else None)
    target = next((group for group in groups if group is not source), None)
    fields = (
        Field(
            "joined",
            "Group to join",
            FieldKind.COMBO,
            options=lambda config, _: choices.group_options(config),
            check=lambda _, answers: "" if answers["joined"] else "There is no imported disk group.",
            hint="It ends. Its volumes are exported under the other group's name.",
        ),
        Field(
            "group",
            "Target group",
            FieldKind.COMBO,
            options=_targets,
            check=lambda _, answers: "" if answers["group"] else "There is no other imported disk group.",
        ),
    )
    sentence = "Decide which disk group takes over the disks and volumes of another one."
    page = Page("Join Dynamic Disk Group", sentence, fields)
    start = {"joined": source.ref if source else None, "group": target.ref if target else None}
    return Form("join_groups", "Join Dynamic Disk Group", (page,), _build_join, answers=start)


def _targets(config: Config, answers: Answers) -> list[Option]:
    return [option for option in choices.group_options(config) if option.value != answers["joined"]]


def _build_join(config: Config, answers: Answers) -> JoinGroups:
    return JoinGroups(group=answers["group"], joined=answers["joined"])
