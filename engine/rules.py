"""Why something is impossible: each rule answers None, or one sentence and the first thing that would help.

Planners refuse with these, and the console greys actions and drop targets with the very same ones. Every rule takes the
configuration first and never raises for records that exist.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable, Sequence

from engine.allocate import Space
from engine.config import Config
from engine.geometry import LUN_MIN
from engine.plans import Problem
from engine.records import (
    TASK_ENDED,
    Disk,
    Group,
    GroupState,
    Kind,
    Plex,
    PlexState,
    Ref,
    Subdisk,
    Task,
    TaskType,
)
from engine.states import COMPLETE
from engine.units import ALLOCATION_UNIT, KIB, MIB, align_down, format_apart, format_exact, format_size

NAME_MAX = 31
_NAME_START = frozenset(string.ascii_letters + string.digits + "_")
_NAME_CHARACTERS = _NAME_START | frozenset("-.")
SIZE_MAX = 1 << 60
COLUMNS_MAX = 64
MIRRORS_MAX = 32
STRIPE_UNIT_MIN, STRIPE_UNIT_MAX = 4 * KIB, 16 * MIB
IODELAY_MAX_MS = 60_000
SECTOR = 4096
"""Chosen offsets lie on this boundary: the largest block of a LUN."""


# --- names, sizes and numbers ---
def name_ok(name: str, field: str = "name") -> Problem | None:
    """1 to 31 letters, digits, `_`, `-` or `.`, and neither `-` nor `.` first."""
    rule = f"Use 1 to {NAME_MAX} letters, digits, _ , - or . and begin with a letter, a digit or _ ."
    if not name:
        return Problem("The name is empty.", rule, field=field)
    if len(name) > NAME_MAX:
        return Problem(f"The name has {len(name)} characters; {NAME_MAX} is the most.", rule, field=field)
    bad = next((char for char in name if char not in _NAME_CHARACTERS), None)
    if bad is not None:
        return Problem(f"The name holds {_character(bad)}, which a name can't have.", rule, field=field)
    if name[0] not in _NAME_START:
        return Problem(f"The name begins with {_character(name[0])}.", rule, field=field)
    return None


def _character(char: str) -> str:
    named = {" ": "a space", "\n": "a line break", "\t": "a tab", "\r": "a carriage return"}
    if char in named:
        return named[char]
    return f"“{char}”" if char.isprintable() else f"the control character {ord(char)}"


def name_free(config: Config, kind: Kind, name: str, group: Ref | None, own: Ref | None = None) -> Problem | None:
    """Nothing else of this kind has the name, in the group or on the host."""
    found = config.find(kind, name, group)
    if found is None or found.ref == own:
        return None
    where = f" in {config.group(group).name}" if group else ""
    return Problem(f"There is a {kind.value} {name}{where} already.", "Choose another name.", found.ref, "name")


def next_name(prefix: str, taken: Collection[str], digits: int = 1) -> str:
    """`prefix` with the lowest number from 1 that is free: `Volume1`, `ev-01`."""
    number = 1
    while (name := f"{prefix}{number:0{digits}d}") in taken:
        number += 1
    return name


def size_ok(size: int) -> Problem | None:
    """A size that a volume may be asked to have."""
    if size <= 0:
        text = f"A size of {size} bytes makes no sense."
        return Problem(text, f"Give at least {format_size(ALLOCATION_UNIT)}.", field="size")
    if size > SIZE_MAX:
        return Problem(f"{format_size(size)} is more than any volume can have.", "Give a smaller size.", field="size")
    return None


def stripes_ok(columns: int, stripe_unit: int) -> Problem | None:
    """Columns and stripe unit of a striped plex; 0 means the default."""
    if columns and not 2 <= columns <= COLUMNS_MAX:
        text = f"{columns} {'column is' if columns == 1 else 'columns are'} not possible for a striped volume."
        return Problem(text, f"Give 2 to {COLUMNS_MAX} columns.", field="columns")
    power = stripe_unit & (stripe_unit - 1) == 0
    if stripe_unit and not (power and STRIPE_UNIT_MIN <= stripe_unit <= STRIPE_UNIT_MAX):
        text = f"A stripe unit of {format_exact(stripe_unit)} is not possible."
        return Problem(text, "Give a power of two from 4 KiB to 16 MiB.", field="stripe_unit")
    return None


def mirrors_ok(present: int, more: int, field: str) -> Problem | None:
    """How many mirrors a volume may have in all."""
    if more < 1:
        return Problem(f"{more} mirrors make no sense.", "Give 1 or more.", field=field)
    if present + more > MIRRORS_MAX:
        text = f"{present + more} mirrors are more than the {MIRRORS_MAX} that a volume can have."
        return Problem(text, f"Ask for {MIRRORS_MAX - present} at most.", field=field)
    return None


def needed_free(needed: int, free: int) -> str:
    """`1.1 GiB needed, 0.8 GiB free`, in exact bytes where the short forms are equal."""
    need, have = format_apart(needed, free)
    return f"{need} needed, {have} free"


# --- groups ---
def needs_imported(config: Config, group: Ref | None) -> Problem | None:
    """The group is ours now, and changes to it can be made durable."""
    record = config.get(group)
    if not isinstance(record, Group):
        return Problem("This belongs to no disk group.", "Add the disk to a disk group first.", group)
    if record.state is GroupState.FOREIGN:
        owner = f" by {record.owner}" if record.owner else " by another host"
        return Problem(f"{record.name} is imported{owner}.", "Deport it there, then import it here.", group)
    if record.state is GroupState.DEPORTED:
        return Problem(f"{record.name} is deported.", "Import it first.", group)
    if record.frozen:
        text = f"{record.name} is frozen: {record.frozen.rstrip('.')}."
        return Problem(text, "Bring its missing disks back and rescan.", group)
    return None


def one_group(config: Config, groups: Iterable[Ref | None], what: str, field: str = "") -> Problem | None:
    """One command is one transaction, and that belongs to one group. `what` is the objects' plural."""
    names = [config.group(ref).name for ref in dict.fromkeys(groups) if ref is not None]
    if len(names) < 2:
        return None
    return Problem(f"The {what} belong to {listed(names)}.", f"Choose {what} of one disk group.", field=field)


def group_without_volumes(config: Config, group: Ref) -> Problem | None:
    """Only a group without volumes may be destroyed."""
    names = [volume.name for volume in config.volumes_of(group)]
    if not names:
        return None
    text = f"{config.group(group).name} holds {counted(len(names), 'volume')}: {listed(names)}."
    return Problem(text, "Delete it first." if len(names) == 1 else "Delete them first.", group)


def group_quiet(config: Config, group: Ref) -> Problem | None:
    """No task runs in the group."""
    task = next((task for task in config.tasks_of(group) if task.state not in TASK_ENDED), None)
    return None if task is None else running(task, config.group(group).name)


# --- disks ---
def disk_present(config: Config, disk: Ref) -> Problem | None:
    """The LUN of the disk answers."""
    record = config.disk(disk)
    return None if record.present else Problem(f"{record.name} is missing.", "Bring its LUN back and rescan.", disk)


def disk_can_join(config: Config, disk: Ref, *, force: bool) -> Problem | None:
    """A disk that may be initialized: in no group, with nothing foreign on it, large enough."""
    record = config.disk(disk)
    group = config.get(record.group)
    if group is not None:
        return Problem(f"{record.name} belongs to {group.name}.", "Choose a disk of no group.", disk, "disks")
    if missing := disk_present(config, disk):
        return missing
    if record.size < LUN_MIN:
        text = f"{record.name} is too small: {format_size(record.size)}, at least {format_size(LUN_MIN)} is needed."
        return Problem(text, "Choose a larger LUN.", disk, "disks")
    if record.content and not force:
        text = f"{record.name} carries {_article(record.content)}."
        help_ = "Choose another disk, or have it overwritten when it joins a disk group (-f)."
        return Problem(text, help_, disk, "disks")
    return None


def _article(content: str) -> str:
    if content.startswith(("a ", "an ", "the ")):
        return content
    return f"{'an' if content[0] in 'aeiouAEIOU' else 'a'} {content}"


def disk_empty(config: Config, disk: Ref) -> Problem | None:
    """No subdisk lies on the disk."""
    subdisks = config.subdisks_on(disk)
    if not subdisks:
        return None
    names = dict.fromkeys(config.volume_of(subdisk).name for subdisk in subdisks)
    text = f"{config.disk(disk).name} holds {counted(len(subdisks), 'subdisk')} of {listed(names)}."
    return Problem(text, "Evacuate the disk first.", disk, "disks")


# --- volumes ---
def running(task: Task, name: str) -> Problem:
    """The sentence about a task in the way."""
    text = f"The task “{task.name}” is {task.state.value} on {name}."
    return Problem(text, "Wait for it to end, or abort it.", task.ref)


def task_of(config: Config, volume: Ref) -> Task | None:
    """The task that works on a volume now; a volume has one at most."""
    tasks = config.tasks_of(config.volume(volume).group)
    return next((task for task in tasks if task.state not in TASK_ENDED and volume in volumes_of(config, task)), None)


def volumes_of(config: Config, task: Task) -> set[Ref]:
    """The volumes that a task works on."""
    params = task.params
    found = {params.volume, task.object}
    for ref in params.subdisks:
        subdisk = config.get(ref)
        found.add(subdisk.plex if isinstance(subdisk, Subdisk) else None)
    plexes = [config.get(ref) for ref in (*found, *params.plexes) if ref is not None and ref.kind is Kind.PLEX]
    found |= {plex.volume for plex in plexes if isinstance(plex, Plex)}
    return {ref for ref in found if ref is not None and ref.kind is Kind.VOLUME}


def no_running_task(config: Config, volume: Ref) -> Problem | None:
    """A volume has one task at a time."""
    task = task_of(config, volume)
    return None if task is None else running(task, config.volume(volume).name)


def volume_ready(config: Config, volume: Ref) -> Problem | None:
    """The volume may be changed: its group is imported and nothing else works on it."""
    return needs_imported(config, config.volume(volume).group) or no_running_task(config, volume)


def not_initializing(config: Config, volume: Ref) -> Problem | None:
    """The volume has been zeroed and shows its size."""
    record = config.volume(volume)
    if record.size:
        return None
    return Problem(f"{record.name} was never initialized to its end.", "Delete it and create it again.", volume)


def in_use_by_clients(config: Config, volume: Ref, *, force: bool = False) -> Problem | None:
    """Nobody is connected to the volume's export."""
    names = [record.name for record in config.connections_of(volume)]
    if force or not names:
        return None
    text = f"{config.volume(volume).name} is in use by {listed(names)}."
    return Problem(text, "Disconnect them: Stop Volume and Disconnect Clients (-f).", volume)


# --- plexes ---
def trusted(config: Config, volume: Ref) -> list[Plex]:
    """The plexes whose content is the volume's: complete, and while there is a source to believe, that one alone."""
    source = config.volume(volume).source
    return [plex for plex in config.plexes_of(volume) if plex.complete and source in (None, plex.ref)]


def has_source(config: Config, volume: Ref) -> Problem | None:
    """There is a mirror to copy from."""
    if trusted(config, volume):
        return None
    text = f"{config.volume(volume).name} has no complete mirror to copy from."
    return Problem(text, "Bring its missing disks back and rescan.", volume)


def all_complete(config: Config, volume: Ref) -> Problem | None:
    """Every plex is complete and none in doubt."""
    good = {plex.ref for plex in trusted(config, volume)}
    bad = [plex.name for plex in config.plexes_of(volume) if plex.ref not in good]
    if not bad:
        return None
    verb = "is" if len(bad) == 1 else "are"
    return Problem(f"{listed(bad)} {verb} not complete.", "Resynchronize the volume first.", volume)


def plex_complete(config: Config, plex: Ref) -> Problem | None:
    """The plex holds every byte of its volume, beyond doubt."""
    record = config.plex(plex)
    if any(good.ref == plex for good in trusted(config, record.volume)):
        return None
    return Problem(f"{record.name} is not complete.", "Resynchronize the volume first.", plex)


def keeps_a_mirror(config: Config, volume: Ref, leaving: Collection[Ref]) -> Problem | None:
    """Without the plexes that leave, the volume still has a complete one."""
    if any(plex.ref not in leaving for plex in trusted(config, volume)):
        return None
    names = [config.plex(ref).name for ref in leaving]
    name = config.volume(volume).name
    if len(leaving) == len(config.plexes_of(volume)):
        verb = "is the only mirror" if len(names) == 1 else "are all the mirrors"
        return Problem(f"{listed(names)} {verb} of {name}.", "Add a mirror first, or delete the volume.", volume)
    verb = "is the last complete mirror" if len(names) == 1 else "are the last complete mirrors"
    return Problem(f"{listed(names)} {verb} of {name}.", "Resynchronize the volume first.", volume)


def plex_present(config: Config, plex: Ref) -> Problem | None:
    """All disks of the plex answer."""
    for subdisk in config.subdisks_of(plex):
        if missing := disk_present(config, subdisk.disk):
            return missing
    return None


def plex_can_attach(config: Config, plex: Ref) -> Problem | None:
    """A plex that was left out and can be filled again."""
    record = config.plex(plex)
    if blocked := volume_ready(config, record.volume):
        return blocked
    if record.state not in (PlexState.STALE, PlexState.IOFAIL, PlexState.OFFLINE, PlexState.FILLING):
        return Problem(f"{record.name} is attached already.", "", plex)
    return plex_present(config, plex) or has_source(config, record.volume)


def plex_can_detach(config: Config, plex: Ref) -> Problem | None:
    """A plex that can be taken off, while another complete one stays."""
    record = config.plex(plex)
    if blocked := volume_ready(config, record.volume):
        return blocked
    if record.state is PlexState.OFFLINE:
        return Problem(f"{record.name} is detached already.", "", plex)
    if record.state in (PlexState.EMPTY, PlexState.FILLING):
        return Problem(f"{record.name} was never filled to its end.", "Remove it, or attach it.", plex)
    return keeps_a_mirror(config, record.volume, [plex])


def plex_can_break(config: Config, plex: Ref) -> Problem | None:
    """A complete plex that leaves another complete one behind."""
    volume = config.plex(plex).volume
    if blocked := volume_ready(config, volume):
        return blocked
    return plex_complete(config, plex) or keeps_a_mirror(config, volume, [plex])


def plexes_can_go(config: Config, plexes: Sequence[Ref]) -> Problem | None:
    """Plexes that may be removed together, of one or more volumes."""
    for volume in dict.fromkeys(config.plex(ref).volume for ref in plexes):
        leaving = [ref for ref in plexes if config.plex(ref).volume == volume]
        if blocked := volume_ready(config, volume) or keeps_a_mirror(config, volume, leaving):
            return blocked
    return None


# --- subdisks ---
def can_move(config: Config, subdisk: Subdisk) -> Problem | None:
    """A subdisk that may be lifted: nothing works on its volume, and there is something to copy from."""
    volume = config.volume_of(subdisk)
    if blocked := volume_ready(config, volume.ref) or not_initializing(config, volume.ref):
        return blocked
    if subdisk.replaces is not None:
        return Problem(f"{subdisk.name} is the target of a move.", "Move the subdisk that it replaces.", subdisk.ref)
    plex = config.plex(subdisk.plex)
    if plex.state in (PlexState.EMPTY, PlexState.FILLING):
        return Problem(f"{plex.name} was never filled to its end.", "Resynchronize the volume first.", plex.ref)
    if plex.state not in COMPLETE:
        return None  # it holds nothing that has to be copied
    return disk_present(config, subdisk.disk) or plex_complete(config, plex.ref)


def can_take_subdisk(
    config: Config, subdisks: Sequence[Subdisk], disk: Ref, offset: int | None = None, *, force: bool = False
) -> Problem | None:
    """Whether subdisks may be dropped on a disk, at an offset or wherever they fit (in several pieces, too)."""
    target = config.disk(disk)
    for subdisk in subdisks:
        group = config.volume(config.plex(subdisk.plex).volume).group
        if target.group != group:
            text = f"{target.name} does not belong to {config.group(group).name}."
            return Problem(text, "Choose a disk of the same disk group.", disk)
    if blocked := disk_present(config, disk):
        return blocked
    for number, subdisk in enumerate(() if force else subdisks):
        if shared := shares_disk(config, subdisk, disk, subdisks[:number]):
            return shared
    return _room(config, sum(subdisk.length for subdisk in subdisks), target, offset)


def shares_disk(config: Config, subdisk: Subdisk, disk: Ref, coming: Sequence[Subdisk] = ()) -> Problem | None:
    """The disk holds neither another mirror of the volume nor another column of the plex, with what is `coming`."""
    plex = config.plex(subdisk.plex)
    name = config.disk(disk).name
    for other in (*config.subdisks_on(disk), *coming):
        if other.plex != plex.ref and config.plex(other.plex).volume == plex.volume:
            many = len(config.plexes_of(plex.volume)) > 2
            text = f"{name} holds {'another' if many else 'the other'} mirror of {config.volume(plex.volume).name}."
            return Problem(text, "Choose a disk without a part of this volume.", disk)
        if other.plex == plex.ref and other.column != subdisk.column:
            text = f"{name} holds another column of {plex.name}."
            return Problem(text, "Choose a disk without a part of this volume.", disk)
    return None


def _room(config: Config, needed: int, target: Disk, offset: int | None) -> Problem | None:
    space = Space(config, [target])
    if offset is None:
        room = space.total(target.ref)
        where = target.name
    else:
        if offset % SECTOR:
            text = f"The offset {format_exact(offset)} does not lie on a boundary of 4 KiB."
            return Problem(text, f"Use {align_down(offset, SECTOR)}.", target.ref, "offset")
        room = space.at(target.ref, offset)
        where = f"{target.name} at {format_size(offset)}"
    if room >= needed:
        return None
    text = f"{where} has too little free space: {needed_free(needed, room)}."
    return Problem(text, "Choose a larger free region, or several.", target.ref)


def can_split(config: Config, subdisk: Subdisk, size: int | None = None) -> Problem | None:
    """A subdisk that can be cut in two, the first piece having `size` bytes."""
    if blocked := can_rearrange(config, subdisk):
        return blocked
    if subdisk.length < 2 * ALLOCATION_UNIT:
        text = f"{subdisk.name} has {format_size(subdisk.length)}, which can't be divided."
        return Problem(text, f"A piece has at least {format_size(ALLOCATION_UNIT)}.", subdisk.ref, "size")
    if size is not None and not 0 < size < subdisk.length:
        text = f"The first piece can't have {format_size(size)}: {subdisk.name} has {format_size(subdisk.length)}."
        return Problem(text, "Give a size between them.", subdisk.ref, "size")
    return None


def can_rearrange(config: Config, subdisk: Subdisk) -> Problem | None:
    """A subdisk whose record may change now."""
    if blocked := volume_ready(config, config.plex(subdisk.plex).volume):
        return blocked
    if subdisk.replaces is not None or config.replacements_of(subdisk.ref):
        return Problem(f"{subdisk.name} is being moved.", "Wait for the move to end, or abort it.", subdisk.ref)
    return None


def can_join(config: Config, first: Subdisk, second: Subdisk) -> Problem | None:
    """Two subdisks that are neighbours on the disk and in their column, in this order."""
    if blocked := can_rearrange(config, first) or can_rearrange(config, second):
        return blocked
    pair = f"{first.name} and {second.name}"
    if first.ref == second.ref:
        return Problem("A subdisk can't be joined with itself.", "Choose its neighbour, too.", first.ref, "second")
    if (first.plex, first.column) != (second.plex, second.column):
        return Problem(f"{pair} don't belong to the same column of one mirror.", "Choose neighbours.", first.ref)
    on_disk = first.disk == second.disk and first.disk_offset + first.length == second.disk_offset
    if not on_disk:
        return Problem(f"{pair} are not neighbours on one disk.", "Move one of them beside the other.", first.ref)
    if first.plex_offset + first.length != second.plex_offset:
        return Problem(f"{pair} are not neighbours in their mirror.", "Choose neighbours.", first.ref)
    return None


# --- tasks ---
def task_live(config: Config, task: Ref) -> Problem | None:
    """A task that has not ended."""
    record = config.task(task)
    if record.state not in TASK_ENDED:
        return None
    return Problem(f"The task “{record.name}” has ended already.", "", task)


def task_controllable(config: Config, task: Ref) -> Problem | None:
    """A task that can be paused, throttled and aborted."""
    if ended := task_live(config, task):
        return ended
    record = config.task(task)
    if record.type in (TaskType.COMMAND, TaskType.RESCAN):
        return Problem(f"“{record.name}” ends by itself in a moment.", "Wait for it.", task)
    return None


# --- words ---
def counted(number: int, noun: str) -> str:
    """`1 volume`, `3 volumes`, `2 copies`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("py") else f"{number} {noun}s"


def listed(names: Iterable[str], most: int = 4) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c, d and 8 more`."""
    shown = list(names)
    if len(shown) > most + 1:
        shown[most:] = [f"{len(shown) - most} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
