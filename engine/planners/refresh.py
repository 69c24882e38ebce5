"""Refresh: snapshots go back to their volumes, and are taken anew under their names once what differs is copied."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.commands import Master, RefreshSnapshots, SnapBack, SnapChoice, TakeSnapshots, encode
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.snap_back import back_problems, give_back
from engine.planners.snap_shot import warn_crash
from engine.planners.volumes import warn_clients
from engine.plans import Plan
from engine.records import LinkSide, Ref, TaskParams, TaskType, Volume
from engine.rules import listed


def refresh(config: Config, command: RefreshSnapshots, ids: Ids) -> Plan:
    """One transaction gives all of them back; a task waits for the copies, then asks for the Snap Shot."""
    snapshots = [config.volume(ref) for ref in dict.fromkeys(command.snapshots)]
    names = listed([volume.name for volume in snapshots])
    title = f"Refresh {names}"
    given = SnapBack(snapshots=command.snapshots, master=Master.ORIGINAL, force=command.force)
    if blocked := refuse(title, *back_problems(config, given, snapshots)):
        return blocked
    originals = [config.volume(_original(volume)) for volume in snapshots]
    if blocked := refuse(title, *(rules.can_quiesce(config, volume.ref, command.quiesce) for volume in originals)):
        return blocked
    then = _again(config, command, snapshots)
    draft = Draft(config, ids, snapshots[0].group)
    warn_clients(draft, [volume.ref for volume in snapshots], command.force)
    copies = [give_back(draft, volume, title, False, []) for volume in snapshots]
    total = sum(task.bytes_total for task in copies)
    to = listed([volume.name for volume in originals])
    draft.step(rules.copied(total, f"from {to}"), f"{names} is not there meanwhile")
    level = warn_crash(draft, originals, command.quiesce)
    draft.step(f"Take {names} again", f"all at one instant, {level}")
    params = TaskParams(plexes=tuple(ref for task in copies for ref in task.params.plexes), then=encode(then))
    lost = f"What {names} hold{'s' if len(snapshots) == 1 else ''} now is lost."
    plan = draft.plan(
        title,
        task=draft.task(TaskType.REFRESH, title, originals[0].ref, params, total),
        destroys=[volume.ref for volume in snapshots],
        copies=total,
        redundancy=f"{to} keeps its copies; until the copy has completed there is no snapshot.",
        irreversible=lost,
        confirm=f"{title}? {lost} Until what has changed is copied there is no snapshot.",
        confirm_button="Refresh",
    )
    return replace(plan, also=tuple(copies))


def _again(config: Config, command: RefreshSnapshots, snapshots: list[Volume]) -> TakeSnapshots:
    """The same plexes under the same names, drives included."""
    choices = []
    for volume in snapshots:
        link = next(one for one in volume.links if one.side is LinkSide.SNAPSHOT)
        (plex,) = config.plexes_of(volume.ref)
        choices.append(
            SnapChoice(
                volume=link.peer,
                plex=plex.ref,
                name=volume.name,
                agent=link.agent,
                letter=volume.drive_letter,
                path=volume.drive_path,
            )
        )
    set_name = command.set_name or next(link.set_name for link in snapshots[0].links)
    return TakeSnapshots(choices=tuple(choices), set_name=set_name, quiesce=command.quiesce, limit_s=command.limit_s)


def _original(snapshot: Volume) -> Ref:
    return next(link.peer for link in snapshot.links if link.side is LinkSide.SNAPSHOT)
