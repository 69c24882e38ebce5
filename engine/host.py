"""Opens the engine of this host: the one that already serves the control socket, or a new one in this process."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.engine import Engine
from engine.errors import ConnectionLost
from engine.lab import Lab, create_lab, mark_furnished, open_lab
from engine.lab_content import furnish
from engine.remote.client import RemoteEngine
from engine.remote.place import control_socket, nbd_socket
from engine.remote.server import ControlServer
from engine.state_folder.host_state import HostState

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api import EngineApi
    from engine.luns import HostDevice


@dataclass
class OpenedHost:
    """An engine to talk to. `owned` says that it runs in this process and ends with `close`."""

    api: EngineApi
    owned: bool
    socket: Path
    nbd: Path
    state: Path
    on_show: Callable[[], bool] = field(default=lambda: False)
    _closers: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def show(self) -> bool:
        """Somebody started the console again: answers whether windows that had been away have come back."""
        return self.on_show()

    def ask_show(self) -> bool:
        """Ask the process that carries the engine for its windows. False: it has some, or is no console."""
        return isinstance(self.api, RemoteEngine) and self.api.show()

    def reopen(self) -> EngineApi:
        """A new connection, after the one to an engine of another process was lost. ConnectionLost: not there yet."""
        found = RemoteEngine.connect(self.socket)
        if found is None:
            raise ConnectionLost(f"No engine serves {self.socket}. It may be restarting.")
        self._closers.callback(found.close)
        self.api = found
        return found

    def close(self) -> None:
        """Leave the engine; one in this process stops its volumes in order."""
        self._closers.close()


def state_folder(given: str | None) -> Path:
    """`--state`, or the XDG state folder."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(given) if given else Path(base, "vea-console")


def open_host(
    *, lab: str | None = None, state: str | None = None, socket: str | None = None, nbd: str | None = None
) -> OpenedHost:
    """Attach to the engine that serves the control socket, else start one. EngineError says why it cannot."""
    control = control_socket(socket)
    running = RemoteEngine.connect(control) if control.exists() else None
    if running is not None:
        opened = OpenedHost(running, False, control, nbd_socket(nbd, control), state_folder(state))
        opened._closers.callback(running.close)
        return opened
    return start_host(lab=lab, state=state, socket=socket, nbd=nbd)


def start_host(
    *,
    lab: str | None = None,
    state: str | None = None,
    socket: str | None = None,
    nbd: str | None = None,
    opener: Callable[[str], HostDevice] | None = None,
) -> OpenedHost:
    """Start an engine in this process and serve its control socket. EngineBusy when another one serves it.

    `opener` opens each LUN, for layers that fail or delay.
    """
    control = control_socket(socket)
    opened_lab = _lab(Path(lab)) if lab else None
    luns = opened_lab.paths(Path(lab)) if opened_lab and lab else []
    with contextlib.ExitStack() as undo:
        host_state = HostState(state_folder(state))
        nbd_path = nbd_socket(nbd, control)
        engine = Engine(host_state, luns=luns, nbd=nbd_path, opener=opener)
        opened = OpenedHost(engine, True, control, nbd_path, host_state.folder)
        undo.callback(engine.close)
        server = ControlServer(control, engine, engine.runtime, show=opened.show)
        undo.callback(server.close)
        server.reserve()
        engine.start()
        if opened_lab is not None and lab is not None and not opened_lab.furnished:
            furnish(engine)
            mark_furnished(Path(lab), opened_lab)
        server.start()
        opened._closers = undo.pop_all()
    return opened


def _lab(folder: Path) -> Lab:
    return open_lab(folder) or create_lab(folder, Lab())
