"""Guests that are frozen for a Snap Shot by their agents, whatever those answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import commands as c
from engine.errors import CommandRejected, EngineError
from engine.records import Consistency, Freezable, Link, Quiescing, Task
from tests.engine import fake_agent
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.fake_agent import Answer, FakeAgent
from tests.engine.test_engine_prepare import prepare

lab = lab_fixture()

MakeAgent = Callable[..., FakeAgent]
FREEZE, THAW = "guest-fsfreeze-freeze", "guest-fsfreeze-thaw"


@pytest.fixture
def make_agent(tmp_path: Path) -> Iterator[MakeAgent]:
    made: list[FakeAgent] = []

    def make(**answers: Answer) -> FakeAgent:
        made.append(FakeAgent(tmp_path, **answers))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


def ready(lab: EngineLab, limit_s: int = 10) -> None:
    lab.make_volume()
    prepare(lab)
    if limit_s != 10:
        lab.do(c.ChangeSettings(freeze_limit_s=limit_s))


def command(lab: EngineLab, agent: FakeAgent | None, quiesce: c.Quiesce = c.Quiesce.AGENT) -> c.TakeSnapshots:
    path = str(agent.path) if agent is not None else ""
    return c.TakeSnapshots(choices=(c.SnapChoice(lab.volume().ref, agent=path),), quiesce=quiesce)


def await_idle(lab: EngineLab) -> None:
    """Until everything that was frozen has been let go, also what nobody has waited for."""
    quiescer = lab.engine._quiescer
    with quiescer._changed:
        assert quiescer._changed.wait_for(lambda: not quiescer._busy, 60)


def link_of(lab: EngineLab) -> Link:
    """What both sides tell."""
    (one,), (other,) = lab.volume().links, lab.volume("SnapVolume01").links
    told = [(end.consistency, end.frozen, end.frozen_s, end.lower) for end in (one, other)]
    assert told[0] == told[1]
    return one


@pytest.mark.parametrize("system", ["linux", "windows"])
def test_a_guest_is_frozen_and_thawed_around_the_snapshot(lab: EngineLab, make_agent: MakeAgent, system: str) -> None:
    ready(lab)
    agent = make_agent(**({"guest_get_osinfo": fake_agent.windows} if system == "windows" else {}))
    task = lab.do(command(lab, agent))
    level = Consistency.APPLICATION if system == "windows" else Consistency.FILE_SYSTEM
    link = link_of(lab)
    assert (link.consistency, link.frozen, link.lower) == (level, (f"the guest at {agent.path}",), "")
    assert link.frozen_s > 0
    assert f"The snapshot is {level}." in task.result
    assert [name for name in agent.heard if name in (FREEZE, THAW)] == [FREEZE, THAW]
    assert not agent.frozen
    assert not (lab.engine.state.folder / "frozen.json").exists()


def test_the_socket_may_stand_in_the_settings_and_the_plan_tells_what_was_found(
    lab: EngineLab, make_agent: MakeAgent
) -> None:
    ready(lab)
    agent = make_agent()
    lab.do(c.ChangeSettings(quiesce=(Quiescing(lab.volume().ref.id, agent=str(agent.path)),)))
    plan = lab.engine.plan(command(lab, None, c.Quiesce.AUTO))
    assert f"Freeze the guest at {agent.path}" in [step.text for step in plan.steps]
    assert any(step.meanwhile.endswith(Consistency.FILE_SYSTEM) for step in plan.steps)
    (found,) = lab.volume().freezers
    assert isinstance(found, Freezable)
    assert (found.level, found.problem) == (Consistency.FILE_SYSTEM, "")
    assert FREEZE not in agent.heard
    lab.do(command(lab, None, c.Quiesce.NONE))
    assert FREEZE not in agent.heard
    assert link_of(lab).consistency is Consistency.CRASH


BAD: dict[str, tuple[dict[str, Answer], str]] = {
    "refuses to freeze": ({"guest_fsfreeze_freeze": fake_agent.refuse}, "not in this guest"),
    "freezes nothing": ({"guest_fsfreeze_freeze": fake_agent.nothing}, "has frozen no file system"),
    "answers garbage": ({"guest_fsfreeze_freeze": fake_agent.garbage}, "makes no sense"),
    "answers too much": ({"guest_fsfreeze_freeze": fake_agent.too_much}, "sends too much"),
    "answers too deep": ({"guest_fsfreeze_freeze": fake_agent.nested}, "makes no sense"),
    "knows no sync": ({"guest_sync_delimited": fake_agent.garbage}, "did not answer in time"),
    "syncs too much": ({"guest_sync_delimited": fake_agent.too_much}, "sends too much"),
    "is silent": ({"guest_sync_delimited": fake_agent.never}, "did not answer in time"),
    "is late": ({"guest_fsfreeze_freeze": fake_agent.late}, "in time"),
}


@pytest.mark.parametrize("how", BAD)
def test_an_agent_that_goes_wrong_refuses_the_set_or_lowers_it_and_is_thawed(
    lab: EngineLab, make_agent: MakeAgent, how: str
) -> None:
    answers, why = BAD[how]
    ready(lab, limit_s=1 if how == "is late" else 10)
    agent = make_agent(**answers)
    with pytest.raises(CommandRejected, match=why):
        lab.engine.submit(command(lab, agent))
    assert [volume.name for volume in lab.config.volumes_of(lab.group().ref)] == ["v"]
    agent.released.set()
    if "guest_sync_delimited" not in answers:
        agent.await_heard(THAW)
    assert not agent.frozen
    await_idle(lab)
    if how == "is late":
        return
    task = lab.do(command(lab, agent, c.Quiesce.AUTO))
    link = link_of(lab)
    assert (link.consistency, link.frozen) == (Consistency.CRASH, ())
    assert why in link.lower
    assert link.lower in task.result
    await_idle(lab)


def test_a_guest_that_thaws_by_itself_is_worth_no_more_than_a_crash(lab: EngineLab, make_agent: MakeAgent) -> None:
    """As its Volume Shadow Copy Service does when it has been kept waiting."""

    def forgets(agent: FakeAgent, name: str) -> int:
        return 1

    ready(lab)
    agent = make_agent(guest_fsfreeze_freeze=forgets)
    lab.do(command(lab, agent))
    link = link_of(lab)
    assert link.consistency is Consistency.CRASH
    assert "did not stay frozen" in link.lower


def test_a_snapshot_that_fails_after_the_freeze_thaws(
    lab: EngineLab, make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(lab)
    agent = make_agent()

    def fails(*_: object) -> Task:
        assert agent.frozen
        raise OSError("no")

    monkeypatch.setattr(lab.engine, "_carry_out", fails)
    with pytest.raises(OSError, match="no"):
        lab.engine.submit(command(lab, agent))
    agent.await_thawed()


def test_an_engine_that_ends_meanwhile_thaws_and_takes_nothing(lab: EngineLab, make_agent: MakeAgent) -> None:
    """The freeze succeeds when nobody waits for it any more."""
    ready(lab, limit_s=60)
    asked = threading.Event()

    def freezes_late(agent: FakeAgent, name: str) -> int:
        asked.set()
        agent.frozen = True
        agent.released.wait(100)
        return 1

    agent = make_agent(guest_fsfreeze_freeze=freezes_late)
    said: list[str] = []

    def take() -> None:
        try:
            lab.engine.submit(wanted)
        except EngineError as error:
            said.append(str(error))

    wanted = command(lab, agent)
    thread = threading.Thread(target=take)
    thread.start()
    assert asked.wait(60)
    engine = lab.engine
    ending = threading.Thread(target=lab.stop)
    ending.start()
    thread.join()
    agent.released.set()
    agent.await_thawed()
    ending.join()
    for left in engine._quiescer._threads:
        left.join(60)
    assert said == ["The engine is ending. No snapshot was taken."]
    lab.start()
    assert [volume.name for volume in lab.config.volumes_of(lab.group().ref)] == ["v"]


def test_what_is_asked_for_and_not_known_is_refused(lab: EngineLab, tmp_path: Path) -> None:
    ready(lab)
    asked = command(lab, None)
    assert lab.engine.plan(asked).problems[0].text == "No guest agent is known for v."
    nowhere = c.SnapChoice(lab.volume().ref, agent=str(tmp_path / "nowhere"))
    plan = lab.engine.plan(c.TakeSnapshots(choices=(nowhere,), quiesce=c.Quiesce.AGENT))
    assert "its socket can't be reached" in plan.problems[0].text
    assert plan.problems[0].field == "quiesce"
    relative = c.SnapChoice(lab.volume().ref, agent="agent")
    plan = lab.engine.plan(c.TakeSnapshots(choices=(relative,)))
    assert not plan.problems
    assert any("no whole path" in warning and "crash-consistent" in warning for warning in plan.warnings)
    plan = lab.engine.plan(c.TakeSnapshots(choices=(c.SnapChoice(lab.volume().ref),), quiesce=c.Quiesce.FS))
    assert plan.problems[0].text == "No file system on v is mounted on this host."
