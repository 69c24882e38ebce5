"""vxplex: the mirrors of volumes, one by one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.cli import resolve
from engine.cli.common import COMMON, GROUP, new_name, run
from engine.cli.forms import Form, Tool, Words

if TYPE_CHECKING:
    from engine.cli.session import Session
    from engine.records import Ref


def _plex(session: Session, name: str) -> Ref:
    return resolve.plex(session.config, name, session.named_group).ref


def _rm(session: Session, words: Words) -> int:
    from engine.commands import RemoveMirrors

    plexes = tuple(dict.fromkeys(_plex(session, name) for name in words.many("PLEX")))
    return session.carry_out(RemoveMirrors(plexes=plexes))


def _det(session: Session, words: Words) -> int:
    from engine.commands import DetachPlex

    return session.carry_out(DetachPlex(plex=_plex(session, words["PLEX"])))


def _att(session: Session, words: Words) -> int:
    from engine.commands import AttachPlex

    return session.carry_out(AttachPlex(plex=_plex(session, words["PLEX"])))


def _break(session: Session, words: Words) -> int:
    from engine.commands import BreakMirror

    name = new_name(words["NEWVOLUME"])
    return session.carry_out(BreakMirror(plex=_plex(session, words["PLEX"]), name=name))


TOOL = Tool(
    "vxplex",
    "The mirrors of volumes, one by one.",
    (
        Form("rm PLEX...", "Remove mirrors; their space becomes free.", _rm, examples=("vxplex -g dg1 rm ev-02",)),
        Form("det PLEX", "Leave a mirror out of reads and writes.", _det),
        Form("att PLEX", "Fill a mirror that was left out, and use it again.", _att),
        Form(
            "break PLEX NEWVOLUME",
            "Make a complete mirror a volume of its own.",
            _break,
            examples=("vxplex -g dg1 break ev-02 ev-copy",),
        ),
    ),
    (GROUP, *COMMON),
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
