"""What is asked about tasks and alerts."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import Ref


class PauseTask(Command, frozen=True, kw_only=True, tag=True):
    task: Ref


class ResumeTask(Command, frozen=True, kw_only=True, tag=True):
    task: Ref


class AbortTask(Command, frozen=True, kw_only=True, tag=True):
    task: Ref


class ThrottleTask(Command, frozen=True, kw_only=True, tag=True):
    """`iodelay_ms`: milliseconds of rest after each mebibyte that is copied."""

    task: Ref
    iodelay_ms: int


class ClearTasks(Command, frozen=True, kw_only=True, tag=True):
    """Forget finished tasks; () forgets all of them."""

    tasks: tuple[Ref, ...] = ()


class AcknowledgeAlerts(Command, frozen=True, kw_only=True, tag=True):
    """Take alerts off the list of open ones; the alert log keeps them. () takes all."""

    alerts: tuple[Ref, ...] = ()
