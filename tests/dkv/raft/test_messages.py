"""The codec by property: what goes in comes out, and whatever else comes in is ``BadMessage`` or a valid message."""

import pickle
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkv.raft.contracts import Entry
from dkv.raft.messages import (
    AppendEntries,
    BadMessage,
    Message,
    Number,
    SnapshotChunk,
    SnapshotPull,
    Vote,
    decode,
    encode,
)

NUMBERS = st.integers(0, 2**63 - 1)
ENTRIES = st.lists(st.builds(Entry, st.binary(max_size=20), NUMBERS, NUMBERS), max_size=4)
BY_TYPE = {Number: NUMBERS, bool: st.booleans(), bytes: st.binary(max_size=50), list[Entry]: ENTRIES}
KINDS = Message.__args__


def messages_of(kind):
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **{name: BY_TYPE[type_] for name, type_ in types.items()})


MESSAGES = st.one_of([messages_of(kind) for kind in KINDS])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_goes_in_comes_out(kind, data):
    message = data.draw(messages_of(kind))
    again = decode(encode(message))
    assert again == message
    assert type(again) is kind


def test_every_kind_has_its_own_tag():
    assert len({kind.__struct_config__.tag for kind in KINDS}) == len(KINDS)


@given(MESSAGES)
def test_no_beginning_of_a_message_is_a_message(message):
    data = encode(message)
    for length in range(len(data)):
        with pytest.raises(BadMessage):
            decode(data[:length])
    with pytest.raises(BadMessage):
        decode(data + b"\xc0")


@given(MESSAGES)
def test_a_flipped_bit_gives_another_message_or_none(message):
    data = encode(message)
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        assert is_message_or_bad(bytes(damaged))


@given(st.binary(max_size=200))
def test_noise_is_a_message_or_none(data):
    assert is_message_or_bad(data)


def is_message_or_bad(data):
    try:
        return isinstance(decode(data), KINDS)
    except BadMessage:
        return True


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(pickle.dumps(Vote(1)), id="a pickle"),
        pytest.param(msgspec.msgpack.encode({"kind": 4, "term": 1}), id="a map"),
        pytest.param(msgspec.msgpack.encode([99, 1]), id="no kind of ours"),
        pytest.param(msgspec.msgpack.encode([4]), id="a field too few"),
        pytest.param(msgspec.msgpack.encode([4, 1.5]), id="a float"),
        pytest.param(msgspec.msgpack.encode([4, "1"]), id="a number as text"),
        pytest.param(msgspec.msgpack.encode([4, None]), id="no term"),
        pytest.param(msgspec.msgpack.encode([1, 1, 0, 0, 0, [[b"x", 1]]]), id="an entry of two"),
        pytest.param(msgspec.msgpack.encode([1, 1, 0, 0, 0, [[b"x", 1, 1, 1]]]), id="an entry of four"),
        pytest.param(msgspec.msgpack.encode([1, 1, 0, 0, 0, [["x", 1, 1]]]), id="a command as text"),
        pytest.param(b"\x93\x04\x01" + b"\x91" * 200_000 + b"\xc0", id="an abyss behind the fields"),
        pytest.param(b"\x92\x04" + b"\x91" * 200_000, id="an abyss in a field"),
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(BadMessage):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xdd\xff\xff\xff\xff", id="four thousand million fields"),
        pytest.param(b"\x96\x01\x01\x01\x01\x01\xdd\xff\xff\xff\xff", id="as many entries"),
        pytest.param(b"\x96\x0f\x01\x01\x01\x01\xc6\xff\xff\xff\xff", id="as many bytes of a chunk"),
    ],
)
def test_what_a_message_claims_to_hold_takes_no_memory_before_it_is_there(data):
    tracemalloc.start()
    try:
        with pytest.raises(BadMessage):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Vote(2**64 - 1), id="a term that the disk cannot hold"),
        pytest.param(Vote(-1), id="a negative term"),
        pytest.param(AppendEntries(1, -5, 0, 0, []), id="a negative index"),
        pytest.param(SnapshotPull(1, 20, -1), id="a negative offset"),
    ],
)
def test_numbers_that_nobody_may_send_are_refused(message):
    with pytest.raises(BadMessage):
        decode(encode(message))


def test_bytes_stay_bytes():
    data = bytes(range(256))
    assert decode(encode(SnapshotChunk(1, 2, 3, 4, data))).data == data
