"""What is asked about schedules of snapshot sets."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import Pattern, Quiesce, Ref, RunWay


class AddSchedule(Command, frozen=True, kw_only=True, tag=True):
    """Take a set of volumes of one disk group again and again."""

    name: str
    volumes: tuple[Ref, ...]
    when: Pattern
    keep: int = 1
    way: RunWay = RunWay.REFRESH
    quiesce: Quiesce = Quiesce.AUTO
    prepares: bool = False
    late: bool = False
    enabled: bool = True


class ChangeSchedule(Command, frozen=True, kw_only=True, tag=True):
    """Set what is not None; the rest stays as it is, and so do the sets that were made."""

    schedule: Ref
    name: str | None = None
    volumes: tuple[Ref, ...] | None = None
    when: Pattern | None = None
    keep: int | None = None
    way: RunWay | None = None
    quiesce: Quiesce | None = None
    prepares: bool | None = None
    late: bool | None = None
    enabled: bool | None = None


class RemoveSchedules(Command, frozen=True, kw_only=True, tag=True):
    """Take no more sets. Those that were made stay, as ordinary snapshots."""

    schedules: tuple[Ref, ...]


class RunSchedule(Command, frozen=True, kw_only=True, tag=True):
    """Take the set of a schedule now, whatever the hour, and whether or not it is enabled."""

    schedule: Ref
