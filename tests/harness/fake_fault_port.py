"""A node's fault port without a node: it remembers what it is told, and does nothing. Also a part of the fake node."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeFaultPort

    def do_GET(self) -> None:
        self._reply(200, {**self.server.told, "hits": {}})

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, body))
        if self.server.refusal:
            return self._reply(400, {"error": self.server.refusal, "code": "BAD_REQUEST"})
        self.server.told[self.path.rpartition("/")[2]] = body
        return self._reply(200, {})

    def do_DELETE(self) -> None:
        self.server.told = fresh()
        self._reply(200, {})

    def _reply(self, status: int, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Requests are not logged."""


class FakeFaultPort(ThreadingHTTPServer):
    """``told``: what it was told last; ``requests``: all of it; ``refusal``: why it takes nothing, "" if it does."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.told = fresh()
        self.requests: list[tuple[str, Any]] = []
        self.refusal = ""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


def fresh() -> dict[str, Any]:
    return {"links": {}, "clock": {}, "disk": {}, "points": {}}
