"""What every copy to whole plexes shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from engine.records import Plex, PlexState
from engine.states import COMPLETE
from engine.tasks.steps import COPY_BYTES, RUNS_TOGETHER, Begin, CopyPlex, CopyRuns, Flush, TaskFailed, chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.config import Config
    from engine.records import Ref, Task, Volume
    from engine.tasks.steps import Dirty, Steps

Runs: TypeAlias = "tuple[tuple[int, int], ...]"


class Part(NamedTuple):
    """Plexes that need the same: runs of the volume, as (offset, length)."""

    targets: tuple[Ref, ...]
    runs: Runs

    @property
    def weight(self) -> int:
        return sum(length for _, length in self.runs) * len(self.targets)


def fill(config: Config, task: Task, volume: Volume, source: Ref | None, dirty: Dirty | None = None) -> Steps:
    """Copy to the task's plexes what they need and flush them. Weight counts each plex, so its share tells where.

    A plex of which `dirty` knows what it lacks gets only that, any other one the whole volume. While some plex is not
    complete, that knowledge only grows: so a task that goes on where it stood leaves nothing out.
    """
    parts = list(_parts(config, task.params.plexes, volume, dirty))
    names = " ".join(ref.id for part in parts if dirty is not None and part.runs is dirty.runs for ref in part.targets)
    lineage = f"{dirty.lineage} {names}" if dirty is not None and names else ""
    skip = task.checkpoint if task.params.lineage == lineage else 0
    start, steps = _from(volume, source, parts, skip)
    yield Begin(start, sum(part.weight for part in parts), lineage)
    yield from steps
    yield Flush(target_disks(config, task.params.plexes))


def _parts(config: Config, targets: tuple[Ref, ...], volume: Volume, dirty: Dirty | None) -> Iterator[Part]:
    known = tuple(ref for ref in targets if dirty is not None and _is_known(config, ref))
    others = tuple(ref for ref in targets if ref not in known)
    if others:
        yield Part(others, ((0, volume.size),))
    if known and dirty is not None:
        yield Part(known, dirty.runs)


def _is_known(config: Config, ref: Ref) -> bool:
    """Whether a dirty map knows what a plex lacks: all that it has missed, or what differs among complete ones."""
    plex = config.get(ref)
    return isinstance(plex, Plex) and (plex.tracked or plex.state in COMPLETE)


def _from(
    volume: Volume, source: Ref | None, parts: Sequence[Part], skip: int
) -> tuple[int, Iterator[CopyPlex | CopyRuns]]:
    """The position that at most `skip` leads to, and the copies from there on."""
    start = 0
    left: list[tuple[tuple[Ref, ...], int, int]] = []
    for targets, runs in parts:
        for offset, length in runs:
            done = min((skip - start) // len(targets), length) if not left else 0
            start += done * len(targets)
            if done < length:
                left.append((targets, offset + done, offset + length))
    return start, _copies(volume, source, left)


def _copies(
    volume: Volume, source: Ref | None, left: Sequence[tuple[tuple[Ref, ...], int, int]]
) -> Iterator[CopyPlex | CopyRuns]:
    """No step copies more than `COPY_BYTES`; short runs, each of which would hardly be worth its own, share one."""
    together: list[tuple[int, int]] = []
    size = 0
    of: tuple[Ref, ...] = ()
    for targets, first, end in left:
        for run in chunks(first, end, COPY_BYTES):
            if together and (targets != of or size + run[1] > COPY_BYTES or len(together) == RUNS_TOGETHER):
                yield _copy(volume, source, of, together)
                together, size = [], 0
            together.append(run)
            size, of = size + run[1], targets
    if together:
        yield _copy(volume, source, of, together)


def _copy(
    volume: Volume, source: Ref | None, targets: tuple[Ref, ...], runs: Sequence[tuple[int, int]]
) -> CopyPlex | CopyRuns:
    if len(runs) == 1:
        return CopyPlex(volume.ref, source, targets, *runs[0])
    return CopyRuns(volume.ref, source, targets, tuple(runs))


def target_disks(config: Config, plexes: tuple[Ref, ...]) -> tuple[Ref, ...]:
    """Every disk that these plexes lie on, each once, in order."""
    return tuple(sorted({subdisk.disk for plex in plexes for subdisk in config.subdisks_of(plex)}))


def taking_writes(config: Config, ref: Ref, *, in_doubt: bool) -> Plex:
    """A plex that has had every write since its copy began. TaskFailed when it was detached or removed meanwhile."""
    plex = config.get(ref)
    if not isinstance(plex, Plex):
        raise TaskFailed("A plex was removed while it was being filled.")
    if plex.state is PlexState.FILLING or (in_doubt and plex.state in COMPLETE):
        return plex
    raise TaskFailed(f"{plex.name} was detached while it was being filled.")


def state_of_others(config: Config, volume: Ref, plexes: tuple[Ref, ...]) -> PlexState:
    """What the volume's complete plexes are: ACTIVE or CLEAN. TaskFailed when none is left."""
    for plex in config.plexes_of(volume):
        if plex.state in COMPLETE and plex.ref not in plexes:
            return plex.state
    raise TaskFailed("The volume has no complete plex any more.")
