"""Mutants that agree wrongly: votes, commits, logs that differ, members."""

from __future__ import annotations

from collections.abc import Callable

from dkv.raft.candidacy import Candidacy
from dkv.raft.guard import Guard
from dkv.raft.leading import Leading
from dkv.raft.library import _Engine
from dkv.raft.log import Log
from dkv.raft.log_buffer import LogBuffer
from tests.zoo.mutant import Mutant, Patch, edit, put, wrap

MAJORITY_OF_COPIES = "if count <= (len(self.__otherNodes) + 1) / 2:\n                break"
"""In the library's search for the commit index."""


LONG_TAILS = ("append_bytes=4000", "window_bytes=8000", "keep_entries=100000")
"""A log of seconds takes many messages, as one of hours does with those of 4 MiB; and no snapshot takes their place."""


def _commits_its_log(crowned: Callable[[Leading], None]) -> Callable[[Leading], None]:
    def hasty(self: Leading) -> None:
        crowned(self)
        self._library._engine._SyncObj__raftCommitIndex = self._log.last_index
        self._log.set_commit_index(self._log.last_index)

    return hasty


def _majority(of_copies: str) -> Patch:
    return edit(_Engine, "_onTick", (MAJORITY_OF_COPIES, f"{of_copies}\n                break"))


ELECTIONS = (
    Mutant(
        "vote-twice",
        "A node grants every vote that it is asked for in a term: two leaders of one term, and the writes of one of "
        "them are lost.",
        (
            edit(
                _Engine,
                "_SyncObj__onMessageReceived",
                ("if self.__votedForNodeId is not None:", "if False:"),
            ),
            edit(Log, "set_hard_state", ("term > self.term or self.vote in (None, vote)", "True")),
            edit(
                LogBuffer, "set_hard_state", ("term > state.term or state.vote is None or vote == state.vote", "True")
            ),
        ),
        nodes=5,
        faults="slow-election,leader-hunt",
    ),
    Mutant(
        "vote-for-a-shorter-log",
        "A node votes for candidates whose log ends before its own: a leader that lacks acknowledged writes is "
        "elected, and has everybody delete them.",
        (
            edit(
                _Engine,
                "_SyncObj__onMessageReceived",
                ("lastLogTerm < self.__getCurrentLogTerm()", "False"),
                ("lastLogIdx < self.__getCurrentLogIndex()", "False"),
            ),
            edit(Candidacy, "on_pre_vote", (">= self._log.last_position", "is not None")),
        ),
        faults="power-loss-slow-disks",
    ),
    Mutant(
        "one-voter-counts-twice",
        "A candidate counts votes instead of voters: a repeated vote makes a leader without a majority beside the true "
        "one.",
        (),
        rule="one voter, one vote",
        nodes=5,
        faults="slow-election,duplicate",
    ),
)

COMMITS = (
    Mutant(
        "ack-before-quorum",
        "The leader calls an entry committed, and answers, as soon as it has it itself: if it dies or is cut off, the "
        "acknowledged write is lost.",
        (_majority("if count < 1:"),),
        faults="isolate-leader,pause-followers",
    ),
    Mutant(
        "quorum-of-half",
        "Two of five copies are enough to commit: the other three elect a leader that knows nothing of the "
        "acknowledged write.",
        (_majority("if count < (len(self.__otherNodes) + 1) // 2:"),),
        nodes=5,
        faults="partition-minority-leader,kill",
    ),
    Mutant(
        "commit-of-an-old-term",
        "A leader counts copies of entries of earlier terms (Raft figure 8): such an entry may yet be overwritten by "
        "another leader, although it was acknowledged.",
        (edit(_Engine, "_onTick", ("if commitTerm != self.__raftCurrentTerm:", "if False:")),),
        faults="figure-eight",
    ),
    Mutant(
        "new-leader-commits-its-log",
        "Who is elected takes its whole log for committed at once: writes that no majority has are shown to readers, "
        "and vanish with the next leader.",
        (wrap(Leading, "crowned", _commits_its_log),),
        nodes=5,
        faults="leader-hunt",
    ),
    Mutant(
        "commit-not-limited",
        "A follower believes the leader's commit index also for entries of its own that it has otherwise: it shows "
        "writes that nobody else has, and then refuses the true ones.",
        (),
        rule="commit no further than proven",
        faults="overtaken",
        settings=LONG_TAILS,
    ),
    Mutant(
        "replies-of-another-term-count",
        "A leader counts answers to an earlier leadership of its own: it acknowledges writes that those nodes have "
        "deleted since.",
        (),
        rule="replies of another term do not count",
        nodes=5,
        faults="links,partition,pause",
    ),
    Mutant(
        "replies-of-strangers-count",
        "A leader listens to answers of nodes that it does not replicate to, removed ones or ones not added yet: what "
        "they claim is taken for copies.",
        (),
        rule="replies of strangers do not count",
        faults="members,kill,partition",
    ),
    Mutant(
        "acknowledges-more-than-was-sent",
        "A follower claims its whole log, not what the leader has just proven equal: its own stale tail is counted as "
        "a copy of other writes.",
        (),
        rule="an acknowledgement claims what was proven",
        faults="overtaken",
        settings=LONG_TAILS,
    ),
)

LOGS = (
    Mutant(
        "truncates-committed",
        "A follower cuts off whatever follows the message that it just got, committed or not: late or repeated "
        "messages take acknowledged writes out of its log.",
        (
            put(Guard, "skip_matching", lambda self, message, *_: message),
            put(Guard, "refuse_contradiction", lambda *_: None),
            edit(Log, "truncate_from", ("index > self.commit_index", "True")),
            edit(
                LogBuffer,
                "truncate_from",
                ("max(state.commit_index, state.first_index + 1) < index", "state.first_index + 1 < index"),
            ),
        ),
        faults="reorder",
    ),
    Mutant(
        "matching-tail-cut",
        "A repeated message cuts off the entries behind it, though they match: a follower forgets what it has "
        "acknowledged.",
        (),
        rule="a matching tail is not cut",
        faults="reorder",
    ),
    Mutant(
        "compacted-part-not-skipped",
        "A message that begins before the follower's log is taken as a contradiction: entries behind it are cut or "
        "fetched again.",
        (),
        rule="what is compacted is identical",
        faults="duplicate,reorder,jitter",
        settings=("checkpoint_entries=20", "keep_entries=2"),
    ),
    Mutant(
        "refusal-steps-back-slowly",
        "A follower that lacks entries answers as the library does: leader and follower bounce between two answers, "
        "and it never catches up. Nothing is lost, but a member that looks alive is none.",
        (),
        rule="a refusal answers commit + 1",
        faults="overtaken",
        settings=LONG_TAILS,
        time_s_max=15.0,
    ),
    Mutant(
        "deposed-leader-is-heard",
        "Followers take entries of leaders of earlier terms: one that wakes from a pause overwrites what its successor "
        "has acknowledged.",
        (
            edit(
                _Engine,
                "_SyncObj__onMessageReceived",
                ("'append_entries' and message['term'] >= self.__raftCurrentTerm", "'append_entries'"),
            ),
            put(Candidacy, "refuses_old", lambda self, sender, term: False),
        ),
        faults="isolate-leader,partition-minority-leader",
    ),
    Mutant(
        "snapshot-over-a-newer-log",
        "A follower installs an old snapshot though its log goes further: entries that it has acknowledged are gone.",
        (),
        rule="no snapshot over a log that has its last entry",
        faults="thin-majority",
        settings=("checkpoint_entries=5", "keep_entries=2"),
    ),
)

MEMBERS = (
    Mutant(
        "members-change-without-the-no-op",
        "A new leader changes the members before an entry of its own term is committed: two changes may go on at "
        "once, each with a majority of its own.",
        (edit(_Engine, "_SyncObj__changeCluster", ("if self.__raftLastApplied < self.__noopIDx:", "if False:")),),
        nodes=4,
        faults="split-change",
    ),
    Mutant(
        "two-changes-at-once",
        "Changes of the members do not wait for each other, nor for a joiner to catch up: majorities of the old and "
        "the new voters need not overlap.",
        (),
        rule="one change of voters at a time",
        faults="members,kill,partition,pause",
    ),
    Mutant(
        "members-change-twice",
        "A change of the members takes effect when it is appended, and again when it is applied: after a restart "
        "removed voters count again.",
        (),
        rule="changes take effect once, when appended",
        harmless="For as long as the newest change is in a log and not applied there, the voter before it counts too: "
        "changes come one at a time, so that is one voter more to be heard, and majorities still meet.",
    ),
    Mutant(
        "revived-removed-node",
        "A restarted node takes the voters as of its log's beginning: members that were removed are voters again, and "
        "later ones are none, so two majorities need not overlap.",
        (),
        rule="voters at start come from the log",
        # Whose log begins before the others came forgets them; it shows when the run is over and they still lack data.
        faults="restart-all,kill-all,transfer",
        settings=("keep_entries=100000",),
        time_s_max=20.0,
    ),
)

CONSENSUS = (*ELECTIONS, *COMMITS, *LOGS, *MEMBERS)
