"""``python -m tests.zoo``: does the testbed find every mutant of our node, how fast, and does it cry wolf?

Each mutant is run with seed after seed until it is found in one run or that run's time is over; the table and all
trials go to ``results/zoo``. What is in the JSON already, for this very commit, is not run again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.zoo import table, trials
from tests.zoo.mutant import Mutant
from tests.zoo.mutants import MUTANTS
from tests.zoo.trials import Laboratory, Trial

JSON, MARKDOWN = "zoo.json", "zoo.md"


def main() -> int:
    """Exit code 1 if a trial missed its mutant, or a control run raised an alarm."""
    arguments = _parser().parse_args()
    laboratory = Laboratory(
        version=arguments.version or trials.version(),
        runs=arguments.runs,
        time_s=arguments.time,
        port_offset=arguments.port_offset,
        network=arguments.network,
    )
    done = trials.load(arguments.out / JSON)
    known = {trial.key for trial in done}
    wanted = _controls(arguments, laboratory) if arguments.control else _hunts(arguments, laboratory)
    failed = 0
    for trial in wanted:
        if trial.key in known:
            continue
        made = laboratory.make(trial)
        print(table.progress(made), flush=True)
        failed += not made.as_it_should_be
        # Somebody else may have added to it.
        done = [*(other for other in trials.load(arguments.out / JSON) if other.key != made.key), made]
        trials.save(arguments.out / JSON, done)
        (arguments.out / MARKDOWN).write_text(table.document(done, MUTANTS))
    (arguments.out / MARKDOWN).write_text(table.document(done, MUTANTS))
    return 1 if failed else 0


def _hunts(arguments: argparse.Namespace, laboratory: Laboratory) -> Iterator[Trial]:
    """All mutants with the first seed, then all with the second: a series that is cut short has something of each."""
    mutants = list(_chosen(arguments.only))
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for mutant in mutants:
            yield laboratory.blank(mutant, seed)


def _controls(arguments: argparse.Namespace, laboratory: Laboratory) -> Iterator[Trial]:
    for seed in range(arguments.first, arguments.first + arguments.control):
        yield laboratory.blank(None, seed, arguments.system)


def _chosen(only: list[str]) -> Iterable[Mutant]:
    for name in only:
        if name not in MUTANTS:
            raise SystemExit(f"no mutant is called {name!r}: there are {', '.join(MUTANTS)}")
    if only:
        return [MUTANTS[name] for name in only]
    return [mutant for mutant in MUTANTS.values() if not mutant.harmless]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--time", type=float, default=50.0, help="seconds of chaos in a run; its end takes some more")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="repeatable")
    parser.add_argument("--control", type=int, default=0, metavar="RUNS", help="of the node as it is, in their place")
    parser.add_argument("--system", choices=("dkv", "etcd"), default="dkv", help="for --control")
    parser.add_argument("--network", choices=("auto", "kernel", "hook"), default="auto")
    parser.add_argument("--port-offset", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"), help="directories of runs that need a look")
    parser.add_argument("--out", type=Path, default=trials.RESULTS)
    parser.add_argument("--version", default="", help="what the trials are filed under; default: git describe")
    return parser


if __name__ == "__main__":
    sys.exit(main())
