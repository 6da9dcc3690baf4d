"""Go's regular expressions, from strangers: searched in time linear in the text, whatever the expression.

Python's own ``re`` backtracks, so that forty characters of a stranger's can cost it an hour. Here an expression becomes
steps of an automaton (Thompson 1968, as in Go's RE2), all of whose states advance together. ``STATES_MAX`` bounds them.
Understood: literals, ``.``, classes, ``\\d\\w\\s\\b``, anchors, groups, ``|``, repetition, the flags ``i``, ``m``,
``s``. What Go has beyond that (``\\pN``, ``\\Q..\\E``) is refused as an error of the expression would be.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from dkv.gossip.serf.syntax import (
    Anchor,
    BadExpression,
    Branch,
    CharacterSet,
    Node,
    Repeat,
    Series,
    parse,
)

STATES_MAX: Final = 128
"""Of one expression: operators write a dozen. The worst one takes a quarter of a second over a tag of 512 bytes, and
some milliseconds over the tags that members have."""


class _Step(NamedTuple):
    """Consumes a character of ``test``, passes an anchor, or (``test`` None) just goes on; to all of ``next``."""

    test: CharacterSet | Anchor | None
    next: tuple[int, ...]


class Expression:
    """``states_max``: what is left of a budget that several expressions share. Raises ``BadExpression``."""

    def __init__(self, pattern: str, *, states_max: int = STATES_MAX) -> None:
        self._states_max = states_max
        self._visits_left = 8 * states_max  # empty groups have no states, and can be repeated too
        self._steps: list[_Step | None] = [None]
        self._end = 0
        self._start = self._build(parse(pattern), self._end)

    @property
    def states(self) -> int:
        return len(self._steps)

    def found_in(self, text: str) -> bool:
        """Is there a place in ``text`` where it matches?"""
        active: set[int] = set()
        for at in range(len(text) + 1):
            reached = self._spread(active | {self._start}, text, at)
            if self._end in reached:
                return True
            if at == len(text):
                return False
            active = {
                follower
                for state in reached
                if (step := self._steps[state]) is not None
                and isinstance(step.test, CharacterSet)
                and step.test.holds(text[at])
                for follower in step.next
            }
        return False

    def _spread(self, states: set[int], text: str, at: int) -> set[int]:
        """Everything that can be reached from ``states`` without a character."""
        reached, waiting = set[int](), list(states)
        while waiting:
            state = waiting.pop()
            if state in reached:
                continue
            reached.add(state)
            step = self._steps[state]
            if step is None or isinstance(step.test, CharacterSet):
                continue
            if step.test is None or step.test.holds(text, at):
                waiting += step.next
        return reached

    def _add(self, test: CharacterSet | Anchor | None, *following: int) -> int:
        if len(self._steps) >= self._states_max:
            raise BadExpression("it is too large")
        self._steps.append(_Step(test, following))
        return len(self._steps) - 1

    def _build(self, node: Node, following: int) -> int:
        """From the end: the state that begins ``node``, given the one that comes after it."""
        self._visits_left -= 1
        if self._visits_left < 0:
            raise BadExpression("it is too large")
        match node:
            case CharacterSet() | Anchor():
                return self._add(node, following)
            case Series():
                for each in reversed(node.nodes):
                    following = self._build(each, following)
                return following
            case Branch():
                return self._add(None, *(self._build(each, following) for each in node.nodes))
            case Repeat():
                return self._build_repeat(node, following)

    def _build_repeat(self, node: Repeat, following: int) -> int:
        if node.most is None:
            loop = self._add(None)
            self._steps[loop] = _Step(None, (self._build(node.node, loop), following))
            following = loop
        else:
            after = following
            for _ in range(node.most - node.least):
                following = self._add(None, self._build(node.node, following), after)
        for _ in range(node.least):
            following = self._build(node.node, following)
        return following
