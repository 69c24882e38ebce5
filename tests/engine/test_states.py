"""Tables of states, gone through in full, each against the rule told in another way."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from engine.commands import CreateVolume, ResyncVolume
from engine.config import Config, Edit
from engine.errors import TransitionError
from engine.records import (
    TASK_ENDED,
    Disk,
    DiskStatus,
    Group,
    GroupState,
    Kind,
    Plex,
    PlexLayout,
    PlexState,
    Ref,
    Subdisk,
    TaskState,
    Volume,
    VolumeLayout,
    VolumeStatus,
)
from engine.states import COMPLETE, PLEX_MAY_BECOME, plex_length, volume_layout
from engine.units import MIB
from tests.engine.builders import Site

GROUP, VOLUME = Ref(Kind.GROUP, "1" * 32), Ref(Kind.VOLUME, "2" * 32)
DISKS = [Ref(Kind.DISK, f"{number:032x}") for number in range(2)]
PLEXES = [Ref(Kind.PLEX, f"{number:032x}") for number in range(2)]
S = PlexState


def volume_with(
    group: GroupState,
    size: int,
    fenced: str,
    started: bool,
    source: Ref | None,
    sides: tuple[tuple[PlexState, bool, bool], ...],
) -> Volume:
    """A volume with one plex a side, each on a disk of its own: (plex state, disk present, disk failing)."""
    records: list[Group | Volume | Disk | Plex | Subdisk] = [
        Group(ref=GROUP, name="dg1", state=group),
        Volume(ref=VOLUME, name="v", group=GROUP, size=size, fenced=fenced, started=started, source=source),
    ]
    for number, (state, present, failing) in enumerate(sides):
        disk, plex = DISKS[number], PLEXES[number]
        records += [
            Disk(ref=disk, name=f"d{number}", size=99, group=GROUP, public_length=99, present=present, failing=failing),
            Plex(ref=plex, name=f"v-0{number}", volume=VOLUME, state=state),
            Subdisk(
                ref=Ref(Kind.SUBDISK, f"{number:032x}"),
                name="s",
                plex=plex,
                disk=disk,
                disk_offset=0,
                plex_offset=0,
                length=10,
            ),
        ]
    return Config.of(records).volume(VOLUME)


def expected_status(
    group: GroupState,
    size: int,
    fenced: str,
    started: bool,
    source: Ref | None,
    sides: tuple[tuple[PlexState, bool, bool], ...],
) -> VolumeStatus:
    """The rule as a decision, from what is worst for the operator."""
    good = [present and state in (S.CLEAN, S.ACTIVE) for state, present, _ in sides]
    if group is not GroupState.IMPORTED:
        return VolumeStatus.STOPPED
    if not size:
        return VolumeStatus.INITIALIZING
    if not any(present for _, present, _ in sides):
        return VolumeStatus.MISSING
    if not any(good) or fenced:
        return VolumeStatus.FAILED
    if not started:
        return VolumeStatus.STOPPED
    if any(state is S.FILLING for state, _, _ in sides):
        return VolumeStatus.RESYNCHING
    lost = bool(source)
    for whole, (state, _, _) in zip(good, sides, strict=True):
        lost = lost or (not whole and state is not S.EMPTY)
    if lost and any(whole and failing for whole, (_, _, failing) in zip(good, sides, strict=True)):
        return VolumeStatus.FAILED_REDUNDANCY_AT_RISK
    if lost:
        return VolumeStatus.FAILED_REDUNDANCY
    return VolumeStatus.AT_RISK if any(failing for _, _, failing in sides) else VolumeStatus.HEALTHY


SIDE = tuple(itertools.product(PlexState, (True, False), (True, False)))


@pytest.mark.parametrize("group", GroupState)
@pytest.mark.parametrize("size", [0, 10])
def test_every_combination_has_the_status_that_the_operator_expects(group: GroupState, size: int) -> None:
    for fenced, started, source in itertools.product(("", "a flush failed"), (True, False), (None, PLEXES[0])):
        for sides in itertools.chain(((side,) for side in SIDE), itertools.combinations_with_replacement(SIDE, 2)):
            given = (group, size, fenced, started, source, sides)
            volume = volume_with(*given)
            assert volume.status is expected_status(*given), given
            assert volume.copies == sum(state in COMPLETE and present for state, present, _ in sides)


def test_mirrors_in_doubt_are_resynching_only_while_a_task_makes_them_equal() -> None:
    site = Site(2)
    site.do(CreateVolume(group=site.group(), size=MIB, name="v", mirrors=2))
    volume = site.volume("v")
    plexes = site.config.plexes_of(volume.ref)
    site.edit(msgspec.structs.replace(volume, source=plexes[0].ref))
    assert site.volume("v").status is VolumeStatus.FAILED_REDUNDANCY
    site.submit(ResyncVolume(volume=volume.ref))
    assert site.volume("v").status is VolumeStatus.RESYNCHING
    task = next(task for task in site.config.tasks_of(site.group()) if task.state not in TASK_ENDED)
    site.edit(msgspec.structs.replace(task, state=TaskState.ABORTED))
    assert site.volume("v").status is VolumeStatus.FAILED_REDUNDANCY


DISK_TABLE = {
    # present, group state (None: no group), failing, content -> status
    (True, None, False, ""): DiskStatus.ONLINE,
    (True, None, False, "ext4"): DiskStatus.FOREIGN,
    (True, None, True, ""): DiskStatus.ONLINE,
    (True, None, True, "ext4"): DiskStatus.FOREIGN,
    (True, GroupState.IMPORTED, False, ""): DiskStatus.IMPORTED,
    (True, GroupState.IMPORTED, True, ""): DiskStatus.FAILING,
    (True, GroupState.DEPORTED, False, ""): DiskStatus.DEPORTED,
    (True, GroupState.DEPORTED, True, ""): DiskStatus.DEPORTED,
    (True, GroupState.FOREIGN, False, ""): DiskStatus.FOREIGN,
    (True, GroupState.FOREIGN, True, ""): DiskStatus.FOREIGN,
}


def test_every_disk_has_the_status_of_the_table() -> None:
    cases = itertools.product((True, False), (None, *GroupState), (False, True), ("", "ext4"))
    for present, state, failing, content in cases:
        records: list[Group | Disk] = [Group(ref=GROUP, name="dg1", state=state)] if state else []
        home = GROUP if state else None
        disk = Disk(ref=DISKS[0], name="d", size=9, group=home, present=present, failing=failing, content=content)
        found = Config.of([*records, disk]).disk(DISKS[0]).status
        wanted = DISK_TABLE[True, state, failing, "" if state else content] if present else DiskStatus.MISSING
        assert found is wanted, (present, state, failing, content)


def test_the_layout_of_a_volume_is_told_by_its_plexes() -> None:
    table = {
        (): VolumeLayout.CONCAT,
        ("concat",): VolumeLayout.CONCAT,
        ("stripe",): VolumeLayout.STRIPE,
        ("concat", "concat"): VolumeLayout.MIRROR,
        ("concat", "stripe"): VolumeLayout.MIRROR_STRIPE,
        ("stripe", "concat"): VolumeLayout.MIRROR_STRIPE,
        ("stripe", "stripe"): VolumeLayout.MIRROR_STRIPE,
    }
    for layouts, wanted in table.items():
        plexes = [Plex(ref=PLEXES[0], name="p", volume=VOLUME, layout=PlexLayout(layout)) for layout in layouts]
        assert volume_layout(plexes) is wanted


def test_every_plex_state_can_be_left_towards_completeness_and_none_becomes_itself() -> None:
    assert set(PLEX_MAY_BECOME) == set(PlexState)
    for state, following in PLEX_MAY_BECOME.items():
        assert state not in following
        assert _reachable(state) & COMPLETE


def test_only_filling_and_zeroing_make_a_plex_complete() -> None:
    for state, following in PLEX_MAY_BECOME.items():
        if following & COMPLETE and state not in COMPLETE:
            assert state in (S.EMPTY, S.FILLING)


def one_plex(state: PlexState, group: GroupState = GroupState.IMPORTED) -> Config:
    """A volume with one plex, without a piece of any disk."""
    records: list[Group | Volume | Plex] = [
        Group(ref=GROUP, name="dg1", state=group),
        Volume(ref=VOLUME, name="v", group=GROUP, size=10),
        Plex(ref=PLEXES[0], name="v-01", volume=VOLUME, state=state),
    ]
    return Config.of(records)


def become(edit: Edit, state: PlexState) -> None:
    edit.put(msgspec.structs.replace(edit.config.plex(PLEXES[0]), state=state))


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(PlexState, 2)))
def test_no_edit_makes_a_transition_that_the_table_does_not_have(before: PlexState, after: PlexState) -> None:
    edit = Edit(one_plex(before))
    become(edit, after)
    if after in PLEX_MAY_BECOME[before]:
        assert edit.result()[0].plex(PLEXES[0]).state is after
        return
    with pytest.raises(TransitionError, match=f"v-01 is {before} and can't become {after}"):
        edit.result()


def test_what_an_edit_has_settled_counts_as_a_transition_of_its_own() -> None:
    edit = Edit(one_plex(S.STALE))
    for state in (S.FILLING, S.IOFAIL):
        become(edit, state)
        assert edit.result()[0].plex(PLEXES[0]).state is state
    become(edit, S.CLEAN)
    with pytest.raises(TransitionError):
        edit.result()


@pytest.mark.parametrize("group", [GroupState.FOREIGN, GroupState.DEPORTED])
def test_a_group_that_was_elsewhere_comes_as_it_is(group: GroupState) -> None:
    edit = Edit(one_plex(S.STALE, group))
    become(edit, S.CLEAN)
    edit.put(msgspec.structs.replace(edit.config.group(GROUP), state=GroupState.IMPORTED))
    assert edit.result()[0].plex(PLEXES[0]).state is S.CLEAN


def _reachable(state: PlexState) -> set[PlexState]:
    found: set[PlexState] = set()
    waiting = [state]
    while waiting:
        for following in PLEX_MAY_BECOME[waiting.pop()] - found:
            found.add(following)
            waiting.append(following)
    return found


@pytest.mark.parametrize(
    ("pieces", "length"),
    [
        ([], 0),
        ([(0, 0, 10)], 0),
        ([(0, 0, 10), (1, 0, 10)], 20),
        ([(0, 0, 10), (1, 0, 6)], 12),
        ([(0, 0, 10), (1, 0, 5), (1, 6, 4)], 10),
        ([(0, 5, 5), (0, 0, 5), (1, 0, 10)], 20),
        ([(0, 1, 9), (1, 0, 10)], 0),
        ([(0, 0, 10), (1, 0, 10), (2, 0, 10)], 20),
    ],
)
def test_a_plex_is_as_long_as_its_shortest_gapless_column(pieces: list[tuple[int, int, int]], length: int) -> None:
    plex = Plex(ref=PLEXES[0], name="p", volume=VOLUME, layout=PlexLayout.STRIPE, columns=2)
    subdisks = [
        Subdisk(
            ref=Ref(Kind.SUBDISK, f"{number:032x}"),
            name="s",
            plex=plex.ref,
            disk=DISKS[0],
            disk_offset=0,
            column=column,
            plex_offset=offset,
            length=size,
        )
        for number, (column, offset, size) in enumerate(pieces)
    ]
    assert plex_length(plex, subdisks) == length


def test_space_on_a_disk_that_is_away_is_not_free() -> None:
    disks = [
        Disk(ref=ref, name=f"d{number}", size=99, group=GROUP, public_length=90, present=not number)
        for number, ref in enumerate(DISKS)
    ]
    group = Config.of([Group(ref=GROUP, name="dg1"), *disks]).group(GROUP)
    assert (group.free, group.size) == (90, 180)
