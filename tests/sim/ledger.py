"""What a soak has done, a line for each job: a run that was cut short goes on where it was, and its figures add up."""

from __future__ import annotations

import functools
import json
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.sim.crashes import Result

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Job:
    """A piece of work for one process. `what` is an operation, a sequence, or empty."""

    kind: str
    what: str
    layout: str
    seed: int
    every: int = 1


@dataclass
class Ledger:
    """Without a `place` it lives as long as the run. `seed` is where everything is drawn from."""

    seed: int
    place: Path | None = None
    seconds: float = 0.0
    commits: dict[str, None] = field(default_factory=dict)
    done: dict[Job, Result] = field(default_factory=dict)

    @classmethod
    def open(cls, place: Path | None, seed: int) -> Ledger:
        """What earlier runs have done; their seed holds, too. ValueError when the file is no ledger."""
        ledger = cls(seed, place)
        if place is not None and place.exists():
            for line in place.read_text().splitlines():
                ledger._take(json.loads(line))
        return ledger

    def add(self, job: Job, result: Result, seconds: float) -> None:
        """A job is done, `seconds` after the one before it."""
        entry = {"seed": self.seed, "commit": _commit(), "seconds": round(seconds, 3)}
        self._take({**entry, "job": asdict(job), "result": asdict(result)})
        if self.place is not None:
            with self.place.open("a") as file:
                file.write(json.dumps({**entry, "job": asdict(job), "result": asdict(result)}) + "\n")

    def left(self, jobs: list[Job]) -> Iterator[Job]:
        """Those that are still to be done."""
        return (job for job in jobs if job not in self.done)

    def _take(self, entry: dict[str, Any]) -> None:
        self.seed = entry["seed"]
        self.seconds += entry["seconds"]
        self.commits[entry["commit"]] = None
        self.done[Job(**entry["job"])] = Result(**entry["result"])


@functools.cache
def _commit() -> str:
    """The commit that this process began with, marked when something differs from it; empty outside of a repository."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=8", "--exclude=*"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
