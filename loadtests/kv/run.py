"""One Locust process's view of the run: the flags, the nodes, the measurements; and the table at the end."""

from __future__ import annotations

import random
import sys
import time
from functools import cache
from typing import Any

import psutil
from locust import events
from locust.runners import WorkerRunner

from loadtests.kv.latency import Latencies
from loadtests.kv.targets import NoCluster, find_nodes
from loadtests.kv.zipf import Zipf

GENERATOR_SHARE_MAX = 0.8
"""Of a core: above it a request waits for the generator, and the generator's own queue is in the figures."""
SEED = 1


class Run:
    """Shared by all users of this process."""

    def __init__(self, environment: Any) -> None:
        options = environment.parsed_options
        self.environment, self.options = environment, options
        self.nodes = find_nodes(environment.host, options.dkv_run_dir, random.Random())
        self.zipf = Zipf(options.dkv_keys, options.dkv_zipf)
        self.value = "v" * options.dkv_value_size
        self.begin()

    def begin(self, **_: Any) -> None:
        """A test starts."""
        self.latencies = Latencies()
        self._began, self._cpu_s = time.monotonic(), _cpu_s()
        self._seconds, self._share, self._worker_share = 0.0, 0.0, 0.0

    def end(self, **_: Any) -> None:
        """A test stops; in the web interface this is the end of it."""
        self._measure()
        if self.environment.web_ui is not None:
            self.report()

    def _measure(self) -> None:
        self._seconds = max(time.monotonic() - self._began, 1e-9)
        self._share = (_cpu_s() - self._cpu_s) / self._seconds

    def record(self, name: str, response_time: float, exception: BaseException | None, **_: Any) -> None:
        """Locust's ``request`` event; ``response_time`` in milliseconds."""
        if exception is None:
            self.latencies.succeeded(name, response_time / 1e3)
        else:
            self.latencies.failed(name, str(exception))

    def send(self, data: dict[str, Any], **_: Any) -> None:
        """A worker's figures since the last time, to the master."""
        self._measure()
        data["dkv"] = {**self.latencies.encode(), "share": self._share}
        self.latencies = Latencies()

    def receive(self, data: dict[str, Any], **_: Any) -> None:
        """At the master."""
        self.latencies.add(data["dkv"])
        self._worker_share = max(self._worker_share, data["dkv"]["share"])

    def report(self, **_: Any) -> None:
        """The table, after Locust's own."""
        if isinstance(self.environment.runner, WorkerRunner):
            return
        share = max(self._share, self._worker_share)
        print(f"\ndkv: {len(self.nodes.known)} nodes, {self._seconds:.1f} s, closed loop")
        print("\n".join(self.latencies.lines(self._seconds)))
        print(f"load generator: {share:.0%} of a core")
        if share > GENERATOR_SHARE_MAX:
            print("WARNING: the load generator was too busy: these latencies contain its own queue. Use fewer users,")
            print("a longer --dkv-think-time, or --processes.")


def _cpu_s() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def _add_flags(parser: Any) -> None:
    group = parser.add_argument_group("dkv")
    group.add_argument("--dkv-run-dir", default="", help="of dkv-harness (default: $DKV_RUN_DIR, else .dkv)")
    group.add_argument("--dkv-keys", type=int, default=10_000, help="how many keys there are (10000)")
    group.add_argument("--dkv-zipf", type=float, default=0.99, help="how skewed: 0 = every key alike (0.99, as YCSB)")
    group.add_argument("--dkv-value-size", type=int, default=100, help="bytes of each value (100)")
    group.add_argument("--dkv-level", default="linearizable", help="of reads: linearizable, weak, none, strong")
    group.add_argument("--dkv-think-time", type=float, default=0.02, help="seconds between a user's requests (0.02)")
    group.add_argument("--dkv-timeout", type=float, default=5.0, help="seconds that a user waits for a reply (5)")


def _init(environment: Any, **_: Any) -> None:
    try:
        run = Run(environment)
    except (NoCluster, ValueError) as error:
        sys.exit(f"dkv: {error}")
    environment.dkv = run
    environment.host = f"http://{run.nodes.known[0]}"
    events.test_start.add_listener(run.begin)
    events.test_stop.add_listener(run.end)
    events.request.add_listener(run.record)
    events.report_to_master.add_listener(run.send)
    events.worker_report.add_listener(run.receive)
    if environment.web_ui is None:
        events.quit.add_listener(run.report)


@cache
def install() -> None:
    """Register flags and listeners with Locust; from every file of users, so that each works alone; once."""
    events.init_command_line_parser.add_listener(_add_flags)
    events.init.add_listener(_init)
