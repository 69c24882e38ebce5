"""One frozen record for each operator verb. They carry what was asked, and do nothing.

`encode` and `decode` write and read any of them as JSON with its name, for the socket, the task log and undo.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from engine.records import DiskUsage, Ref

MAX_SIZE = 0
"""As a size: the largest that the other choices allow."""


class Command(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="command", forbid_unknown_fields=True):
    """Base of all commands."""


# --- disks ---
class Rescan(Command, frozen=True, kw_only=True, tag=True):
    """Look again at every LUN: new ones, gone ones, other sizes, other labels."""


class Refresh(Command, frozen=True, kw_only=True, tag=True):
    """Read the sizes of known LUNs anew; nothing is searched."""


class AddLuns(Command, frozen=True, kw_only=True, tag=True):
    """Make LUNs known: paths of image files or of kernel block devices."""

    paths: tuple[str, ...]


class RemoveLuns(Command, frozen=True, kw_only=True, tag=True):
    """Forget LUNs that belong to no imported group. Nothing on them changes."""

    disks: tuple[Ref, ...]


class InitDisks(Command, frozen=True, kw_only=True, tag=True):
    """Write label and private region. Refuses what carries foreign data unless `force`."""

    disks: tuple[Ref, ...]
    force: bool = False


class SetDiskUsage(Command, frozen=True, kw_only=True, tag=True):
    disks: tuple[Ref, ...]
    usage: DiskUsage


class Rename(Command, frozen=True, kw_only=True, tag=True):
    """Another name for a group, volume, disk or subdisk."""

    object: Ref
    name: str


# --- groups ---
class CreateGroup(Command, frozen=True, kw_only=True, tag=True):
    name: str
    disks: tuple[Ref, ...]
    force: bool = False  # initialize disks although foreign data stands on them


class AddDisks(Command, frozen=True, kw_only=True, tag=True):
    group: Ref
    disks: tuple[Ref, ...]
    force: bool = False


class RemoveDisks(Command, frozen=True, kw_only=True, tag=True):
    """Take empty disks out of their group."""

    disks: tuple[Ref, ...]


class DestroyGroup(Command, frozen=True, kw_only=True, tag=True):
    """Remove a group without volumes; its disks become free."""

    group: Ref


class DeportGroup(Command, frozen=True, kw_only=True, tag=True):
    """Stop a group's volumes in order and give the group up."""

    group: Ref
    force: bool = False  # disconnect clients


class ImportGroup(Command, frozen=True, kw_only=True, tag=True):
    """Take a deported group. `clear` takes it from the host that its disks name, `force` with too few copies."""

    group: Ref
    clear: bool = False
    force: bool = False
    new_name: str = ""


# --- volumes ---
class CreateVolume(Command, frozen=True, kw_only=True, tag=True):
    """A new volume. `size` MAX_SIZE asks for the largest; an empty `name` for the next free `VolumeN`."""

    group: Ref
    size: int
    name: str = ""
    striped: bool = False
    columns: int = 0  # 0: 2 when striped, else 1
    stripe_unit: int = 0  # 0: 64 KiB when striped
    mirrors: int = 1  # plexes in all, 1 to 32
    disks: tuple[Ref, ...] = ()  # () lets the engine choose
    across_enclosures: bool = False  # each mirror in an enclosure of its own
    force: bool = False  # two plexes or two columns may share a disk


class DeleteVolumes(Command, frozen=True, kw_only=True, tag=True):
    volumes: tuple[Ref, ...]
    force: bool = False  # disconnect clients


class GrowVolume(Command, frozen=True, kw_only=True, tag=True):
    """`size` is the new size in all; MAX_SIZE for the largest."""

    volume: Ref
    size: int
    disks: tuple[Ref, ...] = ()


class StartVolumes(Command, frozen=True, kw_only=True, tag=True):
    volumes: tuple[Ref, ...]


class StopVolumes(Command, frozen=True, kw_only=True, tag=True):
    volumes: tuple[Ref, ...]
    force: bool = False


class ResyncVolume(Command, frozen=True, kw_only=True, tag=True):
    """Make every plex that is not complete, or whose equality is in doubt, equal to the good one."""

    volume: Ref


class VerifyVolume(Command, frozen=True, kw_only=True, tag=True):
    """Compare all plexes byte by byte; changes nothing."""

    volume: Ref


class SetVolumeUsage(Command, frozen=True, kw_only=True, tag=True):
    """Which mirror serves reads: None balances them by layout."""

    volume: Ref
    preferred: Ref | None = None


# --- mirrors ---
class AddMirrors(Command, frozen=True, kw_only=True, tag=True):
    """More copies. `striped` None lays them out as the volume is; what is 0 is as the volume has it, or the usual."""

    volume: Ref
    count: int = 1
    striped: bool | None = None
    columns: int = 0
    stripe_unit: int = 0
    disks: tuple[Ref, ...] = ()
    across_enclosures: bool = False
    force: bool = False


class RemoveMirrors(Command, frozen=True, kw_only=True, tag=True):
    plexes: tuple[Ref, ...]


class BreakMirror(Command, frozen=True, kw_only=True, tag=True):
    """A complete mirror becomes a volume of its own."""

    plex: Ref
    name: str = ""


class DetachPlex(Command, frozen=True, kw_only=True, tag=True):
    plex: Ref


class AttachPlex(Command, frozen=True, kw_only=True, tag=True):
    """Fill a detached, stale or failed plex again."""

    plex: Ref


# --- subdisks ---
class Target(msgspec.Struct, frozen=True, gc=False):
    """Where a piece may go. `offset` from the first byte of the LUN, -1 for wherever it fits; `length` 0 for all."""

    disk: Ref
    offset: int = -1
    length: int = 0


class Move(msgspec.Struct, frozen=True, gc=False):
    """One subdisk and its new places in order; no target lets the engine choose."""

    subdisk: Ref
    targets: tuple[Target, ...] = ()


class MoveSubdisks(Command, frozen=True, kw_only=True, tag=True):
    moves: tuple[Move, ...]
    force: bool = False


class EvacuateDisk(Command, frozen=True, kw_only=True, tag=True):
    """Move every subdisk off a disk."""

    disk: Ref
    targets: tuple[Ref, ...] = ()
    force: bool = False


class SplitSubdisk(Command, frozen=True, kw_only=True, tag=True):
    """Cut a subdisk in two: the first piece has `size` bytes."""

    subdisk: Ref
    size: int


class JoinSubdisks(Command, frozen=True, kw_only=True, tag=True):
    """Make one of two subdisks that are neighbours on the disk and in their column."""

    first: Ref
    second: Ref


# --- tasks ---
class PauseTask(Command, frozen=True, kw_only=True, tag=True):
    task: Ref


class ResumeTask(Command, frozen=True, kw_only=True, tag=True):
    task: Ref


class AbortTask(Command, frozen=True, kw_only=True, tag=True):
    task: Ref


class ThrottleTask(Command, frozen=True, kw_only=True, tag=True):
    """`iodelay_ms`: milliseconds of rest after each mebibyte that is copied."""

    task: Ref
    iodelay_ms: int


class ClearTasks(Command, frozen=True, kw_only=True, tag=True):
    """Forget finished tasks; () forgets all of them."""

    tasks: tuple[Ref, ...] = ()


class AcknowledgeAlerts(Command, frozen=True, kw_only=True, tag=True):
    """Take alerts off the list of open ones; the alert log keeps them. () takes all."""

    alerts: tuple[Ref, ...] = ()


AnyCommand: TypeAlias = (
    Rescan | Refresh | AddLuns | RemoveLuns | InitDisks | SetDiskUsage | Rename
    | CreateGroup | AddDisks | RemoveDisks | DestroyGroup | DeportGroup | ImportGroup
    | CreateVolume | DeleteVolumes | GrowVolume | StartVolumes | StopVolumes | ResyncVolume | VerifyVolume
    | SetVolumeUsage
    | AddMirrors | RemoveMirrors | BreakMirror | DetachPlex | AttachPlex
    | MoveSubdisks | EvacuateDisk | SplitSubdisk | JoinSubdisks
    | PauseTask | ResumeTask | AbortTask | ThrottleTask | ClearTasks | AcknowledgeAlerts
)  # fmt: skip


_DECODER: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)


def encode(command: Command) -> str:
    """A command as one line of JSON."""
    return msgspec.json.encode(command).decode()


def decode(text: str | bytes) -> AnyCommand:
    """The command that `encode` wrote; msgspec.ValidationError for anything else."""
    return _DECODER.decode(text)
