"""Random histories: small arbitrary ones, and those of a simulated store that is linearizable or has one fault."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from harness.history.events import Event, EventType
from harness.history.operations import MISMATCH, NEVER, Operation

Generator = Callable[[random.Random], list[Operation]]


def intervals(rng: random.Random, count: int, clients: int) -> list[tuple[int, int, int]]:
    """(process, invoked, returned) of ``count`` operations by sequential clients, in the order of invocation."""
    open_: list[tuple[int, int]] = []
    done: list[tuple[int, int, int]] = []
    began = position = 0
    while began < count or open_:
        busy = {process for process, _ in open_}
        if began < count and len(open_) < clients and (not open_ or rng.random() < 0.55):
            process = rng.choice([number for number in range(clients) if number not in busy])
            open_.append((process, position))
            began += 1
        else:
            process, invoked = open_.pop(rng.randrange(len(open_)))
            done.append((process, invoked, position))
        position += 1
    return sorted(done, key=lambda interval: interval[1])


def operation(process: int, f: str, value: Any, invoked: int, returned: int, type: EventType, result: Any) -> Operation:
    """One of key "k"; of unknown outcome if ``type`` is info."""
    unknown = type is EventType.INFO
    return Operation(
        process, f, "k", value, invoked, invoked / 1000, type, None if unknown or type is EventType.FAIL else result,
        NEVER if unknown else returned, None if unknown else returned / 1000, f"n{process % 5 + 1}",
        MISMATCH if type is EventType.FAIL and f == "cas" else None,
    )  # fmt: skip


class Store:
    """One key, done right: what each operation does to the state and tells."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.state: Any = {"register": None, "kv": "", "append": (), "set": frozenset(), "counter": 0}[model]

    def apply(self, f: str, value: Any) -> tuple[EventType, Any]:
        """How it ends and with what."""
        state = self.state
        if f in ("read", "get"):
            return EventType.OK, sorted(state) if self.model == "set" else state
        if f in ("write", "put"):
            self.state = value
        elif f == "append":
            self.state = state + value if self.model == "kv" else (*state, value)
        elif f == "add":
            self.state = state | {value}
        elif f == "increment":
            self.state = state + value
        elif f == "delete":
            self.state = None
            return EventType.OK, state is not None
        else:
            if state != value[0]:
                return EventType.FAIL, None
            self.state = value[1]
        return EventType.OK, value


def asked(
    rng: random.Random, model: str, unique: bool, number: int, state: Any, plain: bool = False
) -> tuple[str, Any]:
    """An operation to do. ``plain``: a register without deletes and cas."""
    fresh = number if unique else rng.randrange(3)
    dice = rng.random()
    if model == "register":
        if dice < 0.4:
            return "read", None
        if dice < 0.65 or plain:
            return "write", fresh
        if dice < 0.9:
            expected = state if rng.random() < 0.7 else rng.choice([None, rng.randrange(max(1, number))])
            return "cas", [expected, fresh]
        return "delete", None
    if model == "kv":
        text = f"<{fresh}>" if unique else rng.choice("ab")
        return ("get", None) if dice < 0.45 else ("append", text) if dice < 0.8 else ("put", text)
    if dice < 0.45:
        return "read", None
    return {"append": ("append", fresh), "set": ("add", fresh), "counter": ("increment", rng.choice([1, 1, 2]))}[model]


def simulated(
    rng: random.Random, model: str, count: int, clients: int, unique: bool = True, unknown: float = 0.0,
    plain: bool = False, store: Store | None = None, keys: int = 1,
) -> list[Operation]:  # fmt: skip
    """A linearizable history: every operation takes effect at a random moment between its ends.

    ``store`` keeps the effects; with ``keys``, each client does every operation on any of them, k, k1, k2, …
    """
    stores = [store or Store(model), *(Store(model) for _ in range(keys - 1))]
    spans = intervals(rng, count, clients)
    moments = sorted((rng.uniform(invoked, returned), number) for number, (_, invoked, returned) in enumerate(spans))
    operations: dict[int, Operation] = {}
    for _, number in moments:
        process, invoked, returned = spans[number]
        key = rng.randrange(keys) if keys > 1 else 0
        f, value = asked(rng, model, unique, number, stores[key].state, plain)
        lost, applied = rng.random() < unknown, rng.random() < 0.5
        type, result = stores[key].apply(f, value) if applied or not lost else (EventType.INFO, None)
        if f == "delete" and rng.random() < 0.3:
            result = None  # not told
        done = operation(process, f, value, invoked, returned, EventType.INFO if lost else type, result)
        done.key = f"k{key or ''}"
        operations[number] = done
    return [operations[number] for number in range(count)]


def arbitrary(
    rng: random.Random, model: str, count: int, clients: int, unique: bool, unknown: float
) -> list[Operation]:
    """A simulated one of which some answers are replaced by others and some operations shortened: a third are wrong."""
    operations = simulated(rng, model, count, clients, unique, unknown, plain=rng.random() < 0.3)
    for _ in range(rng.randrange(4)):
        victim = rng.choice(operations)
        if victim.f in ("read", "get") and victim.known:
            victim.result = _other_answer(rng, model, victim, operations)
        elif victim.f == "cas" and victim.type is not EventType.INFO:
            won = victim.type is EventType.FAIL
            victim.type, victim.result = (EventType.OK, victim.value) if won else (EventType.FAIL, None)
            victim.error = None if won else MISMATCH
        elif victim.f == "delete" and victim.known:
            victim.result = rng.choice([True, False, None])
    if rng.random() < 0.3:
        shorten(rng, operations)
    return operations


def shorten(rng: random.Random, operations: list[Operation]) -> None:
    """Let one operation seem to have been quicker than it was."""
    for other in operations:  # make room between all positions
        other.invoked *= 2
        other.returned = NEVER if other.returned == NEVER else other.returned * 2
    victim = rng.choice([other for other in operations if other.known] or operations)
    if victim.known:
        victim.invoked = 2 * rng.randrange(victim.invoked // 2, victim.returned // 2) + 1
    operations.sort(key=lambda other: other.invoked)


def _other_answer(rng: random.Random, model: str, victim: Operation, operations: list[Operation]) -> Any:
    others = [other.result for other in operations if other.f == victim.f and other.known]
    answer = rng.choice(others + ([o.value for o in operations if o.f == "write"] if model == "register" else []))
    if model in ("append", "set") and answer:
        answer = list(answer)
        dice = rng.random()
        if dice < 0.3:
            answer.remove(rng.choice(answer))
        elif dice < 0.5 and model == "append":
            rng.shuffle(answer)
        elif dice < 0.6:
            answer.append(rng.randrange(20))
        return tuple(answer)
    if model == "counter" and rng.random() < 0.5:
        return answer + rng.choice([-1, 1])
    if model == "kv" and answer and rng.random() < 0.5:
        pieces = [o.value for o in operations if o.f == "append"]
        return answer + rng.choice(pieces) if pieces and rng.random() < 0.5 else answer[: answer.rfind("<")]
    return answer


def events(operations: list[Operation], vanish: bool = False) -> list[Event]:
    """As a recorder would have written them; a process of unknown outcome is never heard of again, and of those that
    ``vanish`` no end is told."""
    marks: list[tuple[float, Event]] = []
    number: dict[int, int] = {}
    last = 1000
    for o in operations:
        process = number.setdefault(o.process, o.process)
        marks.append(
            (
                o.invoked,
                Event(process=process, type=EventType.INVOKE, f=o.f, key=o.key, value=o.value, time_s=o.invoke_s),
            )
        )
        if o.type is EventType.INFO:
            last += 1
            number[o.process] = last
            info = Event(process=process, type=o.type, f=o.f, key=o.key, value=o.value, time_s=o.invoke_s)
            marks += [] if vanish else [(o.invoked + 0.5, info)]
            continue
        marks.append(
            (
                o.returned,
                Event(
                    process=process, type=o.type, f=o.f, key=o.key, time_s=o.return_s or 0.0, node=o.node,
                    value=o.result if o.type is EventType.OK else o.value, error=o.error,
                ),
            )
        )  # fmt: skip
    return [event for _, event in sorted(marks, key=lambda mark: mark[0])]
