"""Which nodes ended by themselves, and what their logs say that no healthy node's would.

Pure: the supervisor's log and the nodes' logs in, sentences out. A *life* is one process of a node, from start to end.
An end that a fault brought about (a kill point, a failing disk) is no crash, if the node was *armed* in that life; a
broken assertion always is one.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import describe_exit

BROKEN = 70
"""What dkv exits with when its disk did not keep its word, or an invariant broke (EX_SOFTWARE)."""
STOPPED = frozenset({0, -signal.SIGTERM, -signal.SIGKILL})
"""Exit codes of a node that was asked to stop: in order, before it knew that signal, and after its grace."""
ASSERTION = "AssertionError"

Sign = Callable[[str], str | None]
"""A line of a log → what is wrong with it, None if it is a normal one."""


@dataclass(frozen=True, slots=True)
class Life:
    """``start`` to ``end``: its bytes of the log, no end while it runs. ``asked``: what was last done to it."""

    node: str
    start: int
    end: int | None = None
    exit_code: int | None = None
    asked: str = "start"


@dataclass(frozen=True, slots=True)
class Armed:
    """From byte ``at`` of its log on, this node may end by itself. ``by``: points or disk."""

    node: str
    at: int
    by: str


def lives(supervisor_log: str) -> list[Life]:
    """Every life that is over, in the order of their ends."""
    found = []
    for line in supervisor_log.splitlines():
        event = _document(line)
        if event is not None and event.get("event") == "ended" and "log_end" in event:
            found.append(
                Life(event["node"], event["log_start"], event["log_end"], event["exit_code"], str(event["asked"]))
            )
    return found


def with_the_living(over: Sequence[Life], nodes: Iterable[str]) -> list[Life]:
    """And one life for each node that goes on after its last end."""
    ends = {life.node: life.end or 0 for life in over}
    return [*over, *(Life(node, ends.get(node, 0)) for node in nodes)]


def sentences(life: Life, log: bytes, armed: Iterable[Armed], sign: Sign) -> Iterator[str]:
    """What went wrong in this life: how it ended, and the first bad line of its log."""
    by = {arm.by for arm in armed if arm.node == life.node and _covers(life, arm.at)}
    if (ending := _ending(life, by)) is not None:
        yield f"{life.node} {ending}"
    for line in log[life.start : life.end].decode(errors="replace").splitlines():
        wrong = sign(line)
        if wrong is not None and not ("disk" in by and ASSERTION not in wrong):
            yield f"{life.node} logged: {wrong}"
            return


def _covers(life: Life, at: int) -> bool:
    return life.start <= at and (life.end is None or at <= life.end)


def _ending(life: Life, by: set[str]) -> str | None:
    if life.exit_code in (None, 0) or life.asked == "kill":
        return None
    if life.asked == "stop":
        asked = "when it was asked to stop"
        return None if life.exit_code in STOPPED else f"ended {describe_exit(life.exit_code)} {asked}"
    if (life.exit_code == -signal.SIGKILL and "points" in by) or (life.exit_code == BROKEN and "disk" in by):
        return None
    return f"ended {describe_exit(life.exit_code)} by itself"


def dkv_sign(line: str) -> str | None:
    """A traceback, a critical line, the last words of a node that broke; dkv logs JSON, and only these are bad."""
    fields = _document(line)
    if fields is None:
        return line.strip() if any(mark in line for mark in _MARKS) else None
    if "traceback" in fields:
        return f"{fields.get('event')}: {str(fields['traceback']).strip().splitlines()[-1]}"
    return str(fields.get("event")) if fields.get("level") == "critical" else None


def etcd_sign(line: str) -> str | None:
    """A panic, a fatal line, Go's own last words."""
    fields = _document(line)
    if fields is None:
        return line.strip() if line.startswith(("panic:", "fatal error:")) else None
    return str(fields.get("msg")) if fields.get("level") in ("panic", "dpanic", "fatal") else None


_MARKS = ("dkv: this node is broken", "Traceback (most recent call last)", ASSERTION, "Fatal Python error")


def _document(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
