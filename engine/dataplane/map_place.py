"""What a dirty map asks of the places of its log, and of its volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.dataplane.fault import LEG_ERRORS, errno_of

if TYPE_CHECKING:
    from engine.dataplane.request import Request, Sink
    from engine.devices.base import BlockDevice


class MapPlace(Protocol):
    """One copy of the log. `failed` is 0, or the errno of a write that failed: then it never counts again."""

    device: BlockDevice
    generation: str
    failed: int

    @property
    def pages(self) -> int: ...

    def write(self, page: int, bits: bytes) -> None:
        """Make `bits` the content of a page, durable; DeviceError or RangeError when that fails."""


class Keeper(Protocol):
    """What a map asks of the volume that it belongs to."""

    def hand_to_pool(self, request: Request, sink: Sink) -> None:
        """Run a request again: its regions are open now."""

    def map_failed(self, place: MapPlace) -> None:
        """A place of the log can't be written: whoever hears of it drops it for good."""


def write_pages(place: MapPlace, pages: dict[int, bytes]) -> bool:
    """Whether a place has taken these pages; one that has not never counts again."""
    if place.failed:
        return False
    try:
        for page, bits in pages.items():
            place.write(page, bits)
    except LEG_ERRORS as error:
        place.failed = errno_of(error)
        return False
    return True
