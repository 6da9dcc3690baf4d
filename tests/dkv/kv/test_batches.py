"""Packing keeps order, limits and requests, and gives two writers of a key two entries."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.errors import TooLarge
from dkv.kv.batches import BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, Payload, form_payloads, validate_request
from dkv.kv.commands import KEY_BYTES_MAX, VALUE_BYTES_MAX, Batch, Command, Op, encode_batch, validate

COMMANDS = st.builds(
    Command,
    op=st.sampled_from([Op.SET, Op.DELETE, Op.GET]),
    key=st.sampled_from("abcdefgh"),
    value=st.one_of(st.just("x"), st.sampled_from([300_000, 900_000]).map(lambda n: "é" * (n // 2))),
)
REQUESTS = st.lists(st.lists(COMMANDS, max_size=2), max_size=12)


def payloads_of(requests: list[list[Command]]) -> list[Payload]:
    return form_payloads([(request, validate_request(request)) for request in requests])


def requests_of(payload: Payload) -> list[list[Command]]:
    ends = [0, *accumulate(payload.lengths)]
    return [payload.commands[start:end] for start, end in pairwise(ends)]


def mutated(request: list[Command]) -> set[str]:
    return {command.key for command in request if command.op in (Op.SET, Op.DELETE)}


@given(REQUESTS)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_nothing_is_lost_split_or_mixed_up(requests: list[list[Command]]) -> None:
    payloads = payloads_of(requests)
    assert [request for payload in payloads for request in requests_of(payload)] == requests
    for payload in payloads:
        assert payload.lengths
        assert len(encode_batch(Batch(2**53, payload.commands))) <= BATCH_BYTES_MAX
        keys = [key for request in requests_of(payload) for key in mutated(request)]
        assert len(keys) == len(set(keys)), "two requests of one payload mutate the same key"


@given(REQUESTS)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_a_payload_ends_only_for_a_reason(requests: list[list[Command]]) -> None:
    for payload, following in pairwise(payloads_of(requests)):
        request = requests_of(following)[0]
        together = len(encode_batch(Batch(2**53, payload.commands + request)))
        conflict = any(mutated(request) & mutated(earlier) for earlier in requests_of(payload))
        assert conflict or together + 34 * len(payload.commands + request) > BATCH_BYTES_MAX


def test_no_requests_no_payloads() -> None:
    assert payloads_of([]) == []


def test_reads_share_a_payload_with_writes_of_their_key() -> None:
    requests = [[Command(Op.SET, "k", "1")], [Command(Op.GET, "k")], [Command(Op.GET, "k")]]
    assert [payload.lengths for payload in payloads_of(requests)] == [[1, 1, 1]]


def test_one_request_may_write_a_key_twice() -> None:
    requests = [[Command(Op.SET, "k", "1"), Command(Op.SET, "k", "2")], [Command(Op.DELETE, "k")]]
    assert [payload.lengths for payload in payloads_of(requests)] == [[2], [1]]


def test_commands_are_limited() -> None:
    requests = [[Command(Op.SET, f"k{number}")] for number in range(BATCH_COMMANDS_MAX + 1)]
    assert [len(payload.commands) for payload in payloads_of(requests)] == [BATCH_COMMANDS_MAX, 1]


def test_the_largest_command_fits() -> None:
    command = Command(Op.SET, "k" * KEY_BYTES_MAX, "€" * (VALUE_BYTES_MAX // 3), 2**53, 1, "€" * 128)
    validate(command)
    validate_request([command])
    assert [payload.lengths for payload in payloads_of([[command], [command]])] == [[1], [1]]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ([Command(Op.GET, "k")] * (BATCH_COMMANDS_MAX + 1), "2049 commands; the limit is 2048"),
        ([Command(Op.SET, "k", "v" * VALUE_BYTES_MAX)] * 2, "the limit is 2097152 bytes"),
    ],
)
def test_a_request_beyond_an_entry_is_refused(request_: list[Command], says: str) -> None:
    with pytest.raises(TooLarge, match=says):
        validate_request(request_)
