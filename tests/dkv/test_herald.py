"""The node's voice in gossip: what it says, and what it does when somebody else has its name."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from dkv import herald as herald_module
from dkv.addresses import Address
from dkv.clock import MonotonicClock
from dkv.config import Config
from dkv.errors import StartupError
from dkv.gossip.memberlist.profiles import WAN
from dkv.gossip.wire.particulars import Address as GossipAddress
from dkv.herald import Herald
from dkv.joining import MemberInfo

ME = MemberInfo("n1.0000000a", "n1", "127.0.0.1:30001", "127.0.0.1:50001")


class Agents:
    """Stands for the agent's class, and remembers all that was made and done."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.done: list[str] = []
        self.refusals: list[Exception] = []

    def __call__(self, name: str, options: Any, **more: Any) -> Any:
        self.made.append((name, options, more))
        return self

    async def start(self, sockets: Any) -> None:
        self.done.append(f"start {sockets}")
        if self.refusals:
            raise self.refusals.pop()

    def set_tags(self, tags: Any) -> None:
        self.done.append(f"say {tags['cluster']}")

    async def leave(self, timeout_s: float) -> None:
        self.done.append("leave")

    async def stop(self) -> None:
        self.done.append("stop")


class Node:
    """The herald, and what it asks of the node."""

    def __init__(self, agents: Agents, cluster: str = "", **settings: Any) -> None:
        self.tasks: list[asyncio.Future[None]] = []
        self.changes = 0
        self.agents = agents
        self.herald = Herald(
            Config(id="n1", data_dir=Path("/d"), **settings),
            ME,
            cluster,
            GossipAddress("127.0.0.1", 7),
            clock=MonotonicClock(),
            rng=random.Random(0),
            spawn=self.spawn,
            on_change=self.change,
            on_departed=lambda: None,
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    def change(self) -> None:
        self.changes += 1

    async def lose_name(self) -> None:
        self.agents.made[-1][2]["on_name_lost"]()
        await asyncio.gather(*self.tasks)


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Agents:
    agents = Agents()
    monkeypatch.setattr(herald_module, "Agent", agents)
    monkeypatch.setattr(herald_module, "bind", lambda address: address.port)
    monkeypatch.setattr(herald_module, "SILENCE_S", 0.0)
    return agents


def test_what_was_configured_is_what_the_agent_gets(agents: Agents) -> None:
    node = Node(
        agents,
        join=(Address("127.0.0.1", 1),),
        gossip_profile="wan",
        gossip_label="blue",
        gossip_rpc=Address("127.0.0.1", 2),
        gossip_rpc_token="sesame",
    )
    name, options, more = agents.made[-1]
    assert (name, options.address, node.herald.address) == ("n1", ("127.0.0.1", 7), "127.0.0.1:7")
    assert (options.join, options.label, options.rpc) == ((("127.0.0.1", 1),), b"blue", ("127.0.0.1", 2))
    assert (options.rpc_token, options.profile.probe_interval_s) == ("sesame", WAN.probe_interval_s)
    assert 0 < options.profile.dead_node_reclaim_s < WAN.gossip_to_the_dead_s
    assert more["tags"]["id"] == ME.identity
    assert "cluster" not in more["tags"]


@pytest.mark.asyncio
async def test_a_newcomer_says_where_it_belongs_once_it_does(agents: Agents) -> None:
    node = Node(agents)
    node.herald.belong("c1")
    assert agents.done == ["say c1"]
    await node.lose_name()
    assert agents.made[-1][2]["tags"]["cluster"] == "c1"


@pytest.mark.asyncio
async def test_who_lost_its_name_is_silent_and_tries_anew(agents: Agents) -> None:
    node = Node(agents, "c1")
    agents.refusals = [StartupError("the port is taken")]
    await node.lose_name()
    assert agents.done == ["stop", "start 7", "start 7"]
    assert node.changes == 2, "nobody is known meanwhile"


@pytest.mark.parametrize("end", ["stop", "leave"])
@pytest.mark.asyncio
async def test_who_ends_does_not_try_anew(agents: Agents, end: str) -> None:
    node = Node(agents, "c1")
    await getattr(node.herald, end)()
    await node.lose_name()
    assert agents.done == [end, "stop"]
