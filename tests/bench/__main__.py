"""`python -m tests.bench`: the engine's speed, each figure beside a peer in the same run."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from engine.errors import EngineError
from tests.bench import console, copies, dirty, raid5, report, snapshots, traffic
from tests.bench.options import Options, read_options
from tests.bench.place import Place
from tests.bench.rows import ROWS, Pair, Result, measure

Stage = Callable[[Place, Options], AbstractContextManager[dict[str, Pair]]]
STAGES: tuple[tuple[list[str], Stage], ...] = (
    (traffic.ROWS, traffic.traffic),
    (dirty.ROWS, dirty.dirty),
    (raid5.ROWS, raid5.raid5),
    (raid5.SYNCED, raid5.synced),
    (raid5.REBUILD, raid5.rebuild),
    (copies.ROWS, copies.copies),
    (snapshots.PAUSES, snapshots.pauses),
    (snapshots.BACKS, snapshots.backs),
    (snapshots.WRITTEN, snapshots.written),
    (console.BESIDE, console.beside),
    (console.WINDOWS, console.windows),
)


def run(options: Options) -> tuple[list[Result], list[str]]:
    """The rows that were asked for, and sentences on those that could not be measured.

    A stage is set up only for rows of its own.
    """
    results: list[Result] = []
    failures: list[str] = []
    for names, stage in STAGES:
        wanted = [name for name in names if name in options.rows]
        try:
            if wanted:
                _stage(stage, wanted, options, results)
        except (EngineError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            done = {result.row.name for result in results}
            failures.append(f"not measured: {', '.join(name for name in wanted if name not in done)}: {error}")
            sys.stdout.write(failures[-1] + "\n")
    return results, failures


def _stage(stage: Stage, wanted: list[str], options: Options, results: list[Result]) -> None:
    rows = {row.name: row for row in ROWS}
    with Place(options.folder) as place, stage(place, options) as pairs:
        for name in wanted:
            results.append(measure(rows[name], pairs[name], options.pairs if rows[name].peer else 1))
            sys.stdout.write(report.line(results[-1]) + "\n")
            sys.stdout.flush()


def main() -> int:
    options = read_options(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results, failures = run(options)
    sys.stdout.write(report.circumstances(options) + "\n")
    if options.publish:
        report.publish(results, options)
    short = [result.row.name for result in results if result.row.verdict(result.ratio) == "short"]
    sys.stdout.write(f"short of the floor: {', '.join(short)}\n" if short else "every measured row reaches its floor\n")
    return 1 if failures or (short and options.strict) else 0


if __name__ == "__main__":
    sys.exit(main())
