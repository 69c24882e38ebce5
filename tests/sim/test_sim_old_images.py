"""Old images of disks, put in place while nothing ran, and power cuts at each write of the starts that meet them."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from engine.commands import CreateGroup, CreateVolume
from engine.states import COMPLETE
from tests.sim.acts import SIZE, disks, do, volume, write_some
from tests.sim.checks import path_of, plex_pages
from tests.sim.crashes import LUN_SIZE, LUNS, Moment, Recorder, site_after
from tests.sim.folder import FolderImage
from tests.sim.journal import Silence
from tests.sim.machine import Machine, Snapshot
from tests.sim.patches import simulated
from tests.sim.site import Site

if TYPE_CHECKING:
    from tests.sim.media import Pages

NAMES = ("mirror", "alone")
KEPT_BY = {"with a copy": 0, "without a copy": 5}
FEW = 1 if os.environ.get("VEA_SOAK") else 9


class Story(NamedTuple):
    """A host that was stopped in order. `path` is the LUN of one disk; `old` is what stood there one life before;
    `right` is what each volume holds."""

    stopped: Moment
    path: str
    old: Pages
    right: dict[str, Pages]


def begun(number: int) -> tuple[Site, str]:
    """A group of six disks, of which five keep the configuration; a mirror, and another volume as a whole, lie on disk
    `number`, whose path is the second answer."""
    site = Site(Machine(11, Silence()), Random(11))
    site.machine.add_luns(LUNS, LUN_SIZE)
    paths: list[str] = []

    def make() -> None:
        site.check_host()
        chosen = tuple(disk.ref for disk in disks(site)[:6])
        do(site, CreateGroup(name="dg", disks=chosen))
        (store,) = site.machine.engine.committer.stores.values()
        refs = [*store.copies, *(ref for ref in chosen if ref not in store.copies)]
        disk, other = refs[number], refs[1]
        paths.append(path_of(site.config, disk))
        do(site, CreateVolume(group=site.group.ref, name="mirror", size=SIZE, mirrors=2, disks=(disk, other)))
        do(site, CreateVolume(group=site.group.ref, name="alone", size=SIZE, disks=(disk,)))
        for name in NAMES:
            write_some(site, 12, seed=1, name=name)

    assert site.machine.live(make)
    site.ended_in_order()
    return site, paths[0]


def one_life_later(site: Site, path: str) -> Story:
    """The host runs once more, its volumes are written, and it is stopped in order."""
    old = dict(site.machine.media[path].current)
    right: dict[str, Pages] = {}

    def main() -> None:
        site.check_host()
        site.greet()
        for name in NAMES:
            write_some(site, 6, seed=site.number, name=name)
            config, found = site.config, volume(site, name)
            right[name] = plex_pages(site.machine, config, config.plexes_of(found.ref)[0], found.size)

    assert site.machine.live(main)
    site.ended_in_order()
    return Story(now(site), path, old, right)


def now(site: Site) -> Moment:
    """Everything is stable, and nobody runs."""
    machine = site.machine
    luns = {path: media.image() for path, media in machine.media.items()}
    volumes = {ref: (known.oracle.copy(), set(known.sizes)) for ref, known in site.volumes.items()}
    found = Snapshot(luns, FolderImage.of(machine.files), machine.clock)
    return Moment("stopped", found, volumes, {}, frozenset(), {}, site.number, machine.host, {}, site.parting.copy())


def with_the_old(site: Site, story: Story) -> Site:
    media = site.machine.media[story.path]
    media.stable, media.current, media.extents = dict(story.old), dict(story.old), []
    return site


def moments_of_a_start(site: Site) -> list[Moment]:
    """Up to where everything is at rest."""
    recorder = Recorder(site, on=True)
    site.machine.moment = recorder.take

    def main() -> None:
        site.rest()
        recorder.on = False

    assert site.machine.live(main)
    assert len(recorder.moments) > 30
    return recorder.moments


def wrong(site: Site, story: Story) -> list[str]:
    """The volumes of which clients may read something that is not right."""
    found = []
    for name in NAMES:
        config, record = site.config, volume(site, name)
        for plex in config.plexes_of(record.ref) if record.serving else ():
            read = plex.state in COMPLETE and record.source in (None, plex.ref)
            if read and plex_pages(site.machine, config, plex, record.size) != story.right[name]:
                found.append(name)
    return found


def is_told(site: Site, story: Story) -> None:
    """Switch on: nothing old is believed, and what has no other copy waits for the operator."""

    def main() -> None:
        for _ in range(2):
            assert not wrong(site, story)
            assert volume(site, "mirror").serving
            assert not volume(site, "alone").serving
            site.rest()

    assert site.machine.live(main)


def each(moments: list[Moment], seed: int, few: int = FEW) -> list[Moment]:
    """All of them, or some that the seed chooses."""
    return moments[seed % few :: few]


@pytest.fixture(scope="module", params=KEPT_BY)
def story(request: pytest.FixtureRequest) -> Story:
    with simulated():
        return one_life_later(*begun(KEPT_BY[request.param]))


def test_a_start_that_meets_an_old_image_is_cut(story: Story, seed: int) -> None:
    moments = moments_of_a_start(with_the_old(site_after(story.stopped, 3, 1.0), story))
    for found in each(moments, seed):
        is_told(site_after(found, seed, 1.0), story)
    again = site_after(Random(seed).choice(moments), seed, 1.0)
    for found in each(moments_of_a_start(again), seed, 2 * FEW):
        is_told(site_after(found, seed, 1.0), story)


def test_an_old_image_is_put_in_place_after_a_start_that_was_cut(story: Story, seed: int) -> None:
    for found in each(moments_of_a_start(site_after(story.stopped, 3, 1.0)), seed):
        is_told(with_the_old(site_after(found, seed, 1.0), story), story)


def test_an_image_is_taken_when_a_start_was_cut_and_put_in_place_one_life_later(story: Story, seed: int) -> None:
    for found in each(moments_of_a_start(site_after(story.stopped, 3, 1.0)), seed):
        later = one_life_later(site_after(found, seed, 1.0), story.path)
        is_told(with_the_old(site_after(later.stopped, seed, 1.0), later), later)
