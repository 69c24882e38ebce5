"""What has to leave a disk group together: disks with all that lies on them, volumes with all that they lie on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from engine.config import Config
from engine.records import Kind, Ref


class Closure(NamedTuple):
    """What leaves with some objects. `why` has a clause for each of those that come along unasked."""

    disks: tuple[Ref, ...]
    volumes: tuple[Ref, ...]
    why: dict[Ref, str]

    def sentences(self, config: Config) -> list[str]:
        """`Harddisk3 comes along, as ev lies on it, too.`"""
        return [f"{_name(config, ref)} comes along, as {clause}." for ref, clause in self.why.items()]


def closure(config: Config, chosen: Iterable[Ref]) -> Closure:
    """The smallest set of disks and volumes that has the chosen ones and shares no disk with what is left.

    A chosen volume means the disks that it lies on, chosen disks mean the volumes that lie on nothing else.
    """
    why: dict[Ref, str] = {}
    found = _meant(config, dict.fromkeys(chosen))
    waiting = list(found)
    while waiting:
        ref = waiting.pop(0)
        for other, clause in _beside(config, ref):
            if other not in found:
                found[other], why[other] = None, clause
                waiting.append(other)
    disks = sorted((ref for ref in found if ref.kind is Kind.DISK), key=lambda ref: _order(config, ref))
    volumes = sorted((ref for ref in found if ref.kind is Kind.VOLUME), key=lambda ref: _order(config, ref))
    return Closure(tuple(disks), tuple(volumes), why)


def _meant(config: Config, chosen: dict[Ref, None]) -> dict[Ref, None]:
    found = dict(chosen)
    for ref in [ref for ref in chosen if ref.kind is Kind.VOLUME]:
        found.update(dict.fromkeys(_disks(config, ref)))
    for disk in [ref for ref in found if ref.kind is Kind.DISK]:
        for volume in {config.volume_of(subdisk).ref for subdisk in config.subdisks_on(disk)}:
            if all(other in found for other in _disks(config, volume)):
                found[volume] = None
    return found


def _disks(config: Config, volume: Ref) -> list[Ref]:
    parts = config.parts_of(volume)
    return list(dict.fromkeys(subdisk.disk for part in parts for subdisk in config.subdisks_of(part.ref)))


def _beside(config: Config, ref: Ref) -> list[tuple[Ref, str]]:
    """What can't be apart from a disk or volume, and why."""
    name = _name(config, ref)
    if ref.kind is Kind.DISK:
        volumes = dict.fromkeys(config.volume_of(subdisk).ref for subdisk in config.subdisks_on(ref))
        return [(volume, f"it lies on {name}") for volume in volumes]
    return [(disk, f"{name} lies on it") for disk in _disks(config, ref)]


def _order(config: Config, ref: Ref) -> tuple[int, str]:
    return len(_name(config, ref)), _name(config, ref)


def _name(config: Config, ref: Ref) -> str:
    record = config.get(ref)
    return record.name if record is not None else ""
