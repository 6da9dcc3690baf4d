"""What is measured, and for whom."""

from __future__ import annotations

import pytest

from harness.bench import matrix, targets
from harness.bench.measurements import Cell, Loop
from harness.errors import UsageError


@pytest.mark.parametrize("make", matrix.MATRICES.values(), ids=matrix.MATRICES)
def test_every_cell_is_there_once_and_dkv_can_do_it(make: object) -> None:
    assert callable(make)
    cells = make()
    assert len(set(cells)) == len({matrix.name(cell) for cell in cells}) == len(cells)
    assert all(matrix.is_able("dkv", cell) for cell in cells)


def test_the_full_matrix_has_all_that_was_asked_for() -> None:
    cells = matrix.full()
    assert {cell.connections for cell in cells} == {1, 16, 64, 256}
    assert {cell.value_bytes for cell in cells} == {16, 1_024, 65_536}
    assert {cell.nodes for cell in cells} == {3, 5, 7}
    assert {(cell.operation, cell.target, cell.level) for cell in cells} >= {
        ("set", "leader", ""),
        ("set", "spread", ""),
        ("get", "leader", "linearizable"),
        ("get", "follower", "linearizable"),
        ("get", "spread", "linearizable"),
        ("get", "follower", "none"),
        ("batch-100", "leader", ""),
        *((operation, "leader", "linearizable") for operation in matrix.READS_PER_CENT),
    }
    assert any(cell.loop is Loop.OPEN for cell in cells)


def test_the_quick_matrix_serves_every_target_of_the_table_that_is_a_cell_of_1000_keys() -> None:
    quick = set(matrix.quick())
    for target in targets.TARGETS:
        cells = getattr(target.measure, "cells", ())
        assert not cells or quick & set(cells), target.what


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (["set"], ["set@leader 1c", "set@leader 64c", "set@leader 256c"]),
        (["set 64c"], ["set@leader 64c"]),
        (["get-*"], ["get-linearizable@leader 1c", "get-linearizable@leader 64c", "get-linearizable@follower 64c"]),
        (["*@follower 64c", "batch-*"], ["get-linearizable@follower 64c", "get-none@follower 64c", "batch-100@leader"]),
    ],
)
def test_narrowing(only: list[str], names: list[str]) -> None:
    found = [matrix.name(cell) for cell in matrix.narrowed(matrix.quick(), only)]
    assert all(any(name.startswith(wanted) for name in found) for wanted in names)
    assert [name for name in found if "set@" in name] == [name for name in found if "set@" in name and "set" in only[0]]


def test_narrowing_to_nothing_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="leaves nothing of"):
        matrix.narrowed(matrix.quick(), ["set 3c"])
    assert matrix.narrowed((), ["set"]) == ()


def test_what_a_system_lacks_is_left_out() -> None:
    read = Cell(operation="get", target="leader", connections=1, level="linearizable")
    assert not matrix.is_able("pysyncobj", read)
    assert matrix.is_able("zookeeper", read)
    opened = Cell(operation="set", target="leader", connections=1, loop=Loop.OPEN, offered_per_s=10)
    assert matrix.is_able("etcd", opened)
    assert not matrix.is_able("zookeeper", opened)
