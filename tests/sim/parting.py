"""What of a site's disk group is one of its own, by a split, or is again a part of it, by a join."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.commands import JoinGroups, ReplaceDisk, SplitGroup
from engine.records import Disk, Group, GroupState, Kind, Volume

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.commands import Command
    from engine.config import Config
    from engine.plans import Plan
    from engine.records import Ref

NAME = "dg"
OTHER = "off"
"""What the other group is called as long as there is one."""

Disks = frozenset["Ref"]

_MOVES = (SplitGroup, JoinGroups, ReplaceDisk)


class Parting:
    """`may_be` are the sets of disks that the other group may have: one, or two while nobody has answered."""

    def __init__(self, may_be: Iterable[Disks] = (frozenset(),)) -> None:
        self.may_be = set(may_be)

    def copy(self) -> Parting:
        return Parting(self.may_be)

    def expect(self, command: Command, plan: Plan) -> set[Disks]:
        """Whether this is carried out nobody knows yet. Answers what `answered` is to be told."""
        after = {_after(command, plan, disks) for disks in self.may_be}
        self.may_be |= after
        return after

    def answered(self, command: Command, after: set[Disks]) -> None:
        """It has been."""
        if isinstance(command, _MOVES):
            self.may_be = after

    def check(self, config: Config, *, whole: bool) -> None:
        """All of what leaves, or nothing; every volume in the group that its disks are in, and in one that is here.
        `whole`: no disk of either group is missing."""
        other = other_group(config)
        here = frozenset(disk.ref for disk in config.disks_of(other.ref)) if other is not None else frozenset()
        assert here in self.may_be, f"{_named(config, here)} are {OTHER}; it may be {self._told(config)}"
        for ref in frozenset().union(*self.may_be):
            assert config.disk(ref).group is not None, f"{config.disk(ref).name} is nobody's"
        self.may_be = {here}
        for disk in config.all(Kind.DISK, Disk):
            assert disk.present or not whole, f"{disk.name} is missing"
        for volume in config.all(Kind.VOLUME, Volume):
            group = config.group(volume.group)
            assert group.state is GroupState.IMPORTED, f"{volume.name} is in {group.name}, which is {group.state}"
            for disk in disks_of(config, volume):
                text = f"{volume.name} is in {group.name}, and its disk {disk.name} is not"
                assert disk.group == volume.group, text

    def _told(self, config: Config) -> str:
        return " or ".join(sorted(_named(config, disks) or "nothing" for disks in self.may_be))


def other_group(config: Config) -> Group | None:
    """The one that was split off, if there is any."""
    found = config.find(Kind.GROUP, OTHER)
    return found if isinstance(found, Group) else None


def groups_of(config: Config) -> list[Group]:
    """All of what was one group once, as far as it is known here."""
    found = (config.find(Kind.GROUP, name) for name in (NAME, OTHER))
    return [group for group in found if isinstance(group, Group)]


def disks_of(config: Config, volume: Volume) -> list[Disk]:
    """Those that a volume lies on."""
    pieces = (piece for plex in config.parts_of(volume.ref) for piece in config.subdisks_of(plex.ref))
    return [config.disk(ref) for ref in sorted({piece.disk for piece in pieces})]


def moved_by(config: Config, command: Command, plan: Plan) -> list[Ref]:
    """The volumes that a split or join stops in order."""
    if isinstance(command, SplitGroup):
        return [record.ref for record in plan.puts if isinstance(record, Volume)]
    if isinstance(command, JoinGroups):
        return [volume.ref for volume in config.volumes_of(command.joined)]
    return []


def _after(command: Command, plan: Plan, before: Disks) -> Disks:
    """The other group's disks when a command has been carried out."""
    match command:
        case JoinGroups():
            return frozenset()
        case SplitGroup():
            return frozenset(record.ref for record in plan.puts if isinstance(record, Disk))
        case ReplaceDisk() if command.disk in before:
            return before - {command.disk} | {command.by}
    return before


def _named(config: Config, disks: Iterable[Ref]) -> str:
    return ", ".join(sorted(config.disk(ref).name for ref in disks))
