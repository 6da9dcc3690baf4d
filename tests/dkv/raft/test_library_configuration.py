"""What we rely on inside pysyncobj 0.3.17, pinned against the real library: starts, snapshots, learners and voters."""

import pytest

from dkv.raft.configuration import encode_change
from dkv.raft.contracts import NO_OP, CheckpointHeader, Entry
from dkv.raft.library import FAIL_REASON
from dkv.raft.log import Log
from dkv.raft.messages import AppendReply
from tests.dkv.raft.doubles import A, B, C, D, entries_of
from tests.dkv.raft.library_member import Member, established, leader
from tests.sim.disk import Disk


def restarted_disk():
    """A log 4 .. 8 with D as a voter since 6, in term 3 with a vote, committed up to 7."""
    disk = Disk((A, B))
    log = Log(disk, disk.load())
    for entry in entries_of(1, 1, 2, 2, 2, 2, 2):
        log.append(Entry(encode_change("add", D), 6, 2) if entry.index == 6 else entry)
    log.set_hard_state(3, B)
    log.set_commit_index(7)
    log.trim_to(4)
    disk.commit()
    return disk


def test_a_start_keeps_the_log_as_it_is():
    disk = restarted_disk()
    before = disk.load()
    member = Member(disk=disk)
    disk.commit()
    assert disk.load() == before
    assert (member.library.term, member.log.vote, member.library.commit_index) == (3, B, 7)
    assert member.library.others == {B, D}


def test_a_start_applies_again_what_lies_behind_the_base():
    member = Member(disk=restarted_disk())
    assert [index for index, _, _ in member.take("applied")] == [6, 7]
    assert member.library.applied_index == 7


def test_a_snapshot_takes_the_place_of_log_voters_and_applied_index():
    member = Member()
    member.append(*entries_of(1, 1, 1), commit=2)
    member.events.clear()
    base = entries_of(2, 2, first=19)
    member.library.install(B, CheckpointHeader("c", 1, *base, (A, B, D)))
    assert (member.log.entries, member.log.voters, member.library.others) == (base, (A, B, D), {B, D})
    assert (member.library.applied_index, member.library.commit_index, member.joined) == (20, 20, [D])
    assert member.take("sent") == [(B, AppendReply(1, 21, True, False))]
    member.append(*entries_of(2, first=21), previous=(20, 2), term=2, commit=21)
    member.tick()
    assert [index for index, _, _ in member.take("applied")] == [21]


# ---- learners and voters


def test_learners_get_entries_and_are_not_counted():
    member = established()
    member.library.connected(D, learner=True)
    member.propose(b"\x00x")
    member.tick()
    assert D in [node for node, message in member.take("sent") if message.entries]
    member.acknowledge(D)
    member.tick()
    assert (member.library.match_indexes()[D], member.library.commit_index) == (3, 2)
    member.acknowledge(B)
    member.tick()
    assert member.library.commit_index == 3


def test_a_learners_indexes_are_forgotten_with_its_link():
    """The reason why a learner is detached before its promotion is appended."""
    member = established()
    member.library.connected(D, learner=True)
    member.acknowledge(D)
    member.library.disconnected(D, learner=True)
    assert D not in member.library.match_indexes()


def test_a_learner_that_reconnects_begins_at_the_end_of_the_log():
    member = established()
    member.library.connected(D, learner=True)
    member.heartbeat()
    assert [message.previous_index for node, message in member.take("sent") if node == D] == [2]
    assert member.library.match_indexes()[D] == 0


@pytest.mark.parametrize(("op", "node", "others"), [("add", D, {B, C, D}), ("rem", C, {B})])
def test_a_configuration_counts_from_its_append_and_not_beyond_its_truncation(op, node, others):
    member = Member()
    member.append(Entry(encode_change(op, node), 2, 1), *entries_of(1, first=3))
    assert member.library.others == others == {*member.log.voters} - {A}
    assert member.joined == ([D] if op == "add" else [])
    member.append(Entry(NO_OP, 2, 2), term=2, sender=C)
    assert member.library.others == {B, C} == {*member.log.voters} - {A}


def test_a_leaders_own_change_counts_from_its_append():
    member = established()
    ends = member.propose(encode_change("add", D))
    member.tick()
    assert member.library.others == {B, C, D}
    member.acknowledge(B)
    member.tick()
    assert ends == [], "two of four"
    member.acknowledge(D)
    member.tick()
    assert ends == [("result 3", FAIL_REASON.SUCCESS)]


def test_applying_a_configuration_does_not_execute_it_again():
    member = Member()
    member.append(Entry(encode_change("add", D), 2, 1), Entry(encode_change("rem", D), 3, 1), commit=2)
    member.tick()
    assert member.library.applied_index == 2
    assert member.library.others == {B, C}


def test_a_change_before_the_terms_no_op_is_applied_is_denied():
    member = leader()
    ends = member.propose(encode_change("add", D))
    member.tick()
    assert (ends, member.log.last_index, member.library.others) == ([(None, FAIL_REASON.REQUEST_DENIED)], 2, {B, C})
    member.acknowledge(B)
    member.tick()
    member.propose(encode_change("add", D))
    member.tick()
    assert member.library.others == {B, C, D}


def test_the_library_does_not_keep_changes_apart_by_itself():
    """The reason for ``changes.Changes``."""
    member = established()
    member.propose(encode_change("rem", B))
    member.propose(encode_change("rem", C))
    member.tick()
    assert member.library.others == set()


@pytest.mark.parametrize(("target", "matched", "level"), [(B, 2, True), (B, 1, False), (None, 2, True), (D, 2, False)])
def test_leadership_is_handed_to_a_level_voter_only(target, matched, level):
    member = leader()
    member.acknowledge(B, matched)
    member.events.clear()
    assert member.library.transfer(target) is level
    assert [node for node, _ in member.take("sent")] == ([B] if level else [])
