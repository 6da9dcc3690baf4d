"""PySyncObj's key-value example as a process: its dictionary, its thread, its journal, its defaults, over HTTP.

``python -m harness.bench.pysyncobj_node``. One thing is added to the library's example: a set is answered when it is
committed, not when it was begun. Durability is the library's own: the journal is a memory map that nobody flushes, so
what was acknowledged survives ``kill -9`` of all processes, and a power loss only by chance.
"""

from __future__ import annotations

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf
from pysyncobj.batteries import ReplDict

COMMIT_S = 5.0
"""After which a set is answered by 504."""
BACKLOG = 1_024
LEADER = 2
"""Of the library's ``state``."""


class Store:
    """The library's objects, waited for."""

    def __init__(self, own: str, others: list[str], data_dir: Path) -> None:
        conf = SyncObjConf(journalFile=str(data_dir / "journal"), fullDumpFile=str(data_dir / "dump"))
        self._values = ReplDict()
        self._raft = SyncObj(own, others, conf, consumers=[self._values])

    def set(self, key: str, value: str) -> bool | None:
        """Whether it was committed; None if that is not known in time."""
        ended, errors = threading.Event(), list[Any]()

        def end(_: Any, error: Any) -> None:
            errors.append(error)
            ended.set()

        self._values.set(key, value, callback=end)
        return errors[0] == FAIL_REASON.SUCCESS if ended.wait(COMMIT_S) else None

    def get(self, key: str) -> str | None:
        """This node's own value."""
        value: str | None = self._values.get(key)
        return value

    def status(self) -> dict[str, Any]:
        """Whether it leads, who does, and the term."""
        told = self._raft.getStatus()
        return {"leads": told["state"] == LEADER, "leader": str(told["leader"] or ""), "term": told["raft_term"]}


class Server(ThreadingHTTPServer):
    """A thread for each connection, as the example has it."""

    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, address: tuple[str, int], store: Store) -> None:
        self.store = store
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    """``POST /`` with {cmd, key, val}, ``GET /status``."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """``/status``, whatever the path."""
        self._reply(200, self.server.store.status())

    def do_POST(self) -> None:
        """set and get."""
        command = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if command["cmd"] == "get":
            value = self.server.store.get(command["key"])
            self._reply(404 if value is None else 200, {"val": value})
            return
        done = self.server.store.set(command["key"], command["val"])
        self._reply(504 if done is None else 200 if done else 503, {"committed": done})

    def _reply(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Until it is killed."""
    parser = argparse.ArgumentParser(prog="harness.bench.pysyncobj_node")
    for flag in ("--name", "--rest", "--peers", "--data-dir"):
        parser.add_argument(flag, required=True)
    told = parser.parse_args()
    peers = dict(peer.split("=", 1) for peer in told.peers.split(","))
    data_dir = Path(told.data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(peers.pop(told.name), list(peers.values()), data_dir)
    host, _, port = told.rest.rpartition(":")
    Server((host, int(port)), store).serve_forever()


if __name__ == "__main__":
    main()
