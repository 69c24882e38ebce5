"""Scenes on a whole engine, each about one rule: an AssertionError when the rule doesn't hold. Each ends either way."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.devices.file import FileDevice
from engine.records import AnyRecord, Disk, Kind, Plex, PlexState, Ref, Task
from engine.states import COMPLETE
from engine.store.scan import scan
from engine.units import MIB
from tests.engine.engine_lab import EngineLab

PATIENCE_S = 60.0


@contextmanager
def stage(folder: Path, disks: int = 4) -> Iterator[EngineLab]:
    lab = EngineLab(folder).start(frail=True)
    try:
        lab.make_group(disks)
        yield lab
    finally:
        if lab.opened is not None:
            with suppress(AssertionError):
                lab.stop()


def disk_of(lab: EngineLab, number: int) -> Ref:
    return lab.config.subdisks_of(lab.plexes()[number].ref)[0].disk


def on_disk(lab: EngineLab) -> dict[Ref, AnyRecord]:
    """The group as its LUNs tell it at this moment: what a crash would leave."""
    paths = [disk.lun for disk in lab.config.all(Kind.DISK, Disk)]
    devices = {path: FileDevice(path, writable=False) for path in paths}
    try:
        found = scan(devices).groups[lab.group().ref.id]
        return {record.ref: record for record in found.records(lab.engine.state.host_id)}
    finally:
        for device in devices.values():
            device.close()


def plex_on_disk(lab: EngineLab, plex: Ref) -> Plex:
    record = on_disk(lab)[plex]
    assert isinstance(record, Plex)
    return record


def a_write_that_failed_on_a_leg_is_acknowledged_after_the_record(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        assert lab.write(b"0" * 4096) == 0
        failing = lab.plexes()[0].ref
        lab.lun(disk_of(lab, 0)).fail("write", persistent=True)
        assert lab.write(b"1" * 4096) == 0
        assert plex_on_disk(lab, failing).state not in COMPLETE, (
            "a crash now would believe the plex that missed a write"
        )


def the_last_complete_plex_is_never_left_out(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        assert lab.write(b"0" * 4096) == 0
        for number in range(2):
            lab.lun(disk_of(lab, number)).fail("write", persistent=True)
        assert lab.write(b"1" * 4096) == errno.EIO
        assert any(plex.complete for plex in lab.plexes())
        assert lab.read(0, 512) in (b"0" * 512, b"1" * 512)


def no_space_is_no_disk_fault(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        assert lab.write(b"0" * 4096) == 0
        lab.lun(disk_of(lab, 1)).fail("write", number=errno.ENOSPC, persistent=True)
        assert lab.write(b"1" * 4096) == errno.ENOSPC
        named = lab.engine.committer.wait_until(lambda config: lab.volume().source is not None, PATIENCE_S)
        assert named, "the mirrors differ and nobody knows"
        assert lab.write(b"2" * 4096) == errno.ENOSPC, "the plex that is not believed meanwhile is no broken one either"
        assert not lab.config.disk(disk_of(lab, 1)).failing
        assert all(plex.complete for plex in lab.plexes())


def the_record_says_active_before_the_first_byte_is_written(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        plex = lab.plexes()[0].ref
        assert plex_on_disk(lab, plex).state is PlexState.CLEAN
        lun = lab.lun(disk_of(lab, 0))
        lun.barrier = threading.Event()
        writing = threading.Thread(target=lab.write, args=(b"1" * 4096,))
        writing.start()
        try:
            assert lun.stalled.wait(PATIENCE_S)
            assert plex_on_disk(lab, plex).state is PlexState.ACTIVE, "a crash now would believe both plexes"
        finally:
            lun.barrier.set()
            writing.join(PATIENCE_S)


def after_an_unclean_stop_one_plex_is_believed_and_the_others_made_equal(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(mirrors=2)
        assert lab.write(b"1" * 4096) == 0
        subdisk = lab.config.subdisks_of(lab.plexes()[1].ref)[0]
        path = lab.path_of(subdisk.disk)
        lab.kill()
        with path.open("r+b") as file:  # a write that had reached one leg only
            file.seek(subdisk.disk_offset)
            file.write(b"2" * 4096)
        lab.start(frail=True)
        ended = lab.engine.committer.wait_until(lambda _: all(t.ended for t in lab.config.all(Kind.TASK, Task)), 60)
        assert ended
        assert lab.equal()


def a_volume_without_a_plex_that_can_be_trusted_takes_no_writes(folder: Path) -> None:
    with stage(folder) as lab:
        lab.make_volume(size=8 * MIB)
        assert lab.write(b"1" * 4096) == 0
        lab.lun(disk_of(lab, 0)).fail("flush")
        assert lab.flush() != 0
        assert lab.write(b"2" * 4096) == errno.EIO
        lab.restart()
        assert lab.write(b"2" * 4096) == errno.EIO, "doubtful data is not believed because the engine began anew"


def a_new_volume_shows_nothing_of_what_was_there(folder: Path) -> None:
    with stage(folder, 2) as lab:
        for disk in lab.config.disks_of(lab.group().ref):
            with lab.path_of(disk.ref).open("r+b") as file:
                file.seek(disk.public_offset)
                file.write(b"secret" * (16 * MIB // 6))
        lab.make_volume(size=8 * MIB)
        assert lab.read(0, 8 * MIB) == bytes(8 * MIB)
