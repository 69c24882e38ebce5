"""The largest sizes that fit: found with the very functions that place volumes, so that they are exact."""

from __future__ import annotations

from collections.abc import Callable

from engine.allocate.create import Wish, place_plexes
from engine.allocate.grow import grow_columns
from engine.allocate.logs import disks_of, log_length, place_log, without
from engine.allocate.shape import Shape, shape_of
from engine.allocate.space import Space, usable_disks
from engine.commands import CreateVolume, GrowVolume, LogType
from engine.config import Config


def max_size(config: Config, command: CreateVolume) -> int:
    """The largest size of a volume with the other choices of `command`; 0 when none fits or a choice is nonsense."""
    if command.mirrors < 1 or command.columns < 0 or command.stripe_unit < 0:
        return 0
    if command.raid5 and command.columns == 1:
        return 0
    space = Space(config, usable_disks(config, command.group, command.disks))
    shape = shape_of(command)

    def fits(size: int) -> bool:
        wish = Wish(shape, command.mirrors, size, command.across_enclosures, command.force)
        placed = place_plexes(config, space, wish)
        if placed is None or not wants_log(command):
            return placed is not None
        return place_log(without(space, placed), disks_of(placed), log_length(size)) is not None

    return _largest(fits, 0, sum(map(space.total, space.disks)), shape.granule)


def wants_log(command: CreateVolume) -> bool:
    """Whether the new volume gets a log of its own space, as RAID-5 does unless it is forbidden."""
    return command.raid5 and command.log is not LogType.NONE


def max_grow(config: Config, command: GrowVolume) -> int:
    """The largest size that a volume can grow to with the other choices of `command`; its present size at least."""
    volume = config.volume(command.volume)
    space = Space(config, usable_disks(config, volume.group, command.disks))
    plexes = config.plexes_of(volume.ref)
    tails = sum(plex.length for plex in plexes)
    limit = volume.size + tails + sum(map(space.total, space.disks))
    granule = max(Shape.of(plex).granule for plex in plexes)
    return _largest(lambda size: grow_columns(config, volume.ref, size, space) is not None, volume.size, limit, granule)


def _largest(fits: Callable[[int], bool], good: int, limit: int, granule: int) -> int:
    """The largest multiple of `granule` that fits, where `good` is known to."""
    low, high = good // granule, limit // granule + 1
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle * granule):
            low = middle
        else:
            high = middle
    return max(low * granule, good)
