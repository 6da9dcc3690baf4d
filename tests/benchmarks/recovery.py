"""``python -m tests.benchmarks.recovery``: how long a killed node takes to come back, and what stalls a node.

``--keys 100000``: one node is filled with keys of 100 bytes (in batches), killed with -9 and started again: from exec
to its ready line, once from the log alone and once from a checkpoint, beside an empty node's start.
``--keys 1000000 --stall``: the longest answers of ``/livez`` (asked every 5 ms by another process) while a checkpoint
of that many keys is written, and while a snapshot of them is installed at a new node and at one that was away.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from dkv.client import Client
from harness.control import ask
from tests.benchmarks.pulse import HEAD, Pulse, summary
from tests.system.testbed import PATIENCE_S, Testbed

BATCH = 1000
NEVER = 1 << 40
"""Of entries or bytes: no checkpoint."""
TRICKLE = 1500
"""Small writes between the fill and the checkpoint: the comparison without it."""


@contextmanager
def cluster(nodes: int, **raft_options: int) -> Iterator[Testbed]:
    """Of real nodes with these knobs of ``dkv.raft.options``."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "dkv.toml")
        config.write_text("[raft_options]\n" + "".join(f"{name} = {value}\n" for name, value in raft_options.items()))
        command = [sys.executable, "-m", "dkv", "serve", "--config", str(config)]
        cache = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{directory}/pyc"}  # as installed
        testbed = Testbed(Path(directory, "run"), shlex.join(command), cache)
        try:
            testbed.up(nodes)
            yield testbed
        finally:
            testbed.down()


def fill(address: str, keys: int) -> float:
    """Write keys of 100 bytes; seconds."""
    began = time.monotonic()
    with Client([address], timeout=PATIENCE_S) as client:
        for first in range(0, keys, BATCH):
            numbers = range(first, min(first + BATCH, keys))
            client.batch([{"cmd": "set", "key": f"key{n:08d}", "val": f"{n:089d}"} for n in numbers], idempotent=False)
    return time.monotonic() - began


def status(address: str) -> dict[str, Any]:
    with Client([address], timeout=PATIENCE_S) as client:
        return client.status()


def wait(what: str, check: Callable[[], bool], patience_s: float = 2 * PATIENCE_S) -> float:
    """Until ``check``; when it came true (``time.monotonic``)."""
    give_up = time.monotonic() + patience_s
    while not check():
        if time.monotonic() > give_up:
            raise TimeoutError(what)
        time.sleep(0.02)
    return time.monotonic()


def come_back(testbed: Testbed, name: str) -> tuple[float, float]:
    """Kill -9 and start: seconds to the ready line, and what of them the node had of a processor."""
    out = testbed.run_dir.out(name)
    testbed.kill([name])
    lines = out.read_text().count("\n")
    began = time.monotonic()
    ask(testbed.run_dir, "start", names=[name])
    elapsed_s = wait("ready", lambda: out.read_text().count("\n") > lines) - began
    spent = psutil.Process(testbed.survey().member(name).pid).cpu_times()
    return elapsed_s, spent.user + spent.system


def recoveries(keys: int, rounds: int) -> None:
    print(
        f"{'seconds from exec to the ready line':44s} {'median':>7s} {'min':>7s} {'max':>7s} {'cpu':>7s} {'load':>5s}"
    )
    cases = {"an empty node": (0, NEVER), f"{keys} keys, log only": (keys, NEVER)}
    cases[f"{keys} keys, checkpoint and log"] = (keys, keys // BATCH)
    for case, (count, entries) in cases.items():
        with cluster(1, checkpoint_entries=entries, checkpoint_bytes=NEVER) as testbed:
            (address,) = testbed.addresses
            fill(address, count)
            if count and entries < NEVER:
                with Client([address]) as client:
                    client.set("last", "1")
                wait("a checkpoint", lambda address=address: status(address)["checkpoint_index"] > 0)  # type: ignore[misc]
            come_back(testbed, "n1")  # what it imports is cached now
            times, spent = zip(*(come_back(testbed, "n1") for _ in range(rounds)), strict=True)
            held = status(address)
            assert held["keys"] >= count, held
            median, cpu, load = statistics.median(times), statistics.median(spent), os.getloadavg()[0]
            print(f"{case:44s} {median:7.2f} {min(times):7.2f} {max(times):7.2f} {cpu:7.2f} {load:5.1f}", flush=True)


def stalls(keys: int, nodes: int) -> None:
    entries = keys // BATCH + TRICKLE
    with cluster(nodes, checkpoint_entries=entries, checkpoint_bytes=NEVER, keep_entries=100) as testbed:
        leader = testbed.healthy().rest
        print(f"{nodes} nodes, {keys} keys filled in {fill(leader, keys):.0f} s")
        print(HEAD)
        checkpoint(testbed, leader, entries, "small writes", lambda client: client.set("small", "2"))
        checkpoint(testbed, leader, entries, f"batches of {BATCH}", scattered(keys))
        if nodes > 1:
            new_node(testbed, leader, keys)
            returning_node(testbed, leader, keys)


def report(what: str, testbed: Testbed, pulses: list[Pulse], from_s: float, to_s: float) -> None:
    names = {member.rest: member.name for member in testbed.survey().members}
    for pulse in pulses:
        print(summary(f"{what}, {names[pulse.address]} ({to_s - from_s:.1f} s)", pulse.between(from_s, to_s)))
    print(f"{'':44s} load average {os.getloadavg()[0]:.1f}", flush=True)


def checkpoint(testbed: Testbed, leader: str, entries: int, what: str, write: Callable[[Client], object]) -> None:
    """Small writes until it is due, then ``write`` while every node writes the state down, and after it."""
    addresses = testbed.addresses
    with ExitStack() as stack, Client([leader], timeout=PATIENCE_S) as client:
        pulses = [stack.enter_context(Pulse(address)) for address in addresses]
        time.sleep(1.0)
        quiet_s = time.monotonic()
        before = {address: client.status(address)["checkpoint_index"] for address in addresses}
        due = max(before.values()) + entries
        while client.set("small", "1") < due - 1:
            pass
        due_s = time.monotonic()
        while not all(client.status(address)["checkpoint_index"] > before[address] for address in addresses):
            write(client)
        end_s = time.monotonic() + 3.0  # older log and files are deleted after it
        while time.monotonic() < end_s:
            write(client)
    report("small writes before it", testbed, pulses, quiet_s, due_s)
    report(f"a checkpoint is written, {what}", testbed, pulses, due_s, end_s - 3.0)
    report("the log behind it goes", testbed, pulses, end_s - 3.0, end_s)


def scattered(keys: int) -> Callable[[Client], object]:
    """One entry that writes ``BATCH`` keys anywhere among all."""
    rng = random.Random(1)

    def write(client: Client) -> object:
        numbers = rng.sample(range(keys), BATCH)
        return client.batch([{"cmd": "set", "key": f"key{n:08d}", "val": f"{n:089d}"} for n in numbers])

    return write


def new_node(testbed: Testbed, leader: str, keys: int) -> None:
    """A node that has nothing gets all by snapshot."""
    known = set(testbed.survey().names)
    name = ask(testbed.run_dir, "add")["name"]
    new = testbed.survey().member(name).rest
    assert name not in known
    with Pulse(leader) as at_leader, Pulse(new) as at_new:
        began_s = time.monotonic()
        wait("a new voter", lambda: name in testbed.survey().voters)
        wait("all keys", lambda: status(new)["keys"] >= keys)
        end_s = time.monotonic() + 1.0
        time.sleep(1.0)
    report("a new node gets a snapshot", testbed, [at_leader, at_new], began_s, end_s)


def returning_node(testbed: Testbed, leader: str, keys: int) -> None:
    """A node that was away for longer than the log reaches back: its state is replaced."""
    away = next(member for member in testbed.survey().members if member.rest != leader)
    testbed.kill([away.name])
    with Client([leader], timeout=PATIENCE_S) as client:
        before = client.status(leader)["checkpoint_index"]
        while client.status(leader)["first_index"] < client.status(leader)["checkpoint_index"] - 200 or (
            client.status(leader)["checkpoint_index"] == before
        ):
            for _ in range(100):
                client.set("small", "4")
    testbed.cluster.start_named([away.name])
    with Pulse(leader) as at_leader, Pulse(away.rest) as at_away:
        began_s = time.monotonic()
        goal = status(leader)["commit_index"]
        wait("the rest", lambda: status(away.rest)["applied_index"] >= goal)
        end_s = time.monotonic() + 2.0
        time.sleep(2.0)
    report("a node that was away gets a snapshot", testbed, [at_leader, at_away], began_s, end_s)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recovery", description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stall", action="store_true", help="measure stalls instead of recoveries")
    parser.add_argument("--nodes", type=int, default=3, help="for --stall")
    options = parser.parse_args()
    if options.stall:
        stalls(options.keys, options.nodes)
    else:
        recoveries(options.keys, options.rounds)


if __name__ == "__main__":
    main()
