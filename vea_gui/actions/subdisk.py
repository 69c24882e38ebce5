"""Actions of subdisks."""

from __future__ import annotations

from engine import rules
from engine.plans import Problem
from engine.records import Kind, Subdisk
from vea_gui.action_rows import Action, Reason, asks
from vea_gui.actions import reasons
from vea_gui.selection import Selection

SUBDISK = (Kind.SUBDISK.value,)


def _cannot_move(selection: Selection) -> Reason:
    subdisks = selection.of(Subdisk)
    if not subdisks:
        return reasons.pick_first(Kind.SUBDISK)
    return reasons.first(rules.can_move(selection.config, subdisk) for subdisk in subdisks)


def _cannot_split(selection: Selection) -> Reason:
    subdisk = selection.one(Subdisk)
    return rules.can_split(selection.config, subdisk) if subdisk is not None else reasons.pick_first(Kind.SUBDISK)


def _cannot_join(selection: Selection) -> Reason:
    """A subdisk can be joined when one of its neighbours fits; two picked ones, when they fit each other."""
    config, picked = selection.config, selection.of(Subdisk)
    if not picked or len(picked) > 2:
        return Problem("Two neighbouring subdisks can be joined.", "Pick one of them, or both.")
    if len(picked) == 2:
        first, second = sorted(picked, key=lambda subdisk: (subdisk.plex_offset, subdisk.disk_offset))
        return rules.can_join(config, first, second)
    here = picked[0]
    others = [other for other in config.subdisks_of(here.plex) if other.ref != here.ref and other.disk == here.disk]
    if rules.can_rearrange(config, here) is not None:
        return rules.can_rearrange(config, here)
    for other in others:
        pair = sorted((here, other), key=lambda subdisk: subdisk.plex_offset)
        if rules.can_join(config, *pair) is None:
            return None
    return Problem(f"{here.name} has no neighbour of the same mirror.", "Move one of the pieces beside the other.")


ROWS = (
    Action(
        "move-subdisk",
        "Move Subdisk...",
        asks("move_subdisk"),
        SUBDISK,
        _cannot_move,
        icon="move",
        section=20,
        plural="Move {} Subdisks...",
    ),
    Action(
        "split-subdisk",
        "Split Subdisk...",
        asks("split_subdisk"),
        SUBDISK,
        _cannot_split,
        section=20,
    ),
    Action(
        "join-subdisks",
        "Join Subdisks...",
        asks("join_subdisks"),
        SUBDISK,
        _cannot_join,
        section=20,
        plural="Join {} Subdisks...",
    ),
    Action(
        "rename-subdisk",
        "Rename...",
        asks("rename"),
        SUBDISK,
        lambda s: reasons.first(rules.can_rearrange(s.config, subdisk) for subdisk in s.of(Subdisk)),
        shortcut="F2",
        section=60,
    ),
)
