"""Real agents on loopback, all in this process: ``python -m tests.benchmarks.gossip --members 5 50``.

What a quiet member sends and costs, and how soon those that stop without a word are known to have failed, beside
memberlist's formula. For 1,000 members see ``python -m tests.sim.gossip``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from pathlib import Path

from dkv.gossip.memberlist.profiles import PROFILES
from dkv.gossip.memberlist.suspicion import suspicion_min_s
from dkv.gossip.wire.internal_queries import Status
from tests.dkv.gossip.agents import Ours, until, world

SETTLE_S = 30.0
"""A newcomer's exchanges out of turn are over."""

LOOK_S = 0.01
FAILURE_S_MAX = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="+", default=[5])
    parser.add_argument("--profile", choices=sorted(PROFILES), default="lan")
    parser.add_argument("--quiet", type=float, default=20.0, help="seconds of looking at a quiet cluster")
    parser.add_argument("--victims", type=int, default=3)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # each member would tell of each failure
    for members in arguments.members:
        asyncio.run(_measure(members, arguments.profile, arguments.quiet, arguments.victims))


async def _measure(members: int, profile: str, quiet_s: float, victims: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with world(Path(directory)) as made:
            began = time.monotonic()
            first = await made.ours("m0", profile=PROFILES[profile])
            contact = (first.agent.address,)
            others = [await made.ours(f"m{n}", profile=PROFILES[profile], join=contact) for n in range(1, members)]
            ours = [first, *others]
            await until(lambda: all(_alive(each) == members for each in ours), "all see all")
            print(
                f"{members} members, profile {profile}: all saw all after {time.monotonic() - began:.1f} s", flush=True
            )
            await asyncio.sleep(SETTLE_S)
            await _watch(ours, quiet_s)
            for _ in range(min(victims, members - 2)):
                await _lose(ours, ours.pop(), profile)


def _alive(ours: Ours) -> int:
    return sum(status is Status.ALIVE for status in ours.view().values())


async def _watch(ours: list[Ours], quiet_s: float) -> None:
    before, cpu_s, began = [each.agent.figures() for each in ours], time.process_time(), time.monotonic()
    await asyncio.sleep(quiet_s)
    after, spent_s = [each.agent.figures() for each in ours], time.process_time() - cpu_s
    passed_s = time.monotonic() - began
    for what in ("packets_sent", "bytes_sent", "stream_bytes_sent"):
        rates = [(getattr(b, what) - getattr(a, what)) / passed_s for a, b in zip(before, after, strict=True)]
        print(f"  {what:<20} {statistics.mean(rates):8.1f} /s a member")
    print(f"  processor            {100 * spent_s / passed_s / len(ours):8.2f} % a member")
    print(f"  suspicions           {sum(each.suspicions for each in after):8}")


async def _lose(ours: list[Ours], victim: Ours, profile: str) -> None:
    began, known = time.monotonic(), dict[str, float]()
    await victim.agent.stop()
    while len(known) < len(ours) and time.monotonic() - began < FAILURE_S_MAX:
        for each in ours:
            if each.name not in known and each.view()[victim.name] is Status.FAILED:
                known[each.name] = time.monotonic() - began
        await asyncio.sleep(LOOK_S)
    least_s = suspicion_min_s(PROFILES[profile], len(ours) + 1)
    told = f"first {min(known.values()):.2f} s, last {max(known.values()):.2f} s" if known else "never"
    print(
        f"  {victim.name} stops: failed at {len(known)} of {len(ours)}: {told}; least suspicion {least_s:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
