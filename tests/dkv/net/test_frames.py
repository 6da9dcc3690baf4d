"""Frames: any cutting gives the same frames, no lie is believed, nothing beyond one frame is kept."""

import struct
from itertools import pairwise
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.net import frames as frames_module
from dkv.net.frames import BODY_BYTES_MAX, FRAME_BYTES_MAX, LINK_GROUP, FrameDecoder, FrameError, encode

FRAMES = st.lists(st.tuples(st.integers(0, LINK_GROUP), st.binary(max_size=60)), max_size=8)
HEADER_BYTES = 12


def cut(data: bytes, places: list[int]) -> list[bytes]:
    return [data[a:b] for a, b in pairwise([0, *sorted(places), len(data)])]


def decode_in(chunks: list[bytes]) -> list[tuple[int, bytes]]:
    decoder = FrameDecoder()
    return [frame for chunk in chunks for frame in decoder.feed(chunk)]


def test_bytes_of_a_frame() -> None:
    body = b"hello"
    expected = struct.pack(">III", 5, crc32(struct.pack(">I", 7) + body), 7) + body
    assert encode([(7, body)]) == expected


@pytest.mark.parametrize(
    "frames",
    [[], [(0, b"")], [(1, b"a"), (2, b""), (LINK_GROUP, b"c" * 1000)], [(1, bytes(BODY_BYTES_MAX))]],
    ids=["none", "empty", "several", "largest"],
)
def test_round_trip(frames: list[tuple[int, bytes]]) -> None:
    decoder = FrameDecoder()
    assert decoder.feed(encode(frames)) == frames
    assert decoder.buffered_bytes == 0


@given(FRAMES, st.lists(st.integers(0, 600)))
def test_any_cutting_gives_the_same_frames(frames: list[tuple[int, bytes]], places: list[int]) -> None:
    data = encode(frames)
    assert decode_in(cut(data, [place % (len(data) + 1) for place in places])) == frames
    assert decode_in([bytes([byte]) for byte in data]) == frames


@given(FRAMES, st.data())
def test_a_prefix_gives_a_prefix(frames: list[tuple[int, bytes]], draw: st.DataObject) -> None:
    data = encode(frames)
    length = draw.draw(st.integers(0, len(data)))
    decoder = FrameDecoder()
    got = decoder.feed(data[:length])
    assert got == frames[: len(got)]
    assert decoder.buffered_bytes == length - len(encode(got))
    assert got + decoder.feed(data[length:]) == frames


@settings(derandomize=True)
@given(FRAMES.filter(bool), st.data())
def test_a_flipped_bit_never_gives_another_frame(frames: list[tuple[int, bytes]], draw: st.DataObject) -> None:
    data = bytearray(encode(frames))
    bit = draw.draw(st.integers(0, len(data) * 8 - 1))
    data[bit // 8] ^= 1 << bit % 8
    decoder, got = FrameDecoder(), []
    try:
        for byte in data:
            got += decoder.feed(bytes([byte]))
    except FrameError:
        pass
    assert got == frames[: len(got)]
    assert len(got) < len(frames)


@pytest.mark.parametrize("length", [BODY_BYTES_MAX + 1, 2**31, 2**32 - 1])
def test_a_length_beyond_the_limit_is_refused_with_its_header(length: int) -> None:
    decoder = FrameDecoder()
    with pytest.raises(FrameError, match=f"claims {length} bytes"):
        decoder.feed(struct.pack(">III", length, 0, 1))
    assert decoder.buffered_bytes == 0


@pytest.mark.parametrize("lie", [-3, -1, 1, 3])
def test_a_wrong_length_is_found_by_the_checksum(lie: int) -> None:
    data = bytearray(encode([(1, b"abcdef"), (1, b"ghijkl")]))
    struct.pack_into(">I", data, 0, 6 + lie)
    with pytest.raises(FrameError, match="wrong checksum"):
        FrameDecoder().feed(bytes(data))


@pytest.mark.parametrize(
    "garbage", [b"\0" * 100, b"\xff" * 100, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x80\x04\x95" * 9]
)
def test_garbage_is_refused_and_nothing_after_it_is_believed(garbage: bytes) -> None:
    decoder = FrameDecoder()
    with pytest.raises(FrameError):
        decoder.feed(garbage)
    with pytest.raises(FrameError):
        decoder.feed(encode([(1, b"fine")]))
    assert decoder.buffered_bytes == 0


def test_no_more_than_a_frame_is_kept() -> None:
    decoder = FrameDecoder()
    data = encode([(1, bytes(BODY_BYTES_MAX))])
    for start in range(0, len(data) - 1, 65536):
        assert decoder.feed(data[start : min(start + 65536, len(data) - 1)]) == []
        assert decoder.buffered_bytes < FRAME_BYTES_MAX
    assert decoder.feed(data[-1:] + b"\0\0\0") == [(1, bytes(BODY_BYTES_MAX))]
    assert decoder.buffered_bytes == 3


def test_an_incomplete_frame_is_not_looked_at_again_for_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    summed_bytes = 0

    def counting(data: bytes, value: int = 0) -> int:
        nonlocal summed_bytes
        summed_bytes += len(data)
        return crc32(data, value)

    data = encode([(1, b"x" * 5000)] * 3)
    monkeypatch.setattr(frames_module, "crc32", counting)
    assert len(decode_in([bytes([byte]) for byte in data])) == 3
    assert summed_bytes == len(data) - 3 * (HEADER_BYTES - 4)


def test_too_large_a_frame_is_not_encoded() -> None:
    with pytest.raises(AssertionError, match="the limit is"):
        encode([(1, bytes(BODY_BYTES_MAX + 1))])
