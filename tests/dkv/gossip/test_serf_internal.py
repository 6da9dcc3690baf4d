"""What members ask each other: names and keys; how the answers are counted; how we go; the snapshot file."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.gossip.rpc.key_tally import KeyTally
from dkv.gossip.serf.conflict import Vote
from dkv.gossip.serf.departure import BROADCAST_TIMEOUT_S, PROPAGATE_DELAY_S, Departure, Stage
from dkv.gossip.serf.events import MemberChange, MemberEvent, NameConflictSettled, QueryKey
from dkv.gossip.serf.internal import Reply, reply
from dkv.gossip.serf.snapshot_file import COMPACTION_BYTES_MIN, Clocks, SnapshotFile
from dkv.gossip.wire.encryption import KEYS_MAX, Keyring, key_as_text
from dkv.gossip.wire.internal_queries import (
    InternalQuery,
    KeyRequest,
    KeyResponse,
    Member,
    decode_key_response,
    encode_key_request,
    encode_key_response,
    encode_member,
)
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.serf_messages import QueryResponse, encode
from tests.dkv.gossip.vectors import named

HERE, THERE = Address("10.0.0.1", 7946), Address("10.0.0.2", 7946)
ONE, TWO, THREE = (bytes([number]) * 16 for number in (1, 2, 3))


def member(name: str = "x", address: Address = HERE) -> Member:
    return Member(node=name, address=address, tags={})


def ask(query: str, payload: bytes = b"", ring: Keyring | None = None) -> Reply:
    return reply(query, payload, us="us", member_of={"x": member()}.get, ring=ring)


def about(key: bytes) -> bytes:
    return encode_key_request(KeyRequest(key))


def test_names() -> None:
    assert ask(InternalQuery.CONFLICT, b"x") == Reply(encode_member(member()))
    assert ask(InternalQuery.CONFLICT, b"nobody") == Reply(encode_member(None))
    assert ask(InternalQuery.CONFLICT, b"us") == Reply()
    assert ask(InternalQuery.PING) == Reply()
    assert ask("_serf_of-a-later-version") == Reply()


@pytest.mark.parametrize(
    ("query", "key", "after", "message"),
    [
        (InternalQuery.INSTALL_KEY, THREE, (ONE, TWO, THREE), ""),
        (InternalQuery.INSTALL_KEY, TWO, None, ""),
        (InternalQuery.INSTALL_KEY, b"short", None, "key size must be 16, 24 or 32 bytes"),
        (InternalQuery.USE_KEY, TWO, (TWO, ONE), ""),
        (InternalQuery.USE_KEY, THREE, None, "Requested key is not in the keyring"),
        (InternalQuery.REMOVE_KEY, TWO, (ONE,), ""),
        (InternalQuery.REMOVE_KEY, ONE, None, "Removing the primary key is not allowed"),
        (InternalQuery.REMOVE_KEY, THREE, None, ""),
    ],
)
def test_keys(query: str, key: bytes, after: tuple[bytes, ...] | None, message: str) -> None:
    answer = ask(query, about(key), Keyring(ONE, TWO))
    assert answer.payload is not None
    assert decode_key_response(answer.payload) == KeyResponse(result=not message, message=message)
    assert (answer.keyring.keys if answer.keyring else None) == after


def test_keys_without_encryption_or_sense() -> None:
    for query in (InternalQuery.INSTALL_KEY, InternalQuery.USE_KEY, InternalQuery.REMOVE_KEY):
        refusal = KeyResponse(result=False, message="No keyring to modify (encryption not enabled)")
        assert ask(query, about(ONE)) == Reply(encode_key_response(refusal))
        assert not decode_key_response(ask(query, b"\x07\xff", Keyring(ONE)).payload or b"").result
    refusal = KeyResponse(result=False, message="Keyring is empty (encryption not enabled)")
    assert ask(InternalQuery.LIST_KEYS) == Reply(encode_key_response(refusal))


def test_lists_of_keys_fit_an_answer() -> None:
    keys = [bytes([number]) * 32 for number in range(KEYS_MAX)]
    for ring in (Keyring(*keys[:3]), Keyring(*keys)):
        payload = ask(InternalQuery.LIST_KEYS, b"", ring).payload
        assert payload is not None
        response = decode_key_response(payload)
        assert response.primary_key == key_as_text(keys[0])
        assert list(response.keys) == [key_as_text(key) for key in ring.keys[: len(response.keys)]]
        assert bool(response.message) is (len(response.keys) < len(ring.keys))
        assert len(encode(QueryResponse(ltime=1, id=1, from_node="n" * 100, payload=payload))) <= 1024


@pytest.mark.parametrize(
    ("answers", "lost"),
    [
        ([], True),
        ([HERE], False),
        ([THERE], True),
        ([None], True),
        ([HERE, THERE], True),
        ([HERE, HERE, THERE], False),
        ([HERE, THERE, THERE], True),
        ([HERE, HERE, None, None], True),
    ],
)
def test_votes_on_names(answers: list[Address | None], lost: bool) -> None:
    vote = Vote(QueryKey(1, 1), HERE)
    for address in answers:
        vote.count(encode_member(member("us", address) if address else None))
    vote.count(b"nonsense")
    assert vote.close() == NameConflictSettled(lost, answers.count(HERE), len(answers))


def test_the_tally_of_keys() -> None:
    tally = KeyTally(3, lists=True)
    assert tally.error() == "0/3 nodes reported success"
    tally.count("a", encode_key_response(KeyResponse(result=True, keys=("k1", "k2"))))
    tally.count("b", encode_key_response(KeyResponse(result=True, keys=("k1",))))
    assert (tally.complete, tally.error()) == (False, "2/3 nodes reported success")
    tally.count("c", encode_key_response(KeyResponse(result=False, message="no")))
    assert (tally.complete, tally.error()) == (True, "1/3 nodes reported failure")
    assert (tally.report().keys, tally.report().messages) == ({"k1": 2, "k2": 1}, {"c": "no"})
    tally.count("d", b"nonsense")
    assert tally.report().errors == 2
    assert KeyTally(0, lists=False).report().keys is None


def test_going_step_by_step() -> None:
    for told in (True, False):
        departure, stages = Departure(), []
        assert departure.advance(0.0, intent_is_told=True, death_is_told=True) is None
        departure.begin(10.0)
        now = 10.0
        while departure.stage is not Stage.GONE:
            if departure.advance(now, intent_is_told=told, death_is_told=told):
                stages.append((now, departure.stage))
            else:
                now = departure.next_timer()
        death = 10.0 if told else 10.0 + BROADCAST_TIMEOUT_S
        lingering = death if told else death + PROPAGATE_DELAY_S
        assert [stage for _, stage in stages] == [Stage.DEATH, Stage.LINGERING, Stage.GONE]
        assert stages[0][0] == death
        assert stages[1][0] >= lingering
        assert stages[2][0] == stages[1][0] + PROPAGATE_DELAY_S


# --- the snapshot file ------------------------------------------------------------------------------------------------


def seen(change: MemberChange, name: str, address: Address = HERE) -> MemberEvent:
    return MemberEvent(change, member(name, address))


def test_the_agents_own_file() -> None:
    text = named("snapshot-file").decoded["text"]
    before_the_leave = SnapshotFile.replay(text.partition("leave\n")[0])
    assert before_the_leave.clocks == Clocks(1, 1, 1)
    assert before_the_leave.alive["py"] == Address("127.0.0.1", 27960)
    assert list(before_the_leave.alive) == ["a", "b", "c", "py"]
    after = SnapshotFile.replay(text)
    assert (after.alive, after.clocks) == ({}, Clocks(2))
    assert list(SnapshotFile.replay(text, rejoin_after_leave=True).alive) == ["a", "b", "c", "py"]


def test_the_agents_own_file_written_by_us() -> None:
    snapshot = SnapshotFile()
    text = "".join(
        snapshot.member(seen(MemberChange.JOIN, name, Address("127.0.0.1", port)))
        for name, port in (("a", 27946), ("b", 27947), ("c", 27948))
    )
    text += snapshot.clock(Clocks(1, 1, 1))
    text += snapshot.member(seen(MemberChange.JOIN, "py", Address("127.0.0.1", 27960)))
    text += snapshot.leave() + snapshot.clock(Clocks(2, 0, 0))
    assert text == named("snapshot-file").decoded["text"]


def test_only_news_is_written() -> None:
    snapshot = SnapshotFile()
    assert snapshot.member(seen(MemberChange.JOIN, "a b")) == "alive: a b 10.0.0.1:7946\n"
    assert snapshot.member(seen(MemberChange.UPDATE, "a b")) == ""
    assert snapshot.member(seen(MemberChange.UPDATE, "a b", THERE)) == "alive: a b 10.0.0.2:7946\n"
    assert snapshot.member(seen(MemberChange.FAILED, "a b")) == ""
    assert snapshot.alive == {"a b": THERE}  # for a restart: it may only be cut off
    assert snapshot.member(seen(MemberChange.LEAVE, "a b")) == "not-alive: a b\n"
    assert snapshot.member(seen(MemberChange.REAP, "a b")) == ""
    assert snapshot.clock(Clocks(3, 0, 5)) == "clock: 3\nquery-clock: 5\n"
    assert snapshot.clock(Clocks(2, 0, 5)) == ""
    assert snapshot.member(seen(MemberChange.JOIN, "v6", Address("::1", 1))) == "alive: v6 [::1]:1\n"


def test_what_cannot_be_understood_is_skipped() -> None:
    text = "# old\ncoordinate: {}\nalive: x\nalive: y nowhere\nalive: z 1.2.3.4:99999\nclock: -1\nclock: 9e9\nclo"
    snapshot = SnapshotFile.replay(text + "ck\nclock: 99999999999999999999999\nalive: a [::1]:7\n\x00\nclock: 4")
    assert (snapshot.alive, snapshot.clocks) == ({"a": Address("::1", 7)}, Clocks(4))


def test_compaction() -> None:
    snapshot = SnapshotFile()
    assert not snapshot.is_due_for_compaction(COMPACTION_BYTES_MIN)
    assert snapshot.is_due_for_compaction(COMPACTION_BYTES_MIN + 1)
    for number in range(600):
        snapshot.member(seen(MemberChange.JOIN, f"n{number}"))
    assert not snapshot.is_due_for_compaction(2 * 128 * 600)
    assert snapshot.is_due_for_compaction(2 * 128 * 600 + 1)


CHANGES = st.one_of(
    st.builds(seen, st.sampled_from(MemberChange), st.sampled_from(["a", "b c", "ü"]), st.sampled_from([HERE, THERE])),
    st.builds(Clocks, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    st.none(),
)


@settings(derandomize=True, deadline=None)
@given(st.lists(CHANGES, max_size=30), st.booleans())
def test_a_file_replayed_is_what_was_written(changes: list[MemberEvent | Clocks | None], rejoin: bool) -> None:
    snapshot, text = SnapshotFile(rejoin_after_leave=rejoin), ""
    for change in changes:
        if change is None:
            text += snapshot.leave()
        else:
            text += snapshot.clock(change) if isinstance(change, Clocks) else snapshot.member(change)
    for content in (text, snapshot.compacted()):
        replayed = SnapshotFile.replay(content, rejoin_after_leave=rejoin)
        assert (replayed.alive, replayed.clocks) == (snapshot.alive, snapshot.clocks)
