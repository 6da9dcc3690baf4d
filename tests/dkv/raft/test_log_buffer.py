"""Raft's own laws, as the log's buffer asserts them, and the folding of calls."""

import pytest

from dkv.raft.contracts import GENESIS, Entry
from dkv.raft.log_buffer import COMMIT_INDEX_TURNS_MAX, Deed, LogBuffer, genesis_state


def entry(index, term=1):
    return Entry(b"\x00%d" % index, index, term)


def buffer_with(last_index, commit_index=1):
    log = LogBuffer(1, genesis_state(["a"]), lambda first, last: list(GENESIS), swept_to=0)
    for index in range(2, last_index + 1):
        log.append(entry(index))
    log.set_commit_index(commit_index)
    log.written(swept_to=0)
    return log


@pytest.mark.parametrize(
    ("broken", "call"),
    [
        ("does not follow", lambda log: log.append(entry(12))),
        ("does not follow", lambda log: log.append(entry(10))),
        ("committed up to 5", lambda log: log.truncate_from(5)),
        ("cannot cut at 12", lambda log: log.truncate_from(12)),
        ("two entries stay", lambda log: log.trim_to(10, ["a"])),
        ("take back what is committed", lambda log: log.reset([entry(3), entry(4)], ["a"])),
        ("are no base", lambda log: log.reset([entry(20), entry(22)], ["a"])),
        ("the term cannot fall", lambda log: log.set_hard_state(2, None)),
        ("a second vote in term 3", lambda log: log.set_hard_state(3, "b")),
        ("a second vote in term 3", lambda log: log.set_hard_state(3, None)),
        ("beyond the log's end", lambda log: log.set_commit_index(11)),
    ],
)
def test_a_broken_law_is_an_assertion_with_a_diagnosis(broken, call):
    log = buffer_with(10, commit_index=5)
    log.set_hard_state(3, "a")
    with pytest.raises(AssertionError, match=broken):
        call(log)


def test_calls_fold_into_one_cut_and_one_append():
    log = buffer_with(10)
    log.append(entry(11))
    log.truncate_from(9)
    for index in (9, 10, 11, 12):
        log.append(entry(index, term=2))
    log.truncate_from(11)
    log.truncate_from(12 - 1)
    log.append(entry(11, term=3))
    assert (log.cut_at, log.appended) == (9, [entry(9, 2), entry(10, 2), entry(11, 3)])
    assert log.state.last_index == 11


def test_a_second_cut_goes_deeper():
    log = buffer_with(10)
    log.truncate_from(9)
    log.truncate_from(7)
    log.append(entry(7, term=2))
    log.truncate_from(6)
    assert (log.cut_at, log.appended, log.state.last_index) == (6, [], 5)


def test_a_cut_of_what_was_only_buffered_touches_no_row():
    log = buffer_with(10)
    log.append(entry(11))
    log.truncate_from(11)
    assert (log.cut_at, log.appended, log.state.last_index) == (None, [], 10)


def test_the_same_hard_state_is_nothing_to_write():
    log = buffer_with(10)
    log.set_hard_state(0, None)
    assert not log.end_turn()


def test_a_commit_index_waits_for_company_but_not_for_ever():
    log = buffer_with(10)
    log.set_commit_index(7)
    assert [log.end_turn() for _ in range(COMMIT_INDEX_TURNS_MAX)] == [False] * (COMMIT_INDEX_TURNS_MAX - 1) + [True]
    log.written(swept_to=0)
    log.set_commit_index(6)
    assert log.state.commit_index == 7
    assert not any(log.end_turn() for _ in range(2 * COMMIT_INDEX_TURNS_MAX))


def test_nothing_may_be_added_while_a_commit_writes_the_buffer():
    log = buffer_with(10)
    log.sealed = True
    for call in (lambda: log.append(entry(11)), lambda: log.set_commit_index(9), lambda: log.set_hard_state(9, None)):
        with pytest.raises(AssertionError, match="while a commit is under way"):
            call()


def test_the_log_is_not_loaded_over_unwritten_changes():
    log = buffer_with(10)
    log.append(entry(11))
    with pytest.raises(AssertionError, match="loaded once"):
        log.load()


@pytest.mark.parametrize(
    ("deeds", "calls"),
    [
        ([], []),
        ([], [lambda log: log.set_commit_index(10)]),
        ([Deed.APPEND], [lambda log: log.append(entry(11))]),
        ([], [lambda log: log.append(entry(11)), lambda log: log.truncate_from(11)]),
        ([Deed.VOTE], [lambda log: log.set_hard_state(3, None)]),
        ([Deed.VOTE], [lambda log: log.set_hard_state(0, "a")]),
        ([Deed.TRIM], [lambda log: log.trim_to(4, ["a"])]),
        ([Deed.INSTALL], [lambda log: log.reset([entry(19), entry(20)], ["a"])]),
        ([Deed.APPEND, Deed.VOTE], [lambda log: log.set_hard_state(3, "a"), lambda log: log.append(entry(11))]),
    ],
)
def test_what_a_commit_will_do(deeds, calls):
    log = buffer_with(10)
    for call in calls:
        call(log)
    assert log.deeds() == deeds
    log.written(swept_to=0)
    assert log.deeds() == []
