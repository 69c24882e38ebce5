"""What an operator does without a mouse; the same steps as `steps`, and nothing of them uses a pointer."""

from __future__ import annotations

import pytest

from tests.e2e.steps import dialog
from tests.e2e.walker import Walker


def make_mirror(walker: Walker, name: str, mebibytes: int) -> None:
    wizard = dialog("New Volume")
    walker.find(("table cell", "StorageAgent"))
    walker.key("ctrl+shift+v")
    walker.find(wizard, ("push button", "Next"), **{"with": ["enabled"]})
    walker.key("alt+n")
    walker.find(wizard, ("", "Group name:"))
    walker.find(wizard, ("push button", "Next"), **{"with": ["enabled"]})
    walker.key("alt+n")
    walker.find(wizard, ("text", "Volume name"), **{"with": ["focused"]})
    walker.key("ctrl+a")
    walker.type(name)
    walker.walk_to("Size")
    walker.key("ctrl+a")
    walker.type(f"{mebibytes} MiB")
    walker.walk_to("Mirrored")
    walker.key("space")
    walker.find(wizard, ("check box", "Mirrored"), **{"with": ["checked"]})
    for what in ("Drive letter", "Format this volume", "What will happen"):
        walker.find(wizard, ("push button", "Next"), **{"with": ["enabled"]})
        walker.key("alt+n")
        walker.find(wizard, ("", f"{what}*"))
    walker.find(wizard, ("push button", "Finish"), **{"with": ["enabled"]})
    walker.key("alt+f")
    walker.gone(wizard)
    walker.vx("vxtask", "wait", "--all")


def go_to_tab(walker: Walker, title: str, address: str = "vea://localhost/StorageAgent/DiskGroups/dg1") -> None:
    """By the address bar, then by the tab's number."""
    walker.key("ctrl+l")
    walker.find(("text", "Address"), **{"with": ["focused"]})
    walker.key("ctrl+a")
    walker.type(address)
    walker.key("Return")
    walker.find(("page tab", title))
    titles = [each["name"] for each in walker.find_all(("filler", "Views"), ("page tab", ""))]
    walker.key(f"ctrl+{titles.index(title) + 1}")
    walker.find(("page tab", title), **{"with": ["selected"]})


def move(walker: Walker, plex: str, disk: str) -> None:
    """Walk to the block, lift it, walk to the disk, drop it, confirm."""
    go_to_tab(walker, "Disk View")
    for _ in range(60):  # past the tab of the same name, into the picture
        if walker.step("Tab")["role"] in ("list", "list item"):
            break
    else:
        pytest.fail("Tab never reached the blocks")
    walker.walk_to(f"{plex},", key="Right")
    walker.step("space")
    for _ in range(20):
        here = walker.focus()
        if here and f", {disk} at" in here["name"]:
            break
        walker.step("Right")
    else:
        pytest.fail(f"arrows never reached {disk}")
    walker.key("Return")
    moving = dialog("Move Subdisk")
    walker.find(moving, ("push button", "OK"), **{"with": ["enabled"]})
    walker.key("Return")
    walker.gone(moving)
    walker.vx("vxtask", "wait", "--all")


def stand_on_row(walker: Walker, table: str, name: str) -> None:
    """Tab into a table, and down to a row."""
    go_to_tab(walker, table)
    node = walker.walk_to("")
    while node["role"] not in ("table", "table cell"):
        node = walker.step("Tab")
    if not walker.step("Down")["name"].startswith(name):  # the first row has the keyboard without a word
        walker.walk_to(name, key="Up")


def expand(walker: Walker, name: str, mebibytes: int) -> None:
    stand_on_row(walker, "Volumes", name)
    walker.key("shift+F10")
    walker.find(("", "Resize Volume..."), popup=True)
    walker.walk_to("Resize Volume...", key="Down")
    walker.key("Return")
    asking = dialog("Resize Volume")
    walker.find(asking, ("text", "New size"))
    walker.walk_to("New size")
    walker.key("ctrl+a")
    walker.type(f"{mebibytes} MiB")
    walker.find(asking, ("table cell", f"*{mebibytes} MiB"))
    walker.find(asking, ("push button", "OK"), **{"with": ["enabled"]})
    walker.key("Return")
    walker.gone(asking)
    walker.vx("vxtask", "wait", "--all")


def delete(walker: Walker, name: str) -> None:
    stand_on_row(walker, "Volumes", name)
    walker.key("Delete")
    asking = ("alert", "Delete*")
    walker.find(asking, ("push button", "Delete*"))
    walker.walk_to("Delete")
    walker.key("space")
    walker.gone(asking)
    walker.gone(("table cell", name))
    walker.vx("vxtask", "wait", "--all")
