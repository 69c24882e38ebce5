"""Requests at the edges: out of range, without a buffer, of no leg, longer than a step, on legs that fail half-way."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from engine.dataplane.call import Call
from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.perform import CHUNK
from engine.dataplane.request import Op, Request
from engine.dataplane.table import Table
from engine.errors import RangeError
from tests.engine.model_volume import DataPlane, data_plane
from tests.engine.rule_scenes_plane import SIZE, A, Ends, stage

PATIENCE_S = 60.0
GLANCE_S = 0.3


def ended(plane: DataPlane, asked: Request, size: int = SIZE, columns: int = 1) -> int:
    """The errno of one request on a volume of its own."""
    pieces = tuple(Piece(n, 0, size // columns, plane.memory[n], 0) for n in range(columns))
    volume = plane.volume(fold([PlexLayout("01", columns, 4096, pieces)], size))
    slot, call = volume.slot("edge"), Call(plane.runtime)
    volume.execute([asked], slot, call)
    try:
        return call.wait(PATIENCE_S)
    finally:
        volume.retire(slot)


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE])
@pytest.mark.parametrize("buffer", [None, memoryview(bytearray(100)), memoryview(bytearray(8192))])
def test_a_buffer_of_another_length_is_refused(op: Op, buffer: memoryview | None) -> None:
    with data_plane(2) as plane:
        assert ended(plane, Request(op, 0, 4096, buffer), columns=2) == errno.EINVAL


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE, Op.ZERO, Op.DISCARD])
@pytest.mark.parametrize(("offset", "length"), [(SIZE, 1), (SIZE - 1, 2), (-1, 1), (0, SIZE + 1)])
def test_what_passes_the_end_is_refused(op: Op, offset: int, length: int) -> None:
    with data_plane(1) as plane:
        buffer = memoryview(bytearray(length)) if op in (Op.READ, Op.WRITE) else None
        assert ended(plane, Request(op, offset, length, buffer)) == errno.EINVAL


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE, Op.ZERO, Op.DISCARD])
def test_where_no_leg_is_there_is_an_error(op: Op) -> None:
    """Of a concatenation whose second disk is away the first part is served, the second is an error."""
    with data_plane(1) as plane:
        table = fold([PlexLayout("01", 1, 0, (Piece(0, 0, SIZE // 2, plane.memory[0], 0),))], SIZE)
        volume = plane.volume(table)
        slot = volume.slot("edge")
        for offset, number in ((0, 0), (SIZE // 2, errno.EIO), (SIZE // 2 - 2048, errno.EIO)):
            buffer = memoryview(bytearray(4096)) if op in (Op.READ, Op.WRITE) else None
            call = Call(plane.runtime)
            volume.execute([Request(op, offset, 4096, buffer)], slot, call)
            assert call.wait(PATIENCE_S) == number
        volume.retire(slot)


@pytest.mark.parametrize("durable", [False, True])
def test_zeros_longer_than_a_step_are_written_step_by_step(durable: bool) -> None:
    with data_plane(1) as plane:
        size = 3 * CHUNK
        plane.memory[0].write(size - 4096, A)
        assert ended(plane, Request(Op.ZERO, 0, size, durable=durable), size) == 0
        found = bytearray(4096)
        plane.memory[0].read_into(size - 4096, memoryview(found))
        assert not any(found)


def test_a_fenced_volume_reads_and_does_nothing_else() -> None:
    with stage(1) as scene:
        scene.volume.write(0, A)
        scene.volume.fence()
        assert scene.volume.read(0, 4096) == A
        for op in (Op.WRITE, Op.ZERO, Op.DISCARD, Op.FLUSH):
            answer = Ends(threading.Event())
            slot = scene.volume.slot("edge")
            buffer = memoryview(bytearray(512)) if op is Op.WRITE else None
            scene.volume.execute([Request(op, 0, 512 if op is not Op.FLUSH else 0, buffer)], slot, answer)
            assert answer.ended.wait(PATIENCE_S)
            assert answer.error == errno.EIO
            scene.volume.retire(slot)
        scene.volume.unfence()
        scene.volume.write(0, A)


@pytest.mark.parametrize("op", [Op.WRITE, Op.ZERO])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_leg_that_fails_half_way_parks_the_request_with_the_place(op: Op, columns: int, tmp_path: Path) -> None:
    """The request is across two columns where there are two."""
    with stage(columns) as scene:
        scene.legs[-1].fails = {"write", "zero"}
        pieces = tuple(Piece(n, 0, SIZE // columns, leg, 0) for n, leg in enumerate(scene.legs))
        scene.volume.swap(fold([PlexLayout("01", columns, 4096, pieces)], SIZE))
        buffer = memoryview(bytearray(8192)) if op is Op.WRITE else None
        answer = Ends(threading.Event())
        slot = scene.volume.slot("edge")
        scene.volume.execute([Request(op, 0, 8192, buffer)], slot, answer)
        assert scene.volume.parked == 1
        (fault,) = scene.plane.faults
        assert (fault.op, fault.offset, fault.length, fault.plex) == (op, 0, 8192, "01")
        assert fault.device is scene.legs[-1]
        scene.legs[-1].fails = set()
        scene.volume.release()
        assert answer.ended.wait(PATIENCE_S)
        assert answer.error == 0
        scene.volume.retire(slot)


@pytest.mark.parametrize(
    "plex",
    [
        PlexLayout("01", 0, 4096, ()),
        PlexLayout("01", 2, 0, ()),
        PlexLayout("01", 2, -1, ()),
        PlexLayout("01", 3, 4096, (), raid5=True),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused(plex: PlexLayout) -> None:
    if plex.raid5:
        with pytest.raises(RangeError):
            fold([plex, plex], SIZE)
    else:
        with pytest.raises(RangeError):
            fold([plex], SIZE)


def test_a_piece_of_a_column_that_is_not_there_is_refused() -> None:
    with data_plane(1) as plane, pytest.raises(RangeError):
        fold([PlexLayout("01", 1, 0, (Piece(1, 0, SIZE, plane.memory[0], 0),))], SIZE)


def test_whoever_waits_too_short_is_told() -> None:
    with data_plane(1) as plane, pytest.raises(TimeoutError):
        Call(plane.runtime).wait(0.01)


def test_a_device_that_leaves_while_it_becomes_suspect_is_none_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every FLUSH would wait for a decision that has been made already."""
    with data_plane(2) as plane:
        out, stays = plane.memory
        plexes = [PlexLayout(device.name, 1, 0, (Piece(0, 0, SIZE, device, 0),)) for device in (out, stays)]
        volume, left = plane.volume(fold(plexes, SIZE)), fold(plexes[1:], SIZE)
        leaving = threading.Thread(target=lambda: volume.swap(left))
        honest = Table.devices

        def devices(table: Table) -> object:
            found = honest(table)
            if table is not left and not leaving.ident:
                leaving.start()
                leaving.join(GLANCE_S)  # the swap goes as far as it can
            return found

        monkeypatch.setattr(Table, "devices", devices)
        volume.suspect(out, errno.EIO)
        leaving.join(PATIENCE_S)
        assert volume.table is left
        assert not volume.in_doubt
        volume.flush()
