"""What may be done to a volume."""

from __future__ import annotations

from engine.config import Config
from engine.plans import Problem
from engine.records import Ref
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


def in_use_by_clients(config: Config, volume: Ref, *, force: bool = False) -> Problem | None:
    """Nobody is connected to the volume's export."""
    names = [record.name for record in config.connections_of(volume)]
    if force or not names:
        return None
    text = f"{config.volume(volume).name} is in use by {listed(names)}."
    return Problem(text, "Disconnect them: Stop Volume and Disconnect Clients (-f).", volume)
