"""Schedules under a whole engine and a clock of the test's own: runs, restarts, what is kept, what can't be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import commands as c
from engine import rules
from engine.config import Config
from engine.engine import Engine
from engine.errors import CommandRejected
from engine.records import Alert, Connection, Kind, Outcome, Pattern, Quiesce, Ref, Remedy, RunWay, Schedule
from engine.runtime import ThreadRuntime
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_prepare import prepare

AT_TWO = Pattern(times=(120,), zone="Europe/Berlin")
START = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC).timestamp()
A_DAY = 86_400.0
WAIT_S = 60.0


class Wall:
    """The clock on the wall of every engine of a test."""

    def __init__(self, now: float) -> None:
        self.now = now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall(START)
    monkeypatch.setattr(ThreadRuntime, "time", lambda self: wall.now)
    return wall


@pytest.fixture
def lab(tmp_path: Path, clock: Wall) -> Iterator[EngineLab]:
    made = EngineLab(tmp_path).start()
    made.make_group(4)
    for name in ("v", "w"):
        made.make_volume(name, 8 * MIB)
    yield made
    if made.opened is not None:
        made.stop()


def schedule(lab: EngineLab, name: str = "nightly") -> Schedule:
    found = lab.config.find(Kind.SCHEDULE, name, lab.group().ref)
    assert isinstance(found, Schedule)
    return found


def until(lab: EngineLab, holds: Callable[[Config], bool]) -> None:
    assert lab.engine.committer.wait_until(holds, WAIT_S), [one for one in lab.config.every(Kind.SCHEDULE)]


def add(lab: EngineLab, *volumes: str, when: Pattern = AT_TWO, **choices: object) -> Schedule:
    refs = tuple(lab.volume(name).ref for name in volumes or ("v",))
    lab.do(c.AddSchedule(name="nightly", volumes=refs, when=when, **choices))  # type: ignore[arg-type]
    until(lab, lambda _: schedule(lab).dealt > 0)
    return schedule(lab)


def settled(lab: EngineLab) -> None:
    """No run is under way, and no task is."""
    until(lab, lambda _: schedule(lab).run is None and not schedule(lab).asked)
    until(lab, lambda config: all(task.ended for task in config.every(Kind.TASK)))  # type: ignore[union-attr]


def pass_to_next(lab: EngineLab, clock: Wall, *, late_s: float = 1.0) -> None:
    """The clock goes on to the next moment, and its run comes to its end."""
    known = len(schedule(lab).results), schedule(lab).results[:1]
    clock.now = rules.next_moment(schedule(lab).when, max(clock.now, schedule(lab).dealt)) + late_s
    wake(lab)
    until(lab, lambda _: (len(schedule(lab).results), schedule(lab).results[:1]) != known)
    settled(lab)


def wake(lab: EngineLab) -> None:
    keeper = lab.engine._schedules
    assert keeper is not None
    keeper.wake()


def sets(lab: EngineLab) -> list[str]:
    return [made.name for made in rules.own_sets(lab.config, schedule(lab))]


def snapshots(lab: EngineLab) -> list[str]:
    return sorted(one.name for one in lab.config.volumes_of(lab.group().ref) if "_2026" in one.name)


def alerts(lab: EngineLab) -> list[Alert]:
    found = [one for one in lab.config.all(Kind.ALERT, Alert) if one.object and one.object.kind is Kind.SCHEDULE]
    return sorted(found, key=lambda one: int(one.ref.id))


def test_sets_are_made_and_the_oldest_are_destroyed(lab: EngineLab, clock: Wall) -> None:
    add(lab, "v", "w", keep=2, way=RunWay.NEW, prepares=True)
    settled(lab)
    for _ in range(4):
        pass_to_next(lab, clock)
        assert schedule(lab).last_result.outcome is Outcome.COMPLETED  # type: ignore[union-attr]
    assert sets(lab) == ["nightly_20261125_0200", "nightly_20261126_0200"]
    assert snapshots(lab) == [f"{name}_202611{day}_0200" for name in "vw" for day in (25, 26)]
    assert not alerts(lab)
    assert [one.due for one in schedule(lab).results] == sorted((o.due for o in schedule(lab).results), reverse=True)
    assert schedule(lab).next_run == rules.next_moment(AT_TWO, clock.now)


def test_the_oldest_set_is_refreshed(lab: EngineLab, clock: Wall) -> None:
    prepare(lab)
    add(lab, keep=1)
    assert lab.write(b"a" * 4096) == 0
    pass_to_next(lab, clock)
    assert lab.write(b"b" * 4096) == 0
    pass_to_next(lab, clock)
    assert snapshots(lab) == ["v_20261124_0200"]
    assert lab.read(0, 4096, "v_20261124_0200") == b"b" * 4096
    assert lab.write(b"c" * 4096) == 0
    assert lab.read(0, 4096, "v_20261124_0200") == b"b" * 4096
    assert not alerts(lab)


def test_with_one_snap_plex_more_the_new_set_is_taken_before_the_oldest_goes(lab: EngineLab, clock: Wall) -> None:
    prepare(lab)
    prepare(lab)
    add(lab, keep=1)
    pass_to_next(lab, clock)
    pass_to_next(lab, clock)
    assert snapshots(lab) == ["v_20261124_0200"]
    titles = [task.name for task in sorted(lab.config.every(Kind.TASK), key=lambda one: int(one.ref.id))]
    order = [title.split()[1] for title in titles if title.startswith("Snap ")]
    assert order == ["Shot", "Shot", "Back"]


def test_a_volume_that_is_not_prepared_is_told_and_tried_again(lab: EngineLab, clock: Wall) -> None:
    add(lab)
    pass_to_next(lab, clock)
    assert schedule(lab).last_result.outcome is Outcome.FAILED  # type: ignore[union-attr]
    (told,) = alerts(lab)
    assert told.cause == "v is not prepared."
    assert "Prepare" in told.remedy
    assert (told.action, told.action_on) == (Remedy.PREPARE_SNAPSHOT, lab.volume().ref)
    prepare(lab)
    pass_to_next(lab, clock)
    assert sets(lab) == ["nightly_20261124_0200"]


def test_how_writers_are_kept_still_is_the_schedules_own(lab: EngineLab, clock: Wall) -> None:
    prepare(lab)
    ref = add(lab, quiesce=Quiesce.FS).ref
    plan = lab.engine.plan(c.ChangeSchedule(schedule=ref, keep=2))
    assert any("As things are now no set would be taken" in warning for warning in plan.warnings)
    pass_to_next(lab, clock)
    assert schedule(lab).last_result.outcome is Outcome.FAILED  # type: ignore[union-attr]
    (told,) = alerts(lab)
    assert told.cause == "No file system on v is mounted on this host."
    assert "quiesce=" not in told.remedy
    assert told.action is Remedy.CHANGE_SCHEDULE
    done = lab.do(c.ChangeSchedule(schedule=ref, quiesce=Quiesce.NONE))
    assert schedule(lab).quiesce is Quiesce.NONE
    pass_to_next(lab, clock)
    assert len(sets(lab)) == 1
    lab.restart()
    assert schedule(lab).quiesce is Quiesce.NONE
    lab.do(c.decode(done.undo))
    assert schedule(lab).quiesce is Quiesce.FS


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("orderly", [False, True])
def test_runs_that_were_missed_are_told_and_made_up_for_once(
    lab: EngineLab, clock: Wall, late: bool, orderly: bool
) -> None:
    prepare(lab)
    add(lab, late=late)
    (lab.stop if orderly else lab.kill)()
    clock.now += 3 * A_DAY
    lab.start()
    until(lab, lambda _: bool(schedule(lab).results))
    settled(lab)
    (told,) = alerts(lab)
    assert told.name == "3 runs of the schedule nightly were missed."
    assert told.action is (None if late else Remedy.RUN_SCHEDULE)
    assert [one.outcome for one in schedule(lab).results] == [Outcome.COMPLETED] * late + [Outcome.MISSED]
    assert sets(lab) == ["nightly_20261125_0200"] * late
    pass_to_next(lab, clock)
    assert schedule(lab).last_result.outcome is Outcome.COMPLETED  # type: ignore[union-attr]


def test_it_goes_with_its_group_and_does_not_run_while_that_is_away(
    lab: EngineLab, clock: Wall, tmp_path: Path
) -> None:
    prepare(lab)
    add(lab)
    pass_to_next(lab, clock)
    lab.do(c.DeportGroup(group=lab.group().ref))
    before = schedule(lab)
    clock.now += 1.5 * A_DAY
    wake(lab)
    lab.stop()
    other = EngineLab(tmp_path, host="b").start()
    try:
        other.do(c.ImportGroup(group=other.group().ref))
        until(other, lambda _: len(schedule(other).results) > len(before.results))
        settled(other)
        assert schedule(other).results[0].outcome is Outcome.MISSED
        assert sets(other) == ["nightly_20261123_0200"]
        pass_to_next(other, clock)
        assert sets(other) == ["nightly_20261125_0200"]
    finally:
        other.stop()


def test_a_set_that_somebody_uses_or_has_taken_for_himself_stays(lab: EngineLab, clock: Wall) -> None:
    add(lab, keep=1, way=RunWay.NEW, prepares=True)
    settled(lab)
    pass_to_next(lab, clock)
    used = lab.volume("v_20261123_0200").ref
    client = Connection(ref=Ref(Kind.CONNECTION, "1" * 32, used.host), name="qemu", volume=used, since=1.0)
    lab.engine.committer.commit(lambda edit: edit.put(client))
    pass_to_next(lab, clock)
    assert sets(lab) == ["nightly_20261123_0200", "nightly_20261124_0200"]
    (told,) = alerts(lab)
    assert "v_20261123_0200 is in use by qemu" in told.cause
    lab.do(c.Rename(object=lab.volume("v_20261124_0200").ref, name="mine_20261124"))
    lab.engine.committer.commit(lambda edit: edit.drop(client.ref))
    pass_to_next(lab, clock)
    assert snapshots(lab) == ["mine_20261124", "v_20261125_0200"]
    lab.do(c.ClearSnapshots(volumes=(lab.volume("v_20261125_0200").ref,)))
    pass_to_next(lab, clock)
    assert snapshots(lab) == ["mine_20261124", "v_20261125_0200", "v_20261126_0200"]


def test_run_now_is_one_run_and_two_are_refused(lab: EngineLab, clock: Wall) -> None:
    prepare(lab)
    ref = add(lab, enabled=False).ref
    plan = lab.engine.plan(c.RunSchedule(schedule=ref))
    assert not plan.problems
    lab.do(c.RunSchedule(schedule=ref))
    settled(lab)
    assert sets(lab) == ["nightly_20261122_1300"]
    with pytest.raises(CommandRejected, match=r"is set already"):
        lab.engine.submit(c.ChangeSchedule(schedule=ref, enabled=False))
    prepare(lab)
    lab.do(c.RunSchedule(schedule=ref))
    settled(lab)
    assert sets(lab) == ["nightly_20261122_1300-1"]


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_a_run_that_a_crash_cuts_short_is_seen_to_by_whoever_comes_next(
    lab: EngineLab, clock: Wall, taken: bool, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(lab)
    add(lab, late=late)
    cut_before(monkeypatch, lab.engine, after_taking=taken)
    clock.now = rules.next_moment(AT_TWO, clock.now) + 1
    wake(lab)
    until(lab, lambda config: schedule(lab).run is not None and (not taken or len(snapshots(lab)) == 1))
    until(lab, lambda config: all(task.ended for task in config.every(Kind.TASK)))  # type: ignore[union-attr]
    lab.kill()
    monkeypatch.undo()
    monkeypatch.setattr(ThreadRuntime, "time", lambda self: clock.now)
    lab.start()
    until(lab, lambda _: bool(schedule(lab).results))
    settled(lab)
    assert schedule(lab).results[0].outcome is (Outcome.COMPLETED if taken or late else Outcome.FAILED)
    assert sets(lab) == ["nightly_20261123_0200"] * (taken or late)
    assert len(schedule(lab).results) == 1
    pass_to_next(lab, clock)
    assert sets(lab) == ["nightly_20261124_0200"]


def cut_before(monkeypatch: pytest.MonkeyPatch, engine: Engine, *, after_taking: bool) -> None:
    """Runs of this engine never get beyond this point: as if it had ended there."""
    from engine.schedules import run

    def never(*_: object) -> object:
        raise run._Left

    monkeypatch.setattr(run.Runner, "_note" if after_taking else "_take", never)
    monkeypatch.setattr("engine.schedules.keeper.ScheduleKeeper._start", once(engine))


def once(engine: Engine) -> Callable[..., None]:
    """A run that was cut short is not taken up again by the same engine."""
    from engine.schedules.keeper import ScheduleKeeper

    real = ScheduleKeeper._start
    begun: list[Ref] = []

    def start(self: ScheduleKeeper, schedule: Ref, *, resumed: bool) -> None:
        if not resumed and not begun:
            begun.append(schedule)
            real(self, schedule, resumed=resumed)

    return start


def test_what_a_schedule_needs_is_said_beforehand(lab: EngineLab) -> None:
    refs = (lab.volume("v").ref, lab.volume("w").ref)
    plan = lab.engine.plan(
        c.AddSchedule(name="hourly", volumes=refs, when=AT_TWO, keep=2, way=RunWay.NEW, prepares=True)
    )
    steps = "\n".join(step.text for step in plan.steps)
    assert "Need 3 snap plexes of each volume in all: 6 more, 48 MiB needed" in steps
    assert "Prepare v and w: copy 16 MiB to snap plexes" in steps
    assert not lab.engine.plan(c.AddSchedule(name="a b", volumes=refs, when=AT_TWO)).puts


def test_changes_and_their_undo(lab: EngineLab) -> None:
    made = add(lab)
    lab.do(c.ChangeSchedule(schedule=made.ref, keep=3, name="weekly", when=Pattern(times=(60,), weekdays=(6,))))
    undo = c.decode(lab.config.task(max(lab.config.every(Kind.TASK), key=lambda t: int(t.ref.id)).ref).undo)
    lab.do(undo)
    now = schedule(lab)
    assert (now.keep, now.name, now.when) == (1, "nightly", AT_TWO)
    removal = lab.do(c.RemoveSchedules(schedules=(made.ref,)))
    assert lab.config.count(Kind.SCHEDULE) == 0
    lab.do(c.decode(removal.undo))
    assert schedule(lab).when == AT_TWO
