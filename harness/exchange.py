"""One HTTP exchange with a node, and the same with many nodes at once. Only the standard library: it starts fast."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

BODY_BYTES_MAX = 8 << 20
"""More than any operations reply; protects the harness from a stranger on the node's port."""
PARALLEL_MAX = 32


class Unanswered(Exception):
    """No (whole, sensible) reply: refused, cut, timed out. ``sent``: the request may have reached the node."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Reply:
    """``body``: the JSON document, None if there was none. Header names in lower case."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """The node's own sentence about why it refused."""
        if isinstance(self.body, dict) and "error" in self.body:
            return f"{self.body['error']} ({self.body.get('code', self.status)})"
        return f"status {self.status}"


def exchange(address: str, method: str, path: str, body: Any = None, timeout_s: float = 1.0) -> Reply:
    """Ask the node at ``host:port``. ``timeout_s`` holds for each wait on the socket. Raises Unanswered."""
    connection = http.client.HTTPConnection(address, timeout=timeout_s)
    sent = False
    try:
        connection.connect()
        sent = True
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
        response = connection.getresponse()
        text = response.read(BODY_BYTES_MAX)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, _json(text), headers)
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"{address}: {error or type(error).__name__}", sent=sent) from error
    finally:
        connection.close()


def get_all(requests: Iterable[tuple[str, str]], timeout_s: float) -> list[Reply | None]:
    """GET each (address, path) at the same time: a paused node must not hold up the others. None: no answer."""
    return exchange_all(((address, "GET", path, None) for address, path in requests), timeout_s)


def exchange_all(requests: Iterable[tuple[str, str, str, Any]], timeout_s: float) -> list[Reply | None]:
    """Each (address, method, path, body) at the same time, as ``get_all``."""

    def ask(request: tuple[str, str, str, Any]) -> Reply | None:
        try:
            return exchange(*request, timeout_s=timeout_s)
        except Unanswered:
            return None

    wanted = list(requests)
    if not wanted:
        return []
    with ThreadPoolExecutor(min(PARALLEL_MAX, len(wanted))) as pool:
        return list(pool.map(ask, wanted))


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
