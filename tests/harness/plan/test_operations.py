"""What clients do: the rate that was asked for, few operations and few clients a key, unique values."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest

from harness.errors import UsageError
from harness.plan import operations as workloads
from harness.plan.plan import Operation


def drawn(workload: str, clients: int, rate: float, duration_s: float, seed: int = 1) -> list[Operation]:
    rng = random.Random(seed)
    return workloads.operations(rng, workloads.draw_mix(rng, workload), clients, rate, duration_s)


@pytest.mark.parametrize("workload", list(workloads.WORKLOADS))
@pytest.mark.parametrize("clients", [1, 7, 25])
def test_rate_keys_and_clients(workload: str, clients: int) -> None:
    operations = drawn(workload, clients, 1000.0, 20.0)
    assert len(operations) == 20_000
    assert [operation.time_s for operation in operations] == sorted(operation.time_s for operation in operations)
    assert {operation.client for operation in operations} == set(range(clients))
    counts = Counter(operation.key for operation in operations)
    assert max(counts.values()) <= workloads.KEY_OPERATIONS_MAX
    users = defaultdict(set)
    for operation in operations:
        users[operation.key].add(operation.client)
    assert max(map(len, users.values())) <= workloads.KEY_CLIENTS_MAX


@pytest.mark.parametrize("workload", ["register", "append", "set"])
def test_values_are_unique(workload: str) -> None:
    values = [operation.value for operation in drawn(workload, 5, 500.0, 10.0) if operation.value is not None]
    assert len(values) == len(set(values)) > 1000


def test_every_operation_of_a_workload_comes_up() -> None:
    for name, workload in workloads.WORKLOADS.items():
        assert {operation.f for seed in range(5) for operation in drawn(name, 3, 100.0, 10.0, seed)} == set(
            workload.weights
        )


def test_keys_in_the_order_of_first_use() -> None:
    operations = drawn("register", 3, 100.0, 10.0)
    keys = workloads.keys_of(operations)
    assert keys[0] == operations[0].key
    assert len(keys) == len(set(keys))


def test_an_unknown_workload_is_refused() -> None:
    with pytest.raises(UsageError, match="no workload"):
        workloads.draw_mix(random.Random(1), "bank")
