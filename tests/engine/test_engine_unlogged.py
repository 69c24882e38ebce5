"""Mirrored volumes for whose dirty region log no disk has room: the plan says it, an alert does, and a way back is."""

from __future__ import annotations

import pytest

from engine.allocate import dirty
from engine.commands import AddLog, AddMirrors, Command, CreateVolume, DeleteVolumes, GrowVolume, RemoveLog
from engine.errors import CommandRejected
from engine.records import Alert, Kind, Severity
from engine.units import GIB, MIB
from tests.engine.builders import Site
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture(2)


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each disk has room for the log of one volume."""
    monkeypatch.setattr(dirty, "dirty_pages", lambda public_offset: 1)


def told(lab: EngineLab) -> list[Alert]:
    return [alert for alert in lab.config.all(Kind.ALERT, Alert) if "no dirty region log" in alert.name]


def places(lab: EngineLab, name: str) -> int:
    log = lab.volume(name).dirty_log
    return len(log.places) if log is not None else -1


def test_a_volume_that_gets_no_log_is_told_of_in_the_plan_and_by_one_alert(lab: EngineLab) -> None:
    lab.make_volume("v", 8 * MIB, mirrors=2)
    assert places(lab, "v") == 2
    assert told(lab) == []
    command = CreateVolume(group=lab.group().ref, name="w", size=8 * MIB, mirrors=2)
    plan = lab.engine.plan(command)
    assert any("w will have no dirty region log" in warning for warning in plan.warnings)
    assert not any("Keep the dirty region log" in step.text for step in plan.steps)
    lab.do(command)
    assert places(lab, "w") == 0
    (alert,) = told(lab)
    assert (alert.name, alert.severity, alert.object) == (
        "w has no dirty region log.",
        Severity.WARNING,
        lab.volume("w").ref,
    )
    assert lab.write(b"w" * 4096, 0, "w") == 0
    assert len(told(lab)) == 1
    lab.restart()
    assert sum(alert.open for alert in told(lab)) == 1, "told again at each start, once"


def test_the_log_is_added_once_there_is_room_and_refused_before(lab: EngineLab) -> None:
    lab.make_volume("v", 8 * MIB, mirrors=2)
    lab.make_volume("w", 8 * MIB, mirrors=2)
    with pytest.raises(CommandRejected, match="has room for a dirty region log"):
        lab.engine.submit(AddLog(volume=lab.volume("w").ref))
    lab.do(DeleteVolumes(volumes=(lab.volume("v").ref,)))
    lab.do(AddLog(volume=lab.volume("w").ref))
    assert places(lab, "w") == 2


def test_one_that_is_to_have_none_is_no_matter(lab: EngineLab) -> None:
    lab.make_volume("v", 8 * MIB, mirrors=2)
    lab.do(RemoveLog(volume=lab.volume("v").ref))
    lab.make_volume("one", 8 * MIB)
    assert told(lab) == []


def test_plans_of_mirrors_and_of_growth_warn_too() -> None:
    site = Site(disks=4, sizes=(100 * GIB,))
    pair = (site.disk(0), site.disk(1))
    site.do(CreateVolume(group=site.group(), size=8 * MIB, name="v", mirrors=2, disks=pair))
    site.do(CreateVolume(group=site.group(), size=8 * MIB, name="one", disks=pair[:1]))
    record = site.volume("v")
    site.set(record.ref, dirty_log=dirty.placed(site.config, record, dirty.DRL, site.config))
    assert len(site.volume("v").dirty_log.places) == 2  # type: ignore[union-attr]
    assert warned(site, AddMirrors(volume=site.volume("one").ref, disks=pair[1:]))
    assert not warned(site, AddMirrors(volume=site.volume("one").ref, disks=(site.disk(2),)))
    assert warned(site, GrowVolume(volume=record.ref, size=60 * GIB)), "coarser regions need other pages"
    assert not warned(site, GrowVolume(volume=record.ref, size=16 * MIB))


def warned(site: Site, command: Command) -> bool:
    return any("no dirty region log" in warning for warning in site.plan(command).warnings)
