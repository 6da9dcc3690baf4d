"""``python -m tests.benchmarks.failover``: from ``kill -9`` of the leader to the next acknowledged write, many times.

Five real nodes, four writers and one reader with the clients that users have. A round: find the leader by status, kill
it, wait until every writer was acknowledged by another node, start the victim again, wait until the cluster is whole.
``any`` is the first such write of anybody, ``all`` the first of the writer that waited longest. At the end the whole
history is judged as in the system tests: nothing acknowledged may be lost, no read may be stale.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.system.load import Load
from tests.system.testbed import PATIENCE_S, Testbed

STEADY_S = (0.3, 1.0)
"""Load on a whole cluster before each kill; drawn, so that kills fall anywhere between two heartbeats."""


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds from the signal; ``clients_s``: to each writer's next acknowledged write."""

    victim: str
    successor: str
    clients_s: tuple[float, ...]
    whole_s: float
    load_average: float

    @property
    def any_s(self) -> float:
        return self.clients_s[0]

    @property
    def all_s(self) -> float:
        return self.clients_s[-1]


def one_round(testbed: Testbed, load: Load, rng: random.Random) -> Round:
    """Kill the leader, measure, and make the cluster whole again."""
    testbed.healthy()
    time.sleep(rng.uniform(*STEADY_S))
    leader = testbed.healthy()
    killed_s = testbed.kill([leader.name])
    writes = load.wait_progress(killed_s, PATIENCE_S, not_by=leader.rest, by_all=True)
    first: dict[int, float] = {}
    for event in writes:
        first.setdefault(load.writer(event.process), event.time_s - killed_s)
    testbed.cluster.start_named([leader.name])
    successor = testbed.healthy()
    whole_s = time.monotonic() - killed_s
    return Round(leader.name, successor.name, tuple(sorted(first.values())), whole_s, os.getloadavg()[0])


def spread(name: str, values_s: Sequence[float]) -> str:
    """Median, range and 90th percentile in ms."""
    values = sorted(value * 1000 for value in values_s)
    p90 = values[min(len(values) - 1, len(values) * 9 // 10)]
    return f"{name:24s} {statistics.median(values):8.0f} {values[0]:8.0f} {values[-1]:8.0f} {p90:8.0f}"


def report(rounds: Sequence[Round]) -> None:
    print(f"\n{'ms from kill -9 to':24s} {'median':>8s} {'min':>8s} {'max':>8s} {'p90':>8s}   ({len(rounds)} rounds)")
    print(spread("next write, any client", [each.any_s for each in rounds]))
    print(spread("next write, each client", [seconds for each in rounds for seconds in each.clients_s]))
    print(spread("next write, last client", [each.all_s for each in rounds]))
    print(spread("whole again, 5 voters", [each.whole_s for each in rounds]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of the pauses between the rounds")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    print(f"{'round':>5s} {'victim':>7s} {'next':>6s} {'any ms':>7s} {'all ms':>7s} {'whole ms':>9s} {'load':>5s}")
    rounds = []
    with tempfile.TemporaryDirectory() as directory:
        testbed = Testbed(Path(directory, "run"))
        try:
            testbed.up(5)
            with Load(testbed.addresses, writers=options.writers, readers=1) as load:
                for number in range(1, options.rounds + 1):
                    each = one_round(testbed, load, rng)
                    rounds.append(each)
                    print(
                        f"{number:5d} {each.victim:>7s} {each.successor:>6s} {each.any_s * 1000:7.0f} "
                        f"{each.all_s * 1000:7.0f} {each.whole_s * 1000:9.0f} {each.load_average:5.1f}",
                        flush=True,
                    )
            verdict = testbed.verdict(load)
        finally:
            testbed.down()
        damage = testbed.damage()
    report(rounds)
    print(f"\n{verdict}")
    print("\n".join(damage) or "no node complained, none ended by itself")
    sys.exit(1 if verdict.violations or damage else 0)


if __name__ == "__main__":
    main()
