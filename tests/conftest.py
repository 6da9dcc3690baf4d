"""What every test shares: hypothesis without a clock, repeatable where CI judges; and who may run beside whom."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

PROCESSES = (
    "tests/system/",
    "tests/loadtests/",
    "tests/zoo/",
    "tests/harness/systems/",
    "tests/harness/test_",
    "tests/dkv/gossip/test_agent_interop.py",
    "tests/dkv/gossip/test_real_agent.py",
)
"""Where tests start nodes or agents."""

# No deadline: these machines are noisy, and speed belongs into benchmarks. A failure prints how to repeat it.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests with real processes wait more than they work: the others run beside them (`-n 2`).

    Among themselves they run one after the other: they share this machine's ports, namespaces and processors.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "processes" if nodeid.startswith(PROCESSES) else nodeid

    return Scheduling(config, log)
