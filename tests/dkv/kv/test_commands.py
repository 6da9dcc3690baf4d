"""The codec takes back what it gave and refuses everything else; validation names the limit."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.errors import BadRequest, DkvError, TooLarge
from dkv.kv.commands import (
    ANY_REVISION,
    KEY_BYTES_MAX,
    REVISION_MAX,
    TIME_MS_MAX,
    TTL_MS_MAX,
    VALUE_BYTES_MAX,
    BadBatch,
    Batch,
    Command,
    Op,
    decode_batch,
    encode_batch,
    fingerprint,
    size_bytes,
    validate,
)

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
COMMANDS = st.builds(
    Command,
    op=st.sampled_from(Op),
    key=TEXT,
    value=TEXT,
    cas=st.integers(ANY_REVISION, REVISION_MAX),
    ttl_ms=st.integers(0, TTL_MS_MAX),
    id=TEXT,
)
BATCHES = st.builds(Batch, time_ms=st.integers(0, TIME_MS_MAX), commands=st.lists(COMMANDS, max_size=5))
SAMPLE = Batch(
    1_700_000_000_000,
    [Command(Op.SET, "k", "välue", 7, 60_000, "id-1"), Command(Op.DELETE, "k"), Command(Op.CLOCK)],
)


@given(BATCHES)
@settings(derandomize=True)
def test_a_batch_survives_its_bytes(batch: Batch) -> None:
    assert decode_batch(encode_batch(batch)) == batch


@given(COMMANDS)
@settings(derandomize=True)
def test_size_is_an_upper_bound(command: Command) -> None:
    assert size_bytes(command) >= len(msgspec.msgpack.encode(command))


def test_every_prefix_and_every_tail_is_refused() -> None:
    payload = encode_batch(SAMPLE)
    for end in range(len(payload)):
        with pytest.raises(BadBatch):
            decode_batch(payload[:end])
    with pytest.raises(BadBatch):
        decode_batch(payload + b"\x00")


def test_bit_flips_are_refused_or_are_another_batch() -> None:
    payload = encode_batch(SAMPLE)
    refused = 0
    for position in range(len(payload) * 8):
        flipped = bytearray(payload)
        flipped[position // 8] ^= 1 << position % 8
        try:
            assert decode_batch(bytes(flipped)) != SAMPLE
        except BadBatch:
            refused += 1
    assert refused > len(payload)


def test_random_bytes_raise_nothing_else() -> None:
    rng = random.Random(1)
    refused = 0
    for _ in range(5000):
        try:
            decode_batch(rng.randbytes(rng.randrange(40)))
        except BadBatch:
            refused += 1
    assert refused > 4990


@pytest.mark.parametrize(
    "payload",
    [
        b"\x92\x00\xdd\xff\xff\xff\xff",  # four thousand million commands
        b"\x91" * 100_000,
        b"\x93\x00\x90" + b"\x91" * 100_000,  # an unknown third field, deeply nested
        b"\x92\x00\x91\x97\x00\xa0\xa0\x00\x00\xa0\x00",  # a seventh field of a command
        b"\x92\x00\x91\x92\x00\xa3\xed\xa0\x80",  # a surrogate in UTF-8's clothes
        b"\x92\x00\x91\x91\x04",  # no such op
        b"\x92\xff\x90",  # a time before the epoch
        b"\x92\xcf" + b"\xff" * 8 + b"\x90",  # a time beyond all times
        b"\x92\x00\x91\x94\x00\xa1k\xa0\xfe",  # cas -2
        b"\x92\x00\x91\x95\x00\xa1k\xa0\xff\xff",  # ttl -1
        b"\x92\x00\x91\x95\x00\xa1k\xa0\xff\xcf" + b"\xff" * 8,  # ttl beyond all times
        b"\x80",
        b"(dp0\n.",
    ],
)
def test_crafted_payloads_are_refused(payload: bytes) -> None:
    with pytest.raises(BadBatch):
        decode_batch(payload)


def test_fingerprints_tell_everything_but_the_id() -> None:
    base = Command(Op.SET, "k", "v", 5, 1000, "a")
    others = [
        Command(Op.DELETE, "k", "v", 5, 1000, "a"),
        Command(Op.SET, "j", "v", 5, 1000, "a"),
        Command(Op.SET, "k", "w", 5, 1000, "a"),
        Command(Op.SET, "k", "v", 6, 1000, "a"),
        Command(Op.SET, "k", "v", 5, 1001, "a"),
        Command(Op.SET, "kv", "", 5, 1000, "a"),
    ]
    assert len(fingerprint(base)) == 8
    assert fingerprint(base) == fingerprint(Command(Op.SET, "k", "v", 5, 1000, "b"))
    assert len({fingerprint(command) for command in [base, *others]}) == len(others) + 1


@pytest.mark.parametrize(
    "command",
    [
        Command(Op.SET, "k", ""),
        Command(Op.SET, "k" * KEY_BYTES_MAX, "v" * VALUE_BYTES_MAX, 0, TTL_MS_MAX, "i" * 128),
        Command(Op.SET, "é" * (KEY_BYTES_MAX // 2), "é" * (VALUE_BYTES_MAX // 2), REVISION_MAX),
        Command(Op.GET, "a\x00b"),
        Command(Op.DELETE, "k", cas=3),
    ],
)
def test_what_a_user_may_ask(command: Command) -> None:
    validate(command)
    assert decode_batch(encode_batch(Batch(0, [command]))).commands == [command]


@pytest.mark.parametrize(
    ("command", "error", "says"),
    [
        (Command(Op.SET, ""), BadRequest, "at least one character"),
        (Command(Op.SET, "\x00member/n1"), BadRequest, "NUL"),
        (Command(Op.GET, "k" * (KEY_BYTES_MAX + 1)), TooLarge, "4096 bytes"),
        (Command(Op.GET, "é" * (KEY_BYTES_MAX // 2 + 1)), TooLarge, "4098 bytes; the limit is 4096"),
        (Command(Op.SET, "k", "v" * (VALUE_BYTES_MAX + 1)), TooLarge, "1048576 bytes"),
        (Command(Op.SET, "k", "€" * (VALUE_BYTES_MAX // 3 + 1)), TooLarge, "1048576 bytes"),
        (Command(Op.SET, "k", ttl_ms=-1), BadRequest, "the limits are 0 and"),
        (Command(Op.SET, "k", ttl_ms=TTL_MS_MAX + 1), BadRequest, "the limits are 0 and"),
        (Command(Op.SET, "k", cas=-2), BadRequest, "cas is -2"),
        (Command(Op.SET, "k", cas=2**70), BadRequest, "at most 9007199254740992"),
        (Command(Op.SET, "k", id="i" * 129), BadRequest, "129 characters; the limit is 128"),
        (Command(Op.SET, "\ud800"), BadRequest, "The key holds a lone surrogate"),
        (Command(Op.SET, "k", "\udfff"), BadRequest, "The value holds a lone surrogate"),
        (Command(Op.SET, "k", id="\udfff"), BadRequest, "The id holds a lone surrogate"),
    ],
)
def test_what_a_user_may_not_ask(command: Command, error: type[DkvError], says: str) -> None:
    with pytest.raises(error, match=says):
        validate(command)
