"""What a reader has to know before the figures are believed, computed from the samples themselves. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.bench import names, statistics
from harness.bench.intervals import confidence_max
from harness.bench.measurements import Cell, Loop, Sample
from harness.bench.numerals import count, number, place
from harness.bench.recording import Recording
from harness.bench.statistics import ROUNDS_WANTED, Spread, spread

GENERATOR_BUSY_CORES = 0.8
"""Of the one core that a generator with one thread has: above, what is measured may be the generator."""

SPREAD_WIDE = 0.30
"""From least to greatest, of the median: the machine changed more than most systems differ."""

LOAD_PER_PROCESSOR = 3.0
"""A run's own nodes and generator keep about two at work for each processor; what is above was somebody else."""

SHOWN_MAX = 6
"""Cells named in one sentence; the tables have them all."""

Block = tuple[Cell, str, Sequence[Sample]]


def caveats(recording: Recording) -> tuple[str, ...]:
    """Sentences, the gravest first; none if nothing stands against the figures."""
    blocks = [
        (cell, system, samples)
        for cell, systems in statistics.by_cell(recording.samples).items()
        for system, samples in sorted(systems.items(), key=lambda item: names.order(item[0]))
    ]
    told = (
        *_broken_off(recording),
        _in_parts(recording),
        *_remarks(recording),
        _failures(blocks),
        _rounds(blocks),
        _generator(blocks),
        _wide(blocks),
        _load(recording),
        _closed(blocks),
    )
    return tuple(sentence for sentence in told if sentence)


def _broken_off(recording: Recording) -> Iterator[str]:
    for which, part in enumerate(recording.parts, 1):
        ended = part.get("ended", "complete")
        what = f"Part {which} of the run" if len(recording.parts) > 1 else "The run"
        if ended != "complete":
            yield f"**{what} did not come to its end** ({ended}): what there is, is shown."


def _in_parts(recording: Recording) -> str:
    began = [str(part["began"]) for part in recording.parts if part.get("began")]
    if len(recording.parts) < 2 or not began:
        return ""
    return (
        f"The run was measured in {len(recording.parts)} parts one after the other (see Set-up), begun between "
        f"{began[0]} and {began[-1]}. A ratio is of one part unless its row says otherwise."
    )


def _remarks(recording: Recording) -> Sequence[str]:
    """What was noticed while it was measured."""
    return [f"{remark[0].upper()}{remark[1:]}." for remark in recording.manifest.get("remarks", ()) if remark]


def _failures(blocks: Sequence[Block]) -> str:
    bad = [block for block in blocks if any(sample.failed for sample in block[2])]
    if not bad:
        return ""

    def share(samples: Sequence[Sample]) -> str:
        failed = sum(sample.failed for sample in samples)
        return f"{failed:,} of {failed + sum(sample.completed for sample in samples):,}"

    return f"**Operations failed**; rates and latencies are of those that succeeded: {_named(bad, share)}."


def _rounds(blocks: Sequence[Block]) -> str:
    few = [block for block in blocks if len(block[2]) < ROUNDS_WANTED]
    if not few:
        return ""
    least = min(len(samples) for _, _, samples in few)
    sure = "none at all" if least == 1 else f"{confidence_max(least):.0%}"
    return (
        f"**Too few rounds** ({ROUNDS_WANTED} are wanted): {_named(few, lambda those: count(len(those), 'round'))}. "
        f"From least to greatest of {count(least, 'value')} covers the true median with {sure}, and no interval here "
        "can claim more."
    )


def _generator(blocks: Sequence[Block]) -> str:
    busy = [block for block in blocks if _cores(block[2]).median > GENERATOR_BUSY_CORES]
    if not busy:
        return ""
    return (
        f"**The generator may be the limit** where it used more than {GENERATOR_BUSY_CORES} of a core, and the system "
        f"faster than shown: {_named(busy, lambda those: f'{number(_cores(those).median)} cores')}."
    )


def _cores(samples: Sequence[Sample]) -> Spread:
    return spread(sample.generator_cores for sample in samples)


def _wide(blocks: Sequence[Block]) -> str:
    def width(samples: Sequence[Sample]) -> float:
        return spread(map(statistics.rate, samples)).relative

    wide = [block for block in blocks if block[0].loop is Loop.CLOSED and width(block[2]) > SPREAD_WIDE]
    if not wide:
        return ""
    wide.sort(key=lambda block: -width(block[2]))
    return (
        f"**The rate moved by more than {SPREAD_WIDE:.0%}** of its median between rounds: "
        f"{_named(wide, lambda those: f'{width(those):.0%}')}. The ratios pair by pair say more than the medians."
    )


def _load(recording: Recording) -> str:
    processors = recording.processors
    if not recording.samples or not processors:
        return ""
    loads = spread(sample.load_average for sample in recording.samples)
    if loads.high <= LOAD_PER_PROCESSOR * processors:
        return ""
    return (
        f"**The machine had other work**: load average {number(loads.median)} in the median, {number(loads.high)} at "
        f"most, on {count(processors, 'processor')}. Absolute figures are lower bounds."
    )


def _closed(blocks: Sequence[Block]) -> str:
    if not any(cell.loop is Loop.CLOSED for cell, _, _ in blocks):
        return ""
    return (
        "In a closed loop a slow answer keeps the next request from being sent, so its latencies leave out what would "
        "have waited meanwhile; those of an open loop do not."
    )


def _named(blocks: Sequence[Block], say: Callable[[Sequence[Sample]], str]) -> str:
    shown = "; ".join(_words(blocks[:SHOWN_MAX], say))
    more = len(blocks) - SHOWN_MAX
    return f"{shown}; and {more} more" if more > 0 else shown


def _words(blocks: Sequence[Block], say: Callable[[Sequence[Sample]], str]) -> Iterator[str]:
    """``set at the leader, 64 connections …: dkv 2 rounds, etcd 3 rounds``: systems of one cell stand together."""
    cells: dict[Cell, list[str]] = {}
    for cell, system, samples in blocks:
        cells.setdefault(cell, []).append(f"{names.look(system).label} {say(samples)}")
    for cell, said in cells.items():
        yield f"{place(cell)}: {', '.join(said)}"
