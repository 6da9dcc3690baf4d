"""What the kernel's network does to real sockets: run as a program, it goes into a namespace and prints what it saw."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

from harness.systems import namespaces
from harness.systems.base import Shape
from harness.systems.network_kernel import KernelNetwork, enter_namespace, is_inside

SILENCE_S = 0.5
"""After which what has not come will not; over two veths it takes microseconds."""
HEALED_S = 30.0
"""For TCP to send again what was lost: its timer doubles, from 0.2 s."""


async def connected(network: KernelNetwork, a: str, b: str) -> tuple[socket.socket, socket.socket]:
    """A connection from a to b, each end in its own namespace."""
    loop = asyncio.get_running_loop()
    listener = namespaces.inside(network.network(b), lambda: socket.create_server((network.addresses[b], 0)))
    listener.setblocking(False)
    with listener:
        dialler = namespaces.inside(network.network(a), lambda: socket.create_connection(listener.getsockname()))
        dialler.setblocking(False)
        accepted, _ = await loop.sock_accept(listener)
        accepted.setblocking(False)
        return dialler, accepted


async def hears(end: socket.socket, timeout_s: float) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            return (await asyncio.get_running_loop().sock_recv(end, 100)).decode()
    except TimeoutError:
        return "silence"


async def trial() -> dict[str, Any]:
    seen: dict[str, Any] = {}
    network = KernelNetwork()
    places = [network.place(number) for number in (1, 2, 3)]
    seen["hosts"] = [place.host for place in places]
    links = [(a, b) for a in ("n1", "n2", "n3") for b in ("n1", "n2", "n3") if a != b]
    n1, n2 = await connected(network, "n1", "n2")
    seen["source"] = n2.getpeername()[0]

    def silent(passes: Any) -> list[str]:
        return [f"{a}>{b}" for a, b in links if not passes[a, b]]

    seen["before"] = silent(await network.passes(links))
    await network.cut([("n1", "n2")])
    seen["one way"] = silent(await network.passes(links))
    n1.send(b"lost")
    seen["n2 hears"] = await hears(n2, SILENCE_S)
    n2.send(b"heard")
    seen["n1 hears"] = await hears(n1, HEALED_S)
    await network.cut([("n1", "n3"), ("n3", "n1")])
    seen["other pair"] = silent(await network.passes(links))
    seen["n2 hears at last"] = await hears(n2, HEALED_S)
    await network.shape({("n2", "n3"): Shape(loss=1.0)})
    seen["lossy"] = silent(await network.passes(links))
    try:
        await network.shape({("n2", "n3"): Shape(delay_s=0.1)})
    except NotImplementedError:
        seen["delay"] = "refused"
    await network.heal()
    seen["healed"] = silent(await network.passes(links))
    n1.close()
    n2.close()
    network.close()
    return seen


def main() -> None:
    if not is_inside():
        enter_namespace([sys.executable, __file__])
    print(json.dumps(asyncio.run(trial())))


if __name__ == "__main__":
    main()
