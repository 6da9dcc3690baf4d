"""A testbed for each test, ended whatever happens."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.system.processes import Process, Start
from tests.system.testbed import Testbed


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    """Nothing runs yet."""
    testbed = Testbed(tmp_path / "run")
    yield testbed
    testbed.down()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a node; all are killed at the end."""
    processes: list[Process] = []

    def begin(name: str, *flags: str, wait: bool = True, **more: Any) -> Process:
        process = Process(tmp_path, name, *flags, **more)
        processes.append(process)
        return process.wait_ready() if wait else process

    yield begin
    for process in processes:
        process.close()


@pytest.fixture
def unused_ports() -> Callable[[], int]:
    """Two neighbouring ports that nobody uses, on UDP neither; for programs that take no port 0."""

    def find() -> int:
        while True:
            with ExitStack() as taken:
                first = taken.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                with suppress(OSError, OverflowError):
                    taken.enter_context(socket.create_server(("127.0.0.1", first + 1)))
                    udp = taken.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    udp.bind(("127.0.0.1", first))
                    return int(first)

    return find
