"""LUNs under their disk names, and the shelves that hold them."""

from __future__ import annotations

import enum

import msgspec

from engine.records.base import Record, Ref


class DiskUsage(enum.StrEnum):
    """What automatic allocation and hot relocation may do with a disk."""

    NORMAL = "normal"
    SPARE = "spare"  # for hot relocation alone
    RESERVED = "reserved"  # only when it is chosen by hand
    PREFERRED = "preferred"  # as a normal disk; hot relocation takes it before other normal ones
    NO_HOT_USE = "nohotuse"  # as a normal disk, but never for hot relocation


class DiskStatus(enum.StrEnum):
    """Status texts of a disk."""

    ONLINE = "Online"  # no group; free to be used
    FOREIGN = "Foreign"  # no group of ours; carries somebody else's data
    IMPORTED = "Imported"
    DEPORTED = "Deported"
    FAILING = "Failing"
    MISSING = "Missing"


class Enclosure(Record, frozen=True, kw_only=True, tag="enclosure"):
    """A shelf of LUNs: an array, a folder of image files, or a host's own devices."""

    vendor: str = ""
    product: str = ""


class LeastStamp(msgspec.Struct, frozen=True, gc=False):
    """How new the import stamp of a disk has to be: what carries an older one of that import is an older image of the
    disk."""

    serial: str  # of the import, hex digits
    transaction: int  # that the stamp tells


class AsFound(msgspec.Struct, frozen=True, gc=False):
    """How an import has found a disk: on record from the first thing that the import writes until it is on record what
    came of it, as by then the disk itself tells it no more."""

    end: int  # the number of the last transaction that its copy of the configuration had taken; 0: it has none
    older: bool = False  # it had lost acknowledged changes
    forced: bool = False  # the import was by force


class Disk(Record, frozen=True, kw_only=True, tag="disk"):
    """A LUN under its disk name. Before `init` its id stands for the LUN's path, afterwards it is the label's."""

    size: int  # physical bytes, as last seen
    group: Ref | None = None
    usage: DiskUsage = DiskUsage.NORMAL
    public_offset: int = 0  # first byte that subdisks may use, from the start of the LUN
    public_length: int = 0  # 0 until initialized
    least_stamp: LeastStamp | None = None  # since volumes on it were last stopped in order
    as_found: AsFound | None = None  # by an import that was cut short; only on disk
    # host
    lun: str = ""  # path of the file or device; empty while the LUN is missing
    enclosure: Ref | None = None
    block_size: int = 512
    present: bool = False
    failing: bool = False  # an I/O error was seen since it was last reactivated
    errors: int = 0  # that were mended by rewriting from a good copy, since it was last reactivated
    content: str = ""  # what stands on it that is not ours: "ext4 file system"
    paths: int = 1
    # derived
    status: DiskStatus = DiskStatus.ONLINE
    free: int = 0
    largest_free: int = 0

    @property
    def short_by(self) -> int:
        """Bytes of the public region that are behind the end of a LUN which has become shorter; 0 of a sound one."""
        return max(0, self.public_offset + self.public_length - self.size) if self.present and self.size else 0
