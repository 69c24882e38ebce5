"""The main job by keyboard alone, and by mouse: after each step both engines say the same of their configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e import keys, steps
from tests.e2e.display import Display
from tests.e2e.walker import Walker, walking

NAME, FIRST_MIB, LATER_MIB = "both", 64, 96
Step = Callable[[Walker], None]
BY_MOUSE: tuple[Step, ...] = (
    lambda w: steps.make_mirror(w, NAME, FIRST_MIB),
    lambda w: (steps.open_disk_view(w), steps.move_by_drag(w, f"{NAME}-01", target(w)))[-1],
    lambda w: steps.expand(w, NAME, LATER_MIB),
    lambda w: steps.delete(w, NAME),
)
BY_KEYS: tuple[Step, ...] = (
    lambda w: keys.make_mirror(w, NAME, FIRST_MIB),
    lambda w: keys.move(w, f"{NAME}-01", target(w)),
    lambda w: keys.expand(w, NAME, LATER_MIB),
    lambda w: keys.delete(w, NAME),
)


def target(walker: Walker) -> str:
    return steps.other_disk(walker, steps.volume(walker, NAME))


def told(walker: Walker) -> Any:
    """What vxprint says, less what no two labs share: ids, folders of the LUN files, what is dirty at this moment."""
    groups = walker.vx_json("vxprint")["groups"]
    for group in groups:
        del group["id"]
        for volume in group["volumes"]:
            if volume["dirty_log"] is not None:
                del volume["dirty_log"]["dirty"]
        for disk in group["disks"]:
            disk["lun"] = "/".join(Path(disk["lun"]).parts[-2:])
    return groups


def walked(display: Display, folder: Path, way: tuple[Step, ...]) -> list[Any]:
    """What is told after each step on a fresh lab."""
    with walking(display, folder) as walker:
        found = []
        for step in way:
            step(walker)
            walker.vx("vxtask", "wait", "--all")
            found.append(told(walker))
        return found


def test_keyboard_and_mouse_end_in_the_same_configuration(display: Display, tmp_path: Path) -> None:
    by_keys = walked(display, tmp_path / "keys", BY_KEYS)
    by_mouse = walked(display, tmp_path / "mouse", BY_MOUSE)
    made, moved, grown, deleted = by_keys
    assert by_keys == by_mouse
    assert NAME in str(made)
    assert moved != made
    assert grown[0]["volumes"] != moved[0]["volumes"]
    assert NAME not in str(deleted)
