"""vxsvc: the engine without a console."""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import sys
from collections.abc import Sequence
from typing import Any

from engine.cli import output
from engine.cli.common import DONE, HELP, REFUSED, SOCKET, WRONG_USAGE, read, system_sentence
from engine.cli.forms import Form, Option, Tool, Usage, Words

SERVING = (
    Option("--lab", "Open this lab, and make it when there is none.", takes="DIR"),
    Option("--state", "This host's own settings (default: the user's state folder).", takes="DIR"),
    SOCKET,
    Option("--nbd", "Unix socket of the NBD server (default: nbd.sock beside the control socket).", takes="PATH"),
)
_DESCRIPTORS = 65_536
_LISTEN = Option("--listen", "Serve other hosts.", takes="HOST:PORT")


def _serve(words: Words) -> int:
    """Serve until SIGTERM or SIGINT."""
    from engine.errors import EngineError
    from engine.host import start_host

    if words.has("--listen"):
        output.complain("Other hosts can't be served by this release. Leave --listen away and use the local socket.")
        return REFUSED
    told = _end_signals()
    _allow_many_clients()
    given: dict[str, Any] = {name: words.options.get(f"--{name}") for name in ("lab", "state", "socket", "nbd")}
    try:
        host = start_host(**given)
    except EngineError as error:
        output.complain(str(error))
        return REFUSED
    except OSError as error:
        output.complain(f"The engine can't start: {system_sentence(error)}")
        return REFUSED
    gc.freeze()  # what stands now stays: no collection beside clients looks at it again
    try:
        print("ready", flush=True)
        select.select([told], [], [])
    finally:
        host.close()
    return DONE


def _end_signals() -> int:
    """A descriptor that can be read once the engine shall end, whichever thread the system interrupts for it."""
    told, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # only the descriptor matters
    return told


def _allow_many_clients() -> None:
    """As many descriptors as the system lets this user have: each client and each LUN takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


TOOL = Tool(
    "vxsvc",
    "The engine without a console. Prints `ready` when it serves; SIGTERM or Ctrl+C stops it in order.",
    (
        Form(
            "",
            "Serve the volumes of this host, or of a lab.",
            _serve,
            options=(_LISTEN,),
            examples=("vxsvc --lab ~/lab --state ~/lab-state --socket /tmp/lab.sock",),
        ),
    ),
    (*SERVING, HELP),
)


def serve(arguments: Sequence[str]) -> int:
    """From words to exit status."""
    output.patient()
    try:
        words = read(TOOL, arguments)
    except Usage as error:
        output.complain(str(error))
        return WRONG_USAGE
    return DONE if words is None else words.form.run(words)


def main() -> None:
    sys.exit(serve(sys.argv[1:]))


if __name__ == "__main__":
    main()
