"""Random lives of volumes and their snapshots against a plain model: bytes, and what is copied at most."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import commands as c
from engine.records import TaskDelay, TaskType
from tests.engine.engine_lab import EngineLab
from tests.engine.snapshot_model import REGIONS, SnapshotModel

SEEDS = range(40) if os.environ.get("VEA_SOAK") else range(3)
STEPS = 30
VOLUMES_MAX = 6


def step(model: SnapshotModel) -> None:
    """One thing that an operator, a client or a power cut may do."""
    draw = model.random
    volumes = model.volumes()
    volume = draw.choice(volumes)
    taken = model.snapshots()
    originals = [one for one in volumes if model.ready(one) and not draw.randrange(3)]
    match draw.randrange(14):
        case 0 | 1 | 2 | 3:
            for _ in range(draw.randrange(1, 5)):
                model.write(draw.choice(volumes), draw.randrange(REGIONS), draw.randrange(256))
        case 4 | 5 if len(model.lab.config.plexes_of(volume.ref)) < 4 and not model.ready(volume):
            model.settle()
            model.do(c.PrepareSnapshot(volume=volume.ref))
        case 6 | 7 if originals and len(volumes) + len(originals) <= VOLUMES_MAX:
            model.settle()
            model.take(originals)
        case 8 | 9 if taken:
            model.settle()
            snapshot, link = draw.choice(taken)
            free = [one for one in snapshot.links if one.generation != link.generation]
            if not free and len(model.lab.config.plexes_of(snapshot.ref)) == 1:
                model.back(snapshot, link, draw.choice(list(c.Master)), wait=bool(draw.randrange(3)))
        case 10 if taken and not draw.randrange(2):
            model.settle()
            snapshot, _ = draw.choice(taken)
            kind = c.ClearSnapshots if draw.randrange(2) else c.DeleteVolumes
            model.do(kind(volumes=(snapshot.ref,)))
        case 11:
            model.crash(in_order=bool(draw.randrange(2)))
        case 12:
            model.settle()
            disk = draw.choice(model.lab.config.disks_of(model.lab.group().ref))
            model.attempt(c.EvacuateDisk(disk=disk.ref))
        case 13:
            model.settle()
            plexes = [plex for plex in model.lab.config.plexes_of(volume.ref) if plex.snap is None]
            leaves = len(plexes) > 1 and draw.randrange(2)
            model.attempt(c.RemoveMirrors(plexes=(plexes[-1].ref,)) if leaves else c.AddMirrors(volume=volume.ref))
        case _:
            pass


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_all_bytes_are_those_of_the_model(tmp_path: Path, seed: int) -> None:
    lab = EngineLab(tmp_path, lun_size=144 * (1 << 20)).start()
    try:
        lab.make_group(6)
        model = SnapshotModel(lab, seed)
        lab.do(c.ChangeSettings(iodelay_ms=(TaskDelay(TaskType.RESYNC, 30),)))
        model.make("one", 1)
        model.make("two", 2)
        for number in range(STEPS):
            step(model)
            if number % 5 == 4:
                model.check()
        model.check()
    finally:
        if lab.opened is not None:
            lab.stop()
