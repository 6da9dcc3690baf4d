"""A cluster for somebody's own test: recorded clients, faults by plan or by hand, and a verdict at the end.

The test is the workload. Faults run in a thread of their own, beside an observer that watches what nodes say of
themselves; ``judge`` ends and heals them first. Law: whatever the test does, no process outlives ``stop``.
"""

from __future__ import annotations

import asyncio
import platform
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from dkv.client import Client
from harness.chaos import judge
from harness.chaos.files import CLUSTER, Manifest, RunFiles
from harness.chaos.nemesis import Nemesis
from harness.chaos.observer import Observer
from harness.chaos.rig import build
from harness.chaos.safety import Safety
from harness.checker import checks
from harness.checker.checker import Checker
from harness.cluster import Cluster
from harness.faults.catalog import chosen, possible
from harness.history.records import FaultRecord, Validity, Verdict
from harness.plan.drawing import draw
from harness.report import files as reports
from harness.rundir import RunDir
from harness.systems.base import Ability
from harness.witness import Witness

CLIENT_S = 5.0
HEAL_S = 30.0
"""For faults to be taken back: a node that was killed starts again."""


class History:
    """What the clients saw. ``again``: the command that repeats it, for whoever reads a failure."""

    def __init__(self, decide: Callable[[], Verdict], path: Path, again: str) -> None:
        self._decide, self._path, self._again = decide, path, again

    def assert_linearizable(self) -> Verdict:
        """Ends the faults and judges what was done. AssertionError with the sentence, the report and the command."""
        verdict = self._decide()
        if verdict.validity is not Validity.VALID:
            text = (self._path / reports.TEXT).read_text()
            page = self._path / reports.PAGE
            raise AssertionError(f"{verdict.sentence}\n\nreport: {page}\nagain:  {self._again}\n\n{text}")
        return verdict


class Trial:
    """``start`` it in the thread that outlives it. ``seed``: of the faults; the same plan each time."""

    def __init__(
        self,
        path: Path,
        n: int,
        *,
        faults: str,
        seed: int,
        time_s: float,
        again: str,
        node_command: str | None = None,
        port_offset: int = 0,
    ) -> None:
        words = [word.strip() for word in faults.split(",") if word.strip() and word.strip() != "none"]
        kinds = possible(chosen(words), frozenset(Ability), n)
        self._plan, _ = draw(
            seed=seed, duration_s=time_s, nodes=n, kinds=kinds, workload="register", clients=1, rate=1.0
        )
        manifest = Manifest(
            versions={"python": platform.python_version()},
            git="",
            command=again,
            seed=seed,
            system="dkv",
            nodes=tuple(f"n{number}" for number in range(1, n + 1)),
            network="hook",
            host={"system": platform.platform()},
            began=datetime.now(UTC).isoformat(timespec="seconds"),
            node_command=node_command,
        )
        self._files = RunFiles(path, manifest, self._plan, [])
        self._rig = build(
            "dkv",
            path / CLUSTER,
            n,
            kernel=None,
            port_offset=port_offset,
            node_command=node_command,
            settings=self._plan.settings,
        )
        self.cluster = Cluster(RunDir(path / CLUSTER), random.Random(seed), lambda _: None)
        """Its verbs (kill, pause, start, …) by hand."""
        self.history = History(self.judge, path, again)
        self._origin_s = time.monotonic()
        self._safety = Safety()
        self._records: list[FaultRecord] = []
        self._ending = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dkv-trial")
        self._torment: Future[None] | None = None
        self._verdict: Verdict | None = None

    def start(self) -> None:
        """Returns when every node votes; faults begin now. Raises HarnessError."""
        asyncio.run(self._rig.system.start())
        names = {member.rest: member.name for member in self.cluster.survey().members}
        self._origin_s = time.monotonic()
        self._witness = Witness(time.monotonic, self._origin_s, lambda address: names.get(address, address))
        self._torment = self._thread.submit(lambda: asyncio.run(self._tormented()))

    @property
    def addresses(self) -> list[str]:
        """REST, of all nodes."""
        return [member.rest for member in self.cluster.survey().members]

    def client(self, timeout_s: float = CLIENT_S) -> Client:
        """One for one thread, recorded."""
        return self._witness.client(self.addresses, timeout_s)

    def heal(self) -> None:
        """End the faults and take back what is still on. TimeoutError if that does not come about."""
        self._ending.set()
        if self._torment is not None:
            self._torment.result(HEAL_S)

    def judge(self) -> Verdict:
        """Of everything so far, once; the reports are written."""
        self.heal()
        if self._verdict is None:
            events = list(self._witness.events)
            checker = Checker("register")
            for event in sorted(events, key=lambda event: event.time_s):
                checker.feed(event)
                self._files.event(event)
            judgement = checker.verdict()
            found = [
                *checks.checks(judgement, checks.explanations(checker, judgement)),
                *self._safety.checks(),
                judge.crashes(self._rig.system.crashes()),
                judge.acknowledged(sum(event.type == "ok" for event in events)),
            ]
            statistics = {"operations": sum(event.type == "invoke" for event in events)}
            self._verdict = judge.verdict(found, [], statistics)
            self._files.verdict(self._verdict)
            reports.write(self._files.path)
        return self._verdict

    def stop(self) -> None:
        """End every process; the files stay."""
        try:
            self.heal()
        finally:
            self._files.close()
            asyncio.run(self._rig.system.stop())
            self._thread.shutdown(wait=False)

    # ---- the thread of faults

    def _clock(self) -> float:
        return time.monotonic() - self._origin_s

    async def _tormented(self) -> None:
        world = self._rig.world(time.monotonic)
        observer = Observer(world, self._clock, self._files.sample, self._files.flush, self._safety)
        nemesis = Nemesis(world, self._plan.seed, self._clock, self._note)
        await observer.look(digests=False)
        async with asyncio.TaskGroup() as group:
            observing = group.create_task(observer.run())
            faults = group.create_task(nemesis.run(self._plan.faults))
            while not self._ending.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.05)
            faults.cancel()
            await asyncio.wait((faults,))
            await world.heal_all()
            observing.cancel()

    def _note(self, record: FaultRecord) -> None:
        self._records.append(record)
        self._files.fault(record)
