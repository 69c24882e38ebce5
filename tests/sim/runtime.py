"""A runtime whose threads are greenlets: a seed chooses who runs next, and the clock jumps when nobody can."""

from __future__ import annotations

import heapq
import traceback
from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

EPOCH_S = 1_700_000_000.0
STEPS_MAX = 4_000_000
"""So many switches in one life mean that it never ends."""


class PowerCut(BaseException):
    """The machine is off: nothing of this life runs any more."""


class Stuck(AssertionError):
    """Nobody can go on, or nobody comes to an end."""


class SimThread:
    """One greenlet under the scheduler."""

    def __init__(self, runtime: SimRuntime, name: str, target: Callable[[], None]) -> None:
        self.name = name
        self.done = False
        self.woken = False
        self.turn = 0
        self.parked = False
        self.joiners: list[SimThread] = []
        self._runtime = runtime
        self._target = target
        self.greenlet = greenlet(self._body, runtime.hub)

    def join(self, timeout: float | None = None) -> None:
        runtime = self._runtime
        deadline = None if timeout is None else runtime.clock + timeout
        while not self.done and (deadline is None or runtime.clock < deadline):
            self.joiners.append(runtime.current)
            runtime.park(None if deadline is None else deadline - runtime.clock)

    def is_alive(self) -> bool:
        return not self.done

    def _body(self) -> None:
        try:
            self._target()
        except PowerCut:
            pass
        except BaseException as error:
            self._runtime.failure = self._runtime.failure or error
        finally:
            self.done = True
            for joiner in self.joiners:
                self._runtime.wake(joiner)


class SimLock:
    """Mutual exclusion; whoever is luckiest gets it next."""

    def __init__(self, runtime: SimRuntime) -> None:
        self._runtime = runtime
        self.owner: SimThread | None = None
        self.waiters: list[SimThread] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        runtime = self._runtime
        runtime.point()
        deadline = None if timeout < 0 else runtime.clock + timeout
        while self.owner is not None:
            if not blocking or (deadline is not None and runtime.clock >= deadline):
                return False
            self.waiters.append(runtime.current)
            runtime.park(None if deadline is None else deadline - runtime.clock)
        self.owner = runtime.current
        return True

    def release(self) -> None:
        assert self.owner is not None or self._runtime.dead, "a lock that nobody holds is released"
        self.owner = None
        self._wake_one()

    def _wake_one(self) -> None:
        waiters = self.waiters
        while waiters:
            if self._runtime.wake(waiters.pop(self._runtime.choose(len(waiters)))):
                return

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class SimRLock(SimLock):
    """A lock that its owner may take again."""

    count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self.owner is not None and self.owner is self._runtime.current:
            self.count += 1
            return True
        if not super().acquire(blocking, timeout):
            return False
        self.count = 1
        return True

    def release(self) -> None:
        assert self.owner is self._runtime.current or self._runtime.dead, "somebody else's lock is released"
        self.count -= 1
        if not self.count:
            super().release()


class SimCondition:
    """A lock with a waiting room."""

    def __init__(self, runtime: SimRuntime, lock: SimLock | None = None) -> None:
        self._runtime = runtime
        self._lock = lock or SimRLock(runtime)
        self._waiters: list[SimThread] = []
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        lock, runtime = self._lock, self._runtime
        depth = getattr(lock, "count", 1)
        if isinstance(lock, SimRLock):
            lock.count = 1
        self._waiters.append(runtime.current)
        lock.release()
        try:
            woken = runtime.park(timeout)
        finally:
            if not runtime.dead:
                if runtime.current in self._waiters:
                    self._waiters.remove(runtime.current)
                lock.acquire()
                if isinstance(lock, SimRLock):
                    lock.count = depth
        return woken

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        deadline = None if timeout is None else self._runtime.clock + timeout
        while not (holds := predicate()):
            left = None if deadline is None else deadline - self._runtime.clock
            if left is not None and left <= 0:
                break
            self.wait(left)
        return holds

    def notify(self, n: int = 1) -> None:
        while n and self._waiters:
            waiter = self._waiters.pop(self._runtime.choose(len(self._waiters)))
            n -= self._runtime.wake(waiter)

    def notify_all(self) -> None:
        self.notify(len(self._waiters))


class SimQueue:
    """An endless hand-over."""

    def __init__(self, runtime: SimRuntime) -> None:
        self._runtime = runtime
        self._items: deque[Any] = deque()
        self._waiters: list[SimThread] = []

    def put(self, item: Any) -> None:
        self._items.append(item)
        if self._waiters:
            self._runtime.wake(self._waiters.pop(self._runtime.choose(len(self._waiters))))
        self._runtime.point()

    def get(self) -> Any:
        while not self._items:
            self._waiters.append(self._runtime.current)
            self._runtime.park()
        return self._items.popleft()


class SimRuntime:
    """What `engine.runtime.Runtime` asks for, on one operating system thread.

    `eager` is how likely a switch point makes somebody else run. `log` hears of what the scheduler does.
    """

    def __init__(self, seed: int, *, eager: float = 0.1, clock: float = 1000.0) -> None:
        self.random = Random(seed)
        self._dice = Random(seed ^ 0x5EED)
        self._roll = self._dice.random
        self._bits = self._dice.getrandbits
        self.eager = eager
        self.clock = clock
        self.hub = getcurrent()
        self.dead = False
        self.failure: BaseException | None = None
        self.steps = 0
        self.threads: list[SimThread] = []
        self.current: SimThread = None  # type: ignore[assignment]  # there is one whenever anything runs
        self._ready: list[SimThread] = []
        self._timers: list[tuple[float, int, SimThread, int]] = []
        self._halted = False

    # --- what the engine asks for ---
    def now(self) -> float:
        return self.clock

    def time(self) -> float:
        return EPOCH_S + self.clock

    def token(self, length: int) -> bytes:
        return self.random.randbytes(length)

    def host_name(self) -> str:
        return "simulated"

    def processor_percent(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.park(max(seconds, 0.0))

    def lock(self) -> SimLock:
        return SimLock(self)

    def rlock(self) -> SimRLock:
        return SimRLock(self)

    def condition(self, lock: SimLock | None = None) -> SimCondition:
        return SimCondition(self, lock)

    def queue(self) -> SimQueue:
        return SimQueue(self)

    def thread(self, name: str, target: Callable[[], None]) -> SimThread:
        if self.dead:
            raise PowerCut
        thread = SimThread(self, name, target)
        if len(self.threads) > 256:
            self.threads = [known for known in self.threads if not known.done]
        self.threads.append(thread)
        self._ready.append(thread)
        return thread

    # --- the scheduler ---
    def choose(self, count: int) -> int:
        """A number below `count`."""
        return int(self._roll() * count) if count > 1 else 0

    def point(self) -> None:
        """Somebody else may run now."""
        if self._roll() < self.eager and self._ready and not self.dead:
            self._ready.append(self.current)
            self._switch()

    def park(self, timeout: float | None = None) -> bool:
        """Rest until somebody calls `wake`; False when that took longer than `timeout`."""
        if self.dead:
            raise PowerCut
        me = self.current
        me.parked, me.woken = True, False
        if timeout is not None:
            heapq.heappush(self._timers, (self.clock + timeout, self._bits(30), me, me.turn))
        self._switch()
        return me.woken

    def wake(self, thread: SimThread) -> bool:
        """Let a parked thread run again; False when it is not parked any more."""
        if not thread.parked:
            return False
        thread.parked, thread.woken = False, True
        thread.turn += 1
        self._ready.append(thread)
        return True

    def _pick(self) -> SimThread | None:
        ready = self._ready
        self.steps += 1
        if ready:
            index = int(self._roll() * len(ready))
            ready[index], ready[-1] = ready[-1], ready[index]
            return ready.pop()
        while self._timers:
            when, _, thread, turn = heapq.heappop(self._timers)
            if thread.turn == turn and thread.parked:
                self.clock = max(self.clock, when)
                thread.parked, thread.turn = False, turn + 1
                return thread
        return None

    def _switch(self) -> None:
        """Run whoever is next; come back when it is our turn."""
        me = self.current
        thread = self._pick() if not self._halted and self.steps < STEPS_MAX else None
        if thread is not me:
            if thread is None:
                self.hub.switch()
            else:
                self.current = thread
                thread.greenlet.switch()
            self.current = me
        if self.dead:
            raise PowerCut

    # --- one life ---
    def run(self, main: Callable[[], None]) -> None:
        """Run `main` and everything that it starts until it has ended, or the machine is halted.

        Raises what any thread has raised, and Stuck when nothing goes on.
        """
        first = self.thread("main", main)
        try:
            while not first.done and not self._halted and self.failure is None:
                if self.steps >= STEPS_MAX:
                    raise Stuck(f"No end after {self.steps} steps.\n{self.stacks()}")
                thread = self._pick()
                if thread is None:
                    raise Stuck(f"Everybody waits.\n{self.stacks()}")
                self.current = thread
                thread.greenlet.switch()
            left = [thread.name for thread in self.threads if not thread.done]
        finally:
            self.kill()
        if self.failure is not None:
            raise self.failure
        if not self._halted and left:
            raise Stuck(f"Threads are left: {', '.join(left)}")

    def halt(self) -> None:
        """The power goes off now; called by any thread, which never comes back."""
        self._halted = True
        self.hub.switch()
        raise PowerCut

    @property
    def halted(self) -> bool:
        """Whether the power has gone off."""
        return self._halted

    def kill(self) -> None:
        """End every greenlet; none of them can do anything any more."""
        self.dead = True
        failure = self.failure
        for thread in self.threads:
            if not thread.done and thread.greenlet:
                self.current = thread
                thread.greenlet.throw(PowerCut)
        self.failure = failure
        self.threads.clear()
        self._ready.clear()
        self._timers.clear()

    def stacks(self) -> str:
        """Where everybody is."""
        lines = []
        for thread in self.threads:
            if not thread.done and thread.greenlet.gr_frame is not None:
                stack = traceback.extract_stack(thread.greenlet.gr_frame)
                places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in stack]
                lines.append(f"{thread.name}: {' < '.join(reversed(places[-9:]))}")
        return "\n".join(lines)
