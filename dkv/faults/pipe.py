"""What a bad link makes of what is put on it: when each thing comes out at the other end, and how often.

Pure: things of a size, ``now`` and a ``random.Random`` in, things out. A pipe is one direction of one link. What is
put in takes its turn on the line (``rate_bytes_s``), is under way for ``delay_s`` and up to ``jitter_s`` more, and
comes out in order, but for messages that were drawn to be overtaken. A cut pipe holds everything, as TCP does while
packets do not get through, and lets it out when it is healed. Law: with ``loss`` 0 nothing is ever lost; without
``reorder`` the order is kept; a change of shape counts for what is under way as if it were put in at that moment.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    import random

T = TypeVar("T")

OVERTAKEN_S = 0.1
"""How much longer than the others a message that is overtaken takes at most. Raft's heartbeat interval: else an idle
link would have nothing that could overtake it."""

Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=60.0)]
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one direction of a link does. ``loss``, ``duplicate``, ``reorder``: of each message."""

    cut: bool = False
    delay_s: Seconds = 0.0
    jitter_s: Seconds = 0.0
    loss: Probability = 0.0
    duplicate: Probability = 0.0
    reorder: Probability = 0.0
    rate_bytes_s: Annotated[float, msgspec.Meta(ge=1.0, le=1e12)] | None = None


STRAIGHT = Shape()
"""What comes in goes out."""


class Kind(Enum):
    """What may happen to a thing on its way."""

    MESSAGE = "message"
    """Anything: it may be lost, come twice, be overtaken."""
    SIGN = "sign"
    """Of life; said again and again: it may be lost, but what TCP keeps in order stays in order."""
    STREAM = "stream"
    """A part of a stream that TCP repairs: it comes once and in its place."""


class Pipe(Generic[T]):
    """Things of type ``T`` on their way."""

    def __init__(self, rng: random.Random, shape: Shape = STRAIGHT) -> None:
        self.shape = shape
        self._bends = shape != STRAIGHT
        self.waiting_bytes = 0
        self.effects: dict[str, int] = {}
        """What was done → to how many things."""
        self._rng = rng
        self._under_way: list[tuple[float, int, int, T]] = []
        self._sequence = 0
        self._line_free_at = float("-inf")
        self._last_due = float("-inf")

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def is_straight(self) -> bool:
        """Nothing would happen to what is put in now: it need not be put in at all."""
        return not self._bends and not self._under_way

    def put(self, thing: T, size_bytes: int, now: float, kind: Kind = Kind.MESSAGE) -> None:
        """``thing`` sets out."""
        for _ in range(self._copies(kind)):
            overtaken = kind is Kind.MESSAGE and self._draw("overtaken", self.shape.reorder)
            due = self._plan(thing, size_bytes, now, overtaken=overtaken)
            if self.shape.cut:
                self._count("held")
            elif due > now:
                self._count("delayed")

    def take_due(self, now: float) -> Iterator[T]:
        """What has arrived by ``now``, in order; nothing while the pipe is cut. May be left off in the middle."""
        while self._under_way and self.next_due() <= now:
            _, _, size_bytes, thing = heapq.heappop(self._under_way)
            self.waiting_bytes -= size_bytes
            yield thing

    def next_due(self) -> float:
        """When to look again; ``inf``: not before something changes."""
        return self._under_way[0][0] if self._under_way and not self.shape.cut else float("inf")

    def reshape(self, shape: Shape, now: float) -> None:
        """From now on ``shape``, for what is under way as well; what was drawn for it is not drawn again."""
        if shape == self.shape:
            return
        under_way, self._under_way = sorted(self._under_way, key=lambda item: item[:2]), []
        self.shape, self._bends, self.waiting_bytes = shape, shape != STRAIGHT, 0
        self._line_free_at = self._last_due = float("-inf")
        for _, _, size_bytes, thing in under_way:
            self._plan(thing, size_bytes, now, overtaken=False)

    def clear(self) -> None:
        """The link is gone, and what was on it."""
        self._under_way, self.waiting_bytes = [], 0

    def _copies(self, kind: Kind) -> int:
        if kind is not Kind.STREAM and self._draw("lost", self.shape.loss):
            return 0
        return 2 if kind is Kind.MESSAGE and self._draw("doubled", self.shape.duplicate) else 1

    def _draw(self, effect: str, probability: float) -> bool:
        if self._rng.random() >= probability:
            return False
        self._count(effect)
        return True

    def _count(self, effect: str) -> None:
        self.effects[effect] = self.effects.get(effect, 0) + 1

    def _plan(self, thing: T, size_bytes: int, now: float, *, overtaken: bool) -> float:
        shape, due = self.shape, now
        if shape.rate_bytes_s is not None:
            due = self._line_free_at = max(now, self._line_free_at) + size_bytes / shape.rate_bytes_s
        due += shape.delay_s + shape.jitter_s * self._rng.random()
        if overtaken:
            due += OVERTAKEN_S * self._rng.random()
        else:
            due = self._last_due = max(due, self._last_due)
        self._sequence += 1
        self.waiting_bytes += size_bytes
        heapq.heappush(self._under_way, (due, self._sequence, size_bytes, thing))
        return due
