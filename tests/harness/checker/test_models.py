"""What operations mean, model by model: small tables, each also judged by the brute force where it knows the model."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checker.judging import judge
from harness.checker.models import MODELS, infer
from harness.history.events import EventType
from harness.history.operations import MISMATCH, NEVER, HistoryError, Operation
from harness.history.records import Validity
from tests.harness.checker.twin import INITIAL, linearizable

OK, FAIL, INFO = EventType.OK, EventType.FAIL, EventType.INFO
Row = tuple[str, Any, EventType, Any]


def sequential(rows: list[Row], error: str | None = None) -> list[Operation]:
    """One after another; those of unknown outcome by processes that vanish."""
    return [
        Operation(
            number if type is INFO else -1, f, "k", value, 2 * number, 0.0, type, result,
            NEVER if type is INFO else 2 * number + 1, None, None,
            (error or MISMATCH) if type is FAIL and f == "cas" else None,
        )
        for number, (f, value, type, result) in enumerate(rows)
    ]  # fmt: skip


W1, W2, W1_UNKNOWN, W1_FAILED = (
    ("write", 1, OK, 1),
    ("write", 2, OK, 2),
    ("write", 1, INFO, None),
    ("write", 1, FAIL, None),
)
R0, R1, R2 = (("read", None, OK, value) for value in (None, 1, 2))
REGISTER: dict[str, tuple[list[Row], bool]] = {
    "nothing": ([], True),
    "absent at first": ([R0], True),
    "written, read": ([W1, R1], True),
    "lost": ([W1, R0], False),
    "overwritten": ([W1, W2, R1], False),
    "unknown, never": ([W1_UNKNOWN, R0, R0], True),
    "unknown, late": ([W1_UNKNOWN, R0, R1, R1], True),
    "unknown, withdrawn": ([W1_UNKNOWN, R1, R0], False),
    "unknown, once": ([W1_UNKNOWN, R1, W2, R1], False),
    "unknown, two of them": ([W1_UNKNOWN, W1_UNKNOWN, R1, W2, R1], True),
    "failed": ([W1_FAILED, R0], True),
    "failed and seen": ([W1_FAILED, R1], False),
    "cas": ([W1, ("cas", [1, 2], OK, [1, 2]), R2], True),
    "cas without its value": ([W2, ("cas", [1, 2], OK, [1, 2])], False),
    "cas from absent": ([("cas", [None, 1], OK, [None, 1]), R1], True),
    "cas refused": ([W2, ("cas", [1, 2], FAIL, None)], True),
    "cas refused although": ([W1, ("cas", [1, 2], FAIL, None)], False),
    "cas refused, absent": ([("cas", [None, 2], FAIL, None)], False),
    "cas to the same value": ([W1, ("cas", [1, 1], OK, [1, 1]), R1], True),
    "cas to the same value, not there": ([W2, ("cas", [1, 1], OK, [1, 1])], False),
    "cas unknown": ([W1, ("cas", [1, 2], INFO, None), R1, R2, R2], True),
    "cas unknown, not its value": ([W2, ("cas", [1, 3], INFO, None), ("read", None, OK, 3)], False),
    "deleted": ([W1, ("delete", None, OK, True), R0], True),
    "deleted, there": ([W1, ("delete", None, OK, True), R1], False),
    "delete tells there": ([("delete", None, OK, True)], False),
    "delete tells absent": ([W1, ("delete", None, OK, False)], False),
    "delete does not tell": ([("delete", None, OK, None), W1, ("delete", None, OK, None), R0], True),
    "delete unknown": ([W1, ("delete", None, INFO, None), R1, R0, R0], True),
    "delete unknown, once": ([W1, ("delete", None, INFO, None), R0, W2, R0], False),
    "a refusal explained by an unknown write": ([W1, ("write", 2, INFO, None), ("cas", [1, 3], FAIL, None)], True),
    "true is not 1": ([("write", True, OK, True), R1], False),
}


@pytest.mark.parametrize(("rows", "expected"), REGISTER.values(), ids=REGISTER)
def test_register(rows: list[Row], expected: bool) -> None:
    check("register", rows, expected)


def check(model: str, rows: list[Row], expected: bool) -> None:
    operations = sequential(rows)
    if model in INITIAL and not any(value is True for _, value, _, _ in rows):
        assert linearizable(model, operations) is expected, "the table itself"
    assert (judge(MODELS[model], {"k": operations}).validity is Validity.VALID) is expected


OTHERS: dict[str, tuple[str, list[Row], bool]] = {
    "kv": (
        "kv",
        [("get", None, OK, ""), ("append", "a", OK, "a"), ("put", "b", OK, "b"), ("get", None, OK, "b")],
        True,
    ),
    "kv, appended": ("kv", [("append", "a", OK, "a"), ("append", "b", OK, "b"), ("get", None, OK, "ab")], True),
    "kv, lost": ("kv", [("append", "a", OK, "a"), ("append", "b", OK, "b"), ("get", None, OK, "b")], False),
    "kv, absent is empty": ("kv", [("get", None, OK, ""), ("append", "", OK, ""), ("get", None, OK, "")], True),
    "list": ("append", [("append", 1, OK, 1), ("append", 1, OK, 1), ("read", None, OK, [1, 1])], True),
    "list, order": ("append", [("append", 1, OK, 1), ("append", 2, OK, 2), ("read", None, OK, [2, 1])], False),
    "list, late": ("append", [("append", 1, INFO, None), ("read", None, OK, []), ("read", None, OK, [1])], True),
    "set": ("set", [("add", 1, OK, 1), ("add", 2, OK, 2), ("read", None, OK, [2, 1])], True),
    "set, twice": ("set", [("add", 1, OK, 1), ("add", 1, OK, 1), ("read", None, OK, [1])], True),
    "set, lost": ("set", [("add", 1, OK, 1), ("read", None, OK, [])], False),
    "counter": ("counter", [("increment", 2, OK, 2), ("increment", -3, OK, -3), ("read", None, OK, -1)], True),
    "counter, twice": ("counter", [("increment", 2, OK, 2), ("read", None, OK, 4)], False),
    "mutex": ("mutex", [("acquire", None, OK, None), ("release", None, OK, None), ("acquire", None, OK, None)], True),
    "mutex, two": ("mutex", [("acquire", None, OK, None), ("acquire", None, OK, None)], False),
    "mutex, not held": ("mutex", [("release", None, OK, None)], False),
    "mutex, late": ("mutex", [("acquire", None, INFO, None), ("release", None, OK, None)], True),
}


@pytest.mark.parametrize(("model", "rows", "expected"), OTHERS.values(), ids=OTHERS)
def test_others(model: str, rows: list[Row], expected: bool) -> None:
    check(model, rows, expected)


@pytest.mark.parametrize(("model", "rows"), [(model, rows) for model, rows, _ in OTHERS.values() if len(rows) > 2])
def test_the_model_is_seen_from_the_operations(model: str, rows: list[Row]) -> None:
    assert infer(sequential(rows)).name == model


def test_a_failure_that_says_nothing_of_the_value_constrains_nothing() -> None:
    rows: list[Row] = [W1, ("cas", [1, 2], FAIL, None)]
    assert judge(MODELS["register"], {"k": sequential(rows, "TIMEOUT")}).validity is Validity.VALID


REFUSED: dict[str, tuple[str, Row]] = {
    "no operation 'enqueue'": ("register", ("enqueue", 1, OK, 1)),
    "needs \\[expected, new\\]": ("register", ("cas", 1, OK, 1)),
    "was answered with": ("register", ("write", 1, OK, 2)),
    "texts": ("kv", ("put", 1, OK, 1)),
    "read as a list": ("append", ("read", None, OK, "abc")),
    "whole numbers": ("counter", ("increment", "x", OK, "x")),
}


@pytest.mark.parametrize(("reason", "case"), REFUSED.items())
def test_what_is_not_understood_is_refused(reason: str, case: tuple[str, Row]) -> None:
    model, row = case
    with pytest.raises(HistoryError, match=reason):
        judge(MODELS[model], {"k": sequential([row])})
