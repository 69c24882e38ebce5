"""Snap Back in both directions, and Snap Clear."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.commands import ClearSnapshots, Master, SnapBack
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.links import unlink
from engine.planners.snap_shot import Part, free_name, split
from engine.planners.volumes import warn_clients
from engine.plans import Plan, Problem
from engine.records import (
    DirtyLog,
    Kind,
    Link,
    Plex,
    PlexState,
    SnapPlex,
    Task,
    TaskParams,
    TaskType,
    Volume,
)
from engine.rules import listed, other_end
from engine.states import COMPLETE


def back(config: Config, command: SnapBack, ids: Ids) -> Plan:
    """Each snapshot's plex is its volume's again, and one copies what differs to the other."""
    snapshots = [config.volume(ref) for ref in dict.fromkeys(command.snapshots)]
    names = listed([volume.name for volume in snapshots])
    restores = command.master is Master.SNAPSHOT
    title = f"Snap Back {names}, using the {'snapshot' if restores else 'original volume'}"
    if blocked := refuse(title, *back_problems(config, command, snapshots)):
        return blocked
    draft = Draft(config, ids, snapshots[0].group)
    originals = [config.volume(_link(volume).peer) for volume in snapshots]
    clients = warn_clients(draft, [v.ref for v in (*snapshots, *(originals if restores else ()))], command.force)
    kept: list[Volume] = []
    tasks = [give_back(draft, volume, title, restores, kept) for volume in snapshots]
    total = sum(task.bytes_total for task in tasks)
    to = listed([volume.name for volume in originals])
    if restores:
        draft.step(rules.copied(total, f"to {to}"), f"{to} reads as {names} from the first instant")
    else:
        draft.step(rules.copied(total, f"from {to}"), f"{to} {'stay' if len(tasks) > 1 else 'stays'} online")
    lost = _lost(names, to, restores, kept, several=len(snapshots) > 1)
    plan = draft.plan(
        title,
        task=tasks[0],
        undo=SnapBack(snapshots=tuple(volume.ref for volume in kept), master=Master.SNAPSHOT)
        if restores and len(kept) == len(snapshots)
        else None,
        destroys=[volume.ref for volume in (originals if restores else snapshots)],
        copies=total,
        redundancy=_redundancy(originals, restores),
        irreversible="" if restores and len(kept) == len(snapshots) else lost,
        confirm=f"{title}? {lost}" + (" Connected clients lose their connection." if clients else ""),
        confirm_button="Snap Back",
    )
    return replace(plan, also=tuple(tasks[1:]))


def give_back(draft: Draft, snapshot: Volume, title: str, restores: bool, kept: list[Volume]) -> Task:
    """One snapshot's plex is its volume's again; answers the copy. What is kept of an original is added to `kept`."""
    config = draft.config
    link = _link(snapshot)
    original = config.volume(link.peer)
    known = _is_known(config, snapshot, link)
    if restores and not original.fenced and original.source is None and (made := _keep(draft, original)) is not None:
        kept.append(made)
        original = draft.config.volume(original.ref)
    (plex,) = config.plexes_of(snapshot.ref)
    number = config.group(original.group).transaction
    others = draft.config.plexes_of(original.ref)
    state = plex.state if restores else PlexState.FILLING
    returned = replace(
        plex,
        volume=original.ref,
        name=_plex_name(draft.config, original, link),
        snap=SnapPlex(converted=link.converted),
        state=state,
        tracked=known and not restores,
        left_at=number,
    )
    filled = [returned]
    if restores:
        filled = [replace(one, state=PlexState.FILLING, tracked=known, left_at=number) for one in others if _lacks(one)]
        draft.put(*filled)
    draft.put(returned)
    for connection in config.connections_of(snapshot.ref):
        draft.drop(connection.ref)
    draft.drop(snapshot.ref)
    links = tuple(one for one in original.links if one.generation != link.generation)
    original = replace(original, links=links, dirty_log=original.dirty_log or DirtyLog(0))
    draft.put(replace(original, fenced="", preferred=None, source=None) if restores else original)
    if not known:
        draft.warn(f"What {snapshot.name} and {original.name} differ in is not known: everything is copied.")
    size = _to_copy(snapshot, original, link) if known else original.size
    params = TaskParams(volume=original.ref, plexes=tuple(one.ref for one in filled))
    name = f"Snap Back {snapshot.name} to {original.name}"
    return draft.task(TaskType.RESYNC, name, original.ref, params, size * len(filled))


def _lacks(plex: Plex) -> bool:
    """A mirror that has the original's bytes; what is out of date already stays so."""
    return plex.state in COMPLETE


def _keep(draft: Draft, original: Volume) -> Volume | None:
    """The present state of a volume that is overwritten becomes a snapshot, where a plex is ready for it."""
    ready = [plex for plex in rules.snap_plexes_of(draft.config, original.ref) if plex.complete]
    if not ready:
        return None
    name = free_name(draft.config, original.group, f"{original.name[:40]}-before-restore")
    made = split(draft, Part(original, ready[0], name), set_id=draft.ids(Kind.VOLUME).id, settled=True)
    draft.step(f"Keep {original.name} as it is now: {name}", "the restore can be taken back")
    return made


def _plex_name(config: Config, original: Volume, link: Link) -> str:
    taken = {plex.name for volume in config.volumes_of(original.group) for plex in config.parts_of(volume.ref)}
    free = link.plex_name and link.plex_name not in taken
    return link.plex_name if free else rules.next_name(f"{original.name}-", taken, digits=2)


def _link(snapshot: Volume) -> Link:
    return snapshot.links[0]


def _is_known(config: Config, snapshot: Volume, link: Link) -> bool:
    other = other_end(config, snapshot.ref, link)
    return link.is_known and other is not None and other.is_known


def _to_copy(snapshot: Volume, original: Volume, link: Link) -> int:
    """What either side has changed; where nobody has counted that, at most so much."""
    known = dict(snapshot.apart).get(link.generation)
    if known is not None:
        return known
    changed = [dict(volume.changed).get(link.generation, 0) for volume in (snapshot, original)]
    return min(sum(changed), original.size)


def back_problems(config: Config, command: SnapBack, snapshots: list[Volume]) -> list[Problem | None]:
    """What is in the way of giving snapshots back."""
    one_group = rules.one_group(config, (volume.group for volume in snapshots), "snapshots", "snapshots")
    found = [one_group, *(_problem(config, command, volume) for volume in snapshots)]
    if any(found):
        return found
    peers = [_link(volume).peer for volume in snapshots]
    twice = next((ref for ref in peers if peers.count(ref) > 1), None)
    if twice is not None:
        text = f"Two of these are snapshots of {config.volume(twice).name}."
        found.append(Problem(text, "Snap back one after the other.", twice, "snapshots"))
    return found


def _problem(config: Config, command: SnapBack, snapshot: Volume) -> Problem | None:
    if blocked := rules.can_snap_back(config, snapshot.ref):
        return blocked
    original = config.volume(_link(snapshot).peer)
    (plex,) = config.plexes_of(snapshot.ref)
    if blocked := rules.in_use_by_clients(config, snapshot.ref, force=command.force):
        return blocked
    if command.master is Master.ORIGINAL:
        good = rules.not_fenced(config, original.ref) or rules.has_source(config, original.ref)
        return good or rules.plex_present(config, plex.ref)
    return (
        rules.not_fenced(config, snapshot.ref)
        or rules.plex_complete(config, plex.ref)
        or rules.in_use_by_clients(config, original.ref, force=command.force)
    )


def _lost(names: str, to: str, restores: bool, kept: list[Volume], *, several: bool) -> str:
    if restores:
        saved = f" What it is now is kept as {listed([volume.name for volume in kept])}." if kept else ""
        return f"The existing data of {to} will be overwritten with that of {names}.{saved}"
    return f"{names} {'end' if several else 'ends'}, and what was written to {'them' if several else 'it'} is lost."


def _redundancy(originals: list[Volume], restores: bool) -> str:
    names = listed([volume.name for volume in originals])
    if not restores:
        keep, ready = ("keep their", "plexes are") if len(originals) > 1 else ("keeps its", "plex is")
        return f"{names} {keep} copies; the snap {ready} ready again at the end."
    return f"Until the copy has completed, the snapshot's plex is the only one that has the bytes of {names}."


def clear(config: Config, command: ClearSnapshots, ids: Ids) -> Plan:
    """Links go from both sides; all volumes stay as they are."""
    volumes = [config.volume(ref) for ref in dict.fromkeys(command.volumes)]
    names = listed([volume.name for volume in volumes])
    title = f"Snap Clear {names}"
    apart = rules.one_group(config, (volume.group for volume in volumes), "volumes", "volumes")
    problems = (rules.volume_ready(config, v.ref) or rules.has_links(config, v.ref) for v in volumes)
    if blocked := refuse(title, apart, *problems):
        return blocked
    draft = Draft(config, ids, volumes[0].group)
    peers = {link.peer for volume in volumes for link in volume.links if link.peer in config}
    apart_from = listed(sorted(config.volume(ref).name for ref in peers)) or "its snapshots"
    for volume in volumes:
        unlink(draft, volume.ref)
    draft.step(f"{names} and {apart_from} forget each other", "all volumes stay online")
    return draft.plan(
        title,
        irreversible="A later resynchronization has to copy everything.",
        confirm=f"{title}? {names} and {apart_from} become independent of each other: a later resynchronization has "
        "to copy everything.",
        confirm_button="Snap Clear",
    )
