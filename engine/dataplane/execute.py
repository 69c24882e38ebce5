"""Runs requests on a table. Knows volumes and legs, no sockets: every export and every test drives this path."""

from __future__ import annotations

import errno
from bisect import bisect_right
from typing import TYPE_CHECKING

from engine.dataplane.fault import LEG_ERRORS, errno_of
from engine.dataplane.perform import DONE, WAITS, Verdict, leg_fault, perform
from engine.dataplane.request import Op, finish_all
from engine.dataplane.table import REGION, REGION_SHIFT
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.dataplane.gate import Slot
    from engine.dataplane.request import Request, Sink
    from engine.dataplane.table import Port, Table
    from engine.dataplane.volume_io import VolumeIo

_READ = Op.READ
_INSIDE = REGION - 1


def execute(volume: VolumeIo, batch: Sequence[Request], slot: Slot, sink: Sink) -> None:
    """Run a batch on the calling thread. What would wait is handed on and ends in `sink` later, on another thread.

    `slot` is the calling thread's own. Nothing is raised for a request that fails: its `finish` gets the errno.
    """
    started = volume.pulse.asked_at = volume.now()
    gate = volume.gate
    try:
        table = gate.enter(slot)
    except DeviceError:
        for request in batch:
            sink.finish(request, errno.ESHUTDOWN)
        return
    try:
        late = _run(volume, table, batch, slot)
    except Exception:  # a defect in here must not take the connection's thread along
        late = dict.fromkeys(map(id, batch), volume.defect(None))
    finally:
        gate.leave(slot)
    slot.busy_s += (volume.now() - started) * (len(batch) - len(late))
    if not late:
        finish_all(sink, batch, DONE)
        return
    cold = []
    for request in batch:
        verdict = late.get(id(request), DONE)
        request.started_s = started
        if verdict == DONE:
            sink.finish(request, DONE)
        elif verdict == WAITS and request.op is _READ:
            cold.append(request)
        else:
            volume.settle(request, sink, verdict, table)
    if cold:
        volume.hand_reads_to_pool(cold, sink)


def _run(volume: VolumeIo, table: Table, batch: Sequence[Request], slot: Slot) -> dict[int, Verdict]:
    """Everything that can be done at once; returns the verdicts of the rest by the requests' identity."""
    late: dict[int, Verdict] = {}
    starts, segments = table.starts, table.segments
    reads = read = 0
    for request in batch:
        if request.op is _READ and request.offset >= 0 < request.length:
            offset, length = request.offset, request.length
            segment = segments[bisect_right(starts, offset) - 1]
            ports = segment.ports
            if ports and offset + length <= segment.end and (len(ports) == 1 or (offset & _INSIDE) + length <= REGION):
                port = ports[(offset >> REGION_SHIFT) % len(ports)]
                try:
                    if port[0](offset + port[1], request.buffer):  # type: ignore[arg-type]
                        reads += 1
                        read += length
                    else:
                        late[id(request)] = WAITS
                except LEG_ERRORS as error:
                    late[id(request)] = _port_fault(volume, request, port, error)
                continue
        verdict = perform(volume, table, request, may_wait=False)
        if verdict == DONE:
            slot.count(request)
        else:
            late[id(request)] = verdict
    slot.reads += reads
    slot.bytes_read += read
    return late


def _port_fault(volume: VolumeIo, request: Request, port: Port, error: Exception) -> Verdict:
    reader = port[2]
    return leg_fault(volume, request, reader, next(reader.devices()), errno_of(error))
