"""A run without processes: contenders that do as they are told, and what is kept of it."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from harness.bench import figures, interleaving, matrix, recording
from harness.bench.contenders import Contender, Leader, Unmeasurable
from harness.bench.dialects import DkvDialect
from harness.bench.figures import Group
from harness.bench.latencies import Latencies
from harness.bench.loads import Counted
from harness.bench.measurements import Cell, Figure, Sample
from harness.bench.run import Run
from harness.bench.run_files import RunFiles
from harness.bench.traffic import Traffic, Values
from harness.bench.workbench import Workbench, in_turn
from harness.errors import HarnessError, Refused, UsageError
from harness.rundir import RunDir

SET = Cell(operation="set", target="leader", connections=2)
GET = Cell(operation="get", target="follower", connections=2, level="linearizable")
NODES = ("n1", "n2", "n3")


class Fake:
    """``moves``: the blocks after which another node leads. ``broken``: what ``crashes`` tells."""

    dialect = DkvDialect()
    nodes = NODES

    def __init__(self, name: str, path: Path, diary: list[tuple[str, ...]]) -> None:
        self.name, self.count, self.run_dir, self._diary = name, 3, RunDir(path), diary
        self.moves: set[int] = set()
        self.broken: list[str] = []
        self.unable: set[str] = set()
        self.late = ""
        self._loads, self._term = 0, 1

    def note(self, *what: str) -> None:
        self._diary.append((self.name, *what))

    def generator(self, cell: Cell) -> str:
        return "fake"

    def configuration(self) -> dict[str, Any]:
        return {"version": f"{self.name} 1", "durability": "none", "nodes": {}}

    def pid(self, name: str) -> int:
        return os.getpid()

    def crashes(self) -> list[str]:
        return self.broken

    def targets(self, cell: Cell, leader: Leader) -> list[str]:
        return [leader.name]

    async def start(self) -> None:
        self.note("start")

    async def stop(self) -> None:
        self.note("stop")

    async def pause_all(self) -> None:
        self.note("pause")

    async def resume_all(self) -> Leader:
        self.note("resume")
        return await self.wait_settled()

    async def wait_settled(self) -> Leader:
        return Leader("n1", self._term)

    async def fill(self, keys: int, values: Values) -> None:
        self.note("fill", str(values.size_bytes))

    async def load(self, cell: Cell, traffic: Traffic, addresses: Sequence[str], duration_s: float) -> Counted:
        self.note("load", cell.operation)
        if cell.operation in self.unable:
            raise Unmeasurable("404")
        self._loads += 1
        self._term += self._loads in self.moves
        counts = Latencies({1_000: 90, 9_000: 10})
        return Counted(duration_s=2.0, completed=200, failed=1, cpu_s=1.9, latencies=counts, late=self.late)


class Ear:
    """A watch that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[tuple[str, float]] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def begin(self, what: str, left_s: float) -> None:
        self.begun.append((what, left_s))

    def sample(self, sample: Sample) -> None: ...

    def figure(self, figure: Figure) -> None: ...


class Scene:
    """Two systems; ``diary``: what was done to them."""

    def __init__(self, path: Path) -> None:
        self.diary: list[tuple[str, ...]] = []
        self.contenders = {system: Fake(system, path / "nodes" / system, self.diary) for system in ("dkv", "etcd")}
        self.ear, self.path = Ear(), path / "run"
        files = RunFiles(self.path, {"seed": 1})
        make = cast(Any, lambda system, nodes, room: self.contenders[system])
        self.bench = Workbench(make, files, self.ear, seed=1)

    async def run(self, *cells: Cell, rounds: int = 2) -> recording.Recording:
        stages = interleaving.stages(cells, tuple(self.contenders), rounds, matrix.is_able)
        await Run(self.bench, stages, 1.0).run()
        self.bench.files.note("ended", "complete")
        return recording.read(self.path)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.asyncio
async def test_samples_of_all_rounds_are_kept_and_warm_ups_are_not(scene: Scene) -> None:
    found = await scene.run(SET, GET, rounds=3)
    places = [(sample.system, sample.cell, sample.round) for sample in found.samples]
    assert sorted(places, key=str) == sorted(
        [(system, cell, number) for system in ("dkv", "etcd") for cell in (SET, GET) for number in (1, 2, 3)], key=str
    )
    sample = found.samples[0]
    assert (sample.rate_per_s, sample.failed, sample.p50_ms, sample.p99_ms, sample.max_ms) == (100.0, 1, 1.0, 9.0, 9.0)
    assert sample.generator_cores == 0.95
    assert found.manifest["versions"] == {"dkv": "dkv 1", "etcd": "etcd 1"}
    assert any("the generator used 0.95 cores" in remark for remark in found.manifest["remarks"])


@pytest.mark.asyncio
async def test_one_is_loaded_while_the_others_stand_still_and_all_are_stopped(scene: Scene) -> None:
    await scene.run(SET)
    awake: set[str] = set()
    for system, what, *_ in scene.diary:
        if what == "load":
            assert awake == {system}
        awake = awake | {system} if what in ("start", "resume") else awake - {system} if what == "pause" else awake
    assert [entry for entry in scene.diary if entry[1] == "stop"] == [("dkv", "stop"), ("etcd", "stop")]


@pytest.mark.asyncio
async def test_keys_are_loaded_when_their_size_changes(scene: Scene) -> None:
    large = Cell(operation="set", target="leader", connections=2, value_bytes=1_024)
    await scene.run(SET, GET, large)
    fills = [size for system, what, *rest in scene.diary if (system, what) == ("dkv", "fill") for size in rest]
    assert fills == ["16", "1024"]


@pytest.mark.asyncio
async def test_a_block_in_which_the_leadership_moved_is_done_again(scene: Scene) -> None:
    scene.contenders["dkv"].moves = {2}
    found = await scene.run(SET)
    assert len(found.samples) == 4
    assert len([entry for entry in scene.diary if entry[:2] == ("dkv", "load")]) == 4
    assert any("thrown away" in sentence for sentence in scene.ear.said)


@pytest.mark.asyncio
async def test_a_leadership_that_never_rests_costs_that_block_alone(scene: Scene) -> None:
    scene.contenders["dkv"].moves = set(range(2, 7))
    found = await scene.run(SET)
    assert sorted((sample.system, sample.round) for sample in found.samples) == [("dkv", 2), ("etcd", 1), ("etcd", 2)]
    assert any("left out" in remark for remark in found.manifest["remarks"])


@pytest.mark.asyncio
async def test_what_makes_no_sense_for_one_is_left_out_for_it_once(scene: Scene) -> None:
    scene.contenders["etcd"].unable = {"get"}
    found = await scene.run(GET, SET)
    assert {(sample.system, sample.cell) for sample in found.samples} == {("dkv", GET), ("dkv", SET), ("etcd", SET)}
    assert len([remark for remark in found.manifest["remarks"] if "404" in remark]) == 1
    assert scene.bench.broken == []


@pytest.mark.asyncio
async def test_a_node_that_broke_is_told_and_does_not_cost_the_next_stage(scene: Scene) -> None:
    scene.contenders["etcd"].broken = ["n2 ended by signal 11 by itself"]
    larger = Cell(operation="set", target="leader", connections=2, nodes=5)
    await scene.run(SET, larger)
    assert scene.bench.broken == ["3 nodes, 1,000 keys", "5 nodes, 1,000 keys"]
    assert any("signal 11" in sentence for sentence in scene.ear.said)
    assert len([entry for entry in scene.diary if entry == ("etcd", "stop")]) == 2


@pytest.mark.asyncio
async def test_time_that_is_left_grows_less(scene: Scene) -> None:
    await scene.run(SET, GET)
    left = [left_s for _, left_s in scene.ear.begun]
    assert left == sorted(left, reverse=True)
    assert left[-1] > 0


def test_two_runs_are_never_mixed(scene: Scene) -> None:
    with pytest.raises(Refused, match="holds a run already"):
        RunFiles(scene.path, {})


def figure(number: int, **changes: Any) -> Figure:
    return Figure(system="dkv", name="failover", round=number, value=1.0, unit="s", **changes)


@pytest.mark.asyncio
async def test_a_run_is_measured_in_parts_and_each_thing_knows_its_own(scene: Scene) -> None:
    await scene.run(SET)
    scene.bench.files.figure(figure(1))
    earlier = recording.read(scene.path)
    files = RunFiles(scene.path, {"git": earlier.manifest.get("git"), "command": "more"}, earlier)
    assert files.taken == {(SET, 1), (SET, 2)}
    files.figure(figure(1, nodes=5))
    files.note("ended", "interrupted")
    files.add("remarks", "of both")
    both = recording.read(scene.path)
    assert [(one.round, one.part) for one in both.figures] == [(1, 1), (2, 2)], "rounds go on counting"
    assert {sample.part for sample in both.samples} == {1}
    assert [part.get("ended") for part in both.parts] == ["complete", "interrupted"]
    assert both.parts[1]["command"] == "more"
    assert both.manifest["remarks"][-1] == "of both"


@pytest.mark.parametrize("differs", [{"git": "other"}, {"host": {"processors": 64}}], ids=["commit", "machine"])
def test_parts_of_a_run_are_of_one_machine_and_one_commit(scene: Scene, differs: dict[str, Any]) -> None:
    scene.bench.files.figure(figure(1))
    earlier = recording.read(scene.path)
    before = (scene.path / recording.MANIFEST).read_bytes()
    with pytest.raises(Refused, match="Begin a run of its own"):
        RunFiles(scene.path, {"git": None, **differs}, earlier)
    assert (scene.path / recording.MANIFEST).read_bytes() == before


def test_a_line_that_was_cut_off_does_not_spoil_the_next(scene: Scene) -> None:
    scene.bench.files.figure(figure(1))
    with (scene.path / recording.FIGURES).open("ab") as lines:
        lines.write(b'{"system": "dk')
    RunFiles(scene.path, {"git": None}, recording.read(scene.path)).figure(figure(1))
    assert [one.round for one in recording.read(scene.path).figures] == [1, 2]


def test_somebody_else_is_first_each_time() -> None:
    assert [in_turn("abc", number)[0] for number in range(4)] == ["a", "b", "c", "a"]
    assert in_turn((), 3) == []


@pytest.mark.asyncio
async def test_a_group_of_figures_that_fails_does_not_cost_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise HarnessError("no luck")

    async def succeed(bench: Workbench, systems: Sequence[str], repetitions: int) -> None:
        for number in range(repetitions):
            bench.figure(Figure(system=systems[0], name="f", round=number, value=random.random(), unit="s"))

    monkeypatch.setattr(figures, "GROUPS", {"a": Group(fail, 1, 1, "a"), "b": Group(succeed, 3, 1, "b")})
    await figures.measure(scene.bench, ("dkv",), ("a", "b"), None)
    assert scene.bench.broken == ["figures a"]
    assert len(recording.read(scene.path).figures) == 3


def test_groups_of_figures_are_chosen_by_name() -> None:
    assert figures.chosen("none") == ()
    assert figures.chosen("all") == tuple(figures.GROUPS)
    assert figures.chosen("costs, failover,costs") == ("costs", "failover")
    with pytest.raises(UsageError, match="no group of figures called 'speed'"):
        figures.chosen("speed")


def test_fakes_are_what_runs_need() -> None:
    used = {"start", "stop", "pause_all", "resume_all", "wait_settled", "fill", "load", "targets", "crashes"}
    assert all(callable(getattr(Contender, name)) and callable(getattr(Fake, name)) for name in used)


@pytest.mark.asyncio
async def test_who_has_had_enough_leaves_no_process_and_no_data_and_nothing_goes_on(scene: Scene) -> None:
    loading = asyncio.Event()

    async def load(*_: object) -> Counted:
        loading.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody lets it go on")

    fake = scene.contenders["dkv"]
    fake.load = load  # type: ignore[method-assign,assignment]
    fake.broken = ["n1 did not like it"]
    fake.run_dir.path.mkdir(parents=True)
    scene.contenders["etcd"].run_dir.path.mkdir(parents=True)
    running = asyncio.create_task(scene.run(SET, GET))
    await loading.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert scene.diary[-2:] == [("dkv", "stop"), ("etcd", "stop")]
    assert not scene.contenders["etcd"].run_dir.path.exists()
    assert fake.run_dir.path.exists(), "whoever broke is looked at later"
