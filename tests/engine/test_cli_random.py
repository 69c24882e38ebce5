"""The truth of plans: random commands, legal and illegal, whose plan, refusal and effect must agree."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.units import MIB
from tests.engine.cli_lab import Line
from tests.engine.small_host import small_host

COMMANDS = 60
Made = dict[str, Any]
Choice = Callable[[random.Random, Made], str]


def volumes(lab: Made) -> list[dict[str, Any]]:
    return lab["volumes"] or [{"name": "nothing", "size": 0, "plexes": []}]


def plexes(lab: Made) -> list[dict[str, Any]]:
    return [plex for volume in volumes(lab) for plex in volume["plexes"]] or [{"name": "none-01", "subdisks": []}]


def pieces(lab: Made) -> list[dict[str, Any]]:
    found = [subdisk for plex in plexes(lab) for subdisk in plex["subdisks"]]
    return found or [{"name": "none-01", "length": MIB, "disk_offset": 0}]


def disks(lab: Made) -> list[str]:
    return [disk["name"] for disk in lab["disks"]]


def make(rng: random.Random, lab: Made) -> str:
    layout = rng.choice(["concat", "stripe", "mirror", "mirror-stripe", "stripe columns=3", "mirror mirror=3"])
    chosen = f" alloc={','.join(rng.sample(disks(lab), 2))}" if rng.random() < 0.3 else ""
    return f"vxassist -g dg1 make v{rng.randrange(12)} {rng.choice([1, 3, 8, 20, 70])}m layout={layout}{chosen}"


def grow(rng: random.Random, lab: Made) -> str:
    return f"vxassist -g dg1 growby {rng.choice(volumes(lab))['name']} {rng.choice([1, 2, 7, 200])}m"


def mirror(rng: random.Random, lab: Made) -> str:
    chosen = f" alloc={rng.choice(disks(lab))}" if rng.random() < 0.5 else ""
    return f"vxassist -g dg1 mirror {rng.choice(volumes(lab))['name']}{chosen}"


def move(rng: random.Random, lab: Made) -> str:
    offset = f":{rng.randrange(0, 70)}m" if rng.random() < 0.4 else ""
    return f"vxsd -g dg1 mv {rng.choice(pieces(lab))['name']} {rng.choice(disks(lab))}{offset}"


def split(rng: random.Random, lab: Made) -> str:
    return f"vxsd -g dg1 split {rng.choice(pieces(lab))['name']} {rng.choice([1, 2, 5])}m"


def join(rng: random.Random, lab: Made) -> str:
    return f"vxsd -g dg1 join {rng.choice(pieces(lab))['name']} {rng.choice(pieces(lab))['name']}"


def evacuate(rng: random.Random, lab: Made) -> str:
    return f"vxassist -g dg1 evacuate {rng.choice(disks(lab))}"


def break_off(rng: random.Random, lab: Made) -> str:
    return f"vxplex -g dg1 break {rng.choice(plexes(lab))['name']} w{rng.randrange(8)}"


def remove_plex(rng: random.Random, lab: Made) -> str:
    return f"vxplex -g dg1 rm {rng.choice(plexes(lab))['name']}"


def remove(rng: random.Random, lab: Made) -> str:
    return f"vxassist -g dg1 remove volume {rng.choice(volumes(lab))['name']}"


def stop_or_start(rng: random.Random, lab: Made) -> str:
    return f"vxvol -g dg1 {rng.choice(['stop', 'start'])} {rng.choice(volumes(lab))['name']}"


def detach_or_attach(rng: random.Random, lab: Made) -> str:
    return f"vxplex -g dg1 {rng.choice(['det', 'att'])} {rng.choice(plexes(lab))['name']}"


CHOICES: list[Choice] = [
    *(make,) * 4, *(grow,) * 2, *(mirror,) * 3, *(move,) * 4, *(split,) * 2, join, evacuate, break_off, remove_plex,
    remove, stop_or_start, detach_or_attach,
]  # fmt: skip


def test_plan_refusal_and_effect_agree(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    done = refused = 0
    with small_host(tmp_path) as host:
        line = Line(host.socket)
        for _ in range(COMMANDS):
            text = rng.choice(CHOICES)(rng, line.group("dg1"))
            planned = line(f"{text} --plan --json")
            if planned.status == 0:
                both = line.do(text)
                copies, copied = both["plan"]["copies_bytes"], both["task"]["bytes_copied"]
                assert abs(copies - copied) <= copies / 100, text
                done += 1
            else:
                before = line.listed()
                answer = line(text)
                assert (answer.status, answer.err) == (planned.status, planned.err), text
                assert answer.out == ""
                assert line.listed() == before
                refused += 1
            check_space(line, text)
    assert done >= COMMANDS // 4, "too few of the commands were possible to show anything"
    assert refused >= 5


def check_space(line: Line, text: str) -> None:
    """Used and free regions fill each disk without overlap, and no two plexes of a volume share a disk."""
    group = line.group("dg1")
    spans: dict[str, list[tuple[int, int]]] = {disk["name"]: [] for disk in group["disks"]}
    for volume in group["volumes"]:
        used = [{subdisk["disk"] for subdisk in plex["subdisks"]} for plex in volume["plexes"]]
        assert len(set().union(*used)) == sum(map(len, used)), f"{text}: two plexes of {volume['name']} share a disk"
        for plex in volume["plexes"]:
            for subdisk in plex["subdisks"]:
                start = subdisk["disk_offset"]
                spans[subdisk["disk"]].append((start, start + subdisk["length"]))
    for row in line.ask("vxdg free dg1"):
        spans[row["disk"]].append((row["offset"], row["offset"] + row["length"]))
    for disk, ranges in spans.items():
        ordered = sorted(ranges)
        for (_, end), (start, _) in itertools.pairwise(ordered):
            assert end == start, f"{text}: gap or overlap on {disk} at {end}"
