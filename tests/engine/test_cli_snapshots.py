"""vxsnap as the field types it: prepared, taken with its file, listed, taken back; files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import snap_file
from engine.cli import snap_words
from engine.cli.forms import Usage
from engine.errors import EngineError
from engine.host import OpenedHost
from tests.engine.cli_lab import Line, line_with_volumes
from tests.engine.small_host import host_fixture

host = host_fixture()


@pytest.fixture
def line(host: OpenedHost) -> Line:
    return line_with_volumes(host.socket, prepared=True)


def states(line: Line) -> dict[str, str]:
    return {row["volume"]: row["state"] for row in line.ask("vxsnap list")}


def test_a_set_is_taken_with_its_file_restored_and_its_file_is_out_of_date_then(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "hyperbackup.xml"
    assert states(line) == {"v": "Snap Ready", "w": "Snap Ready"}
    taken = line(f"vxsnap -x {path} -g t create source=v /Newvol=monday SOURCE=w/newvol=tuesday")
    assert (taken.status, taken.err) == (0, "")
    found = snap_file.read(path)
    assert [(one.original, one.snapshot) for one in found.members] == [("v", "monday"), ("w", "tuesday")]
    rows = line.ask("vxsnap -g t list v")
    assert [(row["snapshot"], row["set"], row["fast"]) for row in rows] == [("monday", "hyperbackup", True)]
    assert rows[0]["device"] == "\\Device\\HarddiskDmVolumes\\t\\monday"
    restored = line(f"vxsnap -x{path} restore")
    assert (restored.status, restored.err) == (0, "")
    assert states(line) == {"v": "Snap Ready", "w": "Snap Ready"}
    again = line(f"vxsnap -x {path} restore")
    assert (again.status, "is out of date: monday is there no more" in again.err) == (1, True)


def test_a_file_that_is_there_stays_unless_told_otherwise(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "set.xml"
    path.write_text("mine")
    refused = line(f"vxsnap -x {path} -g t create source=v")
    assert (refused.status, "is there already" in refused.err) == (1, True)
    assert (path.read_text(), states(line)["v"]) == ("mine", "Snap Ready")
    assert line(f"vxsnap -x {path} -g t create source=v -o").status == 0
    assert snap_file.read(path).members[0].snapshot == "SnapVolume01"
    assert [name for name in os.listdir(tmp_path) if name.startswith(".set.xml")] == []


def test_reattach_keeps_the_original_and_clear_ends_the_link(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "set.xml"
    assert line(f"vxsnap -x {path} -g t create source=v").status == 0
    assert line(f"vxsnap -x {path} reattach").status == 0
    assert states(line)["v"] == "Snap Ready"
    assert line(f"vxsnap -x {path} -g t create source=v -o").status == 0
    line.do("vxsnap -g t clear v")
    cleared = line(f"vxsnap -x {path} restore")
    assert (cleared.status, "is no snapshot of v any more" in cleared.err) == (1, True)
    line.do("vxsnap -g t abort w")
    assert states(line) == {}


def test_a_refresh_brings_the_set_to_this_instant_under_its_names(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "set.xml"
    assert line(f"vxsnap -x {path} -g t create source=v/newvol=a source=w/newvol=b").status == 0
    first = snap_file.read(path)
    task = line.ask(f"vxsnap -x {path} refresh")
    assert task["state"] == "completed"
    second = snap_file.read(path)
    assert [one.snapshot for one in second.members] == ["a", "b"]
    assert second.taken > first.taken
    assert second.set_id != first.set_id
    assert len(line.ask("vxsnap list")) == 2
    assert line(f"vxsnap -x {path} -b refresh").status == 2


def test_how_a_set_is_kept_still_is_said_once_and_told_everywhere(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "set.xml"
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\n')
    hook.chmod(0o755)
    line.do(f"vxsnap -g t quiesce program v {hook} one")
    line.do("vxsnap quiesce set limit=20")
    listed = line.ask("vxsnap quiesce list")
    assert listed["limit_s"] == 20
    assert [(one["volume"], one["program"]) for one in listed["volumes"]] == [("v", [str(hook), "one"])]
    for words in ("quiesce=maybe", "quiesce=", "quiesce=fs QUIESCE=auto", "source=v/quiesce=fs quiesce=none"):
        assert line(f"vxsnap -x {path} -g t create source=w {words}").status == 2
    refused = line(f"vxsnap -x {path} -g t create source=v source=w QUIESCE=FS")
    assert (refused.status, "No file system on v is mounted on this host." in refused.err) == (1, True)
    assert "let it be automatic (quiesce=auto)." in refused.err
    for words, status in (("limit=soon", 2), ("limit=0", 2), ("limit=99", 1)):
        assert line(f"vxsnap -x {path} -g t create source=w {words}").status == status
    assert not path.exists()
    assert line(f"vxsnap -x {path} -g t create source=v/newvol=a source=w/newvol=b Quiesce=Auto limit=30").status == 0
    assert (tmp_path / "log").read_text() == "one freeze\none thaw\n"
    found = {member.snapshot: member.consistency for member in snap_file.read(path).members}
    assert found == {"a": "application-consistent", "b": "crash-consistent"}
    rows = {row["snapshot"]: row for row in line.ask("vxsnap list")}
    assert (rows["a"]["consistency"], rows["b"]["frozen"]) == ("application-consistent", [])
    assert "application" in line("vxsnap list").out
    (group,) = [group for group in line.ask("vxprint")["groups"] if group["name"] == "t"]
    told = {volume["name"]: volume["consistency"] for volume in group["volumes"]}
    assert told == {"v": None, "w": None, "a": "application-consistent", "b": "crash-consistent"}
    line.do(f"vxsnap -x {path} refresh quiesce=none limit=5")
    assert {member.consistency for member in snap_file.read(path).members} == {"crash-consistent"}
    line.do("vxsnap -g t quiesce program v none")
    line.do("vxsnap -g t quiesce agent w /run/w.sock")
    assert [one["agent"] for one in line.ask("vxsnap quiesce list")["volumes"]] == ["/run/w.sock"]
    assert line("vxsnap -g t quiesce agent w relative").status == 1


def test_volumes_have_the_names_of_the_field(line: Line, tmp_path: Path) -> None:
    for number, name in enumerate((r"\Device\HarddiskDmVolumes\t\v", "v")):
        path = tmp_path / f"{number}.xml"
        assert line(["vxsnap", "-x", str(path), "create", f"source={name}"]).status == 0
        assert line(f"vxsnap -x {path} reattach").status == 0
    gone = line(
        [
            "vxsnap",
            "-x",
            str(tmp_path / "x.xml"),
            "create",
            "source=\\\\?\\Volume{" + "0" * 8 + "-0000" * 3 + "-" + "0" * 12 + "}\\",
        ]
    )
    assert (gone.status, "There is no volume" in gone.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["source=v"], [("v", {})]),
        (["source=v/Newvol=a", "source=w", "/PLEX=w-02"], [("v", {"newvol": "a"}), ("w", {"plex": "w-02"})]),
        (["Source=v", "/newvol=a/plex=b"], [("v", {"newvol": "a", "plex": "b"})]),
    ],
)
def test_sources_are_read_glued_and_apart(words: list[str], found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(source.volume, source.fields) for source in snap_words.sources(words)] == found


@pytest.mark.parametrize(
    "words", [["v"], ["source="], ["/Newvol=a"], ["source=v", "/Newvol="], ["source=v/plex=a/plex=b"]]
)
def test_words_that_make_no_sense_are_wrong_usage(words: list[str]) -> None:
    with pytest.raises(Usage):
        snap_words.sources(words)


GOOD = snap_file.SnapFile(
    'g"<&', "a" * 32, "b" * 32, 12.5, (snap_file.SetMember("ö<", "c" * 32, "s", "d" * 32, "e" * 32, "v-02"),)
)


def test_a_file_tells_what_was_written_whatever_the_names_are(tmp_path: Path) -> None:
    path = tmp_path / "set.xml"
    snap_file.write(path, GOOD, overwrite=False)
    assert snap_file.read(path) == GOOD
    with pytest.raises(EngineError, match="could not be written"):
        snap_file.write(path, GOOD, overwrite=False)
    snap_file.write(path, GOOD._replace(taken=1.0), overwrite=True)
    assert snap_file.read(path).taken == 1.0
    assert os.listdir(tmp_path) == ["set.xml"]


def bad_files(whole: bytes) -> dict[str, bytes]:
    lol = b'<!DOCTYPE x [<!ENTITY a "ha">]>'
    return {
        "empty": b"",
        "foreign": b"<html/>",
        "no members": b'<snapshot-set version="1" group="g" group-id="%s" set-id="%s" taken="1"/>'
        % (b"a" * 32, b"b" * 32),
        "entities": whole.replace(b"?>\n", b"?>\n" + lol, 1),
        "another version": whole.replace(b'version="1" g', b'version="2" g'),
        "a wrong id": whole.replace(b"e" * 32, b"E" * 32),
        "an attribute more": whole.replace(b'plex="', b'x="" plex="'),
        "text": whole.replace(b"</snapshot-set>", b"x</snapshot-set>"),
        "a wrong time": whole.replace(b'taken="12', b'taken="nan" x="12'),
        "huge": whole + b" " * snap_file.LENGTH_MAX,
    }


@pytest.mark.parametrize("what", sorted(bad_files(b"")))
def test_a_file_that_is_none_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "set.xml"
    snap_file.write(path, GOOD, overwrite=False)
    path.write_bytes(bad_files(path.read_bytes())[what])
    with pytest.raises(EngineError, match=r"set\.xml"):
        snap_file.read(path)


def test_no_beginning_of_a_file_passes_for_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "set.xml"
    snap_file.write(path, GOOD, overwrite=False)
    whole = path.read_bytes().rstrip()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(EngineError):
            snap_file.read(path)
