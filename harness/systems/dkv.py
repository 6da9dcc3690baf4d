"""dkv as a system under test: the harness's own verbs on one side, the client that users use on the other."""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from dkv.client import AsyncClient, CasMismatch, DkvError, Event, Outcome
from harness import growth, observe, startup
from harness.cluster import Cluster
from harness.errors import Undecided
from harness.exchange import Reply, Unanswered, exchange, exchange_all
from harness.gossip import statuses
from harness.history.records import NodeSample
from harness.roster import HERE, Place
from harness.rundir import RunDir
from harness.systems import crashes, namespaces
from harness.systems.base import Ability, Link, Mismatch, Network, NotApplied, Shape, Unknown, Version
from harness.systems.fault_port import Call, FaultPorts
from harness.systems.network_hook import HookNetwork
from harness.systems.network_kernel import KernelNetwork
from harness.systems.supervised import Supervised

T = TypeVar("T")

CHANGE_S = 15.0
"""For a change of members in the midst of other faults: a chaos run has no half minute to wait for one."""


ASKED_S = 2.0
"""For a node that was asked alone: it has done what it can long before."""


class DkvClient:
    """See ``base.Client``: an operation is one series of attempts under one id, as any user's."""

    def __init__(self, addresses: Sequence[str], timeout_s: float, name_of: Callable[[str], str]) -> None:
        self.node: str | None = None
        self._name_of = name_of
        self._client = AsyncClient(addresses, timeout=timeout_s, history=self._hear)

    async def read(self, key: str) -> Version:
        row = await self._do(self._client.get_row(key))
        return Version(None, 0) if row is None else Version(row.value, row.revision)

    async def write(self, key: str, value: str) -> Version:
        return Version(value, await self._do(self._client.set(key, value)))

    async def cas(self, key: str, expected: Version, value: str) -> Version:
        return Version(value, await self._do(self._client.set(key, value, cas=expected.token)))

    async def delete(self, key: str) -> bool | None:
        return await self._do(self._client.delete(key))

    async def close(self) -> None:
        await self._client.close()

    async def _do(self, operation: Awaitable[T]) -> T:
        try:
            return await operation
        except DkvError as error:
            raise as_outcome(error, self.node) from error

    def _hear(self, event: Event) -> None:
        """The client's history tells who answered; an invocation nobody has answered yet."""
        self.node = None if event.node is None else self._name_of(event.node)


def as_outcome(error: DkvError, node: str | None) -> NotApplied | Unknown:
    """The client's error in the testbed's words. An unknown outcome is called by what brought it about."""
    cause = error.__cause__
    code = cause.code if isinstance(cause, DkvError) else error.code
    if error.outcome is Outcome.UNKNOWN:
        return Unknown(code, node)
    return Mismatch(code, node) if isinstance(error, CasMismatch) else NotApplied(code, node)


class SplitNetwork:
    """Cut by the kernel, shaped by the nodes' own hook: each does what it does best."""

    def __init__(self, cutter: Network, shaper: Network) -> None:
        self.cutter, self.shaper = cutter, shaper
        self.name = cutter.name

    async def cut(self, links: Sequence[Link]) -> None:
        await self.cutter.cut(links)

    async def shape(self, shapes: Mapping[Link, Shape]) -> None:
        await self.shaper.shape(shapes)

    async def heal(self) -> None:
        await asyncio.gather(self.cutter.heal(), self.shaper.heal())

    async def passes(self, links: Sequence[Link]) -> Mapping[Link, bool | None]:
        return await self.cutter.passes(links)


class DkvSystem(Supervised):
    """See ``base.System``, ``Members`` and ``Gossip``. ``kernel``: the nodes live in it; without one their hook cuts.

    ``ports``: the nodes' fault ports, by name. ``network``: cuts and shapes.
    """

    name = "dkv"
    abilities = frozenset(Ability)

    def __init__(
        self,
        run_dir: RunDir,
        count: int,
        *,
        kernel: KernelNetwork | None = None,
        node_command: str | None = None,
        port_offset: int = 0,
    ) -> None:
        super().__init__(run_dir, crashes.dkv_sign)
        self._count, self._node_command, self._port_offset = count, node_command, port_offset
        self._kernel = kernel
        self._cluster = Cluster(run_dir, random.Random(), lambda _: None)
        self._addresses: dict[str, str] = {}
        self._adding = asyncio.Lock()  # two at once would both prepare the place of the next number
        self.ports = FaultPorts(self._fault_address, self._within, self.arm)
        self.hook = HookNetwork(self.ports, lambda: self.nodes)
        self.network: Network = self.hook if kernel is None else SplitNetwork(kernel, self.hook)

    async def start(self) -> None:
        """From nothing to an acknowledged write and every node a voter. Raises HarnessError."""
        self._fresh()
        began = time.time()
        plan = startup.prepare(
            self.run_dir,
            self._count,
            self._node_command,
            self._port_offset,
            fault_ports=True,
            places=self._place,
        )
        self._launch(plan.roster)

        def wait(supervisor: subprocess.Popen[bytes]) -> None:
            if startup.wait_serving(self._cluster, supervisor, began).all_voters_s is None:
                raise Undecided(
                    "it serves, but not every node is a voter: the machine is too busy, or something is wrong"
                )

        await self._serving(wait)

    def client(self, timeout_s: float) -> DkvClient:
        """One that talks to all nodes, in an order of its own."""
        addresses = [node["rest"] for node in self._facts.values()]
        self._addresses.update((node["rest"], name) for name, node in self._facts.items())
        return DkvClient(addresses, timeout_s, lambda address: self._addresses.get(address, address))

    async def observe(self, *, digests: bool = False) -> Sequence[NodeSample]:
        """Every node now, by ``/status``; ``digests``: by ``/hashkv`` as well."""
        processes = await self._processes()
        asked = [name for name, (_, process) in processes.items() if process == "running"]
        paths = ("/status", "/hashkv") if digests else ("/status",)
        requests = [(processes[name][0]["rest"], "GET", path, None) for path in paths for name in asked]
        replies = await asyncio.to_thread(exchange_all, requests, observe.STATUS_S)
        told = dict(zip(asked, replies, strict=False))
        hashes = dict(zip(asked, replies[len(asked) :], strict=False))
        return [
            sample(name, process, _body(told.get(name), pid=facts["pid"]), _body(hashes.get(name)))
            for name, (facts, process) in processes.items()
        ]

    # ---- base.Gossip

    async def views(self) -> Mapping[str, Mapping[str, str]]:
        """By ``/nodes``; a reply counts if it is of the node that was asked."""
        processes = await self._processes()
        asked = [name for name, (_, process) in processes.items() if process == "running"]
        requests = [(processes[name][0]["rest"], "GET", "/nodes", None) for name in asked]
        replies = await asyncio.to_thread(exchange_all, requests, observe.STATUS_S)
        told = {name: _body(reply, node=name) for name, reply in zip(asked, replies, strict=False)}
        return {name: statuses(body) for name, body in told.items() if body}

    # ---- base.Members

    async def add(self) -> str:
        """A new node, until it votes. Returns its name."""
        async with self._adding:
            roster = self.run_dir.load()
            assert roster is not None, "nodes are added to a cluster that was started"
            place = await asyncio.to_thread(self._place, roster.next_number)
            await self._change(growth.add, place)
            return f"n{roster.next_number}"

    async def leave(self, name: str) -> None:
        """It goes by itself, and its process ends."""
        await self._change(growth.leave, name)

    async def remove(self, name: str) -> None:
        """Dead or alive; its process is stopped."""
        await self._change(growth.remove, name)

    async def ask_removal(self, at: str, name: str) -> None:
        """By a request to the node that is asked, who may be cut off from all others."""
        with suppress(Unanswered):
            await asyncio.to_thread(exchange, self._facts[at]["rest"], "DELETE", f"/nodes/{name}", timeout_s=ASKED_S)

    async def transfer(self, name: str | None) -> None:
        """The leadership, to this node or to the follower that is furthest."""
        await self._change(growth.transfer, name)

    async def _change(self, verb: Callable[..., list[str]], whom: Any) -> None:
        try:
            await asyncio.to_thread(verb, self._cluster, whom, CHANGE_S)
        finally:
            await self._refresh()

    def _place(self, number: int) -> Place:
        return HERE if self._kernel is None else self._kernel.place(number)

    def _fault_address(self, name: str) -> str:
        return str(self._facts[name]["fault"]) if name in self._facts else ""

    def _within(self, name: str, call: Call) -> Reply:
        """In the kernel's network each node has a loopback of its own."""
        return call() if self._kernel is None else namespaces.inside(self._kernel.network(name), call)


def sample(name: str, process: str, status: Mapping[str, Any], digest: Mapping[str, Any]) -> NodeSample:
    """What a node says of itself; one that says nothing, or is still starting, has no role."""
    if "role" not in status:
        return NodeSample(time_s=0.0, node=name, process=process)
    return NodeSample(
        time_s=0.0,
        node=name,
        process=process,
        role=status["role"],
        term=status["term"],
        leader=(status["leader"] or {}).get("id", ""),
        commit=status["commit_index"],
        applied=digest.get("index", status["applied_index"]),
        last=status["last_index"],
        voters=tuple(sorted(status["voters"])),
        digest=digest.get("digest", ""),
        vote=status.get("vote") or "",
        settled=status.get("phase") == "idle",
    )


def _body(reply: Reply | None, **expected: Any) -> Mapping[str, Any]:
    """The reply's document; empty if there is none, or not ``expected`` (another process has got the port)."""
    if reply is None or reply.status != 200 or not isinstance(reply.body, dict):
        return {}
    return reply.body if all(reply.body.get(key) == value for key, value in expected.items()) else {}
