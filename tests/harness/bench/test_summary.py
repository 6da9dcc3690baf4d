"""What a run's directory holds after ``summary.write``, and what becomes of directories that are not whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from harness.bench import numerals, plots, recording, summary, tables, targets
from harness.bench.intervals import Interval
from harness.bench.measurements import Loop
from harness.bench.statistics import spread
from harness.bench.tables import markdown
from harness.errors import Refused
from tests.harness.bench import synthetic

SYSTEMS = ("dkv", "etcd")
CELLS = [
    synthetic.set_cell(1),
    synthetic.set_cell(64),
    synthetic.set_cell(64, value_bytes=65_536),
    synthetic.set_cell(64, operation="ycsb-b", level="linearizable"),
    synthetic.set_cell(64, loop=Loop.OPEN, offered_per_s=500),
]


def make(directory: Path, rounds: int = 5) -> Path:
    rng = Random(1)
    return synthetic.write(directory, synthetic.samples(rng, rounds, SYSTEMS, CELLS), synthetic.figures(rng, SYSTEMS))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Summed up."""
    directory = make(tmp_path_factory.mktemp("bench") / "run")
    summary.write(directory)
    return directory


def page(run: Path) -> str:
    return (run / summary.MARKDOWN).read_text("utf-8")


def test_a_page_in_the_order_in_which_a_reader_asks(run: Path) -> None:
    headings = [line for line in page(run).splitlines() if line.startswith("#")]
    assert headings == [
        "# Side by side: dkv, etcd (JSON)", "## What was asked for, and what was measured", "## Caveats", "## Set-up",
        "## Plots", "## Operations", "### Set at the leader", "### Mixed loads at the leader",
        "### Set at the leader, open loop", "## What happens once",
    ]  # fmt: skip
    assert "\n**Question.** How fast is dkv beside its peers" in page(run)


def test_its_first_quote_is_the_sentence_of_the_index(run: Path) -> None:
    (quote,) = (line for line in page(run).splitlines() if line.startswith("> "))
    found = json.loads((run / summary.JSON).read_bytes())
    assert quote == f"> {found['abstract']}"
    assert re.match(r"> dkv, etcd \(JSON\) in turn, 5 rounds: of \d+ targets \d+ met", quote)
    assert re.search(r"Set at the leader, 64 connections: dkv [\d,]+/s \([\d,]+–[\d,]+\), etcd", quote)


def test_every_target_and_every_plot_is_there(run: Path) -> None:
    for target in targets.TARGETS:
        assert f"| {target.what} | {target.wanted} |" in page(run)
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page(run))
    assert sorted(shown) == sorted(f"plots/{path.name}" for path in (run / "plots").iterdir())


def test_no_median_goes_without_its_spread(run: Path) -> None:
    table = page(run).split("### Set at the leader\n\n")[1].split("\n\n")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in table[2:]]
    assert [row[:2] for row in rows] == [
        [load, system]
        for load in ("1 connection", "64 connections", "64 connections, 64 KiB")
        for system in ("dkv", "etcd (JSON)")
    ]
    for row in rows:
        assert row[2] == "5"
        assert all(re.fullmatch(r"\S+ \(\S+–\S+\)", row[column]) for column in (3, 4, 5, 7, 8, 9)), row
    assert all(re.fullmatch(r"\S+ \[\S+, \S+\]", row[6]) for row in rows[1::2])


def test_open_loops_are_compared_by_their_latency() -> None:
    cell = CELLS[-1]
    samples = [
        synthetic.sample(Random(1), system, cell, number, completed=500, p99_ms=p99_ms)
        for number in range(5)
        for system, p99_ms in (("dkv", 4.0), ("etcd", 8.0))
    ]
    ((heading, table),) = tables.operations(recording.Recording("run", {}, tuple(samples), ()), Random(1))
    assert heading == "Set at the leader, open loop"
    assert "| p99: dkv / system, pair by pair |" in table
    assert table.splitlines()[-1].count(" 0.500 [0.500, 0.500] ") == 1


def test_the_set_up_is_the_manifests(run: Path) -> None:
    setup = page(run).split("## Set-up")[1].split("## Plots")[0]
    assert "- host: system Linux-6.18, processors 2, memory 24 GiB, load average before 0.310\n" in setup
    assert "- left out: rqlite is not installed\n" in setup
    assert "- dkv, 3 nodes: fsync on a majority\n" in setup
    assert "- command: `dkv-harness bench --matrix full`\n" in setup
    assert "closed loop and open loop" in setup
    assert "5 rounds, blocks of 5 s; load by wrk" in setup


def test_parts_are_told_where_there_are_several(run: Path, tmp_path: Path) -> None:
    assert "| part |" not in page(run)
    later = {"began": "2026-11-23T13:00:00+00:00", "command": "dkv-harness bench --into run", "ended": "interrupted"}
    figures = [msgspec.structs.replace(one, part=2) for one in synthetic.figures(Random(1), SYSTEMS)]
    samples = synthetic.samples(Random(1), 5, SYSTEMS, CELLS)
    manifest = synthetic.MANIFEST | {"continued": [later]}
    directory = synthetic.write(tmp_path / "run", samples, figures, manifest)
    summary.write(directory)
    told = page(directory)
    assert "| part |" in told
    assert "- part 2: `dkv-harness bench --into run`, begun 2026-11-23T13:00:00+00:00" in told
    assert "**Part 2 of the run did not come to its end** (interrupted)" in told
    assert "measured in 2 parts" in told
    (failover,) = (line for line in told.splitlines() if line.startswith("| leader killed") and "≤ 0.4 s" in line)
    assert "| 20 | 2 |" in failover


def test_for_programs_with_quartiles(run: Path) -> None:
    found = json.loads((run / summary.JSON).read_bytes())
    assert len(found["targets"]) == len(targets.TARGETS)
    assert len(found["cells"]) == len(CELLS) * len(SYSTEMS)
    rate = found["cells"][0]["rate_per_s"]
    assert rate["low"] <= rate["q1"] <= rate["median"] <= rate["q3"] <= rate["high"]
    assert rate["count"] == 5


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "run")
    (other / "plots").mkdir()
    (other / "plots" / "stale.svg").write_text("of an earlier look")
    summary.write(other)
    files = sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert [name for name in files if (run / name).read_bytes() != (other / name).read_bytes()] == []


def test_without_matplotlib_there_is_all_but_the_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(chart: object) -> str:
        raise ImportError("No module named 'matplotlib'")

    monkeypatch.setattr(plots, "svg", absent)
    directory = make(tmp_path / "run", rounds=1)
    summary.write(directory)
    assert "There are no plots: No module named 'matplotlib'" in page(directory)
    assert "## Operations" in page(directory)
    assert not (directory / "plots").exists()


def test_figures_alone_are_a_run(tmp_path: Path) -> None:
    summary.write(synthetic.write(tmp_path / "run", [], synthetic.figures(Random(1), SYSTEMS)))
    assert "in turn, no rounds" in page(tmp_path / "run")
    assert "## Operations" not in page(tmp_path / "run")


def test_a_line_that_was_not_written_to_its_end_is_left_out(tmp_path: Path) -> None:
    directory = make(tmp_path / "run", rounds=1)
    path = directory / recording.SAMPLES
    whole = recording.read(directory).samples
    path.write_bytes(path.read_bytes()[:-20])
    assert recording.read(directory).samples == whole[:-1]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is no benchmark's directory"):
        summary.write(tmp_path)
    (tmp_path / recording.SAMPLES).write_text('{"system": 1}\n')
    with pytest.raises(Refused, match=r"cannot be read: .* Nothing was written"):
        summary.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [recording.SAMPLES]


def test_a_round_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    sample = synthetic.sample(Random(1), "dkv", synthetic.set_cell(), 3)
    with pytest.raises(Refused, match=r"round 3 of dkv twice .* two runs written into one"):
        summary.write(synthetic.write(tmp_path / "run", [sample, sample]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12_345.6, "12,346"), (999.7, "1,000"), (100.4, "100"), (99.96, "100"), (12.34, "12.3"), (0.99996, "1.00"),
        (0.0588, "0.0588"), (0.00001, "0.0000"), (0.0, "0"), (-3.456, "-3.46"), (float("inf"), "∞"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert numerals.number(value) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "set at the leader, 64 connections"),
        ({"operation": "get", "level": "none", "target": "follower"}, "stale get at a follower, 64 connections"),
        ({"operation": "get", "level": "weak", "nodes": 5}, "weak get at the leader, 64 connections, 5 nodes"),
        ({"operation": "mixed-95", "level": "linearizable"}, "mixed 95/5 at the leader, 64 connections"),
        ({"operation": "ycsb-f", "target": "spread"}, "YCSB F over all nodes, 64 connections"),
        ({"operation": "batch-100", "connections": 1}, "batch of 100 at the leader, 1 connection"),
        ({"value_bytes": 100, "keys": 1_000_000}, "set at the leader, 64 connections, 100 B, 1M keys"),
        ({"loop": Loop.OPEN, "offered_per_s": 500}, "set at the leader, 64 connections, 500/s offered"),
    ],
)  # fmt: skip
def test_cells_in_words(changes: dict[str, Any], text: str) -> None:
    assert numerals.place(synthetic.set_cell(**changes)) == text


def test_words_of_spreads_and_ratios() -> None:
    values = spread([1.0, 2.0, 4.0])
    assert numerals.spread(values) == "2.00 (1.00–4.00)"
    assert numerals.spread(values, "/s") == "2.00/s (1.00–4.00)"
    assert numerals.ratio(2.0, Interval(1.0, 4.0, 0.75)) == "2.00 [1.00, 4.00]"
    assert numerals.ratio(2.0, Interval(2.0, 2.0, 0.5)) == "2.00", "of two rounds there is no interval"


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert markdown(("a", " b"), [("x|y", "1")]) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |\n"
