"""A group is given up only once what was written to it is stable, or it is on record what lacks it."""

from __future__ import annotations

import pytest

from engine.commands import DeportGroup, ImportGroup
from engine.errors import EngineError
from engine.planners import plan
from engine.records import GroupState, PlexState, new_ref
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_faults import disk_of
from tests.engine.test_engine_life import pattern

lab = lab_fixture(frail=True)


def deport(lab: EngineLab) -> None:
    lab.do(DeportGroup(group=lab.group().ref))


def refused(lab: EngineLab) -> None:
    """A deport is refused with the volume's name, and the group stays."""
    with pytest.raises(EngineError, match="What was written to v could not be brought to stable storage"):
        lab.engine.submit(DeportGroup(group=lab.group().ref))
    assert lab.group().state is GroupState.IMPORTED


def test_a_flush_that_fails_keeps_the_group_here_until_the_mirror_is_left_out(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(1, MIB)
    assert lab.write(data, 0) == 0
    disk = disk_of(lab, 1)
    lab.lun(disk).fail("flush", persistent=True)
    refused(lab)
    assert lab.engine.committer.wait_until(lambda config: config.disk(disk).failing, 60)
    assert lab.plexes()[1].state is PlexState.IOFAIL
    assert lab.read(0, MIB) == data
    deport(lab)
    lab.do(ImportGroup(group=lab.group().ref))
    assert [plex.state for plex in lab.plexes()] == [PlexState.CLEAN, PlexState.IOFAIL]
    assert lab.read(0, MIB) == data


@pytest.mark.parametrize("choices", [{}, {"raid5": True, "columns": 3}], ids=["plain", "parity"])
def test_what_has_no_other_copy_is_fenced_or_left_out_before_it_goes(
    lab: EngineLab, choices: dict[str, object]
) -> None:
    lab.make_volume(**choices)
    assert lab.write(pattern(2, MIB), 0) == 0
    disk = disk_of(lab, 0)
    lab.lun(disk).fail("flush", persistent=True)
    refused(lab)
    committer = lab.engine.committer
    ref = lab.volume().ref
    assert committer.wait_until(lambda config: config.disk(disk).failing, 60)
    if not choices:
        assert committer.wait_until(lambda config: bool(config.volume(ref).fenced), 60)
        command = DeportGroup(group=lab.group().ref)
        told = plan(lab.config, command, lambda kind: new_ref(kind, lab.host, lab.engine.runtime.token))
        assert any("takes no writes, and stays so" in warning for warning in told.warnings)
    deport(lab)
    lab.lun(disk).heal()
    lab.do(ImportGroup(group=lab.group().ref))
    assert bool(lab.volume().fenced) == (not choices)
