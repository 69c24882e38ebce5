"""vxprint: groups, disks, volumes, plexes and subdisks as they are now."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.cli import output, resolve, rows
from engine.cli.common import COMMON, GROUP, run
from engine.cli.forms import Form, Tool, Words
from engine.units import format_size

if TYPE_CHECKING:
    from engine.cli.session import Session

_HEADS = ("TYPE", "NAME", "SIZE", "STATE", "LAYOUT", "WHERE")


def _print(session: Session, words: Words) -> int:
    from engine.records import Group, Kind

    named = session.named_group
    groups = [named] if named else session.config.all(Kind.GROUP, Group)
    trees = [rows.group_tree(session.config, group) for group in groups]
    wanted = list(dict.fromkeys(words.many("NAME")))
    if wanted:
        for name in wanted:
            _check(name, trees)
        trees = [tree for each in trees if (tree := _only(each, set(wanted))) is not None]
    if session.json:
        output.write_json({"groups": trees})
    else:
        output.write(output.table(_HEADS, [row for tree in trees for row in _lines(tree)], right=("SIZE",)))
    return 0


def _names(tree: rows.Row) -> Iterator[str]:
    """Every name in a group, its own first."""
    yield tree["name"]
    yield from (disk["name"] for disk in tree["disks"])
    for volume in tree["volumes"]:
        yield volume["name"]
        for plex in (*volume["plexes"], *volume["logs"]):
            yield plex["name"]
            yield from (subdisk["name"] for subdisk in plex["subdisks"])


def _check(name: str, trees: list[rows.Row]) -> None:
    names = [each for tree in trees for each in _names(tree)]
    if name not in names:
        raise resolve.absent("object", name, "", names)


def _only(tree: rows.Row, wanted: set[str]) -> rows.Row | None:
    """The group with what was asked for: a volume is shown whole for its own name and for that of any of its parts."""
    if tree["name"] in wanted:
        return tree
    disks = [disk for disk in tree["disks"] if disk["name"] in wanted]
    volumes = [volume for volume in tree["volumes"] if wanted & _parts(volume)]
    return {**tree, "disks": disks, "volumes": volumes} if disks or volumes else None


def _parts(volume: rows.Row) -> set[str]:
    plexes = (*volume["plexes"], *volume["logs"])
    subdisks = {subdisk["name"] for plex in plexes for subdisk in plex["subdisks"]}
    return {volume["name"], *(plex["name"] for plex in plexes), *subdisks}


def _lines(tree: rows.Row) -> Iterator[tuple[str, ...]]:
    yield ("group", tree["name"], "", tree["state"], "", tree["id"])
    for disk in tree["disks"]:
        free = f"{format_size(disk['free'])} free"
        yield (
            "disk",
            f"  {disk['name']}",
            format_size(disk["size"]),
            disk["status"],
            "",
            f"{free}, {disk['lun'] or '-'}",
        )
    for volume in tree["volumes"]:
        state = f"{volume['state']}, {volume['status']}"
        yield ("volume", f"  {volume['name']}", format_size(volume["size"]), state, volume["layout"], "")
        if volume["dirty_log"] is not None:
            yield _dirty_log_line(volume["dirty_log"])
        for plex in (*volume["plexes"], *volume["logs"]):
            yield from _plex_lines(plex)


def _plex_lines(plex: rows.Row) -> Iterator[tuple[str, ...]]:
    layout = plex["layout"]
    if layout in ("stripe", "raid5"):
        layout = f"{plex['columns']} columns of {format_size(plex['stripe_unit'])}"
        layout += " with parity" if plex["layout"] == "raid5" else ""
    yield ("log" if layout == "log" else "plex", f"    {plex['name']}", "", plex["state"], layout, "")
    for subdisk in plex["subdisks"]:
        targets = [
            f"{target['disk']} at {format_size(target['disk_offset'])}" for target in subdisk.get("moving_to", ())
        ]
        where = f"{subdisk['disk']} at {format_size(subdisk['disk_offset'])}"
        where += f", moving to {', '.join(targets)}" if targets else ""
        yield (
            "subdisk",
            f"      {subdisk['name']}",
            format_size(subdisk["length"]),
            subdisk.get("state", ""),
            "",
            where,
        )


def _dirty_log_line(log: rows.Row) -> tuple[str, ...]:
    dirty, where = f"{format_size(log['dirty'])} dirty", ", ".join(log["disks"]) or "on no disk"
    return ("log", "    dirty region log", format_size(log["region"]), dirty, "", where)


TOOL = Tool(
    "vxprint",
    "Groups, disks, volumes, plexes and subdisks as they are now.",
    (
        Form(
            "[NAME...]",
            "Print everything, or what belongs to these names.",
            _print,
            examples=("vxprint --json", "vxprint -g dg1 ev"),
        ),
    ),
    (GROUP, *COMMON),
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
