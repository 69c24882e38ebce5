"""What an operator does about a disk that fails, and about what has gone from a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import commands
from engine.records import Backup, Kind, RelocationMode
from tests.sim import trouble
from tests.sim.acts import SIZE, Absent, disks, do, hold, plex, subdisks, write_some
from tests.sim.operations import homes_of
from tests.sim.site import PATIENCE_S

if TYPE_CHECKING:
    from engine.records import Ref
    from tests.sim.site import Site

_OTHER = "w"


# --- disks that fail ---
def failing_disk(site: Site) -> None:
    """The volume's first disk has failed under a write. Its LUN is well again, but only the operator may say so."""
    do(site, commands.ChangeSettings(hot_relocation=RelocationMode.MANUAL))
    disk = subdisks(site)[0].disk
    path = site.config.disk(disk).lun
    trouble.dies(site.machine, path, site.dice)
    write_some(site, 8, seed=5)
    site.machine.engine.committer.wait_until(lambda config: config.disk(disk).failing, PATIENCE_S)
    site.machine.troubles[path].heal()
    site.rest()
    assert site.config.disk(disk).failing, "a disk that cannot be written is not failing"


def relocated(site: Site) -> None:
    """What lay on the disk lies elsewhere, and the disk is in service again."""
    failing_disk(site)
    repair(site)
    reactivate(site)


def failing(site: Site) -> Ref:
    """The disk of the group that fails."""
    found = [disk.ref for disk in disks(site) if disk.group is not None and disk.failing]
    if not found:
        raise Absent("a failing disk")
    return found[0]


def reactivate(site: Site) -> None:
    do(site, commands.ReactivateDisk(disk=failing(site)))
    site.rest()


def replace(site: Site) -> None:
    by = next(disk.ref for disk in disks(site) if disk.group is None)
    do(site, commands.ReplaceDisk(disk=failing(site), by=by))
    site.rest()


def repair(site: Site) -> None:
    do(site, commands.RepairVolumes(volumes=tuple(sorted(site.volumes))))
    site.rest()


def undo(site: Site) -> None:
    do(site, commands.UndoRelocation(disk=homes_of(site.config)[0]))


# --- configurations ---
def deleted_volume(site: Site) -> None:
    """A volume that the newest backup has is no more."""
    do(site, commands.CreateVolume(group=site.group.ref, name=_OTHER, size=SIZE, mirrors=2))
    hold(site)
    gone = next(volume.ref for volume in site.config.volumes_of(site.group.ref) if volume.name == _OTHER)
    do(site, commands.DeleteVolumes(volumes=(gone,)))


def removed_mirror(site: Site) -> None:
    """A mirror that the newest backup has is no more."""
    do(site, commands.RemoveMirrors(plexes=(plex(site).ref,)))


def restore(site: Site) -> None:
    backups = sorted(site.config.all(Kind.BACKUP, Backup), key=lambda backup: backup.number)
    if not backups:
        raise Absent("a configuration backup")
    do(site, commands.RestoreConfiguration(group=site.group.ref, backup=backups[-1].ref))
