"""The programs as processes: vxsvc from start to end, also to a bad end, and vea-lab around it."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from engine.units import MIB
from tests.engine.cli_lab import Line
from tests.engine.cli_program import ROOT, Program, command_line, environment, program, served
from tests.pace import slowness

START_LIMIT_S = 0.25


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds a small lab."""
    status, out, _ = program(["vea-lab", "create", f"{tmp_path}/lab", "--lun-size", "64m"])
    assert status == 0
    assert "12 LUNs of 64 MiB in 2 enclosures" in out
    return tmp_path


def test_vxsvc_serves_ends_in_order_and_remembers(folder: Path) -> None:
    line = Line(folder / "c.sock")
    with served(folder) as engine:
        assert line("vxassist make v 4m layout=mirror").status == 0
        assert line("vxvol stop sv").status == 0
        before = line.ask("vxprint")
        task = max(row["id"] for row in line.ask("vxtask list"))
        engine.end()
        assert engine.result() == (0, "", "")
    assert not (folder / "c.sock").exists()
    assert not (folder / "nbd.sock").exists()
    assert line("vxprint").status == 3
    with served(folder):
        after = line.ask("vxprint")
        assert shape(after) == shape(before)
        assert line.volume("dg1", "sv")["started"] is False
        assert line.volume("dg1", "v")["status"] == "Healthy"
        assert line.ask("vxassist make w 4m -b")["id"] > task
        assert line("vxtask wait --all").status == 0


def shape(printed: dict[str, Any]) -> Any:
    """What is printed less the plexes' states, which tell whether somebody has written."""
    if isinstance(printed, dict):
        return {key: shape(value) for key, value in printed.items() if key != "state" or "complete" not in printed}
    return [shape(each) for each in printed] if isinstance(printed, list) else printed


def test_a_killed_engine_is_followed_by_another_and_its_volumes_come_back(folder: Path) -> None:
    line = Line(folder / "c.sock")
    with served(folder) as engine:
        assert line("vxassist make v 4m layout=mirror").status == 0
        engine.kill()
        engine.result()
    assert (folder / "c.sock").exists()
    assert line("vxprint").status == 3
    with served(folder):
        assert line("vxtask wait --all").status == 0
        volume = line.volume("dg1", "v")
        assert (volume["state"], volume["status"]) == ("ENABLED", "Healthy")
        assert (folder / "nbd.sock").is_socket()


def test_a_second_engine_is_refused_in_one_sentence(folder: Path) -> None:
    with served(folder):
        for state in ("state", "state2"):
            places = ["--lab", f"{folder}/lab", "--state", f"{folder}/{state}", "--socket", f"{folder}/c.sock"]
            status, out, err = program(["vxsvc", *places])
            assert (status, out) == (1, "")
            assert err.count("\n") == 1
            assert "Another" in err
        assert Line(folder / "c.sock").volume("dg1", "ev")["status"] == "Healthy"


def test_ctrl_c_ends_it_as_well(folder: Path) -> None:
    with served(folder) as engine:
        engine.interrupt()
        assert engine.result()[0] == 0


BAD_STARTS = [
    (["vxsvc", "--listen", "0.0.0.0:1"], 1, "can't be served"),
    (["vxsvc", "--lab"], 2, "needs a value"),
    (["vxsvc", "more"], 2, "too much"),
    (["vxsvc", "--lab", "{}/file", "--state", "{}/s", "--socket", "{}/c"], 1, "."),
    (["vxsvc", "--state", "{}/file", "--socket", "{}/c"], 1, "."),
    (["vxsvc", "--state", "{}/s", "--socket", "{}/file"], 1, "is not a socket"),
    (["vxsvc", "--state", "{}/s", "--socket", "{}/" + "x" * 120], 1, "."),
    (["vxsvc", "--help"], 0, ""),
    (["vea-lab", "create", "{}"], 1, "is not empty"),
    (["vea-lab", "create", "{}/new", "--luns", "500"], 1, "A lab has 1 to 200 LUNs"),
    (["vea-lab", "create", "{}/new", "--lun-size", "1k"], 1, "A LUN needs at least"),
    (["vea-lab", "create", "{}/new", "--lun-size", "big"], 2, "is not a size"),
    (["vea-lab", "status", "{}/none"], 1, "There is no lab in"),
    (["vea-lab", "stop", "{}/none"], 1, "There is no lab in"),
    (["vea-lab", "--help"], 0, ""),
]


@pytest.mark.parametrize(("words", "status", "sentence"), BAD_STARTS)
def test_bad_starts_are_one_sentence(tmp_path: Path, words: list[str], status: int, sentence: str) -> None:
    (tmp_path / "file").write_text("not what was expected")
    got, _, err = program([word.replace("{}", str(tmp_path)) for word in words])
    assert got == status, err
    assert sentence in err
    assert err.count("\n") == (status != 0)
    assert "Traceback" not in err


def test_a_lab_is_started_watched_harmed_and_stopped(folder: Path) -> None:
    lab, socket = f"{folder}/lab", ["--socket", f"{folder}/c.sock"]
    line = Line(folder / "c.sock")
    assert program(["vea-lab", "stop", lab, *socket])[0] == 3
    status, out, err = program(["vea-lab", "start", lab, "--state", f"{folder}/state", *socket])
    assert (status, err) == (0, "")
    try:
        told = json.loads(program(["vea-lab", "status", lab, "--json", *socket])[1])
        assert told["running"]
        assert str(told["process_id"]) in out
        hint = shlex.split(out.split("Stop it with: ")[1])
        status, _, err = program(["vea-lab", "start", lab, "--state", f"{folder}/state", *socket])
        assert status == 1
        assert err.startswith("Another engine uses the state folder")
        assert len(told["luns"]) == 12
        assert {lun["size"] for lun in told["luns"]} == {64 * MIB}
        assert program(["vea-lab", "fault", lab, "lab0/lun05", "vanish"])[0] == 0
        assert line("vxdisk rescan").status == 0
        assert [disk["name"] for disk in line.ask("vxdisk list") if not disk["present"]] == ["Harddisk5"]
        assert program(["vea-lab", "fault", lab, "lab0/lun05", "return"])[0] == 0
        assert program(["vea-lab", "fault", lab, "lab1/lun05", "resize", "128m"])[0] == 0
        assert line("vxdisk rescan").status == 0
        disks = {disk["name"]: disk for disk in line.ask("vxdisk list")}
        assert disks["Harddisk5"]["present"]
        assert disks["Harddisk11"]["size"] == 128 * MIB
        assert program(["vea-lab", "fault", lab, "lab9/lun05", "vanish"])[0] == 1
        assert program(["vea-lab", "fault", lab, "lab0/lun05", "melt"])[0] == 2
    finally:
        assert program(hint)[0] == 0
    assert not (folder / "c.sock").exists()
    assert not json.loads(program(["vea-lab", "status", lab, "--json", *socket])[1])["running"]


def test_a_damaged_private_region_is_told_and_the_engine_goes_on(folder: Path) -> None:
    line = Line(folder / "c.sock")
    with served(folder):
        pass
    assert program(["vea-lab", "fault", f"{folder}/lab", "lab0/lun02", "damage"])[0] == 0
    with served(folder):
        assert line("vxtask wait --all").status == 0
        assert line.volume("dg1", "ev")["status"] == "Healthy"
        assert line.ask("vxdg list")[0]["state"] == "Imported"


def test_every_program_runs_as_a_module_as_well() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    modules = {name: place.split(":")[0] for name, place in scripts.items() if place.startswith("engine.cli.")}
    assert len(modules) > 10
    for name, module in modules.items():
        words = [sys.executable, "-m", module, "--help"]
        ran = subprocess.run(
            words, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True, timeout=240
        )
        assert name in ran.stdout, module


def test_a_program_starts_fast(folder: Path) -> None:
    with served(folder):
        words = command_line(["vxprint", "--json", "--socket", f"{folder}/c.sock"])
        taken = [processor_time(words) for _ in range(5)]
    bare = [processor_time([command_line(["x"])[0], "-c", "pass"]) for _ in range(5)]
    assert min(taken) - min(bare) < START_LIMIT_S * slowness()


def processor_time(words: list[str]) -> float:
    """Seconds that a program has the processor, however busy the machine is."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, capture_output=True, env=environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_client_programs_import_nothing_heavy() -> None:
    code = (
        "import sys, engine.cli.vxassist, engine.cli.session, engine.remote.client\n"
        "print([name for name in ('numpy', 'psutil', 'engine.engine', 'asyncio', 'argparse') if name in sys.modules])"
    )
    done = subprocess.run(
        [command_line(["x"])[0], "-c", code], check=True, capture_output=True, text=True, env=environment()
    )
    assert done.stdout == "[]\n"


def test_a_reader_that_has_had_enough_is_no_error(folder: Path) -> None:
    with served(folder):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            command_line(["vxprint", "--json", "--socket", f"{folder}/c.sock"]),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            check=False,
        )
        os.close(writing)
    assert done.returncode in (0, 1)
    assert done.stderr == ""


def test_an_engine_that_ends_while_a_program_waits_is_told(folder: Path) -> None:
    with served(folder) as engine, Program(["vxstat", "-c", "1000", "--socket", f"{folder}/c.sock"]) as waiting:
        assert waiting.first_line().startswith("TYPE")
        engine.end()
        status, _, err = waiting.result()
    assert status == 1
    assert err == "The connection to the engine is lost: The engine has been stopped.\n"
