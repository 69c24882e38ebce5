"""What can go wrong, in the operator's words: what happened, why, and what would help."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.plans import Plan, Problem


class EngineError(Exception):
    """Base of every error that is meant for an operator; `str()` is one or two whole sentences."""


class CommandRejected(EngineError):
    """A command that its plan forbids. `problems` has every reason, the first one is the message.

    `plan` is the new plan when a submit with a basis would now act otherwise than was shown.
    """

    def __init__(self, problems: Sequence[Problem], plan: Plan | None = None) -> None:
        super().__init__(problems[0].sentences)
        self.problems = tuple(problems)
        self.plan = plan


class DeviceError(EngineError, OSError):
    """An operation on a LUN failed. `errno` is the system's number, `device` the LUN's own name."""

    def __init__(self, number: int, device: str, doing: str) -> None:
        OSError.__init__(self, number, os.strerror(number))
        self.device = device
        self.doing = doing

    def __str__(self) -> str:
        return f"{self.doing} on {self.device} failed: {self.strerror}."


class RangeError(EngineError, ValueError):
    """A request outside of its device: a bug of the caller, never the operator's."""


class TransitionError(EngineError):
    """A state that may not follow the one before: a bug of the caller, and nothing of its change becomes true."""


class MetadataError(EngineError):
    """A private region that cannot be believed: torn, foreign, misdirected or of a newer format."""


class Unsettled(EngineError):
    """Something that is under way has to be decided first; trying again may help."""


class GroupFrozen(EngineError):
    """No majority of a group's configuration copies can be written: no change is possible until it can."""


class EngineBusy(EngineError):
    """Somebody else serves this socket or holds this LUN."""


class ConnectionLost(EngineError):
    """The engine behind a connection does not answer any more."""


class TaskAborted(EngineError):
    """A task ended because it was told to."""
