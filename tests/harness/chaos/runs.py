"""Runs of the fake system in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from harness.chaos.files import Manifest, RunFiles
from harness.chaos.run import Glance, Run
from harness.faults.catalog import chosen, possible
from harness.history.records import Verdict
from harness.plan.drawing import draw
from harness.plan.reduction import Pair
from tests.harness.fake_system import FakeSystem
from tests.harness.local_judge import LocalJudge
from tests.harness.virtual_time import run

MANIFEST = Manifest(
    versions={}, git="", command="", seed=0, system="fake", nodes=(), network="", host={}, began="2026-01-01"
)


def planned(seed: int, faults: str, workload: str = "register", duration_s: float = 12.0, rate: float = 80.0) -> Pair:
    kinds = possible(chosen(faults.split(",") if faults else []), FakeSystem.abilities, 5)
    return draw(
        seed=seed,
        duration_s=duration_s,
        nodes=5,
        kinds=kinds,
        workload=workload,
        clients=6,
        rate=rate,
        system="fake",
    )


def executed(
    path: Path, pair: Pair, bugs: Collection[str] = (), *, keep_going: bool = False, glances: list[Glance] | None = None
) -> Verdict:
    async def body() -> Verdict:
        system = FakeSystem(pair[0].nodes, pair[0].seed, bugs)
        files = RunFiles(path, MANIFEST, *pair)
        watch = (glances if glances is not None else []).append
        clock = asyncio.get_running_loop().time
        judge = LocalJudge(pair[0].workload)
        verdict = await Run(system.rig(), *pair, files, judge, watch, keep_going=keep_going, now=clock).run()
        assert not system.running, "no process outlives a run"
        return verdict

    return run(body())
