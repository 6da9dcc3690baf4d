"""A mutant: our own node with one fault in it, and what a user would lose by that.

A mutant is a few replacements of functions (or constants) in the node's process, made before the node's own program
begins; production code knows nothing of it. A function is replaced by another one or by its own source with a few
words changed, which reads like a diff: the words must be there exactly once, so a mutant cannot rot unseen. A mutated
function says in the node's log when it is first called: a mutant that was not found was at least reached.
"""

from __future__ import annotations
import __future__

import functools
import inspect
import logging
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from types import FunctionType
from typing import Any
from unittest import mock

Make = Callable[[Any], Any]
"""The original → what takes its place."""

REACHED = "mutant reached"

log = logging.getLogger("zoo")


@dataclass(frozen=True, slots=True)
class Patch:
    """``owner.name`` becomes ``make(owner.name)``."""

    owner: Any
    name: str
    make: Make

    @property
    def where(self) -> str:
        """For people."""
        return f"{self.owner.__name__}.{self.name}"

    def replacement(self) -> Any:
        """Raises AssertionError if the code is not any more what the mutant expects."""
        original = inspect.getattr_static(self.owner, self.name, None)
        assert original is not None or hasattr(self.owner, self.name), f"{self.where} does not exist any more"
        made = self.make(getattr(self.owner, self.name))
        if isinstance(original, staticmethod | classmethod):
            return type(original)(made)
        return _announced(made, self.where) if isinstance(made, FunctionType) else made


@dataclass(frozen=True, slots=True)
class Mutant:
    """``sentence``: what is wrong, and what a user would lose. ``rule``: of tests/sim/mutants.py, which breaks it too.

    ``nodes``, ``faults``, ``workload``, ``settings``: what the testbed is asked to find it with; the faults and
    workload by default are what it does when nobody asks. ``time_s_max``: of what shows at the end of a run only.
    ``harmless``: why nobody could notice it, for one that only the simulator sees, who compares what is inside.
    """

    name: str
    sentence: str
    patches: tuple[Patch, ...]
    rule: str = ""
    nodes: int = 3
    faults: str = "all"
    workload: str = "register"
    settings: tuple[str, ...] = ()
    time_s_max: float = inf
    harmless: str = ""

    def all_patches(self) -> tuple[Patch, ...]:
        """Its own, and the simulator's for its rule."""
        if not self.rule:
            return self.patches
        from tests.sim.mutants import MUTANTS as RULES  # only now: the simulator takes time that a node's start has not

        (broken,) = (known for known in RULES if known.rule == self.rule)
        return (*self.patches, *(put(owner, name, made) for owner, name, made in broken.patches))

    def apply(self) -> None:
        """For good, in this process."""
        for patch in self.all_patches():
            setattr(patch.owner, patch.name, patch.replacement())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """For as long as this lasts."""
        with ExitStack() as stack:
            for patch in self.all_patches():
                stack.enter_context(mock.patch.object(patch.owner, patch.name, patch.replacement()))
            yield


def put(owner: Any, name: str, replacement: Any) -> Patch:
    """``owner.name`` becomes ``replacement``."""
    return Patch(owner, name, lambda _: replacement)


def wrap(owner: Any, name: str, make: Make) -> Patch:
    """``owner.name`` becomes ``make(original)``."""
    return Patch(owner, name, make)


def edit(owner: Any, name: str, *changes: tuple[str, str]) -> Patch:
    """``owner.name`` with words of its source changed: (old, new), where ``old`` stands exactly once."""
    return Patch(owner, name, lambda original: _edited(original, changes))


def watching(mutants: Iterable[Mutant]) -> Mutant:
    """One that changes nothing, and says when the functions are called that these mutants replace."""
    targets = {(patch.owner, patch.name) for mutant in mutants for patch in mutant.all_patches()}
    functions = [target for target in targets if isinstance(getattr(*target), FunctionType)]
    return Mutant("watching", "", tuple(wrap(owner, name, lambda original: original) for owner, name in functions))


def _edited(function: FunctionType, changes: tuple[tuple[str, str], ...]) -> FunctionType:
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        assert source.count(old) == 1, f"{function.__qualname__} has {old!r} {source.count(old)} times, not once"
        source = source.replace(old, new)
    # Inside a class of the same name, because that is what __private names are made of.
    owner = function.__qualname__.split(".")[0]
    code = compile(
        f"class {owner}:\n{textwrap.indent(source, '    ')}",
        f"<mutant of {function.__qualname__}>",
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    made: dict[str, Any] = {}
    exec(code, function.__globals__, made)
    (mutated,) = (value for value in vars(made[owner]).values() if isinstance(value, FunctionType))
    return mutated


def _announced(function: FunctionType, where: str) -> FunctionType:
    told = False

    @functools.wraps(function)
    def announcing(*args: Any, **kwargs: Any) -> Any:
        nonlocal told
        if not told:
            told = True
            log.warning("%s: %s", REACHED, where)
        return function(*args, **kwargs)

    assert isinstance(announcing, FunctionType)
    return announcing
