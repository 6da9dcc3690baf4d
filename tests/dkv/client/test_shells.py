"""What only sockets, threads and tasks can do to a client."""

from __future__ import annotations

import asyncio
import select
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

import dkv.client
from dkv.client import AsyncClient, Client, DkvError, Event, Retry, Timeout
from dkv.errors import BY_CODE

TRICKLE_S = 0.05


def trickle(listener: socket.socket) -> None:
    """One byte of an endless header after another, until the client has enough."""
    connection, _ = listener.accept()
    with connection:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
            for _ in range(1000):
                connection.sendall(b"x")
                time.sleep(TRICKLE_S)
        except OSError:
            return


def test_a_trickled_reply_does_not_outlast_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with Client(address, timeout=4 * TRICKLE_S, retry=Retry(1)) as client, pytest.raises(Timeout):
            client.get("k")
        thread.join(10)
        assert not thread.is_alive(), "the client still reads"


def test_threads_share_a_client(node: Any) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(25):
                assert client.set("k", str(number)) == 7
                assert client.get("k") == "v"
        except BaseException as error:
            failures.append(error)

    with Client([node.address], timeout=60.0) as client:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failures == []
    assert len(node.seen) == 400
    assert node.connections <= 8
    assert len({seen.command["id"] for seen in node.seen if seen.command["cmd"] == "set"}) == 200


def test_close_is_idempotent_and_forgets_connections(node: Any) -> None:
    client = Client(node.address)
    client.get("k")
    client.close()
    client.close()
    assert client.get("k") == "v", "still usable, over a connection that is not kept"
    assert node.connections == 2


def test_no_request_leaves_over_a_connection_that_the_node_has_closed(node: Any) -> None:
    node.script = [type(node.script[0])(200, {"val": "v", "revision": 7}, close=True)]
    with Client(node.address, timeout=60.0) as client:
        for _ in range(3):
            assert client.set("k", "v", idempotent=False) == 7
            (idle,) = client._pool._idle[node.address]
            select.select([idle._sock], [], [], 30)  # the node's FIN
            assert idle.is_dropped()
    assert node.connections == 3


@pytest.mark.asyncio
async def test_tasks_share_a_client(node: Any) -> None:
    async with AsyncClient(node.address, timeout=60.0) as client:
        revisions = await asyncio.gather(*(client.set("k", str(number)) for number in range(50)))
    assert revisions == [7] * 50
    assert len(node.seen) == 50


@pytest.mark.asyncio
async def test_cancelled_mutations_end_as_info_and_reads_as_fail(node: Any) -> None:
    node.script = [type(node.script[0])(silent=True)]
    events: list[Event] = []
    async with AsyncClient(node.address, timeout=60.0, history=events.append) as client:
        for operation in (client.set("k", "v"), client.get("k")):
            expected = len(node.seen) + 1
            task = asyncio.ensure_future(operation)
            await asyncio.to_thread(node.wait_for_requests, expected)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert [(event.type, event.error) for event in events] == [
        ("invoke", None),
        ("info", "CancelledError"),
        ("invoke", None),
        ("fail", "CancelledError"),
    ]


FORKS = """
import os, sys
from dkv.client import Client
with Client(sys.argv[1], timeout=60.0) as client:
    child = os.fork()
    client.set("k", "child" if child == 0 else "parent")
    if child:
        os.waitpid(child, 0)
"""


def run_python(code: str, *args: str) -> str:
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_forked_copies_draw_different_ids(node: Any) -> None:
    run_python(FORKS, node.address)
    assert len({seen.command["id"] for seen in node.seen}) == 2


GREENLETS = """
from gevent import monkey; monkey.patch_all()
import sys, time, gevent
from dkv.client import Client
client = Client(sys.argv[1], timeout=60.0)
jobs = [gevent.spawn(client.get, "k") for _ in range(30)]
gevent.joinall(jobs, raise_error=True)
print({job.value for job in jobs})
client.close()
"""


def test_greenlets_share_a_client(node: Any) -> None:
    pytest.importorskip("gevent")
    assert run_python(GREENLETS, node.address) == "{'v'}\n"
    assert len(node.seen) == 30


def test_importing_the_client_leaves_aiohttp_alone() -> None:
    code = "import sys, dkv.client; print('aiohttp' in sys.modules, dkv.client.AsyncClient.__name__)"
    assert run_python(code) == "False AsyncClient\n"
    with pytest.raises(AttributeError):
        _ = dkv.client.NoSuchName


def test_all_errors_of_nodes_are_public() -> None:
    names = {kind.__name__ for kind in BY_CODE.values()}
    assert names <= set(dkv.client.__all__)
    assert all(getattr(dkv.client, name).__name__ == name for name in names)


def test_host_that_cannot_be_a_host() -> None:
    with Client([f"{'a' * 70}.example:1"], retry=Retry(1)) as client, pytest.raises(DkvError, match="nothing was sent"):
        client.set("k", "v", idempotent=False)


@pytest.mark.parametrize("timeout", [0, -1])
def test_timeout_must_be_positive(timeout: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Client("127.0.0.1:1", timeout=timeout)
