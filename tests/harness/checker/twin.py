"""The brute force that the checker is compared with: every order, by the definition, no rule but memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.history.events import EventType
from harness.history.operations import MISMATCH, NEVER, Operation

INITIAL: dict[str, Any] = {"register": None, "kv": "", "append": (), "set": frozenset(), "counter": 0}
REFUSED = object()


def linearizable(model: str, operations: Sequence[Operation]) -> bool:
    """Whether some order of the operations of one key, those of unknown outcome in or out, explains all answers."""
    real = [o for o in operations if o.type is not EventType.FAIL or o.error == MISMATCH]
    real = [o for o in real if o.f not in ("read", "get") or o.type is EventType.OK]
    everything = (1 << len(real)) - 1
    must = sum(1 << i for i, o in enumerate(real) if o.type is not EventType.INFO)
    ends = [o.returned if o.type is not EventType.INFO else NEVER for o in real]
    seen: set[tuple[int, Any]] = set()
    stack: list[tuple[int, Any]] = [(0, INITIAL[model])]
    while stack:
        placed, state = stack.pop()
        if placed & must == must:
            return True
        if (placed, state) in seen:
            continue
        seen.add((placed, state))
        open_ = [i for i in range(len(real)) if not placed >> i & 1 and everything >> i & 1]
        first_end = min(ends[i] for i in open_)
        for i in open_:
            if real[i].invoked < first_end:
                after = apply(model, real[i], state)
                if after is not REFUSED:
                    stack.append((placed | 1 << i, after))
    return False


def apply(model: str, operation: Operation, state: Any) -> Any:
    """The state after it; REFUSED if it would have answered otherwise."""
    f, value, result = operation.f, operation.value, operation.result
    unknown = operation.type is EventType.INFO
    if f in ("read", "get"):
        if model == "append":
            result = tuple(result)
        elif model == "set":
            result = frozenset(result)
        return state if result == state else REFUSED
    if f in ("write", "put"):
        return value
    if f == "append":
        return state + value if model == "kv" else (*state, value)
    if f == "add":
        return state | {value}
    if f == "increment":
        return state + value
    if f == "delete":
        if unknown or result is None:
            return None
        return None if result == (state is not None) else REFUSED
    assert f == "cas", f
    expected, new = value
    if operation.type is EventType.FAIL:
        return state if state != expected else REFUSED
    if state == expected:
        return new
    return state if unknown else REFUSED
