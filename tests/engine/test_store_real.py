"""The store on real files: two hosts that share LUNs, and reads that pass the page cache by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import Config
from engine.devices.file import FileDevice
from engine.devices.wrapper import Wrapper
from engine.records import Group, GroupState, Volume
from engine.store.group_store import GroupStore
from engine.store.scan import scan
from engine.store.uncached import drop_cache, read_uncached
from engine.units import MIB
from tests.engine.store_lab import (
    GROUP,
    HOST,
    OTHER_HOST,
    SIZE,
    VOLUME,
    Lab,
    Lun,
    disk_record,
    disk_ref,
    edited,
    importer,
    volume,
)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    made = []
    for number in range(3):
        path = tmp_path / f"lun{number}"
        with path.open("wb") as file:
            file.truncate(SIZE)
        made.append(str(path))
    return made


@pytest.fixture
def hosts(paths: list[str]) -> Iterator[tuple[dict[str, FileDevice], dict[str, FileDevice]]]:
    one, two = ({path: FileDevice(path) for path in paths} for _ in range(2))
    yield one, two
    for device in (*one.values(), *two.values()):
        device.close()


def test_a_group_wanders_between_two_hosts(hosts: tuple[dict[str, FileDevice], dict[str, FileDevice]]) -> None:
    one, two = hosts
    config = Config.of([Group(ref=GROUP, name="dg1"), *(disk_record(number) for number in range(3)), volume(1)])
    store = GroupStore.create(config, dict(zip(map(disk_ref, range(3)), one.values(), strict=True)), importer())
    changed, touched = edited(config, volume(7 * MIB))
    assert store.commit({ref: changed.get(ref) for ref in touched}, 2, changed).durable
    assert scan(two).groups[GROUP.id].state(OTHER_HOST) is GroupState.FOREIGN
    store.deport()
    found = scan(two).groups[GROUP.id]
    assert found.state(OTHER_HOST) is GroupState.DEPORTED
    taken = GroupStore.load(found, importer(OTHER_HOST, "beta"))
    sizes = [record.size for record in taken.records() if isinstance(record, Volume)]
    assert sizes == [7 * MIB]
    assert {record.ref.host for record in taken.records()} == {OTHER_HOST}
    back = GroupStore.load(scan(one).groups[GROUP.id], importer(), clear=True)
    assert back.transaction > taken.transaction
    again, touched = edited(changed, volume(MIB))
    outcome = taken.commit({VOLUME: again.get(VOLUME)}, 99, again)
    assert not outcome.durable
    assert "alpha" in outcome.reason


def test_a_read_past_the_cache_tells_the_bytes(paths: list[str]) -> None:
    device = FileDevice(paths[0])
    device.write(MIB, b"metadata".ljust(8192, b"."), durable=True)
    assert read_uncached(device, MIB, 8192) == b"metadata".ljust(8192, b".")
    wrapped = Wrapper(device)
    assert drop_cache(wrapped, MIB, 8192)
    assert read_uncached(wrapped, MIB, 8192) == b"metadata".ljust(8192, b".")
    device.close()
    lab = Lab(1)
    assert not drop_cache(Lun("memory", lab.bus), 0, 4096)
    assert HOST != OTHER_HOST
