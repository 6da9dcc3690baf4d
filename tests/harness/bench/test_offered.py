"""Which rates an open loop offers to whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.bench.offered import APART, SHARES, rates


def test_shares_of_the_slowest_for_all_and_more_for_the_faster() -> None:
    assert rates({"dkv": 8_800.0, "etcd": 3_170.0}) == {
        "dkv": [790, 1_600, 2_400, 4_400, 6_600],
        "etcd": [790, 1_600, 2_400],
    }
    assert rates({"dkv": 1_000.0, "etcd": 1_010.0})["etcd"] == [250, 500, 750], "no two that are one"


@given(st.dictionaries(st.text(), st.floats(0.1, 1e6), min_size=1))
def test_everybody_is_offered_what_the_slowest_can_serve_and_nobody_all_that_it_can(closed: dict[str, float]) -> None:
    found = rates(closed)
    common = set.intersection(*map(set, found.values()))
    assert len(common) >= (1 if min(closed.values()) < 10 else len(SHARES))
    for system, offered in found.items():
        assert offered == sorted(offered)
        assert offered[-1] <= max(1, 0.9 * max(closed[system], APART))
