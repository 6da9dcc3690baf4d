"""The checker's speed and memory, as a table: ``python -m tests.benchmarks.checker``. The machine's load shows in it.

Each row in a process of its own, so that its memory is its own; seconds are of the processor, the best of three.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path

from harness import checking
from harness.checker.checker import Checker, check
from harness.checker.explanation import explain
from harness.checker.models import MODELS
from harness.history.events import Event
from harness.history.records import Validity
from tests.harness.checker.faults import FAULTS, broken
from tests.harness.checker.histories import events, simulated

CORPUS = Path(__file__).parent.parent / "harness" / "corpus"
RUNS = 3
LIVE_RATE, LIVE_S = 2_000, 30
Result = tuple[float, str]


def timed(action: Callable[[], object]) -> tuple[float, object]:
    """Seconds of the processor, and what came out."""
    began = time.process_time()
    found = action()
    return time.process_time() - began, found


def corpus() -> Result:
    """Reading, judging, explaining."""
    paths = sorted(CORPUS.glob("*/*.*"))
    seconds, verdicts = timed(lambda: [checking.check_file(path) for path in paths])
    assert isinstance(verdicts, list)
    return seconds, f"{len(verdicts)} files"


def corpus_judged() -> Result:
    """Judging alone."""
    total = 0.0
    for path in sorted(CORPUS.glob("*/*.*")):
        history = checking.files.read(path).events
        total += timed(lambda history=history: check(history))[0]  # type: ignore[misc]
    return total, ""


def keyed(
    keys: int, count: int, clients: int, unique: bool = True, unknown: float = 0.0, plain: bool = False
) -> list[Event]:
    """Clients that go from key to key."""
    rng = random.Random(5)
    operations = simulated(rng, "register", count, clients, unique, unknown, plain, keys=keys)
    return events(operations)


def judged(history: list[Event]) -> Result:
    """A valid one."""
    seconds, found = timed(lambda: check(history, "register"))
    return seconds, str(getattr(found, "validity", ""))


def stale() -> Result:
    """1,000 operations, 10 clients, 1 % unknown, one stale read: judged and explained."""
    fault = FAULTS[0]
    operations = broken(fault, random.Random(3), 1_000, 10)
    seconds, found = timed(lambda: explain(MODELS["register"], "k", operations))
    return seconds, f"{len(found.operations)} operations: {found.sentence}"  # type: ignore[attr-defined]


def explained() -> Result:
    """Every fault at 1,000 operations and 10 clients: the slowest."""
    worst, most = (0.0, ""), 0
    for fault in FAULTS:
        operations = broken(fault, random.Random(4), 1_000, 10)
        seconds, found = timed(lambda: explain(MODELS[fault.model], "k", operations))  # noqa: B023
        worst = max(worst, (seconds, fault.name))
        most = max(most, len(found.operations))  # type: ignore[attr-defined]
    return worst[0], f"slowest: {worst[1]}; at most {most} operations, {len(FAULTS)} faults"


def live() -> Result:
    """The share of a processor at 2,000 operations a second: 20 clients, a verdict a second, two keys for each."""
    checker = Checker("register")
    total, slowest, clients, number = 0.0, 0.0, 20, 0
    for second in range(LIVE_S):
        batch = simulated(random.Random(second), "register", LIVE_RATE, clients, unknown=0.005, keys=2)
        for operation in batch:
            operation.key = f"{second}-{operation.key}"
            operation.process += 1_000_000 * second
        seconds, _ = timed(lambda: [checker.feed(event) for event in events(batch)])  # noqa: B023
        verdict_s, found = timed(checker.verdict)
        assert getattr(found, "validity", None) is Validity.VALID
        total, slowest, number = total + seconds + verdict_s, max(slowest, verdict_s), number + 1
    return total / number, f"a second of the run; the slowest verdict {slowest:.2f} s"


ROWS: dict[str, tuple[str, Callable[[], Result]]] = {
    "56 corpus files: read, judge, explain": ("1 s", corpus),
    "56 corpus files: judge": ("1 s", corpus_judged),
    "10,000 operations, 10 clients, 10 keys": ("0.5 s", lambda: judged(keyed(10, 10_000, 10))),
    "the same, values from a few": ("", lambda: judged(keyed(10, 10_000, 10, unique=False))),
    "1,000 operations, 20 clients, 1 key": ("0.2 s", lambda: judged(keyed(1, 1_000, 20, plain=True))),
    "the same with cas, deletes, mismatches": ("", lambda: judged(keyed(1, 1_000, 20))),
    "1,000 operations, 50 clients, 1 key": ("", lambda: judged(keyed(1, 1_000, 50, plain=True))),
    "1,000 operations, 5 clients, 1 key, 2 % unknown": ("0.1 s", lambda: judged(keyed(1, 1_000, 5, unknown=0.02))),
    "1,000 operations, 10 clients, one stale read, explained": ("5 s", stale),
    "each fault at 1,000 operations, explained": ("5 s", explained),
    "live at 2,000 operations/s": ("", live),
}


def _measure(name: str, pipe: multiprocessing.connection.Connection) -> None:
    seconds, remark = min(ROWS[name][1]() for _ in range(1 if name.startswith("live") else RUNS))
    pipe.send((seconds, remark, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    """Print the table."""
    print(f"{'what':58} {'gate':>6} {'seconds':>8} {'MB':>5}")
    context = multiprocessing.get_context("spawn")
    for name, (gate, _) in ROWS.items():
        ours, theirs = context.Pipe()
        child = context.Process(target=_measure, args=(name, theirs))
        child.start()
        seconds, remark, size_mb = ours.recv()
        child.join()
        print(f"{name:58} {gate:>6} {seconds:8.3f} {size_mb:5.0f}  {remark}", flush=True)


if __name__ == "__main__":
    main()
