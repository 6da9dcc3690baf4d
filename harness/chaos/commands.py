"""What ``dkv-harness chaos`` does: a run, a replay, a shrinking. Options in, exit code out."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import uvloop

from harness import foreground
from harness.chaos import progress
from harness.chaos.files import CLUSTER, Manifest, RunFiles, load_manifest, load_plan, load_verdict
from harness.chaos.live import ChildJudge
from harness.chaos.rig import Rig, build
from harness.chaos.run import Run
from harness.chaos.shrink import Outcome, Shrinker
from harness.errors import HarnessError, Refused, UsageError
from harness.faults.catalog import chosen, possible
from harness.history.records import Validity, Verdict
from harness.plan.drawing import draw
from harness.plan.reduction import Pair
from harness.report import files as reports
from harness.systems.base import Ability
from harness.systems.network_kernel import KernelNetwork, available, enter_namespace, is_inside

EXIT = {Validity.VALID: 0, Validity.INVALID: 1, Validity.UNKNOWN: 2}
SEEDS = 2**31
ABILITIES = {"dkv": frozenset(Ability), "etcd": frozenset({Ability.PROCESS, Ability.CUT})}
"""Of each system where the kernel's network is; etcd has none but processes without it."""
MEASURED = 3
"""Runs of the smallest plan at the end of a shrinking."""


@dataclass(frozen=True)
class Setting:
    """What all runs of a command share."""

    kernel: KernelNetwork | None
    network: str
    node_command: str | None
    port_offset: int
    keep_going: bool
    hold: bool
    as_json: bool


def chaos(*, as_json: bool, **options: Any) -> int:
    """The exit code. Raises HarnessError for trouble that is not the system's."""
    foreground.interrupt_on_signals()
    given = options["replay"] or options["shrink"]
    setting = _setting(options, load_manifest(given) if given else None, as_json)
    out = options["out"] or Path("runs") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    try:
        if options["shrink"]:
            return _shrink(options, out, setting)
        pair = load_plan(options["replay"]) if options["replay"] else _drawn(options, setting)
        out = options["out"] or Path(f"{out}-{pair[0].seed}")
        verdict = execute(pair, out, setting)
        _present(out, verdict, as_json)
        return EXIT[verdict.validity]
    finally:
        if setting.kernel is not None:
            setting.kernel.close()


def _setting(options: dict[str, Any], former: Manifest | None, as_json: bool) -> Setting:
    """As ``former``, where nothing is asked for. Enters the kernel's network if it is wanted, or can be had."""
    wanted = former.network if former and options["network"] == "auto" else options["network"]
    network = {"auto": "hook" if available() else "kernel"}.get(wanted, wanted)
    if network == "kernel" and not is_inside():
        enter_namespace([sys.executable, "-m", "harness", *sys.argv[1:]])
    return Setting(
        kernel=KernelNetwork() if network == "kernel" else None,
        network=network,
        node_command=options["node_command"] or (former.node_command if former else None),
        port_offset=options["port_offset"],
        keep_going=options["keep_going"],
        hold=options["hold"],
        as_json=as_json,
    )


def _drawn(options: dict[str, Any], setting: Setting) -> Pair:
    """A new plan. A seed that nobody gave is drawn."""
    system, nodes = options["system"], options["nodes"]
    abilities = ABILITIES[system] - (frozenset({Ability.CUT}) if system == "etcd" and not setting.kernel else set())
    words = [word.strip() for word in options["faults"].split(",") if word.strip() and word.strip() != "none"]
    kinds = possible(chosen(words), abilities, nodes)
    if words and not kinds:
        raise UsageError(f"{system} with {nodes} nodes can suffer none of {options['faults']!r} on this machine")
    return draw(
        seed=options["seed"] if options["seed"] is not None else random.SystemRandom().randrange(SEEDS),
        duration_s=options["duration_s"],
        nodes=nodes,
        kinds=kinds,
        workload=options["workload"],
        clients=options["clients"],
        rate=options["rate"],
        system=system,
        settings=_numbers(options["settings"], system),
    )


def _numbers(settings: Sequence[str], system: str) -> dict[str, int]:
    """``NAME=NUMBER`` each; a node that knows no such name says so when it starts."""
    if settings and system != "dkv":
        raise UsageError(f"--setting is for dkv's nodes; {system} has none of them")
    pairs = [setting.partition("=") for setting in settings]
    for name, _, number in pairs:
        if not name.isidentifier() or not number.isdecimal():
            raise UsageError(f"--setting takes NAME=NUMBER, as keep_entries=1000, not {name + '=' + number!r}")
    return {name: int(number) for name, _, number in pairs}


def execute(pair: Pair, out: Path, setting: Setting) -> Verdict:
    """One run into ``out``, with its reports."""
    plan, operations = pair
    manifest = Manifest(
        versions={"dkv": _version("dkv"), "python": platform.python_version()},
        git=_git(),
        command=shlex.join(["dkv-harness", *sys.argv[1:]]),
        seed=plan.seed,
        system=plan.system,
        nodes=tuple(f"n{number}" for number in range(1, plan.nodes + 1)),
        network=setting.network,
        host={"system": platform.platform(), "processors": os.cpu_count()},
        began=datetime.now(UTC).isoformat(timespec="seconds"),
        node_command=setting.node_command,
    )
    files = RunFiles(out, manifest, plan, operations)
    rig = build(
        plan.system,
        files.cluster,
        plan.nodes,
        kernel=setting.kernel,
        port_offset=setting.port_offset,
        node_command=setting.node_command,
        settings=plan.settings,
    )
    with progress.watching(as_json=setting.as_json) as watch:
        return _run(rig, pair, files, watch, setting)


def _run(rig: Rig, pair: Pair, files: RunFiles, watch: progress.Watch, setting: Setting) -> Verdict:
    async def body() -> Verdict:
        run = Run(rig, *pair, files, ChildJudge(), watch, keep_going=setting.keep_going, hold=setting.hold)
        return await run.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(body())
        except BaseExceptionGroup as group:
            raise _cause(group) from group


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one thing that went wrong: task groups wrap it once for every level."""
    inner = group.exceptions[0]
    return _cause(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _present(out: Path, verdict: Verdict, as_json: bool) -> None:
    report: Path | None = None
    try:
        report = reports.write(out)
    except HarnessError as error:
        print(f"dkv-harness: the report could not be written: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps(progress.document(out, verdict, report)))
        return
    commands = [f"dkv-harness chaos --replay {out}"]
    if verdict.validity is Validity.INVALID:
        commands.append(f"dkv-harness chaos --shrink {out}")
    progress.summary(out, verdict, report, commands)


def _shrink(options: dict[str, Any], out: Path, setting: Setting) -> int:
    """Trials under ``out``; the smallest plan that failed ends as ``out``/smallest."""
    original: Path = options["shrink"]
    known = load_verdict(original)
    names = {check.name for check in known.checks if check.validity is Validity.INVALID} if known else set()
    if known is not None and not names:
        raise Refused(f"{original} did not fail: there is nothing to shrink")
    say = _sayer(setting.as_json)
    give_up = time.monotonic() + options["shrink_s"]
    trials = _Trials(out, replace(setting, as_json=True, keep_going=False, hold=False), names)
    shrinker = Shrinker(trials.run, options["reruns"], say, lambda: time.monotonic() < give_up)
    pair = load_plan(original)
    best = shrinker.shrink(pair)
    if best is None:
        say(f"the plan of {original} did not fail again in {shrinker.trials} runs: nothing was shrunk")
        return EXIT[Validity.UNKNOWN]
    failures = shrinker.measure(best, MEASURED)
    say(
        f"{len(pair[0].faults)} faults, {pair[0].duration_s:g} s, {pair[0].clients} clients → {len(best[0].faults)} "
        f"faults, {best[0].duration_s:g} s, {best[0].clients} clients; failed {failures} of {MEASURED}; "
        f"{shrinker.trials} runs"
    )
    if trials.smallest is not None:
        smallest = out / "smallest"
        shutil.move(trials.smallest, smallest)
        say(f"dkv-harness chaos --replay {smallest}")
    if setting.as_json:
        print(json.dumps({"ok": True, "run": str(out / "smallest"), "failed": failures, "of": MEASURED}))
    return EXIT[Validity.INVALID]


class _Trials:
    """Runs of candidates; keeps the directory of the last that failed, and of the others nothing."""

    def __init__(self, out: Path, setting: Setting, names: set[str]) -> None:
        self._out, self._setting, self._names = out, setting, names
        self._count = 0
        self.smallest: Path | None = None

    def run(self, pair: Pair) -> Outcome:
        self._count += 1
        path = self._out / f"trial-{self._count}"
        verdict = execute(pair, path, self._setting)
        failed = {check.name for check in verdict.checks if check.validity is Validity.INVALID}
        if not (failed & self._names if self._names else failed):
            shutil.rmtree(path)
            return Outcome(False)
        if self.smallest is not None:
            shutil.rmtree(self.smallest)
        self.smallest = path
        reports.write(path)
        shutil.rmtree(path / CLUSTER / "nodes", ignore_errors=True)
        return Outcome(True, float(verdict.statistics.get("violation_seen_s", pair[0].duration_s)))


def _sayer(as_json: bool) -> Callable[[str], None]:
    def say(sentence: str) -> None:
        print(json.dumps({"event": sentence}) if as_json else sentence, flush=True)

    return say


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _git() -> str:
    """The checkout's commit, "" where there is none."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=5.0,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
