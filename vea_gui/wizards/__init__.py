"""Wizards and dialogs, by the names under which actions ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QDialog

from vea_gui.console import Console
from vea_gui.selection import Selection
from vea_gui.wizards.backups import restore_configuration
from vea_gui.wizards.columns import add_column
from vea_gui.wizards.dialog import FormDialog
from vea_gui.wizards.drives import change_drive, format_volume
from vea_gui.wizards.file_system import resize_file_system
from vea_gui.wizards.form import Form
from vea_gui.wizards.groups import add_disk, import_group, join_groups, new_group, split_group
from vea_gui.wizards.luns import add_lun
from vea_gui.wizards.mirrors import add_mirror, break_mirror, remove_mirror, set_volume_usage
from vea_gui.wizards.move_subdisk import evacuate_disk, move_subdisk
from vea_gui.wizards.new_volume import new_volume
from vea_gui.wizards.objects import rename, set_disk_usage, throttle_task, undo_task
from vea_gui.wizards.quiesce_settings import quiesce_settings
from vea_gui.wizards.repair import repair_volume, replace_disk, undo_relocation
from vea_gui.wizards.resize import resize_volume
from vea_gui.wizards.schedules import change_schedule, schedule_snapshots
from vea_gui.wizards.scrub import repair_mirrors
from vea_gui.wizards.snap_back import snap_back
from vea_gui.wizards.snap_prepare import abort_snapshot, prepare_snapshot
from vea_gui.wizards.snap_refresh import refresh_snapshots
from vea_gui.wizards.snap_shot import snap_shot
from vea_gui.wizards.subdisks import join_subdisks, split_subdisk

FORMS: dict[str, Callable[..., Form]] = {
    "new_group": new_group,
    "add_disk": add_disk,
    "import_group": import_group,
    "split_group": split_group,
    "join_groups": join_groups,
    "restore_configuration": restore_configuration,
    "new_volume": new_volume,
    "resize_volume": resize_volume,
    "add_column": add_column,
    "format_volume": format_volume,
    "change_drive": change_drive,
    "resize_file_system": resize_file_system,
    "repair_mirrors": repair_mirrors,
    "add_mirror": add_mirror,
    "remove_mirror": remove_mirror,
    "break_mirror": break_mirror,
    "set_volume_usage": set_volume_usage,
    "move_subdisk": move_subdisk,
    "evacuate_disk": evacuate_disk,
    "split_subdisk": split_subdisk,
    "join_subdisks": join_subdisks,
    "replace_disk": replace_disk,
    "repair_volume": repair_volume,
    "undo_relocation": undo_relocation,
    "prepare_snapshot": prepare_snapshot,
    "abort_snapshot": abort_snapshot,
    "snap_shot": snap_shot,
    "snap_back": snap_back,
    "refresh_snapshots": refresh_snapshots,
    "quiesce_settings": quiesce_settings,
    "rename": rename,
    "set_disk_usage": set_disk_usage,
    "add_lun": add_lun,
    "throttle_task": throttle_task,
    "undo_task": undo_task,
    "schedule_snapshots": schedule_snapshots,
    "change_schedule": change_schedule,
}
"""Name -> what makes its form from today's records, the selection, and what else was handed over."""


def _opener(make: Callable[..., Form]) -> Callable[..., QDialog]:
    def opened(console: Console, selection: Selection, *more: Any) -> QDialog:
        return FormDialog(console, make(console.config, selection, *more))

    return opened


REGISTRY: dict[str, Callable[..., QDialog]] = {name: _opener(make) for name, make in FORMS.items()}
"""Each is called with the console, a selection, and what the caller adds, and answers a dialog to open."""
