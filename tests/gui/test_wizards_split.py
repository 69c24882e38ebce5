"""The wizards that split and join disk groups show what comes along and ask for what was answered."""

from __future__ import annotations

import msgspec

from engine import rules
from engine.commands import JoinGroups, SplitGroup
from engine.records import Kind
from tests.gui.sample_lab import GROUP, ref
from vea_gui.console import Console
from vea_gui.wizards import FORMS

EV = ref(Kind.VOLUME, 1)


def test_split_lists_what_comes_along(console: Console) -> None:
    form = FORMS["split_group"](console.config, console.at(EV))
    fields = {field.name: field for field in form.fields()}
    answers = {**form.answers, "name": "off", "expand": True, "imports": True}
    assert answers["volumes"] == (EV,)
    told = [option.text for option in fields["along"].options(console.config, answers)]
    leaving = rules.closure(console.config, [EV])
    assert told[2:] == leaving.sentences(console.config)
    stays = " ".join(option.text for option in fields["stays"].options(console.config, answers))
    config = console.config
    for record in (*config.volumes_of(GROUP), *config.disks_of(GROUP)):
        leaves = record.ref in leaving.volumes or record.ref in leaving.disks
        assert (record.name in stays.replace(",", " ").split()) is not leaves
    assert fields["expand"].enabled(console.config, answers) is bool(leaving.why)
    wanted = SplitGroup(group=GROUP, name="off", objects=(EV,), expand=True, imports=True)
    assert form.build(console.config, answers) == wanted
    by_disks = {**answers, "way": "disks", "disks": (ref(Kind.DISK, 1),)}
    assert form.build(console.config, by_disks).objects == (ref(Kind.DISK, 1),)  # type: ignore[attr-defined]


def test_what_comes_along_is_accepted_by_a_tick(console: Console) -> None:
    config = console.config
    form = FORMS["split_group"](config, console.at(GROUP))
    expand = next(field for field in form.fields() if field.name == "expand")
    disk = next(sd.disk for plex in config.plexes_of(EV) for sd in config.subdisks_of(plex.ref))
    answers = {**form.answers, "way": "disks", "disks": (disk,), "expand": False}
    assert "Take along what shares disks" in expand.check(config, answers)
    assert not expand.check(config, {**answers, "expand": True})


def test_a_group_is_joined_to_another_one(console: Console) -> None:
    form = FORMS["join_groups"](console.config, console.at(GROUP))
    fields = {field.name: field for field in form.fields()}
    assert form.answers["joined"] == GROUP
    assert all(option.value != GROUP for option in fields["group"].options(console.config, form.answers))
    other = msgspec.structs.replace(GROUP, id="9" * 32)
    assert form.build(console.config, {"joined": GROUP, "group": other}) == JoinGroups(group=other, joined=GROUP)
