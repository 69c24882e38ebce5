"""Reading one configuration copy: its two checkpoints, its journal, and what they prove."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.errors import MetadataError
from engine.geometry import METADATA_BLOCK
from engine.store import transaction as transactions
from engine.store.areas import SLOTS, Area
from engine.store.format import Block, BlockError, Damage, announced_length, unseal
from engine.store.rows import modernise
from engine.store.transaction import NEVER, Identity, Transaction
from engine.store.uncached import drop_cache, read

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice
    from engine.store.label import Label


class Chain(NamedTuple):
    """A checkpoint and the journal entries that follow on it without a gap."""

    slot: Area
    states: tuple[Transaction, ...]  # the checkpoint first
    end: int  # where in the journal the next entry belongs

    @property
    def top(self) -> Identity:
        return self.states[-1].identity


class CopyContent(NamedTuple):
    """What stands in one disk's copy. `seen` has every whole transaction, also those that nothing leads to any more."""

    chains: tuple[Chain, ...]
    seen: dict[Identity, Transaction]
    damage: tuple[str, ...]
    newer: bool = False  # parts of it have a newer format than this program knows

    @property
    def top(self) -> Identity:
        """The newest transaction whose whole configuration this copy can tell."""
        return max((chain.top for chain in self.chains), default=NEVER)

    @property
    def newest(self) -> Identity:
        """The newest transaction that this copy has heard of."""
        return max(self.seen, default=NEVER)

    def chain_to(self, identity: Identity) -> tuple[Chain, int] | None:
        """The chain that tells a transaction's configuration, and its place there."""
        for chain in self.chains:
            for place, state in enumerate(chain.states):
                if state.identity == identity:
                    return chain, place
        return None


class _Entry(NamedTuple):
    position: int
    end: int
    transaction: Transaction


def read_copy(device: BlockDevice, label: Label) -> CopyContent:
    """Everything that a disk's copy holds. Damage is told, never raised; DeviceError when it can't be read."""
    damage: list[str] = []
    newer: list[MetadataError] = []
    checkpoints = [(slot, found) for slot in SLOTS if (found := _read_checkpoint(device, label, slot, damage, newer))]
    in_use = bool(checkpoints or damage)  # most disks of a big group hold no copy: their journal is not read
    entries, torn_at = _read_journal(device, label, newer) if in_use else ([], {})
    chains = tuple(_follow(slot, checkpoint, entries) for slot, checkpoint in checkpoints)
    if any(torn_at.get(chain.end) for chain in chains):
        damage.append("its newest change is torn or altered")
    seen = {found.identity: found for _, found in checkpoints}
    seen.update((entry.transaction.identity, entry.transaction) for entry in entries)
    return CopyContent(chains, seen, tuple(dict.fromkeys(damage)), bool(newer))


def rows_of(chain: Chain, place: int) -> dict[bytes, bytes]:
    """The rows, in today's fields, at one state of a chain. MetadataError when they make no sense."""
    rows: dict[bytes, bytes] = {}
    for state in chain.states[: place + 1]:
        rows.update(modernise({key: bytes(row) for key, row in state.put.items()}, state.fields))
        for key in state.drop:
            rows.pop(key, None)
    return rows


def lineage_of(chain: Chain, place: int) -> tuple[tuple[int, bytes], ...]:
    """First transaction number and serial of each import that led to a state, ascending."""
    found = list(chain.states[0].lineage)
    for state in chain.states[: place + 1]:
        if not found or found[-1][1] != state.serial:
            found.append((state.number, state.serial))
    return tuple(found)


def _follow(slot: Area, checkpoint: Transaction, entries: list[_Entry]) -> Chain:
    states, position = [checkpoint], 0
    for entry in entries:
        fits = entry.transaction.base == checkpoint.identity and entry.transaction.previous == states[-1].identity
        if entry.position != position or not fits:
            break
        states.append(entry.transaction)
        position = entry.end
    return Chain(slot, tuple(states), position)


def _read_checkpoint(
    device: BlockDevice, label: Label, slot: Area, damage: list[str], newer: list[MetadataError]
) -> Transaction | None:
    span = label.span(slot)
    drop_cache(device, *span)
    first = read(device, span.offset, METADATA_BLOCK)
    length = announced_length(first) or 0
    whole = read(device, span.offset, length) if METADATA_BLOCK < length <= span.length else first
    try:
        found = _open(memoryview(whole), Block.CHECKPOINT, label, span.offset)
    except MetadataError as error:
        damage.append(f"its checkpoint in {slot} can't be used ({error})")
        newer.extend([error] if _is_newer(error) else [])
        return None
    return found


def _read_journal(
    device: BlockDevice, label: Label, newer: list[MetadataError]
) -> tuple[list[_Entry], dict[int, bool]]:
    """Every whole entry by position, and the positions at which an entry of this copy begins and is broken."""
    span = label.span(Area.JOURNAL)
    drop_cache(device, *span)
    data = memoryview(read(device, *span))
    entries: list[_Entry] = []
    torn: dict[int, bool] = {}
    position = 0
    while position < len(data):
        step = METADATA_BLOCK
        try:
            found = _open(data[position:], Block.JOURNAL, label, span.offset + position)
        except MetadataError as error:
            torn[position] = True
            newer.extend([error] if _is_newer(error) else [])
            found = None
        if found is not None:
            step = announced_length(data[position:]) or METADATA_BLOCK
            entries.append(_Entry(position, position + step, found))
        position += step
    return entries, torn


def _is_newer(error: MetadataError) -> bool:
    return isinstance(error, BlockError) and error.damage is Damage.NEWER


def _open(data: memoryview, kind: Block, label: Label, offset: int) -> Transaction | None:
    disk, group = bytes.fromhex(label.disk), bytes.fromhex(label.group)
    block = unseal(data, kind=kind, offset=offset, disk=disk, group=group)
    return None if block is None else transactions.decode(block)
