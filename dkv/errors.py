"""Every error that a user of dkv can meet, and the one bit that keeps histories honest.

``outcome`` answers "may it have happened?": ``not_applied`` means that the operation certainly had no effect;
``unknown`` means that it may take effect, now or later (CONTRACT: Outcome; Jepsen's ``fail`` and ``info``).
Each class carries its HTTP status and its stable ``code``; ``dkv.api`` is the one border where it becomes HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar


class Outcome(StrEnum):
    """Whether a failed operation may have taken effect."""

    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LeaderHint:
    """Where the leader is, as far as the answering node knows: its name and its REST address (``host:port``)."""

    id: str
    rest: str


class DkvError(Exception):
    """What happened, what it means for the data, what to do.

    ``message`` is a sentence for a person. ``outcome`` defaults to the class's own. ``retry_after_s`` is a hint for
    ``Retry-After``; ``leader`` goes into the body where it is known.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    default_outcome: ClassVar[Outcome] = Outcome.NOT_APPLIED

    def __init__(
        self,
        message: str,
        *,
        outcome: Outcome | None = None,
        leader: LeaderHint | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.outcome = outcome if outcome is not None else self.default_outcome
        self.leader = leader
        self.retry_after_s = retry_after_s
        self.details: dict[str, Any] = {}
        """More fields of the JSON body: the present ``revision`` of a CAS mismatch, a batch's ``replies``."""
        self.node: str | None = None
        """Clients only: the address (``host:port``) of the node that answered, or failed to, last."""


class InternalError(DkvError):
    """A bug in dkv: nobody knows whether the operation took effect."""

    default_outcome = Outcome.UNKNOWN


class BadRequest(DkvError):
    """The request cannot be understood; sending it again as it is will fail again."""

    code, status = "BAD_REQUEST", 400


class Unauthorized(DkvError):
    """The caller did not show the cluster's secret."""

    code, status = "UNAUTHORIZED", 401


class RouteNotFound(DkvError):
    """No resource has this path."""

    code, status = "ROUTE_NOT_FOUND", 404


class KeyNotFound(DkvError):
    """The key has no value. Not a failure of the store."""

    code, status = "KEY_NOT_FOUND", 404


class MethodNotAllowed(DkvError):
    """The resource exists but does not have this method."""

    code, status = "METHOD_NOT_ALLOWED", 405


class SlowRequest(DkvError):
    """The request's body did not arrive in time, so nothing was done with it."""

    code, status, retryable = "REQUEST_TIMEOUT", 408, True


class CasMismatch(DkvError):
    """The key's revision is another than the one that the caller named."""

    code, status = "CAS_MISMATCH", 409


class MembershipRefused(DkvError):
    """A change of the cluster's members that would be unsafe, or that another one is in the way of."""

    code, status = "MEMBERSHIP_REFUSED", 409


class TooLarge(DkvError):
    """A key, value or body beyond its limit."""

    code, status = "TOO_LARGE", 413


class IdReused(DkvError):
    """An idempotency id that was used before for another command."""

    code, status = "ID_REUSED", 422


class Busy(DkvError):
    """This node's queue is full; another node, or this one a little later, may serve."""

    code, status, retryable = "BUSY", 429, True


class NotLeader(DkvError):
    """Writes go to the leader; ``leader`` says where it is."""

    code, status, retryable = "NOT_LEADER", 307, True


class NoLeader(DkvError):
    """This node knows of no leader at the moment: an election is running, or there is no quorum."""

    code, status, retryable = "NO_LEADER", 503, True


class Overloaded(DkvError):
    """The cluster takes no more work just now."""

    code, status, retryable = "OVERLOADED", 503, True


class ShuttingDown(DkvError):
    """This node is about to stop; another one serves."""

    code, status, retryable = "SHUTTING_DOWN", 503, True


class NotReady(DkvError):
    """``/readyz`` only: this node is alive but does not serve."""

    code, status, retryable = "NOT_READY", 503, True


class LeadershipLost(DkvError):
    """The leader that had taken the operation was deposed before it knew the end of it."""

    code, status, retryable = "LEADERSHIP_LOST", 503, True
    default_outcome = Outcome.UNKNOWN


class Timeout(DkvError):
    """The deadline passed first."""

    code, status, retryable = "TIMEOUT", 504, True
    default_outcome = Outcome.UNKNOWN


class NoSpace(DkvError):
    """The node's disk is (nearly) full: reads go on, writes are refused until there is room."""

    code, status, retryable = "NO_SPACE", 507, True


class UnknownOutcome(DkvError):
    """Raised by clients only: the connection ended, or the time ran out, after the request had left."""

    code, status, retryable = "UNKNOWN_OUTCOME", 0, False
    default_outcome = Outcome.UNKNOWN


class Unreachable(DkvError):
    """Raised by clients only: no node took the request, so nothing was sent."""

    code, status, retryable = "UNREACHABLE", 0, True


class FatalError(Exception):
    """A broken invariant, or a disk that did not keep its word: the process ends rather than go on (never caught)."""


class StartupError(Exception):
    """The node cannot start: wrong flags, a port in use, somebody else's data directory. One line, exit code 2."""


def _tree(root: type[DkvError]) -> dict[str, type[DkvError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


BY_CODE: dict[str, type[DkvError]] = _tree(DkvError)
"""``code`` → class, for clients that turn a reply back into an exception."""
