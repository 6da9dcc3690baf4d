"""What must never happen, watched from above.

Election Safety, State Machine Safety, Leader Completeness as "acknowledged means on a majority of disks", Log Matching
as equal digests at equal indexes, linearizable reads, exactly once. The first violation ends a run, with a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dkv.kv.commands import Code, Command, Op, Result, decode_batch
from dkv.raft.contracts import NodeId


class Violation(AssertionError):
    """A promise that was broken."""


@dataclass(slots=True)
class Write:
    """An acknowledged one."""

    command: Command
    revision: int
    acknowledged_at: float


@dataclass
class Truth:
    """Everything that the world has seen."""

    payloads: dict[int, bytes] = field(default_factory=dict)
    first_index: dict[str, int] = field(default_factory=dict)
    """Idempotency id → index of the entry in which its command first stood: the one that took effect."""
    leaders: dict[int, NodeId] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    rows: dict[str, dict[int, str]] = field(default_factory=dict)
    """key → revision → value, as the log has it."""
    newest_acknowledged: dict[str, int] = field(default_factory=dict)
    newest_read: dict[str, int] = field(default_factory=dict)
    reads: int = 0

    def applied(self, node: NodeId, index: int, payload: bytes, results: list[Result]) -> None:
        """State Machine Safety: one command an index, everywhere (Raft Figure 3)."""
        known = self.payloads.get(index)
        if known is not None:
            if known != payload:
                raise Violation(f"{node} applied something else at {index} than was applied there before")
            return
        self.payloads[index] = payload
        for command, result in zip(decode_batch(payload).commands, results, strict=True):
            if command.id:
                self.first_index.setdefault(command.id, index)
            if command.op is Op.SET and result.code is Code.OK and result.revision == index:
                self.rows.setdefault(command.key, {})[index] = command.value

    def leads(self, node: NodeId, term: int) -> None:
        """Election Safety: at most one leader a term."""
        if self.leaders.setdefault(term, node) != node:
            raise Violation(f"two leaders in term {term}: {self.leaders[term]} and {node}")

    def digest(self, node: NodeId, index: int, digest: str) -> None:
        """Equal index, equal state."""
        if self.digests.setdefault(index, digest) != digest:
            raise Violation(f"{node} has another state at {index} than another node had there")

    def acknowledged(self, command: Command, result: Result, now: float) -> None:
        """A client was told that its write is safe."""
        first = self.first_index.get(command.id)
        if first is None:
            raise Violation(f"{command.id} was acknowledged at {result.revision} and is in no log")
        if result.revision != first:
            raise Violation(f"{command.id} took effect at {first}, but was acknowledged at {result.revision}: twice?")
        self.writes.append(Write(command, result.revision, now))
        newest = self.newest_acknowledged.get(command.key, 0)
        self.newest_acknowledged[command.key] = max(newest, result.revision)

    def floor(self, key: str) -> int:
        """A read that begins now must see this revision or a later one."""
        return max(self.newest_acknowledged.get(key, 0), self.newest_read.get(key, 0))

    def read(self, node: NodeId, key: str, floor: int, revision: int, value: str | None) -> None:
        """A linearizable read was answered. Keys are only ever set here, so revisions tell the order."""
        self.reads += 1
        if revision < floor:
            raise Violation(f"stale read at {node}: {key} at revision {revision}, {floor} was known before it began")
        if revision and self.rows[key].get(revision) != value:
            raise Violation(
                f"{node} read {value!r} for {key} at {revision}, the log has {self.rows[key].get(revision)!r}"
            )
        self.newest_read[key] = max(self.newest_read.get(key, 0), revision)
