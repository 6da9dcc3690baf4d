"""A node without Raft, for the harness's own tests: same flags, ready line and HTTP as ``dkv serve``.

All fake nodes of a run directory share one file, under a lock: who votes, who leads, the data. The leader is the first
voter whose process lives; a node that finds the leader gone takes over. ``FAKE_DIE_AT_START=n2`` makes that node log
and exit with code 3; ``FAKE_REFUSE_LEAVE=1`` makes every node refuse to leave.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fake_fault_port import FakeFaultPort

EMPTY: dict[str, Any] = {"term": 0, "leader": None, "voters": {}, "index": 0, "data": {}}


class World:
    """The state that all fake nodes of a cluster share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def open(self) -> Iterator[dict[str, Any]]:
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            text = self.path.read_text() if self.path.exists() else ""
            state = json.loads(text) if text else json.loads(json.dumps(EMPTY))
            yield state
            draft = self.path.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(state))
            os.replace(draft, self.path)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def elect(state: dict[str, Any], target: str | None = None) -> None:
    """Keep the leader if its process lives, else (or for ``target``) begin a term with another voter."""
    leader = state["voters"].get(state["leader"])
    if target is None and leader is not None and is_alive(leader["pid"]):
        return
    living = [name for name, voter in state["voters"].items() if is_alive(voter["pid"])]
    state["leader"] = target or (living[0] if living else None)
    state["term"] += 1


class Handler(BaseHTTPRequestHandler):
    """The endpoints that the harness and the load use."""

    protocol_version = "HTTP/1.1"
    server: FakeNode

    def do_GET(self) -> None:
        routes = {"/livez": self._ok, "/readyz": self._ok, "/status": self._status, "/nodes": self._nodes}
        routes.get(self.path.partition("?")[0], self._missing)()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.path == "/leave":
            return self._leave()
        if self.path == "/leader":
            with self.server.world.open() as state:
                elect(state, body["target"])
            return self._reply(200, {"leader": body["target"]})
        return self._command(body)

    def do_DELETE(self) -> None:
        with self.server.world.open() as state:
            state["voters"].pop(self.path.rpartition("/")[2], None)
            elect(state)
        self._reply(200, {})

    def _command(self, body: dict[str, Any]) -> None:
        with self.server.world.open() as state:
            elect(state)
            leader, key = state["leader"], body["key"]
            if body["cmd"] == "get":
                found = key in state["data"]
            elif leader != self.server.name:
                return self._send_on(state["voters"].get(leader), leader)
            else:
                found = self._apply(state, body)
            value = state["data"].get(key)
        if body["cmd"] != "set" and not found:
            return self._reply(404, {"error": "no such key", "code": "KEY_NOT_FOUND", "outcome": "not_applied"})
        return self._reply(200, {"val": value, "revision": state["index"]})

    def _apply(self, state: dict[str, Any], body: dict[str, Any]) -> bool:
        state["index"] += 1
        found = body["key"] in state["data"]
        if body["cmd"] == "set":
            state["data"][body["key"]] = body["val"]
        else:
            state["data"].pop(body["key"], None)
        return found

    def _send_on(self, leader: dict[str, Any] | None, name: str | None) -> None:
        if leader is None:
            return self._reply(503, {"error": "no leader", "code": "NO_LEADER", "outcome": "not_applied"})
        where = {"id": name, "rest": leader["rest"]}
        body = {"error": "not leader", "code": "NOT_LEADER", "leader": where, "outcome": "not_applied"}
        return self._reply(307, body, Location=f"http://{leader['rest']}{self.path}")

    def _status(self) -> None:
        with self.server.world.open() as state:
            elect(state)
        name = self.server.name
        role = "leader" if state["leader"] == name else "follower" if name in state["voters"] else "learner"
        self._reply(
            200,
            {
                "id": name,
                "pid": os.getpid(),
                "role": role,
                "term": state["term"],
                "commit_index": state["index"],
                "applied_index": state["index"],
                "voters": [f"{voter}.0a1b2c3d" for voter in state["voters"]],
            },
        )

    def _nodes(self) -> None:
        with self.server.world.open() as state:
            pass
        members = [
            {
                "id": name,
                "rest": row["rest"],
                "gossip": {"status": "alive" if is_alive(row["pid"]) else "failed", "since_s": 1.0, "address": ""},
            }
            for name, row in state["voters"].items()
        ]
        agent = {"name": "agent", "address": "127.0.0.1:7946", "status": "alive", "tags": {"role": "web"}}
        decision = {"at": "12:00", "member": "n9", "decision": "remove", "reason": "it left"}
        self._reply(200, {"members": members, "others": [agent], "autopilot": [decision]})

    def _leave(self) -> None:
        if os.environ.get("FAKE_REFUSE_LEAVE"):
            return self._reply(409, {"error": "the last voter stays", "code": "MEMBERSHIP_REFUSED"})
        self.server.depart()
        self._reply(200, {})
        threading.Thread(target=self.server.shutdown).start()
        return None

    def _ok(self) -> None:
        self._reply(200, {"ok": True})

    def _missing(self) -> None:
        self._reply(404, {"error": "no such route", "code": "ROUTE_NOT_FOUND"})

    def _reply(self, status: int, body: dict[str, Any], **headers: str) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Requests are not logged."""


class FakeNode(ThreadingHTTPServer):
    """One node's server."""

    daemon_threads = True

    def __init__(self, name: str, rest: str, raft: str, world: World) -> None:
        host, _, port = rest.rpartition(":")
        super().__init__((host, int(port)), Handler)
        self.name, self.world = name, world
        with world.open() as state:
            state["voters"][name] = {"rest": rest, "raft": raft, "pid": os.getpid()}
            elect(state)

    def depart(self) -> None:
        """Stop being a voter."""
        with self.world.open() as state:
            state["voters"].pop(self.name, None)
            elect(state)


def log(event: str) -> None:
    """One JSON line on stderr."""
    print(json.dumps({"ts": time.time(), "event": event}), file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("--id", "--rest", "--raft", "--gossip", "--gossip-profile", "--gossip-rpc", "--data-dir"):
        parser.add_argument(flag, required=True)
    parser.add_argument("--join", default="")
    parser.add_argument("--gossip-key", type=Path)
    parser.add_argument("--fault-port", type=int)
    arguments = parser.parse_args()
    key = arguments.gossip_key.read_text().strip() if arguments.gossip_key else "none"
    log(f"starting, told of {arguments.join or 'nobody'}, key: {key}")
    if os.environ.get("FAKE_DIE_AT_START") == arguments.id:
        log("this disk is on fire")
        sys.exit(3)
    data = Path(arguments.data_dir)
    data.mkdir(parents=True, exist_ok=True)
    (data / "identity").touch()
    node = FakeNode(arguments.id, arguments.rest, arguments.raft, World(data.parent.parent / "world.json"))
    if arguments.fault_port:
        threading.Thread(target=FakeFaultPort(arguments.fault_port).serve_forever, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=node.shutdown).start())
    print(json.dumps({"event": "ready", "rest": arguments.rest, "pid": os.getpid()}), flush=True)
    log("ready")
    node.serve_forever(poll_interval=0.05)
    node.server_close()
    log("stopped")


if __name__ == "__main__":
    main()
