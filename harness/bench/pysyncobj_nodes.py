"""The library that dkv is built on, as it comes, as a contender: what dkv adds and what it costs is seen beside it."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from harness.bench.contenders import STATUS_S, Standing
from harness.bench.dialects import ExampleDialect
from harness.bench.http_contender import HttpContender
from harness.exchange import Unanswered, exchange


class PySyncObjNodes(HttpContender):
    """See ``Contender`` and ``pysyncobj_node``."""

    name: ClassVar[str] = "pysyncobj"
    durability: ClassVar[str] = (
        "none against power loss: its journal is a memory map that it never flushes; it survives kill -9"
    )
    batch_max: ClassVar[int] = 1
    dialect = ExampleDialect()

    def __init__(self, path: Path, count: int, port_offset: int = 0) -> None:
        super().__init__(
            path, count, (sys.executable, "-m", "harness.bench.pysyncobj_node"), lambda _: None, port_offset
        )

    def version(self) -> str:
        """Of this installation."""
        return f"PySyncObj {version('pysyncobj')}"

    def standing(self, address: str) -> Standing | None:
        """By the status of its own."""
        try:
            status = exchange(address, "GET", "/status", timeout_s=STATUS_S).body
        except Unanswered:
            return None
        return Standing(bool(status["leads"]), int(status["term"])) if status and status["leader"] else None
