"""The largest sizes that fit: found with the very functions that place volumes, so that they are exact."""

from __future__ import annotations

from collections.abc import Callable

from engine.allocate.create import Wish, place_plexes
from engine.allocate.grow import grow_columns
from engine.allocate.shape import shape_of
from engine.allocate.space import Space, usable_disks
from engine.commands import CreateVolume, GrowVolume
from engine.config import Config
from engine.units import ALLOCATION_UNIT


def max_size(config: Config, command: CreateVolume) -> int:
    """The largest size of a volume with the other choices of `command`; 0 when none fits or a choice is nonsense."""
    if command.mirrors < 1 or command.columns < 0 or command.stripe_unit < 0:
        return 0
    space = Space(config, usable_disks(config, command.group, command.disks))
    shape = shape_of(command)

    def fits(size: int) -> bool:
        wish = Wish(shape, command.mirrors, size, command.across_enclosures, command.force)
        return place_plexes(config, space, wish) is not None

    return _largest(fits, 0, sum(map(space.total, space.disks)))


def max_grow(config: Config, command: GrowVolume) -> int:
    """The largest size that a volume can grow to with the other choices of `command`; its present size at least."""
    volume = config.volume(command.volume)
    space = Space(config, usable_disks(config, volume.group, command.disks))
    tails = sum(plex.length for plex in config.plexes_of(volume.ref))
    limit = volume.size + tails + sum(map(space.total, space.disks))
    return _largest(lambda size: grow_columns(config, volume.ref, size, space) is not None, volume.size, limit)


def _largest(fits: Callable[[int], bool], good: int, limit: int) -> int:
    """The largest multiple of the allocation unit that fits, where `good` is known to."""
    low, high = good // ALLOCATION_UNIT, limit // ALLOCATION_UNIT + 1
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle * ALLOCATION_UNIT):
            low = middle
        else:
            high = middle
    return low * ALLOCATION_UNIT
