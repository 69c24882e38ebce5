"""`python -m tests.sim --seed N` shows one seed; `--seeds N` runs many, and prints what shows each that fails."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import time
import traceback

from tests.sim.patches import simulated
from tests.sim.world import Mix, Random, play, replay_command


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="show everything that happens in this seed")
    parser.add_argument("--seeds", type=int, default=0, help="run so many seeds")
    parser.add_argument("--first", type=int, default=None, help="the first of them; a random one when left out")
    parser.add_argument("--quiet", action="store_true", help="with --seed: only the digest of the log")
    parser.add_argument("--snapshots", action="store_true", help="of the seeds in which volumes have snapshots")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    with simulated():
        if chosen.seed is not None:
            return _show(chosen.seed, quiet=chosen.quiet, snapshots=chosen.snapshots)
        first = secrets.randbits(40) if chosen.first is None else chosen.first
        return _run(chosen.seeds, first, snapshots=chosen.snapshots)


def _show(seed: int, *, quiet: bool, snapshots: bool) -> int:
    if not quiet:
        print((Mix.draw_snapshots if snapshots else Mix.draw)(Random(seed)))
    outcome = play(seed, None if quiet else print, snapshots=snapshots)
    print(f"seed {seed}: {outcome.lines} lines, SHA-256 {outcome.digest}")
    if outcome.error is not None:
        traceback.print_exception(outcome.error)
    return int(outcome.error is not None)


def _run(count: int, first: int, *, snapshots: bool) -> int:
    begun, failed = time.monotonic(), 0
    for seed in range(first, first + count):
        outcome = play(seed, snapshots=snapshots)
        if outcome.error is not None:
            failed += 1
            print(
                f"{type(outcome.error).__name__}: {outcome.error}\n    {replay_command(seed, snapshots=snapshots)}",
                flush=True,
            )
    seconds = time.monotonic() - begun
    print(f"{count} seeds in {seconds:.0f} s ({60 * count / max(seconds, 1e-9):.0f} a minute), {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
