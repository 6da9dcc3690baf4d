"""One node of ``raft_path``: everything of dkv below HTTP (router, turn, log with fsync, links), and a closed loop of
clients within the same process.

Commands come as JSON lines on the standard input, each is answered by one line. It imports whatever ``dkv`` PYTHONPATH
names, so that one driver can set two versions of it side by side.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import io
import json
import pstats
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import uvloop

from dkv.assembly import DATA_GROUP, Assembly
from dkv.clock import MonotonicClock
from dkv.config import Config
from dkv.directory import Directory
from dkv.identity import Identity
from dkv.joining import MemberInfo
from dkv.kv.commands import Command, Op
from dkv.levels import Level
from dkv.metrics import Metrics
from dkv.net.door import bind
from dkv.node import GC_THRESHOLD
from dkv.operations import Organs
from dkv.raft.storage import Storage

DEADLINE_S = 30.0
PRELOAD_COMMANDS = 500
PRELOAD_UNDER_WAY = 4

BATCH = 100

STRIDE = 7919
"""Prime, and greater than the numbers of requests under way."""


class NoGossip:
    """Nobody is heard of: the voters stand in the log's base."""

    def members(self) -> Sequence[Any]:
        return ()

    def force_leave(self, name: str) -> None: ...


async def no_call(*_: Any, **__: Any) -> Any:
    raise AssertionError("nobody joins here")


def identity_of(name: str) -> str:
    return f"{name}.00000000"


class BenchNode:
    """The organs of one node."""

    def __init__(self, name: str, names: Sequence[str], data_dir: Path) -> None:
        me = identity_of(name)
        self._storage = Storage(data_dir / "log.db")
        self._storage.found_group(DATA_GROUP, tuple(map(identity_of, names)))
        self._identity = Identity(cluster="bench", name=name, identity=me, founder=identity_of(names[0]))
        self._directory = Directory(MemberInfo(me, name, "127.0.0.1:1", "127.0.0.1:1"), {})
        self._assembly = Assembly(
            config=Config(id=name, data_dir=data_dir),
            clock=MonotonicClock(),
            rng=random.Random(),
            metrics=Metrics("bench"),
            faults=None,
            hints=data_dir / "members.json",
            call=no_call,
            gossip=NoGossip(),
        )
        self.organs: Organs

    async def start(self) -> str:
        """→ the address of its Raft port."""
        self.organs = await self._assembly.assemble(self._storage, self._identity, self._directory)
        self.organs.host.after_turn += [self.organs.membership.follow]
        self.organs.host.add(self.organs.replica, self.organs.router)
        await self.organs.peers.start(bind("127.0.0.1", 0))
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)  # as ``dkv.node`` does
        return self.organs.peers.address

    def status(self) -> dict[str, Any]:
        status = self.organs.replica.status()
        return {
            "leads": self.organs.replica.is_leader and status.can_serve_reads,
            "applied": status.applied_index,
            "checkpoint": status.checkpoint_index,
            "digest": self.organs.replica.machine.digest(),
        }

    async def preload(self, keys: int, value: str) -> None:
        """``keys`` keys, many to an entry."""
        starts = iter(range(0, keys, PRELOAD_COMMANDS))

        async def load() -> None:
            for first in starts:
                last = min(keys, first + PRELOAD_COMMANDS)
                rows = [Command(Op.SET, f"key{number:07d}", value) for number in range(first, last)]
                await self.organs.router.write(rows, deadline=time.monotonic() + DEADLINE_S)

        await asyncio.gather(*(load() for _ in range(PRELOAD_UNDER_WAY)))

    async def load(self, what: str, outstanding: int, seconds: float, keys: int, size: int) -> dict[str, Any]:
        """A closed loop of ``outstanding`` clients; ``what``: set, get, or batch (of ``BATCH`` sets)."""
        router, value = self.organs.router, "v" * size
        # In turn, in strides, as the peers' figures were taken: none twice in one batch, and not beside each other.
        keys_in_turn = (f"key{number * STRIDE % keys:07d}" for number in count())
        end = time.monotonic() + seconds
        took_s: list[float] = []
        slices: Counter[int] = Counter()
        began = time.monotonic()

        async def client() -> None:
            now = time.monotonic()
            while now < end:
                if what == "get":
                    await router.read((next(keys_in_turn),), Level.LINEARIZABLE, deadline=now + DEADLINE_S)
                else:
                    count = BATCH if what == "batch" else 1
                    sets = [Command(Op.SET, key, value) for key in islice(keys_in_turn, count)]
                    await router.write(sets, deadline=now + DEADLINE_S)
                before, now = now, time.monotonic()
                took_s.append(now - before)
                slices[int(now - began)] += 1

        host = self.organs.host
        cpu_s, turns, applied = own_cpu_s(), host.turns, self.organs.replica.applied_index
        await asyncio.gather(*(client() for _ in range(outstanding)))
        wall_s = time.monotonic() - began
        done = len(took_s)
        took_s.sort()
        return {
            "rate": done / wall_s,
            "p50_ms": took_s[done // 2] * 1000,
            "p99_ms": took_s[done * 99 // 100] * 1000,
            "max_ms": took_s[-1] * 1000,
            "count": done,
            "leader_cpu_us": (own_cpu_s() - cpu_s) / done * 1e6,
            "turns_s": (host.turns - turns) / wall_s,
            "entries_s": (self.organs.replica.applied_index - applied) / wall_s,
            "slices": [slices[second] for second in range(int(seconds))],
        }


def own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def serve(node: BenchNode) -> None:
    """Until the standard input ends."""
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print(json.dumps(await node.start()), flush=True)
    profile: cProfile.Profile | None = None
    while line := await commands.readline():
        command, arguments = json.loads(line)
        answer: Any = None
        if command == "addresses":
            node.organs.peers.set_addresses(arguments)
        elif command == "status":
            answer = node.status()
        elif command == "cpu":
            answer = own_cpu_s()
        elif command == "preload":
            await node.preload(**arguments)
        elif command == "load":
            answer = await node.load(**arguments)
        elif command == "profile" and profile is None:
            profile = cProfile.Profile()
            profile.enable()
        elif command == "profile" and profile is not None:
            profile.disable()
            text = io.StringIO()
            pstats.Stats(profile, stream=text).sort_stats(arguments).print_stats(45)
            answer, profile = text.getvalue(), None
        print(json.dumps(answer), flush=True)


def main() -> None:
    name, names, data_dir = sys.argv[1], sys.argv[2].split(","), Path(sys.argv[3])

    async def run() -> None:
        await serve(BenchNode(name, names, data_dir))

    uvloop.run(run())


if __name__ == "__main__":
    main()
