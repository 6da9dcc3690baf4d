"""The knobs of one Raft group, with the formula or the reason of each."""

from __future__ import annotations

from dataclasses import dataclass

PROPOSAL_BYTES_MAX = 3 * 1024 * 1024
"""An entry's payload: a batch of at most 2 MiB or one command of at most ~1 MiB, with slack below an append's size."""


@dataclass(frozen=True, slots=True)
class Options:
    """Times in seconds. Raft §5.6: heartbeat << election timeout << mean time between failures."""

    heartbeat_s: float = 0.1
    election_timeout_min_s: float = 0.6
    """Six heartbeats: a busy machine delays one or two of them without an election."""
    election_timeout_max_s: float = 1.2
    check_quorum_s: float = 1.2
    """A leader that a majority has not answered for so long steps down (thesis §6.2)."""
    leader_lost_jitter_s: float = 0.05
    """The leader's process closed its links: candidates still spread over this much, lest they split the vote."""
    append_bytes: int = 4 * 1024 * 1024
    """Entries in one message. pysyncobj cuts a single entry of this size or more into fragments, and reassembles them
    wrongly, so every proposal stays below."""
    window_bytes: int = 8 * 1024 * 1024
    """Entries under way to one peer before the next is held back: two full appends."""
    read_patience_s: float = 1.0
    """How long a linearizable read waits for a leader to appear before it is told that there is none."""
    checkpoint_bytes: int = 32 * 1024 * 1024
    checkpoint_entries: int = 100_000
    """A checkpoint is due after so much log (or half as much as the last checkpoint was large, whichever is more:
    writing the state costs its size, so that adds at most twice the log to what is written). All log since then is in
    memory, and is applied again at the next start."""
    keep_entries: int = 10_000
    keep_bytes: int = 16 * 1024 * 1024
    """Log kept behind a checkpoint, so that a peer that was away for a moment needs no snapshot."""
    snapshot_chunk_bytes: int = 256 * 1024
    snapshot_retry_s: float = 1.0
    snapshot_idle_s: float = 30.0
    """A checkpoint stays open for a puller that was silent for so long."""
    learner_patience_s: float = 30.0
    """A learner whose log made no progress for so long is given up: longer than any snapshot takes to load."""
    farewell_s: float = 5.0
    """A removed voter still gets the log for so long, so that it learns of its removal."""

    def __post_init__(self) -> None:
        assert self.heartbeat_s * 3 < self.election_timeout_min_s < self.election_timeout_max_s, self
        assert self.window_bytes >= self.append_bytes, self
        assert self.check_quorum_s >= self.election_timeout_min_s, self
