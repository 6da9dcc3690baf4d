"""What a person sees while a benchmark goes on: what is measured now, medians so far, how long it will go on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import msgspec

from harness.bench import matrix
from harness.bench.measurements import Cell, Figure, Sample
from harness.bench.names import order
from harness.bench.watch import Watch


class Medians:
    """Of what was measured so far: by cell, a column for each system."""

    def __init__(self) -> None:
        self._samples: dict[Cell, dict[str, list[Sample]]] = {}
        self._figures: dict[tuple[str, int, int, str], dict[str, list[float]]] = {}

    def sample(self, sample: Sample) -> None:
        self._samples.setdefault(sample.cell, {}).setdefault(sample.system, []).append(sample)

    def figure(self, figure: Figure) -> None:
        place = (figure.name, figure.nodes, figure.keys, figure.unit)
        self._figures.setdefault(place, {}).setdefault(figure.system, []).append(figure.value)

    @property
    def systems(self) -> list[str]:
        """Seen so far, ours first."""
        seen = {system for row in self._samples.values() for system in row}
        return sorted(seen.union(*self._figures.values()), key=order)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """What, then a cell for each of ``systems``: rate and p99, or the figure; "" for nothing yet."""
        systems = self.systems
        for cell, row in self._samples.items():
            yield (matrix.name(cell), *(_shown(row.get(system, [])) for system in systems))
        for (name, nodes, keys, unit), values in self._figures.items():
            yield (
                _what(name, nodes, keys),
                *(f"{median(values[one]):,.3g} {unit}" if one in values else "" for one in systems),
            )


def _what(name: str, nodes: int, keys: int) -> str:
    return f"{name} {nodes}n" + (f" {keys:,} keys" if keys else "")


def _shown(samples: list[Sample]) -> str:
    if not samples:
        return ""
    rate, p99_ms = median(one.rate_per_s for one in samples), median(one.p99_ms for one in samples)
    failed = sum(one.failed for one in samples)
    return f"{rate:,.0f}/s  p99 {p99_ms:.3g} ms" + (f"  {failed} failed" if failed else "")


class Lines:
    """A line for each thing that happens: no terminal, or a program that reads JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, sentence: str) -> None:
        print(json.dumps({"event": sentence}) if self._as_json else sentence, flush=True)

    def begin(self, what: str, left_s: float) -> None:
        if self._as_json:
            print(json.dumps({"begin": what, "left_s": round(left_s)}), flush=True)

    def sample(self, sample: Sample) -> None:
        if self._as_json:
            fields = {**msgspec.to_builtins(sample), "rate_per_s": sample.rate_per_s}
            fields.pop("histogram")
            print(json.dumps({"sample": fields}), flush=True)
            return
        print(f"{sample.system:10} {matrix.name(sample.cell):40} round {sample.round}  {_shown([sample])}", flush=True)

    def figure(self, figure: Figure) -> None:
        if self._as_json:
            print(json.dumps({"figure": msgspec.to_builtins(figure)}), flush=True)
            return
        what = _what(figure.name, figure.nodes, figure.keys)
        print(f"{figure.system:10} {what:40} round {figure.round}  {figure.value:,.4g} {figure.unit}", flush=True)


class Screen:
    """A table of medians that grows, and beneath it what is being done."""

    def __init__(self, live: Any) -> None:
        self._live, self._medians, self._now = live, Medians(), "starting"

    def say(self, sentence: str) -> None:
        self._live.console.print(sentence, highlight=False)
        self._show()

    def begin(self, what: str, left_s: float) -> None:
        self._now = f"{what}; about {left_s / 60:.0f} min left"
        self._show()

    def sample(self, sample: Sample) -> None:
        self._medians.sample(sample)
        self._show()

    def figure(self, figure: Figure) -> None:
        self._medians.figure(figure)
        self._show()

    def _show(self) -> None:
        from rich import box
        from rich.console import Group
        from rich.spinner import Spinner
        from rich.table import Table

        table = Table("medians so far", *self._medians.systems, box=box.SIMPLE_HEAD, show_edge=False)
        for row in self._medians.rows():
            table.add_row(*row)
        self._live.update(Group(table, Spinner("dots", self._now)))


@contextmanager
def watching(*, as_json: bool) -> Iterator[Watch]:
    """A screen on a terminal, else lines."""
    if as_json or not sys.stdout.isatty():
        yield Lines(as_json=as_json)
        return
    from rich.live import Live

    with Live(refresh_per_second=8) as live:
        yield Screen(live)
