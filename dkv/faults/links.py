"""The links of this node to its peers as they should be instead: rules by peer and direction, and who must obey them.

A rule is for a peer's *name* (``n2``, whatever its incarnation) and a direction, ``send`` or ``receive``, and counts
for every byte that goes that way: messages, signs of life, handshakes. A *cut* is silence, as packets that vanish make
it: nothing arrives, nobody is told, new connections do not come about, and what is closed meanwhile is closed without
a word (``bury``). Law: rules are of this node alone. One that is at both ends of a link (``send`` here, ``receive``
there) holds even when a process dies meanwhile; one at one end cannot keep the kernel from reporting that.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from dkv.clock import Clock, MonotonicClock
from dkv.errors import BadRequest
from dkv.faults.bodies import understood
from dkv.faults.pipe import STRAIGHT, Kind, Pipe, Shape

BURIED_MAX = 256
"""Connections that were closed in silence and whose other side must not know. A cut peer costs one every few seconds,
at most; beyond this many the oldest is closed aloud, because descriptors are few."""

SLACK_S = 0.001
"""uvloop's timers count in milliseconds and may ring one early."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Direction(StrEnum):
    """As this node sees it."""

    SEND = "send"
    RECEIVE = "receive"


class _Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    send: Shape = STRAIGHT
    receive: Shape = STRAIGHT


_NONE = _Rules()


class Transport(Protocol):
    """What is buried."""

    def abort(self) -> None: ...


class Lane:
    """One direction of one link: a pipe and the timer that empties it. What it carries are calls."""

    def __init__(self, rng: random.Random, clock: Clock, shape: Shape) -> None:
        """``clock``: a true one, since it is the event loop that waits."""
        self._clock = clock
        self._pipe: Pipe[Callable[[], object]] = Pipe(rng, shape)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_straight(self) -> bool:
        """Whoever would put something in may as well do it directly."""
        return self._pipe.is_straight

    @property
    def is_cut(self) -> bool:
        return self._pipe.shape.cut

    @property
    def waiting_bytes(self) -> int:
        return self._pipe.waiting_bytes

    @property
    def effects(self) -> dict[str, int]:
        return self._pipe.effects

    def put(self, call: Callable[[], object], size_bytes: int, kind: Kind) -> None:
        """``call`` is called when its time has come: at once, later, twice or never."""
        self._pipe.put(call, size_bytes, self._clock.now(), kind)
        self._let_out()

    def reshape(self, shape: Shape) -> None:
        self._pipe.reshape(shape, self._clock.now())
        self._let_out()

    def clear(self) -> None:
        """The link is gone."""
        self._pipe.clear()
        self._let_out()

    def _let_out(self) -> None:
        for call in self._pipe.take_due(self._clock.now() + SLACK_S):
            call()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._pipe.next_due()
        if due != float("inf"):
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - self._clock.now()), self._let_out)


class LinkFaults:
    """The rules of one node, and its links' lanes."""

    def __init__(self, rng: random.Random, clock: Clock | None = None) -> None:
        self._rng, self._clock = rng, clock if clock is not None else MonotonicClock()
        self._rules: dict[str, _Rules] = {}
        self._lanes: dict[Lane, tuple[str, Direction]] = {}
        self._effects: dict[str, dict[str, int]] = {}
        self._buried: deque[tuple[str, Transport]] = deque()
        self._watchers: dict[Callable[[], None], None] = {}
        self._changed = asyncio.Event()
        self._closing = False

    # ---- for people and their tools

    def set(self, document: dict[str, Any]) -> None:
        """``PUT /faults/links``: replaces all rules. Raises ``BadRequest``."""
        rules = understood(document, dict[str, _Rules])
        for name in rules:
            if not _NAME.fullmatch(name):
                raise BadRequest(f"{name!r} is no name of a node (n2, not n2.3f9a2c1b). No fault was changed.")
        self._rules = rules
        for lane, (name, direction) in list(self._lanes.items()):
            lane.reshape(self.shape(name, direction))
        for watcher in list(self._watchers):
            if watcher in self._watchers:  # still: the one before may have ended it
                watcher()
        self._bring_to_light()
        self._changed.set()
        self._changed = asyncio.Event()

    def heal(self) -> None:
        """What was held is delivered now."""
        self.set({})

    def status(self) -> dict[str, Any]:
        """The rules that are in force, as they would be given."""
        rules: dict[str, Any] = msgspec.to_builtins(self._rules)
        return rules

    def effects(self) -> dict[str, dict[str, int]]:
        """Peer → ``send lost`` and the like → how many messages and signs of life, since the node started."""
        total = {name: dict(counts) for name, counts in self._effects.items()}
        for lane, (name, direction) in self._lanes.items():
            _add(total.setdefault(name, {}), direction, lane)
        return {name: counts for name, counts in total.items() if counts}

    # ---- for the links

    def shape(self, name: str, direction: Direction) -> Shape:
        """What is in force."""
        rules = self._rules.get(name, _NONE)
        return rules.send if direction is Direction.SEND else rules.receive

    def is_cut(self, name: str) -> bool:
        """In either direction: no connection comes about, since each needs both."""
        return any(self.shape(name, direction).cut for direction in Direction)

    async def passage(self, name: str) -> None:
        """Returns once a connection to ``name`` could come about."""
        while self.is_cut(name):
            await self._changed.wait()

    def lane(self, name: str, direction: Direction) -> Lane:
        """A new one; give it back with ``close_lane``."""
        lane = Lane(self._rng, self._clock, self.shape(name, direction))
        self._lanes[lane] = (name, direction)
        return lane

    def close_lane(self, lane: Lane) -> None:
        """What is on it is lost."""
        name, direction = self._lanes.pop(lane)
        _add(self._effects.setdefault(name, {}), direction, lane)
        lane.clear()

    def watch(self, watcher: Callable[[], None]) -> None:
        """``watcher`` is called after each change of the rules, until ``unwatch``."""
        self._watchers[watcher] = None

    def unwatch(self, watcher: Callable[[], None]) -> None:
        self._watchers.pop(watcher, None)

    def bury(self, name: str, transport: Transport) -> None:
        """Close ``transport`` once the way to ``name`` is open again: until then nothing can tell the other side."""
        self._buried.append((name, transport))
        if self._closing or len(self._buried) > BURIED_MAX:
            self._buried.popleft()[1].abort()

    def close(self) -> None:
        """The node stops, and with it every pretence: what is still open is closed."""
        self._closing = True
        while self._buried:
            self._buried.popleft()[1].abort()

    def _bring_to_light(self) -> None:
        buried, self._buried = self._buried, deque()
        for name, transport in buried:
            if self.shape(name, Direction.SEND).cut:
                self._buried.append((name, transport))
            else:
                transport.abort()


def _add(counts: dict[str, int], direction: Direction, lane: Lane) -> None:
    for effect, count in lane.effects.items():
        counts[f"{direction} {effect}"] = counts.get(f"{direction} {effect}", 0) + count


def name_in(identity: str) -> str:
    """``n1.3f9a2c1b`` → ``n1``."""
    return identity.rpartition(".")[0] or identity
