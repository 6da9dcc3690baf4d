"""Charts and their images: what is drawn, that it is legible on both pages, and the same each time."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from random import Random

import pytest

from harness.bench import names, plots
from harness.bench.charts import Chart, Curves, Forest, Strip
from harness.bench.gallery import gallery
from harness.bench.measurements import Figure, Loop
from harness.bench.recording import Recording
from tests.harness.bench import synthetic

SYSTEMS = ("dkv", "etcd", "zookeeper")


@pytest.fixture(scope="module")
def run() -> Recording:
    """A few cells of each kind."""
    wanted = [
        *(synthetic.set_cell(connections) for connections in (1, 64)),
        synthetic.set_cell(operation="get", level="linearizable"),
        synthetic.set_cell(nodes=7),
        synthetic.set_cell(keys=1_000_000),
        synthetic.set_cell(value_bytes=1_024),
        *(synthetic.set_cell(operation=f"ycsb-{letter}", level="linearizable") for letter in "ab"),
        *(synthetic.set_cell(loop=Loop.OPEN, offered_per_s=offered) for offered in (500, 2_000)),
    ]
    rng = Random(1)
    samples, figures = synthetic.samples(rng, 5, SYSTEMS, wanted), synthetic.figures(rng, SYSTEMS)
    return Recording("run", synthetic.MANIFEST, tuple(samples), tuple(figures))


@pytest.fixture(scope="module")
def drawn(run: Recording) -> dict[str, Chart]:
    return {chart.stem: chart for chart in gallery(run, Random(1))}


def test_all_that_the_data_allow(run: Recording, drawn: dict[str, Chart]) -> None:
    assert list(drawn) == [
        "ratios-etcd", "ratios-zookeeper", "throughput-set-leader", "mixes-linearizable-mixed-leader",
        "latency-set-leader", "latency-linearizable-get-leader", "latency-set-leader-open-2000", "offered-set-leader",
        "nodes-set-leader", "keys-set-leader", "rate-by-nodes", "rate-by-keys", "values-set-leader",
        "failover-3-nodes", "first-write-3-nodes", "first-write-5-nodes",
    ]  # fmt: skip
    assert len(drawn) == len(gallery(run, Random(1))), "two charts would be one file"


def test_little_data_make_few_charts() -> None:
    one = Figure(system="dkv", name="memory-per-key", round=0, value=371.0, unit="B")
    assert gallery(Recording("run", {}, (), (one,)), Random(1)) == ()
    samples = synthetic.samples(Random(1), 1, ("etcd",), [synthetic.set_cell(16)])
    assert gallery(Recording("run", {}, tuple(samples), ()), Random(1)) == ()


def test_titles_and_findings_tell_what_the_points_say(drawn: dict[str, Chart]) -> None:
    throughput = drawn["throughput-set-leader"]
    assert isinstance(throughput, Curves)
    assert throughput.title == "Set at the leader: operations a second by connections"
    ours = next(line for line in throughput.lines if line.system == "dkv")
    assert re.match(rf"At 64 connections dkv does {ours.points[1].y.median:,.0f}/s, 2\.\d\d × etcd", throughput.finding)
    assert re.match(
        r"From 3 to 7 nodes dkv keeps \d\d% of its rate, etcd \(JSON\) \d\d%", drawn["nodes-set-leader"].finding
    )
    assert drawn["keys-set-leader"].finding.startswith("From 1k to 1M keys dkv keeps")
    assert drawn["values-set-leader"].finding.startswith("From 16 B to 1 KiB dkv keeps")
    assert drawn["failover-3-nodes"].finding.startswith("Median: dkv 0.0")


def test_an_open_loop_is_drawn_against_what_it_offers(drawn: dict[str, Chart]) -> None:
    offered = drawn["offered-set-leader"]
    assert isinstance(offered, Curves)
    assert [name for _, name in offered.ticks] == ["500", "2k"]
    assert {(line.system, line.of) for line in offered.lines} == {
        (system, of) for system in SYSTEMS for of in ("p50", "p99", "p99.9")
    }
    assert offered.finding.startswith("p99 at 2,000/s: dkv ")
    assert plots.svg(offered).count(">p99.9<") == len(SYSTEMS)


def test_growth_is_drawn_where_all_sizes_took_turns(drawn: dict[str, Chart]) -> None:
    for stem, finding in (("rate-by-nodes", "From 3 to 7 nodes dkv"), ("rate-by-keys", "From 1k to 1M keys dkv")):
        chart = drawn[stem]
        assert isinstance(chart, Curves)
        assert chart.finding.startswith(finding)
        assert [len(line.points) for line in chart.lines] == [3, 3]


def test_ratios_have_every_cell_and_the_targets_that_were_set(drawn: dict[str, Chart]) -> None:
    forest = drawn["ratios-etcd"]
    assert isinstance(forest, Forest)
    assert [row.label for row in forest.rows][:3] == [
        "set at the leader · 1 conn.",
        "set at the leader · 64 conn.",
        "linearizable get at the leader · 64 conn.",
    ]
    assert [row.target for row in forest.rows[:3]] == [None, 2.5, 2.5]
    assert forest.finding.startswith("dkv is ahead of etcd (JSON) in ")


def test_times_have_their_target(drawn: dict[str, Chart]) -> None:
    failover, start = drawn["failover-3-nodes"], drawn["first-write-5-nodes"]
    assert isinstance(failover, Strip)
    assert isinstance(start, Strip)
    assert (failover.target, start.target) == (0.4, 1.5)
    assert [system for system, _ in failover.rows] == list(SYSTEMS)
    assert {values.count for _, values in failover.rows} == {20}


def test_a_tail_is_drawn_from_histograms_where_there_are_any(drawn: dict[str, Chart]) -> None:
    latency = drawn["latency-set-leader"]
    assert isinstance(latency, Curves)
    curves = {line.system: line.curve for line in latency.lines}
    assert curves["zookeeper"] == ()
    assert len(curves["dkv"]) > 20
    at_p99 = next(ms for nines, ms in curves["dkv"] if nines >= 2)
    p99 = next(line for line in latency.lines if line.system == "dkv").points[2]
    assert p99.x == pytest.approx(2.0)
    assert p99.y.low <= at_p99 <= p99.y.high, "all rounds together lie within them"
    assert all(later[1] >= earlier[1] for earlier, later in itertools.pairwise(curves["dkv"]))


def test_images_are_whole_small_and_say_what_they_show(drawn: dict[str, Chart]) -> None:
    for chart in drawn.values():
        image = plots.svg(chart)
        texts = [element.text for element in ElementTree.fromstring(image).iter("{http://www.w3.org/2000/svg}text")]
        assert chart.title in texts
        assert len(image) < 60_000, chart.stem
        assert "prefers-color-scheme:dark" in image
        assert "DejaVu" not in image, "the reader's own font"
        if isinstance(chart, Curves):
            assert {names.look(line.system).label for line in chart.lines} <= set(texts)


def test_the_same_chart_gives_the_same_bytes(drawn: dict[str, Chart]) -> None:
    for stem in ("ratios-etcd", "latency-set-leader", "failover-3-nodes"):
        image = plots.svg(drawn[stem])
        assert image == plots.svg(drawn[stem])
        assert not re.search(r"<dc:date>|20\d\d-\d\d-\d\d", image)


def test_what_never_came_is_left_out_and_not_drawn_at_infinity() -> None:
    cells = [synthetic.set_cell(connections) for connections in (64, 256)]
    samples = synthetic.samples(Random(1), 5, ("dkv", "etcd"), cells)
    dead = [
        synthetic.sample(Random(1), "zookeeper", cell, number, completed=0) for cell in cells for number in range(5)
    ]
    for chart in gallery(Recording("run", {}, (*samples, *dead), ()), Random(1)):
        ElementTree.fromstring(plots.svg(chart))


def luminance(colour: str) -> float:
    """Relative, by WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("look", [*names.SYSTEMS.values(), *names.STRANGERS], ids=lambda look: look.label)
def test_colours_stand_out_on_both_pages(look: names.Look) -> None:
    """WCAG 2.2, 1.4.11: 3 to 1 for whatever is not text."""
    assert contrast(look.light, plots.PAPER) >= 3
    assert contrast(look.dark, plots.DARK[plots.PAPER]) >= 3


def test_text_is_legible_on_both_pages() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    for ink in (plots.INK, plots.MUTED):
        assert contrast(ink, plots.PAPER) >= 4.5
        assert contrast(plots.DARK[ink], plots.DARK[plots.PAPER]) >= 4.5


def test_no_two_systems_look_alike() -> None:
    looks = [*names.SYSTEMS.values(), *names.STRANGERS]
    for kind in ("light", "dark", "mark"):
        assert len({getattr(look, kind) for look in looks}) == len(looks), kind
    assert names.look("consul") == names.look("consul")
    assert names.look("consul").label == "consul"
