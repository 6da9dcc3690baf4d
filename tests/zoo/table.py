"""The zoo's table: for each mutant how often it was found, how fast, by what; and the control runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tests.zoo.mutant import Mutant
from tests.zoo.trials import Outcome, Trial

IN_TIME_S = 60.0
"""Who is found later was not found in time, and is counted apart."""


def progress(trial: Trial) -> str:
    """A line as a series goes on."""
    when = f"{trial.found_s:6.1f} s" if trial.found_s is not None else "        "
    what = f"{trial.check}: {trial.sentence}" if trial.check else trial.sentence
    name = trial.mutant or f"({trial.system} as it is)"
    return f"{name:34s} seed {trial.seed:4d}  {trial.outcome:7s} {when}  load {trial.load:4.1f}  {what[:150]}"


def document(trials: Sequence[Trial], mutants: Mapping[str, Mutant]) -> str:
    """Markdown."""
    hunts = {key: made for mutant in mutants.values() for key, made in _series(trials, mutant).items()}
    rows = [_row(mutants[name], version, made) for (name, version), made in hunts.items()]
    controls = [_control(*key, made) for key, made in _controls(trials).items()]
    apart = [f"- {mutant.name}: {mutant.sentence} {mutant.harmless}" for mutant in mutants.values() if mutant.harmless]
    parts = [
        "# The bug zoo\n",
        "Mutants of our own node, one at a time (`tests/zoo`), and whether `dkv-harness chaos` finds them. A time is "
        "from the clients' first operation to the verdict; the load is the machine's as a run ended. A row is of one "
        "version of the code.\n",
        "| mutant | version | found in 60 s | median s | worst s | load | with | by | what a user would lose |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    if controls:
        parts += [
            "## As it is: false alarms\n",
            "| system | version | runs | alarms | unknown | trouble | seconds of chaos | load of the machine |",
            "|---|---|---|---|---|---|---|---|",
            *controls,
            "",
        ]
    misses = [_miss(trial) for made in hunts.values() for trial in made if not trial.as_it_should_be]
    alarms = [_miss(trial) for trial in trials if not trial.mutant and not trial.as_it_should_be]
    parts += _listed("## Trials that did not find their mutant\n", misses)
    parts += _listed("## Control runs that were not valid\n", alarms)
    parts += _listed("## Mutants that nobody could notice\n", apart)
    newest = {name: made for (name, _), made in hunts.items() if _found(made)}
    parts += _listed("## One verdict of each\n", [_example(name, made) for name, made in newest.items()])
    return "\n".join(parts)


def _series(trials: Sequence[Trial], mutant: Mutant) -> dict[tuple[str, str], list[Trial]]:
    """(name, version) → its trials, in the order in which versions came."""
    series: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        if _is_of(trial, mutant):
            series.setdefault((mutant.name, trial.version), []).append(trial)
    return series


def _controls(trials: Sequence[Trial]) -> dict[tuple[str, str], list[Trial]]:
    """(system, version) → its runs."""
    controls: dict[tuple[str, str], list[Trial]] = {}
    for trial in sorted((trial for trial in trials if not trial.mutant), key=lambda trial: trial.system):
        controls.setdefault((trial.system, trial.version), []).append(trial)
    return controls


def _row(mutant: Mutant, version: str, made: Sequence[Trial]) -> str:
    found = _found(made)
    times = [trial.found_s for trial in found if trial.found_s is not None]
    late = sum(time_s > IN_TIME_S for time_s in times)
    checks = ", ".join(sorted({name for trial in found for name in trial.check.split(", ")}))
    typical = f"{median(times):.1f}" if times else "–"
    worst = f"{max(times):.1f}" if times else "–"
    setting = ", ".join(sorted({_asked(trial) for trial in made}))
    counts = f"{len(found) - late} of {len(made)}" + (f", {late} later" if late else "")
    cells = (mutant.name, version, counts, typical, worst, _loads(made), setting, checks, mutant.sentence)
    return f"| {' | '.join(cells)} |"


def _asked(trial: Trial) -> str:
    words = (f"{trial.nodes} nodes", trial.faults, trial.workload, f"{trial.time_s:g} s", *trial.settings)
    return ", ".join(words)


def _control(system: str, version: str, made: Sequence[Trial]) -> str:
    counts = {outcome: sum(trial.outcome is outcome for trial in made) for outcome in Outcome}
    cells = (
        system,
        version,
        str(len(made)),
        str(counts[Outcome.INVALID]),
        str(counts[Outcome.UNKNOWN]),
        str(counts[Outcome.TROUBLE]),
        f"{sum(trial.time_s for trial in made):g}",
        _loads(made),
    )
    return f"| {' | '.join(cells)} |"


def _is_of(trial: Trial, mutant: Mutant) -> bool:
    """Whether it was run as the mutant is to be found today."""
    setting = (mutant.name, mutant.nodes, mutant.faults, mutant.workload, mutant.settings)
    return (trial.mutant, trial.nodes, trial.faults, trial.workload, trial.settings) == setting


def _loads(made: Sequence[Trial]) -> str:
    loads = [trial.load for trial in made]
    return f"{min(loads):.0f}–{max(loads):.0f}"


def _miss(trial: Trial) -> str:
    reached = f"; reached: {', '.join(trial.reached)}" if trial.reached else ""
    who = f"{trial.mutant or trial.system}, version {trial.version}, seed {trial.seed}"
    return f"- {who}: {trial.outcome}. {trial.sentence}{reached}"


def _example(name: str, made: Sequence[Trial]) -> str:
    first = _found(made)[0]
    return f"- {name}, seed {first.seed}, {first.found_s} s: {first.sentence}"


def _found(made: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in made if trial.outcome is Outcome.INVALID]


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *lines, ""] if lines else []
