"""A layer whose operations wait at a gate until a test opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.devices.wrapper import Wrapper

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice
    from engine.devices.wrapper import Verb
    from engine.runtime import Runtime


class DelayedDevice(Wrapper):
    """While shut for a verb, operations of that verb wait; `await_waiting` tells when they have arrived.

    Open at first. A shut reader also refuses to answer at once, as a device with a cold cache does.
    """

    def __init__(self, below: BlockDevice, runtime: Runtime) -> None:
        super().__init__(below)
        self._changed = runtime.condition()
        self._shut: set[str] = set()
        self._waiting = 0

    def shut(self, *verbs: Verb) -> None:
        """From now on operations of these verbs wait."""
        with self._changed:
            self._shut.update(verbs)

    def open(self) -> None:
        """Let everybody through."""
        with self._changed:
            self._shut.clear()
            self._changed.notify_all()

    def await_waiting(self, count: int = 1, timeout_s: float = 10.0) -> bool:
        """Wait until `count` operations stand at the gate; False when they do not come in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting >= count, timeout_s)

    def try_read(self, offset: int, into: memoryview) -> bool:
        return "read" not in self._shut and super().try_read(offset, into)

    def _before(self, verb: Verb, offset: int, length: int) -> None:
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: verb not in self._shut)
            self._waiting -= 1
