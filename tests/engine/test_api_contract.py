"""What holds for the front door, whoever stands behind it: the engine in this process, or one at the local socket."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import commands
from engine.api import EngineApi, Snapshot
from engine.config import Config, Edit
from engine.errors import CommandRejected, EngineError
from engine.events import Batch, Remove, Upsert
from engine.host import OpenedHost
from engine.records import Disk, DiskUsage, Group, Kind, Ref, Task, TaskState, Volume
from engine.remote.client import RemoteEngine
from engine.units import MIB
from tests.engine.small_host import small_host

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedHost]:
    with small_host(tmp_path_factory.mktemp("contract")) as opened:
        yield opened


@pytest.fixture(params=["in process", "over the socket"])
def api(request: pytest.FixtureRequest, host: OpenedHost) -> Iterator[EngineApi]:
    if request.param == "in process":
        yield host.api
        return
    engine = RemoteEngine.connect(host.socket)
    assert engine is not None
    yield engine
    engine.close()


class Follower:
    """A listener that keeps a configuration by what it is told."""

    def __init__(self, api: EngineApi) -> None:
        self._api = api
        self._changed = threading.Condition()
        self._early: list[Batch] | None = []
        self.batches: list[Batch] = []
        snapshot = api.attach(self.listen)
        with self._changed:
            early, self._early = self._early or [], None
            self.first = snapshot
            self.config = of(snapshot)
            for batch in early:
                self._take(batch)

    def listen(self, batch: Batch) -> None:
        with self._changed:
            if self._early is not None:
                self._early.append(batch)
            else:
                self._take(batch)

    def _take(self, batch: Batch) -> None:
        edit = Edit(self.config)
        for event in batch.events:
            if isinstance(event, Upsert):
                edit.put(event.record)
            elif isinstance(event, Remove):
                edit.drop(event.ref)
        self.batches.append(batch)
        self.config = edit.unsettled()
        self._changed.notify_all()

    def wait(self, until: Callable[[Config], bool]) -> Config:
        with self._changed:
            assert self._changed.wait_for(lambda: until(self.config), PATIENCE_S)
            return self.config

    def wait_for_sequence(self, sequence: int) -> None:
        self.wait(lambda _: bool(self.batches) and self.batches[-1].sequence >= sequence)

    def ended(self, ref: Ref) -> Task:
        def over(config: Config) -> bool:
            task = config.get(ref)
            return isinstance(task, Task) and task.ended

        return self.wait(over).task(ref)

    def close(self) -> None:
        self._api.detach(self.listen)


@pytest.fixture
def follower(api: EngineApi) -> Iterator[Follower]:
    following = Follower(api)
    yield following
    following.close()


def of(snapshot: Snapshot) -> Config:
    edit = Edit(Config())
    for record in snapshot.records:
        edit.put(record)
    return edit.unsettled()


def named(config: Config, kind: Kind, name: str, group: Ref | None = None) -> Ref:
    found = config.find(kind, name, group)
    assert found is not None, f"there is no {kind} {name}"
    return found.ref


def dg1(config: Config) -> Ref:
    return named(config, Kind.GROUP, "dg1")


@pytest.fixture
def volume(api: EngineApi, follower: Follower) -> Iterator[Volume]:
    command = commands.CreateVolume(group=dg1(follower.config), name="made", size=4 * MIB)
    follower.ended(api.submit(command))
    made = follower.config.find(Kind.VOLUME, "made", command.group)
    assert isinstance(made, Volume)
    yield made
    if made.ref in follower.config:
        follower.ended(api.submit(commands.DeleteVolumes(volumes=(made.ref,))))


def test_snapshot_has_everything_settled(api: EngineApi, follower: Follower) -> None:
    config = follower.config
    assert follower.first.host.kind is Kind.HOST
    assert config.get(follower.first.host) is not None
    assert len(config.all(Kind.DISK, Disk)) == 12
    group = config.group(dg1(config))
    assert (group.disks, group.volumes) == (6, 2)
    assert all(volume.status == "Healthy" for volume in config.all(Kind.VOLUME, Volume))
    assert config.count(Kind.SUBDISK) == 4


def test_batches_continue_the_snapshot_without_a_gap_and_lead_to_what_a_new_snapshot_says(
    api: EngineApi, follower: Follower
) -> None:
    for number in range(3):
        name = f"v{number}"
        task = api.submit(commands.CreateVolume(group=dg1(follower.config), name=name, size=2 * MIB))
        assert follower.ended(task).state is TaskState.COMPLETED
        made = named(follower.config, Kind.VOLUME, name, dg1(follower.config))
        follower.ended(api.submit(commands.DeleteVolumes(volumes=(made,))))
    second = Follower(api)
    fresh = of(second.first)
    second.close()
    follower.wait_for_sequence(second.first.sequence)
    sequences = [batch.sequence for batch in follower.batches]
    assert sequences == list(range(follower.first.sequence + 1, follower.first.sequence + 1 + len(sequences)))
    stable = [kind for kind in Kind if kind is not Kind.TASK]
    for kind in stable:
        assert {r.ref: r for r in fresh if r.ref.kind is kind} == {
            r.ref: r for r in follower.config if r.ref.kind is kind
        }


def test_attaching_in_the_middle_of_changes_misses_none_and_gets_none_twice(api: EngineApi, follower: Follower) -> None:
    group = dg1(follower.config)
    ending = threading.Event()

    def change() -> None:
        while not ending.is_set():
            made = api.submit(commands.CreateVolume(group=group, name="busy", size=MIB))
            follower.ended(made)
            ref = named(follower.config, Kind.VOLUME, "busy", group)
            follower.ended(api.submit(commands.DeleteVolumes(volumes=(ref,))))

    worker = threading.Thread(target=change)
    worker.start()
    try:
        for _ in range(20):
            other = Follower(api)
            reached = other.first.sequence + 3
            other.wait_for_sequence(reached)
            other.close()
            sequences = [batch.sequence for batch in other.batches]
            assert sequences == list(range(other.first.sequence + 1, other.first.sequence + 1 + len(sequences)))
    finally:
        ending.set()
        worker.join()


def test_nothing_is_delivered_after_detach(api: EngineApi, follower: Follower) -> None:
    other = Follower(api)
    other.close()
    before = len(other.batches)
    follower.ended(api.submit(commands.CreateVolume(group=dg1(follower.config), name="later", size=MIB)))
    ref = named(follower.config, Kind.VOLUME, "later", dg1(follower.config))
    follower.ended(api.submit(commands.DeleteVolumes(volumes=(ref,))))
    assert len(other.batches) == before


def test_what_a_submit_changed_was_told_before_it_answers(api: EngineApi, follower: Follower, volume: Volume) -> None:
    task = api.submit(commands.Rename(object=volume.ref, name="renamed"))
    assert follower.config.task(task).state is TaskState.COMPLETED
    assert follower.config.volume(volume.ref).name == "renamed"


def test_a_plan_changes_nothing_and_says_what_happens_then(api: EngineApi, follower: Follower) -> None:
    command = commands.CreateVolume(group=dg1(follower.config), name="planned", size=3 * MIB, mirrors=2)
    plan = api.plan(command)
    assert not plan.problems
    assert plan.zeroes_bytes == 6 * MIB
    assert follower.config.find(Kind.VOLUME, "planned", command.group) is None
    follower.ended(api.submit(command))
    ref = named(follower.config, Kind.VOLUME, "planned", command.group)
    config = follower.config
    got = {
        (subdisk.disk, subdisk.disk_offset, subdisk.length)
        for plex in config.plexes_of(ref)
        for subdisk in config.subdisks_of(plex.ref)
    }
    assert got == {(taken.disk, taken.offset, taken.length) for taken in plan.allocates}
    follower.ended(api.submit(commands.DeleteVolumes(volumes=(ref,))))


NOBODY = "0" * 32
IMPOSSIBLE: list[tuple[str, Callable[[Config], commands.Command]]] = [
    ("size", lambda config: commands.CreateVolume(group=dg1(config), size=1 << 50, name="huge")),
    ("negative", lambda config: commands.CreateVolume(group=dg1(config), size=-1, name="less")),
    ("name", lambda config: commands.CreateVolume(group=dg1(config), size=MIB, name="a/b")),
    ("duplicate", lambda config: commands.CreateVolume(group=dg1(config), size=MIB, name="ev")),
    ("long", lambda config: commands.CreateGroup(name="n" * 200, disks=(named(config, Kind.DISK, "Harddisk3"),))),
    ("full group", lambda config: commands.DestroyGroup(group=dg1(config))),
    ("no such volume", lambda config: commands.StopVolumes(volumes=(Ref(Kind.VOLUME, NOBODY, "x"),))),
    ("no such disk", lambda config: commands.InitDisks(disks=(Ref(Kind.DISK, NOBODY, "x"),))),
    ("no such task", lambda config: commands.AbortTask(task=Ref(Kind.TASK, "999999", "x"))),
    ("no such LUN", lambda config: commands.AddLuns(paths=("/nowhere/at/all",))),
    ("used disk", lambda config: commands.RemoveDisks(disks=(named(config, Kind.DISK, "Harddisk0"),))),
]


@pytest.mark.parametrize(("what", "make"), IMPOSSIBLE, ids=[what for what, _ in IMPOSSIBLE])
def test_the_impossible_is_refused_in_the_same_words_by_plan_and_submit(
    api: EngineApi, follower: Follower, what: str, make: Callable[[Config], commands.Command]
) -> None:
    command = make(follower.config)
    before = set(follower.config)
    plan = api.plan(command)
    with pytest.raises(EngineError) as refused:
        api.submit(command)
    if plan.problems:
        assert isinstance(refused.value, CommandRejected)
        assert refused.value.problems == plan.problems
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)
    assert set(follower.config) == before


def test_a_basis_that_holds_no_more_is_refused_with_the_new_plan(api: EngineApi, follower: Follower) -> None:
    group = dg1(follower.config)
    command = commands.CreateVolume(group=group, name="second", size=4 * MIB)
    shown = api.plan(command)
    follower.ended(api.submit(commands.CreateVolume(group=group, name="first", size=4 * MIB)))
    with pytest.raises(CommandRejected) as refused:
        api.submit(command, shown.basis)
    new = refused.value.plan
    assert new is not None
    assert new.allocates != shown.allocates
    assert new.basis > shown.basis
    assert follower.config.find(Kind.VOLUME, "second", group) is None
    follower.ended(api.submit(command, api.plan(command).basis))
    made = tuple(named(follower.config, Kind.VOLUME, name, group) for name in ("first", "second"))
    follower.ended(api.submit(commands.DeleteVolumes(volumes=made)))


def test_a_basis_whose_plan_still_holds_is_accepted(api: EngineApi, follower: Follower, volume: Volume) -> None:
    command = commands.Rename(object=volume.ref, name="other")
    shown = api.plan(command)
    disk = named(follower.config, Kind.DISK, "Harddisk2")
    follower.ended(api.submit(commands.SetDiskUsage(disks=(disk,), usage=DiskUsage.SPARE)))
    follower.ended(api.submit(command, shown.basis))
    assert follower.config.volume(volume.ref).name == "other"
    follower.ended(api.submit(commands.SetDiskUsage(disks=(disk,), usage=DiskUsage.NORMAL)))


def test_verbs_from_several_threads_at_once(api: EngineApi, follower: Follower) -> None:
    group = dg1(follower.config)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                name = f"t{number}-{turn}"
                follower.ended(api.submit(commands.CreateVolume(group=group, name=name, size=MIB)))
                ref = named(follower.config, Kind.VOLUME, name, group)
                assert not api.plan(commands.DeleteVolumes(volumes=(ref,))).problems
                follower.ended(api.submit(commands.DeleteVolumes(volumes=(ref,))))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert isinstance(follower.config.get(group), Group)
    assert follower.config.group(group).volumes == 2


def test_socket_paths_are_private(host: OpenedHost) -> None:
    assert Path(host.socket).stat().st_mode & 0o777 == 0o600
