"""Any command on any configuration: planned without an exception, and what is applied leaves everything in order."""

from __future__ import annotations

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from engine import commands
from engine.commands import Move, Target
from engine.planners import PLANNERS, plan
from engine.plans import Plan
from engine.records import (
    DiskUsage,
    Kind,
    MailSecurity,
    Notification,
    Pattern,
    PlexState,
    Ref,
    RelocationMode,
    RunWay,
    Settings,
    Severity,
    Subdisk,
    TaskDelay,
    TaskType,
    settings_ref,
)
from engine.units import GIB, KIB, MIB
from tests.engine.builders import HOST, Ids, Site, assert_sound, complete, placement

MAIL: dict[str, st.SearchStrategy[object]] = {
    "mail_server": st.sampled_from([None, "localhost", ""]),
    "mail_port": st.sampled_from([None, 25, 0]),
    "mail_from": st.sampled_from([None, "", "a b"]),
    "mail_security": st.sampled_from([None, *MailSecurity]),
    "mail_user": st.sampled_from([None, "", "ann"]),
    "mail_password_file": st.sampled_from([None, "", "/x", "x"]),
}
LUN = 160 * MIB
NAMES = st.sampled_from(["a", "b", "ev", "Volume1", "Volume1-01", "Harddisk0-01", "", "a/b", "x" * 40])
SIZES = st.sampled_from([0, 1, MIB, 3 * MIB, 7 * MIB, 20 * MIB + 1, 50 * MIB, 90 * MIB, 5 * GIB, -1, 1 << 63])
DELAYS = st.sampled_from([None, (), (TaskDelay(TaskType.RESYNC, 3),), (TaskDelay(TaskType.RESYNC, -3),)])
UNITS = st.sampled_from([0, 4 * KIB, 64 * KIB, 2 * MIB, 3 * KIB])


class Drawer:
    """Draws commands about the objects of a site, and sometimes about objects that are not there."""

    def __init__(self, data: st.DataObject, site: Site) -> None:
        self._data = data
        self.site = site

    def __call__(self, strategy: st.SearchStrategy[object]) -> object:
        return self._data.draw(strategy)

    def ref(self, kind: Kind) -> Ref:
        known = sorted(record.ref for record in self.site.config if record.ref.kind is kind)
        return self._data.draw(
            st.sampled_from([*known, Ref(kind, "0" * 32)] if kind is not Kind.TASK else [*known, GONE])
        )

    def some(self, kind: Kind) -> tuple[Ref, ...]:
        return tuple(self.ref(kind) for _ in range(self._data.draw(st.integers(0, 2))))

    def moves(self) -> tuple[Move, ...]:
        return tuple(Move(self.ref(Kind.SUBDISK), self._targets()) for _ in range(self._data.draw(st.integers(1, 2))))

    def choices(self) -> tuple[commands.SnapChoice, ...]:
        count = self._data.draw(st.integers(1, 2))
        return tuple(commands.SnapChoice(self.ref(Kind.VOLUME), name=self._data.draw(NAMES)) for _ in range(count))

    def _targets(self) -> tuple[Target, ...]:
        offsets, lengths = st.sampled_from([-1, 5 * MIB, 20 * MIB, 40 * MIB, 3]), st.sampled_from([0, 0, MIB, 8 * MIB])
        count = self._data.draw(st.sampled_from([0, 1, 1, 2]))
        return tuple(
            Target(self.ref(Kind.DISK), self._data.draw(offsets), self._data.draw(lengths)) for _ in range(count)
        )

    def command(self) -> commands.Command:
        """One command of any type."""
        kind = self._data.draw(st.sampled_from(sorted(PLANNERS, key=lambda one: one.__name__)))
        return kind(**{name: self._value(kind, name) for name in kind.__struct_fields__})

    def _value(self, kind: type, name: str) -> object:
        fixed = {
            "undoes": st.just(0),
            "size": SIZES,
            "name": NAMES,
            "new_name": st.just(""),
            "columns": st.sampled_from([0, 2, 3, 99]),
            "stripe_unit": UNITS,
            "mirrors": st.sampled_from([1, 2, 3, 0]),
            "count": st.sampled_from([1, 2, 0, 40]),
            "usage": st.sampled_from(DiskUsage),
            "iodelay_ms": st.sampled_from([-1, 0, 5]) if kind is not commands.ChangeSettings else DELAYS,
            "paths": st.just(("/x/lun",)),
            "striped": st.booleans() if kind is not commands.AddMirrors else st.sampled_from([None, False, True]),
            "across_enclosures": st.booleans(),
            "force": st.just(False),
            "repair": st.booleans(),
            "clear": st.booleans(),
            "raid5": st.just(False),
            "log": st.just(commands.volumes.LogType.DEFAULT),
            "hot_relocation": st.sampled_from([None, *RelocationMode]),
            "relocation_wait_s": st.sampled_from([None, 0, 60, -1]),
            "monitoring_interval_s": st.sampled_from([None, 1, 0]),
            "notifications": st.sampled_from([None, (), (Notification(Severity.ERROR, mail="a@example.org"),)]),
            **MAIL,
            "notification": st.sampled_from(
                [Notification(Severity.ERROR, mail="a@example.org"), Notification(Severity.ERROR)]
            ),
            "backups_kept": st.sampled_from([None, 3, 0]),
            "set_name": st.just("set"),
            "master": st.sampled_from(commands.Master),
            "quiesce": st.sampled_from(commands.Quiesce) if kind is not commands.ChangeSettings else st.none(),
            "freeze_limit_s": st.sampled_from([None, 10, 0]),
            "limit_s": st.sampled_from([0, 5, 99, -1]),
            "letter": st.sampled_from(["", "E", "1"]),
            "path": st.just(""),
            "file_system": st.sampled_from(["", "ext4", "nofs"]),
            "label": st.sampled_from(["", "data"]),
            "quick": st.booleans(),
            "expand": st.booleans(),
            "imports": st.booleans(),
            "when": st.sampled_from([None, Pattern(times=(120,)), Pattern(times=()), Pattern(times=(1,), days=(40,))]),
            "keep": st.sampled_from([None, 1, 5, 0]),
            "way": st.sampled_from([None, *RunWay]),
            "prepares": st.sampled_from([None, False, True]),
            "late": st.sampled_from([None, False, True]),
            "enabled": st.sampled_from([None, False, True]),
        }
        if name in fixed:
            optional = kind not in (commands.SendTestNotification, commands.AddSchedule)
            return self._data.draw(fixed[name] if optional else fixed[name].filter(lambda value: value is not None))
        if name == "moves":
            return self.moves()
        if name == "choices":
            return self.choices()
        if name == "object":
            return self.ref(self._data.draw(st.sampled_from([Kind.GROUP, Kind.VOLUME, Kind.DISK, Kind.SUBDISK])))
        many = {"disks": Kind.DISK, "targets": Kind.DISK, "volumes": Kind.VOLUME, "plexes": Kind.PLEX}
        many |= {"snapshots": Kind.VOLUME, "objects": Kind.VOLUME, "schedules": Kind.SCHEDULE}
        many |= {"tasks": Kind.TASK, "alerts": Kind.ALERT}
        if name in many:
            return self.some(many[name])
        if name == "preferred" or (name == "plex" and kind is commands.PrepareSnapshot):
            return self._data.draw(st.sampled_from([None, self.ref(Kind.PLEX)]))
        kinds = {"by": Kind.DISK, "source": Kind.PLEX, "first": Kind.SUBDISK, "second": Kind.SUBDISK}
        kinds |= {"joined": Kind.GROUP}
        return self.ref(kinds.get(name) or Kind(name))


GONE = Ref(Kind.TASK, "999")


def start_site() -> Site:
    site = Site(5, sizes=(LUN,), groups=("dg1",), spare_luns=2)
    site.edit(Settings(ref=settings_ref(HOST), name="Settings"))
    site.do(commands.CreateVolume(group=site.group(), size=24 * MIB, name="ev", mirrors=2))
    site.do(commands.CreateVolume(group=site.group(), size=9 * MIB, name="st", striped=True))
    return site


def assert_refusal_leaves_nothing(made: Plan) -> None:
    assert not made.puts
    assert not made.drops
    assert made.task is None
    for problem in made.problems:
        assert problem.text.endswith("."), problem.text
        assert not problem.help or problem.help.endswith((".", "_ .")), problem.help
        assert "None" not in problem.text
        assert "_" not in problem.text.replace(str(problem.object), "") or "“" in problem.text


@hypothesis.settings(max_examples=120)
@hypothesis.given(st.data())
def test_any_sequence_of_commands_leaves_a_sound_configuration(data: st.DataObject) -> None:
    site = start_site()
    draw = Drawer(data, site)
    for _ in range(data.draw(st.integers(1, 8))):
        command = draw.command()
        made = site.plan(command)
        assert made.title
        if made.problems:
            assert_refusal_leaves_nothing(made)
            continue
        check_told(site, made)
        before = {volume.ref: complete(site.config, volume.ref) for volume in volumes(site)}
        site.apply(made)
        assert_sound(site.config)
        if not isinstance(command, commands.DeleteVolumes):
            for volume in volumes(site):
                assert complete(site.config, volume.ref) > 0 or not before.get(volume.ref)
        if data.draw(st.booleans()):
            site.finish()
            assert_sound(site.config)


def volumes(site: Site) -> list[object]:
    return [record for record in site.config if record.ref.kind is Kind.VOLUME]


def check_told(site: Site, made: Plan) -> None:
    """What the plan tells is what its records do."""
    subdisks = [record for record in made.puts if record.ref.kind is Kind.SUBDISK]
    new = [one for one in subdisks if place_of(site.config.get(one.ref)) != place_of(one)]
    if made.allocates:
        told = {(given.disk, given.offset, given.length) for given in made.allocates}
        assert told == {(one.disk, one.disk_offset, one.length) for one in new}
    for freed in made.frees:
        end = freed.offset + freed.length
        assert any(
            one.disk_offset <= freed.offset and one.disk_offset + one.length == end
            for one in site.config.subdisks_on(freed.disk)
        )
    if made.task is not None and made.zeroes_bytes:
        assert made.zeroes_bytes == made.task.bytes_total
    assert bool(made.confirm) == bool(made.confirm_button)
    for step in made.steps:
        assert step.text
        assert "None" not in step.text
    if made.undo:
        commands.decode(made.undo)


def place_of(record: object) -> object:
    return (record.disk, record.disk_offset) if isinstance(record, Subdisk) else None


@hypothesis.settings(max_examples=60)
@hypothesis.given(st.data())
def test_the_same_ids_make_the_same_plan(data: st.DataObject) -> None:
    site = start_site()
    command = Drawer(data, site).command()
    one, other = plan(site.config, command, Ids()), plan(site.config, command, Ids())
    assert one == other
    assert msgspec.json.decode(msgspec.json.encode(one), type=Plan) == one


UNDONE_EXACTLY = (
    commands.MoveSubdisks,
    commands.EvacuateDisk,
    commands.SplitSubdisk,
    commands.JoinSubdisks,
    commands.CreateVolume,
    commands.AddMirrors,
    commands.SetDiskUsage,
    commands.SetVolumeUsage,
    commands.StartVolumes,
    commands.StopVolumes,
    commands.Rename,
    commands.DetachPlex,
)


@hypothesis.settings(max_examples=120)
@hypothesis.given(st.data(), st.sampled_from(UNDONE_EXACTLY))
def test_undo_brings_the_layout_back(data: st.DataObject, kind: type[commands.Command]) -> None:
    site = start_site()
    if kind is commands.JoinSubdisks:
        subdisk = site.subdisks("ev")[0]
        site.do(commands.SplitSubdisk(subdisk=subdisk.ref, size=8 * MIB))
    draw = Drawer(data, site)
    command = kind(**{name: draw._value(kind, name) for name in kind.__struct_fields__})
    made = site.plan(command)
    hypothesis.assume(not made.problems and made.undo)
    places = placement(site.config)
    settings = {record.ref: told(record) for record in site.config}
    site.apply(made)
    site.finish()
    back = site.plan(commands.decode(made.undo))
    assert not back.problems, back.problems
    site.apply(back)
    site.finish()
    assert_sound(site.config)
    assert placement(site.config) == places
    for ref, fields in settings.items():
        if ref in site.config:
            assert told(site.config[ref]) == fields


def told(record: object) -> tuple[object, ...]:
    """What an operator has set on an object."""
    fields = ("usage", "preferred", "started", "size")
    return tuple(getattr(record, field, None) for field in fields)


def test_there_is_a_planner_for_every_command_and_none_else() -> None:
    every = {one for one in vars(commands).values() if isinstance(one, type) and issubclass(one, commands.Command)}
    assert set(PLANNERS) == every - {commands.Command}


@pytest.mark.parametrize("kind", sorted(PLANNERS, key=lambda one: one.__name__), ids=lambda one: one.__name__)
def test_a_command_about_things_that_are_gone_or_of_a_wrong_kind_is_refused(kind: type[commands.Command]) -> None:
    site = start_site()
    wrong = {Kind.GROUP: Kind.DISK}
    for gone in (True, False):
        values: dict[str, object] = {}
        for name in kind.__struct_fields__:
            field = kind.__struct_config__ and next(f for f in msgspec.structs.fields(kind) if f.name == name)
            if field.type is Ref or (name == "preferred"):
                aim = {
                    "by": Kind.DISK,
                    "source": Kind.PLEX,
                    "first": Kind.SUBDISK,
                    "second": Kind.SUBDISK,
                    "preferred": Kind.PLEX,
                    "object": Kind.VOLUME,
                    "joined": Kind.GROUP,
                }
                wanted = aim.get(name) or Kind(name)
                values[name] = Ref(wanted, "0" * 32) if gone else Ref(wrong.get(wanted, Kind.ENCLOSURE), "0" * 31 + "1")
            elif field.required:
                plain = {"size": MIB, "name": "n", "usage": DiskUsage.SPARE, "iodelay_ms": 1}
                values[name] = {**plain, "when": Pattern(times=(1,))}.get(name, ())
        if not any(isinstance(value, Ref) or value == () for value in values.values()):
            continue
        made = site.plan(kind(**values))
        assert made.problems, made
        assert_refusal_leaves_nothing(made)


def test_a_planted_planner_that_forgets_to_keep_a_mirror_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.rules.plexes.keeps_a_mirror", lambda config, volume, leaving: None)
    site = start_site()
    site.apply(site.plan(commands.RemoveMirrors(plexes=tuple(plex.ref for plex in site.plexes("ev")))))
    with pytest.raises(AssertionError, match="has no plex"):
        assert_sound(site.config)


def test_a_planted_move_onto_the_other_mirror_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.rules.subdisks.shares_disk", lambda *args: None)
    site = start_site()
    first, second = site.subdisks("ev")
    site.apply(site.plan(commands.MoveSubdisks(moves=(Move(first.ref, (Target(second.disk),)),))))
    with pytest.raises(AssertionError, match="uses a disk twice"):
        assert_sound(site.config)


def test_a_planted_target_over_something_else_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.rules.subdisks._room", lambda *args: None)
    monkeypatch.setattr("engine.allocate.space.Space.at", lambda self, disk, offset: 1 << 40)
    site = start_site()
    first = site.subdisks("ev")[0]
    taken = site.subdisks("st")[1]
    site.set(site.plexes("ev")[1].ref, state=PlexState.ACTIVE)
    target = Target(site.disk(4), site.config.disk(site.disk(4)).public_offset)
    site.apply(site.plan(commands.MoveSubdisks(moves=(Move(first.ref, (target,)),))))
    other = site.subdisks("st")[0]
    assert taken != other
    site.apply(site.plan(commands.MoveSubdisks(moves=(Move(other.ref, (target,)),))))
    with pytest.raises(AssertionError, match="overlaps"):
        assert_sound(site.config)
