"""``python -m tests.benchmarks.http``: writes and linearizable reads a second at the leader of three nodes.

By wrk: closed loop, 64 connections, one thread, values of 16 bytes over 1,000 keys, fsync before every answer. In the
same run and in turn (A B C A B C …) aiohttp's bare low-level server with a fixed reply: figures of a noisy machine only
mean something beside it. Prints medians and spread.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

BARE = """
import asyncio, sys, uvloop
from aiohttp import web
async def handler(request):
    await request.read()
    body = b'{"val":"0123456789abcdef","revision":123456,"found":true}'
    return web.Response(body=body, content_type="application/json")
async def main():
    runner = web.ServerRunner(web.Server(handler, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    await asyncio.sleep(3600)
uvloop.run(main())
"""

LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local n = 0
request = function()
  n = (n + 7919) % 1000
  return wrk.format(nil, "/", nil, string.format(BODY, n))
end
"""
SET = r"""'{"cmd":"set","key":"key%04d","val":"0123456789abcdef"}'"""
GET = r"""'{"cmd":"get","key":"key%04d"}'"""

HARNESS = (sys.executable, "-m", "harness")


def wrk(address: str, script: Path, connections: int, seconds: int) -> dict[str, float]:
    """Requests a second, p50 and p99 in ms, and how many were not 2xx."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), f"http://{address}/"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def milliseconds(percentile: str) -> float:
        found = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)\b", text)
        assert found, text
        return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]

    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate, text
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {
        "rate": float(rate[1]),
        "p50": milliseconds("50"),
        "p99": milliseconds("99"),
        "errors": float(bad[1]) if bad else 0.0,
    }


def leader_of(run_directory: str) -> str:
    """The leader's REST address."""
    status = subprocess.run([*HARNESS, "--dir", run_directory, "-o", "json", "status"], capture_output=True, text=True)
    report = json.loads(status.stdout.splitlines()[-1])
    nodes = report["nodes"]
    return next(str(node["url"]).removeprefix("http://") for node in nodes if node.get("role") == "leader")


def wait_for(address: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://{address}/", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(address)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.http", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    assert shutil.which("wrk"), "wrk is needed (Debian: apt-get install wrk)"
    with tempfile.TemporaryDirectory() as directory:
        scripts = {}
        for name, body in (("set", SET), ("get", GET)):
            scripts[name] = Path(directory, f"{name}.lua")
            scripts[name].write_text(LUA.replace("BODY", body))
        run_directory = f"{directory}/run"
        subprocess.run([*HARNESS, "--dir", run_directory, "up", str(options.nodes), "-d"], check=True)
        bare = subprocess.Popen([sys.executable, "-c", BARE, "30999"])
        try:
            wait_for("127.0.0.1:30999")
            cases = {"aiohttp, bare": ("127.0.0.1:30999", "set")}
            leader = leader_of(run_directory)
            cases |= {"set at the leader": (leader, "set"), "linearizable get": (leader, "get")}
            measured: dict[str, list[dict[str, float]]] = {case: [] for case in cases}
            for number in range(options.rounds):
                for case, (address, script) in cases.items():
                    measured[case].append(wrk(address, scripts[script], options.connections, options.seconds))
                    print(f"round {number + 1}  {case:20s} {measured[case][-1]}", flush=True)
            report(measured)
        finally:
            bare.terminate()
            bare.wait()
            subprocess.run([*HARNESS, "--dir", run_directory, "down"], check=True, stdout=subprocess.DEVNULL)


def report(measured: dict[str, list[dict[str, float]]]) -> None:
    print(
        f"\n{'':20s} {'requests/s':>10s} {'min-max':>17s} {'p50 ms':>7s} {'p99 ms':>7s} {'errors':>7s} {'of bare':>8s}"
    )
    bare = statistics.median(run["rate"] for run in measured["aiohttp, bare"])
    for case, runs in measured.items():
        rates = [run["rate"] for run in runs]
        rate = statistics.median(rates)
        p50, p99 = (statistics.median(run[p] for run in runs) for p in ("p50", "p99"))
        errors = sum(run["errors"] for run in runs)
        spread = f"{min(rates):.0f}-{max(rates):.0f}"
        print(f"{case:20s} {rate:10.0f} {spread:>17s} {p50:7.2f} {p99:7.2f} {errors:7.0f} {rate / bare:8.2f}")


if __name__ == "__main__":
    main()
