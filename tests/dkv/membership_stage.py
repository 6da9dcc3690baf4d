"""``n1``, the leader of ``n1 n2 n3``, with links and gossip that do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from dkv.autopilot import Autopilot, Picture
from dkv.gossip.agent.views import MemberView
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.particulars import Address
from dkv.joining import JoinRequest, MemberInfo
from dkv.membership import Membership
from dkv.pilot import Pilot
from dkv.sightings import tags_of

Inside = Any


def member(number: int, incarnation: str = "0000000a") -> MemberInfo:
    name = f"n{number}"
    return MemberInfo(f"{name}.{incarnation}", name, f"127.0.0.1:3000{number}", f"127.0.0.1:5000{number}")


def request_of(info: MemberInfo, **changes: str) -> JoinRequest:
    fields = {"identity": info.identity, "name": info.name, "rest": info.rest, "raft": info.raft, "version": "0"}
    return JoinRequest(**{**fields, **changes})


N1, N2, N3, N4 = (member(number) for number in (1, 2, 3, 4))


class FakeLinks:
    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self.up: set[str] = set()

    def set_addresses(self, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)

    def is_up(self, node: str) -> bool:
        return node in self.up


class FakeGossip:
    """Who is seen how, and who was said to be gone."""

    def __init__(self) -> None:
        self.views: dict[str, MemberView] = {}
        self.gone: list[str] = []

    def see(self, info: MemberInfo, status: Status = Status.ALIVE, cluster: str = "c1") -> None:
        address = Address("127.0.0.1", 40000)
        self.views[info.name] = MemberView(info.name, address, tags_of(info, "0", cluster), status, -1000.0)

    def members(self) -> list[MemberView]:
        return list(self.views.values())

    def force_leave(self, name: str) -> None:
        self.gone.append(name)


class Cluster:
    """``n1``, the leader of ``n1 n2 n3``, and the calls that it makes to others."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.replica = inside.replica
        self.links, self.gossip = FakeLinks(), FakeGossip()
        self.calls: list[tuple[str, str, str]] = []
        self.answers: list[Exception] = []
        self.remembered: list[MemberInfo] = []
        inside.directory.follow([], complete=False)
        self.membership = Membership(
            inside.host,
            inside.replica,
            inside.router,
            inside.directory,
            self.links,
            self.gossip,
            cluster="c1",
            founder=N1.identity,
            clock=inside.clock,
            call=self.call,
            remember=self.remember,
        )
        self.looks, look = 0, self.membership.picture

        def counted() -> Picture:
            self.looks += 1
            return look()

        self.membership.picture = counted  # type: ignore[method-assign]
        self.pilot = Pilot(
            self.membership,
            inside.replica,
            lambda: Autopilot(0.0, 1000.0),
            clock=inside.clock,
            wall_ms=lambda: 0,
        )
        inside.host.after_turn.append(self.membership.follow)
        self.piloting = asyncio.ensure_future(self.pilot.run())

    async def call(self, rest: str, method: str, path: str, body: Any, deadline: float) -> None:
        self.calls.append((rest, method, path))
        if self.answers:
            raise self.answers.pop(0)

    def remember(self, members: list[MemberInfo]) -> None:
        self.remembered = members

    async def join(self, info: MemberInfo, **changes: str) -> Any:
        answer = await self.membership.join(request_of(info, **changes), self.inside.soon())
        await asyncio.sleep(0)
        return answer

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def admitted(self, *members: MemberInfo) -> None:
        await self.until(lambda: {info.identity for info in members} <= set(self.replica.voters))

    async def looked(self) -> None:
        """The pilot has looked twice, hence once after whatever was before."""
        before = self.looks
        await self.until(lambda: self.looks > before + 1)

    def alive(self, *members: MemberInfo) -> None:
        for info in members:
            self.links.up.add(info.identity)
            self.replica.contact_s[info.identity] = 0.1
            self.gossip.see(info)
        self.membership.hear()

    def names(self) -> list[str]:
        return [info.name for info in self.inside.directory.members()]
