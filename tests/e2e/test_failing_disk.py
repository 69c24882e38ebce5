"""The failing disk from outside: a LUN is pulled under load, hot relocation runs, two clicks replace the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.e2e import steps
from tests.e2e.fio import Fio
from tests.e2e.walker import Node, Walker

NAME, SIZE_MIB = "walk", 128
CONSOLE = ("table", "Console")


def test_a_lun_is_pulled_under_load_and_the_console_leads_back_to_healthy(walker: Walker) -> None:
    steps.make_mirror(walker, NAME, SIZE_MIB)
    walker.vx("vxassist", "-g", "dg1", "remove", "volume", "sv")  # it has one copy only, which would be lost
    made = steps.volume(walker, NAME)
    lost = steps.subdisks(made)[0]["disk"]
    relocate_at_once(walker)
    client = Fio(walker.folder / "fio", walker.uri(f"dg1/{NAME}"), SIZE_MIB << 20)
    try:
        client.wait_until_it_runs()
        pull(walker, lost)
        walker.press("push button", "Rescan")
        told_of(walker, f"{lost} of the disk group*")
        walker.until(lambda: is_whole_without(walker, lost), f"{NAME} whole without {lost}", 120)
        to_the_disk(walker, lost)
        replace(walker, lost)
        walker.until(lambda: has_disk(walker, lost), f"another LUN called {lost}", 120)
        client.finish()
    finally:
        client.close()
    assert steps.volume(walker, NAME)["status"] == "Healthy"
    assert {each["status"] for each in walker.group()["disks"]} == {"Imported"}


def relocate_at_once(walker: Walker) -> None:
    """Control Panel > Hot Relocation: no wait for a missing disk."""
    walker.click(walker.find(("", "Perspectives"), ("", "Control Panel")))
    walker.click(walker.find(("list", "Control Panel"), ("list item", "Hot Relocation")))
    walker.fill(walker.find(("spin button", "Wait for a missing disk (s)")), "0")
    walker.press("push button", "Apply")
    walker.find(("label", "Applied."))
    walker.click(walker.find(("", "Perspectives"), ("", "System")))


def pull(walker: Walker, disk: str) -> None:
    """The LUN's path leads nowhere any more."""
    [lun] = [each["lun"] for each in walker.vx_json("vxdisk", "list") if each["name"] == disk]
    os.rename(lun, Path(lun).with_suffix(".pulled"))


def row(walker: Walker, name: str) -> list[Node]:
    """The cells of the alert whose message begins so, from left to right."""
    message = walker.find(CONSOLE, ("table cell", name))
    _, y, _, height = message["box"]
    cells = [each for each in walker.find_all(CONSOLE, ("table cell", "")) if each["box"] is not None]
    same = [each for each in cells if y <= each["box"][1] + each["box"][3] // 2 < y + height]
    return sorted(same, key=lambda each: each["box"][0])


def told_of(walker: Walker, name: str) -> list[Node]:
    """The alert is there without anybody asking. Newer ones may come meanwhile, and move its row."""
    seen: list[list[Node]] = [[], []]

    def is_still() -> bool:
        seen[:] = [seen[1], row(walker, name)]
        return bool(seen[1]) and [each["box"] for each in seen[0]] == [each["box"] for each in seen[1]]

    walker.until(is_still, f"the row of {name} stands still")
    return seen[1]


def is_whole_without(walker: Walker, disk: str) -> bool:
    told: dict[str, Any] = steps.volume(walker, NAME)
    return told["status"] == "Healthy" and disk not in {each["disk"] for each in steps.subdisks(told)}


def has_disk(walker: Walker, name: str) -> bool:
    return any(each["name"] == name and each["status"] == "Imported" for each in walker.group()["disks"])


def to_the_disk(walker: Walker, disk: str) -> None:
    """One click on the alert's object leads the tree to it."""
    cells = told_of(walker, f"{disk} of the disk group*")
    walker.click(next(each for each in cells if each["name"] == disk))
    walker.find(("page tab", "Volumes"), **{"with": ["selected"]})
    walker.find(("tree", ""), ("table cell", disk), **{"with": ["selected"]})


def replace(walker: Walker, disk: str) -> None:
    """One click on the alert's action opens the dialog, which has chosen a LUN; one more does it."""
    cells = told_of(walker, f"{disk} of the disk group*")
    walker.click(next(each for each in cells if each["name"] == "Replace Disk..."))
    asking = steps.dialog("Replace Disk")
    walker.click(walker.find(asking, ("push button", "Replace Disk"), **{"with": ["enabled"]}))
    walker.gone(asking)
    walker.vx("vxtask", "wait", "--all")
