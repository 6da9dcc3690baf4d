"""For other people's tests: a real cluster as a fixture.

    def test_mine(dkv_cluster):
        cluster = dkv_cluster(n=5, faults="kill,partition", seed=7)
        with cluster.client() as client:
            client.set("colour", "green")
        cluster.history.assert_linearizable()

Known to pytest by its entry point (``pytest11``). Where the run is kept after a failure is said in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from harness.trial import Trial


class MakeCluster(Protocol):
    """``n`` nodes that serve. ``faults``: families and kinds as of ``dkv-harness chaos``, from the start on and for
    ``time_s`` at most; "none": only what the test does itself. ``more``: node_command, port_offset."""

    def __call__(
        self, n: int = 5, *, faults: str = "none", seed: int = 0, time_s: float = 30.0, **more: Any
    ) -> Trial: ...


@pytest.fixture
def dkv_cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeCluster]:
    """Makes clusters, each with the test's own directory; they are stopped at the test's end."""
    from harness.trial import Trial  # most tests of most projects never ask for it

    made: list[Trial] = []

    def make(n: int = 5, *, faults: str = "none", seed: int = 0, time_s: float = 30.0, **more: Any) -> Trial:
        again = f"pytest {request.node.nodeid}  # seed {seed}"
        path = tmp_path / f"cluster-{len(made) + 1}"
        trial = Trial(path, n, faults=faults, seed=seed, time_s=time_s, again=again, **more)
        made.append(trial)
        trial.start()
        return trial

    try:
        yield make
    finally:
        for trial in made:
            trial.stop()
