"""How writers are kept still while snapshots are taken: what was found for it, and which level that gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from engine import rules
from engine.config import Config
from engine.records import Quiesce, Ref, Settings, Volume
from vea_gui.wizards.form import Answers, Field, FieldKind, Option

WAYS = {
    Quiesce.AUTO: "Automatic: by whatever is found",
    Quiesce.FS: "By the file systems on this host, or not at all",
    Quiesce.AGENT: "By the guests' agents, or not at all",
    Quiesce.NONE: "Not at all: as a power cut would leave the data",
}
Which = Callable[[Config, Answers], Iterable[Ref]]


def quiesce_fields(volumes: Which) -> tuple[Field, ...]:
    """The choice, what was found for these volumes, and how long that may take."""
    limit = Field(
        "limit_s",
        "Deadline (s)",
        FieldKind.NUMBER,
        default=lambda config, _: set_limit(config),
        lowest=1,
        highest=rules.FREEZE_LIMIT_MAX_S,
        enabled=lambda _, answers: answers["quiesce"] != Quiesce.NONE,
        off="Nothing is kept still, and nothing is waited for.",
        hint="What is not still by then is left out, or no snapshot is taken; writers go on in any case.",
    )
    return (*_choice_fields(volumes, FieldKind.CHOICE), limit)


def scheduled_quiesce_fields(volumes: Which) -> tuple[Field, ...]:
    """The same for sets to come, for which the host's deadline holds."""
    return (*_choice_fields(volumes, FieldKind.COMBO), Field("limit", "Deadline", FieldKind.FACT, options=_limit))


def limit_of(config: Config, answers: Answers) -> int:
    """The deadline that was chosen; 0 where none is needed, or where it is the host's."""
    chosen = 0 if answers["quiesce"] == Quiesce.NONE else int(answers["limit_s"])
    return 0 if chosen == set_limit(config) else chosen


def _choice_fields(volumes: Which, kind: FieldKind) -> tuple[Field, ...]:
    return (
        Field(
            "quiesce",
            "Quiesce",
            kind,
            default=Quiesce.AUTO,
            options=lambda *_: [Option(way, text) for way, text in WAYS.items()],
            hint="What writes is kept still for that moment, so that the data is as after an orderly stop.",
        ),
        Field("found", "Found", FieldKind.FACT, options=partial(_found, volumes)),
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


def set_limit(config: Config) -> int:
    """The deadline that is set for the host, in seconds."""
    return config.settings.freeze_limit_s if config.settings is not None else Settings.freeze_limit_s


def _limit(config: Config, answers: Answers) -> list[Option]:
    if answers["quiesce"] == Quiesce.NONE:
        return [Option("", "none is needed")]
    return [Option("", f"{set_limit(config)} s; then the set is taken without, or not at all, and writers go on")]
