"""`python -m tests.sim.soak`: the simulator's full counts, in all processors, as a table by operation.

Everything is drawn from one seed, which is printed. The figures go between two marks of docs/reliability.md.
"""

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import multiprocessing.pool
import os
import random
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.sim import crashes, failures, sequences
from tests.sim.cases import CASES
from tests.sim.crashes import Result
from tests.sim.ledger import Job, Ledger
from tests.sim.operations import EVERY_LAYOUT, LAYOUTS
from tests.sim.patches import simulated
from tests.sim.world import play, replay_command

REPORT = Path(__file__).parents[2] / "docs/reliability.md"
MARKS = ("<!-- simulator: begin -->", "<!-- simulator: end -->")
SEEDS_IN_JOB = 25
JOBS_OF_PROCESS = 20
"""Nothing is left of a life, but the heap comes to pieces."""
BEGINNINGS = 3
"""Of sequences, on each layout: a process makes each only once."""
KINDS = ("crash", "failure", "sequence", "seed", "snap seed")
OF_SEEDS = ("seed", "snap seed")
TITLES = {
    "crash": "Power cut at every write and flush of an operation",
    "failure": "The n-th operation on a LUN fails (EIO, ENOSPC, timeout; once and for good)",
    "sequence": "Sequences of up to 3 operations, power cut after each durable write of the last",
    "seed": "Random seeds: clients, operator, faults, power cuts",
    "snap seed": "Random seeds of volumes with snapshots: the same, with writes to both sides",
}


@dataclass
class Row:
    """One line of the table. `points` is how many there are, however often each has been tried."""

    layouts: set[str] = field(default_factory=set)
    points: dict[tuple[str, str], int] = field(default_factory=dict)
    states: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, job: Job, result: Result) -> None:
        self.layouts.add(result.layout)
        key = job.what, job.layout
        self.points[key] = max(self.points.get(key, 0), result.points)
        self.states += result.states
        self.failures += result.failures


def jobs(chosen: argparse.Namespace, seed: int) -> list[Job]:
    """Everything that is to be done, in rounds: each sees a share of everything, so that a run that is cut short has
    seen some of all."""
    rounds = chosen.rounds
    everything = [job for turn in range(rounds) for job in _shuffled(_round(turn, chosen, seed))]
    return [job for job in everything if job.kind in chosen.only and job.what in (chosen.named or (job.what,))]


def _shuffled(found: list[Job]) -> list[Job]:
    random.Random(len(found)).shuffle(found)
    return found


def _round(turn: int, chosen: argparse.Namespace, seed: int) -> list[Job]:
    rounds = chosen.rounds

    def job(kind: str, what: str, layout: str = "") -> Job:
        """The remainder of its seed says which share of the moments it has to look at."""
        drawn = random.Random(f"{seed} {kind} {what} {layout}").getrandbits(40)
        return Job(kind, what, layout, drawn * rounds + turn, rounds)

    pairs = [(name, layout) for name in CASES for layout in EVERY_LAYOUT if applies(name, layout)]
    layouts = sorted(LAYOUTS)
    found = [job(kind, name, layout) for kind in ("crash", "failure") for name, layout in pairs]
    for number, names in list(enumerate(sequences.sequences()))[turn::rounds]:
        found.append(job("sequence", " ".join(names), layouts[number % len(layouts)]))
    for kind, count in zip(OF_SEEDS, (chosen.seeds, chosen.snap_seeds), strict=True):
        found += [job(kind, str(number)) for number in range(turn, count // SEEDS_IN_JOB, rounds)]
    return found


def applies(name: str, layout: str) -> bool:
    """Whether an operation makes sense on a layout."""
    return layout not in CASES[name].never_on


def _collect_seldom() -> None:
    """What stands now stays, and lives are short: a tenth of the time would go to looking for garbage."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 20)


def work(job: Job) -> Result:
    """One job, in a process of its own."""
    logging.disable(logging.CRITICAL)
    with simulated():
        try:
            return _work(job)
        except Exception as error:
            return Result(job.what, job.layout, failures=[f"{job}: {type(error).__name__}: {error}"])
        finally:
            gc.collect()


def _work(job: Job) -> Result:
    match job.kind:
        case "crash":
            return crashes.enumerate_case(job.what, job.layout, job.seed, job.every)
        case "failure":
            return failures.enumerate_failures(job.what, job.layout, job.seed, job.every, 1 + job.seed % job.every)
        case "sequence":
            names = tuple(job.what.split())
            start = sequences.base(job.layout, job.seed % BEGINNINGS)
            return sequences.enumerate_sequence(names, job.layout, start, job.seed)
        case _:
            result = Result("seeds", "any")
            first = job.seed * SEEDS_IN_JOB
            for number in range(first, first + SEEDS_IN_JOB):
                snapshots = job.kind == "snap seed"
                outcome = play(number, snapshots=snapshots)
                result.states += 1
                result.points += outcome.lines
                if outcome.error is not None:
                    text = f"{type(outcome.error).__name__}: {outcome.error}"
                    result.failures.append(f"{text}: {replay_command(number, snapshots=snapshots)}")
            return result


def run(chosen: argparse.Namespace, ledger: Ledger) -> None:
    """All jobs that are not in the ledger yet; a line for each failure as it is met."""
    begun = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with context.Pool(chosen.processes, _collect_seldom, maxtasksperchild=JOBS_OF_PROCESS) as pool:
        todo = list(ledger.left(jobs(chosen, ledger.seed)))
        for job, result in _done(pool, todo, begun + chosen.minutes * 60):
            now = time.monotonic()
            ledger.add(job, result, now - begun)
            begun = now
            for failure in result.failures:
                print(f"FAILED {job.kind}: {failure}", flush=True)


def _done(pool: multiprocessing.pool.Pool, todo: list[Job], ends: float) -> Iterator[tuple[Job, Result]]:
    results = pool.imap_unordered(_numbered, list(enumerate(todo)), chunksize=1)
    for _ in todo:
        try:
            number, result = results.next(max(ends - time.monotonic(), 0))
        except multiprocessing.TimeoutError:
            print(f"The time is up: {len(todo)} jobs were planned.", flush=True)
            pool.terminate()
            return
        yield todo[number], result


def _numbered(numbered: tuple[int, Job]) -> tuple[int, Result]:
    return numbered[0], work(numbered[1])


def tabulate(ledger: Ledger) -> dict[str, dict[str, Row]]:
    """The results by kind, and by operation."""
    table: dict[str, dict[str, Row]] = {kind: {} for kind in KINDS}
    for job, result in ledger.done.items():
        key = {"sequence": f"{len(job.what.split())} operations"}.get(job.kind, job.what)
        key = "all" if job.kind in OF_SEEDS else key
        table[job.kind].setdefault(key, Row()).add(job, result)
    return table


def report(ledger: Ledger) -> str:
    """The tables, as they stand in the document."""
    commits = ", ".join(filter(None, ledger.commits)) or "none"
    lines = [f"Drawn from seed {ledger.seed}, at commit {commits}, in {ledger.seconds / 60:.0f} minutes."]
    for kind, rows in tabulate(ledger).items():
        if not rows:
            continue
        points = "lines of log" if kind in OF_SEEDS else "points"
        lines += [
            "",
            f"**{TITLES[kind]}**",
            "",
            f"| what | layouts | {points} | runs | failures |",
            "|---|---|---|---|---|",
        ]
        for name, row in [*sorted(rows.items()), ("in all", _sum(rows))]:
            counts = f"{sum(row.points.values()):,} | {row.states:,} | {len(row.failures)}"
            lines.append(f"| {name} | {len(row.layouts)} | {counts} |")
    return "\n".join(lines)


def _sum(rows: dict[str, Row]) -> Row:
    total = Row()
    for row in rows.values():
        total.layouts |= row.layouts
        total.points |= row.points
        total.states += row.states
        total.failures += row.failures
    return total


def publish(text: str, place: Path = REPORT) -> None:
    """Put the figures between the marks, at the end where there are none yet."""
    before = place.read_text() if place.exists() else "# How reliable it is\n"
    if MARKS[0] not in before:
        before = f"{before.rstrip()}\n\n## Simulator\n\n{MARKS[0]}\n{MARKS[1]}\n"
    head, rest = before.split(MARKS[0], 1)
    tail = rest.split(MARKS[1], 1)[1]
    place.write_text(f"{head}{MARKS[0]}\n{text}\n{MARKS[1]}{tail}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="where all is drawn from; a new one when left out")
    parser.add_argument("--seeds", type=int, default=10_000, help="random seeds to play")
    parser.add_argument("--snap-seeds", type=int, default=5_000, help="random seeds with snapshots to play")
    parser.add_argument("--rounds", type=int, default=3, help="how many shares everything is done in")
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after this time")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--named", nargs="+", choices=tuple(CASES), help="of operations, only these")
    parser.add_argument("--ledger", type=Path, help="a file that keeps what is done; a later run goes on from there")
    parser.add_argument("--publish", action="store_true", help="write the figures into docs/reliability.md")
    chosen = parser.parse_args()
    seed = secrets.randbits(32) if chosen.seed is None else chosen.seed
    ledger = Ledger.open(chosen.ledger, seed)
    run(chosen, ledger)
    text = report(ledger)
    print(text)
    if chosen.publish:
        publish(text)
    return int(any(result.failures for result in ledger.done.values()))


if __name__ == "__main__":
    sys.exit(main())
