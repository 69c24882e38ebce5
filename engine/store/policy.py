"""What an import needs beyond the plain wish, and why: sentences for the operator, never a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.errors import MetadataError
from engine.store.moves import MoveKind
from engine.store.transaction import GroupPhase

if TYPE_CHECKING:
    from engine.store.election import Doubt
    from engine.store.found import GroupFound


class Needs(NamedTuple):
    """Reasons, each a sentence. `force`: what may be lost; `clear`: who has the group; `impossible`: nothing helps."""

    force: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()
    impossible: tuple[str, ...] = ()

    def check(self, *, force: bool, clear: bool) -> None:
        """Raise MetadataError with every reason that is not accepted."""
        reasons = (*self.impossible, *(() if force else self.force), *(() if clear else self.clear))
        if reasons:
            raise MetadataError(" ".join(reasons))


def import_needs(found: GroupFound, host: str) -> Needs:
    """What the host with this id needs to import a group."""
    impossible = list(found.blocked)
    if found.joined:
        impossible.append(f"The disk group {found.name} was joined to {', '.join(_targets(found))}. Import that one.")
    if found.phase == GroupPhase.DESTROYED:
        impossible.append(f"The disk group {found.name} was destroyed.")
    if found.elected is None:
        return Needs(impossible=tuple(impossible) or ("No configuration copy of the disk group can be read.",))
    force = [_doubt(found, doubt) for doubt in found.elected.doubts]
    force += [found.undecided] if found.undecided else []
    return Needs(tuple(force), tuple(_owners(found, host)), tuple(impossible))


def _targets(found: GroupFound) -> list[str]:
    return sorted({move.name for move in found.moves if move.kind is MoveKind.JOINING})


def _owners(found: GroupFound, host: str) -> list[str]:
    others = found.owner_names(host)
    if others:
        return [f"The disk group {found.name} is imported by the host {others}. Deport it there, or clear its import."]
    if found.unknown_owner:
        return [
            f"The disk group {found.name} was not deported, and no import stamp tells which host has it. "
            "Make sure that no other host uses it, then clear its import."
        ]
    return []


def _doubt(found: GroupFound, doubt: Doubt) -> str:
    chosen, number = found.identity, doubt.identity.number
    if doubt.apart:
        holders = _names(found, doubt.apart)
        return (
            f"{holders} went apart from the other disks of {found.name}: another import changed the group there "
            f"(transaction {number}). What {holders} say would be replaced by transaction {chosen.number}. To choose "
            f"the other side, take the LUNs of this one away."
        )
    if doubt.missing:
        missing = _names(found, doubt.missing)
        return (
            f"Too few configuration copies of {found.name} can be read: {missing} "
            f"{'is' if len(doubt.missing) == 1 else 'are'} missing. Changes after transaction "
            f"{chosen.number} may be lost, and data on the present disks may be older than on the missing ones."
        )
    return (
        f"Transaction {number} of {found.name} is known to have happened and no readable copy tells it. "
        f"Changes after transaction {chosen.number} would be lost."
    )


def _names(found: GroupFound, disks: tuple[bytes, ...]) -> str:
    known = found.disk_names()
    return ", ".join(known.get(disk.hex(), f"an unnamed disk ({disk.hex()[:8]})") for disk in disks)
