"""Actions of mirrors (plexes)."""

from __future__ import annotations

from collections.abc import Callable

from engine import rules
from engine.commands import AttachPlex, Command, DetachPlex, RemoveMirrors, SetVolumeUsage
from engine.config import Config
from engine.plans import Problem
from engine.records import Kind, Plex, Ref
from vea_gui.action_rows import Action, Reason, asks
from vea_gui.actions import reasons
from vea_gui.console import Console
from vea_gui.selection import Selection

PLEX = (Kind.PLEX.value,)


def _with_plex(make: Callable[[Plex], Command]) -> Callable[[Console, Selection], None]:
    def run(console: Console, selection: Selection) -> None:
        plex = selection.one(Plex)
        if plex is not None:
            console.carry_out(make(plex))

    return run


def _can_go(selection: Selection) -> Reason:
    config, plexes = selection.config, selection.of(Plex)
    if not plexes:
        return reasons.pick_first(Kind.PLEX)
    apart = rules.one_group(config, (config.volume(plex.volume).group for plex in plexes), "mirrors")
    of_snapshots = (rules.not_snap_plex(config, plex.ref) for plex in plexes)
    return apart or reasons.first(of_snapshots) or rules.plexes_can_go(config, [plex.ref for plex in plexes])


def _not_preferred(config: Config, plex: Ref) -> Problem | None:
    record = config.plex(plex)
    volume = config.volume(record.volume)
    blocked = reasons.group_of_volume_imported(config, volume.ref) or reasons.several_mirrors(config, volume.ref)
    blocked = blocked or rules.not_snap_plex(config, plex, "Choose another mirror.")
    if blocked := blocked or rules.plex_complete(config, plex):
        return blocked
    if volume.preferred == plex:
        return Problem(f"{record.name} is the preferred mirror already.", "", plex)
    return None


ROWS = (
    Action(
        "remove-mirror",
        "Remove Mirror...",
        lambda console, s: console.carry_out(RemoveMirrors(plexes=tuple(plex.ref for plex in s.of(Plex)))),
        PLEX,
        _can_go,
        icon="delete",
        shortcut="Del",
        section=20,
        plural="Remove {} Mirrors...",
    ),
    Action(
        "break-mirror",
        "Break Mirror...",
        asks("break_mirror"),
        PLEX,
        reasons.each(Plex, rules.plex_can_break, rules.not_snap_plex),
        section=20,
    ),
    Action(
        "prefer-mirror",
        "Set as Preferred",
        _with_plex(lambda plex: SetVolumeUsage(volume=plex.volume, preferred=plex.ref)),
        PLEX,
        reasons.each(Plex, _not_preferred),
        section=30,
    ),
    Action(
        "detach-mirror",
        "Detach Mirror",
        _with_plex(lambda plex: DetachPlex(plex=plex.ref)),
        PLEX,
        reasons.each(Plex, rules.not_snap_plex, rules.plex_can_detach),
        section=30,
    ),
    Action(
        "attach-mirror",
        "Attach Mirror",
        _with_plex(lambda plex: AttachPlex(plex=plex.ref)),
        PLEX,
        reasons.each(Plex, rules.plex_can_attach),
        section=30,
    ),
)
