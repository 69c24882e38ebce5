"""The mirror equals the engine's records whatever the batches, and knows what each change concerns."""

from __future__ import annotations

import msgspec

from engine.config import Config, difference
from engine.events import Remove, Sample, Upsert
from engine.records import Kind, Ref, Task, TaskState, TaskType
from tests.gui import sample_lab
from tests.gui.random_lab import RandomLab
from tests.gui.sample_lab import HOST, HOST_ID, ref
from vea_gui.mirror import Mirror
from vea_gui.words import status_text


def fresh() -> Mirror:
    made = Mirror()
    made.reset(HOST, Config.of(sample_lab.records()))
    return made


def test_random_batches_end_in_the_same_records(seed: int) -> None:
    mirror = fresh()
    lab = RandomLab(mirror.config, seed)
    for _ in range(150):
        before = mirror.config
        change = mirror.fold(lab.events(lab.random.randrange(20)))
        assert difference(mirror.config, lab.config()) == {}
        assert dict(change.records) == difference(before, mirror.config)
        assert set(change.records) <= change.refresh


def test_indexes_follow(seed: int) -> None:
    mirror = fresh()
    lab = RandomLab(mirror.config, seed)
    for _ in range(40):
        mirror.fold(lab.events(10))
        want = lab.config()
        for group in want.all(Kind.GROUP, type(want.group(sample_lab.GROUP))):
            assert mirror.config.volumes_of(group.ref) == want.volumes_of(group.ref)
            assert mirror.config.disks_of(group.ref) == want.disks_of(group.ref)
        for number in range(12):
            disk = ref(Kind.DISK, number)
            assert mirror.config.subdisks_on(disk) == want.subdisks_on(disk)


def test_last_word_counts_and_nothing_is_told_twice() -> None:
    mirror = fresh()
    volume = mirror.config.volume(ref(Kind.VOLUME, 1))
    other = msgspec.structs.replace(volume, name="other")
    change = mirror.fold([Upsert(other), Upsert(volume)])
    assert change.records == {}
    change = mirror.fold([Upsert(other), Remove(volume.ref), Upsert(other)])
    assert dict(change.records) == {volume.ref: other}
    assert change.renamed


def test_gone_before_it_was_there_is_no_change() -> None:
    mirror = fresh()
    change = mirror.fold([Upsert(sample_lab.volume(9, "short", 1)), Remove(ref(Kind.VOLUME, 9))])
    assert change.records == {}
    assert mirror.fold([Remove(ref(Kind.VOLUME, 9))]).records == {}


def test_samples_pass_through_in_order() -> None:
    samples = [Sample(ref=HOST, time=float(at), seconds=1.0) for at in range(3)]
    assert fresh().fold(samples).samples == tuple(samples)


def test_work_shows_in_its_volume_until_it_ends() -> None:
    mirror = fresh()
    volume = ref(Kind.VOLUME, 1)
    resyncing = msgspec.structs.replace(
        mirror.config.volume(volume), status=type(mirror.config.volume(volume).status).RESYNCHING
    )
    task = Task(
        ref=Ref(Kind.TASK, "7", HOST_ID),
        name="Resynchronize ev",
        type=TaskType.RESYNC,
        object=volume,
        state=TaskState.RUNNING,
        bytes_total=200,
        bytes_done=82,
    )
    change = mirror.fold([Upsert(resyncing), Upsert(task)])
    assert volume in change.refresh
    assert status_text(mirror, mirror.config.volume(volume)) == "Resynching 41 %"
    ended = msgspec.structs.replace(task, state=TaskState.COMPLETED)
    assert volume in mirror.fold([Upsert(ended)]).refresh
    assert mirror.work_on(volume) == []
    assert status_text(mirror, mirror.config.volume(volume)) == "Resynching"
