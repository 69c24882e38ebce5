"""Actions of snapshots: the Snap sub-menu of volumes and of their mirrors."""

from __future__ import annotations

from engine import rules
from engine.commands import AbortSnapshot, ClearSnapshots, DeleteVolumes, PrepareSnapshot
from engine.config import Config
from engine.plans import Problem
from engine.records import Kind, Plex, Ref, Volume
from engine.units import format_size
from vea_gui import snap_words
from vea_gui.action_rows import Action, Reason, asks
from vea_gui.actions import reasons
from vea_gui.actions.in_turn import InTurn
from vea_gui.console import Console
from vea_gui.selection import Selection
from vea_gui.wizards.snap_back import candidates
from vea_gui.wizards.snap_shot import ready_plex

VOLUME, PLEX = (Kind.VOLUME.value,), (Kind.PLEX.value,)
SNAP = "Snap"
SECTION = 32


def _refs(selection: Selection) -> tuple[Ref, ...]:
    return tuple(volume.ref for volume in selection.of(Volume))


def _plexes(selection: Selection) -> tuple[Ref, ...]:
    return tuple(plex.ref for plex in selection.of(Plex))


def _prepare(console: Console, selection: Selection) -> None:
    """One volume has a dialog; several get a snap plex each, on disks that the engine chooses."""
    volumes = selection.of(Volume)
    if len(volumes) == 1:
        console.ask("prepare_snapshot", selection)
        return
    names, size = rules.listed([volume.name for volume in volumes]), sum(volume.size for volume in volumes)
    question = f"Prepare {names} for Snap Shot? Each gets a snap plex, {format_size(size)} in all; they stay online."
    InTurn(console, question, "Prepare", [PrepareSnapshot(volume=volume.ref) for volume in volumes]).begin()


# --- reasons ---
def _can_snap(config: Config, volume: Ref) -> Problem | None:
    ready = ready_plex(config, volume)
    return rules.can_snap(config, volume, ready.ref if ready is not None else None)


def _plex_can_snap(config: Config, plex: Ref) -> Problem | None:
    return rules.can_snap(config, config.plex(plex).volume, plex)


def _plex_can_prepare(config: Config, plex: Ref) -> Problem | None:
    return rules.can_prepare(config, config.plex(plex).volume) or rules.can_convert(config, plex)


def _cannot_snap_back(selection: Selection) -> Reason:
    """Every picked snapshot can go back; of an original, one of its snapshots."""
    config, volumes = selection.config, selection.of(Volume)
    if not volumes:
        return reasons.pick_first(Kind.VOLUME)
    for volume in volumes:
        found = [rules.can_snap_back(config, one.ref) for one in candidates(config, [volume])]
        if not found:
            text = f"{volume.name} is no snapshot and has none."
            return Problem(text, "Take a snapshot first: Snap > Snap Shot.", volume.ref)
        if None not in found:
            return found[0]
    return None


def _has_snap_plex(config: Config, volume: Ref) -> Problem | None:
    if rules.snap_plexes_of(config, volume):
        return rules.volume_ready(config, volume)
    return Problem(f"{config.volume(volume).name} has no snap plex.", "There is nothing to abort.", volume)


def _cannot_abort_plexes(selection: Selection) -> Reason:
    """What the engine would say, in its order."""
    config, plexes = selection.config, selection.of(Plex)
    if not plexes:
        return reasons.pick_first(Kind.PLEX)
    groups = (config.volume(plex.volume).group for plex in plexes)
    apart = rules.one_group(config, groups, "snap plexes") or reasons.first(
        rules.is_snap_plex(config, plex.ref) for plex in plexes
    )
    ready = (rules.volume_ready(config, volume) for volume in dict.fromkeys(plex.volume for plex in plexes))
    going = [plex.ref for plex in plexes if plex.snap is not None and not plex.snap.converted]
    return apart or reasons.first(ready) or (rules.plexes_can_go(config, going) if going else None)


def _is_snapshot(config: Config, volume: Ref) -> Problem | None:
    record = config.volume(volume)
    if snap_words.link_of(record) is not None:
        return None
    return Problem(f"{record.name} is no snapshot.", "Delete Volume deletes any volume.", volume)


def _cannot_destroy(selection: Selection) -> Reason:
    """What keeps any volume from being deleted comes first."""
    deleting = reasons.each(Volume, rules.volume_ready, reasons.unused)
    return deleting(selection) or reasons.each(Volume, _is_snapshot)(selection)


ROWS = (
    Action(
        "prepare-snapshot",
        "Prepare...",
        _prepare,
        VOLUME,
        reasons.each(Volume, rules.can_prepare),
        submenu=SNAP,
        section=SECTION,
        plural="Prepare {} Volumes...",
    ),
    Action(
        "snap-shot",
        "Snap Shot...",
        asks("snap_shot"),
        VOLUME,
        reasons.one_group(reasons.each(Volume, _can_snap)),
        submenu=SNAP,
        section=SECTION,
        plural="Snap Shot of {} Volumes...",
    ),
    Action(
        "snap-back",
        "Snap Back...",
        asks("snap_back"),
        VOLUME,
        reasons.one_group(_cannot_snap_back),
        submenu=SNAP,
        section=SECTION,
        plural="Snap Back {} Volumes...",
    ),
    Action(
        "snap-clear",
        "Snap Clear...",
        lambda console, selection: console.carry_out(ClearSnapshots(volumes=_refs(selection))),
        VOLUME,
        reasons.one_group(reasons.each(Volume, rules.volume_ready, rules.has_links)),
        submenu=SNAP,
        section=SECTION,
        plural="Snap Clear {} Volumes...",
    ),
    Action(
        "snap-abort",
        "Snap Abort...",
        asks("abort_snapshot"),
        VOLUME,
        reasons.one_group(reasons.each(Volume, _has_snap_plex)),
        submenu=SNAP,
        section=SECTION,
        plural="Snap Abort of {} Volumes...",
    ),
    Action(
        "refresh-snapshots",
        "Refresh...",
        asks("refresh_snapshots"),
        VOLUME,
        reasons.one_group(_cannot_snap_back),
        submenu=SNAP,
        section=SECTION,
        plural="Refresh {} Snapshots...",
    ),
    Action(
        "destroy-snapshot",
        "Destroy...",
        lambda console, selection: console.carry_out(DeleteVolumes(volumes=_refs(selection))),
        VOLUME,
        reasons.one_group(_cannot_destroy),
        submenu=SNAP,
        section=SECTION,
        plural="Destroy {} Snapshots...",
    ),
    Action(
        "quiesce-settings",
        "Quiesce Settings...",
        asks("quiesce_settings"),
        VOLUME,
        reasons.each(Volume, rules.can_schedule),
        submenu=SNAP,
        section=SECTION,
    ),
    Action(
        "prepare-with-mirror",
        "Prepare...",
        asks("prepare_snapshot"),
        PLEX,
        reasons.each(Plex, _plex_can_prepare),
        submenu=SNAP,
        section=SECTION,
    ),
    Action(
        "snap-shot-of-mirror",
        "Snap Shot...",
        asks("snap_shot"),
        PLEX,
        reasons.each(Plex, _plex_can_snap),
        submenu=SNAP,
        section=SECTION,
    ),
    Action(
        "snap-abort-mirror",
        "Snap Abort...",
        lambda console, selection: console.carry_out(AbortSnapshot(plexes=_plexes(selection))),
        PLEX,
        _cannot_abort_plexes,
        submenu=SNAP,
        section=SECTION,
        plural="Snap Abort {} Mirrors...",
    ),
)
