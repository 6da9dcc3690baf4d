"""Keys and values over HTTP: what goes in, what comes out, with which status."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from dkv.kv.commands import Command, Op
from dkv.levels import Level

pytestmark = pytest.mark.asyncio


async def test_the_seed_commands_round_trip(start_edge: Any) -> None:
    async with start_edge() as edge:
        put = await edge.ask("POST", "/", {"cmd": "set", "key": "a", "val": "1"})
        got = await edge.ask("POST", "/", {"cmd": "get", "key": "a"})
        gone = await edge.ask("POST", "/", {"cmd": "del", "key": "a", "val": ""})
        again = await edge.ask("POST", "/", {"cmd": "delete", "key": "a"})
        missing = await edge.ask("POST", "/", {"cmd": "get", "key": "a"})
    assert (put.status, put.body) == (200, {"val": "1", "revision": 11, "found": False})
    assert (got.status, got.body) == (200, {"val": "1", "revision": 11, "found": True})
    assert (gone.status, gone.body) == (200, {"val": None, "revision": 12, "found": True})
    assert (again.status, again.body) == (200, {"val": None, "revision": 0, "found": False})
    assert (missing.status, missing.body["code"]) == (404, "KEY_NOT_FOUND")
    assert missing.body["outcome"] == "not_applied"


async def test_the_rest_twin(start_edge: Any) -> None:
    async with start_edge() as edge:
        assert (await edge.ask("PUT", "/v1/kv/a", {"val": "1"})).body["revision"] == 11
        assert (await edge.ask("PUT", "/v1/kv/a", "2")).body == {"val": "2", "revision": 12, "found": True}
        raw_put = await edge.ask("PUT", "/v1/kv/a?raw", b"drei\n")
        raw = await edge.ask("GET", "/v1/kv/a?raw")
        head = await edge.ask("HEAD", "/v1/kv/a?raw")
        assert raw_put.body["val"] == "drei\n"
        assert (raw.status, raw.body) == (200, b"drei\n")
        assert raw.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert raw.headers["X-DKV-Revision"] == "13"
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "5")
        assert (await edge.ask("DELETE", "/v1/kv/a")).body == {"val": None, "revision": 14, "found": True}
        assert (await edge.ask("GET", "/v1/kv/a")).status == 404


@pytest.mark.parametrize(
    ("path", "key"),
    [("a/b", "a/b"), ("a%2Fb", "a/b"), ("%C3%A4", "ä"), ("a+b%20c", "a+b c"), ("a//b/", "a//b/"), ("%25", "%")],
)
async def test_a_key_in_a_path_is_percent_decoded(start_edge: Any, path: str, key: str) -> None:
    async with start_edge() as edge:
        url = URL(f"http://{edge.rest}/v1/kv/{path}", encoded=True)
        async with edge.session.put(url, json="x") as response:
            assert response.status == 200
        assert edge.store.writes == [(Command(Op.SET, key, "x"),)]


async def test_compare_and_set(start_edge: Any) -> None:
    async with start_edge() as edge:
        assert (await edge.ask("PUT", "/v1/kv/a?cas=0", "1")).status == 200
        taken = await edge.ask("PUT", "/v1/kv/a?cas=0", "2")
        assert (taken.status, taken.body["code"], taken.body["revision"]) == (409, "CAS_MISMATCH", 11)
        assert (await edge.ask("POST", "/", {"cmd": "set", "key": "a", "val": "2", "cas": 11})).status == 200
        assert (await edge.ask("DELETE", "/v1/kv/a?cas=11")).status == 409
        assert (await edge.ask("DELETE", "/v1/kv/a?cas=14")).status == 409
        assert (await edge.ask("DELETE", "/v1/kv/a?cas=13")).body["found"] is True
        differ = await edge.ask("PUT", "/v1/kv/a?cas=1", {"val": "1", "cas": 2})
        assert (differ.status, differ.body["code"]) == (400, "BAD_REQUEST")


async def test_an_id_makes_it_exactly_once_and_cannot_be_reused(start_edge: Any) -> None:
    async with start_edge() as edge:
        first = await edge.ask("PUT", "/v1/kv/a", "1", Idempotency_Key="x")
        again = await edge.ask("POST", "/", {"cmd": "set", "key": "a", "val": "1", "id": "x"})
        reused = await edge.ask("POST", "/", {"cmd": "set", "key": "a", "val": "2"}, Idempotency_Key="x")
        both = await edge.ask("POST", "/", {"cmd": "set", "key": "a", "val": "2", "id": "y"}, Idempotency_Key="x")
    assert first.body == again.body
    assert (reused.status, reused.body["code"]) == (422, "ID_REUSED")
    assert (both.status, both.body["code"]) == (400, "BAD_REQUEST")


async def test_time_to_live_in_seconds(start_edge: Any) -> None:
    async with start_edge() as edge:
        await edge.ask("POST", "/", {"cmd": "set", "key": "a", "val": "1", "ttl": 1.5})
        await edge.ask("PUT", "/v1/kv/a?ttl=250ms", "1")
        await edge.ask("PUT", "/v1/kv/a", {"val": "1", "ttl": 0.0001})
        assert [command.ttl_ms for (command,) in edge.store.writes] == [1500, 250, 1]


@pytest.mark.parametrize("level", list(Level))
async def test_levels_reach_the_store_and_come_back(start_edge: Any, level: Level) -> None:
    async with start_edge() as edge:
        await edge.ask("PUT", "/v1/kv/a", "1")
        by_query = await edge.ask("GET", f"/v1/kv/a?level={level}", X_DKV_Min_Index="11")
        by_body = await edge.ask("POST", "/", {"cmd": "get", "key": "a", "level": level.value})
        by_default = await edge.ask("POST", f"/?level={level}", {"cmd": "get", "key": "a"})
        assert {answer.headers["X-DKV-Effective-Level"] for answer in (by_query, by_body, by_default)} == {level}
        assert [read["level"] for read in edge.store.reads] == [level] * 3
        assert [read["min_index"] for read in edge.store.reads] == [11, 0, 0]


async def test_the_default_level_is_linearizable_and_freshness_goes_with_none(start_edge: Any) -> None:
    async with start_edge() as edge:
        await edge.ask("GET", "/v1/kv/a")
        await edge.ask("GET", "/v1/kv/a?level=none&freshness=500ms")
        refused = await edge.ask("GET", "/v1/kv/a?freshness=500ms")
        assert [read["level"] for read in edge.store.reads] == [Level.LINEARIZABLE, Level.NONE]
        assert [read["freshness_s"] for read in edge.store.reads] == [None, 0.5]
        assert refused.status == 400


async def test_every_reply_says_who_answered_and_as_of_when(start_edge: Any) -> None:
    async with start_edge() as edge:
        answer = await edge.ask("PUT", "/v1/kv/a", "1", X_Request_Id="mine-1")
        other = await edge.ask("GET", "/v1/kv/missing", X_Request_Id="bad id " + "x" * 200)
    assert answer.headers["X-DKV-Node"] == "n1"
    assert answer.headers["X-DKV-Leader"] == "n1"
    assert answer.headers["X-DKV-Term"] == "7"
    assert answer.headers["X-DKV-Index"] == "11"
    assert answer.headers["X-Request-Id"] == "mine-1"
    assert "X-DKV-Effective-Level" not in answer.headers
    assert other.headers["X-Request-Id"] == other.body["request_id"] != ""
    assert "bad id" not in other.body["request_id"]


async def test_a_batch_of_gets_is_one_read(start_edge: Any) -> None:
    async with start_edge() as edge:
        await edge.ask("PUT", "/v1/kv/a", "1")
        batch = [{"cmd": "get", "key": "a", "level": "none"}, {"cmd": "get", "key": "b", "level": "weak"}]
        answer = await edge.ask("POST", "/", batch)
        assert answer.status == 200
        assert answer.body == [
            {"val": "1", "revision": 11, "found": True},
            {"val": None, "revision": 0, "found": False},
        ]
        assert [(read["keys"], read["level"]) for read in edge.store.reads] == [(["a", "b"], Level.WEAK)]


async def test_a_batch_with_a_mutation_goes_through_the_log_in_order(start_edge: Any) -> None:
    async with start_edge() as edge:
        batch = [
            {"cmd": "set", "key": "a", "val": "1"},
            {"cmd": "get", "key": "a"},
            {"cmd": "del", "key": "a"},
            {"cmd": "get", "key": "a"},
        ]
        answer = await edge.ask("POST", "/", batch, Idempotency_Key="k")
        assert answer.status == 200
        assert [reply["val"] for reply in answer.body] == ["1", "1", None, None]
        assert [reply["found"] for reply in answer.body] == [False, True, True, False]
        (commands,) = edge.store.writes
        assert [(command.op, command.id) for command in commands] == [
            (Op.SET, "k/0"),
            (Op.GET, ""),
            (Op.DELETE, "k/2"),
            (Op.GET, ""),
        ]


@pytest.mark.parametrize(
    ("batch", "outcome", "codes"),
    [
        ([{"cmd": "set", "key": "a", "val": "1", "cas": 9}], "not_applied", ["CAS_MISMATCH"]),
        (
            [{"cmd": "get", "key": "a"}, {"cmd": "set", "key": "a", "val": "1", "cas": 9}],
            "not_applied",
            [None, "CAS_MISMATCH"],
        ),
        (
            [{"cmd": "set", "key": "b", "val": "1"}, {"cmd": "set", "key": "a", "val": "1", "cas": 9}],
            "unknown",
            [None, "CAS_MISMATCH"],
        ),
    ],
)
async def test_a_batch_that_fails_in_part_is_not_a_200(
    start_edge: Any, batch: list[Any], outcome: str, codes: list[str | None]
) -> None:
    async with start_edge() as edge:
        answer = await edge.ask("POST", "/", batch)
    assert (answer.status, answer.body["code"], answer.body["outcome"]) == (409, "CAS_MISMATCH", outcome)
    assert [reply.get("code") for reply in answer.body["replies"]] == codes
    assert answer.body["failed"] == len(batch) - 1


async def test_a_reply_beyond_its_limit_is_refused(start_edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkv.api.replies.REPLY_VALUE_BYTES_MAX", 10)
    async with start_edge() as edge:
        await edge.ask("PUT", "/v1/kv/a", "123456")
        reads = await edge.ask("POST", "/", [{"cmd": "get", "key": "a"}] * 2)
        mixed = await edge.ask("POST", "/", [{"cmd": "get", "key": "a"}, {"cmd": "set", "key": "b", "val": "123456"}])
    assert (reads.status, reads.body["outcome"]) == (413, "not_applied")
    assert (mixed.status, mixed.body["outcome"]) == (413, "unknown")


BAD_COMMANDS: list[tuple[bytes, str]] = [
    (b"", "truncated"),
    (b"{", "truncated"),
    (b"3", "object"),
    (b"null", "object"),
    (b'"set"', "object"),
    (b"[]", "0 commands"),
    (b"[1]", "$[0]"),
    (b"\xff\xfe", "malformed"),
    (b'{"cmd": "get", "key": "\xff"}', "UTF-8"),
    (b'{"cmd": "get", "key": "\\ud800"}', "no command"),
    (b'{"cmd": "get"}', "key"),
    (b'{"key": "a"}', "cmd"),
    (b'{"cmd": "put", "key": "a", "val": "1"}', "Unknown cmd 'put'"),
    (b'{"cmd": 1, "key": "a"}', "$.cmd"),
    (b'{"cmd": "set", "key": 1, "val": "1"}', "$.key"),
    (b'{"cmd": "set", "key": "a", "val": 1}', "$.val"),
    (b'{"cmd": "set", "key": "a"}', "val"),
    (b'{"cmd": "set", "key": "a", "val": null}', "val"),
    (b'{"cmd": "set", "key": "a", "val": "1", "val": "2"}', "'val' is given twice"),
    (b'{"cmd": "set", "key": "a", "val": "1", "vall": "2"}', "vall"),
    (b'{"cmd": "get", "key": ""}', "empty"),
    (b'{"cmd": "set", "key": "", "val": "1"}', "empty"),
    (b'{"cmd": "get", "key": "\\u0000member/x"}', "NUL"),
    (b'{"cmd": "delete", "key": "\\u0000"}', "NUL"),
    (b'{"cmd": "get", "key": "a", "level": "strongest"}', "Unknown level"),
    (b'{"cmd": "set", "key": "a", "val": "1", "level": "strongest"}', "Unknown level"),
    (b'{"cmd": "get", "key": "a", "level": 1}', "$.level"),
    (b'{"cmd": "set", "key": "a", "val": "1", "cas": -1}', "cas"),
    (b'{"cmd": "set", "key": "a", "val": "1", "cas": 9223372036854775808}', "cas"),
    (b'{"cmd": "set", "key": "a", "val": "1", "cas": "1"}', "cas"),
    (b'{"cmd": "get", "key": "a", "cas": 1}', "cas"),
    (b'{"cmd": "set", "key": "a", "val": "1", "ttl": 0}', "ttl"),
    (b'{"cmd": "set", "key": "a", "val": "1", "ttl": -1}', "ttl"),
    (b'{"cmd": "set", "key": "a", "val": "1", "ttl": "5"}', "ttl"),
    (b'{"cmd": "set", "key": "a", "val": "1", "ttl": true}', "ttl"),
    (b'{"cmd": "set", "key": "a", "val": "1", "ttl": 1e18}', "ttl"),
    (b'{"cmd": "delete", "key": "a", "ttl": 1}', "ttl"),
    (b'{"cmd": "set", "key": "a", "val": "1", "id": "' + b"x" * 200 + b'"}', "id"),
    (b'{"cmd": "get", "key": "a"} {"cmd": "get", "key": "a"}', "trailing"),
    (b'[{"cmd": "get", "key": "a"}, {"cmd": "set", "key": "b"}]', "val"),
    (b"[" * 100_000, "no command"),
    (b"[" + b'{"cmd": "get", "key": "a"},' * 1024 + b'{"cmd": "get", "key": "a"}]', "1025 commands"),
]


@pytest.mark.parametrize(("body", "words"), BAD_COMMANDS, ids=range(len(BAD_COMMANDS)))
async def test_a_bad_command_is_400_and_says_why(start_edge: Any, body: bytes, words: str) -> None:
    async with start_edge() as edge:
        answer = await edge.ask("POST", "/", body)
        assert answer.status == 400, answer.body
        assert words in answer.body["error"]
        assert (answer.body["code"], answer.body["outcome"]) == ("BAD_REQUEST", "not_applied")
        assert answer.body["retryable"] is False
        assert not edge.store.writes
        assert not edge.store.reads
        assert (await edge.ask("GET", "/livez")).status == 200


BAD_REQUESTS: list[tuple[str, str, Any, dict[str, str], str]] = [
    ("GET", "/v1/kv/", None, {}, "empty"),
    ("GET", "/v1/kv/%00member", None, {}, "NUL"),
    ("GET", "/v1/kv/%FF", None, {}, "UTF-8"),
    ("GET", "/v1/kv/a?level=fresh", None, {}, "Unknown level"),
    ("GET", "/v1/kv/a?levle=none", None, {}, "levle"),
    ("GET", "/v1/kv/a?level=none&level=weak", None, {}, "twice"),
    ("GET", "/v1/kv/a?cas=1", None, {}, "cas"),
    ("GET", "/v1/kv/a?raw=perhaps", None, {}, "raw"),
    ("GET", "/v1/kv/a?level=none&freshness=soon", None, {}, "freshness"),
    ("GET", "/v1/kv/a?x=%FF", None, {}, "UTF-8"),
    ("GET", "/v1/kv/a", None, {"X_DKV_Timeout": "0"}, "X-DKV-Timeout"),
    ("GET", "/v1/kv/a", None, {"X_DKV_Timeout": "61"}, "X-DKV-Timeout"),
    ("GET", "/v1/kv/a", None, {"X_DKV_Timeout": "-1s"}, "X-DKV-Timeout"),
    ("GET", "/v1/kv/a", None, {"X_DKV_Timeout": "nan"}, "X-DKV-Timeout"),
    ("GET", "/v1/kv/a", None, {"X_DKV_Min_Index": "-1"}, "X-DKV-Min-Index"),
    ("GET", "/v1/kv/a", None, {"X_DKV_Min_Index": "9" * 19}, "X-DKV-Min-Index"),
    ("PUT", "/v1/kv/a", b"hello", {}, "?raw"),
    ("PUT", "/v1/kv/a", b"", {}, "?raw"),
    ("PUT", "/v1/kv/a", {"value": "1"}, {}, "val"),
    ("PUT", "/v1/kv/a", 5, {}, "no value"),
    ("PUT", "/v1/kv/a?raw", b"\xff", {}, "UTF-8"),
    ("PUT", "/v1/kv/a?cas=x", "1", {}, "cas"),
    ("PUT", "/v1/kv/a?cas=%D9%A1", "1", {}, "cas"),
    ("PUT", "/v1/kv/a?ttl=0", "1", {}, "ttl"),
    ("PUT", "/v1/kv/a?ttl=1&raw", b"1", {"Content_Encoding": "gzip"}, "compressed"),
    ("PUT", "/v1/kv/a?level=none", "1", {}, "level"),
    ("DELETE", "/v1/kv/a?ttl=1", None, {}, "ttl"),
    ("POST", "/?raw", {"cmd": "get", "key": "a"}, {}, "raw"),
    ("POST", "/?level=best", {"cmd": "get", "key": "a"}, {}, "Unknown level"),
]


@pytest.mark.parametrize(("method", "target", "body", "headers", "words"), BAD_REQUESTS)
async def test_a_bad_request_is_400_and_says_why(
    start_edge: Any, method: str, target: str, body: Any, headers: dict[str, str], words: str
) -> None:
    async with start_edge() as edge:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        data = {"data": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        url = URL(f"http://{edge.rest}{target}", encoded=True)
        async with edge.session.request(method, url, headers=named, **data) as response:
            answer = await response.json()
            assert response.status == 400, answer
        assert words in answer["error"]
        assert answer["outcome"] == "not_applied"
        assert not edge.store.writes
        assert not edge.store.reads


async def test_keys_values_and_batches_have_limits(start_edge: Any) -> None:
    async with start_edge() as edge:
        largest = await edge.ask("PUT", "/v1/kv/" + "k" * 4096, {"val": "v" * 2**20})
        escaped = await edge.ask("PUT", "/v1/kv/a", b'"' + b"\\u0001" * 2**20 + b'"')
        assert (largest.status, escaped.status) == (200, 200)
        for target, body in (
            ("/v1/kv/" + "k" * 4097, "v"),
            ("/v1/kv/a", "v" * (2**20 + 1)),
            ("/v1/kv/a", "ä" * (2**19 + 1)),
        ):
            answer = await edge.ask("PUT", target, body)
            assert (answer.status, answer.body["code"]) == (413, "TOO_LARGE")
            assert answer.body["outcome"] == "not_applied"
        batch = [{"cmd": "set", "key": f"k{place}", "val": "v" * 2**19} for place in range(5)]
        answer = await edge.ask("POST", "/", batch)
        assert (answer.status, answer.body["code"]) == (413, "TOO_LARGE")
        assert len(edge.store.writes) == 2
