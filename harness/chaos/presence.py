"""Every acknowledged write is there exactly once, by the final reads. Pure: events → check.

For lists, sets and counters, which show what was done to them. A register shows only its last value: there the final
reads are a part of the history, and linearizability says whether it is the right one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.history.events import Event, EventType
from harness.history.records import Check, Validity

NAME = "acknowledged exactly once"
CHANGES = ("append", "add", "increment")


@dataclass
class _Key:
    """What was done to one key: elements (or amounts) that certainly, or perhaps, are in it."""

    certain: list[Any] = field(default_factory=list)
    perhaps: list[Any] = field(default_factory=list)


def presence(events: Iterable[Event], finals: Sequence[Event], workload: str) -> Check:
    """``finals``: completed reads after which nothing was written."""
    if workload == "register":
        return Check(name=NAME, validity=Validity.VALID, detail={"by": "final reads in the history"})
    keys = _done(events)
    judge = _counter if workload == "counter" else _list
    for final in finals:
        if final.key is not None and (sentence := judge(final, keys.get(final.key, _Key()))):
            return Check(name=NAME, validity=Validity.INVALID, sentence=sentence, key=final.key, time_s=final.time_s)
    if not finals:
        return Check(name=NAME, validity=Validity.UNKNOWN, sentence="no key was read after the last write")
    return Check(name=NAME, validity=Validity.VALID)


def _done(events: Iterable[Event]) -> dict[str, _Key]:
    keys: dict[str, _Key] = {}
    under_way: dict[int, Event] = {}
    for event in events:
        if event.f not in CHANGES or event.key is None:
            continue
        key = keys.setdefault(event.key, _Key())
        if event.type is EventType.INVOKE:
            under_way[event.process] = event
            continue
        under_way.pop(event.process, None)
        if event.type is EventType.OK:
            key.certain.append(event.value)
        elif event.type is EventType.INFO:
            key.perhaps.append(event.value)
    for event in under_way.values():
        if event.key is not None:
            keys[event.key].perhaps.append(event.value)
    return keys


def _list(final: Event, key: _Key) -> str:
    seen = Counter(final.value or [])
    where = f"in the final read of {final.key} at {final.node}"
    for element in key.certain:
        if seen[element] == 0:
            return f"{element} was acknowledged and is missing {where}"
    possible = set(key.certain) | set(key.perhaps)
    for element, count in seen.items():
        if count > 1:
            return f"{element} is there {count} times {where}"
        if element not in possible:
            return f"{element} is there {where}, although it was refused or never written"
    return ""


def _counter(final: Event, key: _Key) -> str:
    least, most = sum(key.certain), sum(key.certain) + sum(key.perhaps)
    if least <= (final.value or 0) <= most:
        return ""
    return (
        f"the final read of {final.key} at {final.node} is {final.value}: increments of {least} were acknowledged, "
        f"and of {most - least} have an unknown outcome"
    )
