"""``python -m tests.sim.gossip --members 1000`` measures a cluster; ``--only mistakes`` one part of it;
``--unlucky 500`` tries so many seeds of misfortunes instead.

Virtual time: the figures do not depend on the machine, only how long one waits for them does (a second of 1,000 quiet
members is half a second of a free core).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace

from dkv.gossip.memberlist.profiles import PROFILES
from tests.sim.gossip import measures
from tests.sim.gossip.measures import Row
from tests.sim.gossip.misfortunes import agree, unlucky
from tests.sim.gossip.settings import Settings, without_lifeguard

PARTS = ("spread", "crash", "bandwidth", "mistakes")


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.gossip", description=__doc__)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="lan")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loss", type=float, default=0.0, help="share of datagrams that get lost")
    parser.add_argument("--seconds", type=float, default=120.0, help="of virtual time, for mistakes")
    parser.add_argument("--unlucky", type=int, help="seeds, from --seed on")
    parser.add_argument("--only", choices=PARTS, action="append")
    arguments = parser.parse_args()
    if arguments.unlucky:
        return _try_misfortunes(range(arguments.seed, arguments.seed + arguments.unlucky))
    settings = Settings(
        members=arguments.members,
        seed=arguments.seed,
        profile=PROFILES[arguments.profile],
        loss=arguments.loss,
        stream_bytes=arguments.members <= 100,
    )
    print(f"{arguments.members} members, profile {arguments.profile}, seed {arguments.seed}, loss {arguments.loss:.0%}")
    for part in arguments.only or PARTS:
        print(f"\n{part}", flush=True)
        for row in _measure(part, settings, arguments.seconds):
            print(f"  {row.what:<52}{row.measured:<52}{row.expected}", flush=True)
    return 0


def _try_misfortunes(seeds: range) -> int:
    failed = []
    for seed in seeds:
        try:
            agree(unlucky(seed))
        except AssertionError as error:
            failed.append(seed)
            print(f"seed {seed}: {error}", flush=True)
    print(f"{len(seeds)} seeds, failed: {failed}")
    return 1 if failed else 0


def _measure(part: str, settings: Settings, seconds: float) -> Iterator[Row]:
    match part:
        case "spread":
            yield from measures.spread(settings)
        case "crash":
            yield from measures.crash(settings)
        case "bandwidth":
            yield from measures.bandwidth(settings)
        case _:
            yield from _mistakes(settings, seconds)


def _mistakes(settings: Settings, seconds: float) -> Iterator[Row]:
    bare = replace(settings, profile=without_lifeguard(settings.profile))
    slow = max(1, settings.members // 10)
    for label, kind in (("Lifeguard", settings), ("without", bare)):
        for loss in (0.1, 0.2, 0.3):
            row = measures.mistakes(replace(kind, loss=loss, tcp=False), seconds)
            yield replace(row, what=f"{label}: {row.what}, no TCP")
        row = measures.mistakes(replace(kind, loss=0.3), seconds)
        yield replace(row, what=f"{label}: {row.what}, TCP gets through")
        for first in (True, False):
            how = "packets first" if first else "timers first"
            row = measures.mistakes(replace(kind, packets_first=first), seconds, slow=slow, pause_s=8.0, run_s=0.5)
            yield replace(row, what=f"{label}: {row.what}, {how}")


if __name__ == "__main__":
    sys.exit(main())
