"""The operations API."""

from __future__ import annotations

from typing import Any

import pytest

from dkv.errors import LeaderHint, MembershipRefused, NotLeader
from dkv.joining import JoinRequest

pytestmark = pytest.mark.asyncio

JOINER = {"identity": "n4.0a0b0c0d", "name": "n4", "rest": "h:1", "raft": "h:2", "version": "0.1.0"}


async def test_what_can_be_asked(start_edge: Any) -> None:
    async with start_edge() as edge:
        expected = {
            "/livez": {"status": "ok"},
            "/readyz": {"status": "ok"},
            "/readyz?verbose": {"status": "ok", "checks": {"leader": "ok", "disk": "ok"}},
            "/status": {"id": "n1", "role": "leader"},
            "/nodes": {"members": ["n1"]},
            "/leader": {"id": "n1", "rest": "127.0.0.1:1"},
            "/hashkv": {"index": 3, "digest": "ab"},
        }
        for target, body in expected.items():
            answer = await edge.ask("GET", target)
            assert (answer.status, answer.body) == (200, body)
            assert answer.headers["X-DKV-Node"] == "n1"
        greeting = await edge.ask("GET", "/")
        assert "POST /" in greeting.body["endpoints"]


async def test_alive_is_not_ready(start_edge: Any) -> None:
    async with start_edge() as edge:
        edge.operations.checks = {"leader": "no leader is known", "disk": "ok"}
        edge.operations.known_leader = None
        edge.store.leader = None
        assert (await edge.ask("GET", "/livez")).status == 200
        ready = await edge.ask("GET", "/readyz")
        leader = await edge.ask("GET", "/leader")
    assert (ready.status, ready.body["code"]) == (503, "NOT_READY")
    assert ready.body["checks"] == {"leader": "no leader is known", "disk": "ok"}
    assert "no leader is known" in ready.body["error"]
    assert (leader.status, leader.body["code"]) == (503, "NO_LEADER")
    assert "X-DKV-Leader" not in leader.headers


async def test_what_can_be_done(start_edge: Any) -> None:
    async with start_edge() as edge:
        assert (await edge.ask("POST", "/leader", {"target": "n2"})).body == {"id": "n2", "rest": "127.0.0.1:2"}
        assert (await edge.ask("POST", "/leader", {"target": None})).status == 200
        assert (await edge.ask("POST", "/leader")).status == 200
        joined = await edge.ask("POST", "/join", JOINER)
        assert joined.body["founder"] == "n1.00000000"
        assert joined.body["leader"] == "n1.00000000"
        assert (await edge.ask("POST", "/leave")).body == {"left": True}
        assert (await edge.ask("DELETE", "/nodes/n3")).body == {"node": "n3", "removed": True}
        assert edge.operations.calls == [
            ("transfer", "n2"),
            ("transfer", None),
            ("transfer", None),
            ("join", JoinRequest(**JOINER)),
            ("leave",),
            ("remove", "n3"),
        ]


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/leader", b"n2"),
        ("POST", "/leader", b'{"target": 2}'),
        ("POST", "/leader", b'{"node": "n2"}'),
        ("POST", "/join", b""),
        ("POST", "/join", b'{"name": "n4"}'),
        ("POST", "/join", b'\xff{"name": "n4"}'),
        ("DELETE", "/nodes/", None),
    ],
)
async def test_bad_requests(start_edge: Any, method: str, target: str, body: bytes | None) -> None:
    async with start_edge() as edge:
        answer = await edge.ask(method, target, body)
        assert (answer.status, answer.body["code"]) == (400, "BAD_REQUEST")
        assert not edge.operations.calls


async def test_errors_keep_their_status(start_edge: Any) -> None:
    async with start_edge() as edge:
        edge.operations.fail = NotLeader("m", leader=LeaderHint("n2", "127.0.0.1:2"))
        join = await edge.ask("POST", "/join", JOINER)
        edge.operations.fail = MembershipRefused("The last voter cannot leave.")
        leave = await edge.ask("POST", "/leave")
    assert (join.status, join.headers["Location"]) == (307, "http://127.0.0.1:2/join")
    assert (leave.status, leave.body["code"], leave.body["outcome"]) == (409, "MEMBERSHIP_REFUSED", "not_applied")


async def test_metrics_count_routes_not_keys(start_edge: Any) -> None:
    async with start_edge() as edge:
        await edge.ask("PUT", "/v1/kv/secret", "1")
        await edge.ask("GET", "/v1/kv/other")
        await edge.ask("PROPFIND", "/pot/of/tea")
        text = await edge.ask("GET", "/metrics")
        open_metrics = await edge.ask("GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    lines = text.body.decode().splitlines()
    assert 'dkv_http_requests_total{code="200",method="PUT",route="/v1/kv/{key}"} 1.0' in lines
    assert 'dkv_http_requests_total{code="404",method="GET",route="/v1/kv/{key}"} 1.0' in lines
    assert 'dkv_http_requests_total{code="404",method="OTHER",route="unmatched"} 1.0' in lines
    assert "secret" not in text.body.decode()
    assert text.headers["Content-Type"].startswith("text/plain")
    assert open_metrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert open_metrics.body.endswith(b"# EOF\n")
