"""The hot kernels, one by one, by pyperf: ``python -m tests.benchmarks.kernels`` (``--fast`` for a first look).

Nothing here waits or shares a process with anything else, so a change of 5 % shows where a whole cluster drowns it.
Before and after: ``… kernels -o before.json``, ``… kernels -o after.json``, then
``python -m pyperf compare_to before.json after.json --table``. Batches are of 64, what as many connections make.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial

import pyperf

from dkv.api import replies, requests
from dkv.api.heads import Heads
from dkv.api.response import Response
from dkv.kv.batches import form_payloads, validate_request
from dkv.kv.commands import Batch, Code, Command, Op, Result, decode_batch, encode_batch
from dkv.kv.state_machine import KeyValue
from dkv.net.frames import FrameDecoder, encode
from dkv.raft.contracts import NO_OP, Entry
from dkv.raft.log_buffer import LogBuffer, genesis_state
from harness.checker.checker import Checker
from tests.harness.checker.histories import events, simulated

BATCH = 64
KEYS = 1_000
VALUE = "0123456789abcdef"
COMMANDS = [Command(Op.SET, f"key{number:04d}", VALUE) for number in range(BATCH)]
REQUESTS = [([command], validate_request([command])) for command in COMMANDS]
PAYLOAD = encode_batch(Batch(1_700_000_000_000, COMMANDS))
SET_BODY = b'{"cmd":"set","key":"key0001","val":"0123456789abcdef"}'
GET_BODY = b'{"cmd":"get","key":"key0001"}'
HEAD = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1:30001\r\nContent-Type: application/json\r\n"
    b"Content-Length: 54\r\n%sX-Client: wrk\r\n\r\n"
)
HEADERS = (
    "Content-Type: application/json\r\nContent-Length: 61\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\nX-DKV-Node: n1\r\n"
    "X-DKV-Term: 7\r\nX-DKV-Index: 123456\r\nX-Request-Id: 0123456789abcdef\r\n"
)
RESULT = Result(Code.OK, 123_456, True)
HISTORY_OPERATIONS = 2_000

Once = Callable[[], object]
Timed = Callable[[int], float]
"""How often → seconds."""


def stateless(once: Once) -> Timed:
    """The same again and again."""

    def timed(loops: int) -> float:
        began = time.perf_counter()
        for _ in range(loops):
            once()
        return time.perf_counter() - began

    return timed


def apply(loops: int) -> float:
    """Entries of BATCH sets, at a machine that has KEYS keys; what is written is not new."""
    machine, numbers = KeyValue(), range(KEYS)
    machine.apply(1, encode_batch(Batch(1, [Command(Op.SET, f"key{number:04d}", VALUE) for number in numbers])))
    began = time.perf_counter()
    for index in range(2, loops + 2):
        machine.apply(index, PAYLOAD)
    return time.perf_counter() - began


def read(loops: int) -> float:
    """``KeyValue.get`` of keys that are there."""
    machine = KeyValue()
    machine.apply(1, PAYLOAD)
    began = time.perf_counter()
    for number in range(loops):
        machine.get(COMMANDS[number % BATCH].key)
    return time.perf_counter() - began


def new_heads(loops: int) -> float:
    """Heads that were never seen: each has an id of its own."""
    heads = Heads()
    raw = [HEAD % b"X-Request-Id: %d\r\n" % number for number in range(loops)]
    began = time.perf_counter()
    for each in raw:
        heads.read(each)
    took_s = time.perf_counter() - began
    assert heads.read(raw[0]) is not None, "the head is not one that the fast lane takes"
    return took_s


def known_heads(loops: int) -> float:
    """The same bytes each time, as a client on a connection that stays open sends them."""
    heads, raw = Heads(), HEAD % b""
    return stateless(partial(heads.read, raw))(loops)


def reply() -> bytes:
    """A set's, from its result to the bytes on the wire."""
    body = replies.encode(replies.reply_of(COMMANDS[0], RESULT))
    return Response(200, HEADERS, body).encode(keep_alive=True)


def parse(body: bytes) -> Command:
    """A body of ``POST /`` → its command."""
    parsed = requests.parse_commands(body)
    assert not isinstance(parsed, list)
    return requests.to_command(parsed)


def decode_frames(loops: int) -> float:
    """A frame with a batch in it, whole."""
    decoder, data = FrameDecoder(), encode([(1, PAYLOAD)])
    return stateless(partial(decoder.feed, data))(loops)


def append(loops: int) -> float:
    """Entries into a log buffer that is written after each, as in turns of one entry."""
    log = LogBuffer(1, genesis_state(("n1", "n2", "n3")), lambda first, last: [], 0)
    log.set_hard_state(1, None)
    log.written(0)
    command = NO_OP + PAYLOAD
    began = time.perf_counter()
    for index in range(log.state.last_index + 1, log.state.last_index + 1 + loops):
        log.append(Entry(command, index, 1))
        log.end_turn()
        log.written(0)
    return time.perf_counter() - began


def feed(loops: int) -> float:
    """Events of ten clients on ten keys, into the checker that runs beside a chaos run; without its verdicts."""
    history = events(simulated(random.Random(5), "register", HISTORY_OPERATIONS, 10, keys=10))
    took_s = 0.0
    for first in range(0, loops, len(history)):
        checker = Checker("register")
        part = history[: loops - first]
        began = time.perf_counter()
        for event in part:
            checker.feed(event)
        took_s += time.perf_counter() - began
    return took_s


KERNELS: dict[str, tuple[Timed, int]] = {
    "request head, seen before": (known_heads, 1),
    "request head, new": (new_heads, 1),
    "request body of a set → command": (stateless(partial(parse, SET_BODY)), 1),
    "request body of a get → command": (stateless(partial(parse, GET_BODY)), 1),
    "result of a set → reply's bytes": (stateless(reply), 1),
    "64 requests → payload": (stateless(partial(form_payloads, REQUESTS)), BATCH),
    "payload of 64 → bytes": (stateless(partial(encode_batch, Batch(1, COMMANDS))), BATCH),
    "bytes → payload of 64": (stateless(partial(decode_batch, PAYLOAD)), BATCH),
    "state machine: apply 64 sets": (apply, BATCH),
    "state machine: get": (read, 1),
    "frame of 64 sets → bytes": (stateless(partial(encode, [(1, PAYLOAD)])), 1),
    "bytes → frame of 64 sets": (decode_frames, 1),
    "log buffer: append, end of turn, written": (append, 1),
    "checker: feed an event": (feed, 1),
}
"""Name → how it is timed, and how many operations one time is of."""


def table(rows: list[tuple[str, pyperf.Benchmark, int]]) -> str:
    """Mean and standard deviation of one operation, and how many go into a second."""
    lines = [f"{'kernel':<42}{'mean µs':>10}{'± µs':>9}{'a second':>14}   (of one operation)"]
    for name, benchmark, operations in rows:
        mean_us = benchmark.mean() * 1e6 / operations
        deviation_us = (benchmark.stdev() if benchmark.get_nvalue() > 1 else 0.0) * 1e6 / operations
        lines.append(f"{name:<42}{mean_us:>10.3f}{deviation_us:>9.3f}{1e6 / mean_us:>14,.0f}")
    return "\n".join(lines)


def main() -> None:
    """pyperf starts this module again for each of its processes, so only the first one has all results."""
    runner = pyperf.Runner(program_args=("-m", "tests.benchmarks.kernels"))
    rows = []
    for name, (timed, operations) in KERNELS.items():
        benchmark = runner.bench_time_func(name, timed)
        if benchmark is not None:
            rows.append((name, benchmark, operations))
    if not runner.args.worker:
        print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
