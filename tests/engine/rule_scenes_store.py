"""Scenes on the store, each about one rule: an AssertionError when the rule doesn't hold."""

from __future__ import annotations

from pathlib import Path

from engine.store.group_store import GroupStore
from engine.store.policy import import_needs
from tests.engine import store_damage
from tests.engine.store_damage import Life
from tests.engine.store_lab import HOST, OTHER_HOST, Lab, Lun, importer


def lab_with(disks: int, values: int = 3) -> Lab:
    lab = Lab(disks)
    lab.create()
    for value in range(1, values + 1):
        lab.set_value(value)
    return lab


def altered_metadata_is_never_believed(_: Path) -> None:
    life = Life(1, 6)
    newest = life.used()[-1]
    content = life.now[store_damage.VICTIM][newest]
    flips = (content[:byte] + bytes((content[byte] ^ 1,)) + content[byte + 1 :] for byte in range(1024))
    _, wrong = store_damage.census(life, (store_damage.Case("flipped", "", {newest: flip}) for flip in flips))
    assert not wrong, wrong[:3]


def a_transaction_counts_on_a_majority_only(_: Path) -> None:
    lab = lab_with(3)

    def one_disk_left(lun: Lun, offset: int, data: bytes) -> bool:
        if lun.name != "lun0":
            raise lun.failed()
        return True

    lab.bus.before_write = one_disk_left
    assert not lab.try_value(9), "two disks that don't have it could say otherwise at the next import"


def too_few_copies_need_force(_: Path) -> None:
    lab = lab_with(3)
    found = lab.found(["lun0"])
    assert found is not None
    assert import_needs(found, HOST).force, "the other two may tell of something newer"


def metadata_is_written_durably_and_in_whole_blocks(_: Path) -> None:
    """The LUNs of the lab refuse anything else."""
    lab_with(2)


def who_was_shut_out_writes_nothing(_: Path) -> None:
    lab = lab_with(3)
    found = lab.found()
    assert found is not None
    GroupStore.load(found, importer(OTHER_HOST, "beta"), clear=True)
    before = len(lab.bus.writes)
    assert not lab.try_value(9)
    assert len(lab.bus.writes) == before
