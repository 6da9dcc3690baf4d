"""The kernel's network on this machine; where it cannot be had, its substitute and the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import Refused
from harness.systems import namespaces, network_kernel
from harness.systems.fault_port import FaultPorts
from harness.systems.network_hook import HookNetwork
from harness.systems.network_kernel import KernelNetwork
from tests.harness.fake_fault_port import FakeFaultPort

TRIAL_S = 90.0
ROOT = Path(__file__).parents[3]


def run_trial(*entry: str) -> dict[str, object]:
    """``entry``: another way into a namespace than the trial's own."""
    trial = Path(__file__).with_name("kernel_trial.py")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    if entry:
        environ["DKV_HARNESS_OUTSIDE"] = str(namespaces.own_number())
    command = [*entry, sys.executable, str(trial)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_S, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, object] = json.loads(done.stdout)
    return seen


EXPECTED = {
    "hosts": ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
    "source": "10.0.0.1",
    "before": [],
    "one way": ["n1>n2"],
    "n2 hears": "silence",
    "n1 hears": "heard",
    "other pair": ["n1>n3", "n3>n1"],
    "n2 hears at last": "lost",
    "lossy": ["n1>n3", "n2>n3", "n3>n1"],
    "delay": "refused",
    "healed": [],
}


@pytest.mark.slow
@pytest.mark.asyncio
async def test_cuts_of_real_connections_or_the_substitute(
    capsys: pytest.CaptureFixture[str], fakes: dict[str, FakeFaultPort], ports: FaultPorts
) -> None:
    reason = network_kernel.available()
    if reason is None:
        assert run_trial() == EXPECTED
        if os.geteuid() == 0:  # the way of everybody else as well
            assert run_trial("unshare", "-rn", "--") == EXPECTED
        return
    with capsys.disabled():
        print(f"\nWARNING: the kernel's network was NOT tested: {reason}. Its substitute, the nodes' own hook, was.")
    network = HookNetwork(ports, lambda: tuple(fakes))
    await network.cut([("n1", "n2")])
    assert await network.passes([("n1", "n2"), ("n2", "n1")]) == {("n1", "n2"): False, ("n2", "n1"): True}


def test_outside_of_a_namespace_nothing_is_touched() -> None:
    assert not network_kernel.is_inside()
    with pytest.raises(Refused, match="inside a namespace only"):
        KernelNetwork()
