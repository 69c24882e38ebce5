"""Several clients of one volume at once, each on bytes of its own, and all of them on bytes that they share."""

from __future__ import annotations

import threading
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from engine.dataplane.request import Op, Request
from tests.engine.model_stepper import DEADLINE_S

if TYPE_CHECKING:
    from types import TracebackType

    from engine.commands import BreakMirror
    from tests.engine.engine_model import EngineModel

CLIENTS = 3
REQUESTS = 20
LENGTHS = (1, 700, 4096, 60_000, 300_000)
BEFORE_BREAK, WRITES = 8, 40


class Crowd:
    """From `with` on, clients run; at its end they have ended, and the model knows what they wrote.

    The last part of the volume belongs to all: whatever order their writes had, each byte is one of theirs or was there
    before, and no plex may differ from another.
    """

    def __init__(self, model: EngineModel, name: str) -> None:
        self._model = model
        self._name = name
        self._expected = model.bytes[name]
        size = len(self._expected)
        self._shared = (size - size // 8, size)
        cuts = sorted(model.random.randrange(self._shared[0]) for _ in range(CLIENTS - 1))
        self._own = list(zip([0, *cuts], [*cuts, self._shared[0]], strict=True))
        self._seeds = [model.random.getrandbits(32) for _ in self._own]
        self._errors: list[BaseException] = []
        self._began = threading.Barrier(CLIENTS + 1)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> None:
        for number in range(CLIENTS):
            thread = threading.Thread(target=self._client, args=(number,), name=f"client {number}")
            thread.start()
            self._threads.append(thread)
        self._began.wait(DEADLINE_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread in self._threads:
            thread.join(DEADLINE_S)
        if error is None and self._errors:
            raise self._errors[0]
        if error is None:
            self._settle()

    def _client(self, number: int) -> None:
        from tests.engine.engine_model import Client

        client = Client(self._model.lab, self._model.volume(self._name).ref, f"client {number}")
        random = Random(self._seeds[number])
        try:
            self._began.wait(DEADLINE_S)
            for _ in range(REQUESTS):
                self._request(client, random, number)
        except BaseException as failure:
            self._errors.append(failure)
        finally:
            client.close()

    def _request(self, client: object, random: Random, number: int) -> None:
        shared = random.random() < 0.2
        low, high = self._shared if shared else self._own[number]
        if low == high:
            return
        length = min(random.choice(LENGTHS), high - low)
        offset = random.randrange(low, high - length + 1)
        run = client.run  # type: ignore[attr-defined]
        if shared:
            data = bytes([number + 1]) * length
            assert run(Request(Op.WRITE, offset, length, memoryview(data))) == [0]
            return
        match random.randrange(5):
            case 0 | 1:
                buffer = bytearray(length)
                assert run(Request(Op.READ, offset, length, memoryview(buffer))) == [0]
                assert buffer == self._expected[offset : offset + length], f"client {number} read wrong at {offset}"
            case 2 | 3:
                data = random.randbytes(length)
                assert run(Request(Op.WRITE, offset, length, memoryview(data))) == [0]
                self._expected[offset : offset + length] = data
            case _:
                kind = random.choice((Op.ZERO, Op.DISCARD))
                assert run(Request(kind, offset, length)) == [0]
                self._model.zeroed(self._name, kind, offset, length)

    def _settle(self) -> None:
        """Adopt what the shared part holds, when it can have come about."""
        low, high = self._shared
        buffer = bytearray(high - low)
        assert self._model.client(self._name).run(Request(Op.READ, low, high - low, memoryview(buffer))) == [0]
        found, before = (np.frombuffer(data, np.uint8) for data in (buffer, bytes(self._expected[low:high])))
        strange = np.flatnonzero((found != before) & ((found < 1) | (found > CLIENTS)))
        assert not len(strange), f"byte {low + int(strange[0])} of {self._name} is nobody's"
        self._expected[low:high] = buffer


def break_under_writes(model: EngineModel, name: str, command: BreakMirror) -> None:
    """Break a mirror off while a client writes: the new volume has all its writes up to one of them, and none later."""
    writes = []
    for number in range(WRITES):
        length = model.random.choice((512, 4096, 100_000))
        offset = model.random.randrange(len(model.bytes[name]) - length)
        writes.append((offset, bytes([number + 1]) * length))
    client = model.client(name)
    answered, started, going = [0], [0], threading.Event()
    errors: list[int] = []

    def write() -> None:
        for number, (offset, data) in enumerate(writes, 1):
            started[0] = number
            errors.extend(client.run(Request(Op.WRITE, offset, len(data), memoryview(data))))
            answered[0] = number
            if number == BEFORE_BREAK:
                going.set()

    writer = threading.Thread(target=write, name="client writer")
    writer.start()
    assert going.wait(DEADLINE_S)
    first = answered[0]
    broken = model.done_at_once(command, frozenset({name, command.name}))
    last = started[0]
    writer.join(DEADLINE_S)
    assert not any(errors)
    before = bytearray(model.bytes[name])
    for offset, data in writes:
        model.bytes[name][offset : offset + len(data)] = data
    if broken:
        model.bytes[command.name] = _instant(model, command.name, before, writes, (first, last))


def _instant(
    model: EngineModel, name: str, before: bytearray, writes: list[tuple[int, bytes]], between: tuple[int, int]
) -> bytearray:
    """The bytes after that one of the writes after which the volume was broken off."""
    found = bytearray(len(before))
    assert model.client(name).run(Request(Op.READ, 0, len(before), memoryview(found))) == [0]
    for number, (offset, data) in enumerate([(0, b""), *writes]):
        before[offset : offset + len(data)] = data
        if between[0] <= number <= between[1] and found == before:
            return before
    raise AssertionError(f"{name} holds the bytes of no instant between write {between[0]} and {between[1]}")
