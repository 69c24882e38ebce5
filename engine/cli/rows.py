"""Records as the JSON values that the contract promises: stable keys, sizes in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.records import (
    Alert,
    Backup,
    Disk,
    Group,
    Kind,
    Plex,
    PlexLayout,
    Subdisk,
    Task,
    TaskState,
    Volume,
    VolumeLayout,
)

if TYPE_CHECKING:
    from engine.config import Config
    from engine.plans import Plan, Problem, Range
    from engine.records import Ref

LAYOUT_WORDS = {
    VolumeLayout.CONCAT: "concat",
    VolumeLayout.STRIPE: "stripe",
    VolumeLayout.MIRROR: "mirror",
    VolumeLayout.MIRROR_STRIPE: "mirror-stripe",
    VolumeLayout.RAID5: "raid5",
}

Row = dict[str, Any]


def name_of(config: Config, ref: Ref | None) -> str | None:
    """A record's name; None when it isn't there (any more)."""
    record = config.get(ref)
    return record.name if record is not None else None


def disk_row(config: Config, disk: Disk) -> Row:
    """One disk of `vxdisk list`."""
    return {
        "name": disk.name,
        "lun": disk.lun or None,
        "size": disk.size,
        "status": str(disk.status),
        "group": name_of(config, disk.group),
        "enclosure": name_of(config, disk.enclosure),
        "paths": disk.paths,
        "free": disk.free,
        "usage": str(disk.usage),
        "content": disk.content,
        "failing": disk.failing,
        "errors": disk.errors,
        "present": disk.present,
    }


def group_row(group: Group) -> Row:
    """One group of `vxdg list`."""
    return {
        "name": group.name,
        "id": group.ref.id,
        "state": str(group.state),
        "disks": group.disks,
        "volumes": group.volumes,
        "size": group.size,
        "free": group.free,
        "transaction": group.transaction,
        "owner": group.owner or None,
        "frozen": group.frozen or None,
    }


def backup_row(backup: Backup) -> Row:
    """One configuration backup of `vxdg backup list`."""
    return {
        "group": backup.group_name,
        "group_id": backup.group.id,
        "number": backup.number,
        "transaction": backup.transaction,
        "time": backup.time,
        "before": backup.reason,
        "disks": backup.disks,
        "volumes": backup.volumes,
        "size": backup.size,
    }


def group_tree(config: Config, group: Group) -> Row:
    """One group of `vxprint`, with all that is in it."""
    return {
        "name": group.name,
        "id": group.ref.id,
        "state": str(group.state),
        "disks": [_group_disk(disk) for disk in config.disks_of(group.ref)],
        "volumes": [volume_tree(config, volume) for volume in config.volumes_of(group.ref)],
    }


def _group_disk(disk: Disk) -> Row:
    return {
        "name": disk.name,
        "lun": disk.lun or None,
        "size": disk.size,
        "free": disk.free,
        "status": str(disk.status),
    }


def volume_tree(config: Config, volume: Volume) -> Row:
    """A volume with its plexes and their subdisks."""
    from engine.rules import clients_of  # only this needs rules

    return {
        "name": volume.name,
        "size": volume.size,
        "layout": LAYOUT_WORDS[volume.layout],
        "state": "ENABLED" if volume.serving else "DISABLED",
        "status": str(volume.status),
        "started": volume.started,
        "prefers": name_of(config, volume.preferred),
        "in_use_by": clients_of(config, volume.ref),
        "drive_letter": volume.drive_letter or None,
        "drive_path": volume.drive_path or None,
        "drive": volume.drive or None,
        "mounted": volume.mounted or None,
        "held_back": volume.fenced or None,
        "plexes": [plex_tree(config, plex) for plex in config.plexes_of(volume.ref)],
        "logs": [plex_tree(config, plex) for plex in config.logs_of(volume.ref)],
        "dirty_log": dirty_log_row(config, volume),
        "snapshot_of": next((name_of(config, link.peer) for link in volume.links if link.side == "snapshot"), None),
        "snapshots": [name_of(config, link.peer) for link in volume.links if link.side == "original"],
        "consistency": next((str(link.consistency) for link in volume.links if link.side == "snapshot"), None),
    }


def dirty_log_row(config: Config, volume: Volume) -> Row | None:
    """The dirty region log of a mirror; `dirty` bytes would be copied after a crash now. None: it has none."""
    log = volume.dirty_log
    if log is None:
        return None
    disks = [name_of(config, place.disk) for place in log.places]
    return {"disks": disks, "region": log.region_size, "dirty": volume.dirty_bytes}


def plex_tree(config: Config, plex: Plex) -> Row:
    """A plex. A subdisk that moves is listed where it still is, with its new places in `moving_to`."""
    return {
        "name": plex.name,
        "state": str(plex.state),
        "complete": plex.complete,
        "snap": None if plex.snap is None else "ready" if plex.complete else "attaching",
        "layout": str(plex.layout),
        "columns": plex.columns,
        "stripe_unit": plex.stripe_unit,
        "subdisks": [subdisk_row(config, sd) for sd in config.subdisks_of(plex.ref) if sd.replaces is None],
    }


def subdisk_row(config: Config, subdisk: Subdisk) -> Row:
    row = _place(config, subdisk)
    if config.plex(subdisk.plex).layout is PlexLayout.RAID5:
        row["state"] = str(subdisk.state)
    moving = [_place(config, target) for target in config.replacements_of(subdisk.ref)]
    return {**row, "moving_to": moving} if moving else row


def _place(config: Config, subdisk: Subdisk) -> Row:
    return {
        "name": subdisk.name,
        "disk": name_of(config, subdisk.disk),
        "disk_offset": subdisk.disk_offset,
        "plex_offset": subdisk.plex_offset,
        "column": subdisk.column,
        "length": subdisk.length,
    }


def free_rows(config: Config, groups: list[Group]) -> list[Row]:
    """The free regions of `vxdg free`."""
    return [
        {"group": group.name, "disk": disk.name, "offset": extent.start, "length": extent.length}
        for group in groups
        for disk in config.disks_of(group.ref)
        for extent in config.free(disk.ref)
    ]


def percent(task: Task) -> float:
    """How far a task is; 100 only when it has completed."""
    if task.state is TaskState.COMPLETED:
        return 100.0
    if task.bytes_total <= 0:
        return 0.0
    return round(min(99.9, 100 * task.bytes_done / task.bytes_total), 1)


def task_row(config: Config, task: Task) -> Row:
    """One task of `vxtask list`."""
    known = task.eta_low_s >= 0 and not task.ended
    return {
        "id": int(task.ref.id),
        "type": str(task.type),
        "object": name_of(config, task.object),
        "state": str(task.state),
        "percent": percent(task),
        "bytes_done": task.bytes_done,
        "bytes_total": task.bytes_total,
        "bytes_copied": task.bytes_copied,
        "eta_low_s": task.eta_low_s if known else None,
        "eta_high_s": task.eta_high_s if known else None,
        "title": task.name,
        "iodelay_ms": task.iodelay_ms,
        "started_at": task.started_at,
        "finished_at": task.finished_at or None,
        "result": task.result,
        "undo": bool(task.undo),
    }


def tasks_in_order(config: Config) -> list[Task]:
    """All tasks that have not been cleared, by number."""
    listed = (task for task in config.all(Kind.TASK, Task) if not task.cleared)
    return sorted(listed, key=lambda task: int(task.ref.id))


def plan_row(config: Config, plan: Plan) -> Row:
    """A plan, with LUN ranges in bytes from the start of the LUN."""
    return {
        "title": plan.title,
        "basis": plan.basis,
        "group": name_of(config, plan.group),
        "problems": [problem_row(config, problem) for problem in plan.problems],
        "warnings": list(plan.warnings),
        "steps": [{"text": step.text, "meanwhile": step.meanwhile} for step in plan.steps],
        "allocates": [_range_row(config, taken) for taken in plan.allocates],
        "frees": [_range_row(config, freed) for freed in plan.frees],
        "destroys": [name_of(config, ref) for ref in plan.destroys],
        "zeroes_bytes": plan.zeroes_bytes,
        "copies_bytes": plan.copies_bytes,
        "bytes_total": plan.bytes_total,
        "redundancy": plan.redundancy,
        "irreversible": plan.irreversible,
        "can_be_undone": bool(plan.undo),
    }


def problem_row(config: Config, problem: Problem) -> Row:
    return {
        "text": problem.text,
        "help": problem.typed_help,
        "object": name_of(config, problem.object),
        "field": problem.field or None,
    }


def _range_row(config: Config, place: Range) -> Row:
    disk = config.get(place.disk)
    return {
        "disk": disk.name if disk is not None else None,
        "lun": disk.lun if isinstance(disk, Disk) else None,
        "offset": place.offset,
        "length": place.length,
        "label": place.label,
    }


def open_alerts(config: Config) -> list[Alert]:
    """What nobody has acknowledged yet, the oldest first."""
    alerts = [alert for alert in config.all(Kind.ALERT, Alert) if alert.open]
    return sorted(alerts, key=lambda alert: int(alert.ref.id))


def alert_row(config: Config, alert: Alert) -> Row:
    """An alert: `action` is what the console offers to begin, on `action_on`."""
    return {
        "id": int(alert.ref.id),
        "time": alert.time,
        "severity": str(alert.severity),
        "message": alert.name,
        "object": name_of(config, alert.object),
        "cause": alert.cause,
        "remedy": alert.remedy,
        "action": str(alert.action) if alert.action is not None else None,
        "action_on": name_of(config, alert.action_on or alert.object) if alert.action is not None else None,
    }
