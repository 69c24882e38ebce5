"""What a power cut leaves of a host's own files."""

from __future__ import annotations

from random import Random

import pytest

from engine.config import Config
from engine.records import Group, Kind, Ref
from engine.state_folder.config_backup import BackupShelf
from tests.sim.folder import HostFolder
from tests.sim.patches import Now


@pytest.mark.parametrize("others", [0, 1])
def test_a_backup_that_was_saved_is_there_after_a_power_cut(others: int) -> None:
    """Also the first one of a host, with which its folders come to be."""
    folder = Now.folder = HostFolder({}, lambda what: None)
    try:
        shelf = BackupShelf(folder.path / "backups", "a0" * 16)
        groups = [Group(ref=Ref(Kind.GROUP, f"{number:032x}", "a0" * 16), name="dg") for number in range(1 + others)]
        config = Config.of(groups)
        saved = [shelf.save(config, group.ref, "as a test", 1.0) for group in groups]
        assert all(saved)
        before = folder.image()
        for seed in range(8):
            assert before.after_cut(Random(seed), 0.0) == before.files()
    finally:
        folder.remove()
