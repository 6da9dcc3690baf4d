"""The checker under test by mutation: what is right is never refused, each fault always is, and is explained."""

from __future__ import annotations

import random

import pytest

from harness.checker.explanation import explain
from harness.checker.judging import judge
from harness.checker.minimal import Reduction
from harness.checker.models import MODELS
from harness.history.records import Validity
from tests.harness.checker.faults import FAULTS, Fault, broken
from tests.harness.checker.histories import simulated

OPERATIONS_MAX = 8


@pytest.mark.parametrize("model", ["register", "kv", "append", "set", "counter"])
@pytest.mark.parametrize("unique", [True, False], ids=["unique", "few values"])
def test_a_correct_store_is_never_refused(model: str, unique: bool) -> None:
    for seed in range(25):
        rng = random.Random(f"{model}{seed}")
        clients, unknown = rng.randrange(1, 9), rng.choice([0, 0.02, 0.1])
        operations = simulated(rng, model, 120, clients, unique, unknown, plain=rng.random() < 0.3)
        found = judge(MODELS[model], {"k": operations}, steps_max=100_000).validity
        assert found is not Validity.INVALID, f"seed {seed}"
        assert found is Validity.VALID or unknown or clients > 5, f"seed {seed} was not decided"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("seed", range(3))
def test_each_fault_is_refused_and_explained(fault: Fault, seed: int) -> None:
    model = MODELS[fault.model]
    operations = broken(fault, random.Random(seed), 250, 6)
    assert judge(model, {"k": operations}).validity is Validity.INVALID
    explanation = explain(model, "k", operations)
    assert fault.sentence in explanation.sentence
    assert 0 < len(explanation.operations) <= OPERATIONS_MAX
    assert {operation.key for operation in explanation.operations} == {"k"}
    if fault.model == "register":  # the few operations are a proof by themselves
        assert judge(model, {"k": explanation.operations}).validity is Validity.INVALID


@pytest.mark.parametrize("model", ["register", "kv", "append", "set", "counter"])
def test_leaving_out_invents_no_violation(model: str) -> None:
    """Whatever part of a linearizable history may be looked at by itself, it is linearizable."""
    for seed in range(150):
        rng = random.Random(f"{model}{seed}")
        unique, unknown = rng.random() < 0.5, rng.choice([0, 0.1, 0.3])
        operations = simulated(rng, model, rng.randrange(5, 40), rng.randrange(1, 7), unique, unknown)
        actions = MODELS[model].actions(operations)
        reduction = Reduction(MODELS[model], actions)
        for _ in range(6):
            share = rng.random()
            kept = reduction.closed({index for index in range(len(actions)) if rng.random() < share})
            assert not reduction.refuted(kept), f"seed {seed}: {kept}"


def test_there_are_enough() -> None:
    assert len(FAULTS) >= 13
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_the_sentence_of_the_stale_read() -> None:
    fault = next(fault for fault in FAULTS if fault.name == "stale read")
    explanation = explain(MODELS["register"], "k", broken(fault, random.Random(0), 100, 4))
    assert explanation.sentence == (
        "n3 returned @a for key k although @b had been acknowledged 0.06 ms before the read began"
    )
    assert [(operation.f, operation.value) for operation in explanation.operations] == [
        ("write", "@a"),
        ("write", "@b"),
        ("read", None),
    ]
