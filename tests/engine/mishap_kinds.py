"""What befalls one LUN of a site, each as a function that answers how the LUN may be had back: never, by default."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from engine.cli.lab_faults import damage
from engine.commands import AddLuns, Command, Rescan
from engine.records import Disk
from engine.units import MIB
from tests.engine.mishap_luns import Site

BringBack = Callable[[], bool]
Mishap = Callable[[Site, Disk], BringBack]


def _never() -> bool:
    return False


def _once(path: Path, away: Path) -> BringBack:
    def bring_back() -> bool:
        if not away.exists():
            return False
        away.rename(path)
        return True

    return bring_back


def _must(site: Site, command: Command) -> None:
    refused = site.operator.do(command)
    assert not refused, (refused, site.operator.told())


def _rescan(site: Site) -> None:
    _must(site, Rescan())


def _exchange(one: Path, other: Path) -> None:
    between = one.with_name("between.img")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def _other(site: Site, disk: Disk) -> Disk:
    return site.chance.choice([other for other in site.used if other.ref != disk.ref])


def gone(site: Site, disk: Disk) -> BringBack:
    """The path leads nowhere any more, for good."""
    Path(disk.lun).rename(f"{disk.lun}.gone")
    _rescan(site)
    site.meanwhile(disk)
    return _never


def away_for_a_while(site: Site, disk: Disk) -> BringBack:
    path, away = Path(disk.lun), Path(f"{disk.lun}.away")
    path.rename(away)
    _rescan(site)
    site.meanwhile(disk)
    return _once(path, away)


def truncated(site: Site, disk: Disk) -> BringBack:
    """Clients meet it first, or whoever looks."""
    os.truncate(disk.lun, disk.public_offset + site.chance.randrange(8) * MIB)
    if site.chance.random() < 0.5:
        site.meanwhile(disk)
    _rescan(site)
    site.meanwhile(disk)
    return _never


def metadata_overwritten(site: Site, disk: Disk) -> BringBack:
    """Label and private region are noise."""
    damage(Path(disk.lun), 0)
    if site.chance.random() < 0.5:
        site.meanwhile(disk)
    _rescan(site)
    site.meanwhile(disk)
    return _never


def swapped(site: Site, disk: Disk) -> BringBack:
    """Two LUNs exchange their names while both are in use."""
    _exchange(Path(disk.lun), Path(_other(site, disk).lun))
    site.meanwhile(disk)
    _rescan(site)
    site.meanwhile(disk)
    return _never


def swapped_while_stopped(site: Site, disk: Disk) -> BringBack:
    other = _other(site, disk)
    site.restart(lambda: _exchange(Path(disk.lun), Path(other.lun)), kill=False)
    return _never


def swapped_while_dead(site: Site, disk: Disk) -> BringBack:
    other = _other(site, disk)
    site.restart(lambda: _exchange(Path(disk.lun), Path(other.lun)), kill=True)
    return _never


def doubled(site: Site, disk: Disk) -> BringBack:
    """A copy of a LUN in use turns up under another path, and stays: nothing that goes on asks to take it away."""
    twin = _new_twin(site, disk)
    shutil.copyfile(disk.lun, twin)
    _must(site, AddLuns(paths=(str(twin),)))
    _rescan(site)
    site.meanwhile(disk)
    return _never


def _new_twin(site: Site, disk: Disk) -> Path:
    """Where a further copy of a LUN goes: an earlier one may be there still, as nothing has asked to take it away."""
    paths = (Path(f"{disk.lun}.twin{number}") for number in itertools.count())
    twin = next(path for path in paths if not path.exists())
    site.twins.append(twin)
    return twin


def doubled_while_stopped(site: Site, disk: Disk) -> BringBack:
    """Nothing tells the copy from the LUN: both are what the group has left behind."""
    twin = _new_twin(site, disk)
    _must(site, AddLuns(paths=(str(site.new_lun().rename(twin)),)))
    site.restart(lambda: _copy(disk, twin), kill=False)
    return _never


def _copy(disk: Disk, twin: Path) -> None:
    shutil.copyfile(disk.lun, twin)


def old_copy(site: Site, disk: Disk) -> BringBack:
    """An older image of the LUN stands in its place."""
    path, old = Path(disk.lun), Path(f"{disk.lun}.old")
    shutil.copyfile(path, old)
    site.meanwhile(disk)
    old.replace(path)
    _rescan(site)
    site.meanwhile(disk)
    return _never


def old_copy_while_stopped(site: Site, disk: Disk) -> BringBack:
    path, old = Path(disk.lun), Path(f"{disk.lun}.old")
    shutil.copyfile(path, old)
    site.meanwhile(disk)
    site.restart(lambda: _put(old, path), kill=site.chance.random() < 0.5)
    return _never


def _put(old: Path, path: Path) -> None:
    old.replace(path)


KINDS: dict[str, Mishap] = {
    "gone": gone,
    "away for a while": away_for_a_while,
    "truncated": truncated,
    "metadata overwritten": metadata_overwritten,
    "two swapped while in use": swapped,
    "two swapped while stopped": swapped_while_stopped,
    "two swapped after a kill": swapped_while_dead,
    "doubled": doubled,
    "doubled while stopped": doubled_while_stopped,
    "an old copy": old_copy,
    "an old copy while stopped": old_copy_while_stopped,
}
