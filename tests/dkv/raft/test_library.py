"""What we rely on inside pysyncobj 0.3.17, pinned one by one against the real library: messages, elections, entries."""

import pytest

from dkv.errors import FatalError
from dkv.raft import library as room
from dkv.raft.contracts import GENESIS, NO_OP, Entry
from dkv.raft.library import FAIL_REASON, LEADER, check_pin
from dkv.raft.messages import AppendEntries, AppendReply, RequestVote, SnapshotNotice, Vote
from tests.dkv.raft.doubles import A, B, C, D, entries_of
from tests.dkv.raft.library_member import OPTIONS, Member, established, leader
from tests.sim.disk import Disk

FOLLOWER, CANDIDATE = 0, 1


# ---- messages


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        pytest.param(AppendEntries(1, 1, 0, 1, entries_of(1)), AppendReply(1, 3, True, False), id="an append"),
        pytest.param(AppendEntries(1, 7, 1, 1, []), AppendReply(1, 2, False, True), id="an append behind a gap"),
        pytest.param(RequestVote(1, 1, 0, False), Vote(1), id="a vote request"),
    ],
)
def test_replies_are_made_within_the_handler(message, reply):
    member = Member()
    member.library.deliver(B, message)
    assert member.take("sent") == [(B, reply)]
    member.tick()
    assert member.take("sent") == []


def test_the_vote_is_recorded_before_it_is_sent():
    member, seen = Member(), []
    member.on_send = lambda node, message: seen.append((member.log.term, member.log.vote))
    member.library.deliver(B, RequestVote(4, 1, 0, False))
    assert seen == [(4, B)]


def test_a_snapshot_notice_registers_the_leader_and_proves_nothing():
    member = Member()
    member.append(*entries_of(1, 1))
    member.library.deliver(C, SnapshotNotice(2))
    assert (member.library.leader, member.library.term, member.library.commit_index) == (C, 2, 1)


def test_what_a_follower_proposes_is_not_forwarded():
    member = Member()
    member.append()
    member.events.clear()
    member.propose(b"\x00x")
    member.tick()
    assert member.events == []


# ---- elections


@pytest.mark.parametrize("leader_known", [False, True])
def test_a_campaign_is_an_election_in_the_next_tick(leader_known):
    member = Member()
    member.library.connected(B)
    if leader_known:
        member.append()
    term = member.library.term
    member.events.clear()
    member.library.campaign()
    assert member.events == []
    member.tick()
    request = RequestVote(term + 1, 1, 0, transfer=False)
    assert sorted(member.take("sent")) == [(B, request), (C, request)]
    assert (member.library.term, member.log.vote) == (term + 1, A)


def test_a_heartbeat_that_comes_between_does_not_put_the_campaign_off():
    member = Member()
    member.library.connected(B)
    member.append()
    member.library.campaign()
    member.append()
    member.events.clear()
    member.tick()
    assert [type(message) for _, message in member.take("sent")] == [RequestVote, RequestVote]


def test_without_a_link_a_campaign_is_kept_in_mind():
    """The reason why candidacy asks for a link first."""
    member = Member()
    member.library.campaign()
    member.tick()
    assert member.events == []
    member.library.connected(B)
    member.tick()
    assert member.library.term == 1


def test_the_librarys_own_election_timer_is_off():
    member = Member()
    member.library.connected(B)
    member.tick(after_s=30 * 86400.0)
    assert (member.library.term, member.events) == (0, [])


@pytest.mark.parametrize("was_leader", [False, True])
def test_adopting_a_term_raises_it_and_grants_nothing(was_leader):
    member = leader() if was_leader else Member()
    member.events.clear()
    member.library.adopt_term(B, 9)
    assert (member.library.term, member.log.term, member.log.vote, member.library.leader) == (9, 9, None, None)
    assert not member.library.is_leader
    assert member.take("sent") == []


def test_the_leader_is_announced_before_its_no_op_is_appended():
    member = leader()
    became, no_op = member.log.last_index - 1, member.log.entry(member.log.last_index)
    assert (FOLLOWER, CANDIDATE, became) == member.take("role")[0]
    member = leader()
    assert member.take("role")[-1] == (CANDIDATE, LEADER, became)
    assert no_op == Entry(NO_OP, became + 1, 1)


def test_a_leader_that_no_majority_answers_steps_down():
    member = established()
    member.library.connected(D, learner=True)
    for _ in range(10):
        member.tick(after_s=OPTIONS.check_quorum_s / 5)
        if member.library.is_leader:
            member.library.deliver(D, AppendReply(1, 3, True, False))
    assert not member.library.is_leader
    assert member.take("role")[-1][:2] == (LEADER, FOLLOWER)


# ---- entries


def test_each_entry_is_applied_once_in_order_while_the_applied_index_is_the_one_before():
    member = Member()
    entries = entries_of(1, 1, 1)
    member.append(*entries, commit=4)
    member.tick()
    member.append(previous=(4, 1), commit=4)
    member.tick()
    assert member.take("applied") == [(entry.index, entry.command, entry.index - 1) for entry in entries]
    assert member.library.applied_index == 4


def test_whatever_follows_the_previous_index_is_cut_even_if_it_matches():
    """The reason for ``guard.skip_matching``, and the log's own last word about what is committed."""
    member = Member()
    member.append(*entries_of(1, 1, 1))
    member.append(*entries_of(1))
    assert member.log.last_index == 2
    member.append(*entries_of(1), commit=2)
    with pytest.raises(AssertionError, match="would drop committed entries"):
        member.append(*entries_of(1))


def test_a_proposal_is_appended_in_the_tick_and_ends_when_it_is_applied():
    member = established()
    one, two = member.propose(b"\x00one"), member.propose(b"\x00two")
    assert member.log.last_index == 2
    member.tick()
    assert [entry.command for entry in member.log.entries[3:]] == [b"\x00one", b"\x00two"]
    member.acknowledge(B)
    assert (one, two) == ([], [])
    member.tick()
    assert (one, two) == ([("result 3", FAIL_REASON.SUCCESS)], [("result 4", FAIL_REASON.SUCCESS)])


def test_a_proposal_whose_index_another_leader_filled_is_discarded():
    member = established()
    ends = member.propose(b"\x00mine")
    member.tick()
    member.append(Entry(NO_OP, 3, 2), previous=(2, 1), term=2, commit=3)
    member.tick()
    assert ends == [(None, FAIL_REASON.DISCARDED)]


def test_an_earlier_terms_entries_are_committed_by_one_of_this_term_only():
    disk = Disk((A, B, C))
    Member(disk=disk).append(*entries_of(1, 1))
    disk.commit()
    member = leader(disk=disk)
    member.acknowledge(B, 3)
    member.tick()
    assert member.library.commit_index == 1, "Raft §5.4.2"
    member.acknowledge(B, 4)
    member.tick()
    assert member.library.commit_index == 4


def test_an_exception_in_apply_ends_the_process():
    member = Member()
    member._apply = None
    member.library.apply = lambda index, command: 1 / 0
    member.append(*entries_of(1), commit=2)
    with pytest.raises(FatalError, match="applying entry 2 failed: ZeroDivisionError"):
        member.tick()


def test_a_command_that_would_be_cut_into_pieces_is_refused():
    with pytest.raises(AssertionError, match="would be fragmented"):
        leader().library.propose(b"\x00" * OPTIONS.append_bytes, lambda result, reason: None)


def test_a_peer_that_disconnects_within_send_leaves_the_loop_and_goes_on_at_the_first_unsent_entry():
    member = established(connected=(C,))
    for number in range(6):
        member.propose(b"\x00" + b"%d" % number * 99)
    member.tick()
    member.events.clear()
    member.on_send = lambda node, message: member.library.disconnected(node) if node == B else None
    sent = []
    for _ in range(4):
        member.library.connected(B)
        member.heartbeat()
        sent.append([message for node, message in member.take("sent") if node == B])
    assert [len(messages) for messages in sent] == [1, 1, 1, 1]
    flow = [message for messages in sent for message in messages]
    assert [(message.previous_index, len(message.entries)) for message in flow] == [(2, 3), (5, 3), (8, 0), (8, 0)]


# ---- the pin


def test_the_installed_library_is_the_audited_one():
    check_pin()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("VERSION", "0.3.18", id="another version"),
        pytest.param("_PINNED_SHA256", "0" * 64, id="other source"),
    ],
)
def test_any_other_library_is_refused(monkeypatch, name, value):
    monkeypatch.setattr(room, name, value)
    with pytest.raises(FatalError, match=r"is not the audited 0\.3\.17"):
        Member()


def test_every_log_begins_as_the_library_wants_it():
    member = Member()
    assert member.log.entries == list(GENESIS)
    assert member.library.applied_index == GENESIS[-1].index
