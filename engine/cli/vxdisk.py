"""vxdisk: LUNs and the disks that they are."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from engine.cli import output, resolve, rows
from engine.cli.common import COMMON, FORCE, new_name, run
from engine.cli.forms import Form, Tool, Usage, Words
from engine.errors import EngineError
from engine.units import format_size

if TYPE_CHECKING:
    from engine.cli.session import Session

_HEADS = ("DISK", "SIZE", "FREE", "STATUS", "GROUP", "ENCLOSURE", "LUN")


def _list(session: Session, words: Words) -> int:
    from engine.records import Disk, Kind

    disks = [rows.disk_row(session.config, disk) for disk in session.config.all(Kind.DISK, Disk)]
    if session.json:
        output.write_json(disks)
        return 0
    cells = [
        (
            row["name"],
            format_size(row["size"]),
            format_size(row["free"]) if row["group"] else "-",
            row["status"] + (f" ({row['content']})" if row["content"] else ""),
            row["group"] or "-",
            row["enclosure"] or "-",
            row["lun"] or "-",
        )
        for row in disks
    ]
    output.write(output.table(_HEADS, cells, right=("SIZE", "FREE")))
    return 0


def _rescan(session: Session, words: Words) -> int:
    from engine.commands import Rescan

    return session.carry_out(Rescan())


def _add_lun(session: Session, words: Words) -> int:
    from engine.commands import AddLuns

    return session.carry_out(AddLuns(paths=tuple(_path(word) for word in words.many("PATH"))))


def _path(word: str) -> str:
    """The engine may stand in another folder than whoever typed a path."""
    scheme, separator, rest = word.partition("://")
    if separator and scheme != "file":
        raise EngineError(f"A LUN over {scheme} can't be added. Give the path of an image file or of a block device.")
    path = rest if separator else word
    if not path or "\0" in path:
        raise EngineError("The path is empty. Give the path of an image file or of a block device.")
    return os.path.abspath(path)


def _init(session: Session, words: Words) -> int:
    from engine.commands import InitDisks

    return session.carry_out(InitDisks(disks=session.disks(words.many("DISK")), force=words.has("-f")))


def _rm(session: Session, words: Words) -> int:
    from engine.commands import RemoveLuns

    return session.carry_out(RemoveLuns(disks=session.disks(words.many("DISK"))))


def _set(session: Session, words: Words) -> int:
    from engine.commands import SetDiskUsage
    from engine.records import DiskUsage

    usage = words.settings.get("usage", "")
    if usage not in list(DiskUsage):
        raise Usage(f"usage is one of {', '.join(DiskUsage)}: vxdisk set DISK usage=spare.")
    return session.carry_out(SetDiskUsage(disks=session.disks(words.many("DISK")), usage=DiskUsage(usage)))


def _reactivate(session: Session, words: Words) -> int:
    from engine.commands import ReactivateDisk

    return session.carry_out(ReactivateDisk(disk=resolve.disk(session.config, words["DISK"]).ref))


def _replace(session: Session, words: Words) -> int:
    from engine.commands import ReplaceDisk

    disk, by = (resolve.disk(session.config, words[word]).ref for word in ("DISK", "NEW"))
    return session.carry_out(ReplaceDisk(disk=disk, by=by, force=words.has("-f")))


def _undo_relocation(session: Session, words: Words) -> int:
    from engine.commands import UndoRelocation

    return session.carry_out(UndoRelocation(disk=resolve.disk(session.config, words["DISK"]).ref))


def _rename(session: Session, words: Words) -> int:
    from engine.commands import Rename

    disk = resolve.disk(session.config, words["DISK"])
    return session.carry_out(Rename(object=disk.ref, name=new_name(words["NEW"])))


TOOL = Tool(
    "vxdisk",
    "LUNs and the disks that they are.",
    (
        Form("list", "List every disk with its LUN.", _list, examples=("vxdisk list --json",)),
        Form("rescan", "Look again at every LUN: new ones, gone ones, other sizes.", _rescan),
        Form(
            "add-lun PATH...",
            "Make image files or block devices known as LUNs.",
            _add_lun,
            examples=("vxdisk add-lun /srv/luns/new.img", "vxdisk add-lun /dev/sdx"),
        ),
        Form("init DISK...", "Write label and private region.", _init, options=(FORCE,)),
        Form("rm DISK...", "Forget LUNs that belong to no group; nothing on them changes.", _rm),
        Form(
            "set DISK...",
            "Say what automatic allocation and hot relocation may do with a disk.",
            _set,
            settings={"usage": "normal|spare|reserved|preferred|nohotuse"},
            examples=("vxdisk set Harddisk7 usage=reserved",),
        ),
        Form(
            "reactivate DISK",
            "Return a failing disk to service; what had to do without it is filled.",
            _reactivate,
            examples=("vxdisk reactivate Harddisk3",),
        ),
        Form(
            "replace DISK NEW",
            "Let a LUN of no group take the name and the places of a missing or failing disk.",
            _replace,
            options=(FORCE,),
            examples=("vxdisk replace Harddisk3 Harddisk9 --plan", "vxdisk replace Harddisk3 Harddisk9"),
        ),
        Form(
            "unreloc DISK",
            "Move everything back that hot relocation or a repair took away from a disk.",
            _undo_relocation,
            examples=("vxdisk unreloc Harddisk3",),
        ),
        Form("rename DISK NEW", "Give a disk another name.", _rename),
    ),
    COMMON,
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
