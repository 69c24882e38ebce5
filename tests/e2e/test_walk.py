"""The main job from outside: a mirrored volume by wizard, its subdisk dragged away while a client verifies its data."""

from __future__ import annotations

from typing import Any

from tests.e2e import steps
from tests.e2e.bytes_on_luns import plex_digest, taken
from tests.e2e.fio import Fio
from tests.e2e.walker import Walker

SIZE_MIB = 256


def test_a_subdisk_is_dragged_away_under_a_verifying_client(walker: Walker) -> None:
    steps.make_mirror(walker, "walk", SIZE_MIB)
    made = steps.volume(walker, "walk")
    assert made["layout"] == "mirror"
    assert made["status"] == "Healthy"
    client = Fio(walker.folder / "fio", walker.uri("dg1/walk"), SIZE_MIB << 20)
    try:
        client.wait_until_it_runs()
        source = made["plexes"][0]["subdisks"][0]
        target = steps.other_disk(walker, made)
        steps.open_disk_view(walker)
        steps.drag_to_disk(walker, made["plexes"][0]["name"], target)
        walker.vx("vxtask", "wait", "--all")
        client.stop()
        check_the_move(walker, source, target)  # before anything writes over what was copied
        client.write_all()
    finally:
        client.close()
    freed = f"Harddisk{source['disk'].removeprefix('Harddisk')} at"
    walker.find(("list", "Disk View"), ("list item", "free,*"))

    def is_free() -> bool:
        names = [each["name"] for each in steps.blocks(walker)]
        return not [name for name in names if name.startswith("walk-01") and freed in name]

    walker.until(is_free, f"nothing of walk-01 on {freed}")


def check_the_move(walker: Walker, source: dict[str, Any], target: str) -> None:
    """The piece lies on the target, both mirrors have the same bytes, and where it was nothing is now."""
    group = walker.group()
    volume = next(each for each in group["volumes"] if each["name"] == "walk")
    assert [each["disk"] for each in volume["plexes"][0]["subdisks"]] == [target]
    assert volume["status"] == "Healthy"
    assert len({plex_digest(group, plex) for plex in volume["plexes"]}) == 1
    begin, end = source["disk_offset"], source["disk_offset"] + source["length"]
    assert not [each for each in taken(group, source["disk"]) if each[0] < end and begin < each[1]]
    [move] = [each for each in walker.vx_json("vxtask", "list") if each["type"] == "Move Subdisk"]
    assert move["state"] == "completed"
    assert move["bytes_copied"] >= source["length"]
