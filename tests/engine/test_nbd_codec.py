"""Messages of the protocol against the numbers of its description, and bodies that lie about themselves."""

from __future__ import annotations

import errno
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.export import codec
from engine.export.codec import Refusal
from engine.export.constants import (
    BASE_ALLOCATION_ID,
    MAXIMUM_EXTENTS,
    ExportFlag,
    Info,
    Option,
    OptionReply,
)
from engine.export.source import Extent
from tests.engine.nbd_peer import info, meta

LENGTHS = (0, 255, 256, 257, 4095, 4096, 4097, 2**31, 2**32 - 1)


def test_the_greeting_is_fixed_newstyle_without_zeroes() -> None:
    assert codec.greeting() == b"NBDMAGICIHAVEOPT\x00\x03"


def test_an_option_reply_carries_its_option_kind_and_length() -> None:
    reply = codec.option_reply(Option.GO, OptionReply.ERR_UNKNOWN, b"no")
    assert reply.hex() == "0003e889045565a9000000078000000600000002" + b"no".hex()


def test_export_information_has_the_numbers_of_the_protocol() -> None:
    flags = codec.export_flags(read_only=False, structured=True)
    assert int(flags) == 0b1_1110_1101
    assert codec.info_export(1 << 40, flags).hex() == "0000000001000000000001ed"
    assert codec.info_block_size().hex() == "0003000000010000100002000000"
    assert codec.info_text(Info.NAME, "é") == b"\0\1" + "é".encode()
    assert len(codec.old_style_export(1, flags, zeroes=True)) == 134
    assert len(codec.old_style_export(1, flags, zeroes=False)) == 10


def test_a_read_only_export_takes_no_changes_and_df_needs_structured_replies() -> None:
    flags = codec.export_flags(read_only=True, structured=False)
    assert ExportFlag.READ_ONLY in flags
    assert not flags & (ExportFlag.SEND_TRIM | ExportFlag.SEND_WRITE_ZEROES | ExportFlag.SEND_DF)


@given(name=st.text(max_size=300), infos=st.lists(st.integers(0, 65535), max_size=20))
def test_what_a_client_asks_of_an_export_is_read_back(name: str, infos: list[int]) -> None:
    assert codec.parse_info_query(info(name, *infos)) == (name, frozenset(infos))


@given(name=st.text(max_size=300), queries=st.lists(st.binary(max_size=50), max_size=20))
def test_what_a_client_asks_of_contexts_is_read_back(name: str, queries: list[bytes]) -> None:
    assert codec.parse_meta_query(meta(name, *queries)) == (name, tuple(queries))


@given(body=st.binary(max_size=64))
def test_a_random_body_is_parsed_or_refused(body: bytes) -> None:
    for parse in (codec.parse_info_query, codec.parse_meta_query):
        try:
            parse(body)
        except Refusal as refused:
            reply = refused.reply
        else:
            continue
        assert reply in (OptionReply.ERR_INVALID, OptionReply.ERR_TOO_BIG)


@pytest.mark.parametrize("length", LENGTHS)
def test_an_inner_length_beyond_the_option_is_refused(length: int) -> None:
    body = struct.pack(">I", length) + b"x" * 10 + b"\0\0"
    if length == 10:
        return
    with pytest.raises(Refusal):
        codec.parse_info_query(body)
    with pytest.raises(Refusal):
        codec.parse_meta_query(struct.pack(">I", 1) + b"x" + struct.pack(">II", 1, length) + b"base")


@pytest.mark.parametrize("count", [1, 2**31, 2**32 - 1])
def test_more_queries_than_there_are_is_refused(count: int) -> None:
    with pytest.raises(Refusal):
        codec.parse_meta_query(struct.pack(">I", 1) + b"x" + struct.pack(">I", count))


@pytest.mark.parametrize(("length", "fits"), [(0, True), (255, True), (4095, True), (4096, True), (4097, False)])
def test_a_name_has_at_most_4096_bytes(length: int, fits: bool) -> None:
    if fits:
        assert codec.parse_info_query(info("n" * length)).name == "n" * length
        assert codec.export_name(b"n" * length) == "n" * length
        return
    with pytest.raises(Refusal) as refused:
        codec.parse_info_query(info("n" * length))
    assert refused.value.reply is OptionReply.ERR_TOO_BIG
    assert "nnnn" not in str(refused.value)
    with pytest.raises(Refusal):
        codec.export_name(b"n" * length)


def test_a_name_is_utf8() -> None:
    with pytest.raises(Refusal):
        codec.export_name(b"\xff\xfe")


@pytest.mark.parametrize(
    ("number", "wire"),
    [
        (0, 0),
        (errno.EPERM, 1),
        (errno.EROFS, 1),
        (errno.EIO, 5),
        (errno.ENOMEM, 12),
        (errno.EINVAL, 22),
        (errno.ENOSPC, 28),
        (errno.EDQUOT, 28),
        (errno.EFBIG, 28),
        (errno.EOVERFLOW, 75),
        (errno.EOPNOTSUPP, 95),
        (errno.ESHUTDOWN, 108),
        (errno.ETIMEDOUT, 5),
        (errno.ENODEV, 5),
    ],
)
def test_only_the_protocols_errors_go_on_the_wire(number: int, wire: int) -> None:
    assert codec.wire_error(number) == wire


def test_answers_have_the_layout_of_the_protocol() -> None:
    assert codec.simple_reply(0x1122334455667788, 5).hex() == "67446698000000051122334455667788"
    assert codec.error_chunk(1, 22).hex() == "668e33ef00018001000000000000000100000006000000160000"
    assert codec.read_chunk(1, 512, 4).hex() == "668e33ef0001000100000000000000010000000c0000000000000200"
    status = codec.status_chunk(1, BASE_ALLOCATION_ID, [(512, 3)])
    assert status.hex() == "668e33ef0001000500000000000000010000000c000000010000020000000003"


EXTENTS = st.lists(
    st.builds(Extent, st.integers(1, 2**40) | st.integers(0, 9), st.booleans(), st.booleans()), max_size=40
)


@given(extents=EXTENTS, length=st.integers(1, 2**32 - 1), only_one=st.booleans())
def test_descriptors_say_what_the_extents_say(extents: list[Extent], length: int, only_one: bool) -> None:
    found = codec.descriptors(extents, length, only_one=only_one)
    assert all(0 < size < 2**32 for size, _ in found)
    assert all(before[1] != after[1] for before, after in itertools.pairwise(found))
    covered = sum(size for size, _ in found)
    assert covered <= length
    if only_one:
        assert len(found) == 1
    elif any(extent.length for extent in extents):
        assert covered == min(length, sum(extent.length for extent in extents))
    at, start = 0, 0
    if not any(extent.length for extent in extents):
        extents = [Extent(length, hole=False, zero=False)]
    for size, state in found:
        while start < at + size:  # every extent that begins in here has this state
            extent = extents.pop(0)
            assert not extent.length or (1 if extent.hole else 0) + (2 if extent.zero else 0) == state
            start += extent.length
        at += size


def test_descriptors_are_bounded() -> None:
    extents = [Extent(1, hole=bool(n % 2), zero=False) for n in range(3 * MAXIMUM_EXTENTS)]
    assert len(codec.descriptors(extents, 2**32 - 1, only_one=False)) == MAXIMUM_EXTENTS
