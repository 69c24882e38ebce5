"""Closing the last window: what becomes of the engine's clients and tasks is asked, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.records import Kind, Task
from vea_gui.console import Console
from vea_gui.views.message import choose

NAMED = 6


class Leaving(NamedTuple):
    """The two ways to leave."""

    keep_serving: Callable[[], None]
    stop: Callable[[], None]


def ask_to_leave(console: Console, ways: Leaving) -> None:
    """Leave at once when nobody is touched by it; else say who is, and ask."""
    clients = console.session.clients()
    tasks = [task for task in console.config.all(Kind.TASK, Task) if not task.ended]
    if not console.session.owned or (not clients and not tasks):
        ways.stop()
        return
    choose(
        console.window,
        "Close VEA console",
        "This window carries the engine, and the engine is in use.",
        "\n\n".join(_effects(console, len(tasks))),
        {"Keep serving": ways.keep_serving, "Stop serving and close": ways.stop},
    )


def _effects(console: Console, tasks: int) -> list[str]:
    config, clients = console.config, console.session.clients()
    names = []
    for client in clients[:NAMED]:
        volume = config.get(client.volume)
        names.append(f"{client.name} on {volume.name if volume is not None else 'a volume'}")
    if len(clients) > NAMED:
        names.append(f"{len(clients) - NAMED} more")
    who = ", ".join(names) or "no client"
    work = f" {tasks} unfinished {'task stays' if tasks == 1 else 'tasks stay'}." if tasks else ""
    pause = " Running tasks stop and go on at the next start." if tasks else ""
    cut = f"disconnects {who}; their reads and writes fail from then on." if clients else "stops the volumes in order."
    return [
        f"Keep serving: windows close, the engine stays. Connected: {who}.{work} Start vea again to see the console.",
        f"Stop serving and close: {cut}{pause}",
        "Cancel: nothing changes.",
    ]
