"""Rename a group, volume, disk or subdisk."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.commands import Rename
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.names import renamed
from engine.plans import Plan, Problem
from engine.records import Disk, Group, Plex, Ref, Subdisk, Volume
from engine.rules import counted, listed

Renamable = Group | Volume | Disk | Subdisk


def rename(config: Config, command: Rename, ids: Ids) -> Plan:
    """Another name; plexes and subdisks that were named after the object follow it."""
    record = config[command.object]
    title = f"Rename {record.name} to {command.name[: rules.NAME_MAX + 1]}"
    if not isinstance(record, Renamable):
        text = f"A {record.ref.kind.value} can't be renamed."
        return refuse(title, Problem(text, "Rename its volume.", record.ref)) or Plan(title=title)
    group = config.group_of(record)
    if blocked := refuse(title, _problem(config, command, record, group)):
        return blocked
    draft = Draft(config, ids, group)
    draft.put(replace(record, name=command.name))
    draft.put(*_followers(config, record, command.name))
    clients = _clients(config, record)
    if clients:
        draft.warn(f"{counted(len(clients), 'client')} must use the new name to connect again: {listed(clients)}.")
    draft.step(title, "connections stay" if clients else "")
    return draft.plan(title, undo=Rename(object=record.ref, name=record.name))


def _problem(config: Config, command: Rename, record: Renamable, group: Ref | None) -> Problem | None:
    blocked = rules.needs_imported(config, group) if group is not None else None
    if blocked or (blocked := rules.name_ok(command.name)):
        return blocked
    if command.name == record.name:
        return Problem(f"{record.name} has this name already.", "Choose another name.", record.ref, "name")
    scope = group if isinstance(record, Volume | Subdisk) else None
    return rules.name_free(config, record.ref.kind, command.name, scope, record.ref)


def _followers(config: Config, record: Renamable, name: str) -> list[Plex] | list[Subdisk]:
    if isinstance(record, Volume):
        taken = {plex.name for volume in config.volumes_of(record.group) for plex in config.parts_of(volume.ref)}
        return renamed(config.parts_of(record.ref), record.name, name, taken)
    if isinstance(record, Disk):
        mates = config.disks_of(record.group) if record.group else []
        names = {subdisk.name for disk in mates for subdisk in config.subdisks_on(disk.ref)}
        return renamed(config.subdisks_on(record.ref), record.name, name, names)
    return []


def _clients(config: Config, record: Renamable) -> list[str]:
    """Who is connected under a name that changes."""
    volumes = (
        config.volumes_of(record.ref) if isinstance(record, Group) else [record] if isinstance(record, Volume) else []
    )
    return [name for volume in volumes for name in rules.clients_of(config, volume.ref)]
