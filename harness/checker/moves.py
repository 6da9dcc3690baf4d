"""What may be placed next, at one return: the rules of ``search`` that say which moves a configuration has.

Made anew for each return: whatever does not depend on the configuration is found once, and what depends on its state
alone once for each state.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.checker.hiding import NOTHING, Hiding
from harness.checker.models import Kind
from harness.checker.problem import DEAD, Problem
from harness.checker.prospects import Prospects

SEES, SEES_NOT, SETS, SWAPS, ENDS, STEPS = Kind
Move = tuple[int, int, int]
"""State after, mask after; and who may see the state after and still leave it unseen: the mask of those who are hidden
with it, or ANYBODY: then it may be overwritten at once."""
ANYBODY = -1
Row = tuple[int, int, int, int, bool, int]
"""Of an action in some state: its bit, its twins (those alike that go first), its index, the state after it, whether it
is known, and who must be placed by then (see ``stays``)."""
NOBODY_CAN = -1
"""A mask that no configuration has placed."""


class Moves:
    """``open_``: the open actions that change something, by deadline; ``now``: states → themselves, or DEAD; ``looks``:
    the open actions that look; ``goal``: the action that returns."""

    def __init__(
        self,
        problem: Problem,
        prospects: Prospects,
        open_: Sequence[tuple[int, int]],
        looks: Sequence[int],
        bits: Sequence[int],
        now: Sequence[int],
        goal: int,
        hiding: Hiding,
    ) -> None:
        self._problem, self._prospects, self._open, self._looks = problem, prospects, open_, looks
        self._bits, self._now = bits, now
        self._goal, self._moment = bits[goal], problem.deadline[goal]
        self._rows: dict[int, list[Row]] = {}
        self._losses: dict[int, tuple[int, int]] = {}
        self._hiding = hiding

    def of(self, state: int, mask: int, overwritable: bool) -> list[Move]:
        """Of a configuration. ``overwritable``: whether a SETS may come next; else what was placed last would be hidden
        by it: then it belongs into its group."""
        kinds = self._problem.kind
        waiting, makers = self._loss(state)
        moves: list[Move] = []
        rows = self._rows.get(state)
        if rows is None:
            rows = self._rows[state] = self._rows_at(state)
        for bit, twins, index, after, known, first in rows:
            if mask & bit or twins & ~mask:
                continue  # rule 6
            placed = mask | bit
            kind = kinds[index]
            if kind is SETS:
                if overwritable:
                    self._overwrites(known, state, placed, after, first, moves)
            elif first & ~placed:
                continue  # rule 10
            elif after == state:
                moves.append((state, placed, 0))
            elif waiting & ~placed and not makers & ~placed:
                continue  # rule 3
            elif kind is not STEPS or after != DEAD or not self._prospects.hopeless(mask):
                moves.append((after, placed, ANYBODY if known and kind is not STEPS else 0))
        return moves

    def _rows_at(self, state: int) -> list[Row]:
        """Of those that might be placed in this state."""
        problem, bits, now = self._problem, self._bits, self._now
        alike, rows = problem.alike, []
        twins: dict[int, int] = {}
        for _, index in self._open:
            kind, known, bit = problem.kind[index], problem.known[index], bits[index]
            earlier = twins.get(alike[index], 0)
            twins[alike[index]] = earlier | bit
            if (kind is SWAPS and state != problem.need[index]) or (kind is ENDS and state == problem.need[index]):
                continue
            after = problem.step(state, index) if kind is STEPS else now[problem.gives[index]]
            if kind is STEPS and after == state and bit != self._goal:
                continue  # a later place will do: its return, or, hidden, before an overwrite
            if not known and after == DEAD and not self._prospects.negatives and not (after == state and kind is STEPS):
                continue  # rule 7: nobody can see it
            if not known and after == state and kind is not SETS:
                continue  # rule 7: it is not seen, but what was there before
            first = self._first(after)
            if first != NOBODY_CAN:
                rows.append((bit, earlier, index, after, known, first))
        return rows

    def _first(self, state: int) -> int:
        """Rule 10: the mask of those that must have been placed when this state comes."""
        stays = self._problem.stays
        if stays is None or stays.until[state] < self._moment:
            return 0
        if stays.not_before[state] > self._moment:
            return NOBODY_CAN
        until, cluster, problem, first = stays.until[state], stays.cluster[state], self._problem, 0
        for deadline, index in self._open:
            if deadline >= until:
                break
            if stays.member[index] != cluster:
                first |= self._bits[index]
        for index in self._looks:
            if problem.kind[index] is SEES and problem.deadline[index] < until and stays.member[index] != cluster:
                first |= self._bits[index]
        return first

    def _loss(self, state: int) -> tuple[int, int]:
        found = self._losses.get(state)
        if found is None:
            found = self._losses[state] = self._prospects.loss(state)
        return found

    # ---- overwriting

    def _overwrites(self, known: bool, state: int, mask: int, after: int, first: int, moves: list[Move]) -> None:
        """Place a SETS (its bit is in ``mask``) and, directly before it, each group of hidden ones: rules 4 and 5."""
        problem = self._problem
        together = self._hiding.together.get(after, 0)
        alone, mask = mask, mask | (self._hiding.free & ~together)
        goal = 0 if problem.stepped else self._goal & ~alone & ~together
        if mask & goal:
            return  # placing it openly, which ends the search for now, leaves this overwriting for later
        waiting, makers = self._loss(state)
        if after == state or (waiting and self._leads_back(after, state)):
            waiting = 0
        useful = known or after != state or mask != alone  # rule 7: or it hides something
        if useful and not first & ~mask and not (waiting & ~mask and not makers & ~mask):
            moves.append((after, mask, together))
        rows = self._hiding.rows
        groups = [(mask, 0)]
        while groups:
            group, position = groups.pop()
            while position < len(rows) and (group & rows[position].mask or rows[position].due >= rows[position].latest):
                position += 1
            if position == len(rows):
                continue
            row = rows[position]
            if problem.kind[row.action] is STEPS:  # may be left out; a SETS that is left out ends the group
                groups.append((group, position + 1))
            group |= row.mask
            if group & goal:
                continue
            if row.hidden not in (NOTHING, after) and not problem.stepped:
                seen, again = self._loss(row.hidden)
                if seen & ~group and not again & ~group:
                    continue
            if not first & ~group and not (waiting & ~group and not makers & ~group):
                moves.append((after, group, together))
            groups.append((group, position + 1))

    def _leads_back(self, after: int, state: int) -> bool:
        """Rule 3 for an overwriting: where there are steps, they may lead back to what was overwritten."""
        precedes, values = self._problem.model.precedes, self._problem.values
        return bool(self._problem.stepped and after != DEAD and precedes and precedes(values[after], values[state]))
