"""vxsnap with drive letters and paths, as an operator types it: drives appear, go with a restore, or are refused."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import snap_file
from engine.cli import snap_words
from engine.engine import Engine
from engine.filesystems.tools import makeable, no_files, no_mounts
from engine.host import OpenedHost
from engine.records import Kind, Volume
from tests.engine.cli_lab import Line, line_with_volumes
from tests.engine.small_host import host_fixture

host = host_fixture()
WAIT_S = 90.0
STAMP = b"before"


@pytest.fixture
def line(host: OpenedHost) -> Line:
    return line_with_volumes(host.socket, prepared=True)


def volume(host: OpenedHost, name: str) -> Volume:
    assert isinstance(host.api, Engine)
    config = host.api.committer.config
    group = config.find(Kind.GROUP, "t")
    found = config.find(Kind.VOLUME, name, group.ref) if group is not None else None
    assert isinstance(found, Volume)
    return found


def until(host: OpenedHost, name: str, holds: Callable[[Volume], bool]) -> Volume:
    assert isinstance(host.api, Engine)
    ref = volume(host, name).ref
    assert host.api.committer.wait_until(lambda config: holds(config.volume(ref)), WAIT_S), volume(host, name)
    return volume(host, name)


def drive(host: OpenedHost, name: str) -> Path:
    """The block file of a volume, once it is there."""
    return Path(until(host, name, lambda one: bool(one.drive)).drive)


def write(file: Path, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def test_letters_lead_through_a_snapshot_and_its_restore(host: OpenedHost, line: Line, tmp_path: Path) -> None:
    if why := no_files():
        pytest.skip(why)
    path = tmp_path / "hyperbackup.xml"
    for name, letter in (("v", "E"), ("w", "F")):
        line.do(f"vxassist -g t assign {name} DriveLetter={letter}")
        write(drive(host, name), STAMP)
    taken = line(f"vxsnap -x {path} create source=E: /DriveLetter=J source=F: /DriveLetter=K -o")
    assert (taken.status, taken.err) == (0, "")
    found = snap_file.read(path).members
    assert [(one.original, one.drive_letter) for one in found] == [("v", "J"), ("w", "K")]
    shown = [drive(host, one.snapshot) for one in found]
    assert [(file.name, file.read_bytes()[: len(STAMP)]) for file in shown] == [("J", STAMP), ("K", STAMP)]
    write(drive(host, "v"), b"after!")
    assert shown[0].read_bytes()[: len(STAMP)] == STAMP
    restored = line(f"vxsnap -x {path} restore")
    assert (restored.status, restored.err) == (0, "")
    assert drive(host, "v").read_bytes()[: len(STAMP)] == STAMP
    assert not any(file.exists() for file in shown)
    gone = line(f"vxsnap -x {path} create source=J: -o")
    assert (gone.status, "There is no volume J:" in gone.err) == (1, True)


def test_every_name_of_a_volume_leads_to_a_set_that_restores(host: OpenedHost, line: Line, tmp_path: Path) -> None:
    line.do("vxassist -g t assign v DriveLetter=E")
    guid = snap_words.guid_of(volume(host, "v"))
    names = ("e:\\", guid, guid.upper().rstrip("\\"))
    device = r"\Device\HarddiskDmVolumes\t\v"
    for number, name in enumerate((*names, device)):
        path = tmp_path / f"{number}.xml"
        taken = line(["vxsnap", f"-x{path}", "create", f"source={name}"])
        assert (taken.status, taken.err) == (0, ""), name
        assert [one.original for one in snap_file.read(path).members] == ["v"]
        restored = line(f"vxsnap -x {path} restore")
        assert (restored.status, restored.err) == (0, "")


def test_paths_lead_through_a_snapshot_and_its_restore(host: OpenedHost, line: Line, tmp_path: Path) -> None:
    if why := no_mounts():
        pytest.skip(why)
    if "ext4" not in makeable():
        pytest.skip("This machine has no program that makes ext4.")
    here, there, path = tmp_path / "here", tmp_path / "there", tmp_path / "set.xml"
    here.mkdir()
    there.mkdir()
    line.do("vxassist -g t format v fstype=ext4")
    line.do(f"vxassist -g t assign v DrivePath={here}")
    until(host, "v", lambda one: one.mounted == str(here))
    (here / "kept").write_text("before")
    taken = line(f"vxsnap -x {path} create source={here}/DrivePath={there}/Newvol=monday quiesce=fs")
    assert (taken.status, taken.err) == (0, "")
    until(host, "monday", lambda one: one.mounted == str(there))
    assert (there / "kept").read_text() == "before"
    (here / "kept").write_text("after!")
    subprocess.run(["sync", "-f", str(here)], check=True)
    restored = line(f"vxsnap -x {path} restore")
    assert (restored.status, restored.err) == (0, "")
    until(host, "v", lambda one: one.mounted == str(here))
    assert (here / "kept").read_text() == "before"
    assert list(there.iterdir()) == []


def test_a_drive_that_cannot_be_given_leaves_everything_untouched(host: OpenedHost, line: Line, tmp_path: Path) -> None:
    path, full, empty = tmp_path / "set.xml", tmp_path / "full", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    (full / "mine").write_text("mine")
    line.do("vxassist -g t assign w DriveLetter=F")
    if not no_files():
        drive(host, "w")  # from here on nothing changes by itself
    before = line.listed()
    for words, said in (
        ("source=v /DriveLetter=F", "The drive letter F is that of w in t"),
        ("source=v /DriveLetter=J source=w /DriveLetter=J", "J"),
        ("source=v /DriveLetter=JJ", "is no drive letter"),
        (f"source=v /DrivePath={tmp_path}/none", "There is no folder"),
        (f"source=v /DrivePath={full}", "is not empty"),
        (f"source=v /DrivePath={full}/mine", "is no folder"),
        ("source=v /DrivePath=here", "full path"),
        (f"source=v /DrivePath={empty} source=w /DrivePath={empty}", str(empty)),
    ):
        refused = line(f"vxsnap -x {path} -g t create {words}")
        assert (refused.status, said in refused.err) == (1, True), (words, refused.err)
        assert not path.exists()
    assert line.listed() == before
    assert [one.name for one in full.iterdir()] == ["mine"]
    assert list(empty.iterdir()) == []
