"""``summary.md``, ``summary.json`` and the plots of a run, out of its samples and figures and nothing else.

The same run gives the same bytes: what is drawn at random is drawn from the manifest's seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from harness.bench import caveats, names, numerals, plots, recording, statistics, tables, targets
from harness.bench.charts import Chart
from harness.bench.gallery import gallery
from harness.bench.measurements import Loop, Sample
from harness.bench.readings import Outcome, Reading, readings
from harness.bench.recording import Recording
from harness.bench.statistics import Spread, spread

MARKDOWN, JSON, PLOTS = "summary.md", "summary.json", "plots"

QUESTION = "How fast is dkv beside its peers, on this machine, in one run?"


def write(run_directory: Path) -> None:
    """Write MARKDOWN, JSON and PLOTS/*.svg into the run's directory. Raises Refused if it is no benchmark's."""
    run = recording.read(run_directory)
    drawn = gallery(run, Random(run.seed))
    read = readings(run, Random(run.seed))
    why_not = _draw(run_directory / PLOTS, drawn)
    (run_directory / MARKDOWN).write_text(markdown(run, read, drawn, why_not), "utf-8")
    document = msgspec.json.format(msgspec.json.encode(as_data(run, read)), indent=1)
    (run_directory / JSON).write_bytes(document + b"\n")


def _draw(directory: Path, drawn: Sequence[Chart]) -> str:
    """What is there from an earlier look is replaced. Returns why nothing could be drawn, if so."""
    for stale in directory.glob("*.svg"):
        stale.unlink()
    try:
        images = {f"{chart.stem}.svg": plots.svg(chart) for chart in drawn}
    except ImportError as error:
        return f"There are no plots: {error}. `pip install 'dkv[bench]'` has what they need."
    for name, image in images.items():
        directory.mkdir(exist_ok=True)
        (directory / name).write_text(image, "utf-8")
    return ""


def markdown(run: Recording, read: Sequence[Reading], drawn: Sequence[Chart], why_no_plots: str = "") -> str:
    """Question, set-up, answer, plots, tables, caveats: in the order in which a reader asks."""
    sections = [
        f"# {run.manifest.get('title') or f'Side by side: {_systems(run)}'}\n",
        f"> {abstract(run, read)}\n",
        f"**Question.** {run.manifest.get('question') or QUESTION}\n",
        "## What was asked for, and what was measured\n",
        "A ratio is one of medians, in brackets its bootstrap interval: 95 %, or what the rounds can give.\n",
        tables.targets(read),
        "## Caveats\n",
        "".join(f"- {sentence}\n" for sentence in caveats.caveats(run)) or "The samples themselves show none.\n",
        "## Set-up\n",
        "".join(f"- {line}\n" for line in setup(run)),
        *_pictures(drawn, why_no_plots),
        *_tables(run),
    ]
    return "\n".join(sections)


def _pictures(drawn: Sequence[Chart], why_not: str) -> Iterator[str]:
    if why_not:
        yield f"{why_not}\n"
        return
    if drawn:
        yield "## Plots\n"
        yield "Marks are medians; whiskers go from the least to the greatest round.\n"
    for chart in drawn:
        alt = f"{chart.title}. {chart.finding}".replace("[", "(").replace("]", ")")
        yield f"![{alt}]({PLOTS}/{chart.stem}.svg)\n"


def _tables(run: Recording) -> Iterator[str]:
    rng = Random(run.seed)
    if run.samples:
        yield "## Operations\n"
        yield f"Medians of the rounds (least–greatest); {_usual()}, unless a row says otherwise.\n"
    for heading, table in tables.operations(run, rng):
        yield f"### {heading}\n"
        yield table
    if figures := tables.figures(run, rng):
        yield "## What happens once\n"
        yield figures


def _usual() -> str:
    cell = numerals.USUAL
    return f"values of {numerals.size(cell.value_bytes)}, {cell.nodes} nodes, {cell.keys:,} keys"


def abstract(run: Recording, read: Sequence[Reading]) -> str:
    """The run in a sentence or two; the index of all results shows it."""
    count = Counter(reading.outcome for reading in read)
    told = [f"of {len(read)} targets {count[Outcome.MET]} met"]
    told += [f"{count[Outcome.MISSED]} missed"] if count[Outcome.MISSED] else []
    told += [f"{count[Outcome.NOT_MEASURED]} not measured"] if count[Outcome.NOT_MEASURED] else []
    shown = _shown(statistics.by_cell(run.samples).get(targets.SET_64, {}))
    return f"{_systems(run)} in turn, {_rounds(run)}: {', '.join(told)}." + (f" {shown}." if shown else "")


def _shown(systems: Mapping[str, Sequence[Sample]]) -> str:
    """The cell that stands for all, "" if it was not measured."""
    told = [
        f"{names.look(system).label} {numerals.spread(spread(map(statistics.rate, systems[system])), '/s')}"
        for system in sorted(systems, key=names.order)
    ]
    return f"{numerals.place(targets.SET_64).capitalize()}: {', '.join(told)}" if told else ""


def _systems(run: Recording) -> str:
    found = {sample.system for sample in run.samples} | {figure.system for figure in run.figures}
    return ", ".join(names.look(system).label for system in sorted(found, key=names.order)) or "nothing"


def _rounds(run: Recording) -> str:
    blocks = [len(those) for systems in statistics.by_cell(run.samples).values() for those in systems.values()]
    if not blocks:
        return "no rounds"
    return numerals.count(blocks[0], "round") if len(set(blocks)) == 1 else f"{min(blocks)} to {max(blocks)} rounds"


def setup(run: Recording) -> Iterator[str]:
    """Lines on where, with what and how, from the manifest and from the samples."""
    manifest = run.manifest
    host = manifest.get("host")
    told = {
        "host": _host(host) if isinstance(host, Mapping) else host,
        "versions": manifest.get("versions"),
        "left out": manifest.get("missing"),
        "not at hand": "; ".join(f"{names.look(name).label}, {why}" for name, why in names.NOT_AT_HAND.items()),
        "command": f"`{manifest['command']}`" if manifest.get("command") else None,
        "commit": manifest.get("git") or manifest.get("git_sha"),
        "seed": manifest.get("seed"),
        "begun": manifest.get("began"),
    }
    yield from (f"{label}: {_flat(value)}" for label, value in told.items() if value not in (None, "", [], {}))
    for number, part in enumerate(run.parts[1:], 2):
        load = numerals.number(part.get("host", {}).get("load_average_before", 0.0))
        yield f"part {number}: `{part.get('command')}`, begun {part.get('began')}, load average before {load}"
    for what, configuration in manifest.get("configurations", {}).items():
        yield f"{what}: {configuration.get('durability', '')}"
    if not run.samples:
        return
    seconds = sorted({round(sample.duration_s, 1) for sample in run.samples})
    length = f"{seconds[0]:g}" if len(seconds) == 1 else f"{seconds[0]:g} to {seconds[-1]:g}"
    loops = " and ".join(f"{loop} loop" for loop in sorted({str(sample.cell.loop) for sample in run.samples}))
    yield (
        f"how: {loops}; {manifest.get('interleaving') or 'systems in turn within each round'}; {_rounds(run)}, blocks "
        f"of {length} s; load by {', '.join(sorted({sample.generator for sample in run.samples}))}"
    )
    if Loop.OPEN in {sample.cell.loop for sample in run.samples}:
        yield "open loop: latencies count from the intended moment of sending, whatever became of the request before"


def _host(host: Mapping[str, Any]) -> dict[str, Any]:
    """Memory as people say it."""
    told = dict(host)
    if isinstance(memory := told.pop("memory_bytes", None), int):
        told["memory"] = f"{memory / 2**30:.0f} GiB"
    if isinstance(load := told.pop("load_average_before", None), int | float):
        told["load average before"] = numerals.number(load)
    return told


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(each)}" for key, each in value.items())
    return ", ".join(map(_flat, value)) if isinstance(value, list) else str(value)


def as_data(run: Recording, read: Sequence[Reading]) -> dict[str, Any]:
    """What the page says, for programs; infinite is null."""
    return {
        "schema_version": 1,
        "abstract": abstract(run, read),
        "targets": [
            {
                "what": reading.target.what,
                "target": reading.target.wanted,
                "outcome": reading.outcome,
                "value": reading.value,
                "interval": reading.interval,
                "rounds": _numbers(reading.values),
                "parts": reading.parts,
                "remark": reading.remark,
            }
            for reading in read
        ],
        "cells": [
            {
                "cell": cell,
                "system": system,
                "failed": sum(sample.failed for sample in samples),
                "rate_per_s": _numbers(spread(map(statistics.rate, samples))),
                "p50_ms": _numbers(spread(map(statistics.p50, samples))),
                "p99_ms": _numbers(spread(map(statistics.p99, samples))),
                "cpu_us_per_operation": _numbers(spread(map(statistics.cpu_us, samples))),
            }
            for cell, systems in statistics.by_cell(run.samples).items()
            for system, samples in systems.items()
        ],
        "figures": [
            {"figure": key, "system": system, "values": _numbers(spread(figure.value for figure in those))}
            for key, systems in statistics.by_figure(run.figures).items()
            for system, those in systems.items()
        ],
        "caveats": list(caveats.caveats(run)),
    }


def _numbers(values: Spread | None) -> dict[str, float | int] | None:
    if values is None:
        return None
    q1, q3 = values.quartiles
    return {"count": values.count, "low": values.low, "q1": q1, "median": values.median, "q3": q3, "high": values.high}
