"""Decisions about retries, as tables and by property against a small model of a cluster."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.client import calls
from dkv.client.calls import Call
from dkv.client.core import (
    Done,
    Event,
    Failed,
    Failure,
    Operation,
    Raise,
    Retry,
    Send,
    Step,
    Wait,
)
from dkv.client.nodes import Nodes
from dkv.client.protocol import ABSENT, Answer, Reply
from dkv.errors import BY_CODE, Outcome

A, B, C = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"

READ = calls.get("k", "linearizable")
SAFE = calls.put("k", "v", cas=None, ttl_s=None, id="one")
BARE = calls.put("k", "v", cas=None, ttl_s=None, id="")

OK = Reply(200, {}, b'{"val": "v", "revision": 7, "found": true}')
REFUSED = Failed(Failure.NOT_SENT, "refused")
LOST = Failed(Failure.LOST, "reset")
SILENT = Failed(Failure.SILENT, "timed out")


def refusal(code: str, outcome: str | None = None, leader: str | None = None, **headers: str) -> Reply:
    known = BY_CODE[code]
    body: dict[str, Any] = {"error": f"{code}.", "code": code, "outcome": outcome or known.default_outcome}
    if leader:
        body["leader"] = {"id": "n", "rest": leader}
    return Reply(known.status, {n.replace("_", "-"): v for n, v in headers.items()}, json.dumps(body).encode())


def operation(call: Call[Any], *nodes: str, retry: Retry | None = None, timeout_s: float = 5.0) -> Operation[Any]:
    rng = random.Random(1)
    return Operation(call, Nodes(nodes or (A, B, C), rng), retry or Retry(), rng, deadline=timeout_s)


def play(op: Operation[Any], *events: Event) -> list[Step[Any]]:
    """All steps; waits pass by themselves. Time moves by waiting only."""
    now, steps = 0.0, [op.start(0.0)]
    for event in events:
        steps.append(op.advance(event, now))
        if isinstance(steps[-1], Wait):
            now += steps[-1].seconds
            steps.append(op.advance(None, now))
    return steps


def shape(steps: list[Step[Any]]) -> str:
    return " ".join(type(step).__name__ for step in steps)


UNKNOWN_REPLIES = [
    refusal("LEADERSHIP_LOST"),
    refusal("TIMEOUT"),
    refusal("INTERNAL"),
    Reply(200, {}, b"<html>"),
    Reply(502, {}, b"<html>bad gateway"),
    Reply(301, {"location": "http://elsewhere:1/"}, b""),
    Reply(503, {}, b'{"error": "e", "code": "MADE_UP_LATER", "retryable": true}'),
]
HARMLESS_REPLIES = [
    refusal("NOT_LEADER", leader=B),
    refusal("NO_LEADER"),
    refusal("BUSY"),
    refusal("OVERLOADED"),
    refusal("SHUTTING_DOWN"),
    refusal("NO_SPACE"),
    refusal("TIMEOUT", "not_applied"),
    Reply(307, {"location": f"http://{B}/?x=1"}, b""),
    REFUSED,
]


@pytest.mark.parametrize("event", [LOST, SILENT, *UNKNOWN_REPLIES])
def test_bare_mutation_is_not_sent_again_once_it_may_be_applied(event: Reply | Failed) -> None:
    steps = play(operation(BARE), event)
    assert shape(steps) == "Send Raise"
    assert isinstance(steps[-1], Raise)
    assert steps[-1].error.code == "UNKNOWN_OUTCOME"
    assert steps[-1].error.outcome is Outcome.UNKNOWN
    assert steps[-1].error.node in (A, B, C)


@pytest.mark.parametrize("event", HARMLESS_REPLIES)
@pytest.mark.parametrize("call", [READ, SAFE, BARE], ids=["read", "safe", "bare"])
def test_what_was_certainly_not_applied_is_sent_again(call: Call[Any], event: Reply | Failed) -> None:
    steps = play(operation(call), event, OK)
    assert shape(steps).replace(" Wait", "") == "Send Send Done"


@pytest.mark.parametrize("event", [LOST, SILENT, *(r for r in UNKNOWN_REPLIES if b"INTERNAL" not in r.body)])
@pytest.mark.parametrize("call", [READ, SAFE], ids=["read", "safe"])
def test_reads_and_mutations_with_an_id_survive_a_lost_reply(call: Call[Any], event: Reply | Failed) -> None:
    steps = play(operation(call), event, OK)
    assert shape(steps).replace(" Wait", "") == "Send Send Done"


@pytest.mark.parametrize(
    "code", ["BAD_REQUEST", "CAS_MISMATCH", "TOO_LARGE", "ID_REUSED", "UNAUTHORIZED", "ROUTE_NOT_FOUND"]
)
@pytest.mark.parametrize("call", [READ, SAFE, BARE], ids=["read", "safe", "bare"])
def test_definite_refusals_are_raised_at_once(call: Call[Any], code: str) -> None:
    steps = play(operation(call), refusal(code))
    assert shape(steps) == "Send Raise"
    assert isinstance(steps[-1], Raise)
    assert (steps[-1].error.code, steps[-1].error.outcome) == (code, Outcome.NOT_APPLIED)


@pytest.mark.parametrize(
    ("last", "code", "outcome"),
    [
        (refusal("CAS_MISMATCH"), "CAS_MISMATCH", "not_applied"),  # the state machine's word, under the id
        (refusal("TOO_LARGE"), "UNKNOWN_OUTCOME", "unknown"),
        (refusal("NO_LEADER", retry_after="60"), "UNKNOWN_OUTCOME", "unknown"),
        (refusal("ID_REUSED"), "UNKNOWN_OUTCOME", "unknown"),
    ],
)
def test_a_refusal_after_a_lost_reply_settles_nothing_unless_it_is_the_verdict(
    last: Reply, code: str, outcome: str
) -> None:
    steps = play(operation(SAFE, A), LOST, last)
    assert isinstance(steps[-1], Raise)
    assert (steps[-1].error.code, steps[-1].error.outcome) == (code, outcome)


def test_reads_never_end_as_unknown() -> None:
    for event in (LOST, SILENT, *UNKNOWN_REPLIES):
        steps = play(operation(READ, retry=Retry(max_attempts=1)), event)
        assert isinstance(steps[-1], Raise)
        assert steps[-1].error.outcome is Outcome.NOT_APPLIED


def test_missing_keys_are_values() -> None:
    missing = refusal("KEY_NOT_FOUND")
    for call in (READ, calls.delete("k", cas=None, id="")):
        done = play(operation(call), missing)[-1]
        assert isinstance(done, Done)
        assert done.value is ABSENT
    assert isinstance(play(operation(BARE), missing)[-1], Raise)


def test_hint_is_followed_at_once_and_remembered() -> None:
    rng = random.Random(0)
    nodes = Nodes([A], rng)
    first = Operation(SAFE, nodes, Retry(), rng, deadline=5)
    steps = play(first, refusal("NOT_LEADER", leader=B), OK)
    assert [step.node for step in steps if isinstance(step, Send)] == [A, B]
    again = Operation(SAFE, nodes, Retry(), rng, deadline=5).start(0.0)
    assert isinstance(again, Send)
    assert again.node == B


def test_redirect_loop_pauses_and_ends() -> None:
    op, now, waits, sent = operation(SAFE, A, B, retry=Retry(max_attempts=12)), 0.0, 0, 0
    step = op.start(now)
    for _ in range(100):
        if isinstance(step, Send):
            sent += 1
            step = op.advance(refusal("NOT_LEADER", leader=B if step.node == A else A), now)
        elif isinstance(step, Wait):
            waits += 1
            now += step.seconds
            step = op.advance(None, now)
        else:
            break
    assert isinstance(step, Raise)
    assert (step.error.code, step.error.outcome) == ("NOT_LEADER", Outcome.NOT_APPLIED)
    assert (sent, waits) == (12, 2)


def test_hint_to_a_node_that_just_fell_silent_is_not_followed() -> None:
    op = operation(SAFE, A, B)
    first = op.start(0.0)
    assert isinstance(first, Send)
    second = op.advance(SILENT, 2.5)
    assert isinstance(second, Send)
    assert second.node != first.node
    assert isinstance(op.advance(refusal("NOT_LEADER", leader=first.node), 2.5), Wait)


def test_busy_node_sends_a_read_elsewhere_and_keeps_a_write_at_the_leader() -> None:
    steps = play(operation(READ), refusal("BUSY", retry_after="1"), OK)
    assert shape(steps) == "Send Send Done"
    op = operation(SAFE, A, B)
    asked = op.start(0.0)
    assert isinstance(asked, Send)
    leader = B if asked.node == A else A
    op.advance(refusal("NOT_LEADER", leader=leader), 0.0)
    pause = op.advance(refusal("BUSY", retry_after="1"), 0.0)
    assert isinstance(pause, Wait)
    assert pause.seconds >= 1
    again = op.advance(None, pause.seconds)
    assert isinstance(again, Send)
    assert again.node == leader


def test_retry_after_beyond_the_deadline_ends_the_operation() -> None:
    steps = play(operation(SAFE, timeout_s=1.0), refusal("OVERLOADED", retry_after="2"))
    assert shape(steps) == "Send Raise"
    assert isinstance(steps[-1], Raise)
    assert steps[-1].error.code == "OVERLOADED"


def test_a_silent_node_gets_half_of_the_time_where_others_can_serve() -> None:
    for call, nodes, share_s in ((READ, (A, B), 2.0), (SAFE, (A, B), 2.0), (BARE, (A, B), 4.0), (READ, (A,), 4.0)):
        step = operation(call, *nodes, timeout_s=4.0).start(0.0)
        assert isinstance(step, Send)
        assert step.timeout_s == share_s
        assert step.request.headers["X-DKV-Timeout"] == f"{share_s:.3f}"


@pytest.mark.parametrize(("timeout_s", "told"), [(0.001, "0.010"), (3.0, "3.000"), (600.0, "60.000")])
def test_nodes_are_told_a_time_that_they_accept(timeout_s: float, told: str) -> None:
    step = operation(READ, A, timeout_s=timeout_s).start(0.0)
    assert isinstance(step, Send)
    assert (step.timeout_s, step.request.headers["X-DKV-Timeout"]) == (timeout_s, told)


def test_deadline_that_passes_before_anything_was_sent() -> None:
    step = operation(BARE, timeout_s=1.0).start(2.0)
    assert isinstance(step, Raise)
    assert (step.error.code, step.error.outcome) == ("TIMEOUT", Outcome.NOT_APPLIED)


def test_only_is_asked_alone() -> None:
    rng = random.Random(0)
    op: Operation[Any] = Operation(calls.status(), Nodes([A, B], rng), Retry(max_attempts=3), rng, deadline=5, only=C)
    steps = play(op, REFUSED, refusal("NOT_LEADER", leader=A), Reply(200, {"x-dkv-index": "9"}, b'{"role": "leader"}'))
    assert {step.node for step in steps if isinstance(step, Send)} == {C}
    assert steps[-1] == Done({"role": "leader"}, C, 9)


def test_pauses_have_full_jitter_within_their_bounds() -> None:
    retry, rng = Retry(), random.Random(5)
    for pauses, most_s in ((0, 0.02), (1, 0.04), (3, 0.16), (9, 1.0), (1000, 1.0)):
        drawn = [retry.pause_s(pauses, rng) for _ in range(200)]
        assert max(drawn) <= most_s
        assert min(drawn) < most_s / 4


@pytest.mark.parametrize("bad", [{"max_attempts": 0}, {"base_s": 0}, {"base_s": 2.0}])
def test_retry_refuses_nonsense(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one attempt"):
        Retry(**bad)


# A cluster whose every request may go wrong in any way, and whose truth is known.


@dataclass
class Register:
    """One key under an idempotency table. What was lost on the way may still arrive later."""

    applied: int = 0
    answered: dict[str, bool] = field(default_factory=dict)
    exists: bool = False

    def execute(self, body: bytes) -> bool:
        """Whether it took effect; ``cas`` 0: only if absent."""
        command = json.loads(body)
        id = command.get("id", "")
        if id in self.answered:
            return self.answered[id]
        effect = not (command.get("cas") == 0 and self.exists)
        self.applied += effect
        self.exists |= effect
        if id:
            self.answered[id] = effect
        return effect


REFUSALS = ("NOT_LEADER", "NO_LEADER", "BUSY", "OVERLOADED", "SHUTTING_DOWN", "NO_SPACE", "TOO_LARGE", "BAD_REQUEST")
UNKNOWNS = ("LEADERSHIP_LOST", "TIMEOUT", "INTERNAL", "LOST", "SILENT", "GARBAGE")
FATES = st.tuples(
    st.sampled_from(("ok", "refused", "foreign delete", *REFUSALS, *UNKNOWNS)),
    st.sampled_from(("now", "later", "never")),
    st.sampled_from((A, B, C, "127.0.0.1:4", "nonsense")),
    st.sampled_from(("0", "0.3", "1", "60", "x")),
    st.floats(0, 1),
)


def meet(fate: tuple[str, str, str, str, float], body: bytes, register: Register, later: list[bytes]) -> Reply | Failed:
    kind, when, leader, retry_after, _ = fate
    if kind == "refused":
        return REFUSED
    if kind in REFUSALS:
        return refusal(kind, leader=leader, retry_after=retry_after)
    if kind == "foreign delete":
        register.exists = False
        return refusal("NO_LEADER")
    if kind == "ok":
        return OK if register.execute(body) else refusal("CAS_MISMATCH")
    if when == "now":
        register.execute(body)
    elif when == "later":
        later.append(body)
    failures = {"LOST": LOST, "SILENT": SILENT, "GARBAGE": Reply(200, {}, b"\xff")}
    return failures[kind] if kind in failures else refusal(kind)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    fates=st.lists(FATES, min_size=40, max_size=40),
    id=st.sampled_from(("", "id")),
    cas=st.sampled_from((None, 0)),
    exists=st.booleans(),
    nodes=st.sampled_from(((A,), (A, B), (A, B, C))),
    attempts=st.integers(1, 25),
    seed=st.integers(0, 2**32),
)
def test_every_mutation_ends_in_time_and_tells_the_truth(
    fates: list[tuple[str, str, str, str, float]],
    id: str,
    cas: int | None,
    exists: bool,
    nodes: tuple[str, ...],
    attempts: int,
    seed: int,
) -> None:
    register, later, now, deadline = Register(exists=exists), [], 0.0, 5.0
    call = calls.put("k", "v", cas=cas, ttl_s=None, id=id)
    op = operation(call, *nodes, retry=Retry(max_attempts=attempts))
    step: Step[Answer] = op.start(now)
    sent, may_be_applied = 0, False
    for _ in range(2 * attempts + 2):
        if isinstance(step, Send):
            assert not (may_be_applied and not id), "sent again without an id after an unknown outcome"
            assert 0 < step.timeout_s <= deadline - now
            event = meet(fates[sent], step.request.body, register, later)
            may_be_applied |= fates[sent][0] in UNKNOWNS
            now += step.timeout_s if event is SILENT else step.timeout_s * fates[sent][4] ** 4
            sent += 1
            step = op.advance(event, now)
        elif isinstance(step, Wait):
            assert 0 <= step.seconds < deadline - now
            now += step.seconds
            step = op.advance(None, now)
        else:
            break
    assert isinstance(step, Done | Raise), "it never ended"
    assert sent <= attempts
    assert now <= deadline + 1e-9
    register.exists = register.exists and seed % 2 == 0
    for body in later:
        register.execute(body)
    if isinstance(step, Done):
        assert register.applied == 1, "done, but not exactly once"
    elif step.error.outcome is Outcome.NOT_APPLIED:
        assert register.applied == 0, f"{step.error.code} says not_applied, but it was"
    else:
        assert step.error.code == "UNKNOWN_OUTCOME"
        assert register.applied <= 1, "applied twice"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    events=st.lists(st.sampled_from([LOST, SILENT, *UNKNOWN_REPLIES, *HARMLESS_REPLIES]), min_size=30, max_size=30),
    attempts=st.integers(1, 25),
    level=st.sampled_from(["linearizable", "weak", "none", "strong"]),
)
def test_every_read_ends_in_time_without_an_effect(events: list[Reply | Failed], attempts: int, level: str) -> None:
    op, now, sent = operation(calls.get("k", level), retry=Retry(max_attempts=attempts)), 0.0, 0
    step = op.start(now)
    while isinstance(step, Send | Wait):
        assert sent <= attempts
        if isinstance(step, Wait):
            now += step.seconds
            step = op.advance(None, now)
        else:
            now += step.timeout_s if events[sent] is SILENT else min(step.timeout_s, 0.001)
            sent += 1
            step = op.advance(events[sent - 1], now)
    assert isinstance(step, Raise)
    assert step.error.outcome is Outcome.NOT_APPLIED
    assert now <= 5.0 + 1e-9
