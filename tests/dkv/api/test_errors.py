"""Each error of the tree as HTTP: status, body, headers; and what a bug looks like."""

from __future__ import annotations

from typing import Any

import pytest

from dkv import errors
from dkv.errors import LeaderHint, Outcome

pytestmark = pytest.mark.asyncio

N2 = LeaderHint("n2", "127.0.0.1:2")

STORE_ERRORS: list[tuple[errors.DkvError, int, str, str]] = [
    (errors.BadRequest("m"), 400, "BAD_REQUEST", "not_applied"),
    (errors.Unauthorized("m"), 401, "UNAUTHORIZED", "not_applied"),
    (errors.CasMismatch("m"), 409, "CAS_MISMATCH", "not_applied"),
    (errors.MembershipRefused("m"), 409, "MEMBERSHIP_REFUSED", "not_applied"),
    (errors.TooLarge("m"), 413, "TOO_LARGE", "not_applied"),
    (errors.IdReused("m"), 422, "ID_REUSED", "not_applied"),
    (errors.Busy("m"), 429, "BUSY", "not_applied"),
    (errors.NotLeader("m", leader=N2), 307, "NOT_LEADER", "not_applied"),
    (errors.NotLeader("m"), 503, "NO_LEADER", "not_applied"),
    (errors.NotLeader("m", leader=LeaderHint("n1", "127.0.0.1:1")), 503, "NO_LEADER", "not_applied"),
    (errors.NoLeader("m"), 503, "NO_LEADER", "not_applied"),
    (errors.Overloaded("m"), 503, "OVERLOADED", "not_applied"),
    (errors.ShuttingDown("m"), 503, "SHUTTING_DOWN", "not_applied"),
    (errors.LeadershipLost("m"), 503, "LEADERSHIP_LOST", "unknown"),
    (errors.Timeout("m"), 504, "TIMEOUT", "unknown"),
    (errors.Timeout("m", outcome=Outcome.NOT_APPLIED), 504, "TIMEOUT", "not_applied"),
    (errors.NoSpace("m"), 507, "NO_SPACE", "not_applied"),
    (errors.InternalError("m"), 500, "INTERNAL", "unknown"),
]


@pytest.mark.parametrize(("error", "status", "code", "outcome"), STORE_ERRORS)
async def test_an_error_of_the_store_keeps_its_status_and_outcome(
    start_edge: Any, error: errors.DkvError, status: int, code: str, outcome: str
) -> None:
    async with start_edge() as edge:
        edge.store.fail = error
        written = await edge.ask("POST", "/", {"cmd": "set", "key": "a", "val": "1"})
        read = await edge.ask("GET", "/v1/kv/a")
    assert (written.status, written.body["code"], written.body["outcome"]) == (status, code, outcome)
    assert {"error", "code", "outcome", "retryable", "request_id"} <= written.body.keys()
    assert written.body["retryable"] is errors.BY_CODE[code].retryable
    assert (read.status, read.body["code"], read.body["outcome"]) == (status, code, "not_applied")
    assert ("Retry-After" in written.headers) is (status in (429, 503))
    assert ("Location" in written.headers) is (status == 307)


async def test_retry_after_is_whole_seconds_and_never_zero(start_edge: Any) -> None:
    async with start_edge() as edge:
        for given, header in ((0.2, "1"), (2.5, "3")):
            edge.store.fail = errors.NoSpace("m", retry_after_s=given)
            assert (await edge.ask("PUT", "/v1/kv/a", "1")).headers["Retry-After"] == header


async def test_a_write_at_a_follower_is_redirected_and_told(start_edge: Any) -> None:
    async with start_edge() as edge:
        edge.store.fail = errors.NotLeader("This node follows n2.", leader=N2)
        answer = await edge.ask("PUT", "/v1/kv/a%2Fb?cas=0", "1")
        post = await edge.ask("POST", "/?level=weak", {"cmd": "set", "key": "a", "val": "1"})
        weak = await edge.ask("GET", "/v1/kv/a?level=weak")
    assert answer.status == 307
    assert answer.headers["Location"] == "http://127.0.0.1:2/v1/kv/a%2Fb?cas=0"
    assert answer.body["leader"] == {"id": "n2", "rest": "127.0.0.1:2"}
    assert post.headers["Location"] == "http://127.0.0.1:2/?level=weak"
    assert (weak.status, weak.body["code"]) == (307, "NOT_LEADER")


async def test_clients_that_follow_a_redirect_keep_method_and_body(start_edge: Any) -> None:
    async with start_edge() as leader, start_edge() as follower:
        follower.store.fail = errors.NotLeader("m", leader=LeaderHint("n2", leader.rest))
        body = {"cmd": "set", "key": "a", "val": "1"}
        async with follower.session.post(f"http://{follower.rest}/", json=body) as response:
            assert (response.status, (await response.json())["val"]) == (200, "1")
        url = f"http://{follower.rest}/v1/kv/b?cas=0"
        async with follower.session.put(url, json="2") as response:
            assert (response.status, (await response.json())["val"]) == (200, "2")
        assert [command.key for (command,) in leader.store.writes] == ["a", "b"]
        assert not follower.store.writes


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/nope", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/v1/kv", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/livez/", 404, "ROUTE_NOT_FOUND"),
        ("PATCH", "/v1/kv/a", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/join", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_unknown_paths_and_methods(start_edge: Any, method: str, target: str, status: int, code: str) -> None:
    async with start_edge() as edge:
        answer = await edge.ask(method, target)
    assert (answer.status, answer.body["code"]) == (status, code)
    assert answer.body["outcome"] == "not_applied"
    assert ("Allow" in answer.headers) is (status == 405)


async def test_allow_lists_the_methods(start_edge: Any) -> None:
    async with start_edge() as edge:
        assert (await edge.ask("POST", "/v1/kv/a")).headers["Allow"] == "DELETE, GET, HEAD, PUT"


async def test_a_bug_is_a_500_of_unknown_outcome_and_is_logged(
    start_edge: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_edge() as edge:
        edge.store.fail = ZeroDivisionError("secret")
        written = await edge.ask("PUT", "/v1/kv/a", "1")
        read = await edge.ask("GET", "/v1/kv/a")
        assert not edge.fatal
    assert (written.status, written.body["code"], written.body["outcome"]) == (500, "INTERNAL", "unknown")
    assert (read.status, read.body["outcome"]) == (500, "not_applied")
    assert "secret" not in written.body["error"]
    logged = [record for record in caplog.records if record.msg == "internal error"]
    assert logged[0].exc_info is not None
    assert vars(logged[0])["request_id"] == written.body["request_id"]


@pytest.mark.parametrize("error", [AssertionError("two leaders"), errors.FatalError("disk lied")])
async def test_a_broken_invariant_ends_the_process(
    start_edge: Any, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_edge() as edge:
        edge.store.fail = error
        answer = await edge.ask("PUT", "/v1/kv/a", "1")
        assert edge.fatal == [error]
    assert (answer.status, answer.body["outcome"]) == (500, "unknown")


async def test_the_complaints_are_few(start_edge: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with start_edge() as edge:
        edge.store.fail = errors.NoLeader("m")
        for _ in range(100):
            assert (await edge.ask("GET", "/v1/kv/a")).status == 503
    lines = [record for record in caplog.records if record.msg == "request failed"]
    assert 10 <= len(lines) < 100


async def test_the_deadline_is_the_clients_or_five_seconds(start_edge: Any) -> None:
    async with start_edge() as edge:
        for header in ({}, {"X_DKV_Timeout": "2"}, {"X_DKV_Timeout": "500ms"}, {"X_DKV_Timeout": "0.25s"}):
            await edge.ask("GET", "/v1/kv/a", **header)
        first = edge.store.deadlines[0]
        remaining = [deadline - first for deadline in edge.store.deadlines]
    assert remaining[0] == 0
    assert remaining[1] > -3.0
    assert remaining[2] > -4.5
    assert remaining[3] > -4.75
    assert max(remaining[1:]) < 60
