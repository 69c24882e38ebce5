"""Volumes: create, delete, start, stop."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.allocate import (
    Space,
    Wish,
    disks_of,
    log_length,
    max_size,
    place_log,
    place_plexes,
    shape_of,
    usable_disks,
    wants_log,
    without,
)
from engine.commands import MAX_SIZE, CreateVolume, DeleteVolumes, StartVolumes, StopVolumes
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.drives import drive_problem, warn_host
from engine.planners.enclosures import warn_made_together
from engine.planners.formats import format_task, steps
from engine.planners.links import unlink
from engine.planners.logs import log_places, log_template, no_room_for_log, wanted_log
from engine.planners.names import next_volume_name
from engine.planners.sizes import named_disks, no_space, rounded, warn_failing
from engine.plans import Plan, Problem, refused
from engine.records import Kind, Plex, Ref, Task, TaskType, Volume, VolumeLayout
from engine.rules import counted, listed
from engine.units import format_size


def create(config: Config, command: CreateVolume, ids: Ids) -> Plan:
    """A volume of size 0 with empty plexes, and the task that zeroes them and publishes the size."""
    name = command.name or next_volume_name(config, command.group)
    title = f"Create Volume {name} in {config.group(command.group).name}"
    if blocked := refuse(title, _create_problem(config, command, name)):
        return blocked
    draft = Draft(config, ids, command.group)
    shape = shape_of(command)
    size = max_size(config, command) if command.size == MAX_SIZE else rounded(draft, command.size, shape.granule)
    disks = usable_disks(config, command.group, command.disks)
    wish = Wish(shape, command.mirrors, size, command.across_enclosures, command.force)
    if command.file_system and (blocked := refuse(title, _format_problem(config, command, size))):
        return blocked
    placed = place_plexes(config, Space(config, disks), wish) if size else None
    if placed is None:
        slots = 1 if command.force else shape.columns * command.mirrors
        return refused(title, no_space(config, disks, slots, size, max_size(config, command)))
    volume = Volume(
        ref=ids(Kind.VOLUME),
        name=name,
        group=command.group,
        dirty_log=wanted_log(command),
        drive_letter=command.letter,
        drive_path=command.path,
    )
    draft.put(volume)
    plex = Plex(ref=volume.ref, name="", volume=volume.ref, **shape._asdict())
    params = replace(draft.add_plexes(volume, plex, placed), size=size)
    if wants_log(command):
        copies = place_log(without(Space(config, disks), placed), disks_of(placed), log_length(size))
        if copies is None:
            return refused(title, no_room_for_log(size))
        logs = draft.add_plexes(volume, log_template(volume), [[(piece,)] for piece in copies])
        params = replace(params, plexes=params.plexes + logs.plexes, subdisks=params.subdisks + logs.subdisks)
    warn_failing(draft, command.disks)
    warn_made_together(draft, volume, wish)
    total = draft.allocated()
    draft.allocation_steps("nobody is affected")
    _log_step(draft, volume, size)
    draft.step(f"Zero {format_size(total)}", f"{name} can't be used yet")
    draft.step(f"Publish {name} with {format_size(size)}", f"{name} is exported")
    _format_steps(draft, command, name, size)
    plan = draft.plan(
        title,
        task=draft.task(TaskType.CREATE_VOLUME, f"Create Volume {name}", volume.ref, params, total),
        undo=DeleteVolumes(volumes=(volume.ref,)),
        zeroes=total,
        redundancy=_redundancy(command, name),
    )
    return replace(plan, also=_further(draft, command, volume))


def _format_steps(draft: Draft, command: CreateVolume, name: str, size: int) -> None:
    if command.file_system:
        steps(draft, name, size, command.file_system, quick=command.quick)
    warn_host(draft, command.letter, command.path, name)


def _further(draft: Draft, command: CreateVolume, volume: Volume) -> tuple[Task, ...]:
    """A file system is made by a task of its own, which waits until the volume is there."""
    if not command.file_system:
        return ()
    title = f"Format {volume.name} with {command.file_system}"
    return (format_task(draft, title, volume, command.file_system, command.label, quick=command.quick),)


def _log_step(draft: Draft, volume: Volume, size: int) -> None:
    """Where the log of the volume will be; of a dirty region log the commit itself takes these pages."""
    names = [
        draft.config.disk(piece.disk).name
        for log in draft.config.logs_of(volume.ref)
        for piece in draft.config.subdisks_of(log.ref)
    ]
    if names:
        draft.step(
            f"Keep the RAID-5 log of {format_size(log_length(size))} on {listed(names)}", "closes the write hole"
        )
    elif volume.dirty_log is not None:
        disks = log_places(draft, volume.ref, size)
        if disks:
            text = f"Keep the dirty region log in the private regions of {listed([disk.name for disk in disks])}"
            draft.step(text, "after a crash only changed regions are copied")


def _redundancy(command: CreateVolume, name: str) -> str:
    if not command.raid5:
        return f"{name} will have {counted(command.mirrors, 'copy')}."
    log = "its log keeps parity true over a crash" if wants_log(command) else "after a crash all parity is made anew"
    return f"{name} will survive the loss of one column; {log}."


def _create_problem(config: Config, command: CreateVolume, name: str) -> Problem | None:
    group = command.group
    return (
        rules.needs_imported(config, group)
        or rules.name_ok(name)
        or rules.name_free(config, Kind.VOLUME, name, group)
        or (None if command.size == MAX_SIZE else rules.size_ok(command.size))
        or rules.mirrors_ok(0, command.mirrors, "mirrors")
        or _shape_problem(command)
        or named_disks(config, group, command.disks)
        or drive_problem(config, command.letter, command.path)
    )


def _format_problem(config: Config, command: CreateVolume, size: int) -> Problem | None:
    return rules.format_problem(config, command.file_system, command.label, size)


def _shape_problem(command: CreateVolume) -> Problem | None:
    if blocked := rules.log_fits(command):
        return blocked
    if command.raid5:
        return rules.parity_ok(command)
    if command.striped:
        return rules.stripes_ok(command.columns, command.stripe_unit)
    if command.columns not in (0, 1):
        return Problem("Only a striped volume has columns.", "Choose the striped layout.", field="columns")
    return None


def delete(config: Config, command: DeleteVolumes, ids: Ids) -> Plan:
    """Volumes with all their mirrors; their space becomes free at once."""
    volumes = [config.volume(ref) for ref in dict.fromkeys(command.volumes)]
    title = f"Delete {_named(volumes)}"
    for volume in volumes:
        if blocked := refuse(title, _same_group(config, volumes), _delete_problem(config, volume, command.force)):
            return blocked
    draft = Draft(config, ids, volumes[0].group)
    clients = warn_clients(draft, [volume.ref for volume in volumes], command.force)
    for volume in volumes:
        unlink(draft, volume.ref)
        for plex in config.parts_of(volume.ref):
            draft.drop_plex(plex.ref)
        draft.drop(volume.ref)
        for connection in config.connections_of(volume.ref):
            draft.drop(connection.ref)
    names, size = listed([volume.name for volume in volumes]), format_size(sum(volume.size for volume in volumes))
    draft.step(f"Delete {_named(volumes)}", "clients are disconnected" if clients else "")
    data = f"All data of {names} ({size}) is lost"
    return draft.plan(
        title,
        destroys=[volume.ref for volume in volumes],
        irreversible=f"{data}.",
        confirm=f"Delete {_named(volumes)}? {data} and cannot be had back.",
        confirm_button="Delete Volume" if len(volumes) == 1 else f"Delete {len(volumes)} Volumes",
    )


def _named(volumes: list[Volume]) -> str:
    return ("Volume " if len(volumes) == 1 else "Volumes ") + listed([volume.name for volume in volumes])


def _delete_problem(config: Config, volume: Volume, force: bool) -> Problem | None:
    return rules.volume_ready(config, volume.ref) or rules.in_use_by_clients(config, volume.ref, force=force)


def _same_group(config: Config, volumes: list[Volume]) -> Problem | None:
    return rules.one_group(config, (volume.group for volume in volumes), "volumes", "volumes")


def warn_clients(draft: Draft, volumes: list[Ref], force: bool) -> int:
    """Tell who is disconnected when it is forced; how many that are."""
    names = [name for volume in volumes for name in rules.clients_of(draft.base, volume)]
    if names and force:
        draft.warn(f"{counted(len(names), 'client')} will be disconnected: {listed(names)}.")
    return len(names)


def start(config: Config, command: StartVolumes, ids: Ids) -> Plan:
    """Volumes that are exported from now on, also after a restart."""
    return _set_started(config, list(dict.fromkeys(command.volumes)), ids, started=True, force=command.force)


def stop(config: Config, command: StopVolumes, ids: Ids) -> Plan:
    """Volumes that are no longer exported, also after a restart."""
    return _set_started(config, list(dict.fromkeys(command.volumes)), ids, started=False, force=command.force)


def _set_started(config: Config, refs: list[Ref], ids: Ids, *, started: bool, force: bool) -> Plan:
    volumes = [config.volume(ref) for ref in refs]
    title = f"{'Start' if started else 'Stop'} {_named(volumes)}"
    if blocked := refuse(title, _same_group(config, volumes), _start_problem(config, volumes, started, force)):
        return blocked
    draft = Draft(config, ids, volumes[0].group)
    changed = [volume for volume in volumes if volume.started is not started or (started and _held_back(volume))]
    draft.put(*(replace(volume, started=started) for volume in changed))
    clients = 0 if started else warn_clients(draft, [volume.ref for volume in changed], force)
    for volume in changed if started and force else ():
        if volume.fenced:
            draft.warn(f"{volume.fenced} By force {volume.name} is believed as it is: check its data afterwards.")
    names = listed([volume.name for volume in changed])
    draft.step(
        f"Export {names}" if started else f"Stop exporting {names}", "clients are disconnected" if clients else ""
    )
    again = tuple(volume.ref for volume in changed)
    return draft.plan(
        title,
        undo=StopVolumes(volumes=again) if started else StartVolumes(volumes=again),
        confirm=f"{title}? Reads and writes of connected clients fail from then on." if clients else "",
        confirm_button=(f"Stop {len(changed)} Volumes" if len(changed) > 1 else "Stop Volume") if clients else "",
    )


def _held_back(volume: Volume) -> bool:
    """RAID-5 that was started, and that its log or its disks keep from taking writes: starting it tries again."""
    return volume.layout is VolumeLayout.RAID5 and bool(volume.fenced)


def _start_problem(config: Config, volumes: list[Volume], started: bool, force: bool) -> Problem | None:
    word = "started" if started else "stopped"
    if all(volume.started is started and not (started and _held_back(volume)) for volume in volumes):
        verb = "is" if len(volumes) == 1 else "are"
        names = listed([volume.name for volume in volumes])
        return Problem(f"{names} {verb} {word} already.", "", volumes[0].ref)
    for volume in volumes:
        blocked = rules.needs_imported(config, volume.group)
        if not started:
            blocked = blocked or rules.no_running_task(config, volume.ref)
            blocked = blocked or rules.in_use_by_clients(config, volume.ref, force=force)
        if blocked:
            return blocked
    return None
