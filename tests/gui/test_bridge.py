"""The road between the engine's threads and the GUI thread: order, folding, gaps, silence, loss, and its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest
from PySide6.QtCore import QThread
from pytestqt.qtbot import QtBot

from engine.commands import DeleteVolumes, Rescan
from engine.config import difference
from engine.errors import CommandRejected, ConnectionLost
from engine.events import Batch, Upsert
from engine.plans import Plan
from engine.records import Kind, Record, Volume
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from tests.gui.random_lab import RandomLab
from tests.gui.sample_lab import HOST, ref
from vea_gui import bridge as bridge_module
from vea_gui.mirror import Change
from vea_gui.sessions import Session


@pytest.fixture
def changes(session: Session) -> list[Change]:
    found: list[Change] = []
    session.bridge.changed.connect(found.append)
    return found


def test_changes_from_many_threads_arrive_in_order_on_the_gui_thread(
    qtbot: QtBot, api: PlannedEngine, session: Session, seed: int
) -> None:
    threads_seen: set[object] = set()
    session.bridge.changed.connect(lambda _: threads_seen.add(QThread.currentThread()))
    labs = threading.Lock()
    lab = RandomLab(api.config, seed)

    def work() -> None:
        for _ in range(60):
            with labs:
                api.publish(lab.events(5))

    workers = [threading.Thread(target=work, name=f"engine {number}") for number in range(4)]
    for worker in workers:
        worker.start()
    qtbot.waitUntil(lambda: not any(worker.is_alive() for worker in workers), timeout=60_000)
    qtbot.waitUntil(lambda: difference(session.mirror.config, lab.config()) == {}, timeout=60_000)
    assert threads_seen == {session.bridge.thread()}


def test_a_storm_is_folded_into_few_updates(
    qtbot: QtBot, api: PlannedEngine, session: Session, changes: list[Change]
) -> None:
    volume = api.config.volume(ref(Kind.VOLUME, 1))
    for copies in range(1000):
        api.publish([Upsert(msgspec.structs.replace(volume, copies=copies))])
    qtbot.waitUntil(lambda: session.mirror.config.volume(volume.ref).copies == 999)
    assert len(changes) <= 3


def test_one_update_is_bounded(qtbot: QtBot, api: PlannedEngine, session: Session, changes: list[Change]) -> None:
    count = bridge_module.EVENTS_PER_DRAIN * 3
    for number in range(count):
        api.publish([Upsert(sample_lab.volume(100 + number, f"v{number}", 1))])
    qtbot.waitUntil(lambda: session.mirror.config.count(Kind.VOLUME) == count + 2, timeout=60_000)
    assert max(len(change.records) for change in changes) <= bridge_module.EVENTS_PER_DRAIN
    assert len(changes) >= 3


def test_a_gap_takes_everything_anew(qtbot: QtBot, api: PlannedEngine, session: Session, changes: list[Change]) -> None:
    api.config = type(api.config).of([*sample_lab.records(), sample_lab.volume(9, "missed", 1)])
    api.sequence += 1  # a batch that never came
    api.publish([])
    qtbot.waitUntil(lambda: session.mirror.config.get(ref(Kind.VOLUME, 9)) is not None)
    assert any(change.reset for change in changes)


def test_batches_of_before_the_snapshot_are_left_out(qtbot: QtBot, api: PlannedEngine, session: Session) -> None:
    volume = api.config.volume(ref(Kind.VOLUME, 1))
    session.bridge.listener(Batch(0, (Upsert(msgspec.structs.replace(volume, name="old news")),)))
    api.publish([Upsert(msgspec.structs.replace(volume, name="news"))])
    qtbot.waitUntil(lambda: session.mirror.config.volume(volume.ref).name == "news")


def test_plan_and_refusal_come_back_as_calls(qtbot: QtBot, api: PlannedEngine, session: Session) -> None:
    plans: list[Plan] = []
    errors: list[BaseException] = []
    session.plan(Rescan(), plans.append, errors.append)
    session.submit(DeleteVolumes(volumes=(ref(Kind.VOLUME, 1),)), None, None, errors.append)
    qtbot.waitUntil(lambda: len(plans) == 1 and len(errors) == 1)
    assert plans[0].title == "Rescan"
    assert isinstance(errors[0], CommandRejected)
    assert "fio" in str(errors[0])


def test_the_gui_thread_never_waits_for_a_host_that_hangs(
    qtbot: QtBot, api: PlannedEngine, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.bridge._watch.setInterval(20)
    since: list[float] = []
    answered: list[bool] = []
    session.bridge.silent.connect(since.append)
    session.bridge.answered.connect(lambda: answered.append(True))
    api.answers.clear()
    plans: list[Plan] = []
    session.plan(Rescan(), plans.append, None)
    qtbot.waitUntil(lambda: len(since) == 1)
    assert plans == []
    api.answers.set()
    qtbot.waitUntil(lambda: plans != [] and answered == [True])


def test_of_questions_with_one_topic_the_last_is_answered(qtbot: QtBot, api: PlannedEngine, session: Session) -> None:
    api.answers.clear()
    answered: list[int] = []
    for number in range(20):
        session.plan(Rescan(), lambda _, number=number: answered.append(number), None, topic="size")
    api.answers.set()
    qtbot.waitUntil(lambda: bool(answered) and answered[-1] == 19)
    assert len(answered) <= 2


class Wire(PlannedEngine):
    """A connection that can break."""

    def __init__(self, records: list[Record], broken: bool = False) -> None:
        super().__init__(records, HOST)
        self.broken = broken
        self.on_lost: object = None

    def attach(self, listener: object) -> object:
        if self.broken:
            raise ConnectionLost("The engine is gone.")
        return super().attach(listener)  # type: ignore[arg-type]


@pytest.fixture
def lines(qtbot: QtBot) -> Iterator[tuple[list[Wire], Session]]:
    """A session on a wire, which connects anew to a second one."""
    wires = [Wire(sample_lab.records()), Wire([*sample_lab.records(), sample_lab.volume(9, "back", 1)])]
    session = Session.open(wires[0], lambda: wires[1])  # type: ignore[arg-type, return-value]
    session.bridge._retry.setInterval(20)
    qtbot.waitUntil(lambda: session.bridge.attached)
    yield wires, session
    session.close()


def test_a_lost_engine_is_connected_anew(qtbot: QtBot, lines: tuple[list[Wire], Session]) -> None:
    wires, session = lines
    lost: list[BaseException] = []
    session.bridge.lost.connect(lost.append)
    wires[0].broken = True
    assert callable(wires[0].on_lost)
    wires[0].on_lost("The engine is gone.")
    qtbot.waitUntil(lambda: session.mirror.config.get(ref(Kind.VOLUME, 9)) is not None)
    assert [str(error) for error in lost] == ["The engine is gone."]
    assert session.api is wires[1]
    wires[1].publish([Upsert(sample_lab.volume(10, "live", 1))])
    qtbot.waitUntil(lambda: isinstance(session.mirror.config.get(ref(Kind.VOLUME, 10)), Volume))


def test_closing_ends_the_engine_and_the_thread(qtbot: QtBot, records: list[Record]) -> None:
    api = PlannedEngine(records, HOST)
    session = Session.open(api)
    qtbot.waitUntil(lambda: session.bridge.attached)
    session.close()
    assert api.closed
    assert api._listeners == []
    session.plan(Rescan(), lambda _: pytest.fail("answered after its end"), None)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("engine calls")]
