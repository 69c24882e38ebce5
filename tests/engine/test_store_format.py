"""A sealed block is believed whole, in its place, as its owner's, or not at all."""

from __future__ import annotations

import random
import struct

import pytest

from engine.store import format as block_format
from engine.store.format import BODY_OFFSET, Block, BlockError, Damage, announced_length, seal, unseal
from tests.engine.store_lab import PAGE, tears

DISK, GROUP, OFFSET = bytes(range(16)), bytes(range(16, 32)), 5 * PAGE
BODY = bytes(random.Random(1).randbytes(3000))


def make(body: bytes = BODY, *, number: int = 7, offset: int = OFFSET, disk: bytes = DISK) -> bytearray:
    return seal(Block.JOURNAL, disk, GROUP, offset, number, body)


def read(data: bytes | bytearray) -> block_format.Sealed | None:
    return unseal(data, kind=Block.JOURNAL, offset=OFFSET, disk=DISK, group=GROUP)


@pytest.mark.parametrize("length", [0, 1, PAGE - BODY_OFFSET, PAGE - BODY_OFFSET + 1, 3 * PAGE])
def test_what_was_sealed_comes_back(length: int) -> None:
    body = random.Random(length).randbytes(length)
    block = make(body)
    assert len(block) % PAGE == 0
    assert len(block) - length - BODY_OFFSET < PAGE
    assert announced_length(block) == len(block)
    sealed = read(bytes(block) + b"what lies behind")
    assert sealed is not None
    assert (sealed.body, sealed.transaction, sealed.disk, sealed.group) == (body, 7, DISK, GROUP)


def test_a_flipped_bit_in_any_byte_is_seen() -> None:
    block = make()
    for place in range(len(block)):
        bits = range(8) if place < BODY_OFFSET else (place % 8,)
        for bit in bits:
            block[place] ^= 1 << bit
            with pytest.raises(BlockError) as caught:
                read(block)
            assert caught.value.damage is Damage.ALTERED
            block[place] ^= 1 << bit
    assert read(block) is not None


def test_every_tear_of_an_overwrite_is_the_old_the_new_or_nothing() -> None:
    old, new = bytes(make(random.Random(2).randbytes(3900), number=6)), bytes(make(random.Random(3).randbytes(3900)))
    for torn in tears(old, new):
        if torn in (old, new):
            assert read(torn) is not None
            continue
        with pytest.raises(BlockError):
            read(torn)


def test_a_cut_block_is_altered() -> None:
    block = make(bytes(3 * PAGE))
    for length in range(PAGE, len(block), 512):
        with pytest.raises(BlockError):
            read(block[:length])


@pytest.mark.parametrize(
    ("block", "damage"),
    [
        (make(offset=OFFSET + PAGE), Damage.MISPLACED),
        (make(disk=bytes(16)), Damage.FOREIGN),
        (seal(Block.JOURNAL, DISK, bytes(16), OFFSET, 7, BODY), Damage.FOREIGN),
        (seal(Block.STAMP, DISK, GROUP, OFFSET, 7, BODY), Damage.KIND),
    ],
)
def test_a_block_from_elsewhere_is_told_apart(block: bytearray, damage: Damage) -> None:
    with pytest.raises(BlockError) as caught:
        read(block)
    assert caught.value.damage is damage
    assert str(OFFSET) in str(caught.value)


def test_a_newer_format_is_refused_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_format, "FORMAT_VERSION", 9)
    block = make()
    monkeypatch.undo()
    with pytest.raises(BlockError, match="format 9") as caught:
        read(block)
    assert caught.value.damage is Damage.NEWER


def test_the_header_lies_where_the_document_says() -> None:
    block = make(b"body")
    assert block[:8] == b"VEAblock"
    assert struct.unpack_from("<HHI", block, 8) == (1, 4, 0)
    assert (bytes(block[16:32]), bytes(block[32:48])) == (DISK, GROUP)
    assert struct.unpack_from("<QQI", block, 48) == (OFFSET, 7, 4)
    assert block[72:128] == bytes(56)
    assert block[128:132] == b"body"
    checksum = struct.unpack_from("<I", block, 68)[0]
    block[68:72] = bytes(4)
    assert checksum == _crc32c(bytes(block))


def _crc32c(data: bytes) -> int:
    """The Castagnoli CRC bit by bit, from its definition."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_random_bytes_are_never_believed() -> None:
    chance = random.Random(4)
    for _ in range(2000):
        data = bytearray(chance.randbytes(PAGE))
        assert read(data) is None
        data[:8] = block_format.MAGIC
        with pytest.raises(BlockError):
            read(data)
