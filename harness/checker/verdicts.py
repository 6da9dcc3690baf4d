"""What the checker found, per key and together."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.history.operations import Operation
from harness.history.records import Validity

ADVICE = (
    "more operations overlap on it than can be searched: fewer clients a key, values that are written once, fewer "
    "operations of unknown outcome (longer client time-outs), or more steps"
)


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """``width``: the most configurations held at once; ``steps``: the effort. For an unknown one, ``window``: how far
    the search came, in events and seconds. ``advice`` "" unless unknown."""

    key: str | None
    validity: Validity
    operations: int
    unknown: int = 0
    overlap: int = 0
    width: int = 0
    steps: int = 0
    window: tuple[int, float] | None = None
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """``sentence``; the minimal sub-history, in the order of invocations; ``time_s``: of the return that broke it."""

    key: str | None
    sentence: str
    operations: tuple[Operation, ...]
    time_s: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """Invalid if any key is; else unknown if any is; else valid. Keys in the order of their first operation."""

    model: str
    keys: dict[str | None, KeyVerdict] = field(default_factory=dict)

    @property
    def validity(self) -> Validity:
        """Of the whole history."""
        found = {verdict.validity for verdict in self.keys.values()}
        return next((worst for worst in (Validity.INVALID, Validity.UNKNOWN) if worst in found), Validity.VALID)

    @property
    def refuted(self) -> list[KeyVerdict]:
        """Keys that are not linearizable."""
        return [verdict for verdict in self.keys.values() if verdict.validity is Validity.INVALID]


def overlap(operations: list[Operation]) -> int:
    """The most operations open at once, those of unknown outcome for ever."""
    marks = [(operation.invoked, 1) for operation in operations]
    marks += [(operation.returned, -1) for operation in operations]
    most = open_ = 0
    for _, change in sorted(marks):
        open_ += change
        most = max(most, open_)
    return most
