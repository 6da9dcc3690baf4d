"""What ``dkv-harness bench`` does: options in, a run directory and an exit code out."""

from __future__ import annotations

import asyncio
import json
import platform
import random
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from harness import foreground
from harness.bench import bytecode, figures, interleaving, lineup, manifest, matrix, recording, wrk
from harness.bench.contenders import Contender
from harness.bench.interleaving import Stage
from harness.bench.lineup import Programs
from harness.bench.measurements import Cell
from harness.bench.progress import watching
from harness.bench.recording import FIGURES, SAMPLES
from harness.bench.run import Run
from harness.bench.run_files import RunFiles
from harness.bench.watch import Watch
from harness.bench.workbench import Workbench
from harness.errors import HarnessError, Refused, UsageError

SEEDS = 2**31
BROKEN_OFF, INTERRUPTED = 3, 130


def bench(*, as_json: bool, **options: Any) -> int:
    """The exit code. Raises HarnessError for trouble that is not the systems'."""
    foreground.interrupt_on_signals()
    if find_spec("hdrh") is None:
        raise Refused("latencies are kept by hdrhistogram, which is not installed: pip install 'dkv[bench]'")
    said = Programs(options["node_command"], options["etcd"], options["port_offset"])
    systems, missing = lineup.present(lineup.chosen(options["against"]), said)
    cells = (
        matrix.narrowed(matrix.MATRICES[options["matrix"]](), options["only"]) if options["matrix"] != "none" else ()
    )
    wanted = interleaving.stages(cells, systems, options["rounds"], matrix.is_able)
    groups = figures.chosen(options["figures"])
    if not wanted and not groups:
        raise UsageError("nothing to measure: a --matrix, or --figures, or both")
    files, seed = _files(options, systems, missing)
    if uncompiled := bytecode.keep():
        files.add("remarks", uncompiled)
    stages = interleaving.remaining(wanted, files.taken)

    def make(system: str, nodes: int, room: str) -> Contender:
        return lineup.MAKERS[system](files.nodes / room, nodes, said)

    async def measure(bench: Workbench) -> None:
        await Run(bench, stages, options["seconds"]).run()
        await figures.measure(bench, systems, groups, options["repetitions"])

    try:
        with watching(as_json=as_json) as watch:
            said_first = (
                *missing,
                *_unable(cells, systems),
                *_taken(wanted, stages),
                *_announced(stages, groups, options),
            )
            for sentence in said_first:
                watch.say(sentence)
            workbench = Workbench(make, files, watch, seed)
            code = _execute(measure(workbench), files, watch)
            if workbench.broken:
                files.note("ended", f"broken off: {', '.join(workbench.broken)}")
            return code or (BROKEN_OFF if workbench.broken else 0)
    finally:
        _present(files.path, as_json)


def _files(options: Mapping[str, Any], systems: Sequence[str], missing: Sequence[str]) -> tuple[RunFiles, int]:
    """A new run's directory, or one more part of the run there; and the seed. Raises HarnessError."""
    into = options["into"]
    if into is not None and options["out"] is not None:
        raise UsageError("--out begins a run and --into adds to one: choose")
    earlier = recording.read(into) if into is not None else None
    drawn = earlier.seed if earlier else random.SystemRandom().randrange(SEEDS)
    seed = drawn if options["seed"] is None else options["seed"]
    began = datetime.now(UTC)
    out = into or options["out"] or Path("results") / began.strftime(f"%Y-%m-%d-%H%M%S-bench-{options['matrix']}")
    return RunFiles(out, _manifest(options, seed, systems, missing), earlier), seed


def _taken(wanted: Sequence[Stage], left: Sequence[Stage]) -> Iterator[str]:
    """What of the matrix the run has from an earlier part."""
    before, now = (sum(block.counts for stage in stages for block in stage.blocks) for stages in (wanted, left))
    if now < before:
        yield f"{before - now} of {before} blocks belong to rounds that the run has already: they are not taken again"


def _announced(stages: Sequence[Stage], groups: Sequence[str], options: Mapping[str, Any]) -> Iterator[str]:
    blocks = sum(len(stage.blocks) for stage in stages)
    minutes = interleaving.estimate_s(stages, options["seconds"]) / 60
    if stages:
        yield (
            f"{blocks} blocks of {options['seconds']:g} s ({options['rounds']} rounds and a warm-up): about "
            f"{max(1.0, minutes):.0f} min"
        )
    for name in groups:
        group = figures.GROUPS[name]
        yield f"figures {name}, {group.what}: about {group.minutes:.0f} min for two systems"


def _unable(cells: Sequence[Cell], systems: Sequence[str]) -> list[str]:
    """A sentence for each system that cannot do some cell."""
    lacks = {system: [matrix.name(cell) for cell in cells if not matrix.is_able(system, cell)] for system in systems}
    return [f"{system} has no {', '.join(names)}: left out there" for system, names in lacks.items() if names]


def _execute(everything: Coroutine[Any, Any, None], files: RunFiles, watch: Watch) -> int:
    files.note("ended", "broken off")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(everything)
    except KeyboardInterrupt:
        files.note("ended", "interrupted")
        watch.say("interrupted: every process was stopped; what was measured is kept")
        return INTERRUPTED
    files.note("ended", "complete")
    return 0


def _present(out: Path, as_json: bool) -> None:
    """Sum up what there is, if there is anything."""
    from harness.bench import summary

    if not any((out / name).exists() for name in (SAMPLES, FIGURES)):
        return
    try:
        summary.write(out)
    except HarnessError as error:
        print(f"dkv-harness: the summary could not be written: {error}", file=sys.stderr)
    print(json.dumps({"run": str(out)}) if as_json else f"{out}/summary.md")


def _manifest(options: Mapping[str, Any], seed: int, systems: Sequence[str], missing: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": "bench",
        **manifest.part(["dkv-harness"]),
        "seed": seed,
        "versions": {"dkv": version("dkv"), "python": platform.python_version(), "wrk": wrk.version()},
        "systems": list(systems),
        "missing": list(missing),
        "matrix": options["matrix"],
        "figures": options["figures"],
        "rounds": options["rounds"],
        "seconds": options["seconds"],
        "interleaving": "each round every system in turn, the others stopped (SIGSTOP); one warm-up for each cell",
    }


def compare(before: Path, after: Path, *, as_json: bool) -> int:
    """Print what became of the first run's figures in the second. Raises HarnessError."""
    from harness.bench import comparison

    runs = recording.read(before), recording.read(after)
    found = comparison.compare(*runs, random.Random(runs[0].seed))
    if as_json:
        print(msgspec.json.encode({"rows": found.rows, "warnings": found.warnings}).decode())
    else:
        print(comparison.text(found))
    return found.exit_code
