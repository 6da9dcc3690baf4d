"""The kernel's network: each node in a network namespace of its own, and nft between them. No node need know of it.

::

    n1: 10.0.0.1 ─veth─┐
    n2: 10.0.0.2 ─veth─┤ hub: the harness and its clients (10.0.0.254); forwards, and drops what is cut
    n3: 10.0.0.3 ─veth─┘

A namespace each, and not only an address of loopback each: what a process sends over loopback comes from 127.0.0.1
unless it binds another source, which etcd cannot and nobody should have to.

A cut drops packets: established connections fall silent, new ones are not made, nobody is told. **One way** means
packets, as in a real network: when a → b is cut, b's data still reaches a, but a's acknowledgements are lost, so b
sends again and again and stalls when its congestion window is full (about 14 KB); no new connection is made either
way. Clients and the harness speak from the hub, which is never cut.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.errors import Refused
from harness.roster import Place
from harness.systems import namespaces, nft
from harness.systems.base import Link, Shape
from harness.systems.enclosure import FORWARD, available, enter_namespace, is_inside, run, tool

__all__ = ["KernelNetwork", "available", "enter_namespace", "is_inside"]

HUB = "10.0.0.254"
PASSES_S = 0.3
"""For a datagram over two veths: it takes microseconds; a busy machine may need the rest."""
TOKEN_BYTES = 8


class KernelNetwork:
    """See ``base.Network``. Nodes are numbered as in the roster: n7 is 10.0.0.7. Close it when they have ended."""

    name = "kernel"

    def __init__(self) -> None:
        """Makes this namespace the hub. Raises Refused outside of one: the machine's own network is never changed."""
        if not is_inside():
            raise Refused("the kernel's network is changed inside a namespace only (enter_namespace)")
        self._networks: dict[str, int] = {}
        self._teller = ThreadPoolExecutor(1, "nft")  # one: a later word must not overtake an earlier one
        run("ip", "-batch", "-", script=f"link set lo up\naddr add {HUB}/32 dev lo\n")
        Path(FORWARD).write_text("1")
        run("nft", "-f", "-", script=nft.SETUP)

    @property
    def addresses(self) -> Mapping[str, str]:
        """Node → address, of all that ever got a place here."""
        return {name: f"10.0.0.{name.removeprefix('n')}" for name in self._networks}

    def place(self, number: int) -> Place:
        """A namespace for node ``number``, wired to the hub; always the same for one number."""
        name = f"n{number}"
        if name not in self._networks:
            self._networks[name] = namespaces.new_network()
            self._wire(name)
        return Place(self.addresses[name], tuple(self._entry(name)))

    def network(self, name: str) -> int:
        """A descriptor of the node's namespace (harness.systems.namespaces.inside)."""
        return self._networks[name]

    def _wire(self, name: str) -> None:
        address, hub_side, path = self.addresses[name], f"hub-{name}", namespaces.path_of(self._networks[name])
        outside = (
            f"link add {hub_side} type veth peer name eth0 netns {path}",
            f"link set {hub_side} up",
            f"route add {address} dev {hub_side}",
        )
        inside = (
            "link set lo up",
            "link set eth0 up",
            f"addr add {address}/32 dev eth0",
            f"route add {HUB} dev eth0",
            f"route add default via {HUB}",
        )
        run("ip", "-batch", "-", script="\n".join(outside) + "\n")
        run(*self._entry(name), tool("ip"), "-batch", "-", script="\n".join(inside) + "\n")

    def _entry(self, name: str) -> list[str]:
        return [tool("nsenter"), f"--net={namespaces.path_of(self._networks[name])}", "--"]

    async def cut(self, links: Sequence[Link]) -> None:
        """See ``base.Network``; one ``nft`` whatever the number of links (about 10 ms)."""
        await self._tell(nft.cut_script(map(self._pair, links)))

    async def shape(self, shapes: Mapping[Link, Shape]) -> None:
        """Loss only: of packets, so TCP sends again, and messages come late rather than never."""
        if any(shape != Shape(loss=shape.loss) for shape in shapes.values()):
            raise NotImplementedError("the kernel's network can cut and lose packets; the rest is the hook's")
        await self._tell(nft.loss_script({self._pair(link): shape.loss for link, shape in shapes.items()}))

    async def heal(self) -> None:
        """See ``base.Network``."""
        await self._tell(nft.cut_script(()) + nft.loss_script({}))

    async def passes(self, links: Sequence[Link]) -> Mapping[Link, bool | None]:
        """Tried: whether a datagram gets over each link. Paused and dead nodes' too: their namespaces live."""
        return dict(zip(links, await asyncio.gather(*(self._passes(*link) for link in links)), strict=True))

    async def _passes(self, source: str, target: str) -> bool:
        token = os.urandom(TOKEN_BYTES)
        with self._datagrams(source) as voice, self._datagrams(target) as ear:
            voice.sendto(token, ear.getsockname())
            try:
                async with asyncio.timeout(PASSES_S):
                    return await asyncio.get_running_loop().sock_recv(ear, TOKEN_BYTES) == token
            except TimeoutError:
                return False

    def _datagrams(self, name: str) -> socket.socket:
        made = namespaces.inside(self._networks[name], lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made.setblocking(False)
        made.bind((self.addresses[name], 0))
        return made

    def close(self) -> None:
        """Let the namespaces go."""
        self._teller.shutdown()
        for network in self._networks.values():
            os.close(network)
        self._networks.clear()

    def _pair(self, link: Link) -> nft.Pair:
        addresses = self.addresses
        return addresses[link[0]], addresses[link[1]]

    async def _tell(self, script: str) -> None:
        told = functools.partial(run, "nft", "-f", "-", script=script)
        await asyncio.get_running_loop().run_in_executor(self._teller, told)
