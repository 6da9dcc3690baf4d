"""The run directory: where a cluster's data, logs and bookkeeping lie, and how later commands find it.

    cluster.json        the roster (written atomically)
    lock                held by the supervisor for as long as it lives; names its process
    control.sock        the supervisor's ear
    supervisor.log
    gossip.key          of `up --gossip-key`
    nodes/n1/data/ , stderr.log , stdout.log

The lock answers "is it running?": the kernel releases it when its holder ends, however that came about, so a process id
read from it while it is held can never be a recycled one.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
import secrets
import shutil
import time
from pathlib import Path

from harness import roster as rosters
from harness.errors import Refused
from harness.roster import Roster

ENVIRONMENT = "DKV_RUN_DIR"
DEFAULT = ".dkv"
LOCK_ATTEMPTS, LOCK_PAUSE_S = 10, 0.01
"""A reader that asks "is it running?" holds the lock for microseconds; an owner holds it for good."""
READY = re.compile(r'"event": ?"ready"')
"""Of the lines that a node writes to its standard output, a few a life."""
GOSSIP_KEY_BYTES = 32
"""AES-256, as `serf keygen` makes them."""
LOG_LINE_BYTES_MAX = 4096
"""Assumed upper mean length of a log line when the end of a log is read: bounds how much is read."""


class RunDir:
    """Paths, and the few files that the harness itself writes."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def control(self) -> Path:
        """The supervisor's unix socket."""
        return self.path / "control.sock"

    @property
    def supervisor_log(self) -> Path:
        """Where the supervisor writes what it does."""
        return self.path / "supervisor.log"

    @property
    def gossip_key(self) -> Path:
        """The key by which all nodes encrypt their gossip, in base64; where no cluster does, there is no such file."""
        return self.path / "gossip.key"

    def data(self, name: str) -> Path:
        """The node's ``--data-dir``."""
        return self.path / "nodes" / name / "data"

    def is_empty(self, name: str) -> bool:
        """Whether the node has no data: it never ran, or its disk was wiped."""
        return not (self.data(name).is_dir() and any(self.data(name).iterdir()))

    def log(self, name: str) -> Path:
        """The node's standard error: its log."""
        return self.path / "nodes" / name / "stderr.log"

    def out(self, name: str) -> Path:
        """The node's standard output: its ready lines."""
        return self.path / "nodes" / name / "stdout.log"

    def was_ready(self, name: str) -> bool:
        """Whether the node ever said so, which it does when it has found its place in the cluster."""
        try:
            return any(READY.search(line) for line in self.out(name).read_text(errors="replace").splitlines())
        except FileNotFoundError:
            return False

    @property
    def is_used(self) -> bool:
        """Whether a cluster lies here, of whatever version."""
        return any((self.path / name).exists() for name in ("cluster.json", "nodes"))

    def load(self) -> Roster | None:
        """The roster, or None where no cluster was ever made."""
        try:
            return rosters.decode((self.path / "cluster.json").read_text())
        except FileNotFoundError:
            return None

    def save(self, roster: Roster) -> None:
        """Write the roster so that a reader sees the old one or the new one."""
        self.path.mkdir(parents=True, exist_ok=True)
        draft = self.path / "cluster.json.new"
        draft.write_text(rosters.encode(roster))
        os.replace(draft, self.path / "cluster.json")

    def make_gossip_key(self) -> None:
        """A new key, for its owner's eyes only."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.gossip_key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(GOSSIP_KEY_BYTES)) + b"\n")

    def take_lock(self) -> int | None:
        """Become this directory's supervisor: a descriptor to keep open, or None if there is one already."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(LOCK_ATTEMPTS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(LOCK_PAUSE_S)
                continue
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            return descriptor
        os.close(descriptor)
        return None

    def supervisor_pid(self) -> int | None:
        """The living supervisor's process id, None if there is none."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.read(descriptor, 20) or b"0")
        finally:
            os.close(descriptor)
        return None

    def log_tail(self, name: str, count: int, start: int = 0) -> list[str]:
        """The last ``count`` lines of the node's log, none of them from before byte ``start``."""
        try:
            with self.log(name).open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(start, end - count * LOG_LINE_BYTES_MAX))
                return file.read().decode(errors="replace").splitlines()[-count:]
        except FileNotFoundError:
            return []

    def remove(self) -> None:
        """Delete what the harness made, and nothing else; the directory itself only if it is then empty."""
        if self.supervisor_pid() is not None:
            raise Refused(f"a cluster is running in {self.path}: `dkv-harness down` stops it")
        shutil.rmtree(self.path / "nodes", ignore_errors=True)
        for name in ("cluster.json", "cluster.json.new", "control.sock", "supervisor.log", "gossip.key", "lock"):
            (self.path / name).unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()


def find(given: str | None) -> RunDir:
    """``--dir``, else ``DKV_RUN_DIR``, else ``.dkv`` under the current directory."""
    return RunDir(Path(given or os.environ.get(ENVIRONMENT) or DEFAULT))
