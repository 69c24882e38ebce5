"""Mirrors of a volume: add, remove, break off, prefer."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.allocate import Shape, Space, Wish, mirror_shape, place_plexes, usable_disks
from engine.commands import AddMirrors, BreakMirror, RemoveMirrors, SetVolumeUsage
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.enclosures import warn_made_together
from engine.planners.logs import log_places
from engine.planners.names import next_volume_name, renamed
from engine.planners.sizes import named_disks, no_space, too_few_disks, warn_failing
from engine.plans import Plan, Problem, refused
from engine.records import DirtyLog, Kind, Plex, PlexState, Ref, TaskType, Volume
from engine.rules import counted, listed
from engine.units import format_size


def add(config: Config, command: AddMirrors, ids: Ids) -> Plan:
    """New plexes that take every write from now on, and the task that fills them."""
    volume = config.volume(command.volume)
    title = f"Add {counted(max(command.count, 1), 'Mirror')} to {volume.name}"
    if blocked := refuse(title, _add_problem(config, command, volume)):
        return blocked
    draft = Draft(config, ids, volume.group)
    model = rules.trusted(config, volume.ref)[0]
    shape = mirror_shape(command, model)
    disks = usable_disks(config, volume.group, command.disks)
    wish = Wish(shape, command.count, volume.size, command.across_enclosures, command.force, volume.ref)
    placed = place_plexes(config, Space(config, disks), wish)
    if placed is None:
        return refused(title, no_room(config, command, volume, shape))
    params = draft.add_plexes(volume, template(model, shape), placed)
    if len(config.plexes_of(volume.ref)) < 2:
        draft.put(replace(volume, dirty_log=volume.dirty_log or DirtyLog(0)))
        log_places(draft, volume.ref, volume.size)
    warn_failing(draft, command.disks)
    warn_made_together(draft, volume, wish)
    total = volume.size * command.count
    draft.allocation_steps(f"{volume.name} stays online")
    copies = len(config.plexes_of(volume.ref)) + command.count
    text = f"Copy {format_size(total)} to the new {'mirror' if command.count == 1 else 'mirrors'}"
    draft.step(text, f"writes go to {counted(copies, 'copy')}")
    return draft.plan(
        title,
        task=draft.task(TaskType.ADD_MIRROR, title, volume.ref, params, total),
        undo=RemoveMirrors(plexes=params.plexes),
        copies=total,
        redundancy=f"{volume.name} keeps {counted(volume.copies, 'copy')} throughout, and has "
        f"{volume.copies + command.count} at the end.",
    )


def template(model: Plex, shape: Shape) -> Plex:
    """What a new mirror is like before it has subdisks."""
    return replace(
        model,
        state=PlexState.FILLING,
        tracked=False,
        snap=None,
        complete=False,
        length=0,
        layout=shape.layout,
        columns=shape.columns,
        stripe_unit=shape.stripe_unit,
    )


def _add_problem(config: Config, command: AddMirrors, volume: Volume) -> Problem | None:
    return (
        rules.volume_ready(config, volume.ref)
        or rules.not_initializing(config, volume.ref)
        or rules.not_parity(config, volume.ref, "has no mirrors")
        or rules.mirrors_ok(len(config.plexes_of(volume.ref)), command.count, "count")
        or _shape_problem(command)
        or rules.has_source(config, volume.ref)
        or named_disks(config, volume.group, command.disks)
    )


def _shape_problem(command: AddMirrors) -> Problem | None:
    if command.striped:
        return rules.stripes_ok(command.columns, command.stripe_unit)
    if command.columns or command.stripe_unit:
        field = "columns" if command.columns else "stripe_unit"
        return Problem(
            "Only a striped mirror has columns and a stripe unit.", "Choose the striped layout.", field=field
        )
    return None


def no_room(config: Config, command: AddMirrors, volume: Volume, shape: Shape) -> Problem:
    """The disks of the other mirrors don't count, and naming one of them is answered with its reason."""
    subdisks = [subdisk for plex in config.plexes_of(volume.ref) for subdisk in config.subdisks_of(plex.ref)]
    taken = {subdisk.disk for subdisk in subdisks}
    named = next((ref for ref in command.disks if ref in taken), None)
    if named is not None and not command.force:
        text = f"{config.disk(named).name} holds a mirror of {volume.name} already."
        return Problem(text, "Choose a disk without a part of this volume.", named, "disks")
    disks = [disk for disk in usable_disks(config, volume.group, command.disks) if disk.ref not in taken]
    slots = shape.columns * command.count
    if problem := too_few_disks(config, disks, slots):
        return problem
    free, need = sum(disk.free for disk in disks), shape.column_length(volume.size) * slots
    if need > free:
        text = f"There is too little free space for a mirror: {rules.needed_free(need, free)}."
        return Problem(text, "Add disks to the disk group.", volume.ref, "disks")
    return no_space(config, disks, slots, volume.size, 0)


def remove(config: Config, command: RemoveMirrors, ids: Ids) -> Plan:
    """Plexes that go, their space becomes free; each volume keeps a complete one."""
    refs = list(dict.fromkeys(command.plexes))
    names = listed([config.plex(ref).name for ref in refs])
    title = f"Remove {'Mirror' if len(refs) == 1 else 'Mirrors'} {names}"
    volumes = [config.volume(ref) for ref in dict.fromkeys(config.plex(ref).volume for ref in refs)]
    apart = rules.one_group(config, (volume.group for volume in volumes), "mirrors", "plexes")
    for ref in refs:
        apart = apart or rules.not_snap_plex(config, ref)
    if blocked := refuse(title, apart, rules.plexes_can_go(config, refs)):
        return blocked
    draft = Draft(config, ids, volumes[0].group)
    for ref in refs:
        draft.drop_plex(ref)
    for volume in volumes:
        draft.put(without(draft, volume))
    left = ", ".join(f"{volume.name} keeps {counted(_left(draft, volume), 'copy')}" for volume in volumes)
    draft.step(f"Remove {names}", left)
    return draft.plan(
        title,
        destroys=refs,
        redundancy=f"{left}.",
        irreversible=f"The copy on {names} is lost; a new mirror has to be filled again.",
        confirm=f"Remove {names}? {left}.",
        confirm_button="Remove Mirror" if len(refs) == 1 else f"Remove {len(refs)} Mirrors",
    )


def _left(draft: Draft, volume: Volume) -> int:
    return len(rules.trusted(draft.config, volume.ref))


def without(draft: Draft, volume: Volume) -> Volume:
    """The volume after plexes have gone: what pointed to one of them points nowhere, and one plex has no doubt."""
    plexes = draft.config.plexes_of(volume.ref)
    left = {plex.ref for plex in plexes}
    return replace(
        volume,
        preferred=volume.preferred if volume.preferred in left and len(left) > 1 else None,
        source=None if len(left) == 1 else volume.source,
    )


def break_off(config: Config, command: BreakMirror, ids: Ids) -> Plan:
    """A complete plex becomes a volume of its own, as it is at this moment."""
    plex = config.plex(command.plex)
    volume = config.volume(plex.volume)
    name = command.name or next_volume_name(config, volume.group)
    title = f"Break Mirror {plex.name} off {volume.name} as {name}"
    free = (
        rules.not_snap_plex(config, plex.ref)
        or rules.name_ok(name)
        or rules.name_free(config, Kind.VOLUME, name, volume.group)
    )
    if blocked := refuse(title, rules.plex_can_break(config, plex.ref), free):
        return blocked
    draft = Draft(config, ids, volume.group)
    new = Volume(ref=ids(Kind.VOLUME), name=name, group=volume.group, size=volume.size, started=volume.started)
    draft.put(new)
    draft.put(replace(plex, volume=new.ref))
    draft.put(*renamed([replace(plex, volume=new.ref, name=f"{volume.name}-01")], volume.name, name, ()))
    draft.put(without(draft, volume))
    left = f"{volume.name} keeps {counted(_left(draft, volume), 'copy')}"
    draft.step(f"Make {plex.name} the volume {name}", left)
    return draft.plan(
        title,
        redundancy=f"{left}; {name} has 1 copy.",
        irreversible=f"{name} can't be joined to {volume.name} again; a new mirror of {volume.name} has to be filled.",
        confirm=f"Break {plex.name} off {volume.name}? It becomes the volume {name} as it is at this moment. {left}.",
        confirm_button="Break Mirror",
    )


def set_usage(config: Config, command: SetVolumeUsage, ids: Ids) -> Plan:
    """Which mirror serves reads."""
    volume = config.volume(command.volume)
    plex = config.plex(command.preferred) if command.preferred else None
    how = f"from {plex.name}" if plex else "from all mirrors by layout"
    title = f"Read {volume.name} {how}"
    if blocked := refuse(title, _usage_problem(config, volume, command.preferred)):
        return blocked
    draft = Draft(config, ids, volume.group)
    draft.put(replace(volume, preferred=command.preferred))
    draft.step(f"Read {how}", f"{volume.name} stays online")
    return draft.plan(title, undo=SetVolumeUsage(volume=volume.ref, preferred=volume.preferred))


def _usage_problem(config: Config, volume: Volume, preferred: Ref | None) -> Problem | None:
    if blocked := rules.needs_imported(config, volume.group):
        return blocked
    plexes = config.plexes_of(volume.ref)
    if len(plexes) < 2:
        return Problem(f"{volume.name} has one mirror only.", "Add a mirror first.", volume.ref)
    if preferred is None:
        return None
    plex = config.plex(preferred)
    if plex.volume != volume.ref:
        text = f"{plex.name} is no mirror of {volume.name}."
        return Problem(text, "Choose one of its mirrors.", preferred, "preferred")
    return rules.not_snap_plex(config, preferred, "Choose another mirror.") or rules.plex_complete(config, preferred)
