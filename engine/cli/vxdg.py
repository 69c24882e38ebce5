"""vxdg: disk groups."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from engine.cli import output, resolve, rows
from engine.cli.common import COMMON, FORCE, new_name, run
from engine.cli.forms import Form, Option, Tool, Usage, Words, shown
from engine.errors import EngineError
from engine.units import format_size

if TYPE_CHECKING:
    from engine.cli.session import Session
    from engine.records import Group, Ref

_CLEAR = Option("-C", "Take the group from the host that its disks name.")
_NAME = Option("-n", "Import under this name.", takes="NEW")
_OTHER = Option("-o", "expand: what shares disks with the objects comes along.", takes="expand")
_HERE = Option("-i", "Import the new group on this host; else it is left deported.")
_HEADS = ("GROUP", "STATE", "DISKS", "VOLUMES", "SIZE", "FREE", "ID")


def _groups(session: Session) -> list[Group]:
    from engine.records import Group, Kind

    return session.config.all(Kind.GROUP, Group)


def _list(session: Session, words: Words) -> int:
    found = [rows.group_row(group) for group in _groups(session)]
    if session.json:
        output.write_json(found)
        return 0
    cells = [
        (
            row["name"],
            row["state"],
            str(row["disks"]),
            str(row["volumes"]),
            format_size(row["size"]),
            format_size(row["free"]),
            row["id"],
        )
        for row in found
    ]
    output.write(output.table(_HEADS, cells, right=("DISKS", "VOLUMES", "SIZE", "FREE")))
    return 0


def _free(session: Session, words: Words) -> int:
    named = words.many("GROUP")
    groups = [resolve.group(session.config, named[0])] if named else _groups(session)
    found = rows.free_rows(session.config, groups)
    if session.json:
        output.write_json(found)
        return 0
    cells = [
        (row["group"], row["disk"], f"{row['offset']:,}", f"{row['length']:,}", format_size(row["length"]))
        for row in found
    ]
    heads = ("GROUP", "DISK", "FROM BYTE", "BYTES", "SIZE")
    output.write(output.table(heads, cells, right=("FROM BYTE", "BYTES", "SIZE")))
    return 0


def _init(session: Session, words: Words) -> int:
    from engine.commands import CreateGroup

    name = new_name(words["GROUP"])
    disks = session.disks(words.many("DISK"))
    return session.carry_out(CreateGroup(name=name, disks=disks, force=words.has("-f")))


def _add_disk(session: Session, words: Words) -> int:
    from engine.commands import AddDisks

    group = resolve.group(session.config, words["GROUP"])
    disks = session.disks(words.many("DISK"))
    return session.carry_out(AddDisks(group=group.ref, disks=disks, force=words.has("-f")))


def _rm_disk(session: Session, words: Words) -> int:
    from engine.commands import RemoveDisks

    group = resolve.group(session.config, words["GROUP"])
    disks = [resolve.disk(session.config, name) for name in words.many("DISK")]
    for disk in disks:
        if disk.group != group.ref:
            raise EngineError(f"{disk.name} does not belong to {group.name}. vxdisk list shows what does.")
    return session.carry_out(RemoveDisks(disks=tuple(dict.fromkeys(disk.ref for disk in disks))))


def _deport(session: Session, words: Words) -> int:
    from engine.commands import DeportGroup

    group = resolve.group(session.config, words["GROUP"])
    return session.carry_out(DeportGroup(group=group.ref, force=words.has("-f")))


def _import(session: Session, words: Words) -> int:
    from engine.commands import ImportGroup

    group = resolve.group(session.config, words["GROUP"])
    name = new_name(words.option("-n")) if words.has("-n") else ""
    return session.carry_out(ImportGroup(group=group.ref, clear=words.has("-C"), force=words.has("-f"), new_name=name))


def _destroy(session: Session, words: Words) -> int:
    from engine.commands import DestroyGroup

    return session.carry_out(DestroyGroup(group=resolve.group(session.config, words["GROUP"]).ref))


def _split(session: Session, words: Words) -> int:
    from engine.commands import SplitGroup

    group = resolve.group(session.config, words["SOURCE"])
    return session.carry_out(
        SplitGroup(
            group=group.ref,
            name=new_name(words["NEW"]),
            objects=_objects(session, group, words.many("OBJECT")),
            expand=_expands(words),
            imports=words.has("-i"),
            force=words.has("-f"),
        )
    )


def _objects(session: Session, group: Group, names: list[str]) -> tuple[Ref, ...]:
    """Volumes of the group by name, else disks."""
    from engine.records import Kind

    found = []
    for name in names:
        volume = session.config.find(Kind.VOLUME, name, group.ref)
        record = volume if volume is not None else resolve.disk(session.config, name)
        found.append(record.ref)
    return tuple(dict.fromkeys(found))


def _expands(words: Words) -> bool:
    value = words.option("-o")
    if value not in ("", "expand"):
        raise Usage(f"-o knows expand, but not {shown(value)}.")
    return bool(value)


def _list_move(session: Session, words: Words) -> int:
    from engine.rules import closure

    group = resolve.group(session.config, words["SOURCE"])
    new_name(words["NEW"])
    config, objects = session.config, _objects(session, group, words.many("OBJECT"))
    leaving = closure(config, objects)
    refs = (*leaving.disks, *leaving.volumes)
    found = [
        {"kind": ref.kind.value, "name": config[ref].name, "asked": ref in objects, "why": leaving.why.get(ref, "")}
        for ref in refs
    ]
    if session.json:
        output.write_json(found)
        return 0
    cells = [(str(row["name"]), str(row["kind"]), str(row["why"])) for row in found]
    output.write(output.table(("NAME", "KIND", "COMES ALONG, AS"), cells))
    return 0


def _join(session: Session, words: Words) -> int:
    from engine.commands import JoinGroups

    source, target = (resolve.group(session.config, words[name]) for name in ("SOURCE", "TARGET"))
    return session.carry_out(JoinGroups(group=target.ref, joined=source.ref, force=words.has("-f")))


def _rename(session: Session, words: Words) -> int:
    from engine.commands import Rename

    group = resolve.group(session.config, words["GROUP"])
    return session.carry_out(Rename(object=group.ref, name=new_name(words["NEW"])))


def _backups(session: Session, words: Words) -> int:
    from engine.records import Backup, Kind

    named = words.many("GROUP")
    found = [each for each in session.config.all(Kind.BACKUP, Backup) if not named or each.group_name == named[0]]
    found.sort(key=lambda backup: (backup.group_name, backup.number))
    if session.json:
        output.write_json([rows.backup_row(backup) for backup in found])
        return 0
    cells = [
        (each.group_name, str(each.number), _moment(each.time), str(each.volumes), str(each.disks), each.reason)
        for each in found
    ]
    heads = ("GROUP", "BACKUP", "TIME", "VOLUMES", "DISKS", "BEFORE")
    output.write(output.table(heads, cells, right=("BACKUP", "VOLUMES", "DISKS")))
    return 0


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _restore(session: Session, words: Words) -> int:
    from engine.commands import RestoreConfiguration

    group = resolve.group(session.config, words["GROUP"])
    backup = resolve.backup(session.config, group, words["BACKUP"])
    return session.carry_out(RestoreConfiguration(group=group.ref, backup=backup.ref))


TOOL = Tool(
    "vxdg",
    "Disk groups.",
    (
        Form(
            "init GROUP DISK...",
            "Make a group of disks; what has no label yet gets one.",
            _init,
            options=(FORCE,),
            examples=("vxdg init dg2 Harddisk6 Harddisk7", "vxdg init dg2 Harddisk6 --plan"),
        ),
        Form("list", "List the groups.", _list),
        Form("adddisk GROUP DISK...", "Put disks into a group.", _add_disk, options=(FORCE,)),
        Form("rmdisk GROUP DISK...", "Take empty disks out of a group.", _rm_disk),
        Form("deport GROUP", "Stop a group's volumes and give it up.", _deport, options=(FORCE,)),
        Form(
            "import GROUP",
            "Take a deported group.",
            _import,
            options=(_CLEAR, FORCE, _NAME),
            examples=("vxdg import dg2 -n archive",),
        ),
        Form(
            "split SOURCE NEW OBJECT...",
            "Make volumes or disks of a group, with the disks that they need, a group of its own.",
            _split,
            options=(_OTHER, _HERE, FORCE),
            examples=("vxdg split dg1 backup SnapVolume01 --plan", "vxdg split dg1 backup SnapVolume01 -o expand"),
        ),
        Form("listmove SOURCE NEW OBJECT...", "List what would leave together, and why.", _list_move),
        Form(
            "join SOURCE TARGET",
            "Give all that a group has to another one; snapshots are taken up again.",
            _join,
            options=(FORCE,),
            examples=("vxdg join backup dg1",),
        ),
        Form("destroy GROUP", "Remove a group without volumes; its disks become free.", _destroy),
        Form("free [GROUP]", "List the free regions.", _free, examples=("vxdg free dg1",)),
        Form(
            "backup list [GROUP]",
            "List the configurations that were saved before changes.",
            _backups,
            examples=("vxdg backup list dg1",),
        ),
        Form(
            "backup restore GROUP BACKUP",
            "Bring back what has gone since a backup; nothing is taken away. --plan tells what that is.",
            _restore,
            examples=("vxdg backup restore dg1 12 --plan",),
        ),
        Form("rename GROUP NEW", "Give a group another name.", _rename),
    ),
    COMMON,
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
