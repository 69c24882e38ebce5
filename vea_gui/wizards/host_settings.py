"""The pages of the Control Panel: what is set for the host. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from engine import rules
from engine.commands import ChangeSettings
from engine.config import Config
from engine.records import RelocationMode, TaskDelay, TaskType
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page

RESTING = tuple(kind for kind in TaskType if kind not in (TaskType.COMMAND, TaskType.RESCAN))
"""Types of tasks that copy, compare or zero: those that can rest in between."""
A_DAY_S = 86_400
MODES = {
    RelocationMode.AUTOMATIC: "Automatic: the engine begins it by itself",
    RelocationMode.MANUAL: "Manual: the operator begins it by Repair Volume",
}


@dataclass(frozen=True)
class PanelItem:
    """One entry of the Control Panel."""

    name: str
    icon: str
    form: Callable[[Config], Form]


def _set(name: str, config: Config, _: Answers) -> Any:
    """A field's default is what is set now."""
    settings = config.settings
    return getattr(settings, name) if settings is not None else 0


def _delay(kind: TaskType, config: Config, _: Answers) -> int:
    settings = config.settings
    return settings.delay_of(kind) if settings is not None else 0


Build: TypeAlias = Callable[[Config, Answers], ChangeSettings]


def _form(name: str, title: str, sentence: str, fields: tuple[Field, ...], build: Build) -> Form:
    return Form(name, title, (Page(title, sentence, fields),), build, verb="Apply")


def task_throttling(config: Config) -> Form:
    """The rest that new tasks take, by type."""
    fields = tuple(
        Field(
            kind.name.lower(),
            f"{kind} (ms)",
            FieldKind.NUMBER,
            default=partial(_delay, kind),
            highest=rules.IODELAY_MAX_MS,
            problems=("iodelay_ms",),
            hint="A new task of this type rests so many milliseconds after each mebibyte. 0 is full speed.",
        )
        for kind in RESTING
    )
    sentence = (
        "Decide how long new tasks rest after each mebibyte, in milliseconds. More leaves more to the clients; "
        "what runs already is set by Throttle Task."
    )
    return _form("task_throttling", "Task Throttling", sentence, fields, _build_delays)


def _build_delays(config: Config, answers: Answers) -> ChangeSettings:
    given = ((kind, answers[kind.name.lower()]) for kind in RESTING)
    return ChangeSettings(iodelay_ms=tuple(TaskDelay(kind, delay) for kind, delay in given if delay))


def hot_relocation(config: Config) -> Form:
    """Who begins it, and after how long."""
    fields = (
        Field(
            "hot_relocation",
            "Mode",
            FieldKind.CHOICE,
            default=partial(_set, "hot_relocation"),
            options=lambda *_: [Option(mode, text) for mode, text in MODES.items()],
        ),
        Field(
            "relocation_wait_s",
            "Wait for a missing disk (s)",
            FieldKind.NUMBER,
            default=partial(_set, "relocation_wait_s"),
            enabled=lambda _, answers: answers["hot_relocation"] is RelocationMode.AUTOMATIC,
            off="Nothing begins by itself in manual mode.",
            highest=A_DAY_S,
            hint="A disk that comes back within so many seconds is caught up where it is. A failing disk is not waited "
            "for.",
        ),
    )
    sentence = "Decide who makes volumes whole again, on spare disks or free space, when a disk is lost."
    return _form("hot_relocation", "Hot Relocation", sentence, fields, _build_relocation)


def _build_relocation(config: Config, answers: Answers) -> ChangeSettings:
    return ChangeSettings(hot_relocation=answers["hot_relocation"], relocation_wait_s=answers["relocation_wait_s"])


def configuration_backup(config: Config) -> Form:
    """How many are kept."""
    kept = Field(
        "backups_kept",
        "Backups kept of each disk group",
        FieldKind.NUMBER,
        default=partial(_set, "backups_kept"),
        lowest=1,
        highest=1000,
        hint="Before a disk group changes its configuration is kept in the host's state folder; the oldest go first.",
    )
    sentence = "Decide how many backups of the configuration are kept of each disk group."
    return _form(
        "configuration_backup",
        "Configuration Backup",
        sentence,
        (kept,),
        lambda _, answers: ChangeSettings(backups_kept=answers["backups_kept"]),
    )


def monitoring(config: Config) -> Form:
    """How often the host is looked at."""
    interval = Field(
        "monitoring_interval_s",
        "Monitoring interval (s)",
        FieldKind.NUMBER,
        default=partial(_set, "monitoring_interval_s"),
        lowest=1,
        highest=3600,
        hint="Performance shows one point for each interval. As often the engine looks whether another host has taken "
        "a disk group.",
    )
    sentence = "Decide how often the engine takes figures of volumes and disks."
    return _form(
        "monitoring",
        "Monitoring Interval",
        sentence,
        (interval,),
        lambda _, answers: ChangeSettings(monitoring_interval_s=answers["monitoring_interval_s"]),
    )


ITEMS = (
    PanelItem("Task Throttling", "throttle", task_throttling),
    PanelItem("Hot Relocation", "relocate", hot_relocation),
    PanelItem("Configuration Backup", "backup", configuration_backup),
    PanelItem("Monitoring Interval", "monitor", monitoring),
)
