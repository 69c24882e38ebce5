"""vxsd: subdisks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.cli import resolve
from engine.cli.common import COMMON, FORCE, GROUP, new_name, run, size
from engine.cli.forms import Form, Tool, Usage, Words, shown

if TYPE_CHECKING:
    from engine.cli.session import Session
    from engine.commands import Target
    from engine.records import Ref


def _subdisk(session: Session, name: str) -> Ref:
    return resolve.subdisk(session.config, name, session.named_group).ref


def _target(session: Session, word: str) -> Target:
    """DISK, or DISK:OFFSET counted from the first byte of the LUN."""
    from engine.commands import Target

    name, colon, offset = word.rpartition(":")
    if not colon:
        return Target(resolve.disk(session.config, word).ref)
    if not offset[:1].isdigit():
        raise Usage(f"{shown(word)} is no place. Give DISK, or DISK:OFFSET such as Harddisk3:64m.")
    return Target(resolve.disk(session.config, name).ref, 0 if offset.strip("0") == "" else size(offset))


def _mv(session: Session, words: Words) -> int:
    from engine.commands import Move, MoveSubdisks

    subdisk = _subdisk(session, words["SUBDISK"])
    target = _target(session, words["DISK:OFFSET"])
    return session.carry_out(MoveSubdisks(moves=(Move(subdisk, (target,)),), force=words.has("-f")))


def _split(session: Session, words: Words) -> int:
    from engine.commands import SplitSubdisk

    length = size(words["SIZE"])
    return session.carry_out(SplitSubdisk(subdisk=_subdisk(session, words["SUBDISK"]), size=length))


def _join(session: Session, words: Words) -> int:
    from engine.commands import JoinSubdisks

    first, second = _subdisk(session, words["FIRST"]), _subdisk(session, words["SECOND"])
    return session.carry_out(JoinSubdisks(first=first, second=second))


def _rename(session: Session, words: Words) -> int:
    from engine.commands import Rename

    return session.carry_out(Rename(object=_subdisk(session, words["SUBDISK"]), name=new_name(words["NEW"])))


TOOL = Tool(
    "vxsd",
    "Subdisks: pieces of volumes on one disk.",
    (
        Form(
            "mv SUBDISK DISK:OFFSET",
            "Move a subdisk while its volume is in use. :OFFSET may be left away; it counts from the LUN's first byte.",
            _mv,
            options=(FORCE,),
            examples=("vxsd -g dg1 mv Harddisk0-01 Harddisk5", "vxsd -g dg1 mv Harddisk0-01 Harddisk5:1g --plan"),
        ),
        Form("split SUBDISK SIZE", "Cut a subdisk in two; the first piece has SIZE.", _split),
        Form("join FIRST SECOND", "Make one of two subdisks that are neighbours.", _join),
        Form("rename SUBDISK NEW", "Give a subdisk another name.", _rename),
    ),
    (GROUP, *COMMON),
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
