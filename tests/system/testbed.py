"""A cluster of real processes for one test or benchmark: ``dkv-harness`` starts and ends it, and its parts break it.

What the nodes leave behind is part of the evidence: no log may hold a traceback, no process may end by itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dkv.client import Client, Event
from harness.cluster import Cluster
from harness.control import ask
from harness.rundir import RunDir
from harness.survey import Health, Member, Survey, health
from tests.system.load import Load
from tests.system.verdict import Digest, Record, Verdict, judge

PATIENCE_S = 60.0
"""Generous everywhere: the machine may be busy with other things."""
COMPLAINTS = ("Traceback", '"traceback"', "AssertionError", "FatalError", '"level":"error"', '"level":"critical"')


class Testbed:
    """One run directory. ``node_command``: what starts a node instead of this Python's ``dkv serve``; ``environ``: what
    it finds in its environment beside ours."""

    __test__ = False

    def __init__(self, path: Path, node_command: str | None = None, environ: Mapping[str, str] | None = None) -> None:
        self.run_dir = RunDir(path)
        self.cluster = Cluster(self.run_dir, random.Random(0), lambda _: None)
        self._environ = {**os.environ, **(environ or {})}
        self._node_command = ["--node-command", node_command] if node_command else []

    def verb(self, *arguments: str) -> str:
        """A verb as a person types it; its output. It must succeed."""
        command = [sys.executable, "-m", "harness", "--dir", str(self.run_dir.path), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=2 * PATIENCE_S, env=self._environ, check=False
        )
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def up(self, count: int) -> None:
        """A new cluster."""
        self.verb("up", str(count), "-d", *self._node_command)

    def down(self) -> None:
        """End every process; harmless when nothing runs."""
        self.verb("down")

    def survey(self) -> Survey:
        """How it stands now."""
        return self.cluster.survey()

    @property
    def addresses(self) -> list[str]:
        """REST, of all nodes that belong to it."""
        return [member.rest for member in self.survey().members]

    def healthy(self) -> Member:
        """Wait until every node answers and votes and one leads: that one."""
        survey = self.cluster.wait(lambda now: health(now) is Health.HEALTHY, PATIENCE_S, "a healthy cluster")
        assert survey.leader is not None, "a healthy cluster has a leader"
        return survey.leader

    def kill(self, names: Sequence[str]) -> float:
        """``kill -9``; the time just before it (``time.monotonic``). Returns when they are gone."""
        sent_s = time.monotonic()
        ask(self.run_dir, "signal", 2 * PATIENCE_S, names=list(names), signal=int(signal.SIGKILL))
        return sent_s

    def signal(self, name: str, number: signal.Signals) -> None:
        """Any other signal."""
        ask(self.run_dir, "signal", names=[name], signal=int(number))

    def digests(self) -> list[Digest]:
        """``/hashkv`` of every node, once their indexes are level."""
        give_up = time.monotonic() + PATIENCE_S
        addresses = self.addresses
        with Client(addresses) as client:
            while True:
                answers = [(address, client.hashkv(address)) for address in addresses]
                found = [Digest(address, answer["index"], answer["digest"]) for address, answer in answers]
                if len({digest.index for digest in found}) == 1:
                    return found
                assert time.monotonic() < give_up, f"the nodes do not get level: {found}"
                time.sleep(0.05)

    def verdict(self, load: Load) -> Verdict:
        """Of a load that has ended: every key read at every node, digests compared, the whole history judged."""
        self.healthy()
        finals: list[Event] = []
        addresses = self.addresses
        for process, address in enumerate(addresses):
            with Client([address], PATIENCE_S, history=finals.append, process=process) as client:
                for key in load.keys:
                    client.get_row(key)
        return judge(Record(load.events, finals, self.digests()))

    def damage(self) -> list[str]:
        """What the files of the run tell of: tracebacks, assertions, processes that ended by themselves."""
        logs = sorted(self.run_dir.path.glob("nodes/*/stderr.log"))
        found = [f"{path.parent.name}: {line}" for path in logs for line in complaints(path.read_text().splitlines())]
        return found + unasked_ends(self.run_dir.supervisor_log.read_text().splitlines())


def complaints(lines: Iterable[str]) -> list[str]:
    """The lines of a node's log that no healthy node writes."""
    return [line for line in lines if any(word in line for word in COMPLAINTS)]


def unasked_ends(lines: Iterable[str]) -> list[str]:
    """The lines of the supervisor's log that tell of a process which nobody ended; one that left or was removed ends
    with exit code 0."""
    ends = [line for line in lines if line.startswith("{") and json.loads(line)["event"] == "ended"]
    return [end for end in ends if json.loads(end)["asked"] == "start" and "exit code 0" not in json.loads(end)["how"]]
