"""The command line of what makes volumes smaller, makes their mirrors equal, and brings back what has gone."""

from __future__ import annotations

import pytest

from engine.filesystems.tools import resizable
from engine.host import OpenedHost
from engine.units import MIB
from tests.engine.cli_lab import Line
from tests.engine.small_host import host_fixture

host = host_fixture()


@pytest.fixture
def line(host: OpenedHost) -> Line:
    line = Line(host.socket)
    assert line("vxdg init t Harddisk3 Harddisk4 Harddisk9 Harddisk10").status == 0
    return line


def test_a_volume_shrinks_to_a_size_and_by_one(line: Line) -> None:
    line.do("vxassist -g t make v 12m layout=stripe columns=2")
    done = line.do("vxassist -g t shrinkto v 8m")
    assert done["plan"]["destroys"] == ["v"]
    assert line.volume("t", "v")["size"] == 8 * MIB
    line.do("vxassist -g t shrinkby v 2m")
    volume = line.volume("t", "v")
    assert volume["size"] == 6 * MIB
    assert sum(subdisk["length"] for plex in volume["plexes"] for subdisk in plex["subdisks"]) == 6 * MIB
    refused = line("vxassist -g t shrinkby v 6m")
    assert (refused.status, "can't become smaller by 6 MiB" in refused.err) == (1, True)
    assert line("vxassist -g t shrinkto v max").status == 2
    refused = line("vxassist -g t shrinkto v 7m")
    assert (refused.status, "has 6 MiB" in refused.err) == (1, True)


def test_mirrors_are_verified_and_made_equal_to_one(line: Line) -> None:
    line.do("vxassist -g t make v 4m layout=mirror")
    volume = line.volume("t", "v")
    place, other = volume["plexes"][1]["subdisks"][0], volume["plexes"][0]["name"]
    lun = next(disk["lun"] for disk in line.ask("vxdisk list") if disk["name"] == place["disk"])
    with open(lun, "r+b") as file:
        file.seek(place["disk_offset"] + 2 * MIB)
        file.write(b"differs")
    found = line("vxvol -g t verify v")
    assert found.status == 1
    assert "differ in one place, at 2 MiB" in found.err
    done = line.do(f"vxvol -g t repair v {other}")
    assert done["task"]["result"] == f"4 KiB that differed were made equal to {other}."
    assert line("vxvol -g t verify v").status == 0
    assert line("vxvol -g t repair v nothing").status == 1


def test_saved_configurations_are_listed_and_brought_back(line: Line) -> None:
    line.do("vxassist -g t make v 4m layout=mirror logtype=none")
    before = line.volume("t", "v")
    line.do("vxassist -g t remove volume v")
    (first, last) = [row for row in line.ask("vxdg backup list t")]
    assert (first["volumes"], last["volumes"], last["before"]) == (0, 1, "Delete Volume v")
    assert str(last["number"]) in line("vxdg backup list t").out
    line.do(f"vxdg backup restore t {last['number']}")
    after = line.volume("t", "v")
    assert after["started"] is False
    assert [plex["subdisks"] for plex in after["plexes"]] == [plex["subdisks"] for plex in before["plexes"]]
    assert [plex["state"] for plex in after["plexes"]] == ["CLEAN", "STALE"]
    refused = line("vxdg backup restore t 99")
    assert (refused.status, "no configuration backup 99 of t" in refused.err) == (1, True)
    assert line.ask("vxdg backup list nothing") == []


def test_a_file_system_that_is_none_is_not_resized(line: Line) -> None:
    line.do("vxassist -g t make v 4m")
    refused = line("vxassist -g t resizefs v")
    assert refused.status == 1
    assert "No known file system stands on v." in refused.err
    assert isinstance(resizable(), tuple)
