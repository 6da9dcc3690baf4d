"""One operation from its first request to its end: an explicit state machine that the two clients drive.

Pure: ``now`` and ``random.Random`` come in, a ``Step`` goes out: send this there, wait so long, done, or
raise. Laws: a mutation that may have been applied is sent again only under an idempotency id, and never ends
as ``not_applied`` unless the cluster itself gave the verdict under that id; nothing is begun after the
deadline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from dkv.client.calls import Call
from dkv.client.nodes import SHUN_S, Nodes
from dkv.client.protocol import Garbage, Refusal, Reply, Request, garbled, last_index, parse_refusal
from dkv.errors import DkvError, Outcome, Timeout, UnknownOutcome, Unreachable

if TYPE_CHECKING:
    import random

T = TypeVar("T")

HOPS_MAX = 3
"""Redirects followed without a pause. One is the rule, two happen in an election; more is a loop."""

SERVER_TIMEOUT_S = (0.01, 60.0)
"""What a node accepts as ``X-DKV-Timeout``."""

CONNECT_TIMEOUT_S = 1.0
"""For the connection alone: a host that is switched off must not use up the time that the others need."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and how patiently. ``max_attempts``: requests sent in all. Pauses have full jitter:
    uniform between 0 and ``base_s`` · 2ⁿ, at most ``max_s``; seconds. The default rides out an election.
    """

    max_attempts: int = 20
    base_s: float = 0.02
    max_s: float = 1.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or not 0 < self.base_s <= self.max_s:
            raise ValueError(f"{self}: at least one attempt, and 0 < base_s <= max_s")

    def pause_s(self, pauses: int, rng: random.Random) -> float:
        """The pause after ``pauses`` earlier ones."""
        return rng.uniform(0.0, min(self.max_s, self.base_s * 2 ** min(pauses, 30)))


class Failure(StrEnum):
    """How an exchange can end without a reply."""

    NOT_SENT = "not_sent"
    """No connection came about: the request never left."""
    LOST = "lost"
    """It left, wholly or in part, and the connection ended before a whole reply."""
    SILENT = "silent"
    """It left, and no whole reply came in the time given."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The exchange failed; ``reason`` is the transport's own words."""

    failure: Failure
    reason: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``request`` to ``node`` (``host:port``) and report the ``Reply`` or ``Failed`` within
    ``timeout_s``.
    """

    node: str
    request: Request
    timeout_s: float

    @property
    def connect_timeout_s(self) -> float:
        """The part of ``timeout_s`` that connecting may take."""
        return min(self.timeout_s, CONNECT_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so long, then go on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """``index``: how far the node that answered had applied; 0 if it did not say."""

    value: T
    node: str
    index: int


@dataclass(frozen=True, slots=True)
class Raise:
    """The end, with ``error.outcome`` and ``error.node`` set."""

    error: DkvError


Event = Reply | Failed | None
"""What became of the last step; None after a ``Wait``."""


class _Reaction(Enum):
    FOLLOW = "the hint to the leader, at once"
    ELSEWHERE = "another node at once; this one may be left alone for a while"
    PAUSE = "nobody will do better just now"


_REACTIONS = {
    "NOT_LEADER": _Reaction.FOLLOW,
    "BUSY": _Reaction.ELSEWHERE,
    "SHUTTING_DOWN": _Reaction.ELSEWHERE,
    "NO_LEADER": _Reaction.ELSEWHERE,  # perhaps only on this side of a partition
    "TIMEOUT": _Reaction.ELSEWHERE,  # as above: a leader without its quorum
    "INTERNAL": _Reaction.ELSEWHERE,
}
"""By code; every other retryable code pauses."""

_VERDICTS = frozenset({"CAS_MISMATCH"})
"""Codes that the state machine itself gives. Under an idempotency id they are the verdict on *all* attempts,
since the replicated table of answered ids gives each of them the same answer.
"""


class Operation(Generic[T]):
    """One call on its way. ``advance`` with what became of the last step gives the next, until Done or Raise.

    ``only``: the one node that may be asked (its own status, say). ``now`` and the deadline: seconds of one
    clock.
    """

    def __init__(
        self,
        call: Call[T],
        nodes: Nodes,
        retry: Retry,
        rng: random.Random,
        *,
        deadline: float,
        only: str | None = None,
    ) -> None:
        self._call = call
        self._nodes = nodes
        self._retry = retry
        self._rng = rng
        self._deadline = deadline
        self._only = only
        self._node: str | None = None
        self._attempts = self._hops = self._pauses = 0
        self._may_be_applied = False
        self._last_error: DkvError | None = None
        self._last_words = ""

    def start(self, now: float) -> Step[T]:
        """The first step."""
        return self._send(self._choose(now), now)

    def advance(self, event: Event, now: float) -> Step[T]:
        """The step after ``event``."""
        if event is None:
            self._hops = 0
            return self._send(self._choose(now), now)
        if isinstance(event, Failed):
            return self._on_failure(event, now)
        if not 200 <= event.status < 300:
            settled = self._call.parse_refused(event)
            return self._on_refusal(parse_refusal(event), now) if settled is None else self._done(settled, event)
        try:
            value = self._call.parse(event)
        except Garbage as error:
            return self._on_refusal(garbled(event, f"garbage ({error})"), now)
        return self._done(value, event)

    def _done(self, value: T, reply: Reply) -> Done[T]:
        node = self._asked()
        self._nodes.answered(node, at_leader=self._call.at_leader)
        return Done(value, node, last_index(reply))

    def _on_failure(self, failed: Failed, now: float) -> Step[T]:
        node = self._asked()
        self._nodes.shun(node, now)
        self._nodes.disowned(node)
        self._remember(_as_error(failed, node, self._last_words))
        if failed.failure is not Failure.NOT_SENT and self._call.mutation:
            self._may_be_applied = True
            if not self._call.resendable:
                return self._give_up()
        return self._elsewhere(now, None)

    def _on_refusal(self, refusal: Refusal, now: float) -> Step[T]:
        error = refusal.error
        self._remember(error)
        self._last_words = f" Before that, node {self._node} said: {error.message}"
        if self._call.mutation and error.outcome is Outcome.UNKNOWN:
            self._may_be_applied = True
        if not refusal.retryable or (self._may_be_applied and not self._call.resendable):
            return self._give_up()
        match _REACTIONS.get(error.code, _Reaction.PAUSE):
            case _Reaction.FOLLOW:
                return self._follow(error, now)
            case _Reaction.ELSEWHERE:
                return self._leave_alone(error, now)
            case _Reaction.PAUSE:
                return self._pause(now, error.retry_after_s)

    def _follow(self, error: DkvError, now: float) -> Step[T]:
        """Go where the hint points, unless that node has just failed: then the hint is older than that."""
        self._nodes.disowned(self._asked())
        leader = self._nodes.learn(error.leader) if error.leader else None
        if leader is None or leader == self._node or self._nodes.is_shunned(leader, now):
            return self._pause(now, error.retry_after_s)
        if self._only or self._hops >= HOPS_MAX:
            return self._pause(now, error.retry_after_s)
        self._hops += 1
        return self._send(leader, now)

    def _leave_alone(self, error: DkvError, now: float) -> Step[T]:
        """A busy leader still leads: the others would only send a write back to it."""
        node = self._asked()
        busy_leader = error.code == "BUSY" and self._call.at_leader and self._nodes.leader == node
        self._nodes.shun(node, now, SHUN_S if error.retry_after_s is None else error.retry_after_s)
        if busy_leader:
            return self._pause(now, error.retry_after_s)
        self._nodes.disowned(node)
        return self._elsewhere(now, error.retry_after_s)

    def _elsewhere(self, now: float, retry_after_s: float | None) -> Step[T]:
        other = self._choose(now)
        if other == self._node or self._nodes.is_shunned(other, now):
            return self._pause(now, retry_after_s)
        return self._send(other, now)

    def _pause(self, now: float, retry_after_s: float | None) -> Step[T]:
        """Full jitter, or the longer wait that was asked for. A wait that would outlast the deadline is
        pointless.
        """
        left_s = self._deadline - now
        seconds = min(self._retry.pause_s(self._pauses, self._rng), max(left_s, 0.0) / 2)
        seconds = max(seconds, retry_after_s or 0.0)
        if seconds >= left_s or self._attempts >= self._retry.max_attempts:
            return self._give_up()
        self._pauses += 1
        return Wait(seconds)

    def _send(self, node: str, now: float) -> Step[T]:
        left_s = self._deadline - now
        if left_s <= 0 or self._attempts >= self._retry.max_attempts:
            return self._give_up()
        self._attempts += 1
        self._node = node
        timeout_s = left_s / 2 if self._may_ask_another() else left_s
        least_s, most_s = SERVER_TIMEOUT_S
        headers = {**self._call.request.headers, "X-DKV-Timeout": f"{min(max(timeout_s, least_s), most_s):.3f}"}
        return Send(node, replace(self._call.request, headers=headers), timeout_s)

    def _may_ask_another(self) -> bool:
        """Then one silent node gets half of the time that is left, and the others the rest."""
        others = self._only is None and len(self._nodes) > 1
        return others and self._call.resendable and self._attempts < self._retry.max_attempts

    def _choose(self, now: float) -> str:
        return self._only or self._nodes.choose(now, at_leader=self._call.at_leader)

    def _asked(self) -> str:
        assert self._node is not None, "an event came in before anything was sent"
        return self._node

    def _remember(self, error: DkvError) -> None:
        error.node = self._node
        self._last_error = error

    def _give_up(self) -> Raise:
        last = self._last_error or Timeout("The time was over before anything was sent.", outcome=Outcome.NOT_APPLIED)
        if not self._call.mutation:
            last.outcome = Outcome.NOT_APPLIED  # a read changes nothing, whatever became of it
        elif self._may_be_applied and not self._is_verdict(last):
            return Raise(_unknown(last))
        assert last.outcome is Outcome.NOT_APPLIED, f"{last.code} ends it as {last.outcome}, unmarked"
        return Raise(last)

    def _is_verdict(self, error: DkvError) -> bool:
        return self._call.resendable and error.code in _VERDICTS and error.outcome is Outcome.NOT_APPLIED


Step = Send | Wait | Done[T] | Raise


def _as_error(failed: Failed, node: str, last_words: str) -> DkvError:
    """``last_words``: why earlier attempts were refused, which tells more than that the last one ran out of time."""
    if failed.failure is Failure.NOT_SENT:
        return Unreachable(f"{node} cannot be reached ({failed.reason}); nothing was sent.{last_words}")
    if failed.failure is Failure.SILENT:
        return Timeout(f"{node} did not answer in time.{last_words}")
    return Unreachable(f"{node} broke off before it had answered ({failed.reason}).{last_words}")


def _unknown(last: DkvError) -> UnknownOutcome:
    error = UnknownOutcome(f"{last.message} The change may have taken effect, or may yet: read before you write again.")
    error.node, error.leader, error.__cause__ = last.node, last.leader, last
    return error
