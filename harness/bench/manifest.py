"""What a run says of itself: when, by which command, of which commit, where. And whether two parts are of one run.

A run may be measured in parts (``bench --into``), which is honest only on one machine and of one commit.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import Refused

CONTINUED = "continued"
"""Field of a manifest: what each part after the first says of itself."""
GIT_S = 5.0


def part(program: Sequence[str]) -> dict[str, Any]:
    """Of a part that begins now. ``program``: its command's first words; its flags are this process's."""
    return {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git(),
        "command": shlex.join([*program, *sys.argv[1:]]),
        "host": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "load_average_before": os.getloadavg()[0],
        },
    }


def git() -> str:
    """The checkout's commit, "" where there is none."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def check_same(first: Mapping[str, Any], later: Mapping[str, Any]) -> None:
    """Refused unless ``later`` was made where the run was begun, of the same commit."""
    for what, one, other in (
        ("of another commit", first.get("git"), later["git"]),
        ("of another machine", _machine(first), _machine(later)),
    ):
        if one != other:
            raise Refused(
                f"the run there is {what} ({one}; this is {other}): what is added to it would be compared with "
                "something else. Begin a run of its own by --out"
            )


def _machine(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.get("host", {}).items() if name != "load_average_before"}
