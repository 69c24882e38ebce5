"""File systems that are not the usual one, in a folder: written, kept still for a snapshot, restored from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.commands import (
    ChangeDrive,
    FormatVolume,
    Master,
    PrepareSnapshot,
    SnapBack,
    SnapChoice,
    StopVolumes,
    TakeSnapshots,
)
from engine.errors import CommandRejected
from engine.filesystems.tools import makeable, no_mounts
from engine.records import Consistency, Volume
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_drives import lab_without_mounts

DEADLINE_S = 120.0
LEVELS = {"xfs": Consistency.FILE_SYSTEM, "ntfs": Consistency.CRASH}
SIZES = {"xfs": 304 * MIB, "ntfs": 24 * MIB}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    yield from lab_without_mounts(tmp_path, lun_size=512 * MIB)


def until(lab: EngineLab, holds: Callable[[Volume], bool], name: str = "v") -> Volume:
    ref = lab.volume(name).ref
    assert lab.engine.committer.wait_until(lambda config: holds(config.volume(ref)), DEADLINE_S), lab.volume(name)
    return lab.volume(name)


def folder_of(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


@pytest.mark.parametrize("kind", ["xfs", "ntfs"])
def test_it_is_mounted_snapped_and_restored(lab: EngineLab, tmp_path: Path, kind: str) -> None:
    if why := no_mounts():
        pytest.skip(why)
    if kind not in makeable():
        pytest.skip(f"This machine has no program that makes {kind}.")
    volume = lab.make_volume(size=SIZES[kind]).ref
    lab.do(FormatVolume(volume=volume, file_system=kind))
    here, there = folder_of(tmp_path, "here"), folder_of(tmp_path, "there")
    lab.do(ChangeDrive(volume=volume, letter="E", path=str(here)))
    until(lab, lambda one: one.mounted == str(here))
    before = os.urandom(2 * MIB)
    (here / "kept").write_bytes(before)
    lab.do(PrepareSnapshot(volume=volume))
    command = TakeSnapshots(choices=(SnapChoice(volume=volume, name="snap", path=str(there)),))
    first = lab.engine.plan(command).steps[0].text
    assert first.startswith("Freeze" if kind == "xfs" else "Flush")
    lab.do(command)
    snap = until(lab, lambda one: one.mounted == str(there), "snap")
    (link,) = snap.links
    assert link.consistency is LEVELS[kind]
    assert bool(link.frozen) == (kind == "xfs")
    assert ("flushed only" in link.lower) == (kind == "ntfs")
    assert (there / "kept").read_bytes() == before
    (there / "own").write_text("of the snapshot")
    (here / "kept").write_bytes(os.urandom(MIB))
    with (here / "kept").open("rb"), pytest.raises(CommandRejected, match="is in use by"):
        lab.engine.submit(SnapBack(snapshots=(snap.ref,), master=Master.SNAPSHOT))
    lab.do(SnapBack(snapshots=(snap.ref,), master=Master.SNAPSHOT))
    until(lab, lambda one: one.mounted == str(here))
    assert hashlib.sha256((here / "kept").read_bytes()).digest() == hashlib.sha256(before).digest()
    assert (here / "own").read_text() == "of the snapshot"
    assert list(there.iterdir()) == []
    lab.do(StopVolumes(volumes=(volume,)))
    assert list(here.iterdir()) == []
