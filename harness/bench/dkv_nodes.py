"""dkv as a contender: ``dkv serve`` as ``up`` starts it, but without fault ports, whose hooks cost something."""

from __future__ import annotations

import random
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from harness import startup
from harness.bench.contenders import STATUS_S, Standing
from harness.bench.dialects import DkvDialect
from harness.bench.http_contender import HttpContender
from harness.cluster import Cluster
from harness.errors import Undecided
from harness.exchange import Unanswered, exchange
from harness.systems import crashes


class DkvNodes(HttpContender):
    """See ``Contender``."""

    name: ClassVar[str] = "dkv"
    durability: ClassVar[str] = "fsync on a majority of disks before the answer"
    batch_max: ClassVar[int] = 1_000
    dialect = DkvDialect()

    def __init__(self, path: Path, count: int, node_command: str | None = None, port_offset: int = 0) -> None:
        super().__init__(path, count, (), crashes.dkv_sign, port_offset)
        self._node_command = node_command

    def version(self) -> str:
        """Of this installation."""
        return f"dkv {version('dkv')}"

    async def start(self) -> None:
        """As ``up``, whose stopwatch it is too: the founder first, then the others, until all vote."""
        self._fresh()
        began = time.time()
        plan = startup.prepare(self.run_dir, self.count, self._node_command, self._port_offset)
        self._launch(plan.roster)

        def wait(supervisor: subprocess.Popen[bytes]) -> None:
            serving = startup.wait_serving(Cluster(self.run_dir, random.Random(), lambda _: None), supervisor, began)
            self.first_write_s = serving.first_write_s
            if serving.all_voters_s is None:
                raise Undecided("dkv serves, but not every node votes: the machine is too busy, or something is wrong")

        await self._serving(wait)

    def standing(self, address: str) -> Standing | None:
        """By ``/status``."""
        try:
            status = exchange(address, "GET", "/status", timeout_s=STATUS_S).body
        except Unanswered:
            return None
        if not isinstance(status, dict) or status.get("role") not in ("leader", "follower") or not status.get("leader"):
            return None
        return Standing(status["role"] == "leader", int(status["term"]))
