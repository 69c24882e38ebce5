"""Split Subdisk and Join Subdisks: records change, bytes stay."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.allocate import Shape
from engine.commands import JoinSubdisks, SplitSubdisk
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.sizes import rounded
from engine.plans import Plan
from engine.records import Kind, Origin
from engine.units import ALLOCATION_UNIT, format_size


def split(config: Config, command: SplitSubdisk, ids: Ids) -> Plan:
    """The first piece keeps the identity, the second is new."""
    old = config.subdisk(command.subdisk)
    title = f"Split {old.name}"
    if blocked := refuse(title, rules.can_split(config, old, command.size)):
        return blocked
    draft = Draft(config, ids, config.volume_of(old).group)
    size = rounded(draft, command.size, max(ALLOCATION_UNIT, Shape.of(config.plex(old.plex)).edge))
    if blocked := refuse(title, rules.can_split(config, old, size)):
        return blocked
    second = replace(
        old,
        ref=ids(Kind.SUBDISK),
        name=draft.subdisk_name(old.disk),
        disk_offset=old.disk_offset + size,
        plex_offset=old.plex_offset + size,
        length=old.length - size,
        origin=_behind(old.origin, size),
    )
    draft.put(replace(old, length=size), second)
    pieces = f"{old.name} with {format_size(size)} and {second.name} with {format_size(second.length)}"
    draft.step(f"Divide {old.name} into {pieces}", "no byte moves")
    return draft.plan(title, undo=JoinSubdisks(first=old.ref, second=second.ref))


def _behind(origin: Origin | None, length: int) -> Origin | None:
    """Where the bytes behind the first `length` ones lay before a relocation."""
    return None if origin is None else Origin(origin.disk, origin.disk_offset + length)


def join(config: Config, command: JoinSubdisks, ids: Ids) -> Plan:
    """The first one grows by the second one, which goes. The order in which they are named doesn't matter."""
    first, second = (config.subdisk(ref) for ref in (command.first, command.second))
    if (second.column, second.plex_offset) < (first.column, first.plex_offset):
        first, second = second, first
    title = f"Join {first.name} and {second.name}"
    if blocked := refuse(title, rules.can_join(config, first, second)):
        return blocked
    draft = Draft(config, ids, config.volume_of(first).group)
    draft.drop(second.ref)
    stays = second.origin == _behind(first.origin, first.length)
    draft.put(replace(first, length=first.length + second.length, origin=first.origin if stays else None))
    draft.step(f"Make {second.name} a part of {first.name}", "no byte moves")
    return draft.plan(title, undo=SplitSubdisk(subdisk=first.ref, size=first.length))
