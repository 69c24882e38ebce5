"""Lost disks from the command line: repaired, brought home, replaced, returned to service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cli_lab import Line
from tests.engine.small_host import small_host


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with small_host(tmp_path) as host:
        line = Line(host.socket)
        assert line("vxdg init t Harddisk3 Harddisk4 Harddisk9 Harddisk10").status == 0
        for name in ("a", "b"):
            line.do(f"vxassist -g t make {name} 8m layout=mirror alloc=Harddisk3,Harddisk9")
        yield line


def disk(line: Line, name: str) -> dict[str, Any]:
    (found,) = [row for row in line.ask("vxdisk list") if row["name"] == name]
    return dict(found)


def places(line: Line, volume: str) -> set[str]:
    return {sd["disk"] for plex in line.volume("t", volume)["plexes"] for sd in plex["subdisks"]}


def pull(line: Line, name: str) -> Path:
    path = Path(disk(line, name)["lun"])
    path.rename(path.with_suffix(".away"))
    assert line("vxdisk rescan").status == 0
    assert disk(line, name)["status"] == "Missing"
    return path


def test_both_volumes_of_a_lost_disk_are_repaired_and_come_home(line: Line) -> None:
    path = pull(line, "Harddisk3")
    assert line.volume("t", "a")["status"] == "Failed Redundancy"
    done = line("vxassist -g t repair a b")
    assert done.status == 0, done.err
    assert done.out.count("done") == 2, "it waits for the task of each volume"
    for name in ("a", "b"):
        assert line.volume("t", name)["status"] == "Healthy"
        assert "Harddisk3" not in places(line, name)
    refused = line("vxdisk unreloc Harddisk3")
    assert refused.status == 1
    assert "Harddisk3 is missing." in refused.err
    path.with_suffix(".away").rename(path)
    assert line("vxdisk rescan").status == 0
    line.do("vxdisk unreloc Harddisk3")
    assert places(line, "a") == places(line, "b") == {"Harddisk3", "Harddisk9"}


def test_a_missing_disk_is_replaced_by_a_lun_that_takes_its_name(line: Line) -> None:
    old = pull(line, "Harddisk3")
    lun = disk(line, "Harddisk5")["lun"]
    shown = line("vxdisk replace Harddisk3 Harddisk5 --plan")
    assert shown.status == 0
    assert "Replace Harddisk3 by Harddisk5" in shown.out
    done = line("vxdisk replace Harddisk3 Harddisk5")
    assert done.status == 0, done.err
    now = disk(line, "Harddisk3")
    assert (now["lun"], now["status"], now["group"]) == (lun, "Imported", "t")
    assert {line.volume("t", name)["status"] for name in ("a", "b")} == {"Healthy"}
    assert line(f"vxdisk add-lun {old}").status == 1  # it is not there


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("vxdisk reactivate Harddisk3", "no error was seen"),
        ("vxdisk replace Harddisk3 Harddisk5", "neither missing nor failing"),
        ("vxdisk unreloc Harddisk3", "Nothing was relocated"),
        ("vxassist -g t repair a", "lacks nothing"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(line: Line, text: str, why: str) -> None:
    answer = line(text)
    assert answer.status == 1
    assert why in answer.err
