"""The packet filter's scripts, as text."""

from __future__ import annotations

import pytest

from harness.systems import nft


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], "flush set ip dkv_harness cut\n"),
        (
            [("10.0.0.2", "10.0.0.1"), ("10.0.0.1", "10.0.0.2"), ("10.0.0.1", "10.0.0.2")],
            "flush set ip dkv_harness cut\n"
            "add element ip dkv_harness cut { 10.0.0.1 . 10.0.0.2, 10.0.0.2 . 10.0.0.1 }\n",
        ),
    ],
)
def test_cut(pairs: list[nft.Pair], expected: str) -> None:
    assert nft.cut_script(pairs) == expected


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ({}, "flush chain ip dkv_harness loss\n"),
        (
            {("10.0.0.1", "10.0.0.2"): 0.25},
            "flush chain ip dkv_harness loss\n"
            "add rule ip dkv_harness loss ip saddr 10.0.0.1 ip daddr 10.0.0.2 numgen random mod 10000 < 2500 drop\n",
        ),
        (
            {("10.0.0.1", "10.0.0.2"): 1.0},
            "flush chain ip dkv_harness loss\nadd rule ip dkv_harness loss ip saddr 10.0.0.1 ip daddr 10.0.0.2 drop\n",
        ),
    ],
)
def test_loss(losses: dict[nft.Pair, float], expected: str) -> None:
    assert nft.loss_script(losses) == expected
