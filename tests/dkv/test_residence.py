"""Whom a node asks to be let in, what it takes for an answer, and who it is afterwards."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dkv import identity as identities
from dkv import residence as residence_module
from dkv.addresses import Address
from dkv.clock import MonotonicClock
from dkv.errors import BadRequest, LeaderHint, MembershipRefused, NotLeader, StartupError, UnknownOutcome, Unreachable
from dkv.gate import Gate
from dkv.gossip.agent.views import MemberView
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.particulars import Address as GossipAddress
from dkv.identity import Identity
from dkv.joining import MemberInfo
from dkv.levels import Level
from dkv.residence import Residence
from dkv.sightings import tags_of

ME = MemberInfo("n2.0000000b", "n2", "127.0.0.1:30002", "127.0.0.1:50002")
FOUNDER = MemberInfo("n1.0000000a", "n1", "127.0.0.1:30001", "127.0.0.1:50001")
ANSWER = {
    "cluster": "c1",
    "founder": FOUNDER.identity,
    "leader": FOUNDER.identity,
}
A, B = "127.0.0.1:1", "127.0.0.1:2"
TARGETS = (Address("127.0.0.1", 40001),)


class Seen:
    """Gossip: members of cluster ``c1`` at these REST addresses."""

    def __init__(self, *rest: str) -> None:
        self.rest = rest

    def members(self) -> list[MemberView]:
        infos = [MemberInfo(f"m{at}.0000000a", f"m{at}", rest, "127.0.0.1:9") for at, rest in enumerate(self.rest)]
        place = GossipAddress("127.0.0.1", 40009)
        return [MemberView(info.name, place, tags_of(info, "0", "c1"), Status.ALIVE, 0.0) for info in infos]

    def force_leave(self, name: str) -> None:
        raise AssertionError("nobody asked for it")


class Members:
    """What each address answers, in order; the last answer stays."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = {f"127.0.0.1:{port[1:]}": answer for port, answer in answers.items()}
        self.asked: list[str] = []

    async def call(self, rest: str, method: str, path: str, body: Any, deadline: float) -> Any:
        assert (method, path, body.identity) == ("POST", "/join", ME.identity)
        self.asked.append(rest)
        answers = self.answers[rest]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def join(members: Members, *seen: str) -> Identity:
    return await Residence(ME, TARGETS, Seen(*seen), members.call, MonotonicClock()).found_or_join()


@pytest.mark.asyncio
async def test_without_targets_a_node_founds() -> None:
    identity = await Residence(ME, (), Seen(A), Members().call, MonotonicClock()).found_or_join()
    assert (identity.identity, identity.founder) == (ME.identity, ME.identity)


@pytest.mark.asyncio
async def test_a_joiner_is_who_it_is() -> None:
    identity = await join(Members(p1=[ANSWER]), A)
    assert identity == Identity(cluster="c1", name="n2", identity=ME.identity, founder=FOUNDER.identity)


@pytest.mark.asyncio
async def test_a_joiner_asks_until_somebody_lets_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residence_module, "RETRY_S", 0.0)
    hint = NotLeader("there", leader=LeaderHint("n1", FOUNDER.rest))
    members = Members(p1=[Unreachable("down")], p2=[UnknownOutcome("cut"), hint], p30001=[ANSWER])
    assert (await join(members, A, B)).cluster == "c1"
    assert members.asked == [A, B, A, B, FOUNDER.rest]


@pytest.mark.asyncio
async def test_a_joiner_waits_until_gossip_shows_a_member_and_says_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(residence_module, "RETRY_S", 0.0)
    monkeypatch.setattr(residence_module, "COMPLAIN_S", 0.0)
    seen = Seen()
    joining = asyncio.ensure_future(
        Residence(ME, TARGETS, seen, Members(p1=[ANSWER]).call, MonotonicClock()).found_or_join()
    )
    while not caplog.records:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert "no member answers at 127.0.0.1:40001. --join wants the gossip address" in caplog.text
    seen.rest = (A,)
    assert (await joining).cluster == "c1"


@pytest.mark.parametrize("error", [BadRequest("no such name"), MembershipRefused("n2 is alive")])
@pytest.mark.asyncio
async def test_a_refusal_ends_the_start(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(residence_module, "RETRY_S", 0.0)
    with pytest.raises(StartupError, match=f"does not let this node in: {error}"):
        await join(Members(p1=[error]), A)


@pytest.mark.asyncio
async def test_a_refusal_counts_once_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residence_module, "RETRY_S", 0.0)
    refusals = [MembershipRefused("n2 is alive")] * (residence_module.REFUSED_MAX - 1)
    members = Members(p1=[*refusals, ANSWER], p2=[MembershipRefused("n2 is alive")])
    assert (await join(members, A, B)).cluster == "c1"
    assert members.asked == [A] * residence_module.REFUSED_MAX


def test_identities_are_drawn_and_kept() -> None:
    identity = identities.founding("n1", identities.draw("n1"))
    assert identity.identity != identities.draw("n1")
    assert identities.decode(identities.encode(identity), "n1", "DIR") == identity


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        (b"{", "cannot be read"),
        (b'{"cluster":"c","name":"n2","identity":"n2.0","founder":"n2.0"}', "belongs to node n2, not to n1"),
        (b'{"cluster":"c","name":"n1","identity":"n1.0","founder":"n1.0","format":2}', "newer dkv"),
    ],
)
def test_other_peoples_identities_are_refused(stored: bytes, says: str) -> None:
    with pytest.raises(StartupError, match=says):
        identities.decode(stored, "n1", "DIR")


@pytest.mark.asyncio
async def test_a_closed_gate_refuses_and_an_open_one_is_the_router(inside: Any) -> None:
    gate = Gate("n1")
    assert gate.view().leader is None
    for request in (gate.write([], deadline=inside.soon()), gate.read([], Level.NONE, deadline=inside.soon())):
        with pytest.raises(Exception, match="still starting"):
            await request
    gate.open(inside.router)
    assert gate.view() == inside.router.view()
    assert (await gate.read(["a"], Level.NONE, deadline=inside.soon())).rows == [None]


@pytest.mark.parametrize(
    ("voters", "known", "joins"),
    [
        pytest.param((FOUNDER.identity,), True, 1, id="a joiner whom its leader forgot"),
        pytest.param((FOUNDER.identity, ME.identity), True, 0, id="a voter waits to be spoken to"),
        pytest.param((FOUNDER.identity,), False, 0, id="one that was removed meanwhile does not come back by itself"),
    ],
)
@pytest.mark.asyncio
async def test_a_joiner_that_hears_of_no_leader_asks_again(voters: tuple[str, ...], known: bool, joins: int) -> None:
    asked: list[str] = []

    async def call(rest: str, method: str, path: str, body: Any, deadline: float) -> Any:
        if (method, path) == ("GET", "/nodes"):
            others = [{"identity": FOUNDER.identity, "leader": True}]
            return {"cluster": "c1", "members": others + [{"identity": ME.identity, "leader": False}] * known}
        asked.append(f"{rest} {method} {path}")
        return ANSWER

    organs: Any = SimpleNamespace(
        cluster="c1",
        replica=SimpleNamespace(status=lambda: SimpleNamespace(voters=voters)),
        directory=SimpleNamespace(members=lambda: [ME, FOUNDER]),
    )
    await Residence(ME, (), Seen(), call, MonotonicClock())._ask_again(organs)
    assert asked == [f"{FOUNDER.rest} POST /join"] * joins
