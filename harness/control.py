"""How verbs talk to the supervisor: one JSON line there, one back, over a unix socket in the run directory."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.errors import Refused, Undecided
from harness.rundir import RunDir

LINE_BYTES_MAX = 1 << 20
"""The longest line either side reads; a state of 99 nodes is about 30 KB."""
ANSWER_S = 10.0
"""For requests that the supervisor answers at once."""


def ask(run_dir: RunDir, verb: str, timeout_s: float = ANSWER_S, **arguments: Any) -> dict[str, Any]:
    """Have the supervisor do ``verb``. Refused if it says no or is not there, Undecided if it does not answer."""
    try:
        with _connection(run_dir, timeout_s) as stream:
            stream.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            with stream.makefile("rb") as replies:
                line = replies.readline(LINE_BYTES_MAX)
    except TimeoutError as error:
        raise Undecided(f"the supervisor of {run_dir.path} did not answer within {timeout_s:g} s") from error
    except OSError as error:
        raise Refused(f"no cluster is running in {run_dir.path}: `dkv-harness up` starts one") from error
    if not line:
        raise Undecided(f"the supervisor of {run_dir.path} ended while it was asked to {verb}")
    reply: dict[str, Any] = json.loads(line)
    if not reply.pop("ok"):
        raise Refused(str(reply["error"]))
    return reply


@contextmanager
def _connection(run_dir: RunDir, timeout_s: float) -> Iterator[socket.socket]:
    # An address of a unix socket has room for 107 bytes; a deep run directory is reached through a descriptor of it.
    directory = os.open(run_dir.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(timeout_s)
            stream.connect(f"/proc/self/fd/{directory}/{run_dir.control.name}")
            yield stream
    finally:
        os.close(directory)
