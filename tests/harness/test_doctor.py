"""What the doctor tries, and what it only puts together from what it tried."""

from __future__ import annotations

from harness.doctor import CUTS, DEADLY, GENTLE, PARTS
from harness.faults.catalog import KINDS
from harness.faults.partitions import Partition


def test_a_fault_that_needs_more_than_two_nodes_is_not_tried_on_two() -> None:
    assert all(isinstance(KINDS[name], Partition) for name in CUTS if name not in PARTS)


def test_what_is_put_together_is_made_of_what_is_tried() -> None:
    tried = {
        *CUTS,
        *GENTLE,
        *(name for names in DEADLY for name in names),
        "add",
        "remove",
        "leave",
        "stop",
        "kill-all",
    }
    assert {part for parts in PARTS.values() for part in parts} <= tried - set(PARTS)
