"""Lets the n-th operation on any LUN fail, for n = 1, 2, 3 and so on, until a run meets no failure."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from tests.sim import cases
from tests.sim.crashes import Moment, Result, begun, perform, rest_and, site_after

if TYPE_CHECKING:
    from tests.sim.site import Site

NUMBERS = (errno.EIO, errno.ENOSPC, errno.ETIMEDOUT)
FAILURES_MAX = 20
"""After so many of one operation its others are not looked for."""
_GROWING = ("write", "zero")


class NthFails:
    """The fate of one run. `struck` is the LUN that failed, empty when the run had fewer operations than `nth`."""

    def __init__(self, site: Site, nth: int, number: int, *, for_good: bool) -> None:
        self.site = site
        self.left = nth
        self.number = number
        self.for_good = for_good
        self.struck = ""

    def __call__(self, path: str, verb: str) -> int:
        if self.number == errno.ENOSPC and verb not in _GROWING:
            return 0
        if self.struck:
            return self.number if self.for_good and path == self.struck else 0
        self.left -= 1
        if self.left:
            return 0
        self.struck = path
        self.site.trouble.suspects.add(path)
        if self.number == errno.ENOSPC:
            self.site.trouble.full.add(path)
        return self.number


def run(case: cases.Case, start: Moment, seed: int, fate: tuple[int, int, bool]) -> bool:
    """One run with one failure; False when it ended before its turn. Raises what is wrong."""
    site = site_after(start, seed, 1.0)
    nth, number, for_good = fate
    fails = NthFails(site, nth, number, for_good=for_good)

    def main() -> None:
        site.greet()
        site.machine.fate = fails
        perform(case, site)

    site.machine.live(main)
    site.ended_in_order()
    site.machine.fate = lambda path, verb: 0
    site.machine.live(lambda: rest_and(site, case.then))
    return bool(fails.struck)


WAYS = tuple((number, for_good) for number in NUMBERS for for_good in (False, True))


def enumerate_failures(name: str, layout: str, seed: int, every: int = 1, first: int = 1) -> Result:
    """From the `first` operation on, each `every`-th fails in turn; in every way, until a run so meets no failure."""
    result = Result(name, layout)
    case = cases.CASES[name]
    start = begun(layout, case.ready, seed)
    for number, for_good in WAYS:
        struck, nth = True, first
        while struck and len(result.failures) < FAILURES_MAX:
            result.states += 1
            try:
                struck = run(case, start, seed * 7919 + nth, (nth, number, for_good))
            except Exception as error:
                how = f"operation {nth}: {errno.errorcode[number]}{' for good' if for_good else ''}"
                result.failures.append(f"{name} on {layout}, seed {seed}, {how}: {type(error).__name__}: {error}")
            result.points, nth = max(result.points, nth), nth + every
    return result
