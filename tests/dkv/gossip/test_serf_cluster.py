"""Whole members together, under virtual time: who is there, what is told, asked and answered, and who may stay."""

from __future__ import annotations

import pytest

from dkv.gossip.memberlist.profiles import LOCAL
from dkv.gossip.serf.asking import Question
from dkv.gossip.serf.events import (
    Departed,
    JoinSettled,
    MemberChange,
    MemberEvent,
    NameConflictSettled,
    Note,
    QueryAcked,
    QueryAnswered,
    QueryFinished,
    QueryReceived,
    Rekey,
    UserEventReceived,
)
from dkv.gossip.serf.queries import ResponseRefused
from dkv.gossip.serf.serf import Leaving
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.filters import NodeFilter, TagFilter
from dkv.gossip.wire.internal_queries import InternalQuery, KeyRequest, Status, decode_key_response, encode_key_request
from dkv.gossip.wire.limits import TooLarge
from dkv.gossip.wire.messages import Alive
from dkv.gossip.wire.messages import encode as encode_message
from dkv.gossip.wire.packets import PLAIN, encode_packet
from dkv.gossip.wire.particulars import Address
from tests.dkv.gossip.serf_cluster import Cluster, three

KEY, OTHER_KEY = bytes(range(16)), bytes(range(1, 17))


def changes(cluster: Cluster, at: str, about: str) -> list[MemberChange]:
    return [event.change for event in cluster.seen(at, MemberEvent) if event.member.node == about]


def test_they_find_each_other() -> None:
    cluster = three()
    for at in "abc":
        assert sorted(cluster.alive_at(at)) == ["a", "b", "c"]
        assert all(changes(cluster, at, name) == [MemberChange.JOIN] for name in "abc")
        assert {member.tags["id"] for member in cluster.members[at].serf.members()} == {"a", "b", "c"}
    assert [event.joined for event in cluster.seen("b", JoinSettled)] == [1]
    assert all(cluster.members["a"].serf.status_ltime(name) for name in "bc"), "their join intents were heard"


def test_a_join_of_nobody() -> None:
    cluster = Cluster("a")
    nowhere = Address("10.9.9.9", 1)
    number = cluster.members["a"].join([nowhere, nowhere], 0.0)
    cluster.run(1)
    assert cluster.seen("a", JoinSettled) == [JoinSettled(number, 0, {nowhere: "connection refused"})]
    assert cluster.members["a"].join([], 1.0) == number + 1
    assert cluster.members["a"].next_event(1.0) == JoinSettled(number + 1, 0, {})


def test_leaving_is_seen_as_left_without_a_failure() -> None:
    cluster = three()
    cluster.members["c"].serf.leave(cluster.now)
    cluster.members["c"].serf.leave(cluster.now)
    cluster.run_until(lambda: bool(cluster.seen("c", Departed)), limit_s=15)
    cluster.kill("c")
    cluster.run(60)
    for at in "ab":
        assert cluster.statuses(at)["c"] is Status.LEFT
        assert changes(cluster, at, "c") == [MemberChange.JOIN, MemberChange.LEAVE]


def test_in_a_small_cluster_nobody_misses_that_one_leaves() -> None:
    """With few members news is told so few times that chance alone leaves somebody out, who sees a failure then."""
    for seed in range(8):
        cluster = Cluster("a", "b", "c", "d", "e", seed=seed, profile=LOCAL)
        cluster.join_all()
        cluster.members["e"].serf.leave(cluster.now)
        cluster.run_until(lambda cluster=cluster: bool(cluster.seen("e", Departed)))
        cluster.kill("e")
        cluster.run(30)
        for name in "abcd":
            changes = [event.change for event in cluster.seen(name, MemberEvent) if event.member.node == "e"]
            assert changes == [MemberChange.JOIN, MemberChange.LEAVE], (seed, name)


def test_an_exchange_out_of_turn_tells_what_gossip_missed() -> None:
    for seed in range(10):
        cluster = Cluster("a", "b", "c", seed=seed, profile=LOCAL)
        cluster.join_all()
        newcomer = cluster.add("d")
        state = cluster.members["a"].swim.push_pull_state(False, cluster.now)
        newcomer.swim.merge(state, cluster.address("a"), cluster.now)
        for _ in range(12):
            newcomer.exchange(cluster.now)
            cluster.run(0.01)  # too soon for gossip
        assert all(len(cluster.alive_at(name)) == 4 for name in cluster.members), seed


def test_alone_one_leaves_at_once() -> None:
    cluster = Cluster("a")
    cluster.run(1)
    cluster.members["a"].serf.leave(cluster.now)
    cluster.run(1.5)
    assert len(cluster.seen("a", Departed)) == 1
    with pytest.raises(Leaving, match="can't join after Leave"):
        cluster.members["a"].join([], cluster.now)
    with pytest.raises(Leaving):
        cluster.members["a"].serf.set_tags({})


def test_a_failure_a_force_leave_and_a_prune() -> None:
    cluster = three()
    cluster.kill("c")
    cluster.run_until(lambda: all(cluster.statuses(at)["c"] is Status.FAILED for at in "ab"))
    cluster.members["a"].serf.force_leave("c", cluster.now)
    cluster.run(5)
    assert [cluster.statuses(at)["c"] for at in "ab"] == [Status.LEFT] * 2
    cluster.members["b"].serf.force_leave("c", cluster.now, prune=True)
    cluster.run(5)
    assert all("c" not in cluster.statuses(at) for at in "ab")
    expected = [MemberChange.JOIN, MemberChange.FAILED, MemberChange.LEAVE, MemberChange.REAP]
    assert [changes(cluster, at, "c") for at in "ab"] == [expected] * 2


def test_who_is_forced_to_leave_but_lives_stays() -> None:
    cluster = three()
    cluster.members["a"].serf.force_leave("c", cluster.now, prune=True)
    cluster.run(20)
    assert all(sorted(cluster.alive_at(at)) == ["a", "b", "c"] for at in "abc")


def test_one_that_comes_back_is_alive_again() -> None:
    cluster = three()
    address = cluster.address("c")
    cluster.kill("c")
    cluster.run_until(lambda: cluster.statuses("a")["c"] is Status.FAILED)
    cluster.add("c", address).join([cluster.address("a")], cluster.now)
    cluster.run_until(lambda: all(sorted(cluster.alive_at(at)) == ["a", "b", "c"] for at in "abc"), limit_s=40)


def test_a_failed_member_is_looked_for() -> None:
    """Both sides of a partition forget each other in SWIM; Serf's reconnects bring them together."""
    cluster = three()
    address = cluster.address("c")
    cluster.kill("c")
    cluster.run(120)
    assert cluster.statuses("a")["c"] is Status.FAILED
    cluster.add("c", address)
    cluster.run_until(lambda: sorted(cluster.alive_at("c")) == ["a", "b", "c"], limit_s=600)


def test_tags_change() -> None:
    cluster = three()
    cluster.members["b"].serf.set_tags({"role": "new"})
    cluster.run(3)
    (member,) = [member for member in cluster.members["a"].serf.members() if member.node == "b"]
    assert member.tags == {"role": "new"}
    assert changes(cluster, "a", "b") == [MemberChange.JOIN, MemberChange.UPDATE]
    with pytest.raises(TooLarge):
        cluster.members["b"].serf.set_tags({"x": "y" * 600})


def test_user_events_reach_everybody_once() -> None:
    cluster = three(seed=3)
    cluster.members["a"].serf.user_event("deploy", b"v1", coalesce=True)
    cluster.members["b"].serf.user_event("deploy", b"v2", coalesce=False)
    cluster.run(40)  # and a push/pull
    for at in "abc":
        got = cluster.seen(at, UserEventReceived)
        assert sorted(event.payload for event in got) == [b"v1", b"v2"]
        assert {event.coalesce for event in got if event.payload == b"v1"} == {True}


@pytest.mark.parametrize("replay", [False, True])
def test_history(replay: bool) -> None:
    cluster = three()
    cluster.members["a"].serf.user_event("old", b"", coalesce=False)
    cluster.run(5)
    cluster.add("d").join([cluster.address("a")], cluster.now, replay=replay)
    cluster.run(60)
    assert [event.name for event in cluster.seen("d", UserEventReceived)] == (["old"] if replay else [])
    cluster.members["a"].serf.user_event("new", b"", coalesce=False)
    cluster.run(60)
    assert cluster.seen("d", UserEventReceived)[-1].name == "new"


def test_a_query_its_acks_and_answers() -> None:
    cluster = three()
    asker = cluster.members["a"].serf
    key = asker.ask(Question(name="load", payload=b"?", wants_acks=True, relay_factor=1, timeout_s=10.0), cluster.now)
    cluster.run(3)
    for name in "abc":
        (query,) = cluster.seen(name, QueryReceived)
        assert (query.key, query.name, query.payload, query.source_node) == (key, "load", b"?", "a")
        cluster.members[name].serf.respond(key, name.encode(), cluster.now)
        with pytest.raises(ResponseRefused, match="already sent"):
            cluster.members[name].serf.respond(key, b"again", cluster.now)
    cluster.run(10)
    assert sorted(event.node for event in cluster.seen("a", QueryAcked)) == ["a", "b", "c"]
    assert {event.node: event.payload for event in cluster.seen("a", QueryAnswered)} == {
        "a": b"a",
        "b": b"b",
        "c": b"c",
    }
    assert cluster.seen("a", QueryFinished) == [QueryFinished(key)]
    assert cluster.seen("b", QueryAcked) == []


def test_queries_for_some() -> None:
    cluster = three()
    for filters in ((NodeFilter(("b",)),), (TagFilter("id", "^b$"),)):
        cluster.members["a"].serf.ask(Question(name="load", filters=filters), cluster.now)
        cluster.run(4)
    assert [len(cluster.seen(at, QueryReceived)) for at in "abc"] == [0, 2, 0]


def test_internal_queries_show_nowhere() -> None:
    cluster = three()
    cluster.members["a"].serf.ask(Question(name=InternalQuery.PING, wants_acks=True), cluster.now)
    cluster.run(4)
    assert len(cluster.seen("a", QueryAcked)) == 3
    assert not any(cluster.seen(at, QueryReceived) for at in "abc")


def test_keys_rotate_under_way() -> None:
    cluster = three(keyring=Keyring(KEY))
    steps = (InternalQuery.INSTALL_KEY, OTHER_KEY), (InternalQuery.USE_KEY, OTHER_KEY), (InternalQuery.REMOVE_KEY, KEY)
    for query, key in steps:
        question = Question(name=query, payload=encode_key_request(KeyRequest(key)), timeout_s=10.0)
        cluster.members["b"].serf.ask(question, cluster.now)
        cluster.run(15)
    answers = cluster.seen("b", QueryAnswered)
    assert len(answers) == 9
    assert all(decode_key_response(event.payload).result for event in answers)
    for at in "abc":
        assert cluster.members[at].swim.envelope.keyring == cluster.members[at].serf.keyring == Keyring(OTHER_KEY)
        assert len(cluster.seen(at, Rekey)) == 3
    cluster.run(30)
    assert all(len(cluster.alive_at(at)) == 3 for at in "abc")


def claim_the_name(cluster: Cluster, name: str, at: str) -> None:
    """Somebody tells ``at`` that ``name`` is elsewhere."""
    forged = Alive(incarnation=9, node=name, address=Address("10.6.6.6", 1))
    data = encode_packet([encode_message(forged)], PLAIN)
    cluster.members[at].receive_packet(data, Address("10.6.6.6", 1), cluster.now)


def test_a_name_is_kept_by_a_majority() -> None:
    cluster = three()
    for _ in range(5):
        claim_the_name(cluster, "a", "a")
    claim_the_name(cluster, "b", "a")
    cluster.run(10)
    assert cluster.seen("a", NameConflictSettled) == [NameConflictSettled(False, 2, 2)]
    assert cluster.seen("b", NameConflictSettled) == []
    assert any("name conflict: b" in note.text for note in cluster.seen("a", Note))


def test_alone_a_name_is_lost() -> None:
    cluster = Cluster("a")
    claim_the_name(cluster, "a", "a")
    cluster.run(10)
    assert cluster.seen("a", NameConflictSettled) == [NameConflictSettled(True, 0, 0)]
