"""Verify and Repair: which places of a volume are made equal to which mirror."""

from __future__ import annotations

from engine import rules
from engine.commands import ScrubVolume
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.parity import repair_parity
from engine.plans import Plan, Problem
from engine.records import Plex, TaskParams, TaskType, Volume, VolumeLayout
from engine.rules import counted, listed
from engine.units import format_size


def scrub(config: Config, command: ScrubVolume, ids: Ids) -> Plan:
    """The task that compares, and writes to the other mirrors where they differ from the chosen one."""
    volume, source = config.volume(command.volume), config.plex(command.source)
    if volume.layout is VolumeLayout.RAID5:
        return repair_parity(config, volume, ids)
    title = f"Verify and Repair {volume.name}"
    if blocked := refuse(title, _problem(config, volume, source)):
        return blocked
    draft = Draft(config, ids, volume.group)
    others = [plex.name for plex in config.plexes_of(volume.ref) if plex.complete and plex.ref != source.ref]
    ranges = rules.found_different(config, volume.ref)
    total = sum(length for _, length in ranges) or volume.size
    where = f"{counted(len(ranges), 'range')} of {format_size(total)}" if ranges else f"all {format_size(total)}"
    draft.step(f"Read {where} on {source.name} and on {listed(others)}", f"{volume.name} stays online")
    draft.step(f"Make {counted(len(ranges), 'range') if ranges else 'what differs'} equal to {source.name}")
    params = TaskParams(volume=volume.ref, plexes=(source.ref,), ranges=ranges)
    return draft.plan(
        title,
        task=draft.task(TaskType.SCRUB, f"{title} from {source.name}", volume.ref, params, total),
        redundancy=f"{volume.name} keeps {counted(volume.copies, 'copy')} throughout.",
        irreversible=f"Where {listed(others)} {'differs' if len(others) == 1 else 'differ'} from {source.name}, what "
        f"stands there now is overwritten.",
        confirm=f"Make {listed(others)} equal to {source.name} where they differ? What stands there now is lost.",
        confirm_button="Verify and Repair",
    )


def _problem(config: Config, volume: Volume, source: Plex) -> Problem | None:
    if blocked := rules.volume_ready(config, volume.ref) or rules.not_initializing(config, volume.ref):
        return blocked
    if source.volume != volume.ref:
        text = f"{source.name} is no mirror of {volume.name}."
        return Problem(text, "Choose one of its own mirrors.", source.ref, "source")
    if len([plex for plex in config.plexes_of(volume.ref) if plex.complete]) < 2:
        text = f"{volume.name} has no two complete mirrors."
        return Problem(text, "There is nothing to compare.", volume.ref)
    if volume.source is not None:
        text = f"The mirrors of {volume.name} are not known to be equal."
        return Problem(text, "Resynchronize the volume first.", volume.ref)
    return rules.plex_complete(config, source.ref)
