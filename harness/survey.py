"""How the cluster stands, as one value: what the supervisor knows of each process and what each node says of itself.

Pure. The leader is who claims it in the highest term among those that answer; the voters are those that it names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from harness.errors import Refused
from harness.gossip import Seen, Stranger


class State(StrEnum):
    """Of a node's process. KILLED by a verb, STOPPED by a verb or by leaving, DEAD by itself."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    KILLED = "killed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Word:
    """What a node says of itself on ``/status``."""

    role: str
    term: int
    commit: int
    applied: int
    voters: tuple[str, ...] = ()
    """Names, as this node knows them; empty if it does not say."""


@dataclass(frozen=True, slots=True)
class Member:
    """One node. ``word`` is None if it did not answer; ``memory_bytes`` and ``cpu_percent`` if not measured.

    ``gossip``: how the others see it, empty if nobody was asked or nobody knows it. ``gossip_rpc``: "" if it has none.
    """

    name: str
    rest: str
    state: State
    pid: int | None = None
    exit_code: int | None = None
    word: Word | None = None
    memory_bytes: int | None = None
    cpu_percent: float | None = None
    log_start: int = 0
    gossip_rpc: str = ""
    gossip: Seen = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Survey:
    """All nodes at (nearly) one moment. ``cuts``: (sender, receiver) of every link that is silent.

    ``strangers``: whoever else gossip knows. ``autopilot``: the leader's own decisions (at, member, decision, reason).
    """

    members: tuple[Member, ...]
    cuts: frozenset[tuple[str, str]] = frozenset()
    strangers: tuple[Stranger, ...] = ()
    autopilot: tuple[Mapping[str, Any], ...] = ()

    @property
    def leader(self) -> Member | None:
        """Who leads the highest term heard of, if that node answers."""
        leaders = [(m.word.term, m) for m in self.members if m.word is not None and m.word.role == "leader"]
        return max(leaders, key=lambda pair: pair[0])[1] if leaders else None

    @property
    def term(self) -> int:
        """The highest term that any node told of, 0 if none answers."""
        return max((m.word.term for m in self.members if m.word is not None), default=0)

    @property
    def voters(self) -> tuple[str, ...]:
        """By the leader's word; without one by the word of whoever has applied most; else all nodes."""
        leader = self.leader
        words = [m.word for m in self.members if m.word is not None and m.word.voters]
        if leader is not None and leader.word is not None and leader.word.voters:
            return leader.word.voters
        if words:
            return max(words, key=lambda word: word.applied).voters
        return self.names

    @property
    def names(self) -> tuple[str, ...]:
        """Of all nodes, in order."""
        return tuple(member.name for member in self.members)

    @property
    def can_lose(self) -> int:
        """How many more voters may fall silent before nothing can be written; negative: so many must come back.

        The best connected one falls first: who holds two sides together is missed most.
        """
        voters, reaches = self.voters, list[int]()
        there = [m.name for m in self.members if m.name in voters and m.word is not None]
        while there:
            reach, best = max((self._reach(name, there), name) for name in there)
            reaches.append(reach)
            there.remove(best)
        needed = quorum(len(voters))
        able = sum(reach >= needed for reach in reaches)
        return able - 1 if able else max(reaches, default=0) - needed

    def _reach(self, name: str, among: Collection[str]) -> int:
        """How many of ``among`` it can talk with, itself included: a leader needs a quorum of them."""
        return sum(1 for other in among if not {(name, other), (other, name)} & self.cuts)

    def member(self, name: str) -> Member:
        """The node of that name. Refused if there is none, which somebody else may just have seen to."""
        for member in self.members:
            if member.name == name:
                return member
        raise Refused(f"no node is called {name} (any more): there are {', '.join(self.names)}")

    def lag(self, member: Member) -> int | None:
        """Entries that are committed somewhere and not yet applied at this node."""
        commit = max((m.word.commit for m in self.members if m.word is not None), default=0)
        return None if member.word is None else max(0, commit - member.word.applied)


class Health(StrEnum):
    """The one word at the top."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    NO_LEADER = "no leader"
    NO_QUORUM = "no quorum"
    DOWN = "down"


def quorum(voters: int) -> int:
    """The smallest majority."""
    return voters // 2 + 1


def health(survey: Survey) -> Health:
    """DEGRADED: it serves, and something that should run or be heard does not, or is not."""
    if all(member.word is None for member in survey.members):
        return Health.DOWN
    if survey.can_lose < 0:
        return Health.NO_QUORUM
    if survey.leader is None:
        return Health.NO_LEADER
    whole = not survey.cuts and all(
        member.word is not None and member.name in survey.voters for member in survey.members
    )
    return Health.HEALTHY if whole else Health.DEGRADED


def headline(survey: Survey) -> str:
    """CONTRACT §9.1: ``HEALTHY · leader n3 · term 7 · can lose 2 more of 5``."""
    state, voters, leader = health(survey), len(survey.voters), survey.leader
    parts = [state.upper()]
    if leader is not None and state is not Health.NO_QUORUM:
        parts.append(f"leader {leader.name}")
    if survey.term:
        parts.append(f"term {survey.term}")
    if state is Health.NO_LEADER:
        parts.append("an election is running, or the nodes cannot hear one another")
    if state in (Health.NO_QUORUM, Health.DOWN):
        back = "be heard again or come back" if survey.cuts else "come back"
        parts.append(f"{-survey.can_lose} of {voters} voters must {back} before it can serve")
    else:
        parts.append(f"can lose {survey.can_lose} more of {voters}")
    return " · ".join(parts)


def changes(before: Survey, after: Survey) -> list[str]:
    """What happened between two surveys, a sentence each: for whoever watches."""
    told: list[str] = []
    old = {member.name: member for member in before.members}
    for member in after.members:
        told += _member_changes(old.get(member.name), member)
    told += [f"{name} is no longer part of this cluster" for name in before.names if name not in after.names]
    was, now = before.leader, after.leader
    if (was and was.name) != (now and now.name):
        told.append(
            f"{now.name} leads now (term {after.term})" if now else f"no leader is known (it was {was and was.name})"
        )
    if health(before) != health(after):
        told.append(headline(after))
    return told


def _member_changes(was: Member | None, now: Member) -> list[str]:
    if was is None:
        return [f"{now.name} was added"]
    if was.pid is not None and now.pid is not None and was.pid != now.pid:
        return [f"{now.name} was restarted (pid {was.pid} → {now.pid})"]
    if was.state == now.state:
        return []
    if now.state is State.RUNNING:
        return [f"{now.name} {'goes on' if was.state is State.PAUSED else 'was started'} (pid {now.pid})"]
    if now.state is State.DEAD:
        return [f"{now.name} died (exit code {now.exit_code}): `dkv-harness logs {now.name}` tells why"]
    return [f"{now.name} was {now.state}"]


def document(survey: Survey) -> dict[str, Any]:
    """The survey for ``-o json``."""
    leader = survey.leader
    return {
        "health": health(survey).value,
        "headline": headline(survey),
        "leader": leader.name if leader else None,
        "term": survey.term,
        "voters": list(survey.voters),
        "can_lose": survey.can_lose,
        "nodes": [_row(survey, member) for member in survey.members],
        "strangers": [asdict(stranger) for stranger in survey.strangers],
        "autopilot": [dict(decision) for decision in survey.autopilot],
    }


def _row(survey: Survey, member: Member) -> dict[str, Any]:
    word = member.word
    return {
        "name": member.name,
        "url": f"http://{member.rest}",
        "state": member.state.value,
        "pid": member.pid,
        "exit_code": member.exit_code,
        "role": word.role if word else None,
        "gossip": {status: list(names) for status, names in member.gossip.items()},
        "gossip_rpc": member.gossip_rpc or None,
        "term": word.term if word else None,
        "commit": word.commit if word else None,
        "applied": word.applied if word else None,
        "lag": survey.lag(member),
        "memory_bytes": member.memory_bytes,
        "cpu_percent": member.cpu_percent,
    }
