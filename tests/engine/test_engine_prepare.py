"""Snap plexes under a whole engine: filled and kept in step, never counted on, and gone when they are aborted."""

from __future__ import annotations

import pytest

from engine import commands as c
from engine.errors import CommandRejected
from engine.records import PlexState, Ref, VolumeLayout, VolumeStatus
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture(frail=True)


def prepare(lab: EngineLab, name: str = "v", **choices: object) -> Ref:
    """The snap plex that a volume has from now on."""
    before = {plex.ref for plex in lab.plexes(name)}
    lab.do(c.PrepareSnapshot(volume=lab.volume(name).ref, **choices))  # type: ignore[arg-type]
    (made,) = [plex.ref for plex in lab.plexes(name) if plex.ref not in before]
    return made


def why_not(lab: EngineLab, command: c.Command) -> str:
    with pytest.raises(CommandRejected) as refused:
        lab.engine.submit(command)
    return refused.value.problems[0].text


def test_a_snap_plex_is_filled_kept_in_step_and_no_copy_to_count_on(lab: EngineLab) -> None:
    lab.make_volume()
    assert lab.write(b"before" * 1000, 5 * MIB) == 0
    snap = prepare(lab)
    assert lab.write(b"after" * 1000, 9 * MIB) == 0
    volume = lab.volume()
    assert lab.equal()
    assert (volume.copies, volume.layout, volume.status) == (1, VolumeLayout.CONCAT, VolumeStatus.HEALTHY)
    assert volume.dirty_log is not None
    own = {sd.disk for sd in lab.config.subdisks_of(snap)}
    (first,) = [plex for plex in lab.plexes() if plex.ref != snap]
    assert not own & {sd.disk for sd in lab.config.subdisks_of(first.ref)}


def test_a_snap_plex_stays_one_over_a_crash(lab: EngineLab) -> None:
    lab.make_volume()
    snap = prepare(lab)
    assert lab.write(b"x" * 4096, MIB) == 0
    lab.kill()
    lab.start(frail=True)
    plex = lab.config.plex(snap)
    assert plex.snap is not None
    assert not plex.snap.converted
    assert lab.volume().copies == 1


def test_while_the_mirror_is_out_the_snap_plex_serves_and_is_not_given_up(lab: EngineLab) -> None:
    lab.make_volume()
    snap = prepare(lab)
    (first,) = [plex for plex in lab.plexes() if plex.ref != snap]
    lab.lun(lab.config.subdisks_of(first.ref)[0].disk).fail("write", "durable", persistent=True)
    assert lab.write(b"y" * 4096, 2 * MIB) == 0
    assert lab.config.plex(first.ref).state is PlexState.IOFAIL
    assert lab.read(2 * MIB, 4096) == b"y" * 4096
    assert lab.volume().serving
    assert "is the last complete mirror of v" in why_not(lab, c.AbortSnapshot(plexes=(snap,)))


def test_abort_frees_what_was_made_and_gives_back_what_was_a_mirror(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    one, two = lab.plexes()
    lab.do(c.PrepareSnapshot(volume=lab.volume().ref, plex=two.ref))
    assert lab.volume().copies == 1
    snap = prepare(lab)
    task = lab.do(c.AbortSnapshot(plexes=(snap, two.ref)))
    assert [plex.ref for plex in lab.plexes()] == [one.ref, two.ref]
    assert lab.volume().copies == 2
    assert not task.undo


@pytest.mark.parametrize("converted", [False, True])
def test_prepare_and_abort_take_each_other_back(lab: EngineLab, converted: bool) -> None:
    lab.make_volume(mirrors=2)
    two = lab.plexes()[1].ref
    done = lab.do(c.PrepareSnapshot(volume=lab.volume().ref, plex=two if converted else None))
    back = lab.do(c.decode(done.undo))
    assert [plex.snap for plex in lab.plexes()] == [None, None]
    lab.do(c.decode(back.undo))
    assert sum(plex.snap is not None for plex in lab.plexes()) == 1


def test_what_is_not_for_snap_plexes_is_refused(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    one, two = lab.plexes()
    volume = lab.volume().ref
    assert why_not(lab, c.AbortSnapshot(plexes=(two.ref,))) == "v-02 is no snap plex."
    lab.do(c.PrepareSnapshot(volume=volume, plex=two.ref))
    assert why_not(lab, c.PrepareSnapshot(volume=volume, plex=two.ref)) == "v-02 is a snap plex."
    assert "no complete mirror beside v-01" in why_not(lab, c.PrepareSnapshot(volume=volume, plex=one.ref))
    for command in (
        c.RemoveMirrors(plexes=(two.ref,)),
        c.BreakMirror(plex=two.ref),
        c.DetachPlex(plex=two.ref),
        c.SetVolumeUsage(volume=volume, preferred=two.ref),
    ):
        assert why_not(lab, command) == "v-02 is a snap plex."
    for leaving in (c.RemoveMirrors(plexes=(one.ref,)), c.DetachPlex(plex=one.ref), c.BreakMirror(plex=one.ref)):
        assert "is the last complete mirror of v" in why_not(lab, leaving)


def test_a_new_mirror_beside_a_snap_plex_is_none(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB)
    prepare(lab)
    lab.do(c.AddMirrors(volume=lab.volume().ref))
    assert sum(plex.snap is not None for plex in lab.plexes()) == 1
    assert lab.volume().copies == 2


def test_raid5_has_no_snapshots(lab: EngineLab) -> None:
    lab.make_volume("r", raid5=True, log=c.LogType.NONE)
    said = why_not(lab, c.PrepareSnapshot(volume=lab.volume("r").ref))
    assert said == "r is a RAID-5 volume, which can't have snapshots."
