"""Power is cut after every single write, and in the middle of each: a group is as before an operation or as after."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from engine.config import Edit
from engine.errors import DeviceError
from engine.records import Disk, GroupState, Kind, new_ref
from engine.store.areas import Area
from engine.store.found import GroupFound
from engine.store.group_store import GroupStore
from engine.store.member import release
from engine.store.policy import import_needs
from engine.store.scan import scan
from tests.engine.store_lab import (
    GROUP,
    HOST,
    OTHER_HOST,
    PAGE,
    Lab,
    Lun,
    Write,
    disk_record,
    disk_ref,
    edited,
    importer,
    rows,
    tears,
    value_of,
    volume,
)

Seen = dict[object, object] | None


def seen(lab: Lab) -> Seen:
    """What a host that starts now finds of the group: its records and state; None when it is no group."""
    found = lab.found()
    if found is None or found.elected is None or found.phase == 2:
        return None
    assert found.elected.doubts == ()
    return {**rows(found.records(HOST)), "state": found.state(HOST), "members": tuple(found.members)}


def prefixes(lab: Lab, before: dict[str, dict[int, bytes]], writes: list[Write]) -> Iterator[int]:
    """Bring the LUNs into every state that a power cut between two writes may leave."""
    for count in range(len(writes) + 1):
        lab.restore(before)
        for write in writes[:count]:
            lab.luns[write.name].put(write.offset, write.data)
        yield count


def add_a_disk(lab: Lab) -> None:
    number = len(lab.luns)
    lab.store.add_disk(disk_ref(number - 1), lab.luns[f"lun{number - 1}"])
    commit(lab, disk_record(number - 1))


def remove_a_disk(lab: Lab) -> None:
    edit = Edit(lab.config)
    edit.put(msgspec.structs.replace(lab.config.disk(disk_ref(0)), group=None))
    config, changed = edit.result()
    assert lab.store.commit({ref: config.get(ref) for ref in changed}, 99, config).durable
    lab.store.remove_disk(disk_ref(0))


def commit(lab: Lab, *records: Disk) -> None:
    config, changed = edited(lab.config, *records)
    assert lab.store.commit({ref: config.get(ref) for ref in changed}, 50, config).durable
    lab.config = config


OPERATIONS: dict[str, Callable[[Lab], object]] = {
    "commit": lambda lab: lab.set_value(77),
    "three commits": lambda lab: [lab.set_value(value) for value in (77, 77)],
    "add a disk": add_a_disk,
    "remove a disk": remove_a_disk,
    "deport": lambda lab: lab.store.deport(),
    "destroy": lambda lab: lab.store.destroy(),
}


def run_recorded(lab: Lab, operation: Callable[[Lab], object]) -> tuple[dict[str, dict[int, bytes]], list[Write]]:
    before, start = lab.snapshot(), len(lab.bus.writes)
    operation(lab)
    return before, lab.bus.writes[start:]


CASES = [(name, disks) for name in OPERATIONS for disks in (1, 2, 3, 6) if (name, disks) != ("remove a disk", 1)]


@pytest.mark.parametrize(("name", "disks"), CASES)
def test_a_power_cut_leaves_before_or_after(name: str, disks: int) -> None:
    lab = Lab(disks)
    if name == "add a disk":
        lab.luns[f"lun{disks}"] = Lun(f"lun{disks}", lab.bus)
    whole = dict(lab.luns)
    lab.luns = {key: lun for key, lun in lab.luns.items() if key != f"lun{disks}"}
    lab.create()
    lab.luns = whole
    lab.set_value(5)
    old = seen(lab)
    before, writes = run_recorded(lab, OPERATIONS[name])
    new = seen(lab)
    assert writes
    assert old != new
    last = old
    for count in prefixes(lab, before, writes):
        now = seen(lab)
        assert now in (old, new), f"after {count} of {len(writes)} writes"
        assert not (last == new and now == old), "what was done is undone again"
        last = now
    assert last == new


@pytest.mark.parametrize(("name", "disks"), [case for case in CASES if case[1] < 3])
def test_a_power_cut_within_any_write_leaves_before_or_after(name: str, disks: int) -> None:
    """Labels and stamps are torn like everything else: each write is cut at each sector, from either end."""
    lab = Lab(disks)
    spare = Lun(f"lun{disks}", lab.bus)
    lab.create()
    lab.set_value(5)
    if name == "add a disk":
        lab.luns[spare.name] = spare
    old = seen(lab)
    before, writes = run_recorded(lab, OPERATIONS[name])
    new = seen(lab)
    for count in prefixes(lab, before, writes[:-1]):
        write, lun = writes[count], lab.luns[writes[count].name]
        pages = dict(lun.pages)
        for cut in range(0, len(write.data), 512):
            for offset, part in ((0, write.data[:cut]), (cut, write.data[cut:])):
                lun.pages = dict(pages)
                lun.put(write.offset + offset, part)
                assert seen(lab) in (old, new), f"in write {count} of {len(writes)}, at byte {cut}"
        lun.pages = pages


@pytest.mark.parametrize("disks", [1, 2, 4])
def test_a_power_cut_while_a_group_is_made_leaves_a_group_or_free_luns(disks: int) -> None:
    lab = Lab(disks)
    before, writes = run_recorded(lab, lambda lab: lab.create())
    new = seen(lab)
    states = []
    for count in prefixes(lab, before, writes):
        now = seen(lab)
        assert now in (None, new), f"after {count} of {len(writes)} writes"
        if now is None:
            found = scan(lab.luns)
            group = found.groups.get(GROUP.id)
            labelled = [key for key, label in found.labels.items() if label.group]
            assert list(group.leftovers if group else ()) == labelled
            assert not found.problems
        states.append(now)
    assert states[0] is None
    assert states[-1] == new


def test_left_over_luns_can_be_released_and_used_again() -> None:
    lab = Lab(2)
    before, writes = run_recorded(lab, lambda lab: lab.create())
    tried = 0
    for _ in prefixes(lab, before, writes):
        if seen(lab) is not None:
            break
        found = scan(lab.luns)
        for key in found.groups[GROUP.id].leftovers if found.groups else ():
            assert release(lab.luns[key]) is not None
        assert not scan(lab.luns).groups
        lab.create()
        assert seen(lab) is not None
        tried += 1
    assert tried > 4


@pytest.mark.parametrize("disks", [1, 2, 3])
def test_a_power_cut_in_an_import_never_loses_the_group(disks: int) -> None:
    lab = Lab(disks)
    lab.create()
    lab.set_value(5)
    lab.store.deport()

    def take(lab: Lab) -> None:
        lab.store = GroupStore.load(required(lab), importer())

    before, writes = run_recorded(lab, take)
    config = lab.config
    for _ in prefixes(lab, before, writes):
        lab.config = config
        found = required(lab)
        assert value_of(found) == 5
        assert found.state(HOST) in (GroupState.DEPORTED, GroupState.IMPORTED)
        needs = import_needs(found, HOST)
        assert needs == ((), (), ())
        if found.state(HOST) is GroupState.IMPORTED:
            assert import_needs(found, OTHER_HOST).clear
        lab.store = GroupStore.load(found, importer())
        lab.set_value(6)
        assert value_of(required(lab)) == 6


def test_a_second_power_cut_while_starting_again_leaves_the_owner_known() -> None:
    """The stamp of the new import is torn while that of the one before stands: the host need not be told who it is."""
    lab = Lab(1)
    lab.create()

    def take(lab: Lab) -> None:
        lab.store = GroupStore.load(required(lab), importer())

    before, writes = run_recorded(lab, take)
    lun, stamp = lab.luns["lun0"], writes[0]
    for torn in tears(lun.bytes_at(stamp.offset, PAGE), stamp.data):
        lab.restore(before)
        lun.put(stamp.offset, torn)
        found = required(lab)
        assert found.state(HOST) is GroupState.IMPORTED
        assert import_needs(found, HOST) == ((), (), ())
        assert import_needs(found, OTHER_HOST).clear


def required(lab: Lab) -> GroupFound:
    found = lab.found()
    assert found is not None
    return found


@pytest.mark.parametrize("disks", [1, 2, 3])
def test_every_tear_of_a_commit_leaves_before_or_after(disks: int) -> None:
    """Each 4 KiB write of a commit torn in each of its 256 ways, behind whole writes to the other copies."""
    lab = Lab(disks)
    lab.create()
    lab.set_value(5)
    before, writes = run_recorded(lab, lambda lab: lab.set_value(77))
    for count, write in enumerate(writes):
        assert len(write.data) == PAGE
        lab.restore(before)
        for done in writes[:count]:
            lab.luns[done.name].put(done.offset, done.data)
        lun = lab.luns[write.name]
        results = set()
        for torn in tears(lun.bytes_at(write.offset, PAGE), write.data):
            lun.put(write.offset, torn)
            results.add(value_of(required(lab)))
        assert results <= {5, 77}
        assert 77 in results


@pytest.mark.parametrize("disks", [1, 2])
def test_every_tear_of_a_checkpoint_switch_leaves_before_or_after(disks: int) -> None:
    lab = Lab(disks)
    extra = [msgspec.structs.replace(volume(1, f"v{number}"), ref=new_ref(Kind.VOLUME, HOST)) for number in range(90)]
    lab.config, _ = edited(lab.config, *extra)
    lab.create()
    before: dict[str, dict[int, bytes]] = {}
    writes: list[Write] = []
    value = 0
    while not writes or writes[0].offset >= lab.store.span(disk_ref(0), Area.JOURNAL).offset:
        value += 1
        before, writes = run_recorded(lab, lambda lab, value=value: lab.set_value(value))
    assert value > 50
    assert len(writes[0].data) > PAGE
    for count, write in enumerate(writes):
        for cut in range(0, len(write.data) + 1, 512):
            for keep_end in (False, True):
                lab.restore(before)
                for done in writes[:count]:
                    lab.luns[done.name].put(done.offset, done.data)
                part = write.data[cut:] if keep_end else write.data[:cut]
                lab.luns[write.name].put(write.offset + (cut if keep_end else 0), part)
                found = required(lab)
                assert found.elected is not None
                assert not found.elected.doubts
                assert value_of(found) in (value - 1, value)


@pytest.mark.parametrize("disks", [1, 2, 3, 5])
def test_life_goes_on_after_every_power_cut(disks: int) -> None:
    """Start again after each write of a commit, change something, and nothing of before comes back."""
    lab = Lab(disks)
    lab.create()
    lab.set_value(5)
    before, writes = run_recorded(lab, lambda lab: lab.set_value(77))
    config = lab.config
    for _ in prefixes(lab, before, writes):
        found = required(lab)
        value = value_of(found)
        lab.store = GroupStore.load(found, importer())
        assert lab.store.transaction > found.highest
        lab.config = config
        lab.set_value(value + 1000)
        again = required(lab)
        assert value_of(again) == value + 1000
        assert again.elected is not None
        assert not again.elected.behind
        assert again.problems == ()


@pytest.mark.parametrize("disks", [1, 2, 3, 4])
def test_the_nth_write_of_a_commit_fails(disks: int) -> None:
    """One disk fails, before or after the data has reached it: it is left out, or the group is frozen."""
    for failing in range(disks):
        for landed in (False, True):
            for sticky in (False, True):
                check_failed_write(disks, failing, landed=landed, sticky=sticky)


def check_failed_write(disks: int, failing: int, *, landed: bool, sticky: bool) -> None:
    lab = Lab(disks)
    lab.create()
    lab.set_value(5)
    bad = f"lun{failing}"
    hits: list[int] = []

    def fail(lun: Lun, offset: int, data: bytes) -> bool:
        if lun.name == bad and (sticky or not hits):
            hits.append(offset)
            if landed:
                lun.put(offset, data)
            raise lun.failed()
        return True

    lab.bus.before_write = fail
    config, changed = edited(lab.config, volume(6))
    outcome = lab.store.commit({ref: config.get(ref) for ref in changed}, lab.store.transaction + 1, config)
    assert hits
    assert outcome.failed == (disk_ref(failing),)
    assert outcome.durable == (disks > 1)
    assert bool(outcome.reason) != outcome.durable
    lab.bus.before_write = None
    if outcome.durable:
        assert disk_ref(failing) not in lab.store.copies
        lab.config = config
        assert value_of(required(lab)) == 6
    lab.set_value(7)  # frozen or not: the next one is tried again
    assert lab.store.frozen == ""
    found = required(lab)
    assert value_of(found) == 7
    assert found.elected is not None
    assert not found.elected.doubts


def test_what_was_refused_while_frozen_does_not_come_back() -> None:
    """The engine takes back a change that could not be made durable: a later commit must not carry it along."""
    lab = Lab(3)
    lab.create()
    lab.set_value(5)

    def fail(lun: Lun, offset: int, data: bytes) -> bool:
        if lun.name != "lun0":
            raise lun.failed()
        return True

    lab.bus.before_write = fail
    extra = msgspec.structs.replace(volume(1, "refused"), ref=new_ref(Kind.VOLUME, HOST))
    config, changed = edited(lab.config, extra)
    assert not lab.store.commit({ref: config.get(ref) for ref in changed}, 50, config).durable
    assert "lun1, lun2" in lab.store.frozen
    lab.bus.before_write = None
    lab.set_value(6)
    found = required(lab)
    assert rows(found.records(HOST)) == rows(lab.config)
    assert value_of(found) == 6


def test_disks_that_are_taken_out_together_cannot_outvote_the_rest() -> None:
    """Three of five copies leave in one transaction, and power is cut before their labels say so."""
    lab = Lab(5)
    lab.create()
    lab.set_value(5)
    edit = Edit(lab.config)
    for number in (2, 3, 4):
        edit.put(msgspec.structs.replace(lab.config.disk(disk_ref(number)), group=None))
    config, changed = edit.result()
    assert lab.store.commit({ref: config.get(ref) for ref in changed}, 50, config).durable
    found = lab.found(["lun2", "lun3", "lun4"])
    assert found is not None
    assert import_needs(found, HOST).force
    found = required(lab)
    assert tuple(found.members) == (disk_ref(0).id, disk_ref(1).id)
    assert found.leftovers == ("lun2", "lun3", "lun4")
    assert import_needs(found, HOST) == ((), (), ())


def test_a_creation_that_fails_gives_the_luns_back() -> None:
    for nth in range(1, 9):
        lab = Lab(2)
        count = 0

        def fail(lun: Lun, offset: int, data: bytes, nth: int = nth) -> bool:
            nonlocal count
            count += 1
            if count == nth:
                raise lun.failed()
            return True

        lab.bus.before_write = fail
        try:
            lab.create()
        except DeviceError:
            lab.bus.before_write = None
            assert not scan(lab.luns).groups
            assert not any(label.group for label in scan(lab.luns).labels.values())
            lab.create()
        assert value_of(required(lab)) == 0
