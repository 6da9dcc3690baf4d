"""Violations in one sentence, for a person: who answered what, and which earlier answer forbids it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Sized
from typing import Any

from harness.checker.growth import Decline, OutOfBounds
from harness.checker.models import OBSERVERS, Action, Kind, Model
from harness.checker.ranks import Flaw, Refutation
from harness.history.events import EventType
from harness.history.operations import MISMATCH, Operation

CHARS_MAX = 60
CHANGES = (Kind.SETS, Kind.SWAPS, Kind.ENDS)


def shown(value: Any) -> str:
    """A value on one short line, the end of it if it is long: there lists and texts differ."""
    if value is None:
        return "nothing"
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "bool":
        value = value[1]
    if isinstance(value, frozenset):
        value = sorted(value, key=repr)
    text = str(value) if isinstance(value, str) and value else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= CHARS_MAX else f"…{text[1 - CHARS_MAX :]}"


def divergence(first: Any, second: Any) -> list[Any]:
    """One element of each that tells two reads apart."""
    if isinstance(first, frozenset):
        return [min(difference, key=repr) for difference in (first - second, second - first) if difference]
    place = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    return [] if place is None else [first[place], second[place]]


def of_actions(model: Model, key: str | None, shown_: Sequence[Action], operations: Sequence[Operation]) -> str:
    """Of a minimal set of actions. ``operations``: all of the key, for values whose writes are not among them."""
    twice = _twice(shown_)
    if twice is not None:
        return _two_from_one(key, *twice)
    looks = [action for action in shown_ if action.kind in OBSERVERS or action.kind in (Kind.SWAPS, Kind.ENDS)]
    if not looks:
        return f"the answers for {named(key)} contradict each other in every order"
    culprit = max(looks, key=lambda action: (action.kind in OBSERVERS, action.operation.returned))
    others = [action for action in shown_ if action is not culprit]
    why = _origin(model, culprit, operations) or _overwritten(culprit, others) or _seen(culprit, others)
    if why is None:
        return f"{_answer(culprit, key)}; with {_count(len(others))} around it no order explains that"
    return f"{_answer(culprit, key)} {why}"


def of_ranks(model: Model, key: str | None, found: Refutation, operations: Sequence[Operation]) -> str:
    """Of a list or a set."""
    first, second = found.first, found.second
    who = _who(first.operation)
    if found.flaw is Flaw.THIN_AIR:
        return _thin_air(key, found, operations)
    assert second is not None
    if found.flaw is Flaw.DIVERGED:
        a, b = (", ".join(map(shown, part)) for part in _tails(first.need, second.need))
        return (
            f"{who} returned a {_thing(model)} for {named(key)} with {a or 'nothing'} where "
            f"{_who(second.operation)} returned one with {b or 'nothing'}: neither comes from the other"
        )
    gap = _gap(first.operation, second.operation)
    if first.kind is Kind.STEPS and second.kind is Kind.SEES:
        return (
            f"{_who(second.operation)} returned a {_thing(model)} for {named(key)} without {shown(first.gives)} "
            f"although its {first.operation.f} had been acknowledged {gap}before the read began"
        )
    if first.kind is Kind.SEES and second.kind is Kind.SEES:
        return (
            f"{_who(second.operation)} returned a {_thing(model)} of {_size(model, second.need)} for {named(key)} "
            f"although one of {_size(model, first.need)} had been returned {gap}before the read began"
        )
    if first.kind is Kind.SEES:
        return f"{who} returned {shown(second.gives)} for {named(key)} {gap}before its {second.operation.f} began"
    assert found.witness is not None
    return (
        f"{_who(found.witness.operation)} returned a {_thing(model)} for {named(key)} with {shown(second.gives)} and "
        f"not, before it, {shown(first.gives)}, whose {first.operation.f} had been acknowledged {gap}before the other "
        "began"
    )


def of_decline(key: str | None, found: Decline) -> str:
    """Of two reads of what only grows."""
    why = _seen(found.later, [found.earlier])
    return f"{_answer(found.later, key)} {why}"


def of_bounds(key: str | None, found: OutOfBounds) -> str:
    """Of a counter."""
    if found.read.need < found.low:
        return f"{_answer(found.read, key)} although {found.low} had been acknowledged before the read began"
    return f"{_answer(found.read, key)} although only {found.high} had been asked for before the read ended"


def _thin_air(key: str | None, found: Refutation, operations: Sequence[Operation]) -> str:
    text = f"{_who(found.first.operation)} returned {shown(found.element)} for {named(key)}"
    if found.second is not None:
        return f"{text} twice, although it was added once"
    refused = any(o.value == found.element and o.type is EventType.FAIL for o in operations)
    return f"{text} although " + ("adding it had failed" if refused else "nobody ever added it")


def _tails(first: Any, second: Any) -> tuple[Iterable[Any], Iterable[Any]]:
    if isinstance(first, frozenset):
        return sorted(first - second, key=repr)[:3], sorted(second - first, key=repr)[:3]
    place = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
    return first[place : place + 1], second[place : place + 1]


# ---- reasons


def _twice(actions: Sequence[Action]) -> tuple[Action, Action] | None:
    """Two swaps from one value, if they are what it is about."""
    swaps = [action for action in actions if action.kind is Kind.SWAPS and action.known]
    if len(swaps) == 2 and swaps[0].need == swaps[1].need and not any(a.kind in OBSERVERS for a in actions):
        makers = [action for action in actions if action.kind in CHANGES and action.gives == swaps[0].need]
        if len(makers) <= 1:
            return swaps[0], swaps[1]
    return None


def _two_from_one(key: str | None, first: Action, second: Action) -> str:
    return (
        f"two cas of {named(key)} from {shown(first.need)} succeeded, to {shown(first.gives)} by "
        f"{_who(first.operation)} and to {shown(second.gives)} by {_who(second.operation)}, although it was there only "
        "once"
    )


def _origin(model: Model, culprit: Action, operations: Sequence[Operation]) -> str | None:
    """Where the value comes from, if that is what is wrong."""
    if culprit.kind not in (Kind.SEES, Kind.SWAPS) or culprit.need == model.initial or model.step is not None:
        return None
    writes = [o for o in operations if o.f not in ("read", "get", "delete") and _gives(o) == culprit.need]
    real = [o for o in writes if o.type is not EventType.FAIL]
    if not writes:
        return "although nobody ever wrote it"
    if not real:
        told = all(o.error == MISMATCH for o in writes)
        return "although its cas had been refused" if told else "although its write had failed"
    if all(o.invoked > culprit.operation.returned for o in real):
        return f"{_gap(culprit.operation, real[0])}before its write began"
    return None


def _gives(operation: Operation) -> Any:
    value = operation.value
    return value[1] if operation.f == "cas" and isinstance(value, list | tuple) and len(value) == 2 else value


def _overwritten(culprit: Action, others: Sequence[Action]) -> str | None:
    """The last change that was acknowledged before the culprit began, and that it should have found."""
    began = culprit.operation.invoked
    done = [a for a in others if a.kind in CHANGES and a.known and a.operation.returned < began]
    if culprit.kind in (Kind.SEES, Kind.SWAPS):
        done = [action for action in done if action.gives != culprit.need]
    if not done:
        return _missing(culprit, others)
    last = max(done, key=lambda action: action.operation.returned)
    gap = _gap(last.operation, culprit.operation)
    if last.operation.f == "delete":
        return f"although the key had been deleted {gap}before the {culprit.operation.f} began"
    what = f"a write of {shown(last.gives)}" if last.gives == culprit.need else shown(last.gives)
    return f"although {what} had been acknowledged {gap}before the {culprit.operation.f} began"


def _missing(culprit: Action, others: Sequence[Action]) -> str | None:
    """A step that was acknowledged before, and is not in what was seen."""
    if not isinstance(culprit.need, str | tuple | frozenset):
        return None
    began = culprit.operation.invoked
    for other in others:
        done = other.kind is Kind.STEPS and other.known and other.operation.returned < began
        if done and other.gives not in culprit.need:
            gap = _gap(other.operation, culprit.operation)
            asked, look = other.operation.f, culprit.operation.f
            return f"although the {asked} of {shown(other.gives)} had been acknowledged {gap}before the {look} began"
    return None


def _seen(culprit: Action, others: Sequence[Action]) -> str | None:
    """An earlier look that saw something newer."""
    looks = [a for a in others if a.kind is Kind.SEES and a.operation.returned < culprit.operation.invoked]
    if not looks or culprit.kind is Kind.SEES_NOT:
        return None
    last = max(looks, key=lambda action: action.operation.returned)
    gap = _gap(last.operation, culprit.operation)
    return (
        f"although {_who(last.operation)} had returned {shown(last.need)} {gap}before the {culprit.operation.f} began"
    )


# ---- words


def described(operation: Operation) -> str:
    """``write v21``, ``read → v17``, ``cas v1 → v2``, ``delete → found``."""
    f, value = operation.f, operation.value
    if f in ("read", "get"):
        return f"{f} → {shown(operation.result) if operation.known else '?'}"
    if f == "cas" and isinstance(value, list | tuple) and len(value) == 2:
        return f"cas {shown(value[0])} → {shown(value[1])}"
    if f == "delete" and isinstance(operation.result, bool):
        return f"delete → {'found' if operation.result else 'nothing there'}"
    return f if value is None else f"{f} {shown(value)}"


def _answer(action: Action, key: str | None) -> str:
    who, where = _who(action.operation), named(key)
    if action.kind is Kind.SWAPS:
        return f"{who} let a cas of {where} from {shown(action.need)} to {shown(action.gives)} succeed"
    if action.kind is Kind.SEES_NOT:
        return f"{who} refused a cas of {where} because {shown(action.need)} was not there"
    if action.operation.f == "delete":
        found = "something" if action.kind is Kind.ENDS else "nothing"
        return f"{who} said that a delete of {where} found {found}"
    return f"{who} returned {shown(action.need)} for {where}"


def _who(operation: Operation) -> str:
    return operation.node or f"process {operation.process}"


def named(key: str | None) -> str:
    """A key, or the only thing that a history without keys is about."""
    return "the register" if key is None else f"key {key}"


def _thing(model: Model) -> str:
    return {"set": "set", "kv": "text"}.get(model.name, "list")


def _size(model: Model, state: Sized) -> str:
    noun = "piece" if model.name == "kv" else "element"
    return f"{len(state)} {noun}{'s' * (len(state) != 1)}"


def _count(number: int) -> str:
    return f"the {number} other operations" if number != 1 else "the other operation"


def _gap(earlier: Operation, later: Operation) -> str:
    """``"40 ms "`` from the end of one to the beginning of the other; empty where the history has no times."""
    if earlier.return_s is None or later.invoke_s <= earlier.return_s:
        return ""
    gap_ms = (later.invoke_s - earlier.return_s) * 1000
    return f"{gap_ms:.0f} ms " if gap_ms >= 10 else f"{gap_ms:.2g} ms " if gap_ms < 1 else f"{gap_ms:.1f} ms "
