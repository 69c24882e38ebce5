"""Records of a small lab, as an engine would tell them: two enclosures of six disks, one group, two volumes."""

from __future__ import annotations

from engine.geometry import geometry
from engine.records import (
    Backup,
    Connection,
    Disk,
    Enclosure,
    Group,
    Host,
    Kind,
    MadeSet,
    Outcome,
    Pattern,
    Plex,
    PlexLayout,
    PlexState,
    Record,
    Ref,
    RunResult,
    Schedule,
    Settings,
    Subdisk,
    Volume,
    backup_ref,
    settings_ref,
)
from engine.units import GIB, KIB, MIB

HOST_ID = f"{0xA0:032x}"
HOST = Ref(Kind.HOST, HOST_ID, HOST_ID)
LUN_SIZE = 2 * GIB
IN_GROUP = 6


def ref(kind: Kind, number: int) -> Ref:
    """A fixed identity, the same in every run."""
    return Ref(kind, f"{number:032x}", HOST_ID)


GROUP = ref(Kind.GROUP, 1)
PUBLIC = geometry(LUN_SIZE)


def host() -> Host:
    return Host(ref=HOST, name="localhost", system="Debian GNU/Linux 12", version="0.1.0", process_id=4711)


def settings() -> Settings:
    return Settings(ref=settings_ref(HOST_ID), name="Settings")


def backup() -> Backup:
    return Backup(
        ref=backup_ref(GROUP, 3),
        name="dg1, backup 3",
        group=GROUP,
        group_name="dg1",
        number=3,
        transaction=7,
        time=1.7e9,
        reason="Delete Volume old",
        disks=6,
        volumes=4,
        size=8192,
    )


def schedule() -> Schedule:
    return Schedule(
        ref=ref(Kind.SCHEDULE, 1),
        name="nightly",
        group=GROUP,
        volumes=(ref(Kind.VOLUME, 1),),
        when=Pattern(times=(120, 870), weekdays=(0, 1, 2, 3, 4), days=(0,), last="2099-12-31", zone="Europe/Berlin"),
        keep=3,
        dealt=1.7e9,
        sets=(MadeSet("nightly_20231114_0200", 1.7e9, (ref(Kind.VOLUME, 9),), ("ev_20231114_0200",)),),
        results=(RunResult(1.7e9, 1.7e9, Outcome.FAILED, "ev is not prepared. Prepare it: Snap > Prepare."),),
        next_run=1.71e9,
    )


def enclosures() -> list[Record]:
    return [Enclosure(ref=ref(Kind.ENCLOSURE, n), name=f"lab{n}", vendor="VEA", product="Lab array") for n in range(2)]


def disk(number: int) -> Disk:
    mine = number < IN_GROUP
    return Disk(
        ref=ref(Kind.DISK, number),
        name=f"Harddisk{number}",
        size=LUN_SIZE,
        group=GROUP if mine else None,
        public_offset=PUBLIC.public_offset if mine else 0,
        public_length=PUBLIC.public_length if mine else 0,
        lun=f"/lab/array{number % 2}/lun{number // 2}",
        enclosure=ref(Kind.ENCLOSURE, number % 2),
        present=True,
    )


def volume(number: int, name: str, size: int) -> Volume:
    return Volume(ref=ref(Kind.VOLUME, number), name=name, group=GROUP, size=size, serving=True)


def plex(number: int, owner: int, name: str, **more: object) -> Plex:
    defaults = {"state": PlexState.ACTIVE, **more}
    return Plex(ref=ref(Kind.PLEX, number), name=name, volume=ref(Kind.VOLUME, owner), **defaults)


def subdisk(number: int, owner: int, on: int, length: int, column: int = 0, skip: int = 0) -> Subdisk:
    return Subdisk(
        ref=ref(Kind.SUBDISK, number),
        name=f"Harddisk{on}-{number:02}",
        plex=ref(Kind.PLEX, owner),
        disk=ref(Kind.DISK, on),
        disk_offset=PUBLIC.public_offset + skip,
        plex_offset=0,
        length=length,
        column=column,
    )


def records() -> list[Record]:
    """Everything: `ev` mirrored on Harddisk0 and 1 with a client, `st` striped over Harddisk2 and 3."""
    size = 512 * MIB
    return [
        host(),
        settings(),
        backup(),
        *enclosures(),
        Group(ref=GROUP, name="dg1"),
        schedule(),
        *(disk(number) for number in range(12)),
        volume(1, "ev", size),
        plex(1, 1, "ev-01"),
        subdisk(1, 1, 0, size),
        plex(2, 1, "ev-02"),
        subdisk(2, 2, 1, size),
        volume(2, "st", size),
        plex(3, 2, "st-01", layout=PlexLayout.STRIPE, columns=2, stripe_unit=64 * KIB),
        subdisk(3, 3, 2, size // 2, column=0),
        subdisk(4, 3, 3, size // 2, column=1),
        Connection(ref=ref(Kind.CONNECTION, 1), name="fio (process 812)", volume=ref(Kind.VOLUME, 1), since=1.7e9),
    ]
