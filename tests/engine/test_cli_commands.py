"""The command line from end to end: real programs' code, a real socket, a real engine on real files."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import commands
from engine.config import Config
from engine.engine import Engine
from engine.host import OpenedHost
from engine.records import Kind, Ref
from engine.units import KIB, MIB
from tests.engine.cli_lab import Line
from tests.engine.cli_program import Program
from tests.engine.nbd_peer import Client
from tests.engine.small_host import LUN_SIZE, small_host

NBD_WRITE, NBD_FLUSH = 1, 3
FREE = ["Harddisk3", "Harddisk4", "Harddisk5", "Harddisk9", "Harddisk10"]
"""Disks of the test's own group; Harddisk11 stays outside."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedHost]:
    with small_host(tmp_path_factory.mktemp("cli")) as opened:
        yield opened


@pytest.fixture
def line(host: OpenedHost) -> Iterator[Line]:
    """A group `t` of five disks for the test, gone afterwards."""
    line = Line(host.socket)
    assert line(f"vxdg init t {' '.join(FREE)}").status == 0
    yield line
    for group in line.ask("vxdg list"):
        if group["name"] == "dg1":
            continue
        if group["state"] != "Imported":
            line(f"vxdg import {group['name']}")
        for volume in line.group(group["name"])["volumes"]:
            line(f"vxassist -g {group['name']} -f remove volume {volume['name']}")  # a client may be just leaving
        assert line(f"vxdg destroy {group['name']}").status == 0
    for disk in line.ask("vxdisk list"):
        if disk["usage"] != "normal":
            line(f"vxdisk set {disk['name']} usage=normal")


def subdisks(volume: dict[str, Any]) -> list[dict[str, Any]]:
    return [subdisk for plex in volume["plexes"] for subdisk in plex["subdisks"]]


def test_disks_are_listed_as_promised(line: Line) -> None:
    disks = {disk["name"]: disk for disk in line.ask("vxdisk list")}
    assert list(disks) == [f"Harddisk{number}" for number in range(12)]
    first, outside = disks["Harddisk0"], disks["Harddisk11"]
    assert (first["size"], first["group"], first["enclosure"], first["paths"]) == (LUN_SIZE, "dg1", "lab0", 1)
    assert first["status"] == "Imported"
    assert first["lun"].endswith("/lab/lab0/lun00.img")
    assert (outside["group"], outside["status"], outside["enclosure"]) == (None, "Online", "lab1")
    human = line("vxdisk list").out.splitlines()
    assert len(human) == 13
    assert human[0].split()[0] == "DISK"
    assert "64 MiB" in human[1]


def test_the_lab_is_printed_as_promised(line: Line) -> None:
    ev, sv = line.volume("dg1", "ev"), line.volume("dg1", "sv")
    assert (ev["layout"], ev["status"], ev["state"]) == ("mirror", "Healthy", "ENABLED")
    assert [plex["name"] for plex in ev["plexes"]] == ["ev-01", "ev-02"]
    assert all(plex["complete"] and plex["layout"] == "concat" for plex in ev["plexes"])
    assert (sv["layout"], sv["plexes"][0]["columns"], sv["plexes"][0]["stripe_unit"]) == ("stripe", 2, 64 * KIB)
    assert sorted(subdisk["column"] for subdisk in subdisks(sv)) == [0, 1]
    for each in (*subdisks(ev), *subdisks(sv)):
        assert set(each) == {"name", "disk", "disk_offset", "plex_offset", "column", "length"}
    only = line.ask("vxprint -g dg1 sv")["groups"]
    assert [volume["name"] for volume in only[0]["volumes"]] == ["sv"]
    assert "ev-01" in line("vxprint ev").out
    assert [group["name"] for group in line.ask("vxprint t")["groups"]] == ["t"]


LAYOUTS = [
    ("", "concat", 1, 1),
    ("layout=concat", "concat", 1, 1),
    ("layout=stripe", "stripe", 1, 2),
    ("layout=stripe columns=4 stripeunit=16k", "stripe", 1, 4),
    ("layout=mirror", "mirror", 2, 1),
    ("mirror=3", "mirror", 3, 1),
    ("layout=mirror mirror=4", "mirror", 4, 1),
    ("layout=mirror-stripe", "mirror-stripe", 2, 2),
    ("alloc=Harddisk9,Harddisk4 layout=mirror logtype=none", "mirror", 2, 1),
    ("layout=raid5", "raid5", 1, 3),
    ("layout=raid5 columns=5 stripeunit=32k logtype=none", "raid5", 1, 5),
]


@pytest.mark.parametrize(("settings", "layout", "plexes", "columns"), LAYOUTS)
def test_a_volume_of_each_layout_is_made_and_grown_and_removed(
    line: Line, settings: str, layout: str, plexes: int, columns: int
) -> None:
    done = line.do(f"vxassist -g t make v 6m {settings}")
    assert done["task"]["object"] == "v"
    volume = line.volume("t", "v")
    assert (volume["size"], volume["layout"], len(volume["plexes"])) == (6 * MIB, layout, plexes)
    assert all(plex["columns"] == columns for plex in volume["plexes"])
    used = [{subdisk["disk"] for subdisk in plex["subdisks"]} for plex in volume["plexes"]]
    assert len(set().union(*used)) == sum(len(disks) for disks in used) == plexes * columns
    if "alloc" in settings:
        assert set().union(*used) == {"Harddisk9", "Harddisk4"}
    line.do("vxassist -g t growby v 2m")
    line.do("vxassist -g t growto v 16m")
    assert line.volume("t", "v")["size"] == 16 * MIB
    line.do("vxassist -g t remove volume v")
    assert line.group("t")["volumes"] == []


def test_a_raid5_volume_shows_its_log_and_the_states_of_its_pieces(line: Line) -> None:
    line.do("vxassist -g t make v 6m layout=raid5")
    volume = line.volume("t", "v")
    (log,) = volume["logs"]
    assert (log["name"], log["state"], log["layout"]) == ("v-02", "ACTIVE", "log")
    (plex,) = volume["plexes"]
    assert [subdisk["state"] for subdisk in plex["subdisks"]] == ["GOOD"] * 3
    assert log["subdisks"][0]["disk"] not in {subdisk["disk"] for subdisk in plex["subdisks"]}
    assert "v-02" in line("vxprint -g t v").out
    line.do("vxassist -g t remove log v")
    assert line.volume("t", "v")["logs"] == []
    line.do("vxassist -g t addlog v")
    assert [log["state"] for log in line.volume("t", "v")["logs"]] == ["ACTIVE"]
    line.do("vxvol -g t verify v")


def test_max_is_what_maxsize_says_and_leaves_no_room(line: Line) -> None:
    most = line.ask("vxassist -g t maxsize layout=mirror")["size"]
    line.do("vxassist -g t make v max layout=mirror")
    assert line.volume("t", "v")["size"] == most
    assert line("vxassist -g t maxgrow v --json").status in (0, 1)
    refused = line(f"vxassist -g t make w {most + MIB} layout=mirror")
    assert refused.status == 1
    assert refused.out == ""


def test_maxgrow_is_the_size_that_growto_reaches(line: Line) -> None:
    line.do("vxassist -g t make v 4m")
    most = line.ask("vxassist -g t maxgrow v")["size"]
    assert line(f"vxassist -g t growto v {most + MIB}").status == 1
    line.do("vxassist -g t growto v max")
    assert line.volume("t", "v")["size"] == most


def test_sizes_are_rounded_up_and_the_answer_tells_it(line: Line) -> None:
    answer = line("vxassist -g t make v 1500k")
    assert answer.status == 0
    assert "rounded up" in answer.out
    assert "2 MiB" in answer.out
    assert line.volume("t", "v")["size"] == 2 * MIB


def test_mirrors_come_go_break_off_and_are_preferred(line: Line) -> None:
    line.do("vxassist -g t make v 4m")
    done = line.do("vxassist -g t mirror v")
    assert done["plan"]["copies_bytes"] == done["task"]["bytes_copied"] == 4 * MIB
    line.do("vxassist -g t mirror v alloc=Harddisk10")
    names = [plex["name"] for plex in line.volume("t", "v")["plexes"]]
    assert len(names) == 3
    line.do(f"vxvol -g t set v prefer={names[1]}")
    assert line.volume("t", "v")["prefers"] == names[1]
    line.do("vxvol -g t set v prefer=none")
    line.do(f"vxplex -g t break {names[2]} w")
    assert line.volume("t", "w")["layout"] == "concat"
    line.do(f"vxplex -g t rm {names[1]}")
    volume = line.volume("t", "v")
    assert (volume["layout"], len(volume["plexes"])) == ("concat", 1)


@pytest.mark.parametrize(
    ("said", "layout", "columns", "stripe_unit"),
    [
        ("", "concat", 1, 0),
        ("layout=concat", "concat", 1, 0),
        ("layout=stripe", "stripe", 2, 64 * KIB),
        ("layout=stripe columns=3 stripeunit=128k", "stripe", 3, 128 * KIB),
        ("columns=3", "stripe", 3, 64 * KIB),
    ],
)
def test_a_mirror_may_be_laid_out_otherwise_than_the_volume(
    line: Line, said: str, layout: str, columns: int, stripe_unit: int
) -> None:
    line.do("vxassist -g t make v 5m")
    line.do(f"vxassist -g t mirror v {said}")
    made = line.volume("t", "v")["plexes"][1]
    assert (made["layout"], made["columns"], made["stripe_unit"]) == (layout, columns, stripe_unit)
    assert line("vxvol -g t verify v").status == 0


def test_a_mirror_of_a_striped_volume_is_striped_likewise_or_not_at_all(line: Line) -> None:
    line.do("vxassist -g t make v 6m layout=stripe stripeunit=32k")
    line.do("vxassist -g t mirror v layout=stripe")
    line.do("vxassist -g t mirror v layout=concat")
    shapes = [(p["layout"], p["columns"], p["stripe_unit"]) for p in line.volume("t", "v")["plexes"]]
    assert shapes == [("stripe", 2, 32 * KIB), ("stripe", 2, 32 * KIB), ("concat", 1, 0)]
    assert line("vxvol -g t verify v").status == 0


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        ("layout=mirror", 2, "none of concat, stripe"),
        ("layout=concat columns=2", 1, "Only a striped mirror has columns"),
        ("layout=stripe columns=99", 1, "99 columns are not possible"),
        ("layout=stripe stripeunit=3k", 1, "stripe unit of 3"),
    ],
)
def test_a_layout_that_no_mirror_can_have_is_refused(line: Line, said: str, status: int, reason: str) -> None:
    line.do("vxassist -g t make v 4m")
    answer = line(f"vxassist -g t mirror v {said}")
    assert answer.status == status
    assert reason in answer.err


def test_a_mirror_is_detached_and_filled_again(line: Line) -> None:
    line.do("vxassist -g t make v 4m layout=mirror")
    name = line.volume("t", "v")["plexes"][1]["name"]
    line.do(f"vxplex -g t det {name}")
    plex = line.volume("t", "v")["plexes"][1]
    assert (plex["state"], plex["complete"]) == ("OFFLINE", False)
    line.do(f"vxplex -g t att {name}")
    assert line.volume("t", "v")["plexes"][1]["complete"]
    line.do("vxvol -g t verify v")


def test_subdisks_move_split_join_and_are_evacuated(line: Line) -> None:
    line.do("vxassist -g t make v 8m alloc=Harddisk3")
    (only,) = subdisks(line.volume("t", "v"))
    line.do(f"vxsd -g t mv {only['name']} Harddisk5")
    (moved,) = subdisks(line.volume("t", "v"))
    assert moved["disk"] == "Harddisk5"
    offset = moved["disk_offset"] + 20 * MIB
    line.do(f"vxsd -g t mv {moved['name']} Harddisk4:{offset}")
    (placed,) = subdisks(line.volume("t", "v"))
    assert (placed["disk"], placed["disk_offset"]) == ("Harddisk4", offset)
    line.do(f"vxsd -g t split {placed['name']} 3m")
    first, second = subdisks(line.volume("t", "v"))
    assert [(each["plex_offset"], each["length"]) for each in (first, second)] == [(0, 3 * MIB), (3 * MIB, 5 * MIB)]
    line.do(f"vxsd -g t join {first['name']} {second['name']}")
    assert len(subdisks(line.volume("t", "v"))) == 1
    line.do("vxassist -g t evacuate Harddisk4 Harddisk9")
    assert {each["disk"] for each in subdisks(line.volume("t", "v"))} == {"Harddisk9"}
    line.do("vxassist -g t evacuate Harddisk9")
    assert "Harddisk9" not in {each["disk"] for each in subdisks(line.volume("t", "v"))}


def test_volumes_stop_and_start(line: Line) -> None:
    line.do("vxassist -g t make v 4m layout=mirror")
    line.do("vxvol -g t stop v")
    volume = line.volume("t", "v")
    assert (volume["state"], volume["status"], volume["started"]) == ("DISABLED", "Stopped", False)
    assert {plex["state"] for plex in volume["plexes"]} == {"CLEAN"}
    line.do("vxvol -g t start v")
    assert line.volume("t", "v")["state"] == "ENABLED"
    again = line("vxvol -g t start v")
    assert again.status == 1
    assert "started already" in again.err


def test_groups_take_and_give_disks_and_travel(line: Line) -> None:
    line.do("vxdg adddisk t Harddisk11")
    assert len(line.group("t")["disks"]) == 6
    line.do("vxdg rmdisk t Harddisk11")
    assert len(line.group("t")["disks"]) == 5
    line.do("vxassist -g t make v 4m")
    before = line.group("t")
    line.do("vxdg deport t")
    assert line.ask("vxdg list")[1]["state"] == "Deported"
    assert line("vxassist -g t make w 4m").status == 1
    line.do("vxdg import t")
    after = line.group("t")
    assert {**after, "state": ""} == {**before, "state": ""}
    line.do("vxdg deport t")
    line.do("vxdg import t -n other")
    assert line.group("other")["id"] == before["id"]
    line.do("vxdg rename other t")
    assert line("vxdg destroy t").status == 1
    line.do("vxassist -g t remove volume v")


def test_names_and_usage_of_disks(line: Line) -> None:
    line.do("vxdisk set Harddisk10 usage=reserved")
    assert {disk["name"]: disk["usage"] for disk in line.ask("vxdisk list")}["Harddisk10"] == "reserved"
    line.do("vxdisk rename Harddisk11 Spare1")
    assert "Spare1" in line("vxdisk list").out
    line.do("vxdisk rename Spare1 Harddisk11")
    line.do("vxassist -g t make v 4m")
    line.do("vxvol -g t rename v renamed")
    (subdisk,) = subdisks(line.volume("t", "renamed"))
    line.do(f"vxsd -g t rename {subdisk['name']} piece")
    assert subdisks(line.volume("t", "renamed"))[0]["name"] == "piece"


def test_luns_are_added_and_forgotten(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "new.img"
    image.touch()
    with image.open("r+b") as file:
        file.truncate(LUN_SIZE)
    monkeypatch.chdir(tmp_path)
    assert line("vxdisk add-lun new.img").status == 0
    (name,) = [disk["name"] for disk in line.ask("vxdisk list") if disk["lun"] == str(image)]
    assert line("vxdisk rescan").status == 0
    line.do(f"vxdisk rm {name}")
    assert name not in line("vxdisk list").out


def test_the_only_group_need_not_be_named_and_several_must(line: Line) -> None:
    refused = line("vxassist make v 4m")
    assert refused.status == 1
    assert "dg1, t" in refused.err
    line.do("vxdg deport t")
    assert line("vxassist make v 4m --plan").status == 0
    line.do("vxdg import t")


# --- tasks ---
@pytest.fixture
def slow_move(host: OpenedHost, line: Line) -> int:
    """The number of a move of volume v from Harddisk3 to Harddisk4 that rests a minute after each mebibyte."""
    line.do("vxassist -g t make v 24m alloc=Harddisk3")
    engine = host.api
    assert isinstance(engine, Engine)
    config = engine.committer.config
    (piece,) = config.subdisks_on(find(config, "Harddisk3"))
    move = commands.Move(piece.ref, (commands.Target(find(config, "Harddisk4")),))
    with engine.committer.lock:  # its first step waits for this lock
        task = engine.submit(commands.MoveSubdisks(moves=(move,)))
        engine.submit(commands.ThrottleTask(task=task, iodelay_ms=60_000))
    return int(task.id)


def find(config: Config, disk: str) -> Ref:
    found = config.find(Kind.DISK, disk)
    assert found is not None
    return found.ref


def row_of(line: Line, number: int) -> dict[str, Any]:
    rows: dict[int, dict[str, Any]] = {row["id"]: row for row in line.ask("vxtask list")}
    return rows[number]


def test_a_task_in_the_background_is_told_by_number_and_waited_for(line: Line) -> None:
    begun = line("vxassist -g t make v 4m -b")
    assert begun.status == 0
    number = begun.out.strip()
    assert number.isdigit()
    waited = line(f"vxtask wait {number} --json")
    assert waited.status == 0
    assert (waited.json["id"], waited.json["state"]) == (int(number), "completed")
    assert line(f"vxtask wait {number}").status == 0
    listed = {row["id"]: row for row in line.ask("vxtask list")}
    assert list(listed) == sorted(listed)
    row = listed[int(number)]
    assert (row["type"], row["object"], row["percent"]) == ("Create Volume", "v", 100.0)
    promised = {"id", "type", "object", "state", "percent", "bytes_done", "bytes_total", "eta_low_s", "eta_high_s"}
    assert promised | {"bytes_copied"} <= set(row)
    assert line(f"vxtask clear {number}").status == 0
    assert int(number) not in {row["id"] for row in line.ask("vxtask list")}
    gone = line(f"vxtask wait {number}")
    assert gone.status == 1
    assert f"no task {number}" in gone.err
    assert int(line.ask("vxassist -g t make w 4m -b")["id"]) > int(number)
    assert line("vxtask wait --all").status == 0


def test_a_task_is_throttled_paused_resumed_and_aborted(line: Line, slow_move: int) -> None:
    assert line(f"vxtask set {slow_move} iodelay=59000").status == 0
    assert line(f"vxtask pause {slow_move}").out.endswith("paused.\n")
    row = row_of(line, slow_move)
    assert (row["state"], row["iodelay_ms"]) == ("paused", 59_000)
    assert line(f"vxtask pause {slow_move}").status == 1
    (moving,) = subdisks(line.volume("t", "v"))
    assert moving["disk"] == "Harddisk3"
    assert [target["disk"] for target in moving["moving_to"]] == ["Harddisk4"]
    assert "moving to Harddisk4" in line("vxprint -g t").out
    assert line(f"vxtask resume {slow_move}").status == 0
    assert row_of(line, slow_move)["state"] == "running"
    assert line(f"vxtask abort {slow_move}").out.endswith("aborted.\n")
    waited = line(f"vxtask wait {slow_move}")
    assert waited.status == 1
    assert f"Task {slow_move}" in waited.err
    assert "was aborted" in waited.err
    assert [each["disk"] for each in subdisks(line.volume("t", "v"))] == ["Harddisk3"]
    assert "moving_to" not in subdisks(line.volume("t", "v"))[0]


def test_waiting_for_all_is_one_when_any_failed(line: Line, slow_move: int) -> None:
    with Program(["vxtask", "wait", "--all", "--json", "--socket", str(line.socket)], terminal=True) as waiting:
        waiting.draws("%")
        assert line(f"vxtask abort {slow_move}").status == 0
        status, out, err = waiting.result()
    assert status == 1
    assert "was aborted" in err
    assert [row["id"] for row in json.loads(out)] == [slow_move]


def test_interrupting_the_wait_leaves_the_task_running(line: Line, slow_move: int) -> None:
    with Program(["vxtask", "wait", str(slow_move), "--socket", str(line.socket)], terminal=True) as waiting:
        waiting.draws("of 24 MiB")
        waiting.interrupt()
        status, out, err = waiting.result()
    assert (status, out) == (130, "")
    assert f"task {slow_move} goes on" in err
    assert row_of(line, slow_move)["state"] == "running"
    assert line(f"vxtask abort {slow_move}").status == 0


# --- clients ---
def test_a_volume_in_use_stops_only_by_force(line: Line, host: OpenedHost) -> None:
    line.do("vxassist -g t make v 4m")
    with Client(host.nbd) as client:
        client.go("t/v")
        assert len(line.volume("t", "v")["in_use_by"]) == 1
        for words in ("vxvol -g t stop v", "vxassist -g t remove volume v", "vxdg deport t"):
            refused = line(words)
            assert refused.status == 1
            assert "v is in use by" in refused.err
        assert line("vxvol -g t stop v -f").status == 0
        assert client.is_dropped()
    volume = line.volume("t", "v")
    assert (volume["started"], volume["in_use_by"]) == (False, [])
    with Client(host.nbd) as client, pytest.raises(AssertionError):
        client.go("t/v")


def test_a_move_leaves_every_byte_where_the_listing_says(line: Line, host: OpenedHost) -> None:
    line.do("vxassist -g t make v 8m layout=mirror")
    data = random.Random(8).randbytes(8 * MIB)
    with Client(host.nbd) as client:
        client.go("t/v")
        for offset in range(0, 8 * MIB, MIB):
            assert client.call(NBD_WRITE, offset, MIB, data[offset : offset + MIB])[0] == 0
        assert client.call(NBD_FLUSH)[0] == 0
        piece = line.volume("t", "v")["plexes"][1]["subdisks"][0]
        line.do(f"vxsd -g t mv {piece['name']} Harddisk5")
    luns = {disk["name"]: Path(disk["lun"]) for disk in line.ask("vxdisk list")}
    for plex in line.volume("t", "v")["plexes"]:
        (subdisk,) = plex["subdisks"]
        with luns[subdisk["disk"]].open("rb") as file:
            file.seek(subdisk["disk_offset"])
            assert file.read(subdisk["length"]) == data


def test_traffic_is_told(line: Line, host: OpenedHost) -> None:
    line.do("vxassist -g t make v 4m")
    with (
        Client(host.nbd) as client,
        Program(["vxstat", "--json", "-i", "2", "v", "--socket", str(line.socket)]) as stat,
    ):
        client.go("t/v")
        while (result := stat.ended()) is None:
            assert client.call(NBD_WRITE, 0, 4096, b"x" * 4096)[0] == 0
    status, out, err = result
    assert (status, err) == (0, "")
    (row,) = json.loads(out)
    assert (row["kind"], row["name"]) == ("volume", "v")
    assert row["writes"] > 0
    assert row["write_bytes"] == row["writes"] * 4096
    assert 0 < row["latency_s"] < 1
