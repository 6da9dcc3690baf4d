"""One peer's link: nothing twice, what reopens it, and which messages become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkv.raft.messages import AppendEntries
from dkv.raft.outflow import Outflow, merged, size_bytes
from tests.dkv.raft.doubles import entries_of

TERM = 4
LOG = entries_of(*[1, 1, 2, 2, 3, 3, 4, 4, 4], first=2)
"""Entries 2 .. 10."""


def append(previous, last, *, term=TERM, commit=0, quiet=False):
    """Entries ``previous + 1 .. last`` of the log."""
    previous_term = LOG[previous - 2].term if previous > 1 else 0
    return AppendEntries(term, previous, previous_term, commit, LOG[previous - 1 : last - 1], quiet)


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        pytest.param(append(1, 5), append(1, 5), append(5, 5), id="all of it is under way"),
        pytest.param(append(1, 5), append(3, 8), append(5, 8), id="a part of it is under way"),
        pytest.param(append(1, 5), append(1, 4), append(4, 4), id="less than what is under way"),
        pytest.param(append(1, 5), append(5, 8), append(5, 8), id="it continues"),
        pytest.param(append(1, 5), append(7, 9), append(7, 9), id="it leaves a gap"),
        pytest.param(append(1, 5), append(3, 3), append(3, 3), id="a heartbeat passes, and is answered"),
        pytest.param(append(1, 5), append(3, 3, commit=3), append(3, 3, commit=3, quiet=True), id="news of a commit"),
        pytest.param(append(1, 5), append(1, 5, commit=4), append(5, 5, commit=4, quiet=True), id="all but its news"),
        pytest.param(append(1, 5), append(5, 8, commit=4), append(5, 8, commit=4), id="news with entries"),
        pytest.param(append(1, 5, term=3), append(1, 5), append(1, 5), id="another term begins anew"),
    ],
)
def test_nothing_goes_twice_over_one_link(first, second, left):
    flow = Outflow(1000)
    assert flow.admit(first) == first
    assert flow.admit(second) == left


def test_what_was_forgotten_goes_again():
    flow = Outflow(1000)
    flow.admit(append(1, 5))
    flow.forget()
    assert flow.admit(append(1, 5)) == append(1, 5)


def test_a_shorter_message_does_not_make_the_link_forget_the_longer_one():
    flow = Outflow(1000)
    flow.admit(append(1, 8))
    flow.admit(append(1, 3))
    assert flow.admit(append(3, 9)) == append(8, 9)


def test_the_window_counts_what_is_under_way_until_any_answer():
    each = size_bytes(LOG[:1])
    flow = Outflow(3 * each)
    flow.admit(append(1, 4))
    assert not flow.is_full, "exactly the window"
    flow.admit(append(1, 4))
    assert flow.in_flight_bytes == 3 * each, "a repetition is not under way twice"
    flow.admit(append(4, 5))
    assert flow.is_full
    flow.acknowledged()
    assert not flow.is_full


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_a_sender_that_rewinds_at_will_sends_everything_once(steps):
    """The library rewinds and repeats, but leaves no gap; the receiver must see each entry once, and miss none."""
    flow, last, received = Outflow(1 << 20), 1, []
    for back, length in steps:
        previous = max(1, last - back)
        sent = flow.admit(append(previous, min(previous + length, 10)))
        assert sent.previous_index == 1 or LOG[sent.previous_index - 2].term == sent.previous_term
        received += [entry.index for entry in sent.entries]
        last = max(last, min(previous + length, 10))
        assert received == list(range(2, last + 1))


@pytest.mark.parametrize(
    ("second", "bytes_max", "whole"),
    [
        pytest.param(append(5, 8, commit=7), 1000, append(1, 8, commit=7), id="it continues"),
        pytest.param(append(5, 5, commit=7), 1000, append(1, 5, commit=7), id="a heartbeat behind it"),
        pytest.param(append(5, 8), size_bytes(LOG[:7]), append(1, 8), id="just within the limit"),
        pytest.param(append(5, 8), size_bytes(LOG[:7]) - 1, None, id="beyond the limit"),
        pytest.param(append(6, 8), 1000, None, id="a gap"),
        pytest.param(append(4, 8), 1000, None, id="an overlap"),
        pytest.param(append(5, 8, term=5), 1000, None, id="another term"),
    ],
)
def test_two_appends_become_one_where_the_second_continues_the_first(second, bytes_max, whole):
    assert merged(append(1, 5, commit=2), second, bytes_max) == whole
