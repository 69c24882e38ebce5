"""Plexes that leave and come back, and volumes that are made equal or compared."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.commands import AttachPlex, DetachPlex, ResyncVolume, VerifyVolume
from engine.config import Config
from engine.planners import parity
from engine.planners.draft import Draft, Ids, refuse
from engine.plans import Plan, Problem
from engine.records import Plex, PlexState, Ref, TaskParams, TaskType, Volume, VolumeLayout
from engine.rules import counted, listed
from engine.states import COMPLETE
from engine.units import format_size

_LEFT_OUT = frozenset({PlexState.STALE, PlexState.IOFAIL, PlexState.OFFLINE, PlexState.FILLING})


def detach(config: Config, command: DetachPlex, ids: Ids) -> Plan:
    """A plex that takes no more reads and writes until it is attached again."""
    plex = config.plex(command.plex)
    volume = config.volume(plex.volume)
    title = f"Detach Mirror {plex.name}"
    if blocked := refuse(title, rules.not_snap_plex(config, plex.ref), rules.plex_can_detach(config, plex.ref)):
        return blocked
    draft = Draft(config, ids, volume.group)
    tracked = plex.tracked or (_is_logged(volume) and plex.state in COMPLETE)
    number = config.group(volume.group).transaction
    draft.put(replace(plex, state=PlexState.OFFLINE, tracked=tracked, left_at=number))
    if volume.preferred == plex.ref:
        draft.put(replace(volume, preferred=None))
    left = len(rules.trusted(config, volume.ref)) - (
        plex.ref in {good.ref for good in rules.trusted(config, volume.ref)}
    )
    draft.step(f"Detach {plex.name}", f"{volume.name} keeps {counted(left, 'copy')}")
    return draft.plan(
        title,
        undo=AttachPlex(plex=plex.ref),
        redundancy=f"{volume.name} keeps {counted(left, 'copy')} until {plex.name} is attached again.",
        confirm=f"Detach {plex.name} from {volume.name}? Attaching it again copies "
        f"{'what is written meanwhile' if tracked else format_size(volume.size)}.",
        confirm_button="Detach Mirror",
    )


def attach(config: Config, command: AttachPlex, ids: Ids) -> Plan:
    """A plex that takes every write from now on, and the task that fills it."""
    plex = config.plex(command.plex)
    title = f"Attach Mirror {plex.name}"
    if blocked := refuse(title, rules.plex_can_attach(config, plex.ref)):
        return blocked
    return _fill(config, config.volume(plex.volume), [plex], title, ids, DetachPlex(plex=plex.ref))


def resync(config: Config, command: ResyncVolume, ids: Ids) -> Plan:
    """All plexes that are left out are filled; when there is none, all are made equal to one source."""
    volume = config.volume(command.volume)
    title = f"Resynchronize {volume.name}"
    if volume.layout is VolumeLayout.RAID5:
        return parity.resync(config, volume, ids)
    if blocked := refuse(title, _resync_problem(config, volume)):
        return blocked
    plexes = config.plexes_of(volume.ref)
    left_out = [plex for plex in plexes if plex.state in _LEFT_OUT]
    if left_out and volume.source is None:
        reachable = [plex for plex in left_out if rules.plex_present(config, plex.ref) is None]
        return _fill(config, volume, reachable, title, ids, None)
    source = volume.source or _source(config, volume)
    others = [plex for plex in plexes if plex.ref != source and rules.plex_present(config, plex.ref) is None]
    return _fill(config, replace(volume, source=source), others, title, ids, None)


def _source(config: Config, volume: Volume) -> Ref:
    """The plex to believe: the preferred one, else the first."""
    good = [plex.ref for plex in rules.trusted(config, volume.ref)]
    return volume.preferred if volume.preferred in good else good[0]


def _resync_problem(config: Config, volume: Volume) -> Problem | None:
    if blocked := rules.volume_ready(config, volume.ref) or rules.not_initializing(config, volume.ref):
        return blocked
    plexes = config.plexes_of(volume.ref)
    if len(plexes) < 2:
        return Problem(f"{volume.name} has one mirror only.", "There is nothing to make it equal to.", volume.ref)
    if blocked := rules.has_source(config, volume.ref):
        return blocked
    wanting = [plex for plex in plexes if plex.state in _LEFT_OUT] or plexes
    missing = [rules.plex_present(config, plex.ref) for plex in wanting if plex.ref != volume.source]
    if all(missing) and missing:
        return missing[0]
    present = [plex for plex in plexes if rules.plex_present(config, plex.ref) is None]
    return None if len(present) > 1 else next(filter(None, missing), None)


def _fill(config: Config, volume: Volume, plexes: list[Plex], title: str, ids: Ids, undo: DetachPlex | None) -> Plan:
    """`volume` carries the source to believe, when its plexes are in doubt."""
    draft = Draft(config, ids, volume.group)
    draft.put(volume)
    draft.put(*(replace(plex, state=PlexState.FILLING) for plex in plexes if plex.state not in COMPLETE))
    refs = tuple(plex.ref for plex in plexes)
    whole = config.volume(volume.ref).source is None and all(plex.state in COMPLETE for plex in plexes)
    total = sum(_to_copy(volume, plex, whole) for plex in plexes)
    names = listed([plex.name for plex in plexes])
    origin = f" from {config.plex(volume.source).name}" if volume.source else ""
    reads = (
        f"reads come{origin}"
        if origin
        else f"reads come from the {'other' if len(plexes) == 1 else 'complete'} mirrors"
    )
    draft.step(rules.copied(total, f"{origin} to {names}".strip()), f"{reads}, writes go to every copy")
    good = 1 if volume.source else len(rules.trusted(config, volume.ref))
    return draft.plan(
        title,
        task=draft.task(
            TaskType.RESYNC, title, volume.ref, TaskParams(volume=volume.ref, plexes=refs, whole=whole), total
        ),
        undo=undo,
        copies=total,
        redundancy=f"{volume.name} has {counted(good, 'complete copy')} until the copy has ended.",
        irreversible=f"What {names} {'holds' if len(plexes) == 1 else 'hold'} now is overwritten.",
    )


def _is_logged(volume: Volume) -> bool:
    return volume.dirty_log is not None and bool(volume.dirty_log.places)


def _to_copy(volume: Volume, plex: Plex, whole: bool) -> int:
    """The bytes that a copy to a plex takes, as far as that is known beforehand: all, or what it has missed."""
    known = plex.tracked or (plex.state in COMPLETE and _is_logged(volume))
    return volume.dirty_bytes if known and not whole else volume.size


def verify(config: Config, command: VerifyVolume, ids: Ids) -> Plan:
    """A task that reads all plexes and compares them."""
    volume = config.volume(command.volume)
    title = f"Verify {volume.name}"
    if blocked := refuse(title, _verify_problem(config, volume)):
        return blocked
    draft = Draft(config, ids, volume.group)
    plexes = [plex for plex in config.plexes_of(volume.ref) if plex.complete]
    if volume.layout is VolumeLayout.RAID5:
        what = f"Read {format_size(volume.size)} and compare it with its parity"
    else:
        what = f"Read and compare {format_size(volume.size)} on {counted(len(plexes), 'mirror')}"
    draft.step(what, f"{volume.name} stays online")
    params = TaskParams(volume=volume.ref, plexes=tuple(plex.ref for plex in plexes))
    task = draft.task(TaskType.VERIFY, title, volume.ref, params, volume.size)
    return draft.plan(title, task=task, redundancy=f"{volume.name} keeps {counted(volume.copies, 'copy')} throughout.")


def _verify_problem(config: Config, volume: Volume) -> Problem | None:
    if blocked := rules.volume_ready(config, volume.ref) or rules.not_initializing(config, volume.ref):
        return blocked
    if volume.source is not None:
        text = f"The mirrors of {volume.name} are not known to be equal."
        return Problem(text, "Resynchronize the volume first.", volume.ref)
    if volume.layout is VolumeLayout.RAID5:
        return rules.all_complete(config, volume.ref)
    return rules.has_source(config, volume.ref)
