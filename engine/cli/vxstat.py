"""vxstat: what goes through volumes and disks."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from engine.cli import output, resolve
from engine.cli.common import COMMON, GROUP, run
from engine.cli.forms import Form, Option, Tool, Usage, Words
from engine.units import MIB

if TYPE_CHECKING:
    from engine.cli.rows import Row
    from engine.cli.session import Session
    from engine.events import Sample
    from engine.records import Record

_INTERVAL = Option("-i", "Seconds between two answers.", takes="SECONDS")
_COUNT = Option("-c", "How many answers.", takes="COUNT")
_HEADS = ("TYPE", "NAME", "READS/S", "WRITES/S", "READ MB/S", "WRITE MB/S", "MS EACH")
_PATIENCE_S = 5.0


def _stat(session: Session, words: Words) -> int:
    interval, count = _positive(words, "-i", 1), _positive(words, "-c", 1)
    objects = _objects(session, words)
    for _ in range(count):
        _gather(session, interval)
        seconds = max(_told_s(session), 1.0)
        found = [_row(record, session.samples.get(record.ref), seconds) for record in objects]
        if session.json:
            output.write_json(found)
        else:
            output.write(output.table(_HEADS, [_cells(row) for row in found], right=_HEADS[2:]))
        sys.stdout.flush()
    return 0


def _positive(words: Words, flag: str, otherwise: int) -> int:
    text = words.option(flag, str(otherwise))
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) > 0):
        raise Usage(f"{flag} takes a whole number from 1 on: {flag} 5.")
    return int(text)


def _objects(session: Session, words: Words) -> list[Record]:
    """The volumes and disks that are meant: all of the group, or of the host, when none is named."""
    from engine.records import Disk, Kind, Volume

    config, group = session.config, session.named_group
    found: list[Record] = [*config.all(Kind.VOLUME, Volume), *config.all(Kind.DISK, Disk)]
    found = [record for record in found if group is None or config.group_of(record) == group.ref]
    names = words.many("NAME")
    for name in names:
        if not any(record.name == name for record in found):
            raise resolve.absent("volume or disk", name, "", [record.name for record in found])
    return [record for record in found if not names or record.name in names]


def _gather(session: Session, seconds: int) -> None:
    """Sum what arrives until the host's own sample says that so much time has been told of."""
    session.samples.clear()
    until = time.monotonic() + seconds + _PATIENCE_S
    while _told_s(session) < seconds - 0.5 and time.monotonic() < until:
        session.next_batch(until - time.monotonic())


def _told_s(session: Session) -> float:
    sample = session.samples.get(session.host)
    return sample.seconds if sample is not None else 0.0


def _row(record: Record, sample: Sample | None, seconds: float) -> Row:
    """What is idle isn't told of, so that the host's own sample counts the time."""
    reads, writes = (sample.reads, sample.writes) if sample is not None else (0, 0)
    read_bytes, write_bytes = (sample.read_bytes, sample.write_bytes) if sample is not None else (0, 0)
    requests = reads + writes
    return {
        "kind": str(record.ref.kind),
        "name": record.name,
        "seconds": seconds,
        "reads": reads,
        "writes": writes,
        "read_bytes": read_bytes,
        "write_bytes": write_bytes,
        "latency_s": sample.busy_s / requests if sample is not None and requests else 0.0,
    }


def _cells(row: Row) -> tuple[str, ...]:
    seconds = row["seconds"]
    return (
        row["kind"],
        row["name"],
        f"{row['reads'] / seconds:.0f}",
        f"{row['writes'] / seconds:.0f}",
        f"{row['read_bytes'] / seconds / MIB:.1f}",
        f"{row['write_bytes'] / seconds / MIB:.1f}",
        f"{row['latency_s'] * 1000:.2f}",
    )


TOOL = Tool(
    "vxstat",
    "What goes through volumes and disks.",
    (
        Form(
            "[NAME...]",
            "Print requests, bytes and latency of the last seconds.",
            _stat,
            options=(_INTERVAL, _COUNT),
            examples=("vxstat -g dg1", "vxstat -i 5 -c 12 ev --json"),
        ),
    ),
    (GROUP, *COMMON),
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
