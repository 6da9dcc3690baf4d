"""``python -m tests.benchmarks.raft_path``: sets and linearizable reads a second below HTTP, three nodes, fsync on.

Each node is a process of its own (``raft_path_node``); the clients are coroutines in the leader's process, a closed
loop of so many outstanding requests. With ``--against TREE`` a second cluster runs the dkv of another source tree, and
the two are measured in turn (A B A B …): on a noisy machine only their ratio means something. CPU time per operation is
less noisy than the rate; the leader's includes the clients.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.bench import manifest, recording, summary
from harness.bench.measurements import Figure
from harness.bench.run_files import RunFiles

HERE = Path(__file__).resolve()
ELECTION_S = 10.0
MANY_KEYS = 1_000_000
SETTLE_S = 0.1
"""Between two windows: a checkpoint's end, a flushed page."""


class Process:
    """One node, asked line by line."""

    def __init__(self, tree: Path, name: str, names: Sequence[str], directory: Path) -> None:
        directory.mkdir(parents=True)
        # -P: this directory has an http.py, which must not stand in for the library's.
        script = str(HERE.with_name("raft_path_node.py"))
        command = [sys.executable, "-P", script, name, ",".join(names), str(directory)]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self._answer()

    def tell(self, command: str, arguments: Any = None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()

    def ask(self, command: str, arguments: Any = None) -> Any:
        self.tell(command, arguments)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError("a node ended; its last words are above")
        return json.loads(line)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


class Cluster:
    """Nodes of one source tree."""

    def __init__(self, tree: Path, count: int, directory: Path) -> None:
        names = [f"n{number}" for number in range(1, count + 1)]
        self.nodes = [Process(tree, name, names, directory / name) for name in names]
        addresses = {f"{name}.00000000": node.address for name, node in zip(names, self.nodes, strict=True)}
        for node in self.nodes:
            node.ask("addresses", addresses)
        self.leader = self._wait_leader()

    @property
    def followers(self) -> list[Process]:
        return [node for node in self.nodes if node is not self.leader]

    def _wait_leader(self) -> Process:
        give_up = time.monotonic() + ELECTION_S
        while time.monotonic() < give_up:
            for node in self.nodes:
                if node.ask("status")["leads"]:
                    return node
            time.sleep(0.05)
        raise TimeoutError(f"no leader within {ELECTION_S} s")

    def measure(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self.leader = self._wait_leader()  # another one perhaps, since the last window or the many keys
        before = [node.ask("cpu") for node in self.followers]
        result: dict[str, Any] = self.leader.ask("load", arguments)
        used = [node.ask("cpu") - cpu for node, cpu in zip(self.followers, before, strict=True)]
        result["follower_cpu_us"] = statistics.mean(used or [0.0]) / result["count"] * 1e6
        return result

    def profiled(self, arguments: dict[str, Any], order: str) -> tuple[str, str]:
        """What a leader and a follower spend their time on."""
        watched = (self.leader, self.followers[0])
        for node in watched:
            node.ask("profile")
        self.leader.ask("load", arguments)
        leader, follower = (str(node.ask("profile", order)) for node in watched)
        return leader, follower

    def agreed(self) -> bool:
        """Whether all nodes came to the same state."""
        give_up = time.monotonic() + ELECTION_S
        while time.monotonic() < give_up:
            if len({json.dumps([s["applied"], s["digest"]]) for s in (node.ask("status") for node in self.nodes)}) == 1:
                return True
            time.sleep(0.1)
        return False

    def end(self) -> None:
        for node in self.nodes:
            node.end()


COLUMNS = ("rate", "p50_ms", "p99_ms", "leader_cpu_us", "follower_cpu_us", "turns_s", "entries_s")


def report(measured: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """Medians, the spread of the rates, and each tree's ratio to the first one, pair by pair."""
    head = f"{'operations/s':>12s} {'min-max':>15s} {'p50 ms':>7s} {'p99 ms':>7s} {'leader µs':>9s} {'follower':>8s}"
    print(f"\n{'':22s} {head} {'turns/s':>7s} {'entries/s':>9s} {'ratio (min-max)':>18s} {'CPU':>5s}")
    base: list[dict[str, Any]] = []
    for (case, tree), runs in measured.items():
        median = {name: statistics.median(run[name] for run in runs) for name in COLUMNS}
        rates = [run["rate"] for run in runs]
        if tree == "A":
            base = runs
        ratios = [run["rate"] / other["rate"] for run, other in zip(runs, base, strict=True)]
        cpu = statistics.median(cpu_us(run) / cpu_us(other) for run, other in zip(runs, base, strict=True))
        print(
            f"{case:20s} {tree} {median['rate']:12.0f} {f'{min(rates):.0f}-{max(rates):.0f}':>15s} "
            f"{median['p50_ms']:7.2f} {median['p99_ms']:7.2f} {median['leader_cpu_us']:9.1f} "
            f"{median['follower_cpu_us']:8.1f} {median['turns_s']:7.0f} {median['entries_s']:9.0f} "
            f"{f'{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})':>18s} {cpu:5.2f}"
        )


def cpu_us(run: dict[str, Any]) -> float:
    """Of a leader and two followers."""
    return float(run["leader_cpu_us"] + 2 * run["follower_cpu_us"])


PROGRAM = ("python", "-m", "tests.benchmarks.raft_path")


def record(run_directory: Path, runs: Sequence[dict[str, Any]], keys: int) -> None:
    """Add what one tree made at 64 outstanding to a run of ``dkv-harness bench``, and its summary says so too."""
    names = ("log-path-sustained-rate", "log-path-p99") if keys >= MANY_KEYS else ("log-path-rate",)
    files = RunFiles(run_directory, manifest.part(PROGRAM), recording.read(run_directory))
    for number, run in enumerate(runs, 1):
        for name in names:
            column, unit = ("p99_ms", "ms") if name.endswith("p99") else ("rate", "/s")
            files.figure(Figure(system="dkv", name=name, round=number, value=run[column], unit=unit, keys=keys))
    summary.write(run_directory)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.raft_path", description=__doc__)
    parser.add_argument("--against", type=Path, help="another source tree: A; this one is B then")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--cases", default="set:64,set:1,set:256,get:64", help="set, get or batch:outstanding, …")
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--size", type=int, default=16, help="bytes of a value")
    parser.add_argument("--preload", action="store_true", help="write all keys first")
    parser.add_argument("--slices", action="store_true", help="operations in each second")
    parser.add_argument("--profile", metavar="ORDER", help="tottime, cumtime: where a leader and a follower spend it")
    parser.add_argument("--record", type=Path, metavar="RUN", help="add set:64 to this run of dkv-harness bench")
    options = parser.parse_args()
    if options.record is not None:
        manifest.check_same(recording.read(options.record).manifest, manifest.part(PROGRAM))  # before, not after
    trees = {"A": HERE.parents[2]}
    if options.against is not None:
        trees = {"A": options.against.resolve(), "B": HERE.parents[2]}
    cases = [case.partition(":") for case in options.cases.split(",")]
    clusters: dict[str, Cluster] = {}
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="raft-path-") as directory:
        try:
            for name, tree in trees.items():
                clusters[name] = cluster = Cluster(tree, options.nodes, Path(directory, name))
                if options.preload:
                    cluster.leader.ask("preload", {"keys": options.keys, "value": "v" * options.size})
            for number in range(options.rounds):
                for what, _, outstanding in cases:
                    arguments = {
                        "what": what,
                        "outstanding": int(outstanding),
                        "seconds": options.seconds,
                        "keys": options.keys,
                        "size": options.size,
                    }
                    for name, cluster in clusters.items():
                        if options.profile:
                            print("\n".join(cluster.profiled(arguments, options.profile)))
                        time.sleep(SETTLE_S)
                        run = cluster.measure(arguments)
                        measured.setdefault((f"{what}, {outstanding} outstanding", name), []).append(run)
                        shown = " ".join(f"{column} {run[column]:.1f}" for column in (*COLUMNS, "max_ms"))
                        print(f"round {number + 1} {name} {what}:{outstanding} {shown}", flush=True)
                        if options.slices:
                            print("  a second:", *run["slices"], flush=True)
            print("all nodes agree" if all(cluster.agreed() for cluster in clusters.values()) else "NODES DIFFER")
        finally:
            for cluster in clusters.values():
                cluster.end()
    report(dict(sorted(measured.items())))
    if options.record is not None:
        record(options.record, measured["set, 64 outstanding", "B" if "B" in trees else "A"], options.keys)


if __name__ == "__main__":
    main()
