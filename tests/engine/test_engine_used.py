"""A LUN that somebody uses is not taken, whatever the operator says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.commands import CreateGroup
from engine.errors import CommandRejected
from engine.records import Disk, Kind
from tests.engine.engine_lab import EngineLab


def test_force_takes_what_lies_there_and_never_what_is_in_use(tmp_path: Path) -> None:
    lab = EngineLab(tmp_path).start()
    disk = lab.config.all(Kind.DISK, Disk)[0]
    made = subprocess.run(["losetup", "--show", "-f", disk.lun], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop device: {made.stderr.strip()}")
    try:
        with pytest.raises(CommandRejected, match="force does not take it"):
            lab.engine.submit(CreateGroup(name="x", disks=(disk.ref,), force=True))
        with open(disk.lun, "rb") as file:
            assert not any(file.read(512))
    finally:
        subprocess.run(["losetup", "-d", made.stdout.strip()], check=True)
    lab.do(CreateGroup(name="x", disks=(disk.ref,), force=True))
    lab.stop()
