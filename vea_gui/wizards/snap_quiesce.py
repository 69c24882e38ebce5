"""How writers are kept still while snapshots are taken: what was found for it, and which level that gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from engine import rules
from engine.commands import Quiesce
from engine.config import Config
from engine.records import Ref, Settings, Volume
from vea_gui.wizards.form import Answers, Field, FieldKind, Option

WAYS = {
    Quiesce.AUTO: "Automatic: by whatever is found",
    Quiesce.FS: "By the file systems on this host, or not at all",
    Quiesce.AGENT: "By the guests' agents, or not at all",
    Quiesce.NONE: "Not at all: as a power cut would leave the data",
}
Which = Callable[[Config, Answers], Iterable[Ref]]


def quiesce_fields(volumes: Which) -> tuple[Field, ...]:
    """The choice, and what was found for these volumes."""
    return (
        Field(
            "quiesce",
            "Quiesce",
            FieldKind.CHOICE,
            default=Quiesce.AUTO,
            options=lambda *_: [Option(way, text) for way, text in WAYS.items()],
            hint="What writes is kept still for that moment, so that the data is as after an orderly stop.",
        ),
        Field("found", "Found", FieldKind.FACT, options=partial(_found, volumes)),
        Field("limit", "Deadline", FieldKind.FACT, options=_limit),
    )


def _found(volumes: Which, config: Config, answers: Answers) -> list[Option]:
    records = [config.volume(ref) for ref in volumes(config, answers) if ref in config]
    return [Option(volume.ref, _told(volume, answers["quiesce"])) for volume in records] or [Option("", "nothing yet")]


def _told(volume: Volume, quiesce: Quiesce) -> str:
    """`ev: the ext4 file system at /srv/db; the snapshot is file-system-consistent`."""
    level = f"the snapshot is {rules.expected_consistency(volume, quiesce)}"
    if quiesce is Quiesce.NONE:
        return f"{volume.name}: {level}"
    found = [each.what for each in volume.freezers if not each.problem]
    lacking = [each.problem.rstrip(".") for each in volume.freezers if each.problem]
    what = rules.listed(found) if found else "nothing that can be kept still"
    return "; ".join([f"{volume.name}: {what}", level, *lacking])


def _limit(config: Config, answers: Answers) -> list[Option]:
    seconds = next((record.freeze_limit_s for record in config if isinstance(record, Settings)), None)
    if answers["quiesce"] == Quiesce.NONE or seconds is None:
        return [Option("", "none is needed")]
    return [Option("", f"{seconds} s; then the snapshot is taken without, or not at all, and writers go on")]
