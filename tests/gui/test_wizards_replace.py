"""The disk that Replace Disk proposes: never one that has failed itself, as the one that was replaced before."""

from __future__ import annotations

from msgspec.structs import replace

from engine.config import Config
from engine.records import Disk, Kind
from tests.gui import sample_lab
from tests.gui.sample_lab import ref
from vea_gui.selection import Selection
from vea_gui.wizards.form import default_of
from vea_gui.wizards.repair import replace_disk

LOST = ref(Kind.DISK, 5)


def test_a_free_disk_that_has_failed_is_no_proposal_and_says_so() -> None:
    def free(config: Config) -> list[Disk]:
        return [
            disk for disk in config.all(Kind.DISK, Disk) if disk.group is None and disk.present and not disk.content
        ]

    config = Config.of(sample_lab.records())
    seen = []
    while left := [disk for disk in free(config) if not disk.failing]:
        form = replace_disk(config, Selection(config, (LOST,)))
        (by,) = (each for each in form.pages[0].fields if each.name == "by")
        proposed = default_of(by, config, {})
        assert proposed in {disk.ref for disk in left}
        seen.append(proposed)
        failed = [replace(config.disk(disk.ref), failing=disk.failing or disk.ref == proposed) for disk in free(config)]
        kept = [record for record in sample_lab.records() if record.ref not in {disk.ref for disk in failed}]
        config = Config.of([*kept, *failed])
        texts = {option.value: option.text for option in by.options(config, {})}
        assert texts[proposed].endswith("I/O errors seen")
    assert len(seen) > 1
    assert default_of(by, config, {}) is None
