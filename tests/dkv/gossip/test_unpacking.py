"""msgpack from strangers: the same value in all its forms, the zero value for nothing, a reason for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.gossip.wire import packing
from dkv.gossip.wire.limits import FIELDS_MAX, BadPacket
from dkv.gossip.wire.unpacking import Value, end_of, fields_of, skim, value_at

MAX = 2**64 - 1
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=40), inner, max_size=8),
    max_leaves=15,
)


def value(data: bytes) -> Value:
    return value_at(data, 0, "it")


@settings(derandomize=True, max_examples=100)
@given(TREES, st.binary(max_size=5))
def test_stepping_over_anything(tree: Any, rest: bytes) -> None:
    """Written by another library: it must end where that library ended."""
    data = msgspec.msgpack.encode(tree)
    assert end_of(data + rest, 0) == len(data)
    for size in range(0, len(data), 1 + len(data) // 40):
        with pytest.raises(BadPacket, match="too early"):
            end_of(data[:size], 0)


@settings(derandomize=True, max_examples=100)
@given(TREES, st.integers(1, 7))
def test_stepping_over_what_comes_bit_by_bit(tree: Any, step: int) -> None:
    data, offset, pending = msgspec.msgpack.encode(tree), 0, 1
    for size in [*range(0, len(data), step), len(data)]:
        assert pending
        offset, pending = skim(data[:size], offset, pending)
    assert (offset, pending) == (len(data), 0)


@settings(derandomize=True)
@given(st.integers(-(2**63), MAX))
def test_whole_numbers(number: int) -> None:
    assert value(packing.integer(number)).integer(MAX, -(2**63)) == number
    assert packing.integer(number) == msgspec.msgpack.encode(number)


@pytest.mark.parametrize("data", ["d07f", "d1007f", "d20000007f", "d3000000000000007f", "cc7f", "cd007f", "7f"])
def test_a_number_in_all_its_forms(data: str) -> None:
    assert value(bytes.fromhex(data)).integer(MAX) == 127


@pytest.mark.parametrize("head", [b"\xa3", b"\xd9\x03", b"\xda\0\x03", b"\xdb\0\0\0\x03"])
def test_text_in_all_its_forms(head: bytes) -> None:
    assert value(head + b"abc").text() == "abc"
    assert value(head + b"abc").raw() == b"abc"


@pytest.mark.parametrize("head", [b"\xc4\x03", b"\xc5\0\x03", b"\xc6\0\0\0\x03"])
def test_bytes_in_all_their_forms_are_no_text(head: bytes) -> None:
    assert value(head + b"a\xff\0").raw() == b"a\xff\0"
    with pytest.raises(BadPacket, match="it is not text"):
        value(head + b"abc").text()


@pytest.mark.parametrize("size", [0, 31, 32, 255, 256, 65_535, 65_536])
def test_sizes(size: int) -> None:
    data = b"b" * size
    for pack in (packing.raw, packing.new_binary):
        assert value(pack(data)).raw() == data
        assert end_of(pack(data), 0) == len(pack(data))
    for pack_text in (packing.text, packing.new_text):
        assert value(pack_text(data.decode())).text() == data.decode()
    assert packing.new_binary(data) == msgspec.msgpack.encode(data)
    assert packing.new_text(data.decode()) == msgspec.msgpack.encode(data.decode())


@pytest.mark.parametrize("count", [0, 15, 16, 65_535, 65_536])
def test_lists_and_maps_of_all_sizes(count: int) -> None:
    numbers = list(range(count))
    packed = [packing.integer(number) for number in numbers]
    assert packing.array(packed) == msgspec.msgpack.encode(numbers)
    assert packing.mapping(zip(packed, packed, strict=True)) == msgspec.msgpack.encode({n: n for n in numbers})
    assert [each.integer(MAX) for each in value(packing.array(packed)).array(count)] == numbers


@pytest.mark.parametrize("read", [lambda v: v.integer(1), lambda v: v.raw(), lambda v: v.text()])
def test_nothing_is_zero(read: Callable[[Value], Any]) -> None:
    missing = fields_of(b"\x80")["Name"]
    assert not read(missing)
    assert not read(value(b"\xc0"))
    assert missing.is_nil()
    assert missing.raw_or_none() is None
    assert missing.boolean() is False
    assert missing.array(1) == []
    assert missing.mapping(1) == []
    assert missing.fields()["Other"].is_nil()


TEXT, NUMBER, LIST, MAP, TRUE = b"\xa1a", b"\x01", b"\x91\x01", b"\x81\xa1a\x01", b"\xc3"
REAL = msgspec.msgpack.encode(1.0)
READINGS: dict[str, tuple[Callable[[Value], Any], tuple[bytes, ...]]] = {
    "whole number": (lambda v: v.integer(MAX), (TEXT, LIST, MAP, TRUE, REAL)),
    "bytes": (lambda v: v.raw(), (NUMBER, LIST, MAP, TRUE, REAL)),
    "text": (lambda v: v.text(), (NUMBER, LIST, MAP, TRUE, REAL)),
    "truth value": (lambda v: v.boolean(), (TEXT, NUMBER, LIST, MAP, REAL)),
    "list": (lambda v: v.array(9), (TEXT, NUMBER, MAP, TRUE, REAL)),
    "map": (lambda v: v.mapping(9), (TEXT, NUMBER, LIST, TRUE, REAL)),
    "a map": (lambda v: v.fields(), (TEXT, NUMBER, LIST, TRUE, REAL)),
}


@pytest.mark.parametrize("kind", READINGS)
def test_wrong_types(kind: str) -> None:
    read, others = READINGS[kind]
    for data in others:
        with pytest.raises(BadPacket, match="it is not "):
            read(value(data))


@pytest.mark.parametrize("data", [b"\xcd\x01\x00", b"\xff", b"\xd0\x80", b"\xcf" + b"\xff" * 8])
def test_numbers_out_of_bounds(data: bytes) -> None:
    with pytest.raises(BadPacket, match=r"outside of 0\.\.255"):
        value(data).integer(255)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_text_that_is_none(data: bytes) -> None:
    with pytest.raises(BadPacket, match="UTF-8"):
        value(packing.raw(data)).text()
    assert "\ufffd" in value(packing.raw(data)).shown_text()


@pytest.mark.parametrize("data", [b"\xc1", b"\xc7\0\0", b"\xd4\0\0", b"\x81\xa1a\xc9\0"])
def test_bytes_that_begin_nothing(data: bytes) -> None:
    with pytest.raises(BadPacket, match="begins no value"):
        end_of(data, 0)


def test_limits() -> None:
    with pytest.raises(BadPacket, match="3 entries, the limit is 2"):
        value(b"\x93\1\2\3").array(2)
    with pytest.raises(BadPacket, match="2 entries, the limit is 1"):
        value(b"\x82\1\2\3\4").mapping(1)
    with pytest.raises(BadPacket, match="4 bytes, the limit is 3"):
        value(b"\xa4abcd").text(3)
    many = {f"f{number}": b"\xc0" for number in range(FIELDS_MAX + 1)}
    with pytest.raises(BadPacket, match="33 entries"):
        fields_of(packing.fields(many))


def test_a_struct() -> None:
    """Any order, unknown fields, the last of two, what follows it."""
    data = b"\x84\xa1b\x02\xa1?\x91\x91\x81\x01\x02\xa1a\x01\xa1b\x03" + b"rest"
    fields = fields_of(data)
    assert (fields["a"].integer(9), fields["b"].integer(9), fields["c"].integer(9)) == (1, 3, 0)
    assert data[fields.end :] == b"rest"


def test_a_struct_whose_keys_are_no_text() -> None:
    for key in (b"\x01", b"\xc4\x01a", b"\x91\x01"):
        with pytest.raises(BadPacket, match="a field's name is not"):
            fields_of(b"\x81" + key + b"\x01")


@pytest.mark.parametrize("data", [b"", b"\x81", b"\x81\xa1", b"\x81\xa1a", b"\x81\xa1a\xcd\x01", b"\xde\x00"])
def test_structs_that_are_cut(data: bytes) -> None:
    with pytest.raises(BadPacket, match="too early"):
        fields_of(data)
