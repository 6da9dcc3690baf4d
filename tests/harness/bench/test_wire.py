"""What nodes have sent, as ``ss`` tells it."""

from __future__ import annotations

import shutil
import socket

import pytest

from harness.bench import wire

TOLD = """0      0          127.0.0.1:50001      127.0.0.1:41000
\t cubic wscale:7,7 rto:204 bytes_sent:1200 bytes_acked:1200 bytes_received:90 segs_out:9
0      0          127.0.0.1:41000      127.0.0.1:50001
\t cubic wscale:7,7 rto:204 bytes_received:1200 segs_out:4
"""


def test_each_end_tells_what_it_sent() -> None:
    near, far = ("127.0.0.1:50001", "127.0.0.1:41000"), ("127.0.0.1:41000", "127.0.0.1:50001")
    assert wire.parse(TOLD) == {near: 1_200, far: 0}
    assert wire.parse("") == {}


def test_what_was_sent_between_two_looks() -> None:
    before = {("a", "b"): 100, ("gone", "b"): 50}
    after = {("a", "b"): 130, ("new", "b"): 7}
    assert wire.sent_between(before, after) == 37


@pytest.mark.skipif(shutil.which("ss") is None, reason="no ss on PATH (Debian: iproute2)")
def test_a_real_connection_is_found_by_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as near, server.accept()[0] as far:
            before = wire.sockets({port})
            near.sendall(b"x" * 1_000)
            assert far.recv(1_000, socket.MSG_WAITALL) == b"x" * 1_000
            after = wire.sockets({port})
    assert (len(before), len(after)) == (2, 2)
    assert wire.sent_between(before, after) == 1_000
