"""Names to records. What is not there is answered with what is near."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from engine.cli.forms import shown
from engine.errors import EngineError
from engine.records import Alert, Backup, Disk, Group, GroupState, Kind, Plex, Record, Subdisk, Task, Volume

if TYPE_CHECKING:
    from engine.config import Config

R = TypeVar("R", bound=Record)

_NEAR = 5


def group(config: Config, name: str) -> Group:
    """The disk group of this name."""
    found = config.find(Kind.GROUP, name)
    if isinstance(found, Group):
        return found
    raise absent("disk group", name, "", [each.name for each in config.all(Kind.GROUP, Group)])


def only_group(config: Config) -> Group:
    """The group that is meant when none was named: the only one that is imported."""
    groups = [each for each in config.all(Kind.GROUP, Group) if each.state is GroupState.IMPORTED]
    if len(groups) == 1:
        return groups[0]
    if not groups:
        raise EngineError("No disk group is imported. Make one with vxdg init, or import one with vxdg import.")
    raise EngineError(f"There are several disk groups: {_listed(each.name for each in groups)}. Say which with -g.")


def disk(config: Config, name: str) -> Disk:
    """The disk of this name, or of this LUN's path."""
    found = config.find(Kind.DISK, name)
    if isinstance(found, Disk):
        return found
    disks = config.all(Kind.DISK, Disk)
    by_path = next((each for each in disks if name and each.lun == name), None)
    if by_path is not None:
        return by_path
    raise absent("disk", name, "", [each.name for each in disks])


def volume(config: Config, name: str, within: Group | None) -> Volume:
    """A volume of a group; without a group the only one of this name. Its drive letter or its folder names it, too."""
    by_drive = _by_drive(config, name, within)
    try:
        return _in_group(config, Kind.VOLUME, Volume, name, within)
    except EngineError:
        if by_drive is None:
            raise
        return by_drive


def _by_drive(config: Config, name: str, within: Group | None) -> Volume | None:
    letter = name.rstrip("\\").removesuffix(":").upper()
    path = name if name == "/" else name.rstrip("/")
    for one in config.every(Kind.VOLUME):
        if not isinstance(one, Volume) or not (one.drive_letter or one.drive_path):
            continue
        here = config.get(one.group)
        if not isinstance(here, Group) or here.state is not GroupState.IMPORTED or within not in (None, here):
            continue
        if (letter and one.drive_letter == letter) or (path and one.drive_path == path):
            return one
    return None


def plex(config: Config, name: str, within: Group | None) -> Plex:
    """A plex (mirror) of a group."""
    return _in_group(config, Kind.PLEX, Plex, name, within)


def subdisk(config: Config, name: str, within: Group | None) -> Subdisk:
    """A subdisk of a group."""
    return _in_group(config, Kind.SUBDISK, Subdisk, name, within)


def task(config: Config, number: str) -> Task:
    """The task with this number."""
    tasks = {each.ref.id: each for each in config.all(Kind.TASK, Task) if not each.cleared}
    found = tasks.get(number)
    if found is not None:
        return found
    raise absent("task", number, "", sorted(tasks, key=int))


def alert(config: Config, number: str) -> Alert:
    """The open alert with this number."""
    alerts = {each.ref.id: each for each in config.all(Kind.ALERT, Alert) if each.open}
    found = alerts.get(number)
    if found is not None:
        return found
    raise absent("open alert", number, "", sorted(alerts, key=int))


def backup(config: Config, group: Group, number: str) -> Backup:
    """The configuration backup of a group with this number."""
    known = {str(each.number): each for each in config.all(Kind.BACKUP, Backup) if each.group == group.ref}
    if number in known:
        return known[number]
    raise absent("configuration backup", number, f" of {group.name}", sorted(known, key=int))


def _in_group(config: Config, kind: Kind, record_type: type[R], name: str, within: Group | None) -> R:
    candidates = [each for each in config.all(kind, record_type) if within is None or _belongs(config, each, within)]
    found = [each for each in candidates if each.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise EngineError(f"Several disk groups have a {kind} {shown(name)}. Say which with -g.")
    raise absent(str(kind), name, f" in {within.name}" if within else "", [each.name for each in candidates])


def _belongs(config: Config, record: Record, within: Group) -> bool:
    return config.group_of(record) == within.ref


def absent(what: str, name: str, where: str, names: Sequence[str]) -> EngineError:
    """One sentence: it isn't there, and what is."""
    if not names:
        return EngineError(f"There is no {what} {shown(name)}{where}, and none at all.")
    from difflib import get_close_matches  # only a mistake pays for it

    near = get_close_matches(name[:64], names, _NEAR) or names
    return EngineError(f"There is no {what} {shown(name)}{where}. There is {_listed(near, len(names))}.")


def _listed(names: Iterable[str], total: int = 0) -> str:
    shown_names = list(names)
    first = shown_names[:_NEAR]
    more = max(total, len(shown_names)) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")
