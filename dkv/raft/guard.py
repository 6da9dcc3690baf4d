"""Judges every message before pysyncobj sees it, and every reply before a peer does. Pure; each rule a method.

pysyncobj 0.3.17 cuts matching log tails, believes commit indexes it did not check, sends replies without a term, and
counts votes instead of voters; any of these loses acknowledged writes. ``DIVERGENCE.md`` tells each hole and the rule
here that closes it. The library still decides: it is only never shown a message that it would take wrongly.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from dkv.errors import FatalError
from dkv.raft.configuration import decode_change, is_change
from dkv.raft.contracts import Entry, NodeId
from dkv.raft.messages import CONFIGURATION, NO_OP, REGULAR, AppendEntries, AppendReply, BadMessage


class LogView(Protocol):
    """What the guard may ask of the log."""

    @property
    def first_index(self) -> int: ...
    @property
    def last_index(self) -> int: ...
    def term_at(self, index: int) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Judged:
    """An append as the library may see it, and what a reply to it may claim.

    ``proven_index``: our log equals the leader's up to here, if the library accepts. ``mismatch``: the library will
    refuse, because the logs differ (or ours ends) at ``previous_index``.
    """

    message: AppendEntries
    proven_index: int
    mismatch: bool
    quiet: bool = False
    """An acceptance is not worth a message."""


class Guard:
    """The rules for one replica. ``commit_index`` is always this node's own at the time of the call."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._votes: set[tuple[int, NodeId]] = set()

    # ---- appends

    def check_entries(self, message: AppendEntries) -> None:
        """Raise ``BadMessage`` unless the entries follow each other and are ones that the library may see.

        It unpickles configuration entries, so only our own canonical bytes pass (``configuration.decode_change``).
        """
        index, term = message.previous_index, message.previous_term
        for entry in message.entries:
            index += 1
            if entry.index != index or not term <= entry.term <= message.term:
                raise BadMessage(f"entry {entry.index} of term {entry.term} does not follow {index - 1} of term {term}")
            term = entry.term
            if not entry.command or entry.command[0] not in (REGULAR, NO_OP, CONFIGURATION):
                raise BadMessage(f"entry {entry.index} is of no known kind")
            if is_change(entry.command):
                try:
                    decode_change(entry.command)
                except ValueError as error:
                    raise BadMessage(str(error)) from None

    def judge_append(self, message: AppendEntries, log: LogView, commit_index: int) -> Judged:
        """Cut off what we have already, refuse contradictions of what is committed, limit what may be committed."""
        proven = message.previous_index + len(message.entries)
        message = self.skip_compacted(message, log)
        if message.previous_index > log.last_index:
            return Judged(message, proven, mismatch=True)
        quiet = message.quiet
        if log.term_at(message.previous_index) != message.previous_term:
            self.refuse_contradiction(message.previous_index, commit_index)
            return Judged(message, proven, mismatch=True)
        message = self.skip_matching(message, log, commit_index)
        return Judged(self.limit_commit(message, proven), proven, mismatch=False, quiet=quiet)

    def skip_compacted(self, message: AppendEntries, log: LogView) -> AppendEntries:
        """What lies before our first entry is committed, hence identical: begin at our first entry."""
        known = log.first_index - message.previous_index
        if known <= 0:
            return message
        term = log.term_at(log.first_index)
        assert term is not None, "a log has its first entry"
        return _following(message, log.first_index, term, message.entries[known:])

    def skip_matching(self, message: AppendEntries, log: LogView, commit_index: int) -> AppendEntries:
        """Hand over from the first entry that differs (Raft §5.3: delete only on conflict, Figure 2 step 3).

        The library deletes whatever follows ``previous_index`` first. A repeated message would make it forget entries
        that were acknowledged through a later one.
        """
        matching = 0
        for entry in message.entries:
            if log.term_at(entry.index) != entry.term:
                break
            matching += 1
        if matching == len(message.entries):
            last_term = log.term_at(log.last_index)
            assert last_term is not None, "a log has its last entry"
            return _following(message, log.last_index, last_term, [])
        conflict = message.entries[matching]
        if conflict.index <= log.last_index:
            self.refuse_contradiction(conflict.index, commit_index)
        term = log.term_at(conflict.index - 1)
        assert term is not None, f"{conflict.index} follows what matches"
        return _following(message, conflict.index - 1, term, message.entries[matching:])

    def limit_commit(self, message: AppendEntries, proven_index: int) -> AppendEntries:
        """Commit no further than this very message proves our log to equal the leader's (Raft Figure 2, step 5)."""
        if message.commit_index <= proven_index:
            return message
        return _with_commit(message, proven_index)

    def refuse_contradiction(self, index: int, commit_index: int) -> None:
        """A leader that would have us change a committed entry breaks Leader Completeness: stop, do not go on."""
        if index <= commit_index:
            raise FatalError(
                f"{self._me}: a leader contradicts entry {index}, which is committed here (up to {commit_index}); "
                "the process stops so that nothing acknowledged is overwritten"
            )

    # ---- replies to appends

    def judge_reply(self, reply: AppendReply, judged: Judged | None, commit_index: int) -> AppendReply:
        """Claim what this append proved and no more; answer a refusal with the first index that may differ."""
        if judged is None:
            return reply
        if reply.success:
            return self.claim_proven(reply, judged)
        if reply.reset:
            return self.reset_to_commit(reply, commit_index)
        return reply

    def claim_proven(self, reply: AppendReply, judged: Judged) -> AppendReply:
        """The library would claim its own last entry, also those that this leader never sent."""
        return AppendReply(reply.term, judged.proven_index + 1, success=True, reset=False)

    def reset_to_commit(self, reply: AppendReply, commit_index: int) -> AppendReply:
        """Committed entries are identical by definition, so the leader may go on right behind them: one round trip.

        The library steps back one entry a heartbeat, or bounces between two answers for ever.
        """
        return AppendReply(reply.term, commit_index + 1, success=False, reset=True)

    def accepts_reply(self, reply: AppendReply, sender: NodeId, term: int, audience: Collection[NodeId]) -> bool:
        """Only answers to this leadership count, and only from those whom it replicates to."""
        return reply.term == term and sender in audience

    # ---- votes

    def accepts_vote(self, vote_term: int, sender: NodeId, term: int) -> bool:
        """One voter, one vote a term.

        Who the sender is need not be asked. A vote answers a request of its term; requests go out once a term, to the
        voters of the candidate's log; and a candidate's log, hence who votes, cannot change before its term is over or
        it follows a leader, when the library counts no votes. That the library asks the log's voters and nobody else is
        what the simulator checks after each turn.
        """
        ballot = (vote_term, sender)
        if vote_term != term or ballot in self._votes:
            return False
        self._votes = {known for known in self._votes if known[0] == term} | {ballot}
        return True

    # ---- snapshots

    def wants_snapshot(self, last: Entry, log: LogView, applied_index: int) -> bool:
        """Only what is news: a log that holds the snapshot's last entry also holds acknowledged ones behind it."""
        return last.index > applied_index and log.term_at(last.index) != last.term


def _following(message: AppendEntries, index: int, term: int, entries: list[Entry]) -> AppendEntries:
    return AppendEntries(message.term, index, term, message.commit_index, entries)


def _with_commit(message: AppendEntries, commit_index: int) -> AppendEntries:
    return AppendEntries(message.term, message.previous_index, message.previous_term, commit_index, message.entries)
