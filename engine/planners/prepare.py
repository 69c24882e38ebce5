"""Prepare for Snap Shot, and Snap Abort: snap plexes come and go."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.allocate import Space, Wish, mirror_shape, place_plexes, usable_disks
from engine.commands import AbortSnapshot, AddMirrors, PrepareSnapshot
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.enclosures import warn_made_together
from engine.planners.mirrors import no_room, template, without
from engine.planners.sizes import named_disks, warn_failing
from engine.plans import Plan, Problem, refused
from engine.records import DirtyLog, Plex, Ref, SnapPlex, TaskType, Volume
from engine.rules import counted, listed
from engine.units import format_size


def prepare(config: Config, command: PrepareSnapshot, ids: Ids) -> Plan:
    """A new plex that is filled and kept in step, or a mirror that is set apart."""
    volume = config.volume(command.volume)
    title = f"Prepare {volume.name} for Snap Shot"
    if blocked := refuse(title, rules.can_prepare(config, volume.ref)):
        return blocked
    if command.plex is not None:
        return _convert(config, command, volume, command.plex, ids)
    if blocked := refuse(title, _new_problem(config, command, volume)):
        return blocked
    draft = Draft(config, ids, volume.group)
    model = rules.trusted(config, volume.ref)[0]
    like = AddMirrors(volume=volume.ref, disks=command.disks, force=command.force)
    shape = mirror_shape(like, model)
    wish = Wish(shape, 1, volume.size, False, command.force, volume.ref)
    placed = place_plexes(config, Space(config, usable_disks(config, volume.group, command.disks)), wish)
    if placed is None:
        return refused(title, no_room(config, like, volume, shape))
    params = draft.add_plexes(volume, replace(template(model, shape), snap=SnapPlex()), placed)
    _track(draft, volume)
    warn_failing(draft, command.disks)
    warn_made_together(draft, volume, wish)
    shared = _warn_shared(draft, volume, params.plexes[0])
    draft.allocation_steps(f"{volume.name} stays online")
    draft.step(f"Copy {format_size(volume.size)} to the snap plex", "reads and writes go on")
    name = draft.config.plex(params.plexes[0]).name
    draft.step(f"Keep {name} in step: Snap Ready", "" if shared else "its snapshots can be split off")
    return draft.plan(
        title,
        task=draft.task(TaskType.ADD_MIRROR, title, volume.ref, params, volume.size),
        undo=AbortSnapshot(plexes=params.plexes),
        copies=volume.size,
        redundancy=f"{volume.name} keeps {counted(volume.copies, 'copy')}; a snap plex does not count.",
    )


def _new_problem(config: Config, command: PrepareSnapshot, volume: Volume) -> Problem | None:
    return (
        rules.mirrors_ok(len(config.plexes_of(volume.ref)), 1, "volume")
        or rules.has_source(config, volume.ref)
        or named_disks(config, volume.group, command.disks)
    )


def _track(draft: Draft, volume: Volume) -> None:
    """Where a write has failed on some plex only stands in the log: without it no snapshot could be taken."""
    draft.put(replace(volume, dirty_log=volume.dirty_log or DirtyLog(0)))


def _warn_shared(draft: Draft, volume: Volume, plex: Ref) -> bool:
    """Whether it lies on disks of other mirrors: then it can't get a group of its own."""
    own = {subdisk.disk for subdisk in draft.config.subdisks_of(plex)}
    others = {sd.disk for other in draft.base.plexes_of(volume.ref) for sd in draft.base.subdisks_of(other.ref)}
    shared = [draft.base.disk(ref).name for ref in sorted(own & others)]
    if shared:
        draft.warn(
            f"{listed(shared)} {'holds' if len(shared) == 1 else 'hold'} {volume.name}, too: its snapshots can't be "
            "split off into a disk group of their own."
        )
    return bool(shared)


def _convert(config: Config, command: PrepareSnapshot, volume: Volume, ref: Ref, ids: Ids) -> Plan:
    """A mirror that counts as a copy no longer: it waits to become a snapshot."""
    plex = config.plex(ref)
    title = f"Prepare {volume.name} for Snap Shot with {plex.name}"
    if blocked := refuse(title, _convert_problem(config, command, volume, ref)):
        return blocked
    draft = Draft(config, ids, volume.group)
    draft.put(replace(plex, snap=SnapPlex(converted=True)))
    preferred = None if volume.preferred == ref else volume.preferred
    _track(draft, replace(volume, preferred=preferred))
    _warn_shared(draft, volume, ref)
    draft.step(f"Keep {plex.name} for a Snap Shot: Snap Ready", f"{volume.name} stays online")
    left = counted(volume.copies - 1, "copy")
    return draft.plan(
        title,
        undo=AbortSnapshot(plexes=(ref,)),
        redundancy=f"{volume.name} keeps {left}: a snap plex does not count.",
        confirm=f"Use {plex.name} as the snap plex of {volume.name}? {volume.name} keeps {left}.",
        confirm_button="Prepare",
    )


def _convert_problem(config: Config, command: PrepareSnapshot, volume: Volume, plex: Ref) -> Problem | None:
    if config.plex(plex).volume != volume.ref:
        text = f"{config.plex(plex).name} is no mirror of {volume.name}."
        return Problem(text, "Choose one of its mirrors.", plex, "plex")
    if command.disks:
        return Problem("A mirror that is there needs no disks.", "Choose the mirror or the disks.", plex, "disks")
    return rules.can_convert(config, plex)


def abort(config: Config, command: AbortSnapshot, ids: Ids) -> Plan:
    """Snap plexes that were made for it go, and their space becomes free; mirrors are mirrors again."""
    plexes = [config.plex(ref) for ref in dict.fromkeys(command.plexes)]
    names = listed([plex.name for plex in plexes])
    title = f"Snap Abort {names}"
    volumes = [config.volume(ref) for ref in dict.fromkeys(plex.volume for plex in plexes)]
    apart = rules.one_group(config, (volume.group for volume in volumes), "snap plexes", "plexes")
    going = [plex.ref for plex in plexes if plex.snap is not None and not plex.snap.converted]
    for plex in plexes:
        apart = apart or rules.is_snap_plex(config, plex.ref)
    ready = (rules.volume_ready(config, volume.ref) for volume in volumes)
    if blocked := refuse(title, apart, *ready, rules.plexes_can_go(config, going) if going else None):
        return blocked
    draft = Draft(config, ids, volumes[0].group)
    for plex in plexes:
        if plex.ref in going:
            draft.drop_plex(plex.ref)
        else:
            draft.put(replace(plex, snap=None))
    for volume in volumes:
        draft.put(without(draft, volume))
    draft.step(f"Abort the snapshot of {listed([volume.name for volume in volumes])}", "volumes stay online")
    if going:
        draft.step(f"Remove {listed([config.plex(ref).name for ref in going])}", "their space becomes free")
    sole = plexes[0] if len(plexes) == 1 else None
    return draft.plan(
        title,
        undo=PrepareSnapshot(volume=sole.volume, plex=sole.ref if not going else None) if sole is not None else None,
        destroys=going,
        redundancy=_after(plexes, volumes, going),
        irreversible="" if sole is not None else "Each volume has to be prepared again.",
        confirm=f"Abort the snapshot on {names}? Before the next Snap Shot it has to be prepared"
        + (" and filled again." if going else " again."),
        confirm_button="Snap Abort",
    )


def _after(plexes: list[Plex], volumes: list[Volume], going: list[Ref]) -> str:
    """A mirror that is one again counts."""
    said = []
    for volume in volumes:
        back = sum(plex.volume == volume.ref and plex.ref not in going for plex in plexes)
        said.append(f"{volume.name} has {counted(volume.copies + back, 'copy')}")
    return f"{listed(said)}."
