"""(seed, how long, how many nodes, which faults, which workload, how fast) → plan and operations."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from harness.faults.fault import Terrain, milli
from harness.plan import operations as workloads
from harness.plan import schedule as schedules
from harness.plan.plan import Operation, Plan, described

QUIET_SHARE, QUIET_S = 0.15, (1.5, 8.0)
"""Of a run's time, at its end: healed, and clients still at work."""
TIMEOUT_S = (0.7, 2.5)
"""A client's patience, drawn once a seed: from about one election to several."""

ENTRIES_S = 12.0
"""Of the log, a second of a run on a machine that has much else to do, outages included; others make ten times more."""
CHECKPOINT_SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Of all entries of such a run, drawn once a seed: every run has checkpoints, and nodes that start from one."""
KEEP_ENTRIES = (5, 20, 100, 1000)
"""From a log that is trimmed at once, so that whoever was away needs a snapshot, to one that is kept whole."""


def draw(
    *,
    seed: int,
    duration_s: float,
    nodes: int,
    kinds: Sequence[str],
    workload: str,
    clients: int,
    rate: float,
    system: str = "dkv",
    settings: Mapping[str, int] | None = None,
) -> tuple[Plan, list[Operation]]:
    """``kinds``: what may happen (see ``harness.faults.catalog.possible``). Same arguments, same bytes.

    ``settings``: of the nodes, in place of drawn ones.
    """
    assert min(duration_s, nodes, clients, rate) > 0, (duration_s, nodes, clients, rate)
    duration_s, rate = milli(float(duration_s)), milli(float(rate))  # 60 and 60.0 are one plan
    # Text seeds are hashed alike everywhere; a stream for each part, so that one more draw in one moves no other.
    for_faults, for_operations, for_clients, for_settings = (
        random.Random(f"dkv-plan {seed} {part}") for part in ("faults", "operations", "clients", "settings")
    )
    quiet_s = milli(min(max(duration_s * QUIET_SHARE, QUIET_S[0]), QUIET_S[1], duration_s / 2))
    chaos_s = milli(duration_s - quiet_s)
    faults_mix = schedules.draw_mix(for_faults, kinds, chaos_s)
    faults = schedules.schedule(for_faults, faults_mix, Terrain(nodes), chaos_s)
    work_mix = workloads.draw_mix(for_operations, workload)
    drawn = workloads.operations(for_operations, work_mix, clients, rate, duration_s)
    plan = Plan(
        seed=seed,
        system=system,
        nodes=nodes,
        workload=workload,
        duration_s=duration_s,
        quiet_s=quiet_s,
        clients=clients,
        rate=rate,
        timeout_s=milli(for_clients.uniform(*TIMEOUT_S)),
        settings={**(_settings(for_settings, duration_s) if system == "dkv" else {}), **(settings or {})},
        mix={"faults": faults_mix.described(), "operations": work_mix.described()},
        faults=faults,
        operations=described(drawn),
    )
    return plan, drawn


def _settings(rng: random.Random, duration_s: float) -> dict[str, int]:
    entries = max(10, int(duration_s * ENTRIES_S * rng.choice(CHECKPOINT_SHARES)))
    return {"checkpoint_entries": entries, "keep_entries": rng.choice(KEEP_ENTRIES)}
