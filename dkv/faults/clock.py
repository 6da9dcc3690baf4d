"""The clocks of a node that lie: jumps and wrong rates, of the monotonic clock and of the wall's.

Strategy: a lying clock is a straight line over a true one, and each change begins a new line where the old one stands.
Law: the monotonic clock never goes backwards. A jump back stops it until the line has come up to it again; the wall
clock just jumps, as wall clocks do. What was gained stays on the monotonic clock when the fault is healed (to take it
back would be one more jump); the wall clock is right again at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import msgspec

from dkv.clock import Clock, MonotonicClock
from dkv.faults.bodies import understood

JUMP_S_MAX = 86_400.0
"""A day: far beyond every time-out; a monotonic clock that is set back stands still for as long."""

WALL_JUMP_S_MAX = 1e9
"""Some thirty years, so that the wall's milliseconds stay positive."""

Rate = Annotated[float, msgspec.Meta(ge=0.01, le=100.0)]


class _Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``jump_s``: once, now, from where the clock stands. ``rate``: its seconds per real second from now on."""

    jump_s: Annotated[float, msgspec.Meta(ge=-JUMP_S_MAX, le=JUMP_S_MAX)] = 0.0
    rate: Rate = 1.0


class _WallDrift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jump_s: Annotated[float, msgspec.Meta(ge=-WALL_JUMP_S_MAX, le=WALL_JUMP_S_MAX)] = 0.0
    rate: Rate = 1.0


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    monotonic: _Drift = _Drift()
    wall: _WallDrift = _WallDrift()


class _Line(NamedTuple):
    """From ``start`` (of the true clock) on: ``value`` there, then ``rate`` a second."""

    start: float
    value: float
    rate: float

    def at(self, true: float) -> float:
        return self.value + (true - self.start) * self.rate


class FaultyClock:
    """A monotonic ``Clock`` over a true one."""

    def __init__(self, true: Clock) -> None:
        self._true = true
        # One value, replaced as a whole: threads may ask while the loop's one changes it.
        self._course = _Line(start := true.now(), start, 1.0), float("-inf")

    def now(self) -> float:
        """Seconds; stands still while a jump back is being made up for."""
        line, floor = self._course
        return max(floor, line.at(self._true.now()))

    def until(self, due: float) -> float:
        """Real seconds; right until the next ``drift``."""
        line, _ = self._course
        true = self._true.now()
        return 0.0 if due <= self.now() else max(0.0, (due - line.at(true)) / line.rate)

    def drift(self, jump_s: float, rate: float) -> None:
        """Jump once, and run at ``rate`` from now on."""
        line, floor = self._course
        true = self._true.now()
        self._course = _Line(true, line.at(true) + jump_s, rate), max(floor, line.at(true))

    @property
    def rate(self) -> float:
        return self._course[0].rate

    @property
    def offset_s(self) -> float:
        """How far it is ahead of the true clock."""
        line, floor = self._course
        true = self._true.now()
        return max(floor, line.at(true)) - true


class FaultyWall:
    """The wall's clock, over the machine's."""

    def __init__(self, true: Callable[[], float]) -> None:
        """``true``: seconds since the epoch (``time.time``)."""
        self._true = true
        self._line = _Line(true(), 0.0, 0.0)
        """Of what is added to the true time: a clock that does not lie stays right when the machine's is set."""

    def now(self) -> float:
        """Seconds since the epoch, as this node sees them."""
        true = self._true()
        return true + self._line.at(true)

    def drift(self, jump_s: float, rate: float) -> None:
        """As ``FaultyClock.drift``."""
        true = self._true()
        self._line = _Line(true, self._line.at(true) + jump_s, rate - 1.0)

    def heal(self) -> None:
        """Right again, at once."""
        self._line = _Line(self._true(), 0.0, 0.0)

    @property
    def rate(self) -> float:
        return 1.0 + self._line.rate

    @property
    def offset_s(self) -> float:
        """How far it is ahead of the true clock."""
        return self._line.at(self._true())


class ClockFaults:
    """Both clocks of one node. ``on_change``: called after each change; timers that were set are wrong then."""

    def __init__(self, true: Clock | None = None, wall: Callable[[], float] = time.time) -> None:
        self.monotonic = FaultyClock(true if true is not None else MonotonicClock())
        self.wall = FaultyWall(wall)
        self.on_change: list[Callable[[], None]] = []

    def set(self, document: dict[str, Any]) -> None:
        """``PUT /faults/clock``. A clock that is left out runs at its true rate again. Raises ``BadRequest``."""
        body = understood(document, _Body)
        self.monotonic.drift(body.monotonic.jump_s, body.monotonic.rate)
        self.wall.drift(body.wall.jump_s, body.wall.rate)
        self._changed()

    def heal(self) -> None:
        self.monotonic.drift(0.0, 1.0)
        self.wall.heal()
        self._changed()

    def status(self) -> dict[str, Any]:
        """``offset_s``: how far each is ahead of the machine's own clock by now."""
        return {
            name: {"rate": clock.rate, "offset_s": round(clock.offset_s, 6)}
            for name, clock in (("monotonic", self.monotonic), ("wall", self.wall))
        }

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, as this node sees them."""
        return int(self.wall.now() * 1000)

    def _changed(self) -> None:
        for told in self.on_change:
            told()
