"""The paper's ten steps to a snapshot set and its nine steps to a recovery, from outside: by label, by mouse, on bytes.

The same steps are the readme's tour of snapshots.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import steps
from tests.e2e.bytes_on_luns import plex_digest
from tests.e2e.display import until
from tests.e2e.snap_steps import BACK, DEADLINE_S, PREPARE, WIZARD, choose, gone, page, pick
from tests.e2e.walker import Walker

SIZE_MIB = 16
VOLUMES = {"db": "SnapVolume01", "logs": "SnapVolume02"}


@pytest.fixture
def lab(walker: Walker) -> Walker:
    """Volumes `db` and `logs` in dg1, with known bytes."""
    walker.find(("tree", ""), ("table cell", "StorageAgent"), within=DEADLINE_S)
    for name in VOLUMES:
        walker.vx("vxassist", "-g", "dg1", "make", name, f"{SIZE_MIB}m")
    fill(walker, "before")
    return walker


@pytest.mark.timeout(600)
def test_the_papers_steps_to_a_set_and_back(lab: Walker) -> None:
    before = {name: digests(lab, name) for name in VOLUMES}
    step_1_and_2_a_console_that_is_connected(lab)
    step_3_expand_disk_groups(lab)
    step_4_click_the_disk_group(lab)
    step_5_select_the_volumes_tab(lab)
    prepare(lab, "db")
    step_6_snap_shot_from_the_context_menu(lab)
    step_7_next_in_the_wizard(lab)
    prepare_in_the_wizard(lab, "logs")
    step_8_add_the_other_volume(lab, "logs")
    step_9_change_attributes(lab, lab.folder / "hyperbackup.xml")
    step_10_finish(lab)
    for name, snapshot in VOLUMES.items():
        assert digests(lab, snapshot) == before[name], f"{snapshot} has other bytes than {name} had"
    fill(lab, "after")
    for name, snapshot in VOLUMES.items():
        assert digests(lab, name) != before[name]
        assert digests(lab, snapshot) == before[name]
    recover(lab, before)


def recover(walker: Walker, before: dict[str, set[str]]) -> None:
    """The nine steps; 1 to 5 are those of the snapshot. The file of the set tells the same."""
    assert (walker.folder / "hyperbackup.xml").read_text().count("<snapshot ") == len(VOLUMES)
    step_3_expand_disk_groups(walker)
    step_4_click_the_disk_group(walker)
    step_5_select_the_volumes_tab(walker)
    for snapshot in VOLUMES.values():
        recovery_6_snap_back_from_the_context_menu(walker, snapshot)
        recovery_7_resynchronize_using_the_snapshot(walker)
        recovery_8_yes(walker)
    walker.vx("vxtask", "wait", "--all")
    names = [each["name"] for each in walker.group()["volumes"]]
    assert not set(VOLUMES.values()) & set(names)
    for name in VOLUMES:
        until(DEADLINE_S, lambda name=name: digests(walker, name) == before[name], f"{name} as it was, on every plex")


# --- the snapshot ---
def step_1_and_2_a_console_that_is_connected(walker: Walker) -> None:
    walker.find(steps.WINDOW, within=DEADLINE_S)
    walker.find(("tree", ""), ("table cell", "localhost"), within=DEADLINE_S)


def step_3_expand_disk_groups(walker: Walker) -> None:
    folder = walker.find(("tree", ""), ("table cell", "Disk Groups"), within=DEADLINE_S)
    if "expanded" not in folder["states"]:
        walker.click(folder, times=2, at=(0.3, 0.5))
    walker.find(("tree", ""), ("table cell", "dg1"), within=DEADLINE_S)


def step_4_click_the_disk_group(walker: Walker) -> None:
    walker.click(walker.find(("tree", ""), ("table cell", "dg1"), within=DEADLINE_S), at=(0.3, 0.5))
    walker.find(("page tab", "Disk View"), within=DEADLINE_S)


def step_5_select_the_volumes_tab(walker: Walker) -> None:
    walker.click(walker.find(("page tab", "Volumes"), within=DEADLINE_S))
    walker.find(("page tab", "Volumes"), within=DEADLINE_S, **{"with": ["selected"]})


def step_6_snap_shot_from_the_context_menu(walker: Walker) -> None:
    until(DEADLINE_S, lambda: is_prepared(walker, "db"), "db prepared")
    choose(walker, "db", "Snap Shot...", WIZARD)


def step_7_next_in_the_wizard(walker: Walker) -> None:
    page(walker, ("list", "Available Volumes"))


def step_8_add_the_other_volume(walker: Walker, name: str) -> None:
    walker.find(WIZARD, ("list", "Selected Volumes"), ("list item", "db,*"), within=DEADLINE_S)
    item = (WIZARD, ("list", "Available Volumes"), ("list item", f"{name},*"))
    until(DEADLINE_S, lambda: "not prepared" not in walker.find(*item)["name"], f"{name} can be taken")
    pick(walker, name)
    walker.click(walker.find(WIZARD, ("push button", "Add"), within=DEADLINE_S, **{"with": ["enabled"]}))
    walker.find(WIZARD, ("list", "Selected Volumes"), ("list item", f"{name},*"), within=DEADLINE_S)
    page(walker, ("text", "XML file"))


def step_9_change_attributes(walker: Walker, file: Path) -> None:
    for name, snapshot in VOLUMES.items():
        field = walker.find(WIZARD, ("text", f"Snapshot name of {name}"), within=DEADLINE_S)
        assert field["text"] == snapshot
    field = walker.find(WIZARD, ("text", "XML file"), within=DEADLINE_S)
    walker.fill(field, str(file))
    path = [WIZARD, ("text", "XML file")]
    until(DEADLINE_S, lambda: walker.find(*path)["text"] == str(file), "the file's name")
    page(walker, ("table", "What will happen"))


def step_10_finish(walker: Walker) -> None:
    walker.click(walker.find(WIZARD, ("push button", "Finish"), within=DEADLINE_S, **{"with": ["enabled"]}))
    gone(walker, WIZARD)
    until(DEADLINE_S, (walker.folder / "hyperbackup.xml").exists, "the file of the set")
    for snapshot in VOLUMES.values():
        walker.find(("table", "Volumes"), ("table cell", snapshot), within=DEADLINE_S)


# --- the recovery ---
def recovery_6_snap_back_from_the_context_menu(walker: Walker, snapshot: str) -> None:
    choose(walker, snapshot, "Snap Back...", BACK)


def recovery_7_resynchronize_using_the_snapshot(walker: Walker) -> None:
    choice = (BACK, ("radio button", "Resynchronize using the snapshot"))
    walker.click(walker.find(*choice, within=DEADLINE_S, **{"with": ["enabled"]}), at=(0.05, 0.5))
    walker.find(*choice, within=DEADLINE_S, **{"with": ["checked"]})
    walker.find(BACK, ("label", "*, using the snapshot"), within=DEADLINE_S)
    walker.click(walker.find(BACK, ("push button", "OK"), within=DEADLINE_S, **{"with": ["enabled"]}))


def recovery_8_yes(walker: Walker) -> None:
    warning = ("alert", "Snap Back*")
    walker.find(warning, ("label", "*will be overwritten"), within=DEADLINE_S)
    walker.click(walker.find(warning, ("push button", "Yes"), within=DEADLINE_S, **{"with": ["enabled"]}))
    gone(walker, BACK)


# --- prepared once, before the first snapshot ---
def prepare(walker: Walker, name: str) -> None:
    choose(walker, name, "Prepare...", PREPARE)
    finish_prepare(walker)


def prepare_in_the_wizard(walker: Walker, name: str) -> None:
    """The row says why it cannot be taken; the button beneath helps, while the wizard stays open."""
    assert "not prepared" in pick(walker, name)["name"]
    walker.click(walker.find(WIZARD, ("push button", "Prepare..."), within=DEADLINE_S, **{"with": ["enabled"]}))
    walker.find(PREPARE, within=DEADLINE_S)
    finish_prepare(walker)


def finish_prepare(walker: Walker) -> None:
    walker.click(walker.find(PREPARE, ("push button", "Prepare"), within=DEADLINE_S, **{"with": ["enabled"]}))
    gone(walker, PREPARE)


def is_prepared(walker: Walker, name: str) -> bool:
    return any(row["state"] == "Snap Ready" for row in walker.vx_json("vxsnap", "-g", "dg1", "list", name))


# --- bytes ---
def fill(walker: Walker, seed: str) -> None:
    """Other bytes for every volume, written through its export and flushed."""
    for name in VOLUMES:
        content = walker.folder / "content"
        content.write_bytes(random.Random(f"{seed} {name}").randbytes(SIZE_MIB << 20))
        uri = walker.uri(f"dg1/{name}")
        subprocess.run(["nbdcopy", "--flush", str(content), uri], check=True, timeout=DEADLINE_S)


def digests(walker: Walker, name: str) -> set[str]:
    """Of every plex of a volume, read from the LUN files."""
    group: dict[str, Any] = walker.group()
    volume = next(each for each in group["volumes"] if each["name"] == name)
    return {plex_digest(group, plex) for plex in volume["plexes"]}
