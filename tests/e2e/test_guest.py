"""A guest whose root lies on a mirrored volume keeps running and writing while a subdisk under it moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.commands import Move, MoveSubdisks, Target, ThrottleTask
from engine.remote.client import RemoteEngine
from tests.e2e import guest as guests
from tests.e2e.bytes_on_luns import lun_of
from tests.e2e.display import until
from tests.e2e.tools import Tools, service

SIZE_MIB = 256
BEFORE, DURING, AFTER = 50, 100, 50
"""Numbers that the guest has to acknowledge before, during and after the move."""
DELAY_MS = 1000


def move_state(tools: Tools, task: int) -> Any:
    return next(each for each in tools.vx_json("vxtask", "list") if each["id"] == task)


def block_on_lun(group: dict[str, Any], plex: dict[str, Any], offset: int) -> bytes:
    """A block of a volume as one mirror has it, read from the LUN's file."""
    piece = next(
        each for each in plex["subdisks"] if each["plex_offset"] <= offset < each["plex_offset"] + each["length"]
    )
    with open(lun_of(group, piece["disk"]), "rb") as lun:
        lun.seek(piece["disk_offset"] + offset - piece["plex_offset"])
        return lun.read(guests.BLOCK)


@pytest.mark.timeout(600)
def test_a_guest_writes_on_while_its_subdisk_moves(tmp_path: Path) -> None:
    if absent := guests.absent():
        pytest.skip(f"a guest needs {absent}")
    with service(tmp_path / "engine") as tools:
        tools.vx("vxassist", "-g", "dg1", "make", "boot", f"{SIZE_MIB}m", "layout=mirror")
        folder = tmp_path / "guest"
        folder.mkdir()
        guests.install(folder, tools.uri("dg1/boot"))
        guest = guests.Guest(folder, tools.uri("dg1/boot"))
        try:
            guest.wait_for(BEFORE)
            source, target = under_way(tools, guest)
            guest.wait_for(guest.acknowledged + AFTER)
        finally:
            last = guest.kill()
        group = tools.group()
        volume = next(each for each in group["volumes"] if each["name"] == "boot")
        disks = {each["disk"] for plex in volume["plexes"] for each in plex["subdisks"]}
        assert target in disks
        assert source not in disks
        assert volume["status"] == "Healthy"
        for plex in volume["plexes"]:
            for number in range(1, last + 1):
                offset = (guests.FIRST_BLOCK + number) * guests.BLOCK
                assert block_on_lun(group, plex, offset) == guests.expected(number), (plex["name"], number, last)


def begin_slow_move(socket: Path, piece: str, target: str) -> int:
    """A move that is throttled by the same client at once: two programs, one after the other, would come too late."""
    api = RemoteEngine.connect(socket)
    assert api is not None
    try:
        by_name = {record.name: record.ref for record in api.attach(lambda batch: None).records}
        move = Move(by_name[piece], (Target(by_name[target]),))
        task = api.submit(MoveSubdisks(moves=(move,)))
        api.submit(ThrottleTask(task=task, iodelay_ms=DELAY_MS))
        return int(task.id)
    finally:
        api.close()


def under_way(tools: Tools, guest: guests.Guest) -> tuple[str, str]:
    """Move a subdisk of the volume, slowly enough that the guest writes meanwhile; answers source and target disk."""
    group = tools.group()
    volume = next(each for each in group["volumes"] if each["name"] == "boot")
    used = {each["disk"] for plex in volume["plexes"] for each in plex["subdisks"]}
    piece = volume["plexes"][0]["subdisks"][0]
    others = [each for each in group["disks"] if each["name"] not in used]
    target = str(max(others, key=lambda each: each["free"])["name"])
    at_begin = guest.acknowledged
    task = begin_slow_move(tools.socket, piece["name"], target)
    guest.wait_for(at_begin + DURING)
    during = move_state(tools, task)
    assert during["state"] == "running", "the move was over before the guest had written anything meanwhile"
    assert 0 < during["bytes_done"] < during["bytes_total"]
    tools.vx("vxtask", "set", str(task), "iodelay=0")
    until(240, lambda: move_state(tools, task)["state"] == "completed", "the end of the move")
    return piece["disk"], target
