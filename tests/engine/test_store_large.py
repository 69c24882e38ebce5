"""Ten thousand volumes, forty thousand subdisks: a commit costs what it changes, and a start takes seconds."""

from __future__ import annotations

import time

import msgspec
import pytest

from engine.config import Config, Edit
from engine.errors import MetadataError
from engine.records import Kind, Plex, Ref, Subdisk, Volume
from engine.store.group_store import GroupStore
from engine.store.scan import scan
from engine.units import GIB, MIB
from tests.engine.store_lab import GROUP, HOST, Lab, disk_ref, importer, rows
from tests.pace import slowness

VOLUMES = 10_000
DISKS = 6


def fill(config: Config, volumes: int) -> tuple[Config, frozenset[Ref]]:
    edit = Edit(config)
    for number in range(volumes):
        home = Ref(Kind.VOLUME, f"{number + 1:032x}", HOST)
        edit.put(Volume(ref=home, name=f"Volume{number}", group=GROUP, size=2 * MIB))
        for mirror in range(2):
            plex = Ref(Kind.PLEX, f"{2 * number + mirror + 1:032x}", HOST)
            edit.put(Plex(ref=plex, name=f"Volume{number}-0{mirror + 1}", volume=home))
            for part in range(2):
                edit.put(
                    Subdisk(
                        ref=Ref(Kind.SUBDISK, f"{4 * number + 2 * mirror + part + 1:032x}", HOST),
                        name=f"Harddisk{mirror}-{2 * number + part + 1:02}",
                        plex=plex,
                        disk=disk_ref(mirror),
                        disk_offset=33 * MIB + (2 * number + part) * MIB,
                        plex_offset=part * MIB,
                        length=MIB,
                    )
                )
    return edit.result()


@pytest.fixture(scope="module")
def large() -> tuple[Lab, Config]:
    lab = Lab(DISKS, 32 * GIB)
    lab.create()
    config, changed = fill(lab.config, VOLUMES)
    outcome = lab.store.commit({ref: config.get(ref) for ref in changed}, 2, config)
    assert outcome.durable
    return lab, config


def test_a_commit_writes_what_it_changes(large: tuple[Lab, Config]) -> None:
    lab, config = large
    volume = config.volume(Ref(Kind.VOLUME, f"{7:032x}", HOST))
    lab.bus.writes.clear()
    started = time.process_time()
    for size in range(100):
        change = msgspec.structs.replace(volume, size=size)
        assert lab.store.commit({volume.ref: change}, 0, config).durable
    spent = time.process_time() - started
    assert sum(len(write.data) for write in lab.bus.writes) == 100 * 4096 * len(lab.store.copies)
    assert spent < 1.0 * slowness()
    print(f"{spent * 10:.2f} ms of processor time a commit to {len(lab.store.copies)} copies")
    assert lab.store.commit({volume.ref: volume}, 0, config).durable


def test_a_group_of_forty_thousand_subdisks_is_loaded_in_seconds(large: tuple[Lab, Config]) -> None:
    lab, config = large
    started = time.process_time()
    found = scan(lab.luns).groups[GROUP.id]
    store = GroupStore.load(found, importer())
    records = store.records()
    spent = time.process_time() - started
    assert rows(records) == rows(config)
    assert spent < 10.0 * slowness()
    print(f"{spent:.2f} s of processor time")
    lab.store = store


def test_what_does_not_fit_is_refused_before_anything_is_written() -> None:
    lab = Lab(2)  # with private regions of 4 MiB
    lab.create()
    config, changed = fill(lab.config, 3_000)
    change = {ref: config.get(ref) for ref in changed}
    sentence = lab.store.fits(config, change)
    assert "room for" in sentence
    assert sentence == lab.store.fits(config)
    before = len(lab.bus.writes)
    with pytest.raises(MetadataError, match="room for"):
        lab.store.commit(change, 2, config)
    assert len(lab.bus.writes) == before
    lab.set_value(4)
    smaller, changed = fill(lab.config, 1_500)
    assert lab.store.fits(smaller) == ""
    assert lab.store.commit({ref: smaller.get(ref) for ref in changed}, 3, smaller).durable
    found = lab.found()
    assert found is not None
    assert rows(found.records(HOST)) == rows(smaller)
