"""What the leader does by itself, and that it waits for whatever is under way."""

from __future__ import annotations

import asyncio

import pytest

from dkv.errors import MembershipRefused, NotLeader
from dkv.gossip.wire.internal_queries import Status
from tests.dkv.membership_stage import N2, N3, N4, Cluster


@pytest.mark.asyncio
async def test_a_vote_is_not_asked_for_before_the_joiner_can_be_reached(cluster: Cluster) -> None:
    await cluster.join(N4)
    await cluster.looked()
    assert cluster.replica.changes == []
    cluster.alive(N4)
    await cluster.admitted(N4)
    assert cluster.replica.changes == [f"add {N4.identity}"]


@pytest.mark.asyncio
async def test_a_joiner_that_is_removed_while_it_catches_up_gets_no_vote(cluster: Cluster) -> None:
    cluster.alive(N4)
    cluster.replica.catching_up.add(N4.identity)
    await cluster.join(N4)
    await cluster.until(lambda: bool(cluster.replica.adding))
    await cluster.membership.remove("n4", cluster.inside.soon())
    cluster.replica.catching_up.clear()
    await cluster.inside.turn()
    await cluster.looked()
    assert cluster.replica.changes == [f"add {N4.identity}", f"remove {N4.identity}"]
    assert N4.identity not in cluster.replica.voters
    assert cluster.names() == ["n1", "n2", "n3"]


@pytest.mark.asyncio
async def test_whose_vote_is_being_taken_is_not_given_it_back(cluster: Cluster) -> None:
    """It stands in the directory, is alive and has no vote, until the second half of its removal."""
    cluster.replica.hold = True
    removal = asyncio.ensure_future(cluster.membership.remove("n3", cluster.inside.soon()))
    await cluster.until(lambda: N3.identity not in cluster.replica.voters)
    looks = cluster.looks
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert cluster.looks == looks
    cluster.replica.hold = False
    await cluster.inside.turn()
    await removal
    await cluster.looked()
    assert cluster.replica.changes == [f"remove {N3.identity}"]


@pytest.mark.asyncio
async def test_who_left_gossip_goes_at_once_and_the_reason_is_kept(cluster: Cluster) -> None:
    cluster.gossip.see(N3, Status.LEFT)
    cluster.membership.hear()
    await cluster.until(lambda: cluster.names() == ["n1", "n2"])
    assert cluster.replica.changes == [f"remove {N3.identity}"]
    last = cluster.pilot.decisions()[-1]
    assert last == {
        "at": "1970-01-01T00:00:00.000+00:00",
        "member": "n3",
        "decision": "remove",
        "reason": "it left",
    }
    assert cluster.gossip.gone == []


@pytest.mark.asyncio
async def test_who_failed_keeps_its_vote_and_whoever_is_removed_then_is_gone_for_gossip(cluster: Cluster) -> None:
    cluster.links.up.discard(N3.identity)
    cluster.gossip.see(N3, Status.FAILED)
    cluster.membership.hear()
    await cluster.looked()
    assert cluster.replica.changes == []
    assert [decision["decision"] for decision in cluster.pilot.decisions()] == ["promote", "promote"]
    await cluster.membership.remove("n3", cluster.inside.soon())
    assert cluster.gossip.gone == ["n3"]


@pytest.mark.asyncio
async def test_what_failed_is_tried_again_and_only_the_leader_tries(cluster: Cluster) -> None:
    cluster.alive(N4)
    await cluster.join(N4)
    cluster.replica.catching_up.add(N4.identity)
    await cluster.until(lambda: bool(cluster.replica.adding))
    cluster.replica.adding.pop()[1].fail(MembershipRefused("did not catch up"))
    await cluster.until(lambda: bool(cluster.replica.adding))
    cluster.replica.follow(N2.identity)
    cluster.replica.adding.pop()[1].fail(NotLeader("deposed"))
    await cluster.inside.turn()
    await asyncio.sleep(0)
    looks = cluster.looks
    for _ in range(10):
        await cluster.inside.turn()
    assert cluster.looks == looks
    assert cluster.replica.changes == [f"add {N4.identity}"] * 2
    assert [decision["member"] for decision in cluster.pilot.decisions()] == ["n2", "n3", "n4"]
