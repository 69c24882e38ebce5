"""Addresses lead back to the place they were made from, whatever the names."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Config, Edit
from engine.records import Kind
from tests.gui import sample_lab
from tests.gui.sample_lab import GROUP, HOST, ref
from vea_gui import tree_shape
from vea_gui.location import HISTORY_MAX, History, address, resolve
from vea_gui.tree_shape import AGENT, DISK_GROUPS, DISKS, Folder, Path

CONFIG = Config.of(sample_lab.records())
TO_GROUP: Path = (HOST, Folder(HOST.id, AGENT), Folder(HOST.id, DISK_GROUPS), GROUP)


def places(config: Config, path: Path = (HOST,)) -> list[Path]:
    """Every place of the tree."""
    found = [path]
    for key in tree_shape.children(config, path[-1]):
        found += places(config, (*path, key))
    return found


def test_every_place_has_an_address_that_leads_back() -> None:
    everywhere = places(CONFIG)
    assert len(everywhere) > 20
    addresses = [address(CONFIG, path) for path in everywhere]
    assert len(set(addresses)) == len(addresses)
    assert [resolve(CONFIG, HOST, text) for text in addresses] == everywhere


def test_an_address_reads_as_documented() -> None:
    assert address(CONFIG, TO_GROUP) == "vea://localhost/StorageAgent/DiskGroups/dg1"


@given(st.text(min_size=1, max_size=31).filter(lambda name: name.strip("/") != ""))
def test_any_name_survives(name: str) -> None:
    edit = Edit(CONFIG)
    edit.put(msgspec.structs.replace(CONFIG.volume(ref(Kind.VOLUME, 1)), name=name))
    config = edit.unsettled()
    path = (*TO_GROUP, ref(Kind.VOLUME, 1))
    if name.casefold() != "st":
        assert resolve(config, HOST, address(config, path)) == path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begin with vea://localhost"),
        ("vea://elsewhere/StorageAgent", "begin with vea://localhost"),
        ("http://localhost/", "begin with"),
        ("vea://localhost/StorageAgent/DiskGroups/no", "Disk Groups has nothing named no."),
        ("vea://localhost/" + "x" * 5000, "has nothing named xxx"),
    ],
)
def test_nonsense_is_told_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Za-z]") as caught:
        resolve(CONFIG, HOST, text)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 200


def test_addresses_may_be_typed_freely() -> None:
    assert resolve(CONFIG, HOST, " VEA://LOCALHOST/storageagent/diskgroups/DG1/ ") == TO_GROUP
    assert resolve(CONFIG, HOST, "localhost/StorageAgent/Disk%20Groups/dg1") == TO_GROUP


def test_history_goes_back_and_forward_and_forgets_the_far_past() -> None:
    history = History()
    ways: list[Path] = [(HOST,), TO_GROUP[:2], TO_GROUP[:3], TO_GROUP]
    for path in ways:
        history.visit(path)
    assert history.back(CONFIG) == ways[2]
    assert history.back(CONFIG) == ways[1]
    assert history.forward(CONFIG) == ways[2]
    history.visit((HOST, Folder(HOST.id, AGENT), Folder(HOST.id, DISKS)))
    assert not history.can_go_forward()
    for number in range(3 * HISTORY_MAX):
        history.visit(ways[number % 2])
    assert len(history._back) == HISTORY_MAX


def test_history_leaves_out_what_is_gone() -> None:
    history = History()
    for path in (TO_GROUP[:3], TO_GROUP, (HOST,)):
        history.visit(path)
    edit = Edit(CONFIG)
    edit.drop(GROUP)
    assert history.back(edit.unsettled()) == TO_GROUP[:3]


def test_each_object_has_a_natural_way() -> None:
    assert tree_shape.path_to(CONFIG, HOST, ref(Kind.VOLUME, 1)) == (*TO_GROUP, ref(Kind.VOLUME, 1))
    assert tree_shape.path_to(CONFIG, HOST, ref(Kind.SUBDISK, 3)) == (*TO_GROUP, ref(Kind.VOLUME, 2))
    assert tree_shape.path_to(CONFIG, HOST, ref(Kind.CONNECTION, 1)) is None
    assert tree_shape.path_to(CONFIG, HOST, ref(Kind.VOLUME, 99)) is None
