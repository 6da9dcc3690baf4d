"""The command line: options, verbs, exit codes. Each verb tells what happened and how the cluster stands afterwards."""

from __future__ import annotations

import functools
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from harness import foreground, growth, logs, partitions, ports, rundir, startup
from harness.bench_cli import bench, compare
from harness.chaos_cli import chaos, doctor
from harness.check_cli import check
from harness.cluster import GRACE_S, Cluster
from harness.errors import WRONG_USAGE, HarnessError, Refused, UsageError
from harness.report.command import report
from harness.rundir import RunDir
from harness.selectors import ROLES, select
from harness.startup import Plan, Serving
from harness.survey import Health, health
from harness.view import View

INTERRUPTED = 130
"""128 + SIGINT, as shells count it."""
LOG_LINES = 100
SELECTOR = f"SELECTOR: names (n1 or n1,n2), or {', '.join(ROLES)}."

Body = Callable[..., None]


@contextmanager
def _wrong_usage() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        error.exit_code = WRONG_USAGE  # type: ignore[misc]  # of this one: `dkv` keeps click's own
        raise


class Verbs(click.Group):
    """Every command line that click refuses, a verb's too, ends with WRONG_USAGE."""

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:
        with _wrong_usage():
            return super().make_context(*arguments, **extra)

    def invoke(self, context: click.Context) -> Any:
        with _wrong_usage():
            return super().invoke(context)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--dir", "directory", help="Run directory (default: $DKV_RUN_DIR, else .dkv).")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="For people or programs.")
@click.pass_context
def verbs(context: click.Context, directory: str | None, output: str) -> None:
    """Start a local dkv cluster, break it, grow it, and see how it stands.

    Exit codes: 0 fine, 1 refused or failed, 2 outcome unknown, 64 wrong usage.
    """
    context.obj = {"directory": directory, "output": output}


def verb(name: str) -> Callable[[Body], click.Command]:
    """A verb ``name`` whose body gets ``view`` and ``run_dir`` first; a HarnessError becomes its exit code."""

    def decorate(body: Body) -> click.Command:
        @click.option("--dir", "directory", help="Run directory (default: $DKV_RUN_DIR, else .dkv).")
        @click.option("-o", "--output", type=click.Choice(["table", "json"]), help="For people or programs.")
        @functools.wraps(body)
        def run(directory: str | None, output: str | None, **arguments: Any) -> None:
            given = click.get_current_context().obj
            view = View(as_json=(output or given["output"]) == "json")
            try:
                body(view, rundir.find(directory or given["directory"]), **arguments)
            except HarnessError as error:
                view.failed(error)
                sys.exit(error.exit_code)
            except KeyboardInterrupt:
                sys.exit(INTERRUPTED)

        return verbs.command(name)(run)

    return decorate


def _act(view: View, run_dir: RunDir, action: Callable[[Cluster], Sequence[str]]) -> None:
    with view.progress() as say:
        cluster = Cluster(run_dir, random.Random(), say)
        told = action(cluster)
        survey, broken = partitions.stand(cluster, detailed=True)
    view.done(told, survey, broken)


@verb("up")
@click.argument("count", type=click.IntRange(1), required=False)
@click.option("-d", "--detach", is_flag=True, help="Return when it serves; `down` stops it.")
@click.option("--node-command", help="What starts a node, before its flags (default: this Python's dkv serve).")
@click.option(
    "--port-offset",
    type=click.IntRange(0, ports.OFFSET_MAX),
    default=0,
    help=f"Added to the ports from {ports.REST_BASE}, {ports.RAFT_BASE} and {ports.GOSSIP_BASE} on (moves on by itself "
    "if they are taken).",
)
@click.option(
    "--fault-port/--no-fault-port",
    "fault_ports",
    default=True,
    help=f"Give each new node a fault port (from {ports.FAULT_BASE} on, 127.0.0.1 only), by which `partition`, "
    "`isolate`, `slow` and `heal` work: this is a testbed. [default: yes]",
)
@click.option(
    "--gossip-key",
    "encrypted",
    is_flag=True,
    help="Make a key in the run directory (gossip.key) by which all nodes encrypt their gossip.",
)
def up(
    view: View,
    run_dir: RunDir,
    count: int | None,
    detach: bool,
    node_command: str | None,
    port_offset: int,
    fault_ports: bool,
    encrypted: bool,
) -> None:
    """Start COUNT nodes (default 3), or the stopped cluster of the run directory from its data."""
    began = startup.process_began()
    plan = startup.prepare(run_dir, count, node_command, port_offset, fault_ports=fault_ports, encrypted=encrypted)
    foreground.interrupt_on_signals()
    supervisor = startup.launch(run_dir, attached=not detach)
    cluster = Cluster(run_dir, random.Random(), lambda _: None)
    try:
        with view.progress() as cluster.say:
            serving = startup.wait_serving(cluster, supervisor, began)
    except (HarnessError, KeyboardInterrupt):
        startup.give_up(supervisor, GRACE_S)
        raise
    _present(view, run_dir, plan, serving, detach)
    if not detach:
        try:
            foreground.watch(cluster, supervisor, serving.survey, view)
        except foreground.Ended:
            view.say("the cluster was stopped by another command")
        except KeyboardInterrupt:
            foreground.stop(cluster, supervisor, view)


def _present(view: View, run_dir: RunDir, plan: Plan, serving: Serving, detach: bool) -> None:
    survey, names = serving.survey, plan.roster.names
    began = "went on from its data in" if plan.resumed else "new in"
    told = [f"{len(names)} nodes, {began} {run_dir.path}"]
    told.append(f"first write after {serving.first_write_s:.2f} s")
    if serving.all_voters_s is not None:
        told[-1] += f", all voters after {serving.all_voters_s:.2f} s"
    else:
        told.append(f"WARNING: not all nodes vote; the voters are {', '.join(survey.voters)}")
    if len(survey.voters) in (1, 2):
        told.append(f"WARNING: {len(survey.voters)} voters can lose none; three are the fewest that can lose one")
    times: dict[str, Any] = {
        "first_write_s": serving.first_write_s,
        "all_voters_s": serving.all_voters_s,
        "resumed": plan.resumed,
    }
    view.done(told, survey, **times)
    if view.as_json:
        return
    leader = survey.leader or survey.members[0]
    other = next((member for member in survey.members if member != leader), leader)
    here = "" if run_dir.path == rundir.find(None).path else f" --dir {run_dir.path}"
    stop = f"dkv-harness down{here}" if detach else f"Ctrl-C, or dkv-harness down{here}"
    view.say(f"""
  write   curl -sS http://{leader.rest}/ -d '{{"cmd": "set", "key": "greeting", "val": "hello"}}'
  read    curl -sS http://{other.rest}/ -d '{{"cmd": "get", "key": "greeting"}}'
  gossip  serf members -rpc-addr={leader.gossip_rpc}
  break   dkv-harness kill leader{here}
  stop    {stop}""")


@verb("down")
def down(view: View, run_dir: RunDir) -> None:
    """Stop all nodes and keep their data."""
    if run_dir.supervisor_pid() is None:
        view.done([f"no cluster is running in {run_dir.path}"])
        return
    with view.progress() as say:
        say("stopping all nodes")
        killed = startup.end(run_dir, GRACE_S)
    told = [f"stopped all nodes; the data stays in {run_dir.path}"]
    view.done(told + [f"{name} did not stop within {GRACE_S:g} s and was killed" for name in killed])


@verb("status")
def status(view: View, run_dir: RunDir) -> None:
    """How the cluster stands; exit code 1 if it cannot serve."""
    if run_dir.supervisor_pid() is None:
        roster = run_dir.load()
        known = f"; `up` starts its {len(roster.nodes)} nodes again" if roster else "; `up` makes one"
        raise Refused(f"no cluster is running in {run_dir.path}{known}")
    survey, broken = partitions.stand(Cluster(run_dir, random.Random(), lambda _: None), detailed=True)
    view.survey(survey, broken)
    if health(survey) not in (Health.HEALTHY, Health.DEGRADED):
        sys.exit(1)


@verb("logs")
@click.argument("selector", default="all")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    default=LOG_LINES,
    show_default=True,
    type=click.IntRange(0),
    help="How many to begin with.",
)
def show_logs(view: View, run_dir: RunDir, selector: str, follow: bool, lines: int) -> None:
    """The last lines of nodes' logs, also of nodes that are dead."""
    roster = run_dir.load()
    if roster is None:
        raise Refused(f"there is no cluster in {run_dir.path}")
    if {*selector.split(",")} & {*ROLES} - {"all"}:  # roles need a living cluster
        cluster = Cluster(run_dir, random.Random(), lambda _: None)
        names = [member.name for member in cluster.choose(selector, lambda _: True, cluster.survey())]
    else:
        names = select(selector, roster.names, None, random.Random())

    def emit(name: str, line: str) -> None:
        if view.as_json:
            view.line({"node": name, "line": line})
        else:
            print(line if len(names) == 1 else f"{name} {line}", flush=True)

    logs.show(run_dir, names, lines, emit)
    if follow:
        logs.follow(run_dir, names, emit)


@verb("kill")
@click.argument("selector")
@click.option("-s", "--signal", "signal_name", default="KILL", show_default=True, help="A name or a number.")
def kill(view: View, run_dir: RunDir, selector: str, signal_name: str) -> None:
    """Send nodes a signal (SIGKILL)."""
    number = _signal_number(signal_name)
    _act(view, run_dir, lambda cluster: cluster.kill(selector, number))


def _signal_number(text: str) -> int:
    try:
        if text.isdigit():
            return int(signal.Signals(int(text)))
        return int(signal.Signals[f"SIG{text.upper().removeprefix('SIG')}"])
    except (KeyError, ValueError):
        raise UsageError(f"{text!r} is no signal: write KILL, TERM, STOP, … or a number") from None


def _process_verb(name: str, summary: str, act: Callable[[Cluster, str], list[str]]) -> None:
    def body(view: View, run_dir: RunDir, selector: str) -> None:
        _act(view, run_dir, lambda cluster: act(cluster, selector))

    body.__doc__ = f"{summary}\n\n{SELECTOR}"
    verb(name)(click.argument("selector")(body))


_process_verb("stop", "End nodes gracefully (SIGTERM).", Cluster.stop)
_process_verb("start", "Start nodes that do not run, from their data, and wait until they are ready.", Cluster.start)
_process_verb("restart", "Stop nodes, all at once, and start them again.", Cluster.restart)
_process_verb("pause", "Freeze nodes (SIGSTOP): they are silent and do not know it.", Cluster.pause)
_process_verb("resume", "Let paused nodes go on (SIGCONT).", Cluster.resume)
_process_verb("leave", "Have one node leave the cluster and end by itself.", growth.leave)


@verb("add")
def add(view: View, run_dir: RunDir) -> None:
    """Start one node more and wait until it votes."""
    _act(view, run_dir, growth.add)


@verb("remove")
@click.argument("name")
def remove(view: View, run_dir: RunDir, name: str) -> None:
    """Take the node NAME out of the cluster, dead or alive, and stop its process."""
    _act(view, run_dir, lambda cluster: growth.remove(cluster, name))


@verb("transfer")
@click.argument("name", required=False)
def transfer(view: View, run_dir: RunDir, name: str | None) -> None:
    """Hand the leadership to the node NAME, or to the follower that is most up to date."""
    _act(view, run_dir, lambda cluster: growth.transfer(cluster, name))


@verb("partition")
@click.argument("sides", metavar="SIDE[/SIDE...]")
def partition(view: View, run_dir: RunDir, sides: str) -> None:
    """Cut the links between groups of nodes: n1,n2/n3,n4,n5. Of a single SIDE: from the rest.

    What was cut before is whole again; a node on no side hears everybody. A side is a SELECTOR.
    """
    _act(view, run_dir, lambda cluster: partitions.partition(cluster, sides))


@verb("isolate")
@click.argument("selector")
def isolate(view: View, run_dir: RunDir, selector: str) -> None:
    """Cut every link of each selected node, besides what is cut already."""
    _act(view, run_dir, lambda cluster: partitions.isolate(cluster, selector))


@verb("slow")
@click.argument("ends", metavar="SELECTOR [SELECTOR]", nargs=-1, required=True)
@click.argument("delay", metavar="DELAY")
def slow(view: View, run_dir: RunDir, ends: tuple[str, ...], delay: str) -> None:
    """Delay messages between two nodes (slow n1 n2 50ms), or all of the selected ones (slow leader 50ms).

    Each way, so a round trip takes twice as much longer; 0ms takes it back.
    """
    if len(ends) > 2:
        raise UsageError("slow takes one SELECTOR or two, and a duration: slow n1 n2 50ms")
    _act(view, run_dir, lambda cluster: partitions.slow(cluster, ends, delay))


@verb("heal")
def heal(view: View, run_dir: RunDir) -> None:
    """Make every link whole again, and take back every other fault that a node was told of."""
    _act(view, run_dir, partitions.heal)


@verb("clean")
def clean(view: View, run_dir: RunDir) -> None:
    """Delete the data and the logs of a stopped cluster."""
    if not run_dir.is_used:
        view.done([f"there is nothing to delete in {run_dir.path}"])
        return
    run_dir.remove()
    view.done([f"deleted the cluster in {run_dir.path}: data and logs"])


verbs.add_command(bench)
verbs.add_command(chaos)
verbs.add_command(check)
verbs.add_command(compare)
verbs.add_command(doctor)
verbs.add_command(report)
