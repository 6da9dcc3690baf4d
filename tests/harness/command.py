"""The harness's command line as a person would type it, on fake nodes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

FAKE_NODE = f"{shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__).with_name('fake_node.py')))}"
PORT_OFFSET = str(1000 + os.getpid() % 30 * 100)
"""Away from the clusters of people and other tests: a stopped cluster's ports are nobody's."""
VERB_S = 60.0
"""Generous: a machine with two cores may be busy with other tests."""


@dataclass
class Done:
    """How a verb ended. ``lines``: the JSON documents that it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]


@dataclass
class Harness:
    """Verbs on one run directory."""

    directory: Path
    environ: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "harness", "--dir", str(self.directory), *arguments]

    def run(self, *arguments: str) -> Done:
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=VERB_S,
            env={**os.environ, **self.environ},
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def up(self, *arguments: str) -> Done:
        return self.run("-o", "json", "up", "-d", "--node-command", FAKE_NODE, "--port-offset", PORT_OFFSET, *arguments)

    def status(self) -> dict[str, Any]:
        return self.run("-o", "json", "status").last

    def node(self, name: str) -> dict[str, Any]:
        nodes: dict[str, dict[str, Any]] = {node["name"]: node for node in self.status()["nodes"]}
        return nodes[name]

    def processes(self) -> list[psutil.Process]:
        """Every living process that was started for this run directory."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            words = process.cmdline()
            return process.pid != os.getpid() and any(str(self.directory) in word for word in words)
        except psutil.Error:
            return False
