"""A real engine process under real clients and an impatient operator, killed at random: no acknowledged byte is lost.

The short slice of CI and the long run of the soak are the same program; a failing seed replays the same choices.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from engine.units import MIB
from tests.engine.service import Service, needs

SLICE_S = 20
SOAK_S = 1200
VOLUMES = {
    "w0": ("layout=mirror",),
    "w1": ("layout=mirror-stripe", "columns=2"),
    "w2": ("layout=stripe", "columns=2"),
    "w3": (),
    "w4": ("layout=raid5", "columns=3"),
}
BLOCKS = 24  # of 1 MiB, in each volume


class Writer:
    """One client that writes whole blocks of one value, and knows how many of them were acknowledged."""

    def __init__(self, service: Service, volume: str, rng: random.Random) -> None:
        self.blocks = [(rng.randrange(BLOCKS), rng.randrange(1, 255)) for _ in range(6)]
        words = [word for block, value in self.blocks for word in ("-c", f"write -P {value} {block}M 1M")]
        self.client = subprocess.Popen(
            ["qemu-io", "-f", "raw", service.uri(volume), *words, "-c", "flush"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def note(self, known: dict[int, set[int]]) -> None:
        """Acknowledged blocks have one value from now on; what was under way may have either."""
        told = self.client.communicate(timeout=100)[0].count("wrote 1048576")
        for number, (block, value) in enumerate(self.blocks):
            known[block] = {value} if number < told else known.get(block, {0}) | {value}


def operate(service: Service, rng: random.Random) -> None:
    """Three things that an operator might do now, sensible or not; each is done or refused in a sentence."""
    group = service.group()
    for _ in range(3):
        volume = rng.choice([each for each in group["volumes"] if each["name"] in VOLUMES])
        plex = rng.choice(volume["plexes"])
        subdisk, disk = rng.choice(plex["subdisks"])["name"], rng.choice(group["disks"])["name"]
        words = rng.choice(
            [
                ("vxsd", "mv", subdisk, disk),
                ("vxsd", "mv", subdisk, disk, "-b"),
                ("vxsd", "split", subdisk, "8m"),
                ("vxassist", "mirror", volume["name"], "-b"),
                ("vxassist", "evacuate", disk, "-b"),
                ("vxassist", "growby", volume["name"], "1m"),
                ("vxplex", "rm", plex["name"]),
                ("vxplex", "det", plex["name"]),
                ("vxplex", "att", plex["name"], "-b"),
                ("vxvol", "resync", volume["name"]),
            ]
        )
        answer = service.run(words[0], "-g", "dg1", *words[1:])
        assert answer.returncode in (0, 1), (words, answer.stderr)
        assert "Traceback" not in answer.stderr, (words, answer.stderr)
        assert "defect" not in answer.stderr, (words, answer.stderr)


def check(service: Service, volume: str, known: dict[int, set[int]], folder: Path) -> None:
    """Every block is whole and holds a value that it may have."""
    copy = folder / "copy"
    subprocess.run(["nbdcopy", service.uri(volume), str(copy)], check=True, capture_output=True)
    with copy.open("rb") as file:
        for block, values in sorted(known.items()):
            file.seek(block * MIB)
            data = file.read(MIB)
            if len(values) == 1:
                assert data == bytes(values) * MIB, f"{volume}: block {block} is not {values}"
            else:
                assert set(data) <= values, f"{volume}: block {block} holds {set(data)}, not {values}"
    copy.unlink()


@pytest.mark.timeout(SOAK_S * 2)
def test_kills_and_operators_cost_no_acknowledged_byte(tmp_path: Path, seed: int) -> None:
    needs("qemu-io", "nbdcopy")
    rng = random.Random(seed)
    service = Service(tmp_path)
    service.create()
    for name, layout in VOLUMES.items():
        service.make(name, f"{BLOCKS}m", *layout)
    known: dict[str, dict[int, set[int]]] = {name: {} for name in VOLUMES}
    until = time.monotonic() + (SOAK_S if os.environ.get("VEA_SOAK") else SLICE_S)
    kills = rounds = 0
    while time.monotonic() < until:
        writers = {name: Writer(service, name, rng) for name in VOLUMES}
        operate(service, rng)
        if rng.random() < 0.5:
            service.end(signal.SIGKILL)
            kills += 1
        for name, writer in writers.items():
            writer.note(known[name])
        assert service.process is not None
        if service.process.poll() is not None:
            service.start()
        for name, blocks in known.items():
            check(service, name, blocks, tmp_path)
        if rng.random() < 0.2:
            assert service.end(signal.SIGTERM) == 0
            service.start()
        rounds += 1
    assert service.end(signal.SIGTERM) == 0
    assert rounds > 0
    assert kills <= rounds, f"{rounds} rounds, {kills} kills, seed {seed}"
