"""Connected hosts. Each session is one engine: its front door, the bridge to it, and the mirror of its records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.api import EngineApi
from engine.commands import Command
from engine.plans import Plan
from engine.records import Connection, Kind, Ref
from vea_gui.bridge import EngineBridge
from vea_gui.mirror import Mirror

Failed = Callable[[BaseException], None]


@dataclass(eq=False)
class Session:
    """One host. `owned`: the engine lives in this process and ends with it."""

    bridge: EngineBridge
    owned: bool = True

    @classmethod
    def open(cls, api: EngineApi, reopen: Callable[[], EngineApi] | None = None) -> Session:
        """A session that has asked for its records; they arrive as the bridge's first `changed`.

        `reopen` makes a new connection after a loss; without it the engine is this process's own.
        """
        session = cls(EngineBridge(api, reopen), reopen is None)
        session.bridge.attach()
        return session

    @property
    def api(self) -> EngineApi:
        """The front door; another one after a lost connection has been made anew."""
        return self.bridge.api

    @property
    def mirror(self) -> Mirror:
        return self.bridge.mirror

    def plan(self, command: Command, then: Callable[[Plan], None], failed: Failed | None, topic: str = "") -> None:
        """What the command would do now; `topic` drops older questions of the same kind that nobody has begun."""
        self.bridge.call(lambda: self.api.plan(command), then, failed, topic)

    def submit(
        self, command: Command, basis: int | None, then: Callable[[Ref], None] | None, failed: Failed | None
    ) -> None:
        self.bridge.call(lambda: self.api.submit(command, basis), then, failed)

    def clients(self) -> list[Connection]:
        """Who is connected to this host's volumes now, the engine's own programs aside."""
        return [client for client in self.mirror.config.all(Kind.CONNECTION, Connection) if not client.helper]

    def close(self, end: bool = True) -> None:
        """End the session and, with `end`, the connection; an engine of our own then stops its volumes in order."""
        self.bridge.close(end)
