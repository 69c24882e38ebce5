"""The programs run in this process against a real engine's socket: words in, status and texts out."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cli.common import run


@dataclass(frozen=True)
class Answer:
    """What a program left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Line:
    """A command line on one engine."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def __call__(self, text: str | list[str]) -> Answer:
        """Run `vxdisk list`, say. A list keeps words with spaces."""
        words = text.split() if isinstance(text, str) else text
        tool = importlib.import_module(f"engine.cli.{words[0]}").TOOL
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run(tool, ["--socket", str(self.socket), *words[1:]])
        return Answer(status, out.getvalue(), err.getvalue())

    def ask(self, text: str) -> Any:
        """The JSON answer of a program that must succeed."""
        answer = self(f"{text} --json")
        assert answer.status == 0, f"{text}: {answer.err}"
        assert answer.err == ""
        return answer.json

    def group(self, name: str) -> dict[str, Any]:
        groups: list[dict[str, Any]] = [each for each in self.ask("vxprint")["groups"] if each["name"] == name]
        assert len(groups) == 1
        return groups[0]

    def volume(self, group: str, name: str) -> dict[str, Any]:
        volumes: list[dict[str, Any]] = [each for each in self.group(group)["volumes"] if each["name"] == name]
        assert len(volumes) == 1, f"{name} in {group}"
        return volumes[0]

    def listed(self) -> dict[str, Any]:
        """All groups as they are listed, but for what the engine is bringing to rest by itself."""
        found: dict[str, Any] = self.ask("vxprint")
        for group in found["groups"]:
            for volume in group["volumes"]:
                (volume["dirty_log"] or {}).pop("dirty", None)
        return found

    def do(self, text: str) -> dict[str, Any]:
        """Plan, see that nothing changed, do it, and see that what the plan gave and took is so."""
        before = self.listed()
        plan = self.ask(f"{text} --plan")
        assert self.listed() == before, f"the plan of {text} changed something"
        assert plan["problems"] == []
        shown = self(f"{text} --plan")
        assert shown.status == 0
        assert plan["title"] in shown.out
        task: dict[str, Any] = self.ask(text)
        assert task["state"] == "completed", task
        self._check_ranges(plan)
        return {"plan": plan, "task": task}

    def _check_ranges(self, plan: dict[str, Any]) -> None:
        taken = [
            (subdisk["disk"], subdisk["disk_offset"], subdisk["disk_offset"] + subdisk["length"])
            for group in self.ask("vxprint")["groups"]
            for volume in group["volumes"]
            for plex in (*volume["plexes"], *volume["logs"])
            for subdisk in plex["subdisks"]
        ]
        for given in plan["allocates"]:
            assert _inside(given, taken)
        free = [(row["disk"], row["offset"], row["offset"] + row["length"]) for row in self.ask("vxdg free")]
        grouped = {disk["name"] for group in self.ask("vxprint")["groups"] for disk in group["disks"]}
        for freed in plan["frees"]:
            assert _inside(freed, free) or freed["disk"] not in grouped


def _inside(wanted: dict[str, Any], ranges: list[tuple[str, int, int]]) -> bool:
    """A range of a plan lies in one of these (disk, start, end)."""
    start, end = wanted["offset"], wanted["offset"] + wanted["length"]
    return any(disk == wanted["disk"] and low <= start and end <= high for disk, low, high in ranges)


def line_with_volumes(socket: Path, *, prepared: bool) -> Line:
    """A line on an engine to which it has given the group `t` with the volumes `v` and `w`, each with a snap plex if
    they are to be `prepared`."""
    line = Line(socket)
    assert line("vxdg init t Harddisk3 Harddisk4 Harddisk9 Harddisk10").status == 0
    for name in ("v", "w"):
        line.do(f"vxassist -g t make {name} 8m")
        if prepared:
            line.do(f"vxsnap -g t prepare {name}")
    return line
