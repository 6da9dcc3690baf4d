"""A smaller plan that still fails: delta debugging (Zeller's ddmin) with real runs as the test.

Real processes do not repeat themselves exactly, so each candidate is run up to ``reruns`` times, and counts as failing
if one run fails; what is said of the result is "failed k of n", never more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from harness.faults.fault import milli
from harness.plan import reduction
from harness.plan.reduction import Pair

T = TypeVar("T")

MARGIN_S = 1.5
"""After the violation: a rerun may be a little later."""
SHORTEST_S = 0.2
ROUNDS_MAX = 3
"""Halvings of a fault's time, and of the number of clients."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run. ``at_s``: when the violation was seen."""

    failed: bool
    at_s: float = 0.0


@dataclass
class Shrinker:
    """``trial`` runs a plan once; ``say`` tells a person; ``more``: whether there is time for another trial."""

    trial: Callable[[Pair], Outcome]
    reruns: int
    say: Callable[[str], None]
    more: Callable[[], bool] = lambda: True
    trials: int = field(default=0, init=False)
    last: Outcome = field(default=Outcome(False), init=False)
    """The last failing one."""

    def shrink(self, pair: Pair) -> Pair | None:
        """The smallest found; None if even the whole plan did not fail again."""
        if not self._fails("the whole plan", pair):
            return None
        best = self._until_violation(pair)
        best = self._fewer_faults(best)
        best = self._shorter_faults(best)
        best = self._fewer_clients(best)
        return self._until_violation(best)

    def measure(self, pair: Pair, times: int) -> int:
        """How often the plan fails, of so many runs."""
        failures = 0
        for number in range(1, times + 1):
            self.trials += 1
            failures += self.trial(pair).failed
            self.say(f"the smallest plan failed {failures} of {number}")
        return failures

    def _fails(self, what: str, pair: Pair) -> bool:
        """Whether one of at most ``reruns`` runs does; if the time is over, none is made."""
        for number in range(1, self.reruns + 1):
            if not self.more():
                return False
            self.trials += 1
            outcome = self.trial(pair)
            if outcome.failed:
                self.last = outcome
                self.say(f"{what}: failed 1 of {number}")
                return True
        self.say(f"{what}: failed 0 of {self.reruns}")
        return False

    def _until_violation(self, pair: Pair) -> Pair:
        """What comes after the violation has no part in it; but a later violation of a rerun may be cut off."""
        end_s = milli(self.last.at_s + MARGIN_S)
        if end_s >= pair[0].duration_s:
            return pair
        shorter = reduction.until(pair, end_s)
        return shorter if self._fails(f"only {end_s:.1f} s", shorter) else pair

    def _fewer_faults(self, pair: Pair) -> Pair:
        def fails(numbers: Sequence[int]) -> bool:
            return self._fails(f"faults {_listed(numbers)}", reduction.with_faults(pair, numbers))

        numbers = [fault.number for fault in pair[0].faults]
        return reduction.with_faults(pair, ddmin(numbers, fails))

    def _shorter_faults(self, pair: Pair) -> Pair:
        for number in [fault.number for fault in pair[0].faults]:
            for _ in range(ROUNDS_MAX):
                lasts_s = next(fault.duration_s for fault in pair[0].faults if fault.number == number)
                half_s = milli(lasts_s / 2)
                shorter = reduction.with_durations(pair, {number: half_s})
                if half_s < SHORTEST_S or not self._fails(f"fault {number} for {half_s:g} s", shorter):
                    break
                pair = shorter
        return pair

    def _fewer_clients(self, pair: Pair) -> Pair:
        for _ in range(ROUNDS_MAX):
            clients = reduction.clients_of(pair[1])
            half = clients[: len(clients) // 2]
            if not half:
                break
            fewer = reduction.with_clients(pair, half)
            if not self._fails(f"{len(half)} clients", fewer):
                break
            pair = fewer
        return pair


def ddmin(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """A part of ``items`` that fails and of which, as far as was tried, nothing can be left out."""
    best, parts = list(items), 2
    if not best or fails([]):
        return []
    while len(best) >= 2:
        size = -(-len(best) // parts)
        chunks = [best[start : start + size] for start in range(0, len(best), size)]
        smaller = next((chunk for chunk in chunks if len(chunks) > 1 and fails(chunk)), None)
        if smaller is not None:
            best, parts = list(smaller), 2
            continue
        without = [[item for item in best if item not in chunk] for chunk in chunks] if len(chunks) > 2 else []
        rest = next((others for others in without if fails(others)), None)
        if rest is not None:
            best, parts = rest, max(parts - 1, 2)
        elif parts >= len(best):
            break
        else:
            parts = min(len(best), parts * 2)
    return best


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "none"
