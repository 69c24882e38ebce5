"""Quiesce Settings: what this host does for a volume while snapshots of it are taken, beside what is mounted here."""

from __future__ import annotations

import os
import shlex
from functools import partial

from engine import rules
from engine.commands import ChangeSettings
from engine.config import Config
from engine.records import Quiescing, Ref
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Page
from vea_gui.wizards.snap_quiesce import set_limit

SENTENCE = (
    "Decide who keeps the programs on this volume still while a snapshot is taken. File systems that are mounted on "
    "this host are found by themselves. It holds for every Snap Shot on this host, for Refresh and for schedules."
)


def quiesce_settings(config: Config, selection: Selection) -> Form:
    """The volume's guest agent and program, and the deadline of the host."""
    volume = selection.volumes[0].ref
    rule = _rule(config, volume)
    fields = (
        choices.volume_fact(volume),
        Field(
            "agent",
            "Guest agent's socket",
            FieldKind.TEXT,
            default=rule.agent,
            check=_agent_complaint,
            hint="The whole path of the socket of the guest that uses the volume. Empty: none.",
            sample="none, or as in: /run/guests/mail.agent",
        ),
        Field(
            "program",
            "Freeze and thaw program",
            FieldKind.TEXT,
            default=shlex.join(rule.program),
            check=_program_complaint,
            problems=("quiesce",),
            sample="none, or as in: /usr/local/bin/keep-still mail",
            hint="Its whole path and its arguments; freeze or thaw is added as the last one. No shell sees it. Empty: "
            "none.",
        ),
        Field(
            "limit_s",
            "Deadline of the host (s)",
            FieldKind.NUMBER,
            default=set_limit(config),
            lowest=1,
            highest=rules.FREEZE_LIMIT_MAX_S,
            problems=("freeze_limit_s",),
            hint="What is not still by then is left out. It holds for all volumes of this host.",
        ),
    )
    build = partial(_build, volume)
    page = Page("Quiesce Settings", SENTENCE, fields)
    return Form("quiesce_settings", "Quiesce Settings", (page,), build, verb="Apply", about=(volume,))


def _rule(config: Config, volume: Ref) -> Quiescing:
    found = config.settings.quiesce if config.settings is not None else ()
    return next((one for one in found if one.volume == volume.id), Quiescing(volume.id))


def _agent_complaint(config: Config, answers: Answers) -> str:
    if not answers["agent"] or os.path.isabs(answers["agent"]):
        return ""
    return "The guest agent's socket is not named by its whole path. Begin with a slash."


def _program_complaint(config: Config, answers: Answers) -> str:
    try:
        words = shlex.split(answers["program"])
    except ValueError:
        return "A quotation mark is not closed. Close it."
    if not words or os.path.isabs(words[0]):
        return ""
    return "The program is not named by its whole path. Begin with a slash."


def _build(volume: Ref, config: Config, answers: Answers) -> ChangeSettings:
    """Only what differs from what is set."""
    rule = Quiescing(volume.id, answers["agent"], tuple(shlex.split(answers["program"])))
    known = config.settings.quiesce if config.settings is not None else ()
    others = tuple(one for one in known if one.volume != volume.id)
    mine = (rule,) if rule.agent or rule.program else ()
    return ChangeSettings(
        quiesce=None if rule == _rule(config, volume) else (*others, *mine),
        freeze_limit_s=None if answers["limit_s"] == set_limit(config) else answers["limit_s"],
    )
