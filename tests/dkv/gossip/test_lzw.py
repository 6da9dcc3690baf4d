"""LZW: there and back, streams of other encoders, and streams of nobody."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.gossip.wire.limits import BadPacket
from dkv.gossip.wire.lzw import compress, decompress

CLEAR, END = 256, 257


def packed(codes: list[tuple[int, int]]) -> bytes:
    """(code, width) pairs, least significant bit first."""
    bits = count = 0
    for code, width in codes:
        bits |= code << count
        count += width
    return bits.to_bytes((count + 7) // 8, "little")


@settings(derandomize=True, max_examples=200)
@given(st.binary(max_size=300) | st.lists(st.sampled_from([b"Node", b"Addr", b"\0" * 9]), max_size=90).map(b"".join))
def test_there_and_back(data: bytes) -> None:
    assert decompress(compress(data), len(data)) == data


@pytest.mark.parametrize("size", [3_000, 4_096, 30_000])
def test_there_and_back_through_full_tables(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert decompress(compress(data), size) == data


def test_a_code_that_names_the_entry_about_to_be_made() -> None:
    assert decompress(packed([(CLEAR, 9), (97, 9), (258, 9), (END, 9)]), 10) == b"aaa"


def test_a_table_that_fills_up_without_a_clear_code() -> None:
    """Other encoders go on with what they have learnt, and so do Go's decoder and ours."""
    codes, width, newest = [(CLEAR, 9)], 9, 257
    for _ in range(5_000):
        codes.append((98, width))
        newest = min(newest + 1, 4095)
        width = max(width, min(12, newest.bit_length()))
    codes += [(4095, 12), (4000, 12), (END, 12)]
    assert decompress(packed(codes), 6_000) == b"b" * 5_004


@pytest.mark.parametrize(
    "codes",
    [
        pytest.param([(258, 9)], id="an entry before there is any"),
        pytest.param([(CLEAR, 9), (258, 9)], id="the next entry after a clear"),
        pytest.param([(97, 9), (260, 9)], id="an entry that is far ahead"),
        pytest.param([(97, 9), (98, 9), (258, 9), (CLEAR, 9), (258, 9), (END, 9)], id="an entry that was forgotten"),
    ],
)
def test_codes_that_name_nothing(codes: list[tuple[int, int]]) -> None:
    with pytest.raises(BadPacket, match="names nothing"):
        decompress(packed(codes), 1000)


@pytest.mark.parametrize("data", [b"", b"\x00", packed([(CLEAR, 9), (97, 9)]), compress(b"abcdef")[:-2]])
def test_streams_without_an_end(data: bytes) -> None:
    with pytest.raises(BadPacket, match="too early"):
        decompress(data, 1000)


def test_a_bomb_goes_off_at_the_limit() -> None:
    bomb = compress(bytes(3_000_000))
    assert len(bomb) < 4_000
    with pytest.raises(BadPacket, match="more than 65536 bytes"):
        decompress(bomb, 65_536)
    assert len(decompress(bomb, 3_000_000)) == 3_000_000
