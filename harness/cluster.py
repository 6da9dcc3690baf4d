"""A running cluster as a value: look at it, choose nodes, do something to their processes, wait for what follows.

Every waiting watches the processes too: if one that is waited for ends, the wait ends at once with its last log lines.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence

from harness import observe
from harness.control import ANSWER_S, ask
from harness.errors import NodeDied, Refused, Undecided
from harness.exchange import get_all
from harness.rundir import RunDir
from harness.selectors import select
from harness.survey import Member, State, Survey

LOG_LINES = 50
"""Shown of a node that died while it was waited for."""
POLL_S = 0.05
READY_S = 20.0
"""For a started node to be ready: recovery of 1e5 keys under 2 s, an election about 1 s, a busy machine the rest."""
GRACE_S = 10.0
"""Before a node that was asked to stop is killed (see harness.supervisor)."""

Say = Callable[[str], None]
"""Tells a person how a wait goes on."""


class Cluster:
    """The cluster of a run directory, which a supervisor holds. ``say`` hears of progress."""

    def __init__(self, run_dir: RunDir, rng: random.Random, say: Say) -> None:
        self.run_dir, self.rng, self.say = run_dir, rng, say

    def survey(self, *, detailed: bool = False) -> Survey:
        """How everything stands now; ``detailed``: as of ``observe.survey``."""
        return observe.survey(self.run_dir, detailed=detailed)

    def choose(self, selector: str, able: Callable[[Member], bool], survey: Survey) -> list[Member]:
        """The members that a selector means; roles are drawn from those that are ``able``."""
        candidates = [member.name for member in survey.members if able(member)]
        leader = survey.leader.name if survey.leader else None
        return [survey.member(name) for name in select(selector, survey.names, leader, self.rng, candidates)]

    def kill(self, selector: str, number: int) -> list[str]:
        """Send a signal. Returns what happened, a sentence a node."""
        chosen = self._choose_running(selector)
        ask(self.run_dir, "signal", ANSWER_S + GRACE_S, names=_names(chosen), signal=number)
        word = signal.Signals(number).name
        return [f"sent {word} to {member.name} (pid {member.pid}{_role(member)})" for member in chosen]

    def pause(self, selector: str) -> list[str]:
        """SIGSTOP: the process stands still, its connections stay open."""
        chosen = self._choose_running(selector)
        ask(self.run_dir, "signal", names=_names(chosen), signal=int(signal.SIGSTOP))
        return [f"paused {member.name} (pid {member.pid}{_role(member)})" for member in chosen]

    def resume(self, selector: str) -> list[str]:
        """SIGCONT."""
        chosen = self.choose(selector, lambda member: member.state is State.PAUSED, self.survey())
        ask(self.run_dir, "signal", names=_names(chosen), signal=int(signal.SIGCONT))
        return [f"{member.name} goes on (pid {member.pid})" for member in chosen]

    def stop(self, selector: str) -> list[str]:
        """SIGTERM, then wait until the processes have ended."""
        chosen = self.choose(selector, lambda member: member.pid is not None, self.survey())
        self.say(f"stopping {', '.join(_names(chosen))}")
        killed = ask(self.run_dir, "stop", GRACE_S + ANSWER_S, names=_names(chosen), grace_s=GRACE_S)["killed"]
        return [_stopped(member, member.name in killed) for member in chosen]

    def start(self, selector: str) -> list[str]:
        """Start nodes that do not run, with the flags and the data that they had, and wait until they are ready."""
        chosen = self.choose(selector, lambda member: member.pid is None, self.survey())
        if running := [member.name for member in chosen if member.pid is not None]:
            raise Refused(f"{', '.join(running)} runs already")
        return self.start_named(_names(chosen))

    def restart(self, selector: str) -> list[str]:
        """Stop, all at the same time, and start again; nodes that do not run are only started."""
        chosen = self.choose(selector, lambda _: True, self.survey())
        told = self.stop(",".join(running)) if (running := _names(m for m in chosen if m.pid is not None)) else []
        return told + self.start_named(_names(chosen))

    def start_named(self, names: Sequence[str]) -> list[str]:
        """Start, wait until ready. Undecided if they run and are not ready in time (no quorum, say)."""
        began = time.monotonic()
        ask(self.run_dir, "start", names=list(names))
        self.say(f"waiting until {', '.join(names)} can serve")
        self.wait(lambda survey: _all_ready(survey, names), READY_S, f"{', '.join(names)} to be ready", names)
        elapsed_s = time.monotonic() - began
        survey = self.survey()
        return [f"started {name} (pid {survey.member(name).pid}), ready after {elapsed_s:.1f} s" for name in names]

    def wait(
        self,
        condition: Callable[[Survey], bool],
        timeout_s: float,
        what: str,
        watched: Iterable[str] = (),
    ) -> Survey:
        """Survey until ``condition``. NodeDied if one of ``watched`` ends first, Undecided when the time is up."""
        deadline, names = time.monotonic() + timeout_s, list(watched)
        while True:
            survey = self.survey()
            if condition(survey):
                return survey
            self.raise_if_dead(survey, names)
            if time.monotonic() > deadline:
                raise Undecided(f"waited {timeout_s:g} s for {what}: not yet. `dkv-harness status` tells more")
            time.sleep(POLL_S)

    def raise_if_dead(self, survey: Survey, names: Iterable[str]) -> None:
        """NodeDied, with the end of its log, for the first of ``names`` that has no process any more."""
        for member in (survey.member(name) for name in names):
            if member.exit_code is not None:
                log = self.run_dir.log_tail(member.name, LOG_LINES, member.log_start)
                raise NodeDied(member.name, member.exit_code, log)

    def _choose_running(self, selector: str) -> list[Member]:
        chosen = self.choose(selector, lambda member: member.state is State.RUNNING, self.survey())
        if gone := [member.name for member in chosen if member.pid is None]:
            raise Refused(f"{', '.join(gone)} does not run: nothing was done")
        return chosen


def _all_ready(survey: Survey, names: Sequence[str]) -> bool:
    replies = get_all([(survey.member(name).rest, "/readyz") for name in names], observe.STATUS_S)
    return all(reply is not None and reply.status == 200 for reply in replies)


def _names(members: Iterable[Member]) -> list[str]:
    return [member.name for member in members]


def _role(member: Member) -> str:
    return f", {member.word.role}" if member.word else ""


def _stopped(member: Member, killed: bool) -> str:
    if member.pid is None:
        return f"{member.name} did not run"
    if killed:
        return f"{member.name} (pid {member.pid}) did not stop within {GRACE_S:g} s and was killed"
    return f"stopped {member.name} (pid {member.pid}{_role(member)})"
