"""The calendar gives back what is due, in an order that only the set and the clock decide."""

from __future__ import annotations

import random

from dkv.kv.expiries import SLOT_MS, STALE_SLOTS_MAX, Expiries


def drain(expiries: Expiries, clock_ms: int, count_max: int) -> list[str]:
    taken: list[str] = []
    while some := expiries.take(clock_ms, count_max):
        assert len(some) <= count_max
        taken += some
    return taken


def test_only_slots_wholly_past_are_due() -> None:
    expiries = Expiries()
    assert expiries.next_ms() is None
    expiries.add("k", SLOT_MS * 3 + 1)
    assert expiries.next_ms() == SLOT_MS * 4
    assert expiries.take(SLOT_MS * 4 - 1, 10) == []
    assert expiries.take(SLOT_MS * 4, 10) == ["k"]
    assert expiries.next_ms() is None


def test_what_left_does_not_come() -> None:
    expiries = Expiries()
    for key in "abc":
        expiries.add(key, 1)
    expiries.discard("b", 1)
    expiries.discard("a", 1)
    expiries.add("a", 10 * SLOT_MS)
    assert drain(expiries, SLOT_MS, 1) == ["c"]
    assert expiries.next_ms() == 11 * SLOT_MS


def test_the_order_of_arrival_does_not_matter_nor_does_a_copy_made_half_way() -> None:
    rng = random.Random(7)
    pairs = [(f"k{number}", rng.randrange(5 * SLOT_MS)) for number in range(2000)]
    one, two = Expiries(), Expiries()
    for key, expires_ms in pairs:
        one.add(key, expires_ms)
    for key, expires_ms in rng.sample(pairs, len(pairs)):
        two.add(key, expires_ms)
    first = one.take(5 * SLOT_MS, 777)
    assert first == two.take(5 * SLOT_MS, 777)
    three = Expiries()
    for key, expires_ms in pairs:
        if key not in first:
            three.add(key, expires_ms)
    rest = drain(one, 5 * SLOT_MS, 100)
    assert rest == drain(two, 5 * SLOT_MS, 64) == drain(three, 5 * SLOT_MS, 1000)
    assert sorted(first + rest) == sorted(key for key, _ in pairs)
    due_ms = dict(pairs)
    slots = [due_ms[key] // SLOT_MS for key in first + rest]
    assert slots == sorted(slots)


def test_keys_that_leave_a_slot_while_it_is_taken() -> None:
    expiries = Expiries()
    keys = [f"k{number}" for number in range(500)]
    for key in keys:
        expiries.add(key, 1)
    taken = expiries.take(SLOT_MS, 100)
    gone = [key for key in keys if key not in taken][::2]
    for key in gone:
        expiries.discard(key, 1)
    rest = drain(expiries, SLOT_MS, 100)
    assert sorted(taken + gone + rest) == sorted(keys)


def test_a_key_that_is_refreshed_for_ever_leaves_nothing_behind() -> None:
    expiries = Expiries()
    expires_ms = 1
    expiries.add("k", expires_ms)
    for _ in range(5000):
        expiries.discard("k", expires_ms)
        expires_ms += 3 * SLOT_MS
        expiries.add("k", expires_ms)
    assert len(expiries._slots) == 1
    assert len(expiries._heap) <= STALE_SLOTS_MAX + 3
    assert drain(expiries, expires_ms + SLOT_MS, 10) == ["k"]
