"""Where the engine gets its clock, its randomness, its locks and its threads from.

Everything below `engine` asks a `Runtime`, so that a test can run the same blocking code under a scheduler of its own.
"""

from __future__ import annotations

import queue
import secrets
import socket
import threading
import time
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Lock(Protocol):
    """Mutual exclusion, not reentrant; a context manager."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...

    def release(self) -> None: ...

    def __enter__(self) -> bool: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Condition(Protocol):
    """A lock with a waiting room; used as a context manager around `wait` and `notify_all`."""

    def wait(self, timeout: float | None = None) -> bool: ...

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool: ...

    def notify(self, n: int = 1) -> None: ...

    def notify_all(self) -> None: ...

    def __enter__(self) -> bool: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Thread(Protocol):
    """A running thread. `join` waits for its end, at most `timeout` seconds."""

    @property
    def name(self) -> str: ...

    def join(self, timeout: float | None = None) -> None: ...

    def is_alive(self) -> bool: ...


class Queue(Protocol):
    """An endless first-in, first-out hand-over between threads."""

    def put(self, item: Any) -> None: ...

    def get(self) -> Any: ...


class Runtime(Protocol):
    """What the engine asks of its surroundings. `now` counts seconds from any origin and never goes back."""

    random: Random

    def now(self) -> float: ...

    def time(self) -> float:
        """Seconds since the epoch: for people to read, never to measure with."""

    def token(self, length: int) -> bytes:
        """So many random bytes, which nobody can guess or has had before."""

    def host_name(self) -> str: ...

    def processor_percent(self) -> float:
        """The share of one processor that this process has used since it was last asked."""

    def sleep(self, seconds: float) -> None: ...

    def lock(self) -> Lock: ...

    def rlock(self) -> Lock:
        """As `lock`, but its owner may take it again."""

    def condition(self, lock: Lock | None = None) -> Condition:
        """A waiting room with a lock of its own, or beside one that `rlock` gave."""

    def queue(self) -> Queue: ...

    def thread(self, name: str, target: Callable[[], None]) -> Thread:
        """Start `target` on a thread called `name`; whoever starts it joins it."""


class ThreadRuntime:
    """The product's runtime: operating system threads and the monotonic clock."""

    def __init__(self, seed: int | None = None) -> None:
        self.random = Random(seed)
        self._used: tuple[float, float] | None = None  # processor seconds at a moment of now()

    def now(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def token(self, length: int) -> bytes:
        return secrets.token_bytes(length)

    def host_name(self) -> str:
        return socket.gethostname()

    def processor_percent(self) -> float:
        """The load since the last call; asks nothing that needs a descriptor."""
        before, self._used = self._used, (time.process_time(), self.now())
        if before is None or self._used[1] <= before[1]:
            return 0.0
        return 100.0 * (self._used[0] - before[0]) / (self._used[1] - before[1])

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def lock(self) -> Lock:
        return threading.Lock()

    def rlock(self) -> Lock:
        return threading.RLock()

    def condition(self, lock: Lock | None = None) -> Condition:
        return threading.Condition(lock)  # type: ignore[arg-type]

    def queue(self) -> Queue:
        return queue.SimpleQueue()

    def thread(self, name: str, target: Callable[[], None]) -> Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread
