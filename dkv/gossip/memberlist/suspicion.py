"""How long a suspicion lasts before it is a verdict (Lifeguard's "LHA-Suspicion").

It starts long: perhaps it is the accuser who is slow. Each independent accuser shortens it, down to a minimum that
still leaves the suspect time to hear of it and to object.
"""

from __future__ import annotations

import math

from dkv.gossip.memberlist.profiles import Profile


def suspicion_min_s(profile: Profile, members: int) -> float:
    """suspicion_mult * log10(n) * probe interval, the logarithm at least 1 and cut to three decimals (Go's)."""
    scale = math.floor(1000 * max(1.0, math.log10(max(1, members)))) / 1000
    return profile.suspicion_mult * scale * profile.probe_interval_s


def confirmations_wanted(profile: Profile, members: int) -> int:
    """How many accusers besides the first shorten it all the way; 0 if there are not as many members to ask."""
    wanted = profile.suspicion_mult - 2
    return wanted if members - 2 >= wanted else 0


class Suspicion:
    """One member's, from the first accusation on. ``due``: when it becomes a verdict."""

    __slots__ = ("_accusers", "_confirmations", "_max_s", "_min_s", "_started", "_wanted", "due")

    def __init__(self, profile: Profile, members: int, accuser: str, now: float) -> None:
        self._min_s = suspicion_min_s(profile, members)
        self._max_s = self._min_s * profile.suspicion_max_timeout_mult
        self._wanted = confirmations_wanted(profile, members)
        self._accusers = {accuser}  # who cannot confirm himself
        self._confirmations = 0
        self._started = now
        self.due = now + self._total_s()

    def confirm(self, accuser: str) -> bool:
        """Another accusation: was it news, and more than nothing? Then it is worth gossiping on."""
        if self._confirmations >= self._wanted or accuser in self._accusers:
            return False
        self._accusers.add(accuser)
        self._confirmations += 1
        self.due = self._started + self._total_s()
        return True

    def _total_s(self) -> float:
        if self._wanted < 1:
            return self._min_s
        share = math.log(self._confirmations + 1) / math.log(self._wanted + 1)
        total = self._max_s - share * (self._max_s - self._min_s)
        return max(self._min_s, math.floor(total * 1000) / 1000)
