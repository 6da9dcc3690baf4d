"""Numbers of writes against real time."""

from __future__ import annotations

from harness.history.records import Validity
from harness.workloads.order import Order


def test_writes_one_after_the_other_and_at_once() -> None:
    order = Order()
    first = order.newest
    order.acknowledged(first, "a", 7, "n1")
    order.acknowledged(first, "b", 5, "n1")  # it began before 7 was acknowledged
    order.acknowledged(order.newest, "a", 8, "n2")
    assert order.newest.revision == 8
    assert order.check().validity is Validity.VALID
    assert order.check().detail == {"writes": 3}


def test_a_number_that_was_given_already() -> None:
    times = iter((1.0, 2.5, 3.0))
    order = Order(lambda: next(times))
    order.acknowledged(order.newest, "a", 7, "n1")
    order.acknowledged(order.newest, "b", 7, "n2")
    order.acknowledged(order.newest, "c", 6, "n2")
    check = order.check()
    assert check.validity is Validity.INVALID
    assert (check.key, check.time_s) == ("b", 2.5), "the first one is told"
    assert "b at revision 7 (n2, 2.500 s)" in check.sentence
    assert "a at revision 7 (n1, 1.000 s)" in check.sentence
