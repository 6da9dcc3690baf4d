"""Events put together: an operation is an invocation and how it ended.

Order is the order of events, as one recorder wrote them; times are for people. An operation without an end, or that
ended ``info``, is of unknown outcome: it may take effect at any moment after its invocation. Law: a history that breaks
Jepsen's rule (a process does one thing at a time) is refused, because any reading of it would be a guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from harness.history.events import Event, EventType

NEVER = 1 << 60
"""The position of a return that never came: after everything."""
MISMATCH = "CAS_MISMATCH"
"""The error of a failed cas that is an observation: the expected value was not there."""


class HistoryError(Exception):
    """The history cannot be understood, so that no verdict can be given. ``str``: where and why."""


@dataclass(slots=True, eq=False)
class Operation:
    """``invoked`` and ``returned``: positions in the order of events (``NEVER``: of unknown outcome).

    ``value``: what was asked; ``result``: what was told (None unless ``type`` is ok).
    """

    process: int
    f: str
    key: str | None
    value: Any
    invoked: int
    invoke_s: float
    type: EventType = EventType.INFO
    result: Any = None
    returned: int = NEVER
    return_s: float | None = None
    node: str | None = None
    error: str | None = None

    @property
    def known(self) -> bool:
        """It certainly happened."""
        return self.type is EventType.OK

    def as_dict(self) -> dict[str, Any]:
        """For ``records.Check.operations``."""
        return {
            "process": self.process,
            "f": self.f,
            "key": self.key,
            "value": self.value,
            "result": self.result,
            "type": str(self.type),
            "invoke_s": self.invoke_s,
            "return_s": self.return_s,
            "node": self.node,
            "error": self.error,
        }


@dataclass(slots=True)
class Pairing:
    """Feed events in their order; ``operations`` grows by each invocation and is filled in by its completion."""

    operations: list[Operation] = field(default_factory=list)
    events: int = 0
    _open: dict[int, Operation] = field(default_factory=dict)

    def feed(self, event: Event) -> Operation | None:
        """The operation that this event begins or ends; None for one that belongs to no operation. May raise
        HistoryError."""
        position = self.events
        self.events += 1
        if event.type is EventType.INVOKE:
            return self._begin(event, position)
        operation = self._open.pop(event.process, None)
        if operation is None:
            if event.type is EventType.INFO:
                return None  # a remark of one who is not a client
            raise HistoryError(f"event {position + 1}: process {event.process} ends an operation that it never began")
        if event.f != operation.f:
            raise HistoryError(
                f"event {position + 1}: process {event.process} ends a {event.f} but had begun a {operation.f}"
            )
        operation.type = event.type
        operation.return_s = event.time_s
        operation.error = event.error
        operation.node = event.node or operation.node
        if event.type is not EventType.INFO:
            operation.returned = position
        if event.type is EventType.OK:
            operation.result = event.value
        return operation

    def _begin(self, event: Event, position: int) -> Operation:
        before = self._open.get(event.process)
        if before is not None:
            raise HistoryError(
                f"event {position + 1}: process {event.process} begins a {event.f} "
                f"while its {before.f} from event {before.invoked + 1} has not ended"
            )
        operation = Operation(event.process, event.f, event.key, event.value, position, event.time_s, node=event.node)
        self._open[event.process] = operation
        self.operations.append(operation)
        return operation


def pair(events: Iterable[Event]) -> list[Operation]:
    """All operations, in the order of their invocations. Raises HistoryError."""
    pairing = Pairing()
    for event in events:
        pairing.feed(event)
    return pairing.operations
