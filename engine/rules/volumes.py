"""What may be done to a volume."""

from __future__ import annotations

from engine.config import Config
from engine.plans import Problem
from engine.records import Connection, Ref
from engine.rules.groups import needs_imported
from engine.rules.tasks import no_running_task
from engine.rules.words import listed


def volume_ready(config: Config, volume: Ref) -> Problem | None:
    """The volume may be changed: its group is imported and nothing else works on it."""
    return needs_imported(config, config.volume(volume).group) or no_running_task(config, volume)


def not_initializing(config: Config, volume: Ref) -> Problem | None:
    """The volume has been zeroed and shows its size."""
    record = config.volume(volume)
    if record.size:
        return None
    return Problem(f"{record.name} was never initialized to its end.", "Delete it and create it again.", volume)


def clients_of(config: Config, volume: Ref) -> list[str]:
    """Who uses a volume, by name: clients of its export, and who has its block file or its folder open.

    The engine's own programs, which show that file and make file systems, are nobody.
    """
    connected = [record for record in config.connections_of(volume) if isinstance(record, Connection)]
    return [*(record.name for record in connected if not record.helper), *config.volume(volume).drive_users]


def in_use_by_clients(config: Config, volume: Ref, *, force: bool = False) -> Problem | None:
    """Nobody uses the volume: neither its export nor its drive."""
    names = clients_of(config, volume)
    if force or not names:
        return None
    text = f"{config.volume(volume).name} is in use by {listed(names)}."
    return Problem(text, "Disconnect them: Stop Volume and Disconnect Clients.", volume, typed="-f")
