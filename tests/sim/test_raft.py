"""Random worlds: whatever happens, nothing acknowledged is lost, no read is stale, and peace brings agreement."""

from __future__ import annotations

import logging
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.sim.world import World

SEEDS = 200
CHUNK = 10
WORKERS = 2
SOME_SEED = 7


def failures(first: int, count: int) -> list[str]:
    """How each failing world of these is told."""
    logging.disable(logging.CRITICAL)
    told = []
    for seed in range(first, first + count):
        try:
            World(seed).run()
        except Exception as error:
            told.append(f"seed {seed}: {type(error).__name__}: {error}\n  replay: python -m tests.sim --seed {seed}")
    return told


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_world_keeps_its_promises() -> None:
    # Spawned, because a fork would copy whatever threads the tests before this one have left behind.
    context = multiprocessing.get_context("spawn")
    firsts = range(0, SEEDS, CHUNK)
    # With less priority than the tests of real processes that may run beside it.
    with ProcessPoolExecutor(WORKERS, mp_context=context, initializer=os.nice, initargs=(10,)) as pool:
        told = [line for lines in pool.map(failures, firsts, [CHUNK] * len(firsts)) for line in lines]
    assert not told, "\n".join(told)


def story_of(seed: int) -> str:
    """One world's fingerprint. One world at a time: the library has one clock a process."""
    logging.disable(logging.CRITICAL)
    try:
        world = World(seed)
        world.run()
    finally:
        logging.disable(logging.NOTSET)
    return world.fingerprint()


@pytest.mark.slow
def test_a_seed_is_the_same_world_always_and_everywhere() -> None:
    fingerprint = story_of(SOME_SEED)
    assert story_of(SOME_SEED) == fingerprint
    assert story_of(SOME_SEED + 1) != fingerprint
    for hash_seed in ("1", "2"):
        elsewhere = subprocess.run(
            [sys.executable, "-m", "tests.sim", "--seed", str(SOME_SEED)],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert elsewhere.stdout.split()[-1] == fingerprint
