"""Which heads are hot, and that whatever is not plainly so is left to the full parser."""

from __future__ import annotations

import pytest

from dkv.api.heads import KEPT_HEADS_MAX, Heads


def head(first: str, *lines: str) -> bytes:
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1")


HOT = [
    (head("POST / HTTP/1.1", "Host: x", "Content-Length: 12"), ("POST", "/", "", "", 12, True, 1)),
    (head("POST /?level=none HTTP/1.1", "content-length: 12"), ("POST", "/?level=none", "", "level=none", 12, True, 1)),
    (head("GET /v1/kv/a%2Fb/c?raw HTTP/1.1", "Host: x"), ("GET", "/v1/kv/a%2Fb/c?raw", "a%2Fb/c", "raw", 0, True, 1)),
    (head("PUT /v1/kv/a HTTP/1.0", "Content-Length: 3"), ("PUT", "/v1/kv/a", "a", "", 3, False, 0)),
    (head("GET /v1/kv/a HTTP/1.0", "Connection: Keep-Alive"), ("GET", "/v1/kv/a", "a", "", 0, True, 0)),
    (head("DELETE /v1/kv/a HTTP/1.1", "Connection: close"), ("DELETE", "/v1/kv/a", "a", "", 0, False, 1)),
    (head("GET /v1/kv/ HTTP/1.1", "Accept: */*", "Content-Length: 0"), ("GET", "/v1/kv/", "", "", 0, True, 1)),
]

OTHER = [
    head("GET / HTTP/1.1", "Host: x"),
    head("HEAD /v1/kv/a HTTP/1.1"),
    head("GET /status HTTP/1.1"),
    head("POST /v1/kv/a HTTP/1.1", "Content-Length: 1"),
    head("GET http://elsewhere/v1/kv/a HTTP/1.1"),
    head("GET /v1/kv/a HTTP/1.1", "Content-Length: 5"),
    head("POST / HTTP/1.1", "Transfer-Encoding: chunked"),
    head("POST / HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked"),
    head("POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 5"),
    head("POST / HTTP/1.1", "Content-Length: -5"),
    head("POST / HTTP/1.1", "Content-Length: 5, 5"),
    head("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"),
    head("POST / HTTP/1.1", "Content-Length: 5", "Content-Encoding: gzip"),
    head("GET /v1/kv/a HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"),
    head("GET /v1/kv/a HTTP/1.1", "Connection: keep-alive, close"),
    head("GET /v1/kv/a HTTP/1.1", "Connection: close", "Connection: keep-alive"),
    head("GET /v1/kv/a HTTP/1.1", "X-Request-Id: one", "X-Request-Id: two"),
    head("GET /v1/kv/a HTTP/1.1", "X-Request-Id: \xe4"),
    head("GET /v1/kv/a HTTP/1.1", "X-Request-Id:"),
    head("GET /v1/kv/\xc3\xa4 HTTP/1.1"),
    head("GET /v1/kv/a#b HTTP/1.1"),
    head("GET /v1/kv/a HTTP/2.0"),
    head("GET /v1/kv/a HTTP/1.1", "Host : x"),
    head("GET /v1/kv/a HTTP/1.1", " folded: x"),
    head("GET /v1/kv/a"),
    b"GET /v1/kv/a HTTP/1.1\nHost: x\n\nGET /v1/kv/b HTTP/1.1\r\n\r\n",
    b"\r\n\r\n",
    b"\x00\x01\r\n\r\n",
]


@pytest.mark.parametrize(("raw", "expected"), HOT)
def test_hot(raw: bytes, expected: tuple[object, ...]) -> None:
    heads = Heads()
    for _ in range(2):  # read, then remembered
        found = heads.read(raw)
        assert found is not None
        assert expected == (
            found.name,
            found.target,
            found.argument,
            found.query,
            found.content_length,
            found.keep_alive,
            found.minor_version,
        )


@pytest.mark.parametrize("raw", OTHER)
def test_anything_else(raw: bytes) -> None:
    heads = Heads()
    assert heads.read(raw) is None
    assert heads.read(raw) is None


def test_the_headers_that_handlers_ask_for() -> None:
    found = Heads().read(head("GET /v1/kv/a HTTP/1.1", "x-dkv-timeout: 2s", "IDEMPOTENCY-KEY: k 1", "Accept: x"))
    assert found is not None
    assert found.headers == {"X-DKV-Timeout": "2s", "Idempotency-Key": "k 1"}


def test_what_is_remembered_is_bounded_and_never_unique() -> None:
    heads = Heads()
    for number in range(3 * KEPT_HEADS_MAX):
        assert heads.read(head(f"GET /v1/kv/{number} HTTP/1.1")) is not None
        assert len(heads._kept) <= KEPT_HEADS_MAX
    kept = dict(heads._kept)
    assert heads.read(head("GET /v1/kv/a HTTP/1.1", "X-Request-Id: 4711")) is not None
    assert heads.read(head("GET /v1/kv/a HTTP/1.1", f"X-Long: {'x' * 600}")) is not None
    assert heads._kept == kept
