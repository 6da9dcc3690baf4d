"""Nodes as processes of a test: what they print, what they answer, how they end."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0


class Reply:
    """Status, headers and JSON of one answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        content = response.read()
        self.json: Any = json.loads(content) if content else None


class Process:
    """One ``dkv serve``. ``ready`` is its ready line."""

    def __init__(
        self, directory: Path, name: str, *flags: str, rest: str = "127.0.0.1:0", profile: str = "local"
    ) -> None:
        self.directory = directory
        self.name = name
        self.log = (directory / f"{name}.log").open("ab")
        command = [sys.executable, "-m", "dkv", "serve", "--id", name, "--rest", rest, "--raft", "127.0.0.1:0"]
        command += ["--gossip", "127.0.0.1:0", "--gossip-profile", profile]
        command += ["--data-dir", str(directory / name), *flags]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.ready: dict[str, Any] = {}

    def wait_ready(self) -> Process:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, f"{self.name} ended with {self.child.wait()}:\n{self.output()[-3000:]}"
        self.ready = json.loads(line)
        assert self.ready["event"] == "ready"
        return self

    def output(self) -> str:
        return (self.directory / f"{self.name}.log").read_text()

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        connection = http.client.HTTPConnection(self.ready["rest"], timeout=PATIENCE_S)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def put(self, key: str, value: str) -> Reply:
        """At whichever node leads."""
        reply = self.ask("PUT", f"/v1/kv/{key}?forward=1", value)
        assert reply.status == 200, reply.json
        return reply

    def get(self, key: str) -> Any:
        reply = self.ask("GET", f"/v1/kv/{key}")
        assert reply.status == 200, reply.json
        return reply.json["val"]

    def gossip(self) -> dict[str, str]:
        """Name → status, as it sees the members and whoever else is there."""
        nodes = self.ask("GET", "/nodes").json
        members = {each["id"]: each["gossip"]["status"] for each in nodes["members"] if each["gossip"]}
        return {**members, **{each["name"]: each["status"] for each in nodes["others"]}}

    def voters(self) -> list[str]:
        return sorted(self.ask("GET", "/nodes").json["voters"])

    def end(self, number: int = signal.SIGTERM) -> int:
        self.child.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.child.wait(PATIENCE_S)
        self.close()
        return code

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        assert self.child.stdout is not None
        self.child.stdout.close()
        self.log.close()


Start = Callable[..., Process]
"""``start(name, *flags, wait=True)``: a running node."""


def eventually(check: Callable[[], Any], wanted: Any) -> None:
    """Real processes have no other clock than the wall's."""
    give_up = time.monotonic() + PATIENCE_S
    while (seen := check()) != wanted:
        assert time.monotonic() < give_up, f"wanted {wanted}, still {seen}"
        time.sleep(0.05)


def cluster(start: Start, count: int) -> list[Process]:
    founder = start("n1")
    joiners = [start(f"n{number}", "--join", founder.ready["gossip"], wait=False) for number in range(2, count + 1)]
    nodes = [founder, *(joiner.wait_ready() for joiner in joiners)]
    for node in nodes:
        eventually(node.voters, [f"n{number}" for number in range(1, count + 1)])
    return nodes
