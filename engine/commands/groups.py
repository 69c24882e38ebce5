"""What is asked about disk groups."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import Ref


class CreateGroup(Command, frozen=True, kw_only=True, tag=True):
    name: str
    disks: tuple[Ref, ...]
    force: bool = False  # initialize disks although foreign data stands on them


class AddDisks(Command, frozen=True, kw_only=True, tag=True):
    group: Ref
    disks: tuple[Ref, ...]
    force: bool = False


class RemoveDisks(Command, frozen=True, kw_only=True, tag=True):
    """Take empty disks out of their group."""

    disks: tuple[Ref, ...]


class DestroyGroup(Command, frozen=True, kw_only=True, tag=True):
    """Remove a group without volumes; its disks become free."""

    group: Ref


class RestoreConfiguration(Command, frozen=True, kw_only=True, tag=True):
    """Bring back what has gone from a group since a backup of its configuration; nothing is taken away."""

    group: Ref
    backup: Ref


class DeportGroup(Command, frozen=True, kw_only=True, tag=True):
    """Stop a group's volumes in order and give the group up."""

    group: Ref
    force: bool = False  # disconnect clients


class ImportGroup(Command, frozen=True, kw_only=True, tag=True):
    """Take a deported group. `clear` takes it from the host that its disks name, `force` with too few copies."""

    group: Ref
    clear: bool = False
    force: bool = False
    new_name: str = ""


class SplitGroup(Command, frozen=True, kw_only=True, tag=True):
    """Make disks or volumes of a group, with all that shares disks with them, a group of its own."""

    group: Ref
    name: str
    objects: tuple[Ref, ...]  # disks and volumes
    expand: bool = False  # what has to come along may
    imports: bool = False  # the new group is imported here at once; else it is left deported
    force: bool = False  # disconnect clients


class JoinGroups(Command, frozen=True, kw_only=True, tag=True):
    """Give everything that one group has to another one. Both are imported here."""

    group: Ref  # that gets it all
    joined: Ref  # that ends
    force: bool = False  # disconnect clients
