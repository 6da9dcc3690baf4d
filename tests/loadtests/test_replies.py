"""How replies, and their absence, become one word."""

from __future__ import annotations

import pytest

from loadtests.kv.replies import document, failure


@pytest.mark.parametrize(
    ("status", "body", "mutates", "code"),
    [
        (200, b'{"val": "x"}', False, None),
        (204, b"", True, None),
        (404, b'{"code": "KEY_NOT_FOUND"}', False, None),
        (404, b'{"code": "ROUTE_NOT_FOUND"}', False, "ROUTE_NOT_FOUND"),
        (404, b"<html>", False, "HTTP_404"),
        (307, b'{"code": "NOT_LEADER"}', True, "NOT_LEADER"),
        (503, b'{"code": "NO_LEADER"}', True, "NO_LEADER"),
        (504, b'{"code": "TIMEOUT"}', True, "TIMEOUT"),
        (502, b"", True, "HTTP_502"),
        (502, None, True, "HTTP_502"),
        (500, b"[1]", True, "HTTP_500"),
    ],
)
def test_a_reply(status: int, body: bytes | None, mutates: bool, code: str | None) -> None:
    assert failure(status, body, None, mutates=mutates) == code


@pytest.mark.parametrize(
    ("error", "mutates", "code"),
    [
        (ConnectionRefusedError(111, "Connection refused"), True, "UNREACHABLE"),
        (OSError(113, "No route: host unreachable"), True, "UNREACHABLE"),
        (TimeoutError("timed out"), True, "TIMEOUT"),
        (TimeoutError("timed out"), False, "TIMEOUT"),
        (ConnectionResetError(104, "Connection reset by peer"), True, "UNKNOWN_OUTCOME"),
        (ConnectionResetError(104, "Connection reset by peer"), False, "UNREACHABLE"),
        (None, True, "UNKNOWN_OUTCOME"),
    ],
)
def test_no_reply(error: BaseException | None, mutates: bool, code: str) -> None:
    assert failure(0, None, error, mutates=mutates) == code


@pytest.mark.parametrize("body", [None, b"", b"\xff", b"3", b'"x"', b"{"])
def test_what_is_no_document(body: bytes | None) -> None:
    assert document(body) == {}
