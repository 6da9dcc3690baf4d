"""From nothing, or from a stopped cluster's data, to one that truly serves: an acknowledged write, then every voter."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from harness import observe, ports, roster
from harness.cluster import Cluster
from harness.control import ask
from harness.errors import Refused, Undecided
from harness.exchange import Reply, Unanswered, exchange
from harness.roster import Places, Roster
from harness.rundir import RunDir
from harness.survey import Survey

NODE_COMMAND = (sys.executable, "-m", "dkv", "serve")
NODES_DEFAULT = 3
SERVE_S = 60.0
"""For the first write: generous, because a node that fails ends its process, and that is noticed at once."""
VOTERS_S = 30.0
"""For everybody to be a voter after it: some seconds for five on a busy machine."""
WRITE_S = 2.0
"""For one attempt of the first write: longer than an election, so that a node that waits for one may answer."""
ATTEMPT_PAUSE_S = 0.02
"""A refused connection costs nothing; this keeps the attempts from competing with the nodes for the processor."""
PROBE_KEY = "dkv-harness/up"
SUPERVISOR_LOG_LINES = 20
STOP_SLACK_S = 5.0
"""Beyond the grace: for SIGKILL to be done and the answer to come."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``resumed``: the directory held a cluster, which is started from its data."""

    roster: Roster
    resumed: bool


@dataclass(frozen=True, slots=True)
class Serving:
    """Seconds since the command began: to the first acknowledged write, to the moment when all nodes were voters."""

    first_write_s: float
    all_voters_s: float | None
    """None: not within VOTERS_S."""
    survey: Survey


def prepare(
    run_dir: RunDir,
    count: int | None,
    node_command: str | None,
    first_offset: int = 0,
    *,
    fault_ports: bool = False,
    encrypted: bool = False,
    places: Places = lambda _: roster.HERE,
) -> Plan:
    """The roster to start: the one in the directory, else a new one. Refused if it runs, or is another one.

    ``encrypted``: a new one gossips by a key that is made for it; one that is there already does so or does not.
    """
    if (pid := run_dir.supervisor_pid()) is not None:
        raise Refused(
            f"a cluster is running in {run_dir.path} (supervisor {pid}): `dkv-harness status` shows it, "
            "`dkv-harness down` stops it"
        )
    known = run_dir.load()
    if known is not None:
        if count not in (None, len(known.nodes)):
            raise Refused(
                f"{run_dir.path} holds a cluster of {len(known.nodes)} ({', '.join(known.names)}): `dkv-harness up` "
                "without a number starts it again, then `add` and `leave` change its size; `clean` deletes it"
            )
        if encrypted and not known.encrypted:
            raise Refused(
                f"{run_dir.path} holds a cluster that gossips without a key: `dkv-harness up` starts it again as it "
                "was, `clean` deletes it"
            )
        _check_ports(known)
        return Plan(known, resumed=known.founded)
    wanted = NODES_DEFAULT if count is None else count
    command = tuple(shlex.split(node_command)) if node_command else NODE_COMMAND
    offset = ports.choose_offset(range(1, wanted + 1), ports.is_free, ports.is_claimed, first_offset)
    fresh = roster.new_roster(wanted, offset, command, fault_ports=fault_ports, encrypted=encrypted, places=places)
    if encrypted:
        run_dir.make_gossip_key()
    run_dir.save(fresh)
    return Plan(fresh, resumed=False)


def _check_ports(known: Roster) -> None:
    """The nodes' addresses are written in their data: they cannot move out of somebody's way."""
    for node in known.nodes:
        for address in node.addresses:
            if not ports.is_free(int(address.rpartition(":")[2])):
                raise Refused(f"{address}, where {node.name} listens, is taken by another process: end that first")


def launch(run_dir: RunDir, *, attached: bool) -> subprocess.Popen[bytes]:
    """Start the supervisor, which starts the nodes. ``attached``: it dies with this process, however that ends."""
    command = [sys.executable, "-m", "harness.supervisor", "--dir", str(run_dir.path)]
    if attached:
        command += ["--parent", str(os.getpid())]
    with run_dir.supervisor_log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is for the command, which then stops everything in order
        )


def wait_serving(cluster: Cluster, supervisor: subprocess.Popen[bytes], began: float) -> Serving:
    """``began``: ``time.time()`` at the start of the command. NodeDied as soon as any node ends."""
    deadline = time.monotonic() + SERVE_S
    wait_supervisor(cluster.run_dir, supervisor, deadline)
    cluster.say("waiting for the first write")
    writer = _first_write(cluster, deadline)
    first_write_s = time.time() - began
    ask(cluster.run_dir, "founded")
    names = [node["name"] for node in ask(cluster.run_dir, "state")["nodes"]]
    cluster.say(f"serves after {first_write_s:.2f} s; waiting until all {len(names)} nodes are voters")
    all_voters_s = None
    try:
        cluster.wait(lambda s: _all_vote(s, names), VOTERS_S, f"{len(names)} voters", names)
        all_voters_s = time.time() - began
    except Undecided:
        pass  # it serves: whoever started it sees in the table who does not vote
    _write(writer, {"cmd": "delete", "key": PROBE_KEY})
    return Serving(first_write_s, all_voters_s, cluster.survey(detailed=True))


def _all_vote(survey: Survey, names: list[str]) -> bool:
    return set(names) <= set(survey.voters) and all(survey.member(name).word for name in names)


def wait_supervisor(run_dir: RunDir, supervisor: subprocess.Popen[bytes], deadline: float) -> None:
    """Until this supervisor answers. Refused, with the end of its log, if it does not."""
    while not _is_there(run_dir, supervisor.pid):
        if supervisor.poll() is not None or time.monotonic() > deadline:
            log = run_dir.supervisor_log.read_text(errors="replace").splitlines()[-SUPERVISOR_LOG_LINES:]
            raise Refused("the supervisor did not start:\n" + "\n".join(f"  {line}" for line in log))
        time.sleep(ATTEMPT_PAUSE_S)


def _is_there(run_dir: RunDir, pid: int) -> bool:
    """Whether it is ours that answers, not that of another ``up`` which was a moment quicker."""
    try:
        return bool(ask(run_dir, "state")["pid"] == pid)
    except Refused:
        return False


def _first_write(cluster: Cluster, deadline: float) -> str:
    """The address that acknowledged it."""
    while time.monotonic() < deadline:
        for node in ask(cluster.run_dir, "state")["nodes"]:
            if node["exit_code"] is not None:
                cluster.raise_if_dead(observe.survey(cluster.run_dir), [node["name"]])
            address = node["rest"]
            if not observe.is_ours(node):
                continue
            reply = _write(address, {"cmd": "set", "key": PROBE_KEY, "val": "serving"})
            if reply is not None and reply.status == 307 and (address := _location(reply)):
                reply = _write(address, {"cmd": "set", "key": PROBE_KEY, "val": "serving"})
            if reply is not None and reply.status == 200:
                return str(address)
        time.sleep(ATTEMPT_PAUSE_S)
    raise Undecided(f"no write was acknowledged within {SERVE_S:g} s; `dkv-harness logs` tells what the nodes say")


def _write(address: str, command: dict[str, str]) -> Reply | None:
    try:
        return exchange(address, "POST", "/", command, timeout_s=WRITE_S)
    except Unanswered:
        return None


def _location(reply: Reply) -> str:
    return reply.headers.get("location", "").partition("://")[2].partition("/")[0]


def give_up(supervisor: subprocess.Popen[bytes], grace_s: float) -> None:
    """Stop all nodes and this command's own supervisor. Returns when it has ended."""
    supervisor.terminate()  # it stops its nodes, within its own grace
    try:
        supervisor.wait(timeout=grace_s + STOP_SLACK_S)
    except subprocess.TimeoutExpired:
        supervisor.kill()  # its nodes die with it
    supervisor.wait()


def end(run_dir: RunDir, grace_s: float) -> list[str]:
    """Stop all nodes and the directory's supervisor, whoever started it. Returns the nodes that had to be killed."""
    killed: list[str] = []
    try:
        killed = ask(run_dir, "down", grace_s + STOP_SLACK_S, grace_s=grace_s)["killed"]
    except Undecided:
        pass
    deadline = time.monotonic() + STOP_SLACK_S
    while (pid := run_dir.supervisor_pid()) is not None:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)  # it holds the lock, so it is the supervisor; its nodes die with it
            deadline += STOP_SLACK_S
        time.sleep(ATTEMPT_PAUSE_S)
    return killed


def process_began() -> float:
    """When this process was started (seconds since the epoch): the user's own stopwatch, interpreter included."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])  # proc(5): starttime
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s
