"""The plan's faults, each at its time: resolved, injected, probed, healed, and recorded.

A fault that cannot be done (nobody is free for it, the cluster refuses) is recorded as one that did not fire; the run
goes on. Law: what a fault did is undone by itself or, if the run was stopped, by ``World.heal_all``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from harness.errors import HarnessError
from harness.faults.catalog import KINDS
from harness.faults.fault import Fault, Injection, Kind, Terrain
from harness.faults.targets import resolve
from harness.faults.world import World
from harness.history.records import FaultRecord, Phase

WHOLE_S = 12.0
"""For all to be back after an outage: processes start, then elect; longer than that, and the plan goes on."""
FREE_S = 8.0
"""For a node that no other fault has: changes of members, and starts on a busy machine, take longer than planned."""
POLL_S = 0.1


@dataclass
class Nemesis:
    """``clock``: the run's. ``record`` gets the lines of faults.jsonl. ``active``: what is on just now, in words."""

    world: World
    seed: int
    clock: Callable[[], float]
    record: Callable[[FaultRecord], None]
    active: dict[int, str] = field(default_factory=dict)

    async def run(self, faults: Sequence[Fault]) -> None:
        """All of them; returns when the last one is healed."""
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                group.create_task(self._live(fault))

    async def _live(self, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, fault.start_s - self.clock()))
        kind = KINDS[fault.kind]
        self.active[fault.number] = f"{fault.kind} {','.join(fault.targets)}"
        try:
            injection = await self._inject(kind, fault)
            if injection is None:
                return
            hit = injection.nodes or tuple(sorted({name for link in injection.links for name in link}))
            self.active[fault.number] = f"{fault.kind} {','.join(hit)}"
            await asyncio.sleep(max(0.0, fault.end_s - self.clock()))
            await self._probe(kind, fault, injection)
            await self._heal(kind, fault, injection)
        finally:
            del self.active[fault.number]
            self._release(fault)

    async def _inject(self, kind: Kind, fault: Fault) -> Injection | None:
        terrain = Terrain(len(self.world.view.nodes))
        if kind.lost(fault, terrain) > terrain.spare:
            await self._wait_whole()
        rng = random.Random(f"dkv-fault {self.seed} {fault.number}")
        nodes = await self._chosen(kind, fault, rng)
        began = self.clock()
        if fault.targets and not nodes:
            self._tell(fault, Phase.INJECT, began, fired=False, detail="every node is taken by another fault")
            return None
        if kind.claims:
            self.world.claims |= dict.fromkeys(nodes, fault.number)
        try:
            injection = await kind.inject(self.world, fault, nodes, rng)
        except (HarnessError, NotImplementedError) as refusal:
            self._tell(fault, Phase.INJECT, began, fired=False, nodes=nodes, detail=str(refusal))
            # It may have been done in part, or be done yet.
            await self._heal(kind, fault, Injection(nodes, at_s=self.world.clock()))
            return None
        self._tell(fault, Phase.INJECT, began, injection=injection)
        return injection

    async def _chosen(self, kind: Kind, fault: Fault, rng: random.Random) -> tuple[str, ...]:
        """Whom it hits; if every node is another fault's, it waits a little for one of them to end late."""
        give_up = self.clock() + FREE_S
        while True:
            taken = tuple(self.world.claims) if kind.claims else ()
            nodes = resolve(fault.targets, self.world.view, taken, rng)
            if nodes or not fault.targets or self.clock() > give_up:
                return nodes
            await self.world.sleep(POLL_S)

    async def _wait_whole(self) -> None:
        """Before everything is taken away: an outage on the heels of another would find nothing to lose."""
        give_up = self.clock() + WHOLE_S
        while not self._is_whole() and self.clock() < give_up:
            await self.world.sleep(POLL_S)

    def _is_whole(self) -> bool:
        """Somebody leads, and all have started."""
        view = self.world.view
        return bool(view.leader) and all(sample.role for sample in view.samples.values())

    async def _probe(self, kind: Kind, fault: Fault, injection: Injection) -> None:
        began = self.clock()
        try:
            fired = await kind.probe(self.world, fault, injection)
        except HarnessError as silence:
            self._tell(fault, Phase.PROBE, began, injection=replace(injection, detail=str(silence)))
            return
        self._tell(fault, Phase.PROBE, began, injection=injection, fired=fired)

    async def _heal(self, kind: Kind, fault: Fault, injection: Injection) -> None:
        began = self.clock()
        try:
            await kind.heal(self.world, fault, injection)
            self._tell(fault, Phase.HEAL, began, injection=injection)
        except HarnessError as refusal:
            self._tell(fault, Phase.HEAL, began, injection=replace(injection, detail=f"not healed: {refusal}"))

    def _release(self, fault: Fault) -> None:
        for name in [name for name, number in self.world.claims.items() if number == fault.number]:
            del self.world.claims[name]

    def _tell(
        self,
        fault: Fault,
        phase: Phase,
        began_s: float,
        *,
        injection: Injection | None = None,
        nodes: tuple[str, ...] = (),
        fired: bool | None = None,
        detail: str = "",
    ) -> None:
        told = injection or Injection(nodes, detail=detail)
        self.record(
            FaultRecord(
                fault=fault.number,
                kind=fault.kind,
                phase=phase,
                began_s=began_s,
                ended_s=self.clock(),
                nodes=told.nodes,
                links=told.links if phase is Phase.INJECT else (),
                fired=fired,
                detail=told.detail,
            )
        )
