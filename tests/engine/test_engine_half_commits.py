"""Commits that end after a part of them is on the disks: that is taken back there, as it is in memory."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.errors import EngineError
from engine.store.group_store import GroupStore
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture(4, frail=True)


@pytest.mark.allow_log("")
@pytest.mark.parametrize("crash", [False, True])
def test_a_disk_fails_and_what_follows_from_that_does_not_fit(lab: EngineLab, crash: bool) -> None:
    """What was asked for has been written by then, and was refused."""
    copies = lab.engine.committer.stores[lab.group().ref].copies
    lab.make_volume("before", 8 * MIB, mirrors=2, disks=(copies[0], copies[-1]))
    after = replace(lab.volume("before"), name="after")
    lab.lun(copies[-1]).fail("durable", persistent=True)
    answers = iter(["", "There is no room."])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GroupStore, "_too_large", lambda *_: next(answers, ""))
        with pytest.raises(EngineError, match="no room"):
            lab.engine.committer.commit(lambda edit: edit.put(after))
    assert lab.volume("before")
    if crash:
        lab.kill()
        lab.start()
    else:
        lab.restart()
    assert lab.volume("before")
