"""Everything that the console shows has a name of its own and readable words, on a lab in trouble, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.display import Display
from tests.e2e.test_inventory import display, folder, walk
from tests.e2e.tools import service
from tests.e2e.walker import Walker, walking

__all__ = ["display", "folder"]


def lun_of(walker: Walker, disk: str) -> Path:
    return Path(next(each["lun"] for each in walker.vx_json("vxdisk", "list") if each["name"] == disk))


@pytest.fixture
def troubled(display: Display, folder: Path) -> Iterator[Walker]:
    """A group of another host, a pulled LUN under a mirror, a stopped volume, a striped one without redundancy."""
    with service(folder):
        pass
    with service(folder, state="elsewhere") as other:
        disks = other.vx_json("vxdisk", "list")
        other.vx("vxdg", "init", "away", [each["name"] for each in disks if each["group"] is None][-1])
    with walking(display, folder) as walker:
        walker.find(("tree", ""), ("table cell", "StorageAgent"))
        walker.vx("vxassist", "-g", "dg1", "make", "rested", "64m")
        walker.vx("vxvol", "-g", "dg1", "stop", "rested")
        walker.vx("vxassist", "-g", "dg1", "make", "third", "64m", "layout=mirror")
        piece = walker.group()["volumes"][0]["plexes"][0]["subdisks"][0]
        lun = lun_of(walker, piece["disk"])
        walker.vx("lab", "fault", str(folder / "lab"), f"{lun.parent.name}/{lun.stem}", "vanish")
        walker.vx("vxdisk", "rescan")
        yield walker


@pytest.mark.timeout(900)
@pytest.mark.parametrize("display", ["2"], indirect=True)
def test_a_lab_in_trouble(troubled: Walker) -> None:
    groups = {each["name"]: each["state"] for each in troubled.vx_json("vxdg", "list")}
    assert groups["away"] != groups["dg1"]
    volumes = {each["name"]: each["status"] for each in troubled.group()["volumes"]}
    assert "Healthy" not in volumes["rested"]
    assert "Healthy" not in (volumes["ev"], volumes["sv"])
    walk(troubled)
