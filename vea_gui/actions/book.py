"""The book of all action rows, in the order of the menus."""

from __future__ import annotations

import functools

from vea_gui.action_rows import ActionBook
from vea_gui.actions import agent, alert, app, disk, group, mirror, schedule, snap, subdisk, task, view, volume

MODULES = (app, view, agent, group, disk, volume, snap, mirror, subdisk, schedule, task, alert)


@functools.cache
def book() -> ActionBook:
    """The console's book."""
    return ActionBook(row for module in MODULES for row in module.ROWS)
