"""The front door: five verbs, the same in process, over the local socket and to a remote host."""

from __future__ import annotations

from typing import Protocol

import msgspec

from engine.commands import Command
from engine.events import Listener
from engine.plans import Plan
from engine.records import AnyRecord, Ref


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """Everything there is at one moment. Batches after `sequence` continue it without a gap."""

    host: Ref
    sequence: int
    records: tuple[AnyRecord, ...]


class EngineApi(Protocol):
    """What console and command line know of an engine. All methods may be called from any thread and may block."""

    def attach(self, listener: Listener) -> Snapshot:
        """Begin to tell `listener` everything that changes after the snapshot that is returned."""

    def detach(self, listener: Listener) -> None:
        """No call of `listener` begins after this returns."""

    def plan(self, command: Command) -> Plan:
        """What the command would do now. Never raises for an impossible command: the plan says why."""

    def submit(self, command: Command, basis: int | None = None) -> Ref:
        """Do it. Answers the task that carries it, which may be done already.

        Raises `CommandRejected` when the plan forbids it, or when `basis` is given and its plan would now destroy, copy
        or allocate otherwise than the plan with that basis; then the error carries the new plan.
        """

    def close(self) -> None:
        """End this connection; an engine in process stops its volumes in order."""
