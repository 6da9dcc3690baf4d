"""What people see: tables and sentences on a terminal, or JSON lines for programs. rich is imported when first needed:
while a cluster starts, its nodes need the processor more."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from harness.cluster import Say
from harness.errors import HarnessError
from harness.gossip import Stranger, described
from harness.survey import Health, Member, State, Survey, document, headline, health
from harness.systems.links import Broken

_STATE_STYLE: dict[State, str | None] = {
    State.RUNNING: None,
    State.PAUSED: "yellow",
    State.STOPPED: "dim",
    State.KILLED: "red",
    State.DEAD: "bold red",
}
_HEALTH_STYLE = {
    Health.HEALTHY: "bold green",
    Health.DEGRADED: "bold yellow",
    Health.NO_LEADER: "bold red",
    Health.NO_QUORUM: "bold red",
    Health.DOWN: "bold red",
}
WIDE = 120
"""Columns in which running text is set where there is no terminal."""
ENDLESS = 1000
"""Columns of a file or a pipe for a table: there is no edge at which a cell would have to be cut."""
NONE = "–"
PROMOTE = "promote"
DECISIONS = 3
"""Of the autopilot's, shown at most; `-o json` has all that the leader remembers."""
_COLUMNS = ("name", "state", "role", "gossip", "term", "commit", "applied", "lag", "pid", "memory", "cpu", "url")
_NARROW = ("name", "state", "role", "gossip", "term", "lag", "address")
_NUMBERS = frozenset({"term", "commit", "applied", "lag", "pid", "memory", "cpu"})


class View:
    """One command's output. ``as_json``: a JSON document a line on stdout and nothing else there."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def done(
        self, told: Sequence[str], survey: Survey | None = None, broken: Broken | None = None, **fields: Any
    ) -> None:
        """What happened, and how the cluster stands now."""
        if self.as_json:
            state = _state(survey, broken) if survey is not None else {}
            self.line({"ok": True, "done": list(told), **fields, **state})
            return
        for sentence in told:
            self.say(sentence)
        if survey is not None:
            self.survey(survey, broken)

    def survey(self, survey: Survey, broken: Broken | None = None) -> None:
        """The headline, what is broken between the nodes, and a row a node."""
        if self.as_json:
            self.line(_state(survey, broken))
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = ENDLESS
        console.print(Text(headline(survey), style=_HEALTH_STYLE[health(survey)]))
        for sentence in broken.sentences() if broken else ():
            console.print(Text(sentence, style="bold magenta"))
        whole = _table(survey, _COLUMNS)
        needed = console.measure(whole, options=console.options.update(max_width=ENDLESS)).maximum
        console.print(whole if needed <= console.width else _table(survey, _NARROW))
        for stranger in survey.strangers:
            console.print(Text(_introduced(stranger), style="dim"))
        for sentence in _unasked(survey):
            console.print(Text(sentence, style="dim"))

    def failed(self, error: HarnessError) -> None:
        """Why not, on stderr; with ``-o json`` on stdout as well-formed JSON."""
        if self.as_json:
            self.line({"ok": False, "error": str(error), "exit_code": error.exit_code})
        else:
            print(f"dkv-harness: {error}", file=sys.stderr)

    def say(self, sentence: str) -> None:
        """One sentence for a person; an event for a program."""
        if self.as_json:
            self.line({"event": sentence})
        else:
            print(sentence, flush=True)

    def line(self, value: dict[str, Any]) -> None:
        """One JSON document."""
        print(json.dumps(value), flush=True)

    @contextmanager
    def progress(self) -> Iterator[Say]:
        """While inside: a spinner with the latest word of what is waited for; silent unless stderr is a terminal."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _: None
            return
        from rich.console import Console

        with Console(stderr=True).status("starting") as spinner:
            yield spinner.update


def _state(survey: Survey, broken: Broken | None) -> dict[str, Any]:
    return {**document(survey), **({"links": broken.document()} if broken is not None else {})}


def _table(survey: Survey, columns: Sequence[str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in _NUMBERS else "left", no_wrap=True)
    for member in survey.members:
        cells = _cells(survey, member)
        table.add_row(*(cells[column] for column in columns), style=_STATE_STYLE[member.state])
    return table


def _cells(survey: Survey, member: Member) -> dict[str, str]:
    word, state = member.word, member.state
    return {
        "name": member.name,
        "state": f"{state} ({member.exit_code})" if state is State.DEAD else str(state),
        "role": word.role if word else "no answer" if state is State.RUNNING else NONE,
        "gossip": described(member.gossip) or NONE,
        "term": _shown(word.term if word else None),
        "commit": _shown(word.commit if word else None),
        "applied": _shown(word.applied if word else None),
        "lag": _shown(survey.lag(member)),
        "pid": _shown(member.pid),
        "memory": _shown(member.memory_bytes, " MiB", 2**20),
        "cpu": _shown(member.cpu_percent, " %"),
        "url": f"http://{member.rest}",
        "address": member.rest,
    }


def _unasked(survey: Survey) -> list[str]:
    """What the autopilot did, or would not do, to members; that it lets them in is what everybody expects."""
    told = [decision for decision in survey.autopilot if decision.get("decision") != PROMOTE][-DECISIONS:]
    return [
        f"autopilot: {d.get('decision')} {d.get('member')} ({d.get('at')}), because {d.get('reason')}" for d in told
    ]


def _introduced(stranger: Stranger) -> str:
    about = (described(stranger.seen), stranger.address, *(f"{key}={value}" for key, value in stranger.tags.items()))
    return f"gossip knows {stranger.name} too, which is no node here: {', '.join(filter(None, about))}"


def _shown(number: float | None, unit: str = "", scale: int = 1) -> str:
    return NONE if number is None else f"{number / scale:.0f}{unit}"
