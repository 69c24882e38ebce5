"""What stands on a LUN that is not ours, in one short phrase: `ext4 file system`, `GPT partition table`."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from engine.errors import EngineError
from engine.store.usage import user_of

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice

_TIMEOUT_S = 30.0
_NOTHING_FOUND = 2
_SEVERAL_FOUND = 8

_PHRASES = {
    "LVM2_member": "LVM physical volume",
    "LVM1_member": "LVM physical volume",
    "linux_raid_member": "md RAID member",
    "zfs_member": "ZFS pool member",
    "crypto_LUKS": "LUKS encrypted volume",
    "swap": "swap space",
    "drbd": "DRBD device",
    "bcache": "bcache device",
    "VxVM": "Veritas Volume Manager disk",
}
_TABLES = {"gpt": "GPT partition table", "dos": "MBR partition table", "PMBR": "MBR partition table"}
_USAGES = {"filesystem": "file system", "raid": "RAID member", "crypto": "encrypted volume", "other": "data"}


def content_of(device: BlockDevice) -> str:
    """Who uses a LUN, else what is written on it, as a phrase; "" when nothing is known to be there.

    EngineError when it can't be found out: a sentence. A LUN without a file or device behind it has "".
    """
    descriptor = getattr(device, "fd", -1)
    path = getattr(device, "path", "")
    if descriptor < 0:
        return ""
    try:
        user = user_of(path, descriptor) if path else ""
    except OSError as error:
        raise EngineError(f"Who uses {device.name} can't be found out: {error.strerror or error}.") from error
    return user or signature(descriptor, device.name)


def signature(descriptor: int, name: str) -> str:
    """What `blkid` finds on an open file or device called `name`, as a phrase; "" for nothing. EngineError as above."""
    program = shutil.which("blkid", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        raise EngineError(
            f"What stands on {name} can't be found out, because the program blkid is missing. Install util-linux."
        )
    try:
        done = subprocess.run(
            (program, "-p", "-o", "export", f"/dev/fd/{descriptor}"),
            pass_fds=(descriptor,),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"What stands on {name} can't be found out: blkid did not answer.") from error
    if done.returncode == _SEVERAL_FOUND:
        return "data of several kinds"
    if done.returncode not in (0, _NOTHING_FOUND):
        raise EngineError(f"What stands on {name} can't be found out: blkid failed (status {done.returncode}).")
    return phrase(done.stdout.decode(errors="replace"))


def phrase(export: str) -> str:
    """The phrase for blkid's answer in its export format."""
    values = dict(line.split("=", 1) for line in export.splitlines() if "=" in line)
    kind, table = values.get("TYPE", ""), values.get("PTTYPE", "")
    if kind:
        return _PHRASES.get(kind) or f"{kind} {_USAGES.get(values.get('USAGE', ''), 'data')}"
    if table:
        return _TABLES.get(table, f"{table} partition table")
    return ""
