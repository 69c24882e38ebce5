"""vxvol: start, stop, set, resynchronize, verify volumes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.cli import resolve
from engine.cli.common import COMMON, FORCE, GROUP, new_name, run
from engine.cli.forms import Form, Tool, Usage, Words

if TYPE_CHECKING:
    from engine.cli.session import Session
    from engine.records import Ref


def _volumes(session: Session, words: Words) -> tuple[Ref, ...]:
    group = session.named_group
    found = (resolve.volume(session.config, name, group).ref for name in words.many("VOLUME"))
    return tuple(dict.fromkeys(found))


def _start(session: Session, words: Words) -> int:
    from engine.commands import StartVolumes

    return session.carry_out(StartVolumes(volumes=_volumes(session, words), force=words.has("-f")))


def _stop(session: Session, words: Words) -> int:
    from engine.commands import StopVolumes

    return session.carry_out(StopVolumes(volumes=_volumes(session, words), force=words.has("-f")))


def _set(session: Session, words: Words) -> int:
    from engine.commands import SetVolumeUsage

    if "prefer" not in words.settings:
        raise Usage("Say what to set: vxvol -g GROUP set VOLUME prefer=PLEX, or prefer=none.")
    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    wanted = words.settings["prefer"]
    within = resolve.group(session.config, session.config.group(volume.group).name)
    preferred = None if wanted == "none" else resolve.plex(session.config, wanted, within).ref
    return session.carry_out(SetVolumeUsage(volume=volume.ref, preferred=preferred))


def _resync(session: Session, words: Words) -> int:
    from engine.commands import ResyncVolume

    return session.carry_out(ResyncVolume(volume=_volumes(session, words)[0]))


def _verify(session: Session, words: Words) -> int:
    from engine.commands import VerifyVolume

    return session.carry_out(VerifyVolume(volume=_volumes(session, words)[0]))


def _repair(session: Session, words: Words) -> int:
    from engine.commands import ScrubVolume

    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    within = resolve.group(session.config, session.config.group(volume.group).name)
    source = resolve.plex(session.config, words["PLEX"], within)
    return session.carry_out(ScrubVolume(volume=volume.ref, source=source.ref))


def _rename(session: Session, words: Words) -> int:
    from engine.commands import Rename

    return session.carry_out(Rename(object=_volumes(session, words)[0], name=new_name(words["NEW"])))


TOOL = Tool(
    "vxvol",
    "Start, stop, set, resynchronize and verify volumes.",
    (
        Form(
            "start VOLUME...",
            "Export volumes, also after a restart; -f starts RAID-5 whose parity may be wrong.",
            _start,
            options=(FORCE,),
            examples=("vxvol -g dg1 start ev",),
        ),
        Form("stop VOLUME...", "Stop exporting; -f disconnects clients.", _stop, options=(FORCE,)),
        Form(
            "set VOLUME",
            "Choose the mirror that serves reads; none balances them.",
            _set,
            settings={"prefer": "PLEX|none"},
            examples=("vxvol -g dg1 set ev prefer=ev-02",),
        ),
        Form("resync VOLUME", "Make every mirror equal to the good one.", _resync),
        Form("verify VOLUME", "Compare all mirrors byte by byte.", _verify),
        Form(
            "repair VOLUME PLEX",
            "Make all mirrors equal to PLEX where they differ; after a verify only in the places that it has found.",
            _repair,
            examples=("vxvol -g dg1 verify ev", "vxvol -g dg1 repair ev ev-01 --plan"),
        ),
        Form("rename VOLUME NEW", "Give a volume another name.", _rename),
    ),
    (GROUP, *COMMON),
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
