"""``up`` in the foreground: tell what happens until somebody ends it, then stop everything in order."""

from __future__ import annotations

import signal
import subprocess
import time
from types import FrameType
from typing import NoReturn

from harness import partitions, startup
from harness.cluster import GRACE_S, Cluster
from harness.errors import HarnessError
from harness.survey import Survey, changes
from harness.systems.links import Broken
from harness.view import View

WATCH_S = 0.5
"""Between two looks at the cluster: a request to ``/status`` and one to the fault port cost a node nothing."""


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
    broken = Broken()
    while True:
        time.sleep(WATCH_S)
        try:
            now, broken_now = partitions.stand(cluster)
        except HarnessError:
            if supervisor.poll() is not None:
                raise Ended from None
            continue
        for sentence in (*_mended(broken, broken_now), *changes(survey, now)):
            view.say(f"{time.strftime('%H:%M:%S')} {sentence}")
        survey, broken = now, broken_now


def _mended(before: Broken, after: Broken) -> list[str]:
    """What is broken between the nodes, where that changed."""
    return [] if before == after else after.sentences() or ["every link is whole again"]


def stop(cluster: Cluster, supervisor: subprocess.Popen[bytes], view: View) -> None:
    """Stop all nodes; a second Ctrl-C kills them instead. Returns when none is left."""
    view.say("stopping all nodes (Ctrl-C again kills them)")
    try:
        startup.give_up(supervisor, GRACE_S)
    except KeyboardInterrupt:
        supervisor.kill()  # its nodes die with it
        supervisor.wait()
    view.say(f"stopped; the data stays in {cluster.run_dir.path}: `up` goes on with it, `clean` deletes it")
