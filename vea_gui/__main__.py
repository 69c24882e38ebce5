"""`vea`: the console, with the engine in its process unless one serves already."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from engine.errors import EngineError

EXAMPLES = """examples:
  vea --lab lab                  a lab of image files in the folder lab, made on first use
  vea --state /srv/vea           settings and LUNs of another host identity
  VEA_SOCKET=/run/vea.sock vea   attach to the engine that serves this socket
"""


def arguments() -> argparse.ArgumentParser:
    """The command line of `vea`."""
    parser = argparse.ArgumentParser(
        prog="vea",
        description="Opens the storage console. Where an engine serves the control socket already, it attaches to it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lab", metavar="DIR", help="folder of a lab; made on first use")
    parser.add_argument("--state", metavar="DIR", help="folder of this host's settings (default: the XDG state folder)")
    parser.add_argument("--socket", metavar="PATH", help="the engine's control socket (default: VEA_SOCKET)")
    parser.add_argument("--nbd", metavar="PATH", help="unix socket of the NBD server")
    return parser


def main(given: Sequence[str] | None = None) -> int:
    """Exit status: 0 left in order, 1 could not begin (one sentence on standard error), 2 wrong usage."""
    options = arguments().parse_args(given)
    from engine.host import open_host  # wrong usage must not cost the time that all of this takes to load
    from vea_gui import app

    try:
        host = open_host(lab=options.lab, state=options.state, socket=options.socket, nbd=options.nbd)
    except (EngineError, OSError) as error:
        sys.stderr.write(f"vea: {error}\n")
        return 1
    try:
        if not host.owned and host.ask_show():
            return 0
        reopen = None if host.owned else host.reopen
        return app.run(host.api, host.state, reopen, lambda console: setattr(host, "on_show", console.show_again))
    finally:
        host.close()


if __name__ == "__main__":
    sys.exit(main())
