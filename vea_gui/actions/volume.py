"""Actions of volumes."""

from __future__ import annotations

from engine import rules
from engine.commands import (
    AddLog,
    DeleteVolumes,
    RemoveLog,
    ResyncVolume,
    StartVolumes,
    StopVolumes,
    VerifyVolume,
)
from engine.records import Kind, Ref, Volume
from vea_gui.action_rows import Action, asks
from vea_gui.actions import reasons
from vea_gui.console import Console
from vea_gui.selection import Selection

VOLUME = (Kind.VOLUME.value,)


def _refs(selection: Selection) -> tuple[Ref, ...]:
    return tuple(volume.ref for volume in selection.of(Volume))


def _resync(console: Console, selection: Selection) -> None:
    console.carry_out(*(ResyncVolume(volume=volume.ref) for volume in selection.of(Volume)))


def _add_log(console: Console, selection: Selection) -> None:
    console.carry_out(*(AddLog(volume=volume.ref) for volume in selection.of(Volume)))


def _remove_log(console: Console, selection: Selection) -> None:
    console.carry_out(*(RemoveLog(volume=volume.ref) for volume in selection.of(Volume)))


def _verify(console: Console, selection: Selection) -> None:
    console.carry_out(*(VerifyVolume(volume=volume.ref) for volume in selection.of(Volume)))


ROWS = (
    Action(
        "delete-volume",
        "Delete Volume...",
        lambda console, selection: console.carry_out(DeleteVolumes(volumes=_refs(selection))),
        VOLUME,
        reasons.one_group(reasons.each(Volume, rules.volume_ready, reasons.unused)),
        icon="delete",
        shortcut="Del",
        section=20,
        plural="Delete {} Volumes...",
    ),
    Action(
        "resize-volume",
        "Resize Volume...",
        asks("resize_volume"),
        VOLUME,
        reasons.each(Volume, rules.volume_ready, rules.not_initializing),
        section=20,
    ),
    Action(
        "add-mirror",
        "Add...",
        asks("add_mirror"),
        VOLUME,
        reasons.each(Volume, rules.volume_ready, rules.not_initializing, reasons.no_parity, rules.has_source),
        submenu="Mirror",
        section=30,
    ),
    Action(
        "remove-mirrors",
        "Remove...",
        asks("remove_mirror"),
        VOLUME,
        reasons.each(Volume, rules.volume_ready, reasons.several_mirrors, reasons.any_mirror_can_go),
        submenu="Mirror",
        section=30,
    ),
    Action(
        "break-mirrors",
        "Break...",
        asks("break_mirror"),
        VOLUME,
        reasons.each(Volume, rules.volume_ready, reasons.several_mirrors, reasons.any_mirror_can_break),
        submenu="Mirror",
        section=30,
    ),
    Action(
        "set-volume-usage",
        "Set Volume Usage...",
        asks("set_volume_usage"),
        VOLUME,
        reasons.each(Volume, reasons.group_of_volume_imported, reasons.several_mirrors),
        submenu="Mirror",
        section=30,
    ),
    Action(
        "add-column",
        "Add Column...",
        asks("add_column"),
        VOLUME,
        reasons.each(Volume, rules.volume_ready, rules.not_initializing, reasons.is_striped),
        section=35,
    ),
    Action(
        "format-volume",
        "Format...",
        asks("format_volume"),
        VOLUME,
        reasons.each(Volume, rules.volume_ready, rules.not_initializing, reasons.unused),
        submenu="File System",
        section=35,
    ),
    Action(
        "change-drive",
        "Change Drive Letter and Path...",
        asks("change_drive"),
        VOLUME,
        reasons.each(Volume, rules.volume_ready),
        submenu="File System",
        section=35,
    ),
    Action(
        "resize-file-system",
        "Resize...",
        asks("resize_file_system"),
        VOLUME,
        reasons.each(Volume, rules.volume_ready, rules.not_initializing, reasons.unused),
        submenu="File System",
        section=35,
    ),
    Action(
        "start-volume",
        "Start Volume",
        lambda console, selection: console.carry_out(StartVolumes(volumes=_refs(selection))),
        VOLUME,
        reasons.one_group(reasons.cannot_start),
        icon="resume",
        section=40,
        plural="Start {} Volumes",
    ),
    Action(
        "stop-volume",
        "Stop Volume",
        lambda console, selection: console.carry_out(StopVolumes(volumes=_refs(selection))),
        VOLUME,
        reasons.one_group(reasons.cannot_stop(force=False)),
        icon="abort",
        section=40,
        plural="Stop {} Volumes",
    ),
    Action(
        "stop-volume-force",
        "Stop Volume and Disconnect Clients...",
        lambda console, selection: console.carry_out(StopVolumes(volumes=_refs(selection), force=True)),
        VOLUME,
        reasons.one_group(reasons.cannot_stop(force=True)),
        section=40,
        plural="Stop {} Volumes and Disconnect Clients...",
    ),
    Action(
        "repair-volume",
        "Repair Volume...",
        asks("repair_volume"),
        VOLUME,
        reasons.one_group(
            reasons.each(
                Volume,
                rules.volume_ready,
                rules.not_initializing,
                rules.takes_writes,
                reasons.something_lost,
                rules.has_source,
            )
        ),
        icon="repair",
        section=45,
        plural="Repair {} Volumes...",
    ),
    Action(
        "add-log",
        "Add",
        _add_log,
        VOLUME,
        reasons.each(
            Volume, rules.volume_ready, rules.not_initializing, rules.may_have_log, rules.log_wanted, rules.takes_writes
        ),
        submenu="Log",
        section=30,
    ),
    Action(
        "remove-log",
        "Remove...",
        _remove_log,
        VOLUME,
        reasons.each(Volume, rules.volume_ready, rules.may_have_log, rules.has_log, rules.takes_writes),
        submenu="Log",
        section=30,
    ),
    Action(
        "resync-volume",
        "Resynchronize",
        _resync,
        VOLUME,
        reasons.each(
            Volume,
            rules.volume_ready,
            rules.not_initializing,
            reasons.something_to_equal,
            rules.has_source,
            reasons.two_present,
        ),
        section=50,
        plural="Resynchronize {} Volumes",
    ),
    Action(
        "verify-volume",
        "Verify",
        _verify,
        VOLUME,
        reasons.each(Volume, rules.volume_ready, rules.not_initializing, reasons.not_in_doubt, rules.has_source),
        section=50,
        plural="Verify {} Volumes",
    ),
    Action(
        "repair-mirrors",
        "Verify and Repair...",
        asks("repair_mirrors"),
        VOLUME,
        reasons.each(
            Volume,
            rules.volume_ready,
            rules.not_initializing,
            reasons.several_mirrors,
            reasons.not_in_doubt,
            reasons.two_complete,
        ),
        section=50,
    ),
    Action(
        "rename-volume",
        "Rename...",
        asks("rename"),
        VOLUME,
        reasons.each(Volume, reasons.group_of_volume_imported),
        shortcut="F2",
        section=60,
    ),
)
