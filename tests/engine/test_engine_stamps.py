"""Old images of disks: told by stamps that every stop in order makes new."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.commands import (
    DeportGroup,
    ImportGroup,
    ReactivateDisk,
    Rescan,
    ResyncVolume,
    StartVolumes,
    StopVolumes,
)
from engine.disk_groups import volumes
from engine.errors import EngineError
from engine.records import Alert, Kind, PlexState, Ref, Remedy, Task
from engine.store.areas import STAMP_OFFSETS, Area
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_faults import bring_back, pull
from tests.engine.test_engine_life import pattern

SIZE = 8 * MIB


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    """Six disks, of which five keep the configuration; a mirror of the volume lies on the sixth, one on another."""
    made = EngineLab(tmp_path, luns=3).start(frail=True)
    made.make_group(6)
    made.make_volume(mirrors=2, size=SIZE, disks=(without_copy(made), copies(made)[0]))
    yield made
    if made.opened is not None:
        made.stop()


def copies(lab: EngineLab) -> tuple[Ref, ...]:
    return lab.engine.committer.stores[lab.group().ref].copies


def without_copy(lab: EngineLab) -> Ref:
    (found,) = (disk.ref for disk in lab.config.disks_of(lab.group().ref) if disk.ref not in copies(lab))
    return found


def mirror_on(lab: EngineLab, disk: Ref, name: str = "v") -> PlexState:
    (plex,) = (one for one in lab.plexes(name) if any(sd.disk == disk for sd in lab.config.subdisks_of(one.ref)))
    return plex.state


def image_of(path: Path) -> Path:
    return Path(shutil.copy(path, path.with_suffix(".old")))


def is_right(lab: EngineLab, seed: int) -> bool:
    """Mirrors take turns at being read."""
    return all(lab.read(at * MIB, MIB) == pattern(seed + at, MIB) for at in range(SIZE // MIB) for _ in range(2))


def fill(lab: EngineLab, seed: int) -> None:
    for at in range(SIZE // MIB):
        assert lab.write(pattern(seed + at, MIB), at * MIB) == 0


def made_anew(lab: EngineLab, disk: Ref, seed: int) -> None:
    """The mirror is out of date, read by nobody, and is as the other one after a copy."""
    assert mirror_on(lab, disk) is PlexState.STALE
    assert is_right(lab, seed)
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.equal()
    assert is_right(lab, seed)


def told_of_age(lab: EngineLab) -> list[str]:
    alerts = [alert for alert in lab.config.all(Kind.ALERT, Alert) if alert.open]
    return [alert.name for alert in alerts if "older" in f"{alert.name} {alert.cause}"]


def stop_the_engine(lab: EngineLab, exchange: Callable[[], object]) -> None:
    lab.stop()
    exchange()
    lab.start(frail=True)


def deport_and_import(lab: EngineLab, exchange: Callable[[], object]) -> None:
    lab.do(DeportGroup(group=lab.group().ref))
    stop_the_engine(lab, exchange)
    lab.do(ImportGroup(group=lab.group().ref))


def stop_the_volume_and_crash(lab: EngineLab, exchange: Callable[[], object]) -> None:
    lab.do(StopVolumes(volumes=(lab.volume().ref,)))
    lab.kill()
    exchange()
    lab.start(frail=True)
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))


WAYS = [stop_the_engine, deport_and_import, stop_the_volume_and_crash]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("find", [without_copy, lambda lab: copies(lab)[0]], ids=["without a copy", "with a copy"])
def test_an_image_that_was_taken_during_a_run_is_recognised_after_it(
    lab: EngineLab, find: Callable[[EngineLab], Ref], way: Callable[[EngineLab, Callable[[], object]], None]
) -> None:
    disk = find(lab)
    path = lab.path_of(disk)
    fill(lab, 10)
    old = image_of(path)
    fill(lab, 20)
    way(lab, lambda: old.replace(path))
    made_anew(lab, disk, 20)


@pytest.mark.parametrize("way", WAYS)
def test_the_disk_itself_is_believed(lab: EngineLab, way: Callable[[EngineLab, Callable[[], object]], None]) -> None:
    fill(lab, 10)
    for _ in range(2):
        way(lab, lambda: None)
        assert {plex.state for plex in lab.plexes()} == {PlexState.CLEAN}
        assert is_right(lab, 10)
    assert not told_of_age(lab)


def test_an_image_of_a_disk_that_nobody_had_is_recognised_after_a_later_run(lab: EngineLab) -> None:
    """A deport leaves on each disk which import has ended there."""
    sixth = without_copy(lab)
    path = lab.path_of(sixth)
    fill(lab, 10)
    deport_and_import(lab, lambda: image_of(path))
    fill(lab, 20)
    stop_the_engine(lab, lambda: path.with_suffix(".old").replace(path))
    made_anew(lab, sixth, 20)


def test_an_image_of_a_disk_that_has_lost_its_copy_is_recognised(lab: EngineLab) -> None:
    """Another disk has taken over the copy of one that was away. That one has none since."""
    lost = copies(lab)[0]
    path = pull(lab, lost)
    lab.do(Rescan())
    fill(lab, 10)
    bring_back(path)
    lab.do(Rescan())
    assert without_copy(lab) == lost
    lab.do(ResyncVolume(volume=lab.volume().ref))
    old = image_of(path)
    fill(lab, 20)
    stop_the_engine(lab, lambda: old.replace(path))
    made_anew(lab, lost, 20)


@pytest.mark.allow_log("could not be marked clean")
def test_stamps_that_are_newer_than_the_configuration_tells_are_no_harm(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lab, 10)
    honest = volumes.renew_stamps

    def cut(*given: object) -> None:
        assert honest(*given).least  # type: ignore[arg-type]
        raise EngineError("The power goes.")

    with monkeypatch.context() as patch:
        patch.setattr(volumes, "renew_stamps", cut)
        lab.stop()
    lab.start(frail=True)
    assert PlexState.STALE not in {plex.state for plex in lab.plexes()}
    assert not told_of_age(lab)
    assert is_right(lab, 10)


def test_a_disk_that_takes_no_stamp_is_left_out_by_the_transaction_that_says_clean(lab: EngineLab) -> None:
    sixth = without_copy(lab)
    fill(lab, 10)
    head = lab.engine.committer.stores[lab.group().ref].span(sixth, Area.HEAD).offset
    lab.lun(sixth).fail("durable", persistent=True, at=lambda offset: offset - head in STAMP_OFFSETS)
    lab.do(StopVolumes(volumes=(lab.volume().ref,)))
    assert mirror_on(lab, sixth) is PlexState.IOFAIL
    assert lab.config.disk(sixth).failing
    (told,) = (one for one in lab.config.all(Kind.ALERT, Alert) if one.open and one.object == sixth)
    assert told.action is Remedy.REPLACE_DISK
    lab.kill()
    lab.start(frail=True)
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    assert is_right(lab, 10)
    lab.do(ReactivateDisk(disk=sixth))
    assert lab.engine.committer.wait_until(lambda config: all(one.ended for one in config.all(Kind.TASK, Task)), 60)
    stop_the_engine(lab, lambda: None)
    assert {plex.state for plex in lab.plexes()} == {PlexState.CLEAN}
    assert lab.equal()


def test_a_disk_that_was_away_at_the_stop_is_no_old_image(lab: EngineLab) -> None:
    """What it has missed is on record; what nobody could write meanwhile is as it was."""
    sixth = without_copy(lab)
    lab.make_volume("alone", disks=(sixth,), size=SIZE)
    assert lab.write(pattern(1, MIB), 0, "alone") == 0
    for seed in (10, 20):  # at first its record has no stamp, then one of an earlier run
        fill(lab, seed)
        path = pull(lab, sixth)
        lab.do(Rescan())
        fill(lab, seed + 1)
        stop_the_engine(lab, lambda back=path: bring_back(back))  # type: ignore[misc]
        assert not told_of_age(lab)
        assert lab.read(0, MIB, "alone") == pattern(1, MIB)
        made_anew(lab, sixth, seed + 1)
        stop_the_engine(lab, lambda: None)
