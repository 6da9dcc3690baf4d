"""Coming and going: what the leader grants, refuses and replaces, and what every node follows."""

from __future__ import annotations

import asyncio

import pytest

from dkv import membership as membership_module
from dkv.errors import MembershipRefused, NoLeader, NotLeader, RouteNotFound, Timeout, UnknownOutcome
from dkv.gossip.wire.internal_queries import Status
from dkv.joining import MemberInfo
from tests.dkv.membership_stage import N1, N2, N3, N4, Cluster, member


@pytest.mark.asyncio
async def test_a_joiner_gets_the_directory_and_then_a_vote(cluster: Cluster) -> None:
    cluster.alive(N4)
    answer = await cluster.join(N4)
    assert (answer.cluster, answer.founder, answer.leader) == ("c1", N1.identity, N1.identity)
    await cluster.admitted(N4)
    assert cluster.replica.changes == [f"add {N4.identity}"]
    assert cluster.links.addresses[N4.identity] == N4.raft
    assert cluster.remembered == [N1, N2, N3, N4]


@pytest.mark.asyncio
async def test_joining_again_changes_addresses_only(cluster: Cluster) -> None:
    cluster.alive(N4)
    await cluster.join(N4)
    await cluster.admitted(N4)
    entries = len(cluster.replica.payloads)
    await cluster.join(N4)
    assert len(cluster.replica.payloads) == entries
    cluster.gossip.views.clear()
    cluster.membership.hear()
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
    await cluster.admitted(wiped)
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
async def test_a_node_that_ends_follows_nobody_any_more(cluster: Cluster) -> None:
    await cluster.join(N4)
    cluster.membership.close()
    cluster.remembered, dialled = [], dict(cluster.links.addresses)
    cluster.membership.refresh()  # a farewell's timer that rings late
    cluster.membership.hear()
    assert cluster.remembered == []
    assert cluster.links.addresses == dialled


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


@pytest.mark.asyncio
async def test_where_gossip_has_a_member_alive_it_is_dialled(cluster: Cluster) -> None:
    moved = MemberInfo(N3.identity, "n3", "127.0.0.1:1", "127.0.0.1:2")
    for stranger in ("", "c2"):
        cluster.gossip.see(moved, cluster=stranger)
        cluster.membership.hear()
        assert cluster.links.addresses[N3.identity] == N3.raft
    cluster.gossip.see(moved)
    cluster.membership.hear()
    assert cluster.links.addresses[N3.identity] == moved.raft
    assert cluster.inside.directory.row(N3.identity) == N3
    cluster.gossip.see(moved, Status.FAILED)
    cluster.membership.hear()
    assert cluster.links.addresses[N3.identity] == N3.raft


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


@pytest.mark.asyncio
async def test_a_node_of_another_cluster_is_noticed_once(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    cluster.gossip.see(member(3, "0000000b"), cluster="c2")
    for _ in range(2):
        cluster.membership.hear()
    said = [record.getMessage() for record in caplog.records if "another cluster" in record.getMessage()]
    assert said == [
        f"n3, at {N3.rest}, belongs to another cluster (c2, ours is c1): it shares our gossip and nothing else"
    ]
