"""What one group's log is to become at the next commit: buffered calls, folded into at most one cut and one
append.

Pure. Everything stays in the buffer until ``written`` says that it is on disk, so a commit that found no
room is simply tried again. Its assertions are Raft's own: a term never falls, nobody votes twice in one,
what is committed is never cut.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from dkv.raft.contracts import GENESIS, Entry, GroupId, LoggedState, NodeId

COMMIT_INDEX_TURNS_MAX = 64
"""The commit index is only a head start for the next boot, so it costs no fsync of its own, unless that many
turns brought nothing else to write (some seconds of heartbeats)."""


class Deed(StrEnum):
    """What a commit does to a group's log, as those speak who must survive it."""

    APPEND = "append"
    VOTE = "vote"
    """The term or the vote changes."""
    TRIM = "trim"
    INSTALL = "install"
    """The log is reset to a snapshot's base."""


class GroupState(msgspec.Struct, frozen=True):
    """All of a group's log that is not an entry. Entries ``first_index..last_index`` are the log; others are
    debris."""

    term: int
    vote: NodeId | None
    commit_index: int
    base_voters: tuple[NodeId, ...]
    first_index: int
    last_index: int


def genesis_state(base_voters: Sequence[NodeId]) -> GroupState:
    """Of a log that holds ``GENESIS``."""
    first, last = GENESIS
    return GroupState(0, None, last.index, tuple(base_voters), first.index, last.index)


def entry_crc(group: GroupId, entry: Entry) -> int:
    """CRC-32 over everything that a row means, its place included."""
    return zlib.crc32(entry.command, zlib.crc32(struct.pack("<qqq", group, entry.index, entry.term)))


def state_crc(group: GroupId, state: bytes) -> int:
    """CRC-32 over a group's state as stored."""
    return zlib.crc32(state, zlib.crc32(struct.pack("<q", group)))


class LogBuffer:
    """A ``GroupLog`` over ``state``, which is on disk. ``read(first_index, last_index)`` fetches entries
    from there."""

    def __init__(
        self, group: GroupId, state: GroupState, read: Callable[[int, int], list[Entry]], swept_to: int
    ) -> None:
        self.group = group
        self.state = state
        """As it will be after the next commit."""
        self.cut_at: int | None = None
        """Rows from this index on must go, before ``appended`` is added."""
        self.appended: list[Entry] = []
        self.swept_to = swept_to
        """Rows below this index are gone; those from here to ``state.first_index`` are debris."""
        self.sealed = False
        """A commit is writing this buffer, perhaps in another thread: what came in now would be lost with
        ``written``."""
        self._read = read
        self._dirty = False
        self._commit_index_turns = 0
        self._stored = state

    # ---- dkv.raft.contracts.GroupLog

    def load(self) -> LoggedState:
        """What is on disk. Only before anything was buffered."""
        assert not self._dirty, f"group {self.group}: the log is loaded once, before it is changed"
        state = self.state
        entries = self._read(state.first_index, state.last_index)
        return LoggedState(entries, state.term, state.vote, state.commit_index, state.base_voters)

    def append(self, entry: Entry) -> None:
        """Add at the end."""
        assert entry.index == self.state.last_index + 1, (
            f"group {self.group}: entry {entry.index} does not follow {self.state.last_index}"
        )
        self.appended.append(entry)
        self._become(last_index=entry.index)

    def truncate_from(self, index: int) -> None:
        """Drop the entries from ``index`` on (a conflict with the leader's log, Raft §5.3)."""
        state = self.state
        assert max(state.commit_index, state.first_index + 1) < index <= state.last_index + 1, (
            f"group {self.group}: cannot cut at {index}: the log is {state.first_index}..{state.last_index}, "
            f"committed up to {state.commit_index}"
        )
        self._cut(index)
        self._become(last_index=index - 1)

    def trim_to(self, index: int, base_voters: Sequence[NodeId]) -> None:
        """Let the log begin at ``index``, where the voters are ``base_voters``: a checkpoint covers what
        goes."""
        state = self.state
        assert state.first_index <= index < state.last_index, (
            f"group {self.group}: cannot trim to {index}: two entries stay of {state.first_index}..{state.last_index}"
        )
        self._become(first_index=index, base_voters=tuple(base_voters))

    def reset(self, base: Sequence[Entry], base_voters: Sequence[NodeId]) -> None:
        """The log becomes ``base``: the last two entries that an installed snapshot covers."""
        previous, last = base
        assert previous.index + 1 == last.index, f"group {self.group}: {previous.index}, {last.index} are no base"
        assert last.index >= max(self.state.commit_index, self.state.first_index + 1), (
            f"group {self.group}: a snapshot up to {last.index} would take back what is committed up to "
            f"{self.state.commit_index}"
        )
        self._cut(previous.index)
        self.appended = [previous, last]
        self._become(
            first_index=previous.index,
            last_index=last.index,
            commit_index=last.index,
            base_voters=tuple(base_voters),
        )

    def set_hard_state(self, term: int, vote: NodeId | None) -> None:
        """Record the current term, and for whom this node voted in it."""
        state = self.state
        assert term >= state.term, f"group {self.group}: the term cannot fall from {state.term} to {term}"
        assert term > state.term or state.vote is None or vote == state.vote, (
            f"group {self.group}: a second vote in term {term}: {vote} after {state.vote}"
        )
        if (term, vote) != (state.term, state.vote):
            self._become(term=term, vote=vote)

    def set_commit_index(self, index: int) -> None:
        """Remember a lower bound; a smaller one is no news (a restarted replica counts up again)."""
        assert index <= self.state.last_index, (
            f"group {self.group}: commit index {index} beyond the log's end {self.state.last_index}"
        )
        assert not self.sealed, f"group {self.group}: changed while a commit is under way"
        if index > self.state.commit_index:
            self.state = msgspec.structs.replace(self.state, commit_index=index)

    # ---- the storage's side

    def end_turn(self) -> bool:
        """Count a turn; whether it must write."""
        if self.state.commit_index != self._stored.commit_index:
            self._commit_index_turns += 1
        return self._dirty or self.has_debris or self._commit_index_turns >= COMMIT_INDEX_TURNS_MAX

    def deeds(self) -> list[Deed]:
        """What the next commit will do, in a fixed order."""
        now, stored = self.state, self._stored
        is_install = bool(self.appended) and self.appended[0].index == now.first_index
        does = {
            Deed.APPEND: bool(self.appended) and not is_install,
            Deed.VOTE: (now.term, now.vote) != (stored.term, stored.vote),
            Deed.TRIM: now.first_index > stored.first_index and not is_install,
            Deed.INSTALL: is_install,
        }
        return [deed for deed, is_done in does.items() if is_done]

    @property
    def has_debris(self) -> bool:
        """Whether rows below the log's first entry may still be there."""
        return self.swept_to < self.state.first_index

    def written(self, swept_to: int) -> None:
        """All of it is on disk, and rows below ``swept_to`` are gone."""
        self.swept_to = swept_to
        self.cut_at = None
        self.appended = []
        self._dirty = False
        self._commit_index_turns = 0
        self._stored = self.state

    def _become(self, **changes: object) -> None:
        assert not self.sealed, f"group {self.group}: changed while a commit is under way"
        self.state = msgspec.structs.replace(self.state, **changes)
        self._dirty = True

    def _cut(self, index: int) -> None:
        if self.appended and index >= self.appended[0].index:
            del self.appended[index - self.appended[0].index :]
            return
        self.appended = []
        self.cut_at = index if self.cut_at is None else min(self.cut_at, index)
