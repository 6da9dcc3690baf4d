"""Fake fault ports: what nodes are told, without nodes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from harness.systems.fault_port import FaultPorts
from tests.harness.fake_fault_port import FakeFaultPort


@pytest.fixture
def fakes() -> Iterator[dict[str, FakeFaultPort]]:
    """Of n1, n2, n3."""
    servers = {name: FakeFaultPort() for name in ("n1", "n2", "n3")}
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in servers.values()]
    for thread in threads:
        thread.start()
    yield servers
    for server in servers.values():
        server.shutdown()
        server.server_close()
    for thread in threads:
        thread.join()


@pytest.fixture
def ports(fakes: dict[str, FakeFaultPort]) -> FaultPorts:
    """Their clients; a node that is not among them has no fault port."""
    return FaultPorts(lambda name: fakes[name].address if name in fakes else "")
