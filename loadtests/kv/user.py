"""One user: draws a key, chooses a node, follows the leader, and tells how it ended.

A node's death is a failure with a code and a node that is left alone for a second, never an exception.
"""

from __future__ import annotations

import json
import random
import time
from itertools import count
from typing import Any

from locust import FastHttpUser

from dkv.errors import LeaderHint
from loadtests.kv.replies import document, failure
from loadtests.kv.run import SEED

_numbers = count()
_HEADERS = {"Content-Type": "application/json"}


class KvUser(FastHttpUser):
    """Operations on keys; subclasses are mixes of them."""

    abstract = True
    max_redirects = 0  # followed here, so that the leader is remembered and a dead one forgotten

    def __init__(self, environment: Any) -> None:
        self.run_of = environment.dkv
        self.network_timeout = self.connection_timeout = self.run_of.options.dkv_timeout
        self.rng = random.Random(SEED + next(_numbers))
        super().__init__(environment)

    def wait_time(self) -> float:
        """Seconds between two requests."""
        return float(self.run_of.options.dkv_think_time)

    def get(self) -> None:
        """Read a key, at any node unless the level needs the leader."""
        level = self.run_of.options.dkv_level
        self._do({"cmd": "get", "key": self._key(), "level": level}, at_leader=level in ("weak", "strong"))

    def set(self) -> None:
        """Write a key."""
        self._do({"cmd": "set", "key": self._key(), "val": self.run_of.value}, at_leader=True)

    def delete(self) -> None:
        """Delete a key."""
        self._do({"cmd": "delete", "key": self._key()}, at_leader=True)

    def _key(self) -> str:
        return f"load:{self.run_of.zipf.draw(self.rng):08d}"

    def _do(self, command: dict[str, str], *, at_leader: bool) -> None:
        nodes = self.run_of.nodes
        node = nodes.choose(time.monotonic(), at_leader=at_leader)
        response = self._send(node, command)
        if response.status_code == 307 and (leader := self._redirected(response)):
            first_ms = response.request_meta["response_time"]
            node, response = leader, self._send(leader, command)
            response.request_meta["response_time"] += first_ms
        with response:
            code = failure(
                response.status_code,
                response.content,
                response.request_meta["exception"],
                mutates=command["cmd"] != "get",
            )
            self._learn(node, response.status_code, code, at_leader)
            if code is None:
                response.success()
            else:
                response.failure(code)

    def _send(self, node: str, command: dict[str, str]) -> Any:
        """Reported to Locust only when it is entered as a context."""
        return self.client.request(
            "POST",
            f"http://{node}/",
            name=f"kv:{command['cmd']}",
            data=json.dumps(command),
            headers=_HEADERS,
            catch_response=True,
        )

    def _redirected(self, response: Any) -> str | None:
        leader = document(response.content).get("leader") or {}
        return self.run_of.nodes.learn(LeaderHint(str(leader.get("id", "")), str(leader.get("rest", ""))))

    def _learn(self, node: str, status: int, code: str | None, at_leader: bool) -> None:
        nodes = self.run_of.nodes
        if code is None:
            nodes.answered(node, at_leader=at_leader)
            return
        nodes.disowned(node)
        if status == 0:
            nodes.shun(node, time.monotonic())
