"""What becomes of members, and of ourselves, by what is said of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from dkv.gossip.memberlist.events import (
    Event,
    JoinFinished,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    NameConflict,
    Refuted,
)
from dkv.gossip.memberlist.profiles import LAN
from dkv.gossip.memberlist.swim import Swim
from dkv.gossip.wire.messages import Ack, Alive, Dead, Message, Ping, User
from dkv.gossip.wire.particulars import U32_MAX, Address
from dkv.gossip.wire.push_pull import PushPull, State
from tests.dkv.gossip.swim_bench import A, B, Bench, C, D, alive, dead, entry, suspect

# --- what becomes of members ------------------------------------------------------------------------------------------


def test_it_is_its_own_first_member() -> None:
    bench = Bench()
    assert [node.node for node in bench.swim.members] == ["a"]
    assert bench.swim.ourselves.incarnation == 1
    fresh = Swim("a", A, rng=random.Random(1), now=0.0).next_event()
    assert isinstance(fresh, MemberJoined)
    assert fresh.member.name == "a"


def test_a_members_life() -> None:
    bench = Bench()
    story: list[tuple[Message, list[type[Event]]]] = [
        (alive("b", 1), [MemberJoined]),
        (alive("b", 1), []),
        (alive("b", 2), []),
        (alive("b", 3, meta=b"tags"), [MemberUpdated]),
        (suspect("b", "c", 3), []),
        (alive("b", 4, meta=b"tags"), []),
        (dead("b", "c", 4), [MemberFailed]),
        (dead("b", "b", 4), []),
        (alive("b", 5), [MemberJoined]),
        (dead("b", "b", 5), [MemberLeft]),
        (dead("b", "c", 6), []),
        (alive("b", 1, address=D), [MemberJoined]),
    ]
    for message, expected in story:
        bench.hear(message)
        assert [type(event) for event in bench.events()] == expected, message


def test_what_it_believes_it_tells_on_and_the_rest_not() -> None:
    bench = Bench("b", "c", "d")
    bench.hear(suspect("d", "b"), alive("d", 1))
    told = [message for message, _ in bench.run(3.0)]
    assert suspect("d", "b") in told
    assert alive("d", 1) not in told


def test_another_address_under_a_known_name_is_a_conflict() -> None:
    bench = Bench("b")
    bench.hear(alive("b", 9, address=C), alive("a", 9, address=C))
    conflicts = bench.events()
    assert [type(event) for event in conflicts] == [NameConflict, NameConflict]
    assert [(c.existing.address, c.other.address) for c in conflicts if isinstance(c, NameConflict)] == [(B, C), (A, C)]
    assert bench.swim.members["b"].address == B


def test_a_port_of_zero_is_ours() -> None:
    bench = Bench()
    bench.hear(alive("b", address=Address("10.0.0.2", 0)))
    assert bench.swim.members["b"].address == B


# --- what is said of us -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accusation", [suspect("a", "b", 7), dead("a", "b", 7), alive("a", 7, meta=b"other")])
def test_it_refutes_what_is_untrue_of_itself(accusation: Message) -> None:
    bench = Bench("b")
    bench.hear(accusation)
    assert bench.events() == [Refuted(8)]
    assert bench.swim.awareness.score == 1
    refutation = bench.until(Alive)[0]
    assert (refutation.node, refutation.incarnation) == ("a", 8)


def test_a_refutation_waits_until_there_is_somebody_to_hear_it() -> None:
    bench = Bench()
    bench.hear(dead("a", "b", 3))
    assert list(bench.run(60.0)) == []
    bench.hear(alive("b"))
    told = [message for message, _ in bench.run(5.0) if isinstance(message, Alive) and message.node == "a"]
    assert told[0].incarnation == 4


def test_an_incarnation_that_nobody_can_beat_is_survived() -> None:
    """Only a forger comes so far. Others forget what he said after a while, and our states say that we are alive."""
    bench = Bench("b")
    bench.hear(dead("a", "b", U32_MAX))
    assert bench.events() == [Refuted(U32_MAX)]
    bench.swim.update_meta(b"tags", bench.now)
    assert bench.swim.ourselves.incarnation == U32_MAX
    bench.until(Alive)
    bench.swim.leave(bench.now)
    assert bench.until(Dead)[0] == dead("a", "a", U32_MAX)


def test_after_a_restart_it_beats_what_the_cluster_remembers_of_it() -> None:
    bench = Bench()
    theirs = PushPull(join=True, nodes=(entry("a", State.LEFT, 5), entry("b", State.ALIVE)))
    assert bench.swim.merge(theirs, B, 0.0) == ""
    assert Refuted(6) in bench.events()
    assert bench.swim.ourselves.incarnation == 6


def test_leaving() -> None:
    bench = Bench("b")
    bench.swim.leave(0.0)
    assert [type(event) for event in bench.events()] == [MemberLeft]
    assert not bench.swim.leave_is_told
    assert bench.until(Dead)[0] == dead("a", "a")
    bench.hear(suspect("a", "b"), alive("a", 9), dead("a", "b", 9))
    assert bench.events() == []
    list(bench.run(5.0))
    assert bench.swim.leave_is_told
    bench.hear(Ping(sequence=1, node="a"))
    assert bench.said(Ack), "a member that leaves keeps answering"


def test_alone_there_is_nobody_to_take_leave_of() -> None:
    bench = Bench()
    bench.swim.leave(0.0)
    assert bench.swim.leave_is_told


def test_new_tags_are_a_new_incarnation() -> None:
    bench = Bench("b")
    bench.swim.update_meta(b"tags", 0.0)
    assert [type(event) for event in bench.events()] == [MemberUpdated]
    told = bench.until(Alive)[0]
    assert (told.node, told.incarnation, told.meta) == ("a", 2, b"tags")


@pytest.mark.parametrize(("reclaim_s", "moved"), [(0.0, False), (10.0, False), (2.0, True)])
def test_the_address_of_a_dead_members_name(reclaim_s: float, moved: bool) -> None:
    bench = Bench("b", profile=replace(LAN, dead_node_reclaim_s=reclaim_s))
    bench.hear(dead("b", "c"))
    bench.events()
    list(bench.run(5.0))
    bench.hear(alive("b", 1, address=D))
    assert [type(event) for event in bench.events()] == [MemberJoined if moved else NameConflict]


def test_it_does_not_join_itself() -> None:
    bench = Bench()
    bench.swim.join(A, 0.0)
    assert bench.swim.streams_to_open(0.0) == []
    assert bench.events() == [JoinFinished(A, "that is our own address")]


def test_a_direct_message_takes_no_gossip_with_it() -> None:
    bench = Bench("b")
    bench.sent()
    bench.hear(alive("c"))
    bench.extra = [b"a query"]
    bench.swim.send_user_message(b"an answer", B, bench.now)
    assert bench.sent() == [(User(payload=b"an answer"), B)]
    assert bench.extra == [b"a query"]
