"""Who is loaded when."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.bench import interleaving, matrix
from harness.bench.measurements import Cell

SYSTEMS = ("dkv", "etcd", "zookeeper", "pysyncobj")


@given(st.integers(1, 9), st.lists(st.sampled_from(SYSTEMS), unique=True, min_size=1))
def test_each_cell_has_a_warm_up_and_every_round_of_every_system_that_can(rounds: int, systems: list[str]) -> None:
    stages = interleaving.stages(matrix.full(), systems, rounds, matrix.is_able)
    found = [(block.cell, block.system, block.round) for stage in stages for block in stage.blocks]
    wanted = {
        (cell, system, number)
        for cell in matrix.full()
        for system in systems
        if matrix.is_able(system, cell)
        for number in range(rounds + 1)
    }
    assert len(found) == len(set(found))
    assert set(found) == wanted


@given(st.integers(1, 9))
def test_systems_take_turns_and_another_one_is_first_each_round(rounds: int) -> None:
    cell = Cell(operation="set", target="leader", connections=64)
    (stage,) = interleaving.stages([cell], SYSTEMS, rounds, matrix.is_able)
    by_round = [[block.system for block in stage.blocks if block.round == number] for number in range(rounds + 1)]
    assert all(sorted(order) == sorted(SYSTEMS) for order in by_round)
    assert all(one[0] != other[0] for one, other in pairwise(by_round))
    assert [block.round for block in stage.blocks] == sorted(block.round for block in stage.blocks)


def test_cells_of_one_cluster_share_a_stage_and_who_has_nothing_to_do_is_not_started() -> None:
    cells = [
        Cell(operation="set", target="leader", connections=1),
        Cell(operation="get", target="leader", connections=1, level="linearizable", nodes=5),
        Cell(operation="set", target="leader", connections=64),
    ]
    stages = interleaving.stages(cells, SYSTEMS, 1, matrix.is_able)
    assert [(stage.nodes, len({block.cell for block in stage.blocks})) for stage in stages] == [(3, 2), (5, 1)]
    assert stages[1].systems == ("dkv", "etcd", "zookeeper")


def test_warm_ups_do_not_count_and_are_short() -> None:
    cell = Cell(operation="set", target="leader", connections=1)
    warm_up, counted = (interleaving.Block("dkv", cell, number) for number in (0, 1))
    assert (warm_up.counts, counted.counts) == (False, True)
    assert (interleaving.block_s(warm_up, 60.0), interleaving.block_s(counted, 60.0)) == (2.0, 60.0)


def test_the_quick_matrix_beside_etcd_takes_at_most_twelve_minutes_as_it_comes() -> None:
    stages = interleaving.stages(matrix.quick(), ("dkv", "etcd"), 5, matrix.is_able)
    assert 300.0 < interleaving.estimate_s(stages, 4.0) <= 720.0


def test_rounds_that_are_there_are_not_taken_again_and_nobody_takes_his_turn_later() -> None:
    cells = matrix.quick()[:2]
    stages = interleaving.stages(cells, SYSTEMS, 3, matrix.is_able)
    (left,) = interleaving.remaining(stages, {(cells[0], number) for number in (1, 2, 3)} | {(cells[1], 1)})
    assert {block.cell for block in left.blocks} == {cells[1]}
    for system in SYSTEMS:
        assert [block.round for block in left.blocks if block.system == system] == [0, 2, 3], "a warm-up again"
    assert interleaving.remaining(stages, {(cell, number) for cell in cells for number in (1, 2, 3)}) == ()
    assert interleaving.remaining(stages, ()) == stages
