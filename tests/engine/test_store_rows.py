"""Records become rows without what is true on one host only, and come back."""

from __future__ import annotations

import msgspec
import pytest

from engine.errors import MetadataError
from engine.records import (
    DERIVED_FIELDS,
    HOST_FIELDS,
    PERSISTED_KINDS,
    RECORD_TYPES,
    Disk,
    DiskStatus,
    DiskUsage,
    Group,
    GroupState,
    Kind,
    LeastStamp,
    MadeSet,
    Outcome,
    Pattern,
    Plex,
    PlexLayout,
    PlexState,
    Record,
    Ref,
    RunResult,
    RunWay,
    Schedule,
    ScheduledRun,
    Subdisk,
    Task,
    TaskParams,
    TaskState,
    TaskType,
    Volume,
    VolumeStatus,
)
from engine.store.rows import (
    PERSISTED_FIELDS,
    decode_row,
    encode_row,
    fields_of,
    modernise,
    pack_ref,
    persistent,
    unpack_ref,
)
from tests.engine.store_lab import HOST, OTHER_HOST


def ref(kind: Kind, number: int) -> Ref:
    return Ref(kind, f"{number:032x}", HOST)


EXAMPLES: tuple[Record, ...] = (
    Group(ref=ref(Kind.GROUP, 1), name="dg1", transaction=9, state=GroupState.FOREIGN, owner="x", frozen="y", size=4),
    Disk(
        ref=ref(Kind.DISK, 2),
        name="Harddisk0",
        size=1 << 40,
        group=ref(Kind.GROUP, 1),
        usage=DiskUsage.SPARE,
        public_offset=5 << 20,
        public_length=(1 << 40) - (5 << 20),
        least_stamp=LeastStamp("ab" * 16, 7),
        lun="/dev/sdx",
        enclosure=ref(Kind.ENCLOSURE, 3),
        present=True,
        failing=True,
        status=DiskStatus.FAILING,
        free=17,
    ),
    Volume(
        ref=ref(Kind.VOLUME, 4),
        name="Bände 1",
        group=ref(Kind.GROUP, 1),
        size=3 << 30,
        started=False,
        preferred=ref(Kind.PLEX, 5),
        source=ref(Kind.PLEX, 5),
        fenced="because",
        serving=True,
        status=VolumeStatus.FAILED,
        copies=2,
    ),
    Plex(
        ref=ref(Kind.PLEX, 5),
        name="Volume1-01",
        volume=ref(Kind.VOLUME, 4),
        layout=PlexLayout.STRIPE,
        columns=3,
        stripe_unit=65536,
        state=PlexState.IOFAIL,
        complete=True,
        length=7,
    ),
    Subdisk(
        ref=ref(Kind.SUBDISK, 6),
        name="Harddisk0-01",
        plex=ref(Kind.PLEX, 5),
        disk=ref(Kind.DISK, 2),
        disk_offset=5 << 20,
        plex_offset=0,
        length=1 << 20,
        column=2,
        replaces=ref(Kind.SUBDISK, 7),
    ),
    Schedule(
        ref=ref(Kind.SCHEDULE, 9),
        name="nightly",
        group=ref(Kind.GROUP, 1),
        volumes=(ref(Kind.VOLUME, 4),),
        when=Pattern(times=(0, 1439), weekdays=(6,), days=(0, 31), first="2026-11-23", zone="Europe/Berlin"),
        keep=7,
        way=RunWay.NEW,
        prepares=True,
        dealt=1.5,
        run=ScheduledRun(2.5, 2.6, "nightly_20261123_0200", (ref(Kind.VOLUME, 4),), ("ev_20261123_0200",)),
        sets=(MadeSet("nightly_20261122_0200", 1.4, (ref(Kind.VOLUME, 5),), ("ev_20261122_0200",)),),
        results=(RunResult(1.5, 1.6, Outcome.FAILED, "v is not prepared."),),
        next_run=4.5,
    ),
    Task(
        ref=Ref(Kind.TASK, "4711", HOST),
        name="Move Harddisk0-01",
        type=TaskType.MOVE_SUBDISK,
        object=ref(Kind.SUBDISK, 6),
        group=ref(Kind.GROUP, 1),
        params=TaskParams(volume=ref(Kind.VOLUME, 4), subdisks=(ref(Kind.SUBDISK, 6), ref(Kind.SUBDISK, 8)), size=5),
        checkpoint=77,
        bytes_total=78,
        paused=True,
        started_at=1.5,
        undo="{}",
        state=TaskState.RUNNING,
        eta_low_s=3.0,
        result="x",
    ),
)


def bare(record: Record) -> Record:
    """The record as a disk may know it: fields of host and derivation at their defaults."""
    kind = record.ref.kind
    names = (*HOST_FIELDS.get(kind, ()), *DERIVED_FIELDS.get(kind, ()))
    if kind is Kind.GROUP:
        names = (*names, "transaction", "state")
    defaults = {field.name: field.default for field in msgspec.structs.fields(type(record)) if field.name in names}
    return msgspec.structs.replace(record, **defaults)


def test_there_is_an_example_of_every_persisted_kind() -> None:
    assert {record.ref.kind for record in EXAMPLES} == PERSISTED_KINDS
    for kind in PERSISTED_KINDS:
        kept = set(PERSISTED_FIELDS[kind]) | {"ref", "transaction", "state"}
        lost = {*HOST_FIELDS.get(kind, ()), *DERIVED_FIELDS.get(kind, ())}
        assert set(RECORD_TYPES[kind].__struct_fields__) - kept <= lost


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: record.ref.kind)
def test_a_record_comes_back_without_what_only_a_host_knows(record: Record) -> None:
    key, row = pack_ref(record.ref), encode_row(record)
    assert HOST.encode() not in row
    assert bytes.fromhex(HOST) not in row
    assert decode_row(key, row, fields_of([key]), HOST) == bare(record)
    assert encode_row(bare(record)) == row


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: record.ref.kind)
def test_the_host_that_reads_is_the_one_that_tells(record: Record) -> None:
    key = pack_ref(record.ref)
    read = decode_row(key, encode_row(record), fields_of([key]), OTHER_HOST)
    assert HOST.encode() not in msgspec.json.encode(read)
    assert read.ref == msgspec.structs.replace(record.ref, host=OTHER_HOST)


def test_an_ended_task_is_not_kept() -> None:
    task = EXAMPLES[-1]
    assert persistent(task) is not None
    for state in (TaskState.COMPLETED, TaskState.FAILED, TaskState.ABORTED):
        assert persistent(msgspec.structs.replace(task, state=state)) is None


@pytest.mark.parametrize("text", ["7", "A" * 32, "zz" * 16, "f0" * 15 + "f ", "ÿ"])
def test_ids_that_are_no_numbers_of_16_bytes_survive(text: str) -> None:
    assert unpack_ref(pack_ref(Ref(Kind.TASK, text))) == Ref(Kind.TASK, text)


def test_rows_of_an_older_program_get_defaults() -> None:
    record = EXAMPLES[4]
    names = PERSISTED_FIELDS[Kind.SUBDISK]
    older = {"subdisk": tuple(name for name in names if name not in ("column", "replaces"))}
    row = msgspec.msgpack.encode(
        [
            value
            for name, value in zip(names, msgspec.msgpack.decode(encode_row(record)), strict=True)
            if name in older["subdisk"]
        ]
    )
    key = pack_ref(record.ref)
    read = decode_row(key, row, older, HOST)
    assert read == msgspec.structs.replace(record, column=0, replaces=None)
    assert modernise({key: row}, older) == {key: encode_row(read)}


def test_rows_of_a_newer_program_are_refused() -> None:
    record = EXAMPLES[3]
    key = pack_ref(record.ref)
    newer = {"plex": (*PERSISTED_FIELDS[Kind.PLEX], "colour")}
    row = msgspec.msgpack.encode([*msgspec.msgpack.decode(encode_row(record)), "red"])
    with pytest.raises(MetadataError, match="colour"):
        decode_row(key, row, newer)


def test_nonsense_in_a_row_is_a_metadata_error(seed: int) -> None:
    import random

    chance = random.Random(seed)
    for record in EXAMPLES:
        key, row = pack_ref(record.ref), bytearray(encode_row(record))
        for _ in range(400):
            broken = bytearray(row)
            broken[chance.randrange(len(broken))] = chance.randrange(256)
            broken = broken[: chance.randint(1, len(broken))]
            try:
                decode_row(key, bytes(broken), fields_of([key]))
            except MetadataError:
                continue
    for key in (b"", b"\x00", b"\x7f" + bytes(16), b"\x86\xff\xfe"):
        with pytest.raises(MetadataError):
            decode_row(key, encode_row(EXAMPLES[0]), {"group": PERSISTED_FIELDS[Kind.GROUP]})
