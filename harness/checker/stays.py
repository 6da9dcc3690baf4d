"""How long a value must stay once it is there: rule 10 of the search.

A value that only one action brings about comes once; from then on it, or what a known cas makes of it, stays until the
last who must still find it has begun. Whatever else must happen before that moment must have happened before the value
comes. (Gibbons and Korach's zones, looked at from within a search that also has values which come twice.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from harness.checker.models import CHANGES, Kind

NONE = -1


class Stays:
    """By state: ``until``, the last invocation of those who must find it or what grows out of it; ``not_before``, the
    last invocation of those who must be done before it comes; -1 where nothing is known. ``cluster``: the states that
    grow out of one another, by their first. By action: ``member``, the cluster that it is part of. ``blocks``: the
    known members of each cluster that grows straight: no value is taken twice, and all are single. ``tempting``:
    clusters that somebody of unknown outcome may look for."""

    def __init__(
        self,
        kinds: Sequence[Kind],
        known: Sequence[bool],
        needs: Sequence[int],
        gives: Sequence[int],
        spans: Sequence[tuple[int, int]],
        single: Sequence[bool],
    ) -> None:
        """``spans``: invocation and return; ``known``: happened within what is looked at. ``single``: states that one
        action brings about, once."""
        self.until = [NONE] * len(single)
        self.not_before = [NONE] * len(single)
        self.cluster = [NONE] * len(single)
        following: dict[int, int] = {}
        forked: set[int] = set()
        for kind, certain, need, given, (invoked, _) in zip(kinds, known, needs, gives, spans, strict=True):
            if certain and kind in (Kind.SEES, Kind.SWAPS) and single[need]:
                self.until[need] = max(self.until[need], invoked)
                if kind is Kind.SWAPS and (need in following or not single[given]):
                    forked.add(need)
                elif kind is Kind.SWAPS:
                    following[need] = given
        self._chain(following, [state for state in range(len(single)) if single[state]])
        self.member = [
            self._cluster_of(kind, need, given) for kind, need, given in zip(kinds, needs, gives, strict=True)
        ]
        self._expect(kinds, known, spans)
        self.blocks: dict[int, list[int]] = {}
        for index, member in enumerate(self.member):
            if member != NONE and known[index] and kinds[index] is not Kind.SEES_NOT:
                self.blocks.setdefault(member, []).append(index)
        for state in forked:
            self.blocks.pop(self.cluster[state], None)
        self.tempting = {
            self.cluster[need] for need, certain in zip(needs, known, strict=True) if need >= 0 and not certain
        }

    def _chain(self, following: dict[int, int], states: Sequence[int]) -> None:
        later = set(following.values())
        for root in (*(state for state in states if state not in later), *states):
            chain, state = [], root
            while state >= 0 and self.cluster[state] == NONE:
                self.cluster[state] = root
                chain.append(state)
                state = following.get(state, NONE)
            until = NONE
            for state in reversed(chain):
                until = self.until[state] = max(until, self.until[state])

    def _cluster_of(self, kind: Kind, need: int, given: int) -> int:
        found = self.cluster[need] if kind in (Kind.SEES, Kind.SWAPS) else NONE
        return self.cluster[given] if found == NONE and kind in CHANGES else found

    def _expect(self, kinds: Sequence[Kind], known: Sequence[bool], spans: Sequence[tuple[int, int]]) -> None:
        ended = sorted(
            (returned, invoked, member)
            for kind, certain, (invoked, returned), member in zip(kinds, known, spans, self.member, strict=True)
            if certain and kind is not Kind.SEES_NOT
        )
        ends = [returned for returned, _, _ in ended]
        first, second = (NONE, NONE), (NONE, NONE)  # the latest invocation, and the latest of another cluster
        latest = [(first, second)]
        for _, invoked, member in ended:
            if invoked > first[0]:
                first, second = (invoked, member), (second if member == first[1] else first)
            elif invoked > second[0] and member != first[1]:
                second = invoked, member
            latest.append((first, second))
        for state, until in enumerate(self.until):
            if until != NONE:
                first, second = latest[bisect_left(ends, until)]
                self.not_before[state] = (first if first[1] != self.cluster[state] else second)[0]


def singles(kinds: Sequence[Kind], gives: Sequence[int], states: int, initial: set[int]) -> list[bool]:
    """Which states one action alone brings about, and were not there from the start."""
    makers = Counter(given for kind, given in zip(kinds, gives, strict=True) if kind in CHANGES)
    return [makers[state] == 1 and state not in initial for state in range(states)]
