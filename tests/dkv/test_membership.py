"""Coming and going: what the leader grants, refuses and replaces, and what every node follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dkv import membership as membership_module
from dkv.directory import Directory, HintsFile, key_of, load_hints, members_in, name_in, save_hints
from dkv.errors import BadRequest, MembershipRefused, NoLeader, NotLeader, RouteNotFound, Timeout, UnknownOutcome
from dkv.joining import JoinRequest, MemberInfo
from dkv.kv.commands import Row
from dkv.membership import Membership, refusal_to_remove, validated

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


class Cluster:
    """``n1``, the leader of ``n1 n2 n3``, and the calls that it makes to others."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.replica = inside.replica
        self.links = FakeLinks()
        self.tasks: list[asyncio.Task[None]] = []
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
            cluster="c1",
            founder=N1.identity,
            clock=inside.clock,
            spawn=self.spawn,
            call=self.call,
            remember=self.remember,
        )
        inside.host.after_turn.append(self.membership.follow)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

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

    async def admitted(self) -> None:
        async with asyncio.timeout(10):
            await asyncio.gather(*self.tasks)

    def alive(self, *members: MemberInfo) -> None:
        for info in members:
            self.links.up.add(info.identity)
            self.replica.contact_s[info.identity] = 0.1

    def names(self) -> list[str]:
        return [info.name for info in self.inside.directory.members()]


@pytest_asyncio.fixture
async def cluster(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(membership_module, "RETRY_S", 0.01)
    cluster = Cluster(inside)
    await cluster.membership.write_me(inside.soon())
    cluster.membership.caught_up()
    for info in (N2, N3):
        cluster.alive(info)
        await cluster.join(info)
    await cluster.admitted()
    cluster.replica.changes.clear()
    yield cluster
    for task in cluster.tasks:
        task.cancel()
    await asyncio.gather(*cluster.tasks, return_exceptions=True)


@pytest.mark.asyncio
async def test_a_joiner_gets_the_directory_and_then_a_vote(cluster: Cluster) -> None:
    cluster.alive(N4)
    answer = await cluster.join(N4)
    assert (answer.cluster, answer.founder, answer.leader) == ("c1", N1.identity, N1.identity)
    assert answer.members == [N1, N2, N3, N4]
    await cluster.admitted()
    assert cluster.replica.changes == [f"add {N4.identity}"]
    assert cluster.links.addresses[N4.identity] == N4.raft
    assert cluster.remembered == [N1, N2, N3, N4]


@pytest.mark.asyncio
async def test_a_vote_is_not_asked_for_before_the_joiner_can_be_reached(cluster: Cluster) -> None:
    await cluster.join(N4)
    await asyncio.sleep(0.03)
    assert cluster.replica.changes == []
    cluster.alive(N4)
    await cluster.admitted()
    assert cluster.replica.changes == [f"add {N4.identity}"]


@pytest.mark.asyncio
async def test_a_joiner_that_is_removed_while_it_catches_up_gets_no_vote(cluster: Cluster) -> None:
    cluster.alive(N4)
    cluster.replica.catching_up.add(N4.identity)
    await cluster.join(N4)
    await cluster.inside.turn()
    await cluster.membership.remove("n4", cluster.inside.soon())
    cluster.replica.catching_up.clear()
    await cluster.inside.turn()
    await cluster.admitted()
    assert N4.identity not in cluster.replica.voters
    assert cluster.names() == ["n1", "n2", "n3"]


@pytest.mark.asyncio
async def test_joining_again_changes_addresses_only(cluster: Cluster) -> None:
    cluster.alive(N4)
    await cluster.join(N4)
    await cluster.admitted()
    entries = len(cluster.replica.payloads)
    await cluster.join(N4)
    assert len(cluster.replica.payloads) == entries
    await cluster.join(N4, raft="127.0.0.1:6")
    assert cluster.links.addresses[N4.identity] == "127.0.0.1:6"
    assert len(cluster.replica.payloads) == entries + 1


@pytest.mark.asyncio
async def test_a_wiped_node_replaces_its_former_identity(cluster: Cluster) -> None:
    wiped = member(3, "0000000b")
    with pytest.raises(MembershipRefused, match="n3 is alive"):
        await cluster.join(wiped)
    cluster.links.up.discard(N3.identity)
    await cluster.join(wiped)
    cluster.alive(wiped)
    await cluster.admitted()
    assert cluster.replica.changes == [f"remove {N3.identity}", f"add {wiped.identity}"]
    assert [info.identity for info in cluster.inside.directory.named("n3")] == [wiped.identity]
    # The former address stays for a farewell.
    assert cluster.links.addresses[N3.identity] == N3.raft


@pytest.mark.asyncio
async def test_nobody_takes_the_leaders_name(cluster: Cluster) -> None:
    with pytest.raises(MembershipRefused, match="choose another name"):
        await cluster.join(member(1, "0000000b"))


@pytest.mark.asyncio
async def test_a_follower_sends_joiners_and_removers_to_the_leader(cluster: Cluster) -> None:
    cluster.replica.follow(N2.identity)
    await cluster.inside.turn()
    for question in (cluster.join(N4), cluster.membership.remove("n3", cluster.inside.soon())):
        with pytest.raises(NotLeader) as refusal:
            await question
        assert refusal.value.leader.rest == N2.rest


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"identity": "n4"}, "no identity"),
        ({"identity": "n5.0000000a"}, "no identity"),
        ({"identity": "n4.xyz"}, "no identity"),
        ({"name": "n 4", "identity": "n 4.0000000a"}, "no identity"),
        ({"rest": "30004"}, "HOST:PORT"),
        ({"raft": "127.0.0.1:0"}, "port 0"),
    ],
)
def test_bad_join_requests(changes: dict[str, str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        validated(request_of(N4, **changes))


@pytest.mark.asyncio
async def test_removal_takes_the_vote_then_the_row(cluster: Cluster) -> None:
    await cluster.membership.remove("n3", cluster.inside.soon())
    assert cluster.replica.changes == [f"remove {N3.identity}"]
    assert cluster.names() == ["n1", "n2"]
    assert N3.identity in cluster.links.addresses
    with pytest.raises(RouteNotFound, match="n3"):
        await cluster.membership.remove("n3", cluster.inside.soon())


@pytest.mark.asyncio
async def test_a_farewell_ends(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership_module, "FAREWELL_S", 0.0)
    await cluster.membership.remove("n3", cluster.inside.soon())
    async with asyncio.timeout(10):
        while N3.identity in cluster.links.addresses:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert sorted(cluster.links.addresses) == [N1.identity, N2.identity]


@pytest.mark.asyncio
async def test_a_row_without_a_vote_can_be_removed(cluster: Cluster) -> None:
    await cluster.join(N4)
    await cluster.membership.remove("n4", cluster.inside.soon())
    assert cluster.replica.changes == []
    assert cluster.names() == ["n1", "n2", "n3"]
    await cluster.admitted()


@pytest.mark.asyncio
async def test_the_leader_does_not_remove_itself(cluster: Cluster) -> None:
    with pytest.raises(MembershipRefused, match="POST /leave"):
        await cluster.membership.remove("n1", cluster.inside.soon())


@pytest.mark.asyncio
async def test_removal_below_a_live_majority_is_refused(cluster: Cluster) -> None:
    cluster.links.up.discard(N3.identity)
    with pytest.raises(MembershipRefused, match="only 1 are"):
        await cluster.membership.remove("n2", cluster.inside.soon())
    await cluster.membership.remove("n3", cluster.inside.soon())
    assert cluster.names() == ["n1", "n2"]


@pytest.mark.parametrize(
    ("voters", "live", "says"),
    [
        ("a", "a", "last voter"),
        ("ab", "ab", None),
        ("ab", "a", "only 0 are"),
        ("abc", "abc", None),
        ("abc", "bc", None),
        ("abc", "ab", "only 1 are"),
        ("abcd", "abc", None),
        ("abcd", "ab", "only 1 are"),
        ("abcde", "abc", "only 2 are"),
        ("abcde", "bcd", None),
    ],
)
def test_removal_keeps_a_live_majority(voters: str, live: str, says: str | None) -> None:
    refusal = refusal_to_remove("a", list(voters), set(live))
    assert (refusal is None) == (says is None)
    if says is not None:
        assert refusal is not None
        assert says in refusal


@pytest.mark.asyncio
async def test_a_follower_leaves_by_asking_the_leader(cluster: Cluster) -> None:
    cluster.replica.follow(N2.identity)
    cluster.answers = [NotLeader("moved"), NoLeader("none"), UnknownOutcome("cut"), RouteNotFound("gone")]
    await cluster.membership.leave(cluster.inside.soon())
    assert cluster.calls == [(N2.rest, "DELETE", "/nodes/n1")] * 4
    cluster.answers = [MembershipRefused("another change")]
    with pytest.raises(MembershipRefused):
        await cluster.membership.leave(cluster.inside.soon())
    assert cluster.replica.changes == []


@pytest.mark.asyncio
async def test_a_leader_hands_over_before_it_leaves(cluster: Cluster) -> None:
    await cluster.membership.leave(cluster.inside.soon())
    assert cluster.replica.changes == ["transfer None"]
    assert cluster.calls == [(N3.rest, "DELETE", "/nodes/n1")]


@pytest.mark.asyncio
async def test_leaving_is_refused_or_times_out(cluster: Cluster) -> None:
    cluster.links.up.clear()
    with pytest.raises(MembershipRefused, match="bring the others back"):
        await cluster.membership.leave(cluster.inside.soon())
    cluster.replica.voters = [N1.identity]
    with pytest.raises(MembershipRefused, match="last voter"):
        await cluster.membership.leave(cluster.inside.soon())
    cluster.replica.follow(None)
    with pytest.raises(Timeout):
        await cluster.membership.leave(cluster.inside.soon(0.03))


@pytest.mark.asyncio
async def test_one_change_at_a_time(cluster: Cluster) -> None:
    cluster.replica.hold = True
    first = asyncio.ensure_future(cluster.membership.remove("n3", cluster.inside.soon()))
    await asyncio.sleep(0)
    with pytest.raises(MembershipRefused, match="Another change"):
        await cluster.membership.remove("n2", cluster.inside.soon(0.02))
    cluster.replica.hold = False
    await cluster.inside.turn()
    await first
    assert cluster.names() == ["n1", "n2"]


def test_hints_serve_until_the_rows_are_complete() -> None:
    directory = Directory(N1, [N2, N3])
    assert [info.name for info in directory.members()] == ["n2", "n3"]
    moved = MemberInfo(N2.identity, N2.name, "127.0.0.1:1", "127.0.0.1:2")
    directory.follow([moved], complete=False)
    assert directory.members() == [moved, N3]
    hint = directory.hint(N3.identity)
    assert hint is not None
    assert hint.rest == N3.rest
    directory.follow([moved], complete=True)
    assert directory.members() == [moved]
    assert directory.hint(N3.identity) is None
    assert directory.find(N1.identity) == N1
    assert directory.hint(None) is None


def test_rows_that_are_no_members_are_ignored() -> None:
    value = '{"identity":"n1.0000000a","name":"n1","rest":"127.0.0.1:30001","raft":"127.0.0.1:50001"}'
    assert members_in({key_of(N1.identity): Row(value, 1), "\x00other": Row("1", 1)}) == [N1]


def test_hints_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "members.json"
    assert load_hints(path) == []
    save_hints(path, [N1, N2])
    assert load_hints(path) == [N1, N2]
    path.write_text("{")
    assert load_hints(path) == []


def test_an_empty_directory_leaves_the_hints_alone(tmp_path: Path) -> None:
    """A founder stopped before its own row is there must find its former ports again."""
    begun: list[object] = []
    HintsFile(tmp_path / "members.json", lambda work, done: begun.append(work)).remember([])
    assert begun == []


def test_hints_are_written_one_at_a_time_and_the_last_ones_win(tmp_path: Path) -> None:
    begun: list[tuple[Any, Any]] = []
    file = HintsFile(tmp_path / "members.json", lambda work, done: begun.append((work, done)))
    for members in ([N1], [N1, N2], [N1, N3]):
        file.remember(members)
    while begun:
        assert len(begun) == 1
        work, done = begun.pop()
        done(work())
    assert load_hints(tmp_path / "members.json") == [N1, N3]
    file.remember([N2])
    begun.pop()[1](OSError("full"))
    with pytest.raises(ValueError, match="bug"):
        file.remember([N2]) or begun.pop()[1](ValueError("bug"))


def test_names_in_identities() -> None:
    assert [name_in(identity) for identity in ("n1.0000000a", "n1")] == ["n1", "n1"]
