"""Both clients through the same scenarios, against scripted nodes on real sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dkv.client import (
    Answer as Row,
)
from dkv.client import (
    CasMismatch,
    DkvError,
    Event,
    IdReused,
    InternalError,
    MembershipRefused,
    NoLeader,
    NotLeader,
    Outcome,
    Retry,
    Timeout,
    UnknownOutcome,
    Unreachable,
)

Connect = Callable[..., Any]

PATIENT_S = 20.0
"""No scenario that uses it waits for it."""

SHORT_S = 0.4
"""Scenarios that are about the deadline."""


def answer(node: Any, status: int, code: str, outcome: str = "not_applied", **more: Any) -> Any:
    """A refusal in the node's words."""
    body = {"error": f"It says {code}.", "code": code, "outcome": outcome, "retryable": False, "request_id": "r1"}
    headers = more.pop("headers", {})
    return type(node.script[0])(status, {**body, **more}, headers)


def ok(node: Any, body: Any = None, **more: Any) -> Any:
    return type(node.script[0])(200, body or {"val": "v", "revision": 7, "found": True}, **more)


def busy(node: Any, code: str = "NO_LEADER", status: int = 503, **headers: str) -> Any:
    return answer(node, status, code, retryable=True, headers=headers)


def test_values_and_wire(node: Any, connect: Connect) -> None:
    client = connect(node.address, timeout=PATIENT_S)
    assert client("get", "k\n/é") == "v"
    assert client("get_row", "k", "none").revision == 7
    assert client("set", "k", "v", cas=0, ttl=1.5) == 7
    assert client("delete", "k", cas=7) is True
    commands = [seen.command for seen in node.seen]
    ids = [commands[2].pop("id"), commands[3].pop("id")]
    assert len(set(ids)) == 2
    assert commands == [
        {"cmd": "get", "key": "k\n/é", "level": "linearizable"},
        {"cmd": "get", "key": "k", "level": "none"},
        {"cmd": "set", "key": "k", "val": "v", "cas": 0, "ttl": 1.5},
        {"cmd": "delete", "key": "k", "cas": 7},
    ]
    assert {(seen.method, seen.path) for seen in node.seen} == {("POST", "/")}
    assert node.connections == 1, "connections are kept alive"


def test_missing_key(node: Any, connect: Connect) -> None:
    node.script = [answer(node, 404, "KEY_NOT_FOUND")]
    client = connect(node.address, timeout=PATIENT_S)
    assert client("get", "k") is None
    assert client("get_row", "k") is None
    assert client("delete", "k") is False


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(409, "CAS_MISMATCH", CasMismatch), (422, "ID_REUSED", IdReused), (500, "INTERNAL", UnknownOutcome)],
)
def test_refusals_are_typed(node: Any, connect: Connect, status: int, code: str, kind: type[DkvError]) -> None:
    node.script = [answer(node, status, code, "unknown" if status == 500 else "not_applied")]
    with pytest.raises(kind) as caught:
        connect(node.address, timeout=PATIENT_S)("set", "k", "v")
    assert caught.value.node == node.address
    assert caught.value.outcome == ("unknown" if status == 500 else "not_applied")
    assert len(node.seen) == 1


def test_refused_connection_goes_to_another_node(node: Any, dead_address: str, connect: Connect) -> None:
    client = connect(dead_address, node.address, timeout=PATIENT_S)
    for _ in range(4):
        assert client("set", "k", "v", idempotent=False) == 7
        assert client("get", "k") == "v"
    assert len(node.seen) == 8


def test_nobody_there(dead_address: str, connect: Connect) -> None:
    client = connect(dead_address, timeout=PATIENT_S, retry=Retry(max_attempts=3))
    with pytest.raises(Unreachable, match="nothing was sent") as caught:
        client("set", "k", "v", idempotent=False)
    assert caught.value.outcome is Outcome.NOT_APPLIED
    assert caught.value.node == dead_address


@pytest.mark.parametrize("cut_to", [0, 12, 60, 75], ids=["before", "status line", "headers", "body"])
def test_reset_before_the_end_of_the_reply(node: Any, connect: Connect, cut_to: int) -> None:
    client = connect(node.address, timeout=PATIENT_S)
    node.script = [ok(node, cut_to=cut_to), ok(node)]
    assert client("get", "k") == "v"
    node.script = [ok(node, cut_to=cut_to), ok(node)]
    assert client("set", "k", "v") == 7
    assert node.seen[-1].command == node.seen[-2].command, "the same id"
    node.script = [ok(node, cut_to=cut_to), ok(node)]
    before = len(node.seen)
    with pytest.raises(UnknownOutcome, match="may have taken effect"):
        client("set", "k", "v", idempotent=False)
    assert len(node.seen) == before + 1


def test_connection_that_the_node_closed_while_it_was_idle(node: Any, connect: Connect) -> None:
    client = connect(node.address, timeout=PATIENT_S)
    for method, args in (("get", ("k",)), ("set", ("k", "v"))):
        node.script = [ok(node, close=True), ok(node)]
        assert client(method, *args)
        assert client(method, *args)


def test_body_that_ends_early_is_no_answer_even_where_it_looks_whole(node: Any, connect: Connect) -> None:
    body = b'{"val": "v", "revision": 7, "found": true}' + b" " * 50
    node.script = [type(node.script[0])(200, body, cut_to=len(body))]
    with pytest.raises(UnknownOutcome):
        connect(node.address, timeout=PATIENT_S)("set", "k", "v", idempotent=False)


def test_slow_node_and_another(node: Any, other_node: Any, connect: Connect) -> None:
    client = connect(node.address, other_node.address, timeout=2.0)
    node.script = [ok(node, silent=True)]
    for _ in range(3):
        assert client("get", "k") == "v"
    assert client("set", "k", "v") == 7


def test_deadline(node: Any, connect: Connect) -> None:
    node.script = [ok(node, silent=True)]
    client = connect(node.address, timeout=SHORT_S)
    with pytest.raises(Timeout) as read:
        client("get", "k")
    assert read.value.outcome is Outcome.NOT_APPLIED
    for idempotent in (True, False):
        with pytest.raises(UnknownOutcome) as write:
            client("set", "k", "v", idempotent=idempotent)
        assert write.value.outcome is Outcome.UNKNOWN
        assert write.value.node == node.address


def test_redirect_by_body_and_by_location(node: Any, other_node: Any, connect: Connect) -> None:
    hint = answer(node, 307, "NOT_LEADER", leader={"id": "n2", "rest": other_node.address}, retryable=True)
    bare = type(node.script[0])(307, b"", {"Location": f"http://{other_node.address}/?x=1"})
    for redirect in (hint, bare):
        node.script = [redirect]
        client = connect(node.address, timeout=PATIENT_S)
        before = len(node.seen)
        assert client("set", "k", "v", idempotent=False) == 7
        assert client("set", "k", "v", idempotent=False) == 7
        assert len(node.seen) == before + 1, "the leader is remembered"


def test_redirect_loop_ends(node: Any, other_node: Any, connect: Connect) -> None:
    for one, two in ((node, other_node), (other_node, node)):
        one.script = [answer(one, 307, "NOT_LEADER", leader={"id": "x", "rest": two.address}, retryable=True)]
    client = connect(node.address, timeout=PATIENT_S, retry=Retry(max_attempts=9))
    with pytest.raises(NotLeader) as caught:
        client("set", "k", "v", idempotent=False)
    assert caught.value.outcome is Outcome.NOT_APPLIED
    assert len(node.seen) + len(other_node.seen) == 9


def test_busy_node(node: Any, other_node: Any, connect: Connect) -> None:
    node.script = [busy(node, "BUSY", 429, **{"Retry-After": "30"})]
    client = connect(node.address, other_node.address, timeout=PATIENT_S)
    for _ in range(6):
        assert client("get", "k") == "v"
    assert len(node.seen) <= 1, "it asked to be left alone"


def test_retry_after_is_honoured_and_bounded(node: Any, connect: Connect) -> None:
    times: list[float] = []
    node.script = [busy(node, "OVERLOADED", **{"Retry-After": "0.2"}), ok(node)]
    client = connect(node.address, timeout=PATIENT_S, history=lambda event: times.append(event.time_s))
    assert client("set", "k", "v") == 7
    assert times[1] - times[0] >= 0.2
    node.script = [busy(node, **{"Retry-After": "3600"})]
    with pytest.raises(NoLeader) as caught:
        client("set", "k", "v")
    assert (caught.value.retry_after_s, caught.value.outcome) == (3600.0, Outcome.NOT_APPLIED)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[]", b'{"val": 7}', b'{"status": "ok"}', b"null"])
def test_garbage_for_an_answer(node: Any, connect: Connect, body: bytes) -> None:
    node.script = [type(node.script[0])(200, body)]
    client = connect(node.address, timeout=PATIENT_S, retry=Retry(max_attempts=2))
    with pytest.raises(InternalError, match="is this the address"):
        client("get", "k")
    with pytest.raises(UnknownOutcome):
        client("set", "k", "v")
    assert len(node.seen) == 4


def test_stranger_that_does_not_speak_http(node: Any, connect: Connect) -> None:
    class Stranger(type(node.script[0])):  # type: ignore[misc]
        def encode(self) -> bytes:
            return b"SSH-2.0-OpenSSH\r\n\r\n" * 50

    node.script = [Stranger(close=True)]
    client = connect(node.address, timeout=PATIENT_S, retry=Retry(max_attempts=2))
    with pytest.raises(DkvError) as read:
        client("get", "k")
    assert read.value.outcome is Outcome.NOT_APPLIED
    with pytest.raises(UnknownOutcome):
        client("set", "k", "v", idempotent=False)


def test_batch(node: Any, connect: Connect) -> None:
    commands = [{"cmd": "set", "key": "a", "val": "1"}, {"cmd": "get", "key": "b"}, {"cmd": "delete", "key": "c"}]
    node.script = [
        ok(
            node,
            [
                {"val": "1", "revision": 9, "found": False},
                {"val": None, "revision": 0, "found": False},
                {"val": None, "revision": 9, "found": True},
            ],
        )
    ]
    client = connect(node.address, timeout=PATIENT_S)
    assert client("batch", commands) == [Row("1", 9, False), Row(None, 0, False), Row(None, 9, True)]
    sent = node.seen[0].command
    assert sent[1] == {"cmd": "get", "key": "b"}
    assert sent[0]["id"] + sent[2]["id"] == sent[0]["id"][:-2] + "-0" + sent[0]["id"][:-2] + "-2"
    node.script = [ok(node, [{"val": "1", "revision": 9, "found": False}])]
    with pytest.raises(UnknownOutcome, match="1 replies to 3 commands"):
        client("batch", commands, idempotent=False)


def test_batch_of_which_one_command_failed(node: Any, connect: Connect) -> None:
    failed = {"error": "No.", "code": "CAS_MISMATCH", "outcome": "not_applied", "revision": 4}
    replies = [{"val": "1", "revision": 9, "found": False}, failed]
    node.script = [answer(node, 409, "CAS_MISMATCH", "unknown", failed=1, replies=replies)]
    sets = [{"cmd": "set", "key": "a", "val": "1"}, {"cmd": "set", "key": "b", "val": "2", "cas": 3}]
    first, second = connect(node.address, timeout=PATIENT_S)("batch", sets)
    assert first == Row("1", 9, False)
    assert isinstance(second, CasMismatch)
    assert second.outcome is Outcome.NOT_APPLIED
    assert second.details["revision"] == 4


def test_operations_on_the_cluster(node: Any, other_node: Any, connect: Connect) -> None:
    client = connect(node.address, timeout=PATIENT_S)
    for method, args, request in (
        ("status", (), "GET /status"),
        ("nodes", (), "GET /nodes"),
        ("leader", (), "GET /leader"),
        ("remove", ("n/4",), "DELETE /nodes/n%2F4"),
        ("transfer", ("n2",), "POST /leader"),
    ):
        assert client(method, *args)["found"] is True
        assert f"{node.seen[-1].method} {node.seen[-1].path}" == request
    assert client("hashkv", other_node.address)["revision"] == 7
    assert client("status", f"http://{other_node.address}/")["revision"] == 7
    assert [seen.path for seen in other_node.seen] == ["/hashkv", "/status"]
    node.script = [ok(node, {"members": [{"name": "n4", "rest": other_node.address}], "voters": []})]
    client("leave", "n4")
    assert (other_node.seen[-1].method, other_node.seen[-1].path) == ("POST", "/leave")
    with pytest.raises(MembershipRefused, match="No node is called 'n9'"):
        client("leave", "n9")


def test_changes_of_the_cluster_are_never_sent_twice_on_a_guess(node: Any, connect: Connect) -> None:
    client = connect(node.address, timeout=PATIENT_S)
    client("status")  # a kept-alive connection, which tempts HTTP libraries to send a DELETE again
    for method in ("remove", "transfer"):
        node.script = [ok(node, cut_to=0), ok(node)]
        before = len(node.seen)
        with pytest.raises(UnknownOutcome):
            client(method, "n4")
        assert len(node.seen) == before + 1


def test_session_reads_what_it_wrote(node: Any, connect: Connect) -> None:
    client = connect(node.address, timeout=PATIENT_S, level="none", session=True)
    client("get", "k")
    node.script = [ok(node, headers={"X-DKV-Index": "12"})]
    client("set", "k", "v")
    node.script = [ok(node, headers={"X-DKV-Index": "10"})]
    client("get", "k")
    client("get", "k")
    sent = [seen.headers.get("x-dkv-min-index") for seen in node.seen]
    assert sent == [None, None, "12", "12"]


def test_history_in_jepsens_words(node: Any, connect: Connect) -> None:
    events: list[Event] = []
    ticks = iter(range(10_000))
    client = connect(
        node.address,
        timeout=10_000,
        retry=Retry(max_attempts=1),
        history=events.append,
        process=3,
        clock=lambda: float(next(ticks)),
    )
    client("set", "k", "1", cas=4)
    client("get", "k")
    node.script = [answer(node, 404, "KEY_NOT_FOUND")]
    client("get", "k")
    client("delete", "k")
    node.script = [answer(node, 409, "CAS_MISMATCH")]
    with pytest.raises(CasMismatch):
        client("set", "k", "2", cas=1)
    node.script = [ok(node, cut_to=0)]
    with pytest.raises(UnknownOutcome):
        client("set", "k", "3")
    with pytest.raises(Unreachable):
        client("get", "k")
    client.client.process = 4
    with pytest.raises(UnknownOutcome):
        client("delete", "k")
    assert [(event.f, event.type, event.value, event.revision, event.error) for event in events] == [
        ("set", "invoke", "1", 0, None),
        ("set", "ok", "1", 7, None),
        ("get", "invoke", None, 0, None),
        ("get", "ok", "v", 7, None),
        ("get", "invoke", None, 0, None),
        ("get", "ok", None, 0, None),
        ("delete", "invoke", None, 0, None),
        ("delete", "ok", False, 0, None),
        ("set", "invoke", "2", 0, None),
        ("set", "fail", "2", 0, "CAS_MISMATCH"),
        ("set", "invoke", "3", 0, None),
        ("set", "info", "3", 0, "UNKNOWN_OUTCOME"),
        ("get", "invoke", None, 0, None),
        ("get", "fail", None, 0, "UNREACHABLE"),
        ("delete", "invoke", None, 0, None),
        ("delete", "info", None, 0, "UNKNOWN_OUTCOME"),
    ]
    assert [event.process for event in events] == [3] * 14 + [4] * 2
    assert [event.time_s for event in events] == sorted(event.time_s for event in events)
    assert {event.key for event in events} == {"k"}
    assert [event.cas for event in events[:3]] == [4, 4, None]
    assert {event.node for event in events if event.type != "invoke"} == {node.address}


def test_changes_of_the_cluster_have_their_own_patience(node: Any, connect: Connect) -> None:
    client = connect(node.address, timeout=PATIENT_S)
    client("remove", "n4")
    client("transfer", timeout=10.0)
    told = [float(seen.headers["x-dkv-timeout"]) for seen in node.seen]
    assert PATIENT_S < told[0] <= 30
    assert told[1] <= 10


def test_half_a_character_is_refused_here(node: Any, connect: Connect) -> None:
    with pytest.raises(DkvError, match="half a character"):
        connect(node.address, timeout=PATIENT_S)("set", "k", "\ud800")
    assert node.seen == []


@pytest.mark.parametrize("nodes", [[], ["127.0.0.1"], ["https://a:1"], ["a b:1"], ["a:x"], ["http://a:1/path"]])
def test_bad_addresses_are_refused(connect: Connect, nodes: list[str]) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:30001"):
        connect(*nodes)
