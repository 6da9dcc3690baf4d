"""The checker against the brute force: 10,000 random small histories, and no difference."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from harness.checker.decisions import decide
from harness.checker.judging import judge
from harness.checker.models import MODELS
from harness.checker.problem import Problem
from harness.checker.search import Outcome, Search
from harness.history.events import EventType
from harness.history.operations import Operation
from harness.history.records import Validity
from tests.harness.checker.histories import arbitrary, operation
from tests.harness.checker.twin import linearizable

COUNTS = {"register": 5_600, "kv": 1_400, "append": 1_000, "set": 1_000, "counter": 1_000}
"""Together 10,000; the register has the most rules."""
WRONG_SHARE_MIN = 0.1


def drawn(model: str, seed: int) -> list[Operation]:
    """Unique and few values, no, few and many operations of unknown outcome, one to seven clients."""
    rng = random.Random(f"{model}{seed}")
    unique, unknown = rng.random() < 0.5, rng.choice([0, 0, 0.1, 0.3, 0.5])
    return arbitrary(rng, model, rng.randrange(2, 14), rng.randrange(1, 8), unique, unknown)


@pytest.mark.parametrize("model", COUNTS)
def test_equal_to_the_brute_force(model: str) -> None:
    verdicts: Counter[bool] = Counter()
    for seed in range(COUNTS[model]):
        operations = drawn(model, seed)
        expected = linearizable(model, operations)
        verdicts[expected] += 1
        found = judge(MODELS[model], {"k": operations}).validity is Validity.VALID
        assert found == expected, f"seed {seed}"
        # Whatever quicker way the verdict took, the search alone comes to the same.
        actions = MODELS[model].actions(operations)
        if decide(MODELS[model], actions) is not None:
            search = Search(Problem(MODELS[model], actions))
            assert (search.advance(10**9) is Outcome.LINEARIZABLE) == expected, f"seed {seed}, by search"
    assert verdicts[False] > WRONG_SHARE_MIN * COUNTS[model], "wrong histories are what it is about"


FOUND_BY_LONGER_RUNS: dict[str, tuple[str, list[tuple[int, str, object, int, int | None, object]]]] = {
    "an unknown delete that changes nothing hides a write": (
        "register",
        [
            (1, "write", 0, 0, 5, 0),
            (2, "delete", None, 1, None, None),
            (3, "cas", [None, 2], 3, 4, [None, 2]),
            (1, "read", None, 6, 8, 2),
            (3, "delete", None, 7, 9, True),
        ],
    ),
    "it hides one that nobody reads": (
        "register",
        [
            (0, "write", 0, 0, 6, 0),
            (1, "delete", None, 1, None, None),
            (2, "cas", [None, 2], 2, 5, [None, 2]),
            (3, "read", None, 4, 13, 4),
            (0, "cas", [2, 4], 7, 10, [2, 4]),
        ],
    ),
    "what was overwritten is appended together again": (
        "kv",
        [
            (1, "append", "a", 0, 9, "a"),
            (0, "append", "a", 1, 3, "a"),
            (2, "append", "a", 2, 7, "a"),
            (3, "get", None, 4, 8, "aa"),
            (4, "put", "a", 5, 6, "a"),
            (0, "append", "a", 10, 17, "a"),
            (2, "get", None, 12, 15, "aa"),
            (1, "put", "a", 16, 18, "a"),
            (2, "get", None, 19, 21, "aa"),
        ],
    ),
}


@pytest.mark.parametrize(("model", "rows"), FOUND_BY_LONGER_RUNS.values(), ids=FOUND_BY_LONGER_RUNS)
def test_what_longer_runs_found(model: str, rows: list[tuple[int, str, object, int, int | None, object]]) -> None:
    """False alarms of earlier versions of this checker, all linearizable."""
    operations = [
        operation(p, f, value, begin, end or 0, EventType.OK if end else EventType.INFO, result)
        for p, f, value, begin, end, result in rows
    ]
    assert linearizable(model, operations)
    assert judge(MODELS[model], {"k": operations}).validity is Validity.VALID
