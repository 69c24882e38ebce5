"""When clients were last busy: what the copies of tasks give way to."""

from __future__ import annotations


class Pulse:
    """One for all volumes of an engine, since their clients share its processors. Setting it takes no lock."""

    __slots__ = ("asked_at",)

    def __init__(self) -> None:
        self.asked_at = float("-inf")
        """When a batch of any client last came in, in seconds of the runtime's clock."""
