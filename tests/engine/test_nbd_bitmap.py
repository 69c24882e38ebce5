"""What has changed since a snapshot was taken, told to standard clients; and clients that mean no good."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from engine import commands as c
from engine.dataplane.request import Op, Request
from engine.export.constants import MAXIMUM_EXTENTS
from engine.export.source import ExportFacts
from engine.units import GIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.nbd_peer import (
    NAME,
    Client,
    MappedVolume,
    OpenedVolume,
    Served,
    assert_serves,
    meta,
    run,
    serving,
)
from tests.engine.test_engine_snapshots import pass_by, prepared, snap

lab = lab_fixture(frail=True)
CELL = 4096
CONTEXT = b"qemu:dirty-bitmap:fastresync"
STATUS = 7
REQ_ONE = 8

needs_nbdinfo = pytest.mark.skipif(shutil.which("nbdinfo") is None, reason="nbdinfo is not installed")
needs_nbdcopy = pytest.mark.skipif(shutil.which("nbdcopy") is None, reason="nbdcopy is not installed")
needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


def socket_of(lab: EngineLab) -> Path:
    assert lab.opened is not None
    return lab.opened.nbd


def uri(lab: EngineLab, name: str) -> str:
    return f"nbd+unix:///dg/{name}?socket={socket_of(lab)}"


def dirty(lab: EngineLab, name: str) -> list[tuple[int, int]]:
    """What nbdinfo calls changed."""
    told = json.loads(run("nbdinfo", "--json", f"--map={CONTEXT.decode()}", uri(lab, name)).stdout)
    assert sum(one["length"] for one in told) == lab.volume(name).size
    assert {one["description"] for one in told} <= {"clean", "dirty"}
    return [(one["offset"], one["length"]) for one in told if one["type"] == 1]


def change(lab: EngineLab) -> list[tuple[int, int]]:
    """Cells of both sides, one of them on either."""
    for offset, name in ((MIB, "v"), (3 * MIB + CELL, "v"), (MIB, "SnapVolume01"), (7 * MIB, "SnapVolume01")):
        assert lab.write(b"\x66" * CELL, offset, name) == 0
    return [(MIB, CELL), (3 * MIB + CELL, CELL), (7 * MIB, CELL)]


@needs_nbdinfo
def test_both_sides_tell_what_either_has_changed(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    assert dirty(lab, "v") == dirty(lab, "SnapVolume01") == []
    expected = change(lab)
    assert dirty(lab, "v") == dirty(lab, "SnapVolume01") == expected
    (told,) = json.loads(run("nbdinfo", "--json", uri(lab, "SnapVolume01")).stdout)["exports"]
    assert told["contexts"] == ["base:allocation", CONTEXT.decode()]
    pass_by(lab, "kill")
    assert dirty(lab, "SnapVolume01") == [(MIB, MIB), (3 * MIB, MIB), (7 * MIB, MIB)]


@needs_nbdinfo
def test_a_volume_without_snapshots_has_no_such_map(lab: EngineLab) -> None:
    lab.make_volume()
    (told,) = json.loads(run("nbdinfo", "--json", uri(lab, "v")).stdout)["exports"]
    assert told["contexts"] == ["base:allocation"]
    done = run("nbdinfo", f"--map={CONTEXT.decode()}", uri(lab, "v"), check=False)
    assert done.returncode != 0


@needs_nbdinfo
@needs_nbdcopy
def test_a_backup_copies_only_what_has_changed(lab: EngineLab, tmp_path: Path) -> None:
    prepared(lab)
    snap(lab)
    kept, now = tmp_path / "backup", tmp_path / "now"
    run("nbdcopy", uri(lab, "SnapVolume01"), str(kept))
    assert lab.write(b"later" * 3000, 5 * MIB - 7000) == 0
    assert lab._io("v", Request(Op.DISCARD, 8 * MIB, 3 * CELL, may_unmap=True)) == 0
    run("nbdcopy", uri(lab, "v"), str(now))
    copied = 0
    with kept.open("r+b") as file:
        for offset, length in dirty(lab, "v"):
            file.seek(offset)
            file.write(lab.read(offset, length))
            copied += length
    assert kept.read_bytes() == now.read_bytes()
    assert copied < MIB


@needs_qemu
def test_qemu_takes_the_map_for_one_of_its_own(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    expected = change(lab)
    words = f"driver=nbd,server.type=unix,server.path={socket_of(lab)},export=dg/SnapVolume01"
    done = run("qemu-img", "map", "--output=json", "--image-opts", f"{words},x-dirty-bitmap={CONTEXT.decode()}")
    told = json.loads(done.stdout)  # where its bitmap is dirty it says that there is no data
    assert [(one["start"], one["length"]) for one in told if not one["data"]] == expected


class Talker:
    """A client that understands an answer of several chunks."""

    def __init__(self, client: Client, name: str, *contexts: bytes) -> None:
        self.client = client
        client.greet()
        client.option(8)
        client.answers(8)
        client.option(10, meta(name, *contexts))
        self.chosen = [body for kind, body in client.answers(10) if kind == 4]
        encoded = name.encode()
        client.option(7, struct.pack(">I", len(encoded)) + encoded + struct.pack(">H", 0))
        assert client.answers(7)[-1][0] == 1
        client.structured = True

    def status(self, offset: int, length: int, flags: int = 0) -> dict[int, list[tuple[int, int]]]:
        """(length, state) of each run, by the number of the context; none when it was refused."""
        self.client.ask(STATUS, 5, offset, length, flags=flags)
        found: dict[int, list[tuple[int, int]]] = {}
        while True:
            magic, done, kind, cookie, size = struct.unpack(">IHHQI", self.client.take(20))
            body = self.client.take(size)
            assert (magic, cookie) == (0x668E33EF, 5)
            if kind == 5:
                words = struct.unpack(f">{size // 4}I", body)
                assert words[0] not in found
                found[words[0]] = list(zip(words[1::2], words[2::2], strict=True))
            if done:
                return found


def test_a_link_that_ends_under_a_client_leaves_everything_changed(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    size = lab.volume().size
    with Client(socket_of(lab)) as client:
        talker = Talker(client, "dg/v", CONTEXT)
        assert talker.chosen == [b"\0\0\0\2" + CONTEXT]
        assert talker.status(0, size) == {2: [(size, 0)]}
        assert lab.write(b"x", 2 * MIB) == 0
        assert talker.status(MIB, 2 * MIB) == {2: [(MIB, 0), (CELL, 1), (MIB - CELL, 0)]}
        assert talker.status(2 * MIB + 10, 20) == {2: [(20, 1)]}
        lab.do(c.ClearSnapshots(volumes=(lab.volume().ref,)))
        assert talker.status(0, size) == {2: [(size, 1)]}


class Telling(OpenedVolume):
    """Every second block has changed."""

    def changes(self, offset: int, length: int) -> Iterable[tuple[int, bool]]:
        return ((512, bool(number % 2)) for number in range(-(-length // 512)))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    volume = MappedVolume(8 * GIB)
    with serving(tmp_path, volume) as served:
        shelf = served.shelf
        real = shelf.open

        def describe(name: str) -> ExportFacts | None:
            return ExportFacts(volume.size, tells_changes=True) if name in shelf.volumes else None

        def open_(name: str, client: object) -> Telling | None:
            found = real(name, client)  # type: ignore[arg-type]
            return None if found is None else Telling(found.source, False, found.close)

        shelf.describe, shelf.open = describe, open_  # type: ignore[method-assign, assignment]
        yield served


@pytest.mark.parametrize(
    ("number", "queries", "expected"),
    [
        (9, (), [b"base:allocation", CONTEXT]),
        (9, (b"qemu:",), [CONTEXT]),
        (9, (b"qemu:dirty-bitmap:",), [CONTEXT]),
        (9, (CONTEXT, CONTEXT, b"base:"), [b"base:allocation", CONTEXT]),
        (9, (b"qemu:dirty-bitmap:other",), []),
        (10, (), []),
        (10, (b"qemu:",), []),
        (10, (CONTEXT, b"base:allocation", CONTEXT), [b"base:allocation", CONTEXT]),
        (10, (CONTEXT + b"2", b"qemu:allocation-depth"), []),
    ],
)
def test_which_contexts_are_answered(
    served: Served, number: int, queries: tuple[bytes, ...], expected: list[bytes]
) -> None:
    with Client(served.path) as client:
        client.greet()
        client.option(8)
        client.answers(8)
        client.option(number, meta(NAME, *queries))
        assert [body[4:] for kind, body in client.answers(number) if kind == 4] == expected


def test_both_contexts_are_told_however_much_is_asked(served: Served) -> None:
    with Client(served.path) as client:
        talker = Talker(client, NAME, b"base:allocation", CONTEXT, *[b"x" * 4000] * 10)
        size = served.volume.size
        for offset in (0, 1, size - 2**32 + 1, size - 512):
            for length in (1, 512, 700, 2**31, 2**32 - 1):
                for flags in (0, REQ_ONE):
                    found = talker.status(offset, length, flags)
                    if offset + length > size:
                        assert found == {}
                        continue
                    assert sorted(found) == [1, 2]
                    runs = found[2]
                    assert len(runs) == (1 if flags else min(-(-length // 512), MAXIMUM_EXTENTS))
                    assert sum(one for one, _ in runs) <= length
                    assert all(state == at % 2 for at, (_, state) in enumerate(runs))
        for cookie in range(60):  # more than one batch of answers
            client.ask(STATUS, cookie, 0, 2**32 - 1)
        client.link.close()
    assert_serves(served)
