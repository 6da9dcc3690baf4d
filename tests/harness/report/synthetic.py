"""Run directories out of thin air: what a chaos run would leave, by a simulated store that is right unless told not to.

Operations take effect at a moment between their beginning and their end, in one order, so a run is linearizable; a
stale read can be put in. The same seed gives the same bytes.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from harness.history.events import Event, EventType, Header
from harness.history.operations import pair
from harness.history.records import Assumption, Check, FaultRecord, NodeSample, Phase, Validity, Verdict

NODES = ("n1", "n2", "n3", "n4", "n5")
TIMEOUT_S = 1.0
LOOK_S = 0.1


@dataclass
class Script:
    """What happens to the cluster: who leads when, and what is done to whom."""

    leaders: list[tuple[float, str | None, int]] = field(default_factory=list)
    """From a moment on: this leader (None: nobody), this term."""
    down: list[tuple[float, float, str, str]] = field(default_factory=list)
    """From, to, node, state of its process (or "cut")."""
    faults: list[FaultRecord] = field(default_factory=list)

    def leader(self, at_s: float) -> tuple[str | None, int]:
        known = [(leader, term) for since_s, leader, term in self.leaders if since_s <= at_s]
        return known[-1] if known else (None, 0)

    def served_after(self, at_s: float) -> float:
        """When somebody leads at the earliest."""
        if self.leader(at_s)[0] is not None:
            return at_s
        return min((since_s for since_s, leader, _ in self.leaders if since_s > at_s and leader), default=float("inf"))


def script(duration_s: float) -> Script:
    """A fault every few seconds, of five kinds in turn; the ones that hit the leader cost an election."""
    told, term, leader = Script([(0.0, "n1", 1)]), 1, "n1"
    kinds = ("kill", "partition", "pause", "delay", "power_loss", "clock_jump")
    for number in range(max(1, int(duration_s / 4.2))):
        kind, at_s = kinds[number % len(kinds)], 2.0 + number * 4.2
        heal_s = min(at_s + 2.4 + 0.3 * (number % 3), duration_s - 0.3)
        if heal_s <= at_s:
            break
        hurt = leader if kind in ("kill", "partition", "pause") else NODES[(number * 2) % 5]
        others = [name for name in NODES if name != hurt]
        links = tuple((hurt, other) for other in others) if kind in ("partition", "delay") else ()
        detail = {"delay": "50 ms ± 10 ms on every link", "clock_jump": "monotonic +2.5 s"}.get(kind, "")
        common = {"fault": number, "kind": kind, "nodes": (hurt,), "links": links}
        told.faults.append(FaultRecord(phase=Phase.INJECT, began_s=at_s, ended_s=at_s + 0.012, detail=detail, **common))
        fired = {"clock_jump": None, "delay": number != 3}.get(kind, True)
        told.faults.append(
            FaultRecord(phase=Phase.PROBE, began_s=at_s + 0.2, ended_s=at_s + 0.25, fired=fired, **common)
        )
        told.faults.append(FaultRecord(phase=Phase.HEAL, began_s=heal_s, ended_s=heal_s + 0.02, **common))
        if kind not in ("delay", "clock_jump"):
            state = {"kill": "dead", "power_loss": "dead", "pause": "paused"}.get(kind, "cut")
            told.down.append((at_s, heal_s, hurt, state))
        if hurt == leader and kind not in ("delay", "clock_jump"):
            leader, term = others[number % 4], term + 1
            told.leaders += [(at_s, None, term), (at_s + 0.35 + 0.23 * (number % 3), leader, term)]
    return told


@dataclass
class Planned:
    """An operation before its result is known. ``effect_s`` None: it never takes effect."""

    process: int
    f: str
    key: str
    value: Any
    began_s: float
    ended_s: float
    type: EventType
    effect_s: float | None
    error: str | None = None
    node: str | None = None
    result: Any = None


def operations(
    random: Random, told: Script, clients: int, rate: float, duration_s: float, workload: str
) -> list[Planned]:
    """Closed loops of ``clients`` that together begin about ``rate`` operations a second while all is well."""
    found: list[Planned] = []
    state: dict[str, Any] = {}
    ready = [(random.uniform(0, 0.05), client, client) for client in range(clients)]
    heapq.heapify(ready)
    processes = clients
    while ready:
        at_s, client, process = heapq.heappop(ready)
        if at_s >= duration_s - 0.05:
            continue
        operation = _operation(random, told, len(found), process, at_s, workload)
        found.append(operation)
        if operation.type is EventType.INFO:
            process, processes = processes, processes + 1
        pause_s = random.expovariate(rate / clients) + operation.ended_s
        heapq.heappush(ready, (pause_s, client, process))
    for operation in sorted((one for one in found if one.effect_s is not None), key=lambda one: one.effect_s or 0.0):
        _take_effect(random, operation, state)
    return found


def _operation(random: Random, told: Script, number: int, process: int, at_s: float, workload: str) -> Planned:
    key, f = f"k{random.randrange(12)}", random.choice(_MIX[workload])
    value = {"write": f"v{number}", "append": number, "cas": [None, f"v{number}"]}.get(f)
    took_s = random.lognormvariate(-6.1, 0.45) + (0.05 if _slow(told, at_s) and random.random() < 0.3 else 0.0)
    waits_s = told.served_after(at_s) - at_s
    node = random.choice([name for name in NODES if not _state(told, name, at_s)] or list(NODES))
    planned = Planned(process, f, key, value, at_s, at_s + took_s, EventType.OK, None, node=node)
    if waits_s + took_s > TIMEOUT_S or (waits_s and random.random() < 0.3) or random.random() < 0.0008:
        refused = f == "read" or random.random() < 0.3
        planned.type = EventType.FAIL if refused else EventType.INFO
        planned.error = "NO_LEADER" if refused else "TIMEOUT"
        planned.ended_s = at_s + (0.02 if refused else TIMEOUT_S)
        planned.effect_s = None if refused or random.random() < 0.5 else planned.ended_s - 0.001
        return planned
    planned.ended_s += waits_s
    planned.effect_s = at_s + waits_s + random.uniform(0.2, 0.9) * took_s
    return planned


_MIX = {
    "register": ("read", "read", "read", "write", "write", "cas", "delete"),
    "append": ("read", "append", "append"),
    "set": ("read", "add", "add"),
}


def _slow(told: Script, at_s: float) -> bool:
    spans = {record.fault: record.began_s for record in told.faults if record.kind == "delay"}
    return any(began_s <= at_s < began_s + 2.5 for began_s in spans.values())


def _state(told: Script, node: str, at_s: float) -> str:
    return next((state for since, until, name, state in told.down if name == node and since <= at_s < until), "")


def _take_effect(random: Random, operation: Planned, state: dict[str, Any]) -> None:
    key, now = operation.key, state.get(operation.key)
    if operation.f == "read":
        operation.result = list(now) if isinstance(now, list) else now
        return
    if operation.f == "write":
        state[key] = operation.value
    elif operation.f == "append":
        state[key] = [*(now or []), operation.value]
    elif operation.f == "add":
        operation.value = int(operation.effect_s * 1e6)
        state[key] = sorted([*(now or []), operation.value], key=lambda element: element * 7919 % 10007)
    elif operation.f == "delete":
        state.pop(key, None)
    elif random.random() < 0.75:
        operation.value = [now, operation.value[1]]
        state[key] = operation.value[1]
    else:
        operation.value = ["v-other", operation.value[1]]
        if operation.type is EventType.OK:
            operation.type, operation.error = EventType.FAIL, "CAS_MISMATCH"
    operation.result = now is not None if operation.f == "delete" else operation.value


def events(these: Iterable[Planned]) -> list[Event]:
    """In the order of time."""
    found = []
    for one in these:
        common = {"process": one.process, "f": one.f, "key": one.key}
        found.append(Event(type=EventType.INVOKE, value=one.value, time_s=round(one.began_s, 6), **common))
        result = one.result if one.type is EventType.OK else one.value
        end = {"value": result, "time_s": round(one.ended_s, 6), "error": one.error, "node": one.node}
        found.append(Event(type=one.type, **common, **end))
    return sorted(found, key=lambda event: (event.time_s, event.type is not EventType.INVOKE))


def make_stale(these: list[Planned], after_s: float) -> tuple[Planned, Planned, Planned]:
    """Have one read return what had been overwritten: the two writes and the read."""
    for read in sorted(these, key=lambda one: one.began_s):
        if read.f != "read" or read.began_s < after_s or read.type is not EventType.OK:
            continue
        before = [
            one
            for one in these
            if one.key == read.key and one.f == "write" and one.type is EventType.OK and one.ended_s < read.began_s
        ]
        before.sort(key=lambda one: one.ended_s)
        if len(before) >= 2 and before[-1].began_s > before[-2].ended_s and read.result == before[-1].value:
            read.result, read.node = before[-2].value, "n4"
            return before[-2], before[-1], read
    raise AssertionError("no read to make stale")


def samples(random: Random, told: Script, duration_s: float, these: list[Planned]) -> list[NodeSample]:
    """A look at every node, ten times a second."""
    effects = sorted(one.effect_s for one in these if one.effect_s is not None and one.f != "read")
    found, reached = [], 0
    held: dict[str, int] = dict.fromkeys(NODES, 0)
    for step in range(int(duration_s / LOOK_S) + 1):
        at_s = step * LOOK_S
        while reached < len(effects) and effects[reached] <= at_s:
            reached += 1
        leader, term = told.leader(at_s)
        for name in NODES:
            state = _state(told, name, at_s)
            if state in ("dead", "paused"):
                found.append(NodeSample(time_s=at_s, node=name, process=state))
                continue
            if state != "cut":
                held[name] = max(held[name], reached - (0 if name == leader else random.randrange(3)), 0)
            role = (
                "leader" if name == leader else "candidate" if leader is None and random.random() < 0.3 else "follower"
            )
            found.append(
                NodeSample(
                    time_s=at_s, node=name, process="running", role=role, term=term, leader=leader or "",
                    commit=held[name], applied=held[name], last=held[name] + random.randrange(2), voters=NODES,
                )
            )  # fmt: skip
    return found


def write(directory: Path, *, seed: int = 42, clients: int = 8, rate: float = 160, duration_s: float = 30.0,
          workload: str = "register", stale: bool = False, validity: Validity = Validity.VALID, looks: bool = True,
          system: str = "dkv") -> list[Planned]:  # fmt: skip
    """A run's directory; returns its operations."""
    random, told = Random(seed), script(duration_s)
    these = operations(random, told, clients, rate, duration_s, workload)
    guilty = make_stale(these, duration_s * 0.6) if stale else None
    looked = samples(random, told, duration_s, these) if looks else []
    verdict = _violation(guilty) if guilty else _verdict(validity)
    header = Header(workload=workload, system=system, seed=seed)
    manifest = {
        "versions": {"dkv": "0.1.0", "python": "3.11.7"}, "git": "42e00fe", "seed": seed, "system": system,
        "command": f"dkv-harness chaos --nodes 5 --time {duration_s:g} --seed {seed}",
        "nodes": list(NODES), "network": "kernel", "host": {"cpus": 2, "kernel": "6.18"},
    }  # fmt: skip
    write_files(directory, manifest, header, events(these), told.faults, looked, verdict)
    return these


def write_files(directory: Path, manifest: dict[str, Any], header: Header, history: Iterable[Event],
                faults: Iterable[FaultRecord], looked: Iterable[NodeSample], verdict: Verdict | None,
                ) -> None:  # fmt: skip
    """The files of a run; without ``verdict`` that one is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "manifest.json").write_text(json.dumps(manifest))
    encode = msgspec.json.encode
    (directory / "history.jsonl").write_bytes(b"".join(encode(line) + b"\n" for line in [header, *history]))
    (directory / "faults.jsonl").write_bytes(b"".join(encode(line) + b"\n" for line in faults))
    if looked := list(looked):
        (directory / "nodes.jsonl").write_bytes(b"".join(encode(line) + b"\n" for line in looked))
    if verdict is not None:
        (directory / "verdict.json").write_bytes(encode(verdict))


CHECKS = ("linearizability", "election safety", "log matching", "committed prefix", "equal hash at equal index",
          "acknowledged exactly once", "progress after healing", "final read", "crash scan")  # fmt: skip


def _verdict(validity: Validity) -> Verdict:
    sentence = {
        Validity.VALID: "All operations on 12 keys are linearizable, and nine checks found nothing wrong.",
        Validity.UNKNOWN: "Key k3 could not be decided within 2,000,000 steps: 14 operations of unknown outcome "
        "overlap between 11.2 s and 12.9 s. Give --steps more, or fewer clients a key.",
    }[validity]
    first = Check(name=CHECKS[0], validity=validity, sentence="" if validity is Validity.VALID else sentence)
    rest = tuple(Check(name=name, validity=Validity.VALID) for name in CHECKS[1:])
    return Verdict(validity=validity, sentence=sentence, checks=(first, *rest), assumptions=ASSUMPTIONS, statistics={})


ASSUMPTIONS = (
    Assumption(name="clients sequential", held=True, sentence="No client did two things at a time."),
    Assumption(name="faults fired", held=False, sentence="Fault 3 (delay at n2) was set, but its probe saw no delay: "
               "what the run says of slow links rests on nothing."),
    Assumption(name="minimum rate", held=True, sentence="160 operations a second were reached; 100 were asked."),
)  # fmt: skip


def _violation(guilty: tuple[Planned, Planned, Planned]) -> Verdict:
    _, new, read = guilty
    gap_ms = (read.began_s - new.ended_s) * 1000
    sentence = (
        f"{read.node} returned {read.result} for key {read.key} although {new.value} had been acknowledged "
        f"{gap_ms:.0f} ms before the read began."
    )
    check = Check(
        name=CHECKS[0], validity=Validity.INVALID, sentence=sentence, key=read.key, time_s=round(read.ended_s, 6),
        operations=tuple(operation.as_dict() for operation in pair(events(guilty))),
    )  # fmt: skip
    rest = tuple(Check(name=name, validity=Validity.VALID) for name in CHECKS[1:])
    return Verdict(
        validity=Validity.INVALID, sentence=sentence, checks=(check, *rest), assumptions=ASSUMPTIONS, statistics={}
    )


def write_all(root: Path) -> None:
    """Every kind of run there is."""
    write(root / "valid")
    write(root / "violation", stale=True)
    write(root / "large", clients=16, rate=900, duration_s=30)
    write(root / "append", workload="append", clients=10, rate=300)
    write(root / "unknown", validity=Validity.UNKNOWN, duration_s=12)
    write(root / "etcd", looks=False, system="etcd", duration_s=15)
    write_files(root / "empty", {"system": "dkv", "seed": 7, "nodes": list(NODES)}, Header(), [], [], [], None)
