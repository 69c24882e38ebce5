"""What to type elsewhere to use a volume: its NBD address and ready lines for a shell. Text only."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from urllib.parse import quote

from engine.config import Config
from engine.records import Group, GroupState, Host, Ref, Volume, VolumeStatus

MOUNT_ROOT = "/mnt"
FUSE_ROOT = "/mnt/.nbd"
"""No group's name begins with a dot, so no mount point ever covers it."""


@dataclass(frozen=True)
class ClientLine:
    """A line to copy. `purpose` says what it does; `program` names it for a screen reader."""

    program: str
    purpose: str
    text: str


@dataclass(frozen=True)
class NotServed:
    """Why nobody can connect, what would help, and the action that does it (empty when there is none)."""

    why: str
    remedy: str
    action: str = ""


def nbd_address(group: str, volume: str, socket: str) -> str:
    """`nbd+unix:///GROUP/VOLUME?socket=PATH`; every byte that could end a part of it is percent-encoded."""
    return f"nbd+unix:///{quote(group, safe='')}/{quote(volume, safe='')}?socket={quote(os.fsencode(socket), safe='/')}"


def client_lines(group: str, volume: str, socket: str) -> tuple[ClientLine, ...]:
    """Lines for a POSIX shell, in the order in which they are shown."""
    address = nbd_address(group, volume, socket)
    folder, mount = f"{FUSE_ROOT}/{group}/{volume}", f"{MOUNT_ROOT}/{group}/{volume}"
    return (
        ClientLine(
            "QEMU",
            "Give a virtual machine the volume as a disk: add this to its command line.",
            _line("-drive", f"file={address},format=raw,if=virtio,cache=none"),
        ),
        ClientLine("qemu-img", "Show what QEMU's tools see.", _line("qemu-img", "info", address)),
        ClientLine("nbdcopy", "Copy the volume into a file.", _line("nbdcopy", address, f"./{volume}.img")),
        ClientLine(
            "nbdfuse",
            "Mount a file system that is on the volume, as root: first show the volume as a file,",
            f"{_line('mkdir', '-p', folder, mount)} && {_line('nbdfuse', f'{folder}/{volume}', address)} &",
        ),
        ClientLine("mount", "then mount that file.", _line("mount", "-o", "loop", f"{folder}/{volume}", mount)),
        ClientLine(
            "umount", "Let go of both again.", f"{_line('umount', mount)} && {_line('fusermount3', '-u', folder)}"
        ),
    )


def served_at(config: Config, host: Ref, volume: Volume) -> tuple[str, str, str] | None:
    """Names of group and volume, and the socket: what the lines are made of. None while the volume isn't served."""
    if not_served(config, host, volume) is not None:
        return None
    return config.group(volume.group).name, volume.name, _socket(config, host)


def not_served(config: Config, host: Ref, volume: Volume) -> NotServed | None:
    """Why clients cannot connect; None when they can."""
    group = config.get(volume.group)
    name = volume.name
    if isinstance(group, Group) and group.state is not GroupState.IMPORTED:
        owner = f" Host {group.owner} has it." if group.owner else ""
        return NotServed(
            f"Disk group {group.name} is not imported here, so its volumes are not served.{owner}",
            "Import the disk group.",
        )
    if volume.status is VolumeStatus.INITIALIZING or not volume.size:
        return NotServed(
            f"Volume {name} is still being prepared: its space is written with zeros first.",
            "Wait for the task; clients can connect as soon as it has ended.",
        )
    if not volume.started or volume.status is VolumeStatus.STOPPED:
        return NotServed(f"Volume {name} is stopped.", "Start the volume.", "start-volume")
    if not volume.serving:
        return NotServed(
            f"Volume {name} has no complete copy that can be read.",
            "Bring back the disks that hold it, and rescan.",
            "rescan",
        )
    if not _socket(config, host):
        return NotServed("This engine serves no volumes: it was started without an NBD socket.", "Restart the engine.")
    return None


def _socket(config: Config, host: Ref) -> str:
    record = config.get(host)
    return record.nbd_socket if isinstance(record, Host) else ""


def _line(*words: str) -> str:
    return shlex.join(words)
