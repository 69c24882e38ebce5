"""Keeps what stands on volumes still around a Snap Shot, and lets it go in every case."""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import rules
from engine.commands import AddSchedule, ChangeSchedule, RefreshSnapshots, TakeSnapshots
from engine.errors import CommandRejected, EngineError
from engine.plans import Problem
from engine.quiesce import found
from engine.quiesce.held import Held
from engine.quiesce.journal import Entry, FreezeJournal, boot_id
from engine.quiesce.mounts import Mounts
from engine.quiesce.own_files import own_devices
from engine.quiesce.stillness import Kept, Stillness, key_of
from engine.records import FreezeBy, Host, Kind, LinkSide, Quiesce, Quiescing, Schedule, Severity, Task, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.records import Freezable, Ref
    from engine.runtime import Runtime, Thread
    from engine.state_folder.host_state import HostState

log = logging.getLogger(__name__)

STILL_S = 30.0
"""After the last freeze things are let go by themselves in this time, whatever the engine does."""
THAW_S = 10.0
"""So long is waited until things have been let go, before the snapshot goes on without knowing it."""
PATIENCE_S = 90.0
"""After this the operator is told of what has not been let go."""
_LOOK_S = 0.5


class Quiescer:
    """All that this engine keeps still. No method takes the control lock while it waits for anybody."""

    def __init__(self, committer: Committer, state: HostState, runtime: Runtime) -> None:
        self._committer = committer
        self._state = state
        self._runtime = runtime
        self._journal = FreezeJournal(state.folder, runtime)
        self._changed = runtime.condition()
        self._busy: set[tuple[str, str]] = set()
        self._under_way: list[Stillness] = []
        self._threads: list[Thread] = []
        self._closed = False
        self._close_by = 0.0  # what has not been let go at the end is waited for until then

    def start(self) -> None:
        """Let go, on a thread of its own, what an engine that was killed had frozen."""
        left = self._journal.left()
        if left:
            self._spawn("quiesce left", lambda: self._let_go_left(left))

    def end(self) -> None:
        """Let go everything, and keep nothing still any more. Returns at once."""
        with self._changed:
            self._closed, self._close_by = True, self._runtime.now() + THAW_S
            under_way = list(self._under_way)
            self._changed.notify_all()
        for still in under_way:
            for kept in list(still.kept):
                kept.held.let_go()

    def close(self) -> None:
        """After `end`: wait as long as usual until everything has been let go."""
        with self._changed:
            threads = list(self._threads)
        for thread in threads:
            thread.join(2 * THAW_S)

    # --- looking ---
    def look(self, command: Command) -> None:
        """Before a plan: the records of volumes tell what can be kept still on them."""
        wanted = _sockets(self._committer.config, command)
        if not wanted:
            return
        config = self._committer.config
        seen = self._look(config, wanted)

        def change(edit: Edit) -> None:
            for ref, things in seen.items():
                volume = edit.config.get(ref)
                if isinstance(volume, Volume) and volume.freezers != things:
                    edit.put(replace(volume, freezers=things))

        if any(config.volume(ref).freezers != things for ref, things in seen.items()):
            self._committer.show(change)

    def _look(self, config: Config, wanted: dict[Ref, str]) -> dict[Ref, tuple[Freezable, ...]]:
        settings = config.settings
        rules_ = {one.volume: one for one in settings.quiesce} if settings is not None else {}
        mounts: Mounts | None = None
        own: frozenset[str] = frozenset()
        if any(config.connections_of(ref) for ref in wanted):
            mounts = Mounts()
            sockets = (host.nbd_socket for host in config.all(Kind.HOST, Host))
            paths = (str(self._state.folder), *sockets, *(lun.path for lun in self._state.luns))
            own = own_devices(mounts, filter(None, paths))
        guests = self._guests({socket or rules_.get(ref.id, Quiescing("")).agent for ref, socket in wanted.items()})
        seen = {}
        for ref, socket in wanted.items():
            rule = rules_.get(ref.id, Quiescing(ref.id))
            things = found.file_systems(config, config.volume(ref), mounts, own) if mounts is not None else []
            if agent := socket or rule.agent:
                things.append(guests[agent])
            if rule.program:
                things.append(found.program(rule.program))
            seen[ref] = tuple(things)
        return seen

    def _guests(self, sockets: set[str]) -> dict[str, Freezable]:
        """All are asked at once."""
        answers: dict[str, Freezable] = {}

        def ask(socket: str) -> None:
            answers[socket] = found.guest(socket)

        asked = [socket for socket in sorted(sockets) if socket]
        threads = [self._runtime.thread("quiesce look", functools.partial(ask, socket)) for socket in asked[1:]]
        for socket in asked[:1]:
            ask(socket)
        for thread in threads:
            thread.join()
        return answers

    # --- freezing ---
    def freeze(self, command: Command) -> Stillness | None:
        """Keep still what a Snap Shot asks for, as `look` has found it; None when there is nothing to keep still.

        CommandRejected, with everything let go again, when that is demanded and can't be had; EngineError when the
        engine ends meanwhile.
        """
        if not isinstance(command, TakeSnapshots):
            return None
        config = self._committer.config
        volumes = [config.volume(choice.volume) for choice in command.choices if choice.volume in config]
        things = {volume.ref: rules.to_freeze(volume, command.quiesce) for volume in volumes}
        if not any(things.values()):
            return None
        still = Stillness(things)
        try:
            self._freeze(still, command.limit_s)
            if self._closed:
                raise EngineError("The engine is ending. No snapshot was taken.")
            if command.quiesce is not Quiesce.AUTO:
                self._demand(still)
        except BaseException:
            self.let_go(still)
            raise
        return still

    def _freeze(self, still: Stillness, wanted_s: int) -> None:
        settings = self._committer.config.settings
        limit_s = wanted_s or (settings.freeze_limit_s if settings is not None else 10)
        with self._changed:
            self._under_way.append(still)
        self._flush(still, limit_s)
        for wave in still.waves():
            if self._wait_for_turn(wave, self._runtime.now() + limit_s):
                self._freeze_wave(still, wave, limit_s)

    def _flush(self, still: Stillness, limit_s: float) -> None:
        """What can't be frozen has at least all on the volume that was written to it until now."""
        until = self._runtime.now() + limit_s + 1.0
        under_way = [
            (one, Held(self._runtime, "flush", (one.place, one.number), limit_s, limit_s)) for one in still.flushed()
        ]
        for one, held in under_way:
            held.await_still(until)
            log.info("%s: %s", one.place, held.problem)

    def _freeze_wave(self, still: Stillness, wave: Sequence[Freezable], limit_s: float) -> None:
        entries = [self._entry(still, one) for one in wave]
        try:
            self._journal.add(entries)
        except EngineError as error:
            log.warning("%s", error)
            self._free(wave)
            return
        until = self._runtime.now() + limit_s + 1.0
        fresh = []
        for one, entry in zip(wave, entries, strict=True):
            held = Held(self._runtime, one.by, self._words(entry), limit_s, limit_s + STILL_S)
            fresh.append(Kept(one, entry, held))
        with self._changed:
            still.kept += fresh
            closed = self._closed
        for kept in fresh:
            if closed:
                kept.held.let_go()
            kept.held.await_still(until)

    def _free(self, things: Iterable[Freezable]) -> None:
        with self._changed:
            self._busy -= {key_of(one) for one in things}
            self._changed.notify_all()

    def _wait_for_turn(self, wave: Iterable[Freezable], until: float) -> bool:
        """What another Snap Shot keeps still is waited for."""
        keys = {key_of(one) for one in wave}
        with self._changed:
            free = self._changed.wait_for(
                lambda: self._closed or not (keys & self._busy), max(0.0, until - self._runtime.now())
            )
            if self._closed or not free:
                return False
            self._busy |= keys
            return True

    def _entry(self, still: Stillness, one: Freezable) -> Entry:
        volume = next(ref for ref, things in still.things.items() if key_of(one) in map(key_of, things))
        words = (one.place, one.number) if one.by is FreezeBy.MOUNT else (one.place,)
        return Entry(one.by, words, volume.id, boot_id())

    def _words(self, entry: Entry) -> tuple[str, ...]:
        """A program's are those of today's settings, and no others ever run."""
        if entry.by != FreezeBy.PROGRAM:
            return entry.words
        settings = self._committer.config.settings
        rules_ = settings.quiesce if settings is not None else ()
        return next((one.program for one in rules_ if one.volume == entry.volume), ())

    def _demand(self, still: Stillness) -> None:
        for ref in still.things:
            bad = next((one for one in still.judged(ref) if one.problem and one.by is not FreezeBy.PROGRAM), None)
            if bad is not None:
                text = f"{bad.problem} No snapshot was taken."
                help_ = "Correct that, or let it be automatic."
                raise CommandRejected((Problem(text, help_, ref, typed="quiesce=auto"),))

    # --- letting go ---
    def let_go(self, still: Stillness | None) -> None:
        """No snapshot came of it."""
        if still is not None:
            self._release(still, lambda: None)

    def taken(self, still: Stillness | None, task: Ref, then: Callable[[], None]) -> None:
        """The snapshots of a task are there: let go, write down what they are worth, and go on with `then`."""
        if still is None:
            then()
            return
        still.taken_at = self._runtime.now()

        def go_on() -> None:
            try:
                self._committer.commit(lambda edit: _record(edit, task, still))
            except EngineError as error:
                log.warning("What a snapshot is worth could not be written down: %s", error)
            then()

        self._release(still, go_on)

    def _release(self, still: Stillness, then: Callable[[], None]) -> None:
        """All are told at once, by whoever comes; the waiting is for a thread of its own."""
        for kept in reversed(still.kept):
            kept.held.let_go()
        self._spawn("quiesce thaw", lambda: self._see_go(still, then))

    def _see_go(self, still: Stillness, then: Callable[[], None]) -> None:
        """What was never still as a whole keeps nobody waiting; it is seen to afterwards."""
        self._await_gone([kept for kept in still.kept if kept.held.level is not None], THAW_S)
        try:
            then()
        except Exception:
            log.exception("What follows a thaw met a defect")
        self._await_gone(still.kept, PATIENCE_S)
        for kept in still.kept:
            held = kept.held
            if held.is_free or (held.over and self._thaw(kept.entry)):
                self._journal.remove(kept.entry)
            else:
                self._tell_stuck(kept.thing.what)
        self._free([kept.thing for kept in still.kept])
        with self._changed:
            self._under_way.remove(still)

    def _await_gone(self, kept: Iterable[Kept], patience_s: float) -> None:
        """Until these have been let go, or the engine ends: what is late then is on record, and goes without it."""
        until = self._runtime.now() + patience_s
        for one in kept:
            while not one.held.await_over(min(until, self._runtime.now() + _LOOK_S)):
                now = self._runtime.now()
                if now >= until or (self._closed and now >= self._close_by):
                    return

    def _let_go_left(self, left: Sequence[Entry]) -> None:
        boot, mounts = boot_id(), Mounts()
        for entry in left:
            there = replace(entry, words=_where_now(entry, mounts)) if entry.boot == boot else None
            if there is None or not there.words or self._thaw(there):
                self._journal.remove(entry)
            else:
                self._tell_stuck(" ".join(entry.words[:1]))

    def _thaw(self, entry: Entry) -> bool:
        words = self._words(entry)
        if not words:
            return True
        held = Held.only_thaw(self._runtime, entry.by, words)
        held.await_over(self._runtime.now() + THAW_S)
        return held.over and held.is_free

    def _tell_stuck(self, what: str) -> None:
        self._committer.alert(
            Severity.WARNING,
            f"It is not known whether {what} has been thawed.",
            cause="It was frozen for a Snap Shot, and what was to thaw it has not said that it did.",
            remedy="See to it: fsfreeze -u for a mounted file system; the guest's console; the site's program.",
        )

    def _spawn(self, name: str, work: Callable[[], None]) -> None:
        """On a thread, or at once where none is to be had."""
        try:
            thread = self._runtime.thread(name, work)
        except RuntimeError:
            work()
            return
        with self._changed:
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]


def _where_now(entry: Entry, mounts: Mounts) -> tuple[str, ...]:
    """The words of something that may still be frozen; none of what has ended."""
    if entry.by == FreezeBy.MOUNT:
        _, number = entry.words
        return next(((point.place, number) for point in mounts.points if point.number == number), ())
    return entry.words if os.path.exists(entry.words[0]) else ()


def _sockets(config: Config, command: Command) -> dict[Ref, str]:
    """The volumes of which snapshots are to be taken, at once or by a schedule, and the guest agents' sockets that were
    named for them."""
    if isinstance(command, TakeSnapshots):
        named = {choice.volume: choice.agent for choice in command.choices}
    elif isinstance(command, RefreshSnapshots):
        ends = [volume for ref in command.snapshots if isinstance(volume := config.get(ref), Volume)]
        named = {link.peer: link.agent for one in ends for link in one.links if link.side is LinkSide.SNAPSHOT}
    elif isinstance(command, (AddSchedule, ChangeSchedule)):
        named = dict.fromkeys(_scheduled(config, command), "")
    else:
        return {}
    known = {ref: socket for ref, socket in named.items() if isinstance(config.get(ref), Volume)}
    return known if command.quiesce is not Quiesce.NONE else {}


def _scheduled(config: Config, command: AddSchedule | ChangeSchedule) -> tuple[Ref, ...]:
    if isinstance(command, AddSchedule) or command.volumes is not None:
        return command.volumes or ()
    before = config.get(command.schedule)
    return before.volumes if isinstance(before, Schedule) else ()


def _record(edit: Edit, task: Ref, still: Stillness) -> None:
    """Both ends of each link tell the same."""
    record = edit.config.get(task)
    refs = record.params.volumes if isinstance(record, Task) else ()
    for ref in refs:
        volume = edit.config.get(ref)
        if not isinstance(volume, Volume):
            continue
        links = []
        for link in volume.links:
            original = link.peer if link.side is LinkSide.SNAPSHOT else ref
            if link.peer in refs and original in still.things:
                level = still.level(original)
                link = replace(
                    link,
                    consistency=level.consistency,
                    frozen=level.frozen,
                    frozen_s=level.frozen_s,
                    lower=level.lower,
                )
            links.append(link)
        edit.put(replace(volume, links=tuple(links)))
