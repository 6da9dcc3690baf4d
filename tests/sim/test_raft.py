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
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        told = [line for lines in pool.map(failures, firsts, [CHUNK] * len(firsts)) for line in lines]
    assert not told, "\n".join(told)


@pytest.mark.slow
def test_a_seed_gives_the_same_world_in_every_process() -> None:
    logging.disable(logging.CRITICAL)
    try:
        worlds = [World(SOME_SEED) for _ in range(2)]
        counts = [world.run() for world in worlds]
    finally:
        logging.disable(logging.NOTSET)
    assert counts[0] == counts[1]
    fingerprint = worlds[0].fingerprint()
    assert fingerprint == worlds[1].fingerprint()
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


@pytest.mark.slow
def test_two_seeds_give_two_worlds() -> None:
    logging.disable(logging.CRITICAL)
    try:
        fingerprints = set()
        for seed in (SOME_SEED, SOME_SEED + 1):
            world = World(seed)
            world.run()
            fingerprints.add(world.fingerprint())
    finally:
        logging.disable(logging.NOTSET)
    assert len(fingerprints) == 2
