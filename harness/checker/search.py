"""The search: just-in-time configuration sets over one key's events, resumable, with a budget.

A configuration is a state and the set of open actions (a bit mask) that have already taken effect. Events are gone
through in order; only when an action returns must it have taken effect, and only then are others placed before it
(Lowe). The history is linearizable if a configuration is left at the end. So the cost depends on how many operations
overlap, not on how many there are.

What keeps the sets small; each is an exchange: whoever has a linearization has one that the search looks at.

1. *Looking is free.* What only looks takes effect at the first moment at which the state allows it: it changes
   nothing, so moving it there disturbs nobody.
2. *Dead states are one.* States that no remaining action names behave alike.
3. *Stranded.* Whoever must still see a state that nobody can bring about any more is lost: a configuration does not
   leave a state for which somebody waits if nothing brings it back.
4. *Hidden writes.* A write that nobody sees before it is overwritten can stand directly before the overwriting one, in
   any order among others there. So an unseen write is never placed by itself, only as part of such a group. And it need
   not be hidden now if another write, not yet placed, must return before it does: directly before that one is as good.
   So groups are taken in the order of deadlines, and only up to the first return of a write still to be invoked. What
   returns is not hidden: it is placed openly, and whatever overwrites it later. A write that comes once is hidden with
   all who saw it and what grew out of it (``hiding``). A delete that found something hides what is not nothing.
5. *Dead writes hide at once*, where nothing remains that is told what was *not* there: nobody needs them later.
6. *Alike.* Of open actions that do the same, the one with the earliest deadline goes first, unknown ones last.
7. *Of unknown outcome.* One that nobody sees might as well not have happened: it must be seen by the next placed.
8. *Domination.* Same state, same known changes placed: fewer unknown ones used and more looks done is at least as good.
   So is, by 4, one hideable write less placed, if another one, unplaced, must return before it.
9. *No way back.* In a dead state of what only grows nobody can wait for a look any more.
10. *Stays.* A value that comes once stays until the last who must find it has begun; so it does not come before all
   that must have ended by then is placed (``stays``).
"""

from __future__ import annotations

from bisect import insort
from enum import IntEnum

from harness.checker.hiding import Hiding
from harness.checker.models import OBSERVERS, Kind
from harness.checker.moves import Moves
from harness.checker.problem import DEAD, Problem, Start
from harness.checker.prospects import Prospects
from harness.history.operations import NEVER

Configuration = tuple[int, int]
SEES, SEES_NOT, SETS, SWAPS, ENDS, STEPS = Kind
WIDTH_MAX = 200_000
"""Configurations held at once before giving up: some 70 MB."""

COMPARED = 100
"""Comparisons that take as long as a step."""


class Outcome(IntEnum):
    """Of a search, so far."""

    RUNNING = 0
    LINEARIZABLE = 1
    NOT = 2
    TOO_WIDE = 3


class Search:
    """``advance(steps)`` until ``outcome`` is no longer RUNNING. ``failed``: the action whose return left no
    configuration; ``last``: those before it. ``width``: the most configurations held; ``position``: events done."""

    def __init__(self, problem: Problem, width_max: int = WIDTH_MAX) -> None:
        self.problem, self.width_max = problem, width_max
        self.outcome = Outcome.RUNNING
        self.position = self.width = self.steps = 0
        self.failed: int | None = None
        self.last: list[Configuration] = []
        self._now = list(range(len(problem.values)))  # state → itself, or DEAD once nobody can tell it any more
        self._bit = [0] * len(problem.actions)
        self._free: list[int] = []
        self._slots = 0
        self._open: list[tuple[int, int]] = []  # changing actions by deadline
        self._looking: list[int] = []  # open ones that only look
        self._prospects = Prospects(problem)
        self._configurations: set[Configuration] = self._begin()

    def _begin(self) -> set[Configuration]:
        """The initial configurations; what was used up to reach them is invoked first."""
        problem = self.problem
        used = {index for _, indices in problem.initial for index in indices}
        for index in sorted(used):
            self._invoke(index)
        return {(state, sum(self._bit[index] for index in indices)) for state, indices in problem.initial}

    def advance(self, steps: int) -> Outcome:
        """Go on for about so many steps (a step: one configuration looked at)."""
        events, limit = self.problem.events, self.steps + steps
        while self.outcome is Outcome.RUNNING:
            if self.position == len(events):
                self.outcome = Outcome.LINEARIZABLE
            elif self.steps >= limit:
                break
            else:
                event = events[self.position]
                if event > 0:
                    if not self._bit[event - 1]:
                        self._invoke(event - 1)
                        self._look(event - 1)
                else:
                    self._return(-event - 1)
                self.position += 1
        return self.outcome

    @property
    def configurations(self) -> int:
        """How many are held."""
        return len(self._configurations)

    def reached(self) -> list[Start]:
        """Where the key may be at the problem's horizon."""
        problem = self.problem
        open_ = [
            (bit, action.operation)
            for bit, action, end in zip(self._bit, problem.actions, problem.deadline, strict=True)
            if bit and end >= problem.horizon
        ]
        return [
            (problem.values[state], frozenset(operation for bit, operation in open_ if mask & bit))
            for state, mask in self._configurations
        ]

    # ---- events

    def _invoke(self, index: int) -> None:
        problem = self.problem
        if self._free:
            bit = self._free.pop()
        else:
            bit = 1 << self._slots
            self._slots += 1
        self._bit[index] = bit
        self._prospects.begin(index, bit)
        if problem.kind[index] in OBSERVERS:
            self._looking.append(index)
        else:
            insort(self._open, (problem.deadline[index], index))

    def _look(self, index: int) -> None:
        """Rule 1, for what has just been invoked."""
        kind, need, bit = self.problem.kind[index], self.problem.need[index], self._bit[index]
        configurations = self._configurations
        self.steps += len(configurations)
        if kind is SEES:
            if any(state == need for state, _ in configurations):
                self._configurations = {
                    (state, mask | bit) if state == need else (state, mask) for state, mask in configurations
                }
        elif kind is SEES_NOT:
            self._configurations = {
                (state, mask | bit) if state != need else (state, mask) for state, mask in configurations
            }

    def _return(self, index: int) -> None:
        bit = self._bit[index]
        done = {(state, mask ^ bit) for state, mask in self._configurations if mask & bit}
        starts = [found for found in self._configurations if not found[1] & bit]
        if starts and len(self._open) == 1 and self._open[0][1] == index:
            self._place_only(starts, index, done)
        elif starts and not self._place(starts, index, done):
            self.outcome = Outcome.TOO_WIDE
            return
        self.steps += len(self._configurations)
        if not done:
            self.failed, self.last, self.outcome = index, list(self._configurations), Outcome.NOT
            return
        if len(done) > 1:
            done = self._undominated(self._unburdened(done, bit), bit)
        self.width = max(self.width, len(done))
        self._configurations = done
        self._forget(index)

    def _forget(self, index: int) -> None:
        """The action has returned: its bit is free, and it mentions nothing any more."""
        problem, bit = self.problem, self._bit[index]
        self._free.append(bit)
        if problem.kind[index] in OBSERVERS:
            self._looking.remove(index)
        else:
            self._open.remove((problem.deadline[index], index))
        if self._prospects.end(index, bit):  # rule 2
            need = problem.need[index]
            self._now[need] = DEAD
            self._configurations = {(DEAD if state == need else state, mask) for state, mask in self._configurations}

    def _hiding(self) -> Hiding:
        return Hiding(self.problem, self._open, self._bit, self._now, self.position, self._prospects.negatives)

    def _unburdened(self, configurations: set[Configuration], returned: int) -> set[Configuration]:
        """Without those that only have one hideable group more placed than another: with rule 4, that one could still
        place it directly before what overwrites, not yet placed in either, and must happen before it."""
        if all(self._bit[index] == returned for _, index in self._open):
            return configurations
        hiding = self._hiding()
        rows = [row for row in hiding.rows if not row.mask & returned]
        if not rows:
            return configurations
        kept = set()
        for state, mask in configurations:
            open_ = [(due, anything) for due, bit, anything in hiding.over if not mask & bit and bit != returned]
            overwrite = min([due for due, anything in open_ if anything], default=NEVER)
            ending = open_[0][0] if open_ else NEVER
            for row in rows:
                if mask & row.mask == row.mask and (state, mask ^ row.mask) in configurations:
                    earliest = overwrite if row.hidden == self.problem.absent else ending
                    if row.due > min(row.latest, earliest):
                        break
            else:
                kept.add((state, mask))
        return kept

    def _undominated(self, configurations: set[Configuration], returned: int) -> set[Configuration]:
        """Rule 8. The returned action's bit is in none of them."""
        unknown, looks = self._prospects.unknown, self._prospects.looks & ~returned
        told_apart = ~(unknown | looks)
        groups: dict[Configuration, list[int]] = {}
        for state, mask in configurations:
            groups.setdefault((state, mask & told_apart), []).append((mask & unknown) | (~mask & looks))
        if len(groups) == len(configurations):
            return configurations
        kept: set[Configuration] = set()
        for (state, base), costs in groups.items():
            best: list[int] = []
            for cost in sorted(costs, key=int.bit_count):
                self.steps += len(best) // COMPARED
                if not any(cheaper & cost == cheaper for cheaper in best):
                    best.append(cost)
            self.steps += len(costs)
            kept.update((state, base | (cost & unknown) | (~cost & looks)) for cost in best)
        return kept

    # ---- placing

    def _place_only(self, starts: list[Configuration], index: int, done: set[Configuration]) -> None:
        """The action where no other open one changes anything."""
        problem = self.problem
        kind, need = problem.kind[index], problem.need[index]
        for state, mask in starts:
            if (kind is SWAPS and state != need) or (kind is ENDS and state == need):
                continue
            after = problem.step(state, index) if kind is STEPS else self._now[problem.gives[index]]
            done.add((after, mask | self._prospects.satisfied(after)))

    def _place(self, starts: list[Configuration], index: int, done: set[Configuration]) -> bool:
        """Every way to have the action take effect, by placing open actions one after another, into ``done``; False if
        there are too many. Those that use up fewer actions of unknown outcome first: rule 8 then spares the others."""
        goal = self._bit[index]
        unknown, looks = self._prospects.unknown, self._prospects.looks
        satisfied = self._prospects.satisfied
        moves = Moves(
            self.problem, self._prospects, self._open, self._looking, self._bit, self._now, index, self._hiding()
        )
        told_apart = ~(unknown | looks)
        seen: dict[tuple[int, int, bool], list[int]] = {}
        held = 0
        waiting: dict[int, list[tuple[int, int, bool]]] = {}
        for state, mask in starts:
            waiting.setdefault((mask & unknown).bit_count(), []).append((state, mask, True))
        while waiting:
            used = min(waiting)
            stack = waiting[used]
            if not stack:
                del waiting[used]
                continue
            state, mask, overwritable = stack.pop()
            self.steps += 1
            for after, placed, together in moves.of(state, mask, overwritable):
                everything = placed | satisfied(after)
                if everything & goal:
                    done.add((after, everything ^ goal))
                    continue
                cost = (everything & unknown) | (~everything & looks)
                free = together < 0 or bool(everything & ~placed & ~together)
                before = seen.setdefault((after, everything & told_apart, free), [])
                self.steps += len(before) // COMPARED
                if any(cheaper & cost == cheaper for cheaper in before):
                    continue
                before.append(cost)
                held += 1
                waiting.setdefault((everything & unknown).bit_count(), []).append((after, everything, free))
            if held + len(done) > self.width_max:
                return False
        return True
