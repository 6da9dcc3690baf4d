"""Whom to call so that we are not alone: the seeds that operators named, and those that we knew before a restart.

While we are alone everybody is called again and again; later only those of them who are not with us, ever more seldom:
who lost its only contact early is an island, which neither gossip nor Serf's own reconnection ever finds. A newcomer
exchanges states out of turn besides: in a small cluster news is told so few times (the local profile: twice by each)
that one in twenty members misses some, and would hear of it with the next regular push/pull only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from dkv.gossip.wire.particulars import Address

if TYPE_CHECKING:
    import random

PAUSE_S_MIN: Final = 0.2
ALONE_PAUSE_S_MAX: Final = 5.0
PAUSE_S_MAX: Final = 30.0
"""Serf's ReconnectInterval. The pauses double up to here, or to the one above while nobody answers."""

EARLY_ROUNDS: Final = 8
EARLY_MEMBERS_MAX: Final = 64
"""So many exchanges out of turn, within half a minute, up to this size of cluster: larger ones tell news more often."""

CALLED_MAX: Final = 16
"""Known members in one round; all seeds besides. Any one that answers tells of all others."""

KNOWN_FOR_S: Final = 24 * 3600.0
"""Serf's ReconnectTimeout: who was not seen for so long will not come back to its old address."""

LINES_S: Final = 5.0
LINES_S_MAX: Final = 60.0
"""Between two lines of log that say that nobody answers: the first, and what they grow to."""


class Contacts:
    """``known``: name → address, of the snapshot, without ourselves."""

    def __init__(self, known: Mapping[str, Address], rng: random.Random, now: float) -> None:
        self._known = dict(known)
        self._rng, self._began = rng, now
        self._rounds = 0
        self._line_due, self._line_pause_s = now + LINES_S, LINES_S
        self._was_alone = True

    @property
    def known(self) -> dict[str, Address]:
        """Those of the snapshot of whom we have not heard yet."""
        return dict(self._known)

    def choose(
        self, seeds: Collection[Address], alive: Collection[Address], named: Collection[str], now: float
    ) -> list[Address]:
        """The next round. ``alive``: addresses of living members, ours too; ``named``: all names that we know."""
        old = now - self._began > KNOWN_FOR_S
        self._known = {name: place for name, place in self._known.items() if not old and name not in named}
        known = list(self._known.values())
        if len(known) > CALLED_MAX:
            known = self._rng.sample(known, CALLED_MAX)
        return [address for address in dict.fromkeys((*seeds, *known)) if address not in alive]

    def pause_s(self, *, alone: bool) -> float:
        """Until the next round."""
        if alone is not self._was_alone:
            self._rounds = 0
        self._was_alone = alone
        pause_s = min(PAUSE_S_MIN * 2.0**self._rounds, ALONE_PAUSE_S_MAX if alone else PAUSE_S_MAX)
        self._rounds = min(self._rounds + 1, 16)
        return pause_s * self._rng.uniform(0.75, 1.25)

    def is_early(self, members: int) -> bool:
        """Time for an exchange out of turn? Once a round, not while we are alone."""
        return not self._was_alone and self._rounds <= EARLY_ROUNDS and members <= EARLY_MEMBERS_MAX

    def complaint(self, refusals: Mapping[str, str], now: float) -> str:
        """Nobody answered, place → why: a line for the log, empty if there was one lately."""
        if now < self._line_due or not refusals:
            return ""
        self._line_pause_s = min(self._line_pause_s * 2, LINES_S_MAX)
        self._line_due = now + self._line_pause_s
        reasons = "; ".join(f"{place}: {why}" for place, why in list(refusals.items())[:CALLED_MAX])
        return f"no member of the cluster could be reached, trying on ({reasons})"
