"""What one turn sends: merged, held to the window, forgotten with its link."""

from dataclasses import replace

from dkv.raft.messages import AppendEntries, AppendReply, SnapshotNotice, Vote
from dkv.raft.options import Options
from dkv.raft.outbox import Outbox
from tests.dkv.raft.doubles import B, C, entries_of

TERM = 4
NOW = 50.0
LOG = entries_of(*[TERM] * 20, first=2)
OPTIONS = replace(Options(), append_bytes=40, window_bytes=60)
"""An entry's command takes four bytes, or five from index 10 on."""
NOTICE = SnapshotNotice(TERM)


def append(previous, last, *, term=TERM):
    return AppendEntries(term, previous, TERM if previous > 1 else 0, 0, LOG[previous - 1 : last - 1])


def outbox_with(*messages, node=B):
    outbox = Outbox(OPTIONS)
    for message in messages:
        outbox.append(node, message, NOW)
    return outbox


def test_a_turns_appends_to_one_peer_become_one():
    outbox = outbox_with(append(1, 3), append(3, 5))
    assert outbox.take() == [(B, append(1, 5))]
    assert outbox.take() == []


def test_peers_do_not_share_messages():
    outbox = outbox_with(append(1, 3))
    outbox.append(C, append(1, 3), NOW)
    outbox.append(B, append(3, 5), NOW)
    assert outbox.take() == [(B, append(1, 5)), (C, append(1, 3))]


def test_no_message_outgrows_an_append():
    outbox = outbox_with(append(1, 9), append(9, 12))
    assert outbox.take() == [(B, append(1, 9)), (B, append(9, 12))]


def test_another_message_keeps_its_place_behind_what_was_said_before_it():
    outbox = outbox_with(append(1, 3))
    outbox.put(B, Vote(TERM))
    outbox.put(C, Vote(TERM))
    outbox.append(B, append(3, 5), NOW)
    assert outbox.take() == [(B, append(1, 3)), (B, Vote(TERM)), (C, Vote(TERM)), (B, append(3, 5))]


def test_what_went_in_an_earlier_turn_does_not_go_again():
    outbox = outbox_with(append(1, 5))
    outbox.take()
    outbox.append(B, append(1, 6), NOW)
    assert outbox.take() == [(B, append(5, 6))]


def test_a_notice_swallows_what_follows_it_in_the_turn():
    outbox = Outbox(OPTIONS)
    pauses = [outbox.append(B, message, NOW) for message in (NOTICE, append(3, 5), NOTICE, append(5, 6))]
    assert pauses == [False] * 4
    assert outbox.take() == [(B, NOTICE)]
    outbox.append(B, append(3, 5), NOW)
    assert outbox.take() == [(B, append(3, 5))], "what was swallowed is not under way"


def test_a_notice_comes_behind_the_appends_before_it():
    outbox = outbox_with(append(1, 3), NOTICE, append(3, 5))
    assert outbox.take() == [(B, append(1, 3)), (B, NOTICE)]


def test_a_full_window_pauses_the_sender_once_and_an_answer_lets_it_go_on():
    outbox = Outbox(OPTIONS)
    pauses = [outbox.append(B, append(previous, previous + 3), NOW) for previous in (1, 4, 7, 10, 13, 16)]
    assert pauses == [False, False, False, False, True, False], "60 bytes are under way with the entry at 14"
    assert outbox.replied(B, lost=False), "it was paused"
    assert not outbox.append(B, append(19, 20), NOW), "the window is open again"
    assert not outbox.replied(B, lost=False), "it is no longer"
    assert outbox.take_resumed(NOW + 100) == []


def test_a_pause_without_an_answer_ends_after_a_heartbeat():
    outbox = outbox_with(*(append(previous, previous + 3) for previous in (1, 4, 7, 10, 13)))
    assert outbox.take_resumed(NOW + OPTIONS.heartbeat_s * 0.9) == []
    assert outbox.take_resumed(NOW + OPTIONS.heartbeat_s) == [B]
    assert outbox.take_resumed(NOW + OPTIONS.heartbeat_s) == []
    assert not outbox.replied(B, lost=False)


def test_an_answer_that_lacks_something_reopens_what_was_sent():
    outbox = outbox_with(append(1, 5))
    outbox.replied(B, lost=False)
    outbox.append(B, append(1, 5), NOW)
    outbox.replied(B, lost=True)
    outbox.take()
    outbox.append(B, append(1, 5), NOW)
    assert outbox.take() == [(B, append(1, 5))]


def test_a_new_link_carries_nothing_and_is_not_paused():
    outbox = outbox_with(*(append(previous, previous + 3) for previous in (1, 4, 7, 10, 13)))
    outbox.take()
    outbox.link_up(B)
    outbox.append(B, append(1, 5), NOW)
    assert outbox.take() == [(B, append(1, 5))]
    assert not outbox.replied(B, lost=False)


def test_a_link_that_broke_takes_its_messages_along_and_those_to_others_stay():
    outbox = outbox_with(append(1, 5))
    outbox.put(C, Vote(TERM))
    outbox.append(C, append(1, 3), NOW)
    outbox.put(B, AppendReply(TERM, 3, True, False))
    outbox.link_down(B)
    outbox.append(C, append(3, 5), NOW)
    outbox.append(B, append(1, 5), NOW)
    assert outbox.take() == [(C, Vote(TERM)), (C, append(1, 3)), (C, append(3, 5)), (B, append(1, 5))]


def test_a_new_leadership_has_nothing_under_way():
    outbox = outbox_with(append(1, 5))
    outbox.take()
    outbox.forget_sent()
    outbox.append(B, append(1, 5), NOW)
    assert outbox.take() == [(B, append(1, 5))]


def test_only_what_promises_nothing_leaves_early_and_only_in_a_durable_term():
    outbox = outbox_with(append(1, 3))
    outbox.put(C, Vote(TERM))
    outbox.put(C, AppendReply(TERM, 3, success=True, reset=False))
    outbox.append(C, NOTICE, NOW)
    assert outbox.take_early(TERM - 1) == []
    assert outbox.take_early(TERM) == [(B, append(1, 3)), (C, NOTICE)]
    assert outbox.take() == [(C, Vote(TERM)), (C, AppendReply(TERM, 3, success=True, reset=False))]


def test_what_left_early_is_not_merged_with_what_follows():
    outbox = outbox_with(append(1, 3))
    outbox.take_early(TERM)
    outbox.append(B, append(3, 5), NOW)
    assert outbox.take() == [(B, append(3, 5))]
