"""vxassist: volumes, with the engine choosing where they lie."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from engine.cli import output, resolve
from engine.cli.common import COMMON, FORCE, GROUP, new_name, number, run, size
from engine.cli.forms import Form, Tool, Usage, Words, shown
from engine.errors import CommandRejected, EngineError
from engine.units import format_exact, format_size

if TYPE_CHECKING:
    from engine.cli.session import Session
    from engine.commands import Command, LogType
    from engine.records import Ref

# layout word -> the kind of layout, plexes when nothing is said
_LAYOUTS = {
    "concat": ("", 1),
    "stripe": ("striped", 1),
    "mirror": ("", 2),
    "mirror-concat": ("", 2),
    "mirror-stripe": ("striped", 2),
    "raid5": ("raid5", 1),
}
_LOGS = ("drl", "raid5", "none")
_MIRROR_LAYOUTS = {"concat": False, "stripe": True}
_LAYOUT = {"layout": "concat|stripe|mirror|mirror-stripe|raid5"}
_LOG = {"logtype": "drl|raid5|none"}
_SHAPE = {**_LAYOUT, "columns": "N", "mirror": "N", "stripeunit": "SIZE", **_LOG}
_ALLOC = {"alloc": "DISK,DISK..."}
_ACROSS = {"across": "enclosure"}
_DRIVE = {"driveletter": "X|none", "drivepath": "FOLDER|none"}
_FORMAT = {"fstype": "ext4|xfs|ntfs", "label": "TEXT", "quick": "yes|no"}


def _shape(words: Words) -> dict[str, Any]:
    """The fields of CreateVolume that the settings speak of."""
    layout = words.settings.get("layout", "concat")
    if layout not in _LAYOUTS:
        raise Usage(f"layout={shown(layout)} is none of {', '.join(_LAYOUTS)}.")
    kind, mirrors = _LAYOUTS[layout]
    return {
        **({kind: True} if kind else {}),
        "log": _log(words),
        "columns": _counted(words, "columns", 0),
        "mirrors": _counted(words, "mirror", mirrors),
        "stripe_unit": _stripe_unit(words),
        "across_enclosures": _across(words),
    }


def _log(words: Words) -> LogType:
    """The log that was asked for; the layout's own when nothing is said."""
    from engine.commands import LogType

    log = words.settings.get("logtype", "")
    if log not in ("", *_LOGS):
        raise Usage(f"logtype={shown(log)} is none of {', '.join(_LOGS)}.")
    return LogType(log) if log else LogType.DEFAULT


def _counted(words: Words, key: str, otherwise: int) -> int:
    value = number(words, key, otherwise)
    if key in words.settings and value == 0:
        raise EngineError(f"{key}=0 makes no sense. Give 1 or more.")
    return value


def _stripe_unit(words: Words) -> int:
    return size(words.settings["stripeunit"]) if "stripeunit" in words.settings else 0


def _mirror_striped(words: Words) -> bool | None:
    """How a new mirror shall be laid out; None as the volume is, unless columns or a stripe unit say it."""
    layout = words.settings.get("layout", "")
    if layout not in ("", *_MIRROR_LAYOUTS):
        raise Usage(f"layout={shown(layout)} is none of {', '.join(_MIRROR_LAYOUTS)}.")
    if not layout:
        return True if {"columns", "stripeunit"} & words.settings.keys() else None
    return _MIRROR_LAYOUTS[layout]


def _across(words: Words) -> bool:
    across = words.settings.get("across", "")
    if across not in ("", "enclosure"):
        raise Usage(f"across={shown(across)} is not known; across=enclosure is.")
    return bool(across)


def _alloc(session: Session, words: Words) -> tuple[Ref, ...]:
    return session.disks([name for name in words.settings.get("alloc", "").split(",") if name])


def _make(session: Session, words: Words) -> int:
    from engine.commands import CreateVolume

    return session.carry_out(
        CreateVolume(
            group=session.group.ref,
            name=new_name(words["VOLUME"]),
            size=size(words["SIZE"], most=True),
            disks=_alloc(session, words),
            force=words.has("-f"),
            letter=_letter(words, ""),
            path=_path(words, ""),
            file_system=words.settings.get("fstype", ""),
            label=words.settings.get("label", ""),
            quick=_quick(words),
            **_shape(words),
        )
    )


def _letter(words: Words, otherwise: str) -> str:
    """The drive letter that was typed: `E`, `e:` or `none`."""
    text = words.settings.get("driveletter", otherwise)
    return "" if text.lower() == "none" else text.removesuffix("\\").removesuffix(":").upper()


def _path(words: Words, otherwise: str) -> str:
    text = words.settings.get("drivepath", otherwise)
    return "" if text.lower() == "none" else text.rstrip("/") or text


def _quick(words: Words) -> bool:
    text = words.settings.get("quick", "yes").lower()
    if text not in ("yes", "no"):
        raise Usage(f"quick={shown(text)} is none of yes, no.")
    return text == "yes"


def _assign(session: Session, words: Words) -> int:
    from engine.commands import ChangeDrive

    if not _DRIVE.keys() & words.settings.keys():
        raise Usage("Say what it gets: vxassist assign VOLUME DriveLetter=X, or DrivePath=FOLDER.")
    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    letter, path = _letter(words, volume.drive_letter), _path(words, volume.drive_path)
    return session.carry_out(ChangeDrive(volume=volume.ref, letter=letter, path=path, force=words.has("-f")))


def _unassign(session: Session, words: Words) -> int:
    from engine.commands import ChangeDrive

    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    return session.carry_out(ChangeDrive(volume=volume.ref, force=words.has("-f")))


def _format(session: Session, words: Words) -> int:
    from engine.commands import FormatVolume

    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    return session.carry_out(
        FormatVolume(
            volume=volume.ref,
            file_system=words.settings.get("fstype", "ext4"),
            label=words.settings.get("label", ""),
            quick=_quick(words),
            force=words.has("-f"),
        )
    )


def _grow_to(session: Session, words: Words) -> int:
    return _grow(session, words, by=False)


def _grow_by(session: Session, words: Words) -> int:
    return _grow(session, words, by=True)


def _grow(session: Session, words: Words, *, by: bool) -> int:
    from engine.commands import GrowVolume

    wanted = size(words["SIZE"], most=True)
    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    wanted += volume.size if by and wanted else 0
    return session.carry_out(GrowVolume(volume=volume.ref, size=wanted, disks=_alloc(session, words)))


def _shrink_to(session: Session, words: Words) -> int:
    return _shrink(session, words, by=False)


def _shrink_by(session: Session, words: Words) -> int:
    return _shrink(session, words, by=True)


def _shrink(session: Session, words: Words, *, by: bool) -> int:
    from engine.commands import ShrinkVolume

    wanted = size(words["SIZE"])
    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    if by and wanted >= volume.size:
        have = format_size(volume.size)
        raise EngineError(f"{volume.name} has {have}: it can't become smaller by {format_size(wanted)}. Give less.")
    target = volume.size - wanted if by else wanted
    return session.carry_out(ShrinkVolume(volume=volume.ref, size=target, force=words.has("-f")))


def _add_column(session: Session, words: Words) -> int:
    from engine.commands import AddColumn

    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    return session.carry_out(AddColumn(volume=volume.ref, disks=_alloc(session, words)))


def _resize_file_system(session: Session, words: Words) -> int:
    from engine.commands import MAX_SIZE, ResizeFileSystem

    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    wanted = size(words["SIZE"], most=True) if words.many("SIZE") else MAX_SIZE
    return session.carry_out(ResizeFileSystem(volume=volume.ref, size=wanted))


def _mirror(session: Session, words: Words) -> int:
    from engine.commands import AddMirrors

    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    return session.carry_out(
        AddMirrors(
            volume=volume.ref,
            count=_counted(words, "mirror", 1),
            striped=_mirror_striped(words),
            columns=_counted(words, "columns", 0),
            stripe_unit=_stripe_unit(words),
            disks=_alloc(session, words),
            across_enclosures=_across(words),
            force=words.has("-f"),
        )
    )


def _max_size(session: Session, words: Words) -> int:
    from engine.commands import MAX_SIZE, CreateVolume

    command = CreateVolume(group=session.group.ref, size=MAX_SIZE, disks=_alloc(session, words), **_shape(words))
    return _tell_largest(session, command)


def _max_grow(session: Session, words: Words) -> int:
    from engine.commands import MAX_SIZE, GrowVolume

    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    return _tell_largest(session, GrowVolume(volume=volume.ref, size=MAX_SIZE, disks=_alloc(session, words)))


def _tell_largest(session: Session, command: Command) -> int:
    """The size that the plan of the largest has."""
    plan = session.api.plan(command)
    if plan.problems or plan.task is None:
        raise CommandRejected(plan.problems)
    largest = plan.task.params.size
    if session.json:
        output.write_json({"size": largest})
    else:
        output.write(f"{format_size(largest)} ({format_exact(largest)})")
    return 0


def _remove(session: Session, words: Words) -> int:
    from engine.commands import DeleteVolumes

    group = session.named_group
    volumes = dict.fromkeys(resolve.volume(session.config, name, group).ref for name in words.many("VOLUME"))
    return session.carry_out(DeleteVolumes(volumes=tuple(volumes), force=words.has("-f")))


def _add_log(session: Session, words: Words) -> int:
    from engine.commands import AddLog

    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    return session.carry_out(AddLog(volume=volume.ref, log=_log(words), disks=_alloc(session, words)))


def _remove_log(session: Session, words: Words) -> int:
    from engine.commands import RemoveLog

    volume = resolve.volume(session.config, words["VOLUME"], session.named_group)
    return session.carry_out(RemoveLog(volume=volume.ref))


def _evacuate(session: Session, words: Words) -> int:
    from engine.commands import EvacuateDisk

    disk = resolve.disk(session.config, words["DISK"])
    targets = session.disks(words.many("TARGET"))
    return session.carry_out(EvacuateDisk(disk=disk.ref, targets=targets, force=words.has("-f")))


def _repair(session: Session, words: Words) -> int:
    from engine.commands import RepairVolumes

    volumes = tuple(resolve.volume(session.config, name, session.named_group).ref for name in words.many("VOLUME"))
    return session.carry_out(RepairVolumes(volumes=volumes, disks=_alloc(session, words)))


TOOL = Tool(
    "vxassist",
    "Volumes, with the engine choosing where they lie.",
    (
        Form(
            "make VOLUME SIZE",
            "Make a volume. SIZE may be max; it is rounded up to 1 MiB.",
            _make,
            settings={**_SHAPE, **_ACROSS, **_ALLOC, **_DRIVE, **_FORMAT},
            options=(FORCE,),
            examples=(
                "vxassist -g dg1 make ev 512m layout=mirror",
                "vxassist -g dg1 make sv max layout=stripe columns=3 stripeunit=128k --plan",
                "vxassist -g dg1 make pv 1g alloc=Harddisk0,Harddisk1",
                "vxassist -g dg1 make rv 3g layout=raid5 columns=4",
            ),
        ),
        Form("growto VOLUME SIZE", "Make a volume as large as SIZE; SIZE may be max.", _grow_to, settings=_ALLOC),
        Form(
            "growby VOLUME SIZE",
            "Make a volume larger by SIZE.",
            _grow_by,
            settings=_ALLOC,
            examples=("vxassist -g dg1 growby ev 256m",),
        ),
        Form(
            "shrinkto VOLUME SIZE",
            "Make a volume as small as SIZE; what lies behind it is lost. -f in spite of clients and file systems.",
            _shrink_to,
            options=(FORCE,),
        ),
        Form(
            "shrinkby VOLUME SIZE",
            "Make a volume smaller by SIZE; what lies there is lost.",
            _shrink_by,
            options=(FORCE,),
            examples=("vxassist -g dg1 shrinkby ev 256m --plan",),
        ),
        Form(
            "addcolumn VOLUME",
            "Give a striped volume one more column while it is in use.",
            _add_column,
            settings=_ALLOC,
            examples=("vxassist -g dg1 addcolumn sv alloc=Harddisk5 --plan",),
        ),
        Form(
            "resizefs VOLUME [SIZE]",
            "Make the file system on an unused volume as large as the volume, or as SIZE.",
            _resize_file_system,
            examples=("vxassist -g dg1 resizefs ev 200m", "vxassist -g dg1 shrinkto ev 200m"),
        ),
        Form(
            "format VOLUME",
            "Make an empty file system on an unused volume; -f in spite of what stands there.",
            _format,
            settings=_FORMAT,
            options=(FORCE,),
            examples=("vxassist -g dg1 format ev fstype=xfs label=mail", "vxassist format E: --plan"),
        ),
        Form(
            "assign VOLUME",
            "Give a volume a drive letter, and an empty folder that its file system is mounted in.",
            _assign,
            settings=_DRIVE,
            options=(FORCE,),
            examples=("vxassist -g dg1 assign ev DriveLetter=E", "vxassist assign E: DrivePath=/srv/mail"),
        ),
        Form(
            "unassign VOLUME",
            "Take its drive letter and its folder away; -f cuts off who uses them.",
            _unassign,
            options=(FORCE,),
        ),
        Form(
            "mirror VOLUME",
            "Add a mirror, and fill it while the volume is in use.",
            _mirror,
            settings={
                "mirror": "N",
                "layout": "concat|stripe",
                "columns": "N",
                "stripeunit": "SIZE",
                **_ACROSS,
                **_ALLOC,
            },
            options=(FORCE,),
            examples=(
                "vxassist -g dg1 mirror ev alloc=Harddisk3",
                "vxassist -g dg1 mirror ev layout=stripe columns=3 --plan",
            ),
        ),
        Form(
            "maxsize",
            "The largest volume that these choices allow.",
            _max_size,
            settings={**_SHAPE, **_ACROSS, **_ALLOC},
        ),
        Form("maxgrow VOLUME", "The largest size that a volume can grow to.", _max_grow, settings=_ALLOC),
        Form("remove volume VOLUME...", "Delete volumes with all their data.", _remove, options=(FORCE,)),
        Form(
            "addlog VOLUME",
            "Give a volume a log, or one copy more of it.",
            _add_log,
            settings={**_LOG, **_ALLOC},
            examples=("vxassist -g dg1 addlog rv alloc=Harddisk5",),
        ),
        Form("remove log VOLUME", "Take a volume's log away.", _remove_log),
        Form(
            "evacuate DISK [TARGET...]",
            "Move everything off a disk while it is in use.",
            _evacuate,
            options=(FORCE,),
            examples=("vxassist -g dg1 evacuate Harddisk3 Harddisk5",),
        ),
        Form(
            "repair VOLUME...",
            "Make volumes whole: what lay on missing or failing disks gets new places, on spares first.",
            _repair,
            settings=_ALLOC,
            examples=("vxassist -g dg1 repair ev", "vxassist -g dg1 repair ev sv --plan"),
        ),
    ),
    (GROUP, *COMMON),
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
