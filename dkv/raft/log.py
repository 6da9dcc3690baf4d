"""The Raft log in memory, in step with its buffered writes to disk, and the voters that it implies.

The log always holds at least two entries (``contracts.GENESIS``, or the two base entries of a checkpoint). Every change
goes to the ``GroupLog`` at once and is durable at the turn's commit. The voters are a fold over the configuration
entries, committed or not: a configuration counts from the moment it is in the log (Raft §6, thesis §4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dkv.raft.configuration import is_change, voters_at
from dkv.raft.contracts import Entry, GroupLog, LoggedState, NodeId


@dataclass(frozen=True, slots=True, order=True)
class LogPosition:
    """The end of a log; ordered as Raft §5.4.1 compares logs."""

    term: int
    index: int


class Log:
    """Entries ``first_index .. last_index`` without gaps."""

    def __init__(self, disk: GroupLog, state: LoggedState) -> None:
        """``state``: what ``disk.load()`` returned."""
        self._disk = disk
        self.entries: list[Entry] = list(state.entries)
        assert len(self.entries) >= 2, f"a log has at least its two base entries, this one has {len(self.entries)}"
        self.term, self.vote = state.term, state.vote
        self.commit_index = state.commit_index
        self._base_voters = tuple(state.base_voters)
        self.size_bytes = sum(len(entry.command) for entry in self.entries)
        self.voters = self.voters_at(self.last_index)

    @property
    def first_index(self) -> int:
        return self.entries[0].index

    @property
    def last_index(self) -> int:
        return self.entries[-1].index

    @property
    def last_position(self) -> LogPosition:
        return LogPosition(self.entries[-1].term, self.entries[-1].index)

    def term_at(self, index: int) -> int | None:
        """Term of the entry at ``index``; None where the log does not have it."""
        offset = index - self.entries[0].index
        return self.entries[offset].term if 0 <= offset < len(self.entries) else None

    def entry(self, index: int) -> Entry:
        """The entry at ``index``, which must be in the log."""
        offset = index - self.entries[0].index
        assert 0 <= offset < len(self.entries), f"{index} is not in {self.first_index}..{self.last_index}"
        return self.entries[offset]

    def voters_at(self, index: int) -> tuple[NodeId, ...]:
        """The voters as of ``index``, which must not lie before the log."""
        return voters_at(self._base_voters, self.entries, index)

    def append(self, entry: Entry) -> None:
        """One entry more, right behind the last."""
        assert entry.index == self.last_index + 1, f"entry {entry.index} does not follow {self.last_index}"
        self.entries.append(entry)
        self.size_bytes += len(entry.command)
        self._disk.append(entry)
        if is_change(entry.command):
            self.voters = self.voters_at(entry.index)

    def truncate_from(self, index: int) -> None:
        """Drop ``index`` and everything behind it: entries that a later leader overruled, so never committed ones."""
        if index > self.last_index:
            return
        assert index > self.commit_index, f"truncation at {index} would drop committed entries ({self.commit_index})"
        assert index >= self.first_index + 2, f"truncation at {index} would drop the base of {self.first_index}"
        cut = index - self.first_index
        self.size_bytes -= sum(len(entry.command) for entry in self.entries[cut:])
        del self.entries[cut:]
        self._disk.truncate_from(index)
        self.voters = self.voters_at(self.last_index)

    def trim_to(self, index: int) -> None:
        """Forget everything before ``index``; two entries stay in any case."""
        index = min(index, self.last_index - 1)
        cut = index - self.first_index
        if cut <= 0:
            return
        # The base is the configuration as of the first entry that stays: that entry itself is folded again at load.
        self._base_voters = self.voters_at(index)
        self.size_bytes -= sum(len(entry.command) for entry in self.entries[:cut])
        del self.entries[:cut]
        self._disk.trim_to(index, self._base_voters)

    def reset(self, base: Sequence[Entry], voters: Sequence[NodeId]) -> None:
        """Start over from a snapshot's two base entries."""
        assert [entry.index - base[0].index for entry in base] == [0, 1], f"not a base: {[e[1:] for e in base]}"
        self.entries = list(base)
        self._base_voters = tuple(voters)
        self.size_bytes = sum(len(entry.command) for entry in base)
        self._disk.reset(base, self._base_voters)
        self.voters = self.voters_at(self.last_index)

    def set_hard_state(self, term: int, vote: NodeId | None) -> None:
        """Raft Figure 2, persistent state: must be on disk before any answer that rests on it."""
        assert term >= self.term, f"the term went back from {self.term} to {term}"
        assert term > self.term or self.vote in (None, vote), f"a second vote in term {term}: {self.vote}, then {vote}"
        self.term, self.vote = term, vote
        self._disk.set_hard_state(term, vote)

    def set_commit_index(self, index: int) -> None:
        """A lower bound for the next start; rides along with the next write."""
        if index != self.commit_index:
            self.commit_index = index
            self._disk.set_commit_index(index)
