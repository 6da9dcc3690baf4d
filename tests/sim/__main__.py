"""``python -m tests.sim --seed 119`` replays one world, ``--seeds 2000 --first 0`` tries many."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from collections import Counter

from tests.sim.world import World


def main() -> int:
    """Exit code 1 if a seed fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one and show the whole traceback")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kind", choices=("any", "tcp", "chaos", "members"), default="any")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if arguments.seed is not None:
        world = World(arguments.seed, arguments.kind)
        print(world.profile)
        print(dict(world.run()))
        print(world.fingerprint())
        return 0
    total: Counter[str] = Counter()
    failed: list[int] = []
    began = time.perf_counter()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        try:
            total += World(seed, arguments.kind).run()
        except Exception as error:
            failed.append(seed)
            where = traceback.extract_tb(error.__traceback__)[-1]
            print(f"seed {seed}: {type(error).__name__}: {error}  [{where.name}:{where.lineno}]", flush=True)
        if (seed + 1) % 50 == 0:
            print(f"... {seed + 1 - arguments.first} seeds, {time.perf_counter() - began:.0f} s", flush=True)
    print(f"{arguments.seeds} seeds in {time.perf_counter() - began:.0f} s: {dict(total)}; failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
