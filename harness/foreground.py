"""``up`` in the foreground: tell what happens until somebody ends it, then stop everything in order."""

from __future__ import annotations

import signal
import subprocess
import time
from types import FrameType
from typing import NoReturn

from harness import startup
from harness.cluster import GRACE_S, Cluster
from harness.errors import HarnessError
from harness.survey import Survey, changes
from harness.view import View

WATCH_S = 0.5
"""Between two looks at the cluster: five requests to ``/status`` cost the nodes nothing."""


class Ended(Exception):
    """The supervisor is gone: another command stopped the cluster, or somebody killed it."""


def interrupt_on_signals() -> None:
    """A closed terminal and a polite kill end ``up`` as Ctrl-C does: everything is stopped in order."""

    def interrupt(_: int, __: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)


def watch(cluster: Cluster, supervisor: subprocess.Popen[bytes], survey: Survey, view: View) -> None:
    """Tell every change. Raises Ended, or KeyboardInterrupt from a signal."""
    while True:
        time.sleep(WATCH_S)
        try:
            now = cluster.survey()
        except HarnessError:
            if supervisor.poll() is not None:
                raise Ended from None
            continue
        for sentence in changes(survey, now):
            view.say(f"{time.strftime('%H:%M:%S')} {sentence}")
        survey = now


def stop(cluster: Cluster, supervisor: subprocess.Popen[bytes], view: View) -> None:
    """Stop all nodes; a second Ctrl-C kills them instead. Returns when none is left."""
    view.say("stopping all nodes (Ctrl-C again kills them)")
    try:
        startup.give_up(supervisor, GRACE_S)
    except KeyboardInterrupt:
        supervisor.kill()  # its nodes die with it
        supervisor.wait()
    view.say(f"stopped; the data stays in {cluster.run_dir.path}: `up` goes on with it, `clean` deletes it")
