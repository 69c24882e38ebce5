"""Shrink Volume: one commit that cuts off what lies behind the new size, and gives its space back."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.allocate import Shape
from engine.commands import ShrinkVolume
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.sizes import rounded
from engine.planners.volumes import warn_clients
from engine.plans import Plan, Problem
from engine.records import Plex, Subdisk, Volume, VolumeLayout
from engine.units import format_apart, format_size


def shrink(config: Config, command: ShrinkVolume, ids: Ids) -> Plan:
    """The size, the subdisks behind it and the tails of those that reach across it go in the same transaction."""
    volume = config.volume(command.volume)
    title = f"Shrink Volume {volume.name}"
    if blocked := refuse(title, _problem(config, command, volume)):
        return blocked
    draft = Draft(config, ids, volume.group)
    size = rounded(draft, command.size, _granule(config, volume))
    title = f"{title} to {format_size(size)}"
    if blocked := refuse(title, _smaller(volume, size), _content(volume, size, command.force)):
        return blocked
    clients = warn_clients(draft, [volume.ref], command.force)
    if volume.content_size > size or (volume.content and not volume.content_size):
        draft.warn(f"The {volume.content} on {volume.name} reaches further than {format_size(size)}: it is damaged.")
    draft.put(replace(volume, size=size))
    freed = sum(_cut(draft, plex, size) for plex in config.plexes_of(volume.ref))
    lost = f"the last {format_size(volume.size - size)} of {volume.name}"
    draft.step(f"Cut off {lost}", "clients are disconnected" if clients else f"{volume.name} stays started")
    draft.step(f"Free {format_size(freed)}" if freed else "Free nothing: the space is part of its last row")
    return draft.plan(
        title,
        destroys=[volume.ref],
        redundancy=f"{volume.name} keeps {rules.counted(volume.copies, 'copy')} throughout.",
        irreversible=f"What stands in {lost} is lost. Clients see the new size when they connect again.",
        confirm=f"Shrink {volume.name} from {format_size(volume.size)} to {format_size(size)}? {_upper(lost)} "
        f"{'is' if volume.size else 'are'} lost and cannot be had back.",
        confirm_button="Shrink Volume",
    )


def _granule(config: Config, volume: Volume) -> int:
    return max(Shape.of(plex).granule for plex in config.plexes_of(volume.ref))


def _cut(draft: Draft, plex: Plex, size: int) -> int:
    """Drop and shorten the subdisks of a plex; answers the bytes that become free."""
    freed, end = 0, Shape.of(plex).column_length(size)
    for subdisk in draft.config.subdisks_of(plex.ref):
        over = min(subdisk.plex_offset + subdisk.length - end, subdisk.length)
        if over <= 0:
            continue
        freed += over
        draft.free(_tail(subdisk, over))
        if over == subdisk.length:
            draft.drop(subdisk.ref)
        else:
            draft.put(replace(subdisk, length=subdisk.length - over))
    return freed


def _tail(subdisk: Subdisk, length: int) -> Subdisk:
    """The last bytes of a subdisk as one of their own."""
    return replace(subdisk, disk_offset=subdisk.disk_offset + subdisk.length - length, length=length)


def _problem(config: Config, command: ShrinkVolume, volume: Volume) -> Problem | None:
    return (
        rules.volume_ready(config, volume.ref)
        or rules.not_initializing(config, volume.ref)
        or rules.size_is_free(config, volume.ref)
        or rules.takes_writes(config, volume.ref)
        or rules.no_column_out(config, volume.ref)
        or rules.parity_known(config, volume.ref)
        or rules.size_ok(command.size)
        or rules.in_use_by_clients(config, volume.ref, force=command.force)
    )


def _smaller(volume: Volume, size: int) -> Problem | None:
    if size < volume.size:
        return None
    have = format_size(volume.size)
    return Problem(f"{volume.name} has {have}.", "Give a smaller size, or expand the volume.", volume.ref, "size")


def _content(volume: Volume, size: int, force: bool) -> Problem | None:
    """What stands there is made smaller by its own tool first."""
    if force or not volume.content:
        return None
    if volume.layout is VolumeLayout.RAID5:
        text = f"{volume.name} is a RAID-5 volume and carries a {volume.content}: it is shrunk only when it is raw."
        return Problem(text, "Move the data to another volume, or shrink by force.", volume.ref, "force", "-f")
    if 0 < volume.content_size <= size:
        return None
    if not volume.content_size:
        text = f"{volume.name} carries a {volume.content}, and how much of the volume that uses is not known."
        return Problem(text, "Make it smaller by its own tool first, then shrink by force.", volume.ref, "force", "-f")
    claimed, new = format_apart(volume.content_size, size)
    text = f"The {volume.content} on {volume.name} has {claimed}, which is more than {new}."
    return Problem(text, "Make it smaller first, or shrink by force and lose it.", volume.ref, "force", "-f")


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
