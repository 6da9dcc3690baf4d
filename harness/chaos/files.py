"""A run's directory: the plan before, the records as they come, the verdict after. Read back for replay and shrink."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import Refused
from harness.history.events import Event, Header
from harness.history.files import Writer
from harness.history.records import FaultRecord, NodeSample, Verdict
from harness.plan import plan as plans
from harness.plan.plan import Operation, Plan

MANIFEST, PLAN, OPERATIONS = "manifest.json", "plan.json", "operations.jsonl"
HISTORY, FAULTS, NODES, VERDICT, CLUSTER = "history.jsonl", "faults.jsonl", "nodes.jsonl", "verdict.json", "cluster"


@dataclass(frozen=True)
class Manifest:
    """Where a run comes from. ``network``: kernel or hook. ``versions``: of what took part.

    ``node_command``: what nodes were started by, if not by the usual.
    """

    versions: dict[str, str]
    git: str
    command: str
    seed: int
    system: str
    nodes: tuple[str, ...]
    network: str
    host: dict[str, Any]
    began: str
    node_command: str | None = None


class RunFiles:
    """Lines are buffered and flushed by ``flush``, once a look: a run that is killed leaves at most a torn end."""

    def __init__(self, path: Path, manifest: Manifest, plan: Plan, operations: list[Operation]) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        if any((path / name).exists() for name in (PLAN, HISTORY)):
            raise Refused(f"{path} holds a run already: give --out another directory")
        (path / MANIFEST).write_bytes(_pretty(manifest))
        (path / PLAN).write_bytes(plans.to_json(plan))
        (path / OPERATIONS).write_bytes(plans.to_lines(operations))
        self.header = Header(workload=plan.workload, system=plan.system, seed=plan.seed)
        self._history = Writer(path / HISTORY, self.header)
        self._faults = (path / FAULTS).open("wb")
        self._nodes = (path / NODES).open("wb")
        self._encoder = msgspec.json.Encoder()

    @property
    def cluster(self) -> Path:
        """The system's own run directory."""
        return self.path / CLUSTER

    def event(self, event: Event) -> None:
        self._history.write(event)

    def fault(self, record: FaultRecord) -> None:
        self._faults.write(self._encoder.encode(record) + b"\n")

    def sample(self, sample: NodeSample) -> None:
        self._nodes.write(self._encoder.encode(sample) + b"\n")

    def flush(self) -> None:
        self._history.flush()
        self._faults.flush()
        self._nodes.flush()

    def verdict(self, verdict: Verdict) -> None:
        """The last word; everything is on the disk after it."""
        (self.path / VERDICT).write_bytes(_pretty(verdict))
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._history.close()
        self._faults.close()
        self._nodes.close()


def load_plan(path: Path) -> tuple[Plan, list[Operation]]:
    """Of a run's directory, the very list that was run. Raises Refused, UsageError."""
    try:
        plan = plans.from_json((path / PLAN).read_bytes())
        return plan, plans.from_lines((path / OPERATIONS).read_bytes(), plan.operations)
    except FileNotFoundError as error:
        raise Refused(f"{path} is no run's directory: it has no {Path(error.filename).name}") from None


def load_verdict(path: Path) -> Verdict | None:
    """None if the run was never judged."""
    try:
        return msgspec.json.decode((path / VERDICT).read_bytes(), type=Verdict)
    except FileNotFoundError:
        return None


def load_manifest(path: Path) -> Manifest | None:
    """None where there is none."""
    try:
        return msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
