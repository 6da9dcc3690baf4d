"""What every test shares: hypothesis without a clock, repeatable where CI judges; and who may run beside whom."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

SIMULATOR = Path(__file__).parent / "sim"

# No deadline: these machines are noisy, and speed belongs into benchmarks. A failure prints how to repeat it.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with real processes wait more than they work: the others run beside them (`-n 2 --dist loadgroup`). Among
    themselves they run one after the other, because they share this machine's ports, namespaces and processors."""
    for item in items:
        if item.get_closest_marker("slow") is not None and not item.path.is_relative_to(SIMULATOR):
            item.add_marker(pytest.mark.xdist_group("processes"))
