"""What operations mean: each model turns a key's operations into actions on its state.

Six kinds of action are all that the search knows. Two only look: ``SEES`` a value, ``SEES_NOT`` one (a told mismatch).
Four change: ``SETS`` whatever was there, ``SWAPS`` one certain value, ``ENDS`` anything but one certain value (a delete
that found something), ``STEPS`` from a state to the next (an append). Law: what certainly did not happen, and what
looked without being told what it saw, becomes no action: it constrains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from harness.history.edn import freeze
from harness.history.events import EventType
from harness.history.operations import MISMATCH, HistoryError, Operation


class Kind(IntEnum):
    """See the module's docstring."""

    SEES = 0
    SEES_NOT = 1
    SETS = 2
    SWAPS = 3
    ENDS = 4
    STEPS = 5


OBSERVERS = (Kind.SEES, Kind.SEES_NOT)
CHANGES = (Kind.SETS, Kind.SWAPS, Kind.ENDS)


@dataclass(slots=True, eq=False)
class Action:
    """``need``: the state it must find (SEES, SWAPS) or must not find (SEES_NOT, ENDS). ``gives``: the state after it
    (SETS, SWAPS, ENDS) or what it adds (STEPS). ``known``: it certainly happened."""

    operation: Operation
    kind: Kind
    need: Any = None
    gives: Any = None
    known: bool = True


Translate = Callable[[Operation], Action | None]
Step = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Model:
    """``initial`` state; ``translate``: operations by their ``f``; ``step`` for STEPS.

    ``precedes(a, b)``: whether steps may lead from state a to state b. A model with ``precedes`` grows: no sequence of
    steps leads back to a state that was left.
    """

    name: str
    initial: Any
    translate: dict[str, Translate]
    step: Step | None = None
    precedes: Callable[[Any, Any], bool] | None = None

    def actions(self, operations: Iterable[Operation]) -> list[Action]:
        """Of one key, in the order of invocation. Raises HistoryError for an ``f`` that the model does not have."""
        return list(self._actions(operations))

    def _actions(self, operations: Iterable[Operation]) -> Iterator[Action]:
        for operation in operations:
            translate = self.translate.get(operation.f)
            if translate is None:
                raise HistoryError(
                    f"the {self.name} model has no operation {operation.f!r}, only {', '.join(sorted(self.translate))}"
                )
            if operation.type is EventType.FAIL and operation.error != MISMATCH:
                continue
            action = translate(operation)
            if action is not None:
                yield action


def value_of(value: Any) -> Any:
    """As a state: hashable, and true apart from 1."""
    if value is None or type(value) is str or type(value) is int:
        return value
    if isinstance(value, bool):
        return ("bool", value)
    return freeze(value)


def _read(empty: Any = None, shape: Callable[[Any], Any] = value_of) -> Translate:
    def translate(operation: Operation) -> Action | None:
        if not operation.known:
            return None
        state = empty if operation.result is None else shape(operation.result)
        return Action(operation, Kind.SEES, need=state)

    return translate


def _write(shape: Callable[[Any], Any] = value_of) -> Translate:
    def translate(operation: Operation) -> Action | None:
        if operation.type is EventType.FAIL:
            return None
        _unchanged(operation)
        return Action(operation, Kind.SETS, gives=shape(operation.value), known=operation.known)

    return translate


def _step(shape: Callable[[Any], Any] = value_of) -> Translate:
    def translate(operation: Operation) -> Action | None:
        if operation.type is EventType.FAIL:
            return None
        _unchanged(operation)
        return Action(operation, Kind.STEPS, gives=shape(operation.value), known=operation.known)

    return translate


def _unchanged(operation: Operation) -> None:
    """A completion that names another value than the invocation means something that we do not understand."""
    if operation.known and operation.result is not None and freeze(operation.result) != freeze(operation.value):
        raise HistoryError(
            f"a {operation.f} of {operation.value!r:.60} was answered with {operation.result!r:.60}: "
            "what that means is not known here"
        )


def _cas(operation: Operation) -> Action | None:
    value = operation.value
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise HistoryError(f"a cas needs [expected, new], not {value!r:.60}")
    expected, new = value_of(value[0]), value_of(value[1])
    if operation.type is EventType.FAIL:
        return Action(operation, Kind.SEES_NOT, need=expected)
    _unchanged(operation)
    if expected == new:  # changes nothing: all that it does is look
        return Action(operation, Kind.SEES, need=expected) if operation.known else None
    return Action(operation, Kind.SWAPS, need=expected, gives=new, known=operation.known)


def _delete(operation: Operation) -> Action | None:
    if operation.type is EventType.FAIL:
        return None
    if operation.known and isinstance(operation.result, bool):
        return Action(operation, Kind.ENDS if operation.result else Kind.SEES)
    _unchanged(operation)
    return Action(operation, Kind.SETS, gives=None, known=operation.known)


def _between(expected: int, new: int) -> Translate:
    def translate(operation: Operation) -> Action | None:
        if operation.type is EventType.FAIL:
            return None
        return Action(operation, Kind.SWAPS, need=expected, gives=new, known=operation.known)

    return translate


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise HistoryError(f"the kv model has texts as values, not {value!r:.60}")
    return str(value)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise HistoryError(f"a counter has whole numbers, not {value!r:.60}")
    return value


def _sequence(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise HistoryError(f"a list is read as a list, not as {value!r:.60}")
    return tuple(map(value_of, value))


def _members(value: Any) -> frozenset[Any]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise HistoryError(f"a set is read as a list or a set, not as {value!r:.60}")
    return frozenset(map(value_of, value))


REGISTER = Model(
    "register",
    None,
    {"read": _read(), "get": _read(), "write": _write(), "put": _write(), "set": _write(), "cas": _cas}
    | {"delete": _delete},
)
KV = Model(
    "kv",
    "",
    {"get": _read("", _text), "read": _read("", _text), "put": _write(_text), "append": _step(_text)},
    step=lambda state, more: state + more,
    precedes=lambda state, later: later.startswith(state),
)
APPEND = Model(
    "append",
    (),
    {"read": _read((), _sequence), "append": _step()},
    step=lambda state, more: (*state, more),
    precedes=lambda state, later: later[: len(state)] == state,
)
SET = Model(
    "set",
    frozenset(),
    {"read": _read(frozenset(), _members), "add": _step()},
    step=lambda state, more: state | {more},
    precedes=lambda state, later: state <= later,
)
COUNTER = Model(
    "counter",
    0,
    {"read": _read(0, _number), "increment": _step(_number), "add": _step(_number)},
    step=lambda state, more: state + more,
)
RISING = replace(COUNTER, precedes=lambda state, later: state <= later)
"""A counter that nobody decrements."""
MUTEX = Model("mutex", 0, {"acquire": _between(0, 1), "release": _between(1, 0)})
MODELS = {model.name: model for model in (REGISTER, KV, APPEND, SET, COUNTER, MUTEX)}


def infer(operations: Sequence[Operation]) -> Model:
    """The model that a history without a header is about, by its operations' names. Raises HistoryError."""
    names = {operation.f for operation in operations}
    reads = [operation.result for operation in operations if operation.f in ("read", "get") and operation.known]
    lists = any(isinstance(result, list | tuple | set | frozenset) for result in reads)
    written = [operation.value for operation in operations]
    if names & {"put", "get"} and names <= KV.translate.keys() and "" in reads and "" not in written:
        return KV  # the only model in which a text is empty before anybody wrote one
    if "append" in names:
        texts = names & {"put", "get"} or any(isinstance(result, str) for result in reads)
        return KV if texts else APPEND
    if "add" in names or "increment" in names:
        counts = "increment" in names or any(isinstance(result, int) for result in reads)
        return COUNTER if counts and not lists else SET
    return MUTEX if names & MUTEX.translate.keys() else REGISTER
