"""Random lives of a group beside a model of what was acknowledged: faults, power cuts, disks that come and go.

The rule: an import that needs no force tells the newest acknowledged change, or one that was tried after it.
"""

from __future__ import annotations

import random

import pytest

from engine.records import Ref
from engine.store.group_store import GroupStore
from engine.store.policy import import_needs
from tests.conftest import SOAK
from tests.engine.store_lab import HOST, Lab, Lun, PowerCut, disk_ref, importer, value_of

LIVES = 400 if SOAK else 60
STEPS = 60


class Life:
    """One group, one seed."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.disks = chance.randint(1, 7)
        self.lab = Lab(self.disks)
        self.lab.create()
        self.acknowledged = 0
        self.tried = {0}
        self.next_value = 0
        self.forced = 0
        self.checked = 0

    def step(self) -> None:
        action = self.chance.choices(
            (self.commit, self.commit_with_faults, self.commit_cut_off, self.restart, self.lose_or_return),
            (6, 4, 2, 3, 2),
        )[0]
        action()

    def commit(self) -> bool:
        """Change something; answers whether it was acknowledged."""
        self.next_value += 1
        self.tried.add(self.next_value)
        if not self.lab.try_value(self.next_value):
            return False
        self.acknowledged = self.next_value
        self.tried = {self.next_value}
        return True

    def commit_with_faults(self) -> None:
        """Some disks refuse some writes, wholly or after a part has landed."""
        bad = {name: self.chance.random() for name in self.lab.luns if self.chance.random() < 0.4}

        def fault(lun: Lun, offset: int, data: bytes) -> bool:
            if self.chance.random() < bad.get(lun.name, 0):
                self.land(lun, offset, data)
                raise lun.failed()
            return True

        self.lab.bus.before_write = fault
        try:
            self.commit()
        finally:
            self.lab.bus.before_write = None

    def commit_cut_off(self) -> None:
        """Power is cut in some write; then the host starts again."""
        left = self.chance.randint(1, 8)

        def cut(lun: Lun, offset: int, data: bytes) -> bool:
            nonlocal left
            left -= 1
            if left == 0:
                self.land(lun, offset, data)
                raise PowerCut
            return True

        self.lab.bus.before_write = cut
        try:
            self.commit()
        except PowerCut:
            self.lab.bus.before_write = None
            self.restart()
        finally:
            self.lab.bus.before_write = None

    def land(self, lun: Lun, offset: int, data: bytes) -> None:
        """Let any of a write's sectors reach the disk: none, all, or some."""
        share = self.chance.choice((0.0, 0.5, 1.0))
        for sector in range(0, len(data), 512):
            if self.chance.random() < share:
                lun.put(offset + sector, data[sector : sector + 512])

    def restart(self) -> None:
        """Import again, at first with some disks unseen: without force only the truth may come out."""
        names = [name for name in self.lab.luns if self.chance.random() < 0.8]
        found = self.lab.found(names)
        if found is None or import_needs(found, HOST).force or found.elected is None:
            self.forced += 1
            names = list(self.lab.luns)
            found = self.lab.found(names)
        assert found is not None
        assert import_needs(found, HOST) == ((), (), ())
        value = value_of(found)
        assert value == self.acknowledged or value in self.tried, (value, self.acknowledged, self.tried)
        self.checked += 1
        self.acknowledged, self.tried = value, {value}
        self.lab.store = GroupStore.load(found, importer())
        config = self.lab.config
        assert {ref.id for ref in (record.ref for record in self.lab.store.records())} == {
            ref.id for ref in (record.ref for record in config) if ref.kind.value in ("disk", "group", "volume")
        }
        self.next_value += 1000
        self.lab.set_value(self.next_value)
        self.acknowledged, self.tried = self.next_value, {self.next_value}

    def lose_or_return(self) -> None:
        """A disk goes out of sight of the running engine, or comes back to it."""
        number = self.chance.randrange(self.disks)
        ref: Ref = disk_ref(number)
        if self.chance.random() < 0.5 and len(self.lab.store.copies) > 1:
            self.lab.store.lose_disk(ref)
        else:
            self.lab.store.attach_disk(ref, self.lab.luns[f"lun{number}"])


@pytest.mark.parametrize("life", range(LIVES))
def test_what_was_acknowledged_is_never_lost(life: int, seed: int) -> None:
    one = Life(random.Random(f"{seed}/{life}"))
    for _ in range(STEPS):
        one.step()
    one.restart()
    assert one.checked
