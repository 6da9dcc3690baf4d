"""What nodes say of themselves must fit together, whatever happens to them. Pure; fed sample by sample.

- election safety: at most one leader in a term (Raft §5.2);
- leader completeness: who leads has every entry that was committed in an earlier term (§5.4.3);
- a node's commit index never falls while its process lives;
- the committed prefix never changes: one applied index has one digest, at all nodes, in all their lives;
- it never shrinks: at the end every node has applied what anybody ever called committed;
- what is on a disk stays there, through all lives of a node: its term never falls, it has one vote in a term, and its
  log never ends before what the node itself once called committed (Raft figure 2: persistent state).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.history.records import Check, NodeSample, Validity

ELECTION = "election safety"
COMPLETE = "leader completeness"
COMMIT = "commit index"
PREFIX = "committed prefix"
PRESERVED = "commits preserved"
DURABLE = "durable state"
DIGESTS_MAX = 200_000
"""Remembered digests: of a sample of five nodes twice a second, five hours."""


@dataclass
class Safety:
    """``violations``: the first of each kind. ``exact_terms``: see ``harness.chaos.rig``; without it neither
    elections nor leaders' logs nor disks are judged."""

    exact_terms: bool = True
    violations: dict[str, Check] = field(default_factory=dict)
    leaders: dict[int, tuple[str, float]] = field(default_factory=dict)
    crowned: dict[int, NodeSample] = field(default_factory=dict)
    by_term: dict[int, NodeSample] = field(default_factory=dict)
    commits: dict[tuple[str, int], NodeSample] = field(default_factory=dict)
    digests: dict[int, NodeSample] = field(default_factory=dict)
    furthest: NodeSample | None = None
    terms: dict[str, NodeSample] = field(default_factory=dict)
    votes: dict[tuple[str, int], NodeSample] = field(default_factory=dict)
    committed: dict[str, NodeSample] = field(default_factory=dict)
    samples: int = 0

    def feed(self, sample: NodeSample, life: int) -> None:
        """``life``: which of the node's processes it was that said so."""
        if not sample.role:
            return
        self.samples += 1
        self._see_leader(sample)
        self._see_completeness(sample)
        self._see_commit(sample, life)
        self._see_digest(sample)
        if self.exact_terms and sample.settled:
            self._see_disk(sample)
        if self.furthest is None or sample.commit > self.furthest.commit:
            self.furthest = sample

    def finish(self, last: Sequence[NodeSample]) -> None:
        """``last``: every node after healing, when nothing is being written any more."""
        if self.furthest is None:
            return
        for sample in last:
            if sample.role and sample.applied < self.furthest.commit:
                self._violated(
                    PRESERVED,
                    f"{sample.node} ends at index {sample.applied}, but {self.furthest.node} called index "
                    f"{self.furthest.commit} committed at {self.furthest.time_s:.2f} s: committed entries are gone",
                    sample.time_s,
                )

    def checks(self) -> list[Check]:
        """One of each kind, valid or not; unknown if no node ever said anything."""
        seen = Validity.VALID if self.samples else Validity.UNKNOWN
        sentence = "" if self.samples else "no node ever told how it stands"
        names = (*((ELECTION, COMPLETE, DURABLE) if self.exact_terms else ()), COMMIT, PREFIX, PRESERVED)
        return [self.violations.get(name, Check(name=name, validity=seen, sentence=sentence)) for name in names]

    def _see_leader(self, sample: NodeSample) -> None:
        if sample.role != "leader" or not self.exact_terms:
            return
        node, time_s = self.leaders.setdefault(sample.term, (sample.node, sample.time_s))
        if node != sample.node:
            self._violated(
                ELECTION,
                f"{node} (at {time_s:.2f} s) and {sample.node} (at {sample.time_s:.2f} s) were both leader of term "
                f"{sample.term}",
                sample.time_s,
            )

    def _see_completeness(self, sample: NodeSample) -> None:
        """Each term's furthest commit against the first sight of each later term's leader, whichever is seen first."""
        if not self.exact_terms:
            return
        known = self.by_term.setdefault(sample.term, sample)
        if sample.commit > known.commit:
            self.by_term[sample.term] = sample
        if sample.role == "leader" and sample.term not in self.crowned:
            self.crowned[sample.term] = sample
            for term, committed in self.by_term.items():
                if term < sample.term:
                    self._compare(sample, committed, sample.time_s)
        if known is sample or sample.commit > known.commit:
            for term, leader in self.crowned.items():
                if term > sample.term:
                    self._compare(leader, sample, sample.time_s)

    def _compare(self, leader: NodeSample, committed: NodeSample, time_s: float) -> None:
        if committed.commit > leader.last:
            self._violated(
                COMPLETE,
                f"{leader.node} leads in term {leader.term} with a log that ended at {leader.last} (at "
                f"{leader.time_s:.2f} s), but {committed.node} in term {committed.term} called index "
                f"{committed.commit} committed (at {committed.time_s:.2f} s)",
                time_s,
            )

    def _see_commit(self, sample: NodeSample, life: int) -> None:
        before = self.commits.get((sample.node, life))
        if before is not None and sample.commit < before.commit:
            self._violated(
                COMMIT,
                f"the commit index of {sample.node} fell from {before.commit} (at {before.time_s:.2f} s) to "
                f"{sample.commit} (at {sample.time_s:.2f} s) within one life of its process",
                sample.time_s,
            )
        self.commits[sample.node, life] = sample

    def _see_digest(self, sample: NodeSample) -> None:
        if not sample.digest:
            return
        if len(self.digests) >= DIGESTS_MAX:
            self.digests.clear()
        known = self.digests.setdefault(sample.applied, sample)
        if known.digest != sample.digest:
            self._violated(
                PREFIX,
                f"at index {sample.applied} the data of {sample.node} (at {sample.time_s:.2f} s) differ from those of "
                f"{known.node} (at {known.time_s:.2f} s): digests {sample.digest} and {known.digest}",
                sample.time_s,
            )

    def _see_disk(self, sample: NodeSample) -> None:
        """Names of nodes are never used again, so a name is one disk."""
        node, term = sample.node, self.terms.setdefault(sample.node, sample)
        if sample.vote:
            self.votes.setdefault((node, sample.term), sample)
        vote = self.votes.get((node, sample.term), sample)
        committed = self.committed.setdefault(node, sample)
        if sample.term < term.term:
            self._forgot(sample, term, f"was in term {term.term}", f"is in term {sample.term}")
        elif vote.vote != sample.vote:
            now = f"says there that it has voted for {sample.vote or 'nobody'}"
            self._forgot(sample, vote, f"had voted for {vote.vote} in term {vote.term}", now)
        elif sample.last < committed.commit:
            was, now = f"called index {committed.commit} committed", f"has a log that ends at {sample.last}"
            self._forgot(sample, committed, was, now)
        if sample.term > term.term:
            self.terms[node] = sample
        if sample.commit > committed.commit:
            self.committed[node] = sample

    def _forgot(self, sample: NodeSample, before: NodeSample, was: str, now: str) -> None:
        self._violated(
            DURABLE,
            f"{sample.node} {was} (at {before.time_s:.2f} s) and {now} (at {sample.time_s:.2f} s): its disk forgot it",
            sample.time_s,
        )

    def _violated(self, name: str, sentence: str, time_s: float) -> None:
        self.violations.setdefault(name, Check(name=name, validity=Validity.INVALID, sentence=sentence, time_s=time_s))
