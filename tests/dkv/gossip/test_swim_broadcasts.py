"""The queue of broadcasts, and the alarms: tables, and a comparison with dumb twins."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from dkv.gossip.memberlist.broadcasts import Broadcasts
from dkv.gossip.memberlist.timers import Timer, Timers


def test_the_least_sent_goes_first_then_the_largest_then_the_newest() -> None:
    queue = Broadcasts()
    for data in (b"old", b"large one", b"new"):
        queue.queue(data)
    assert queue.take(0, 9, 3) == [b"large one"]
    assert queue.take(0, 3, 3) == [b"new"]
    assert queue.take(0, 100, 3) == [b"old", b"large one", b"new"]


def test_what_does_not_fit_waits_and_smaller_ones_pass_it() -> None:
    queue = Broadcasts()
    queue.queue(b"x" * 50)
    queue.queue(b"y")
    assert queue.take(2, 20, 1) == [b"y"]
    assert queue.take(2, 51, 1) == []
    assert queue.take(2, 52, 1) == [b"x" * 50]
    assert len(queue) == 0


def test_a_newer_one_of_the_same_name_replaces_it_and_is_sent_as_often_as_any() -> None:
    queue = Broadcasts()
    queue.queue(b"suspect", "m")
    assert queue.take(0, 100, 2) == [b"suspect"]
    queue.queue(b"alive", "m")
    assert [queue.take(0, 100, 2) for _ in range(3)] == [[b"alive"], [b"alive"], []]
    assert "m" not in queue


def test_a_full_queue_drops_what_was_sent_most() -> None:
    queue = Broadcasts(broadcasts_max=2)
    queue.queue(b"sent", "s")
    queue.take(0, 100, 9)
    queue.queue(b"a")
    queue.queue(b"b")
    assert sorted(queue.take(0, 100, 9)) == [b"a", b"b"]
    assert queue.dropped == 1
    assert "s" not in queue


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(1, 40)), min_size=1, max_size=20),
    st.integers(1, 5),
    st.integers(10, 60),
)
def test_each_is_sent_exactly_so_often_within_the_room(
    messages: list[tuple[str | None, int]], transmits: int, room: int
) -> None:
    queue = Broadcasts()
    expected: dict[bytes, str | None] = {}
    for number, (name, size) in enumerate(messages):
        data = bytes((number,)) * size
        expected = {other: named for other, named in expected.items() if name is None or named != name}
        expected[data] = name
        queue.queue(data, name)
    sent = dict.fromkeys(expected, 0)
    while taken := queue.take(2, room, transmits):
        assert sum(len(data) + 2 for data in taken) <= room
        assert len(set(taken)) == len(taken)
        for data in taken:
            sent[data] += 1
    for data, count in sent.items():
        assert count == (transmits if len(data) + 2 <= room else 0)


@given(st.integers(0, 2**32))
def test_alarms_ring_in_order_and_once(seed: int) -> None:
    rng, timers, twin = random.Random(seed), Timers(), dict[str, float]()
    for _ in range(30):
        name = rng.choice("abcd")
        if rng.random() < 0.7:
            twin[name] = rng.randrange(10)
            timers.set(Timer.SUSPICION, twin[name], name)
        elif rng.random() < 0.5:
            twin.pop(name, None)
            timers.cancel(Timer.SUSPICION, name)
        else:
            now = rng.randrange(10)
            while (key := timers.pop(now)) is not None:
                assert key == (Timer.SUSPICION, key[1])
                assert twin.pop(str(key[1])) <= now
        assert timers.next_due() == min(twin.values(), default=math.inf)
