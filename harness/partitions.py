"""Verbs that break the links between the nodes of a running cluster, and what is broken now.

By the nodes' own fault ports, so it works on any machine and needs no root. The state is asked of the nodes each time:
nobody else keeps it. A node that is started anew hears everybody again on its side; what is cut stays silent by the
other side, until somebody heals it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from harness.cluster import Cluster
from harness.control import ask
from harness.errors import Refused, UsageError
from harness.exchange import Reply, exchange_all, get_all
from harness.observe import is_paused
from harness.rundir import RunDir
from harness.survey import Survey
from harness.systems import links
from harness.systems.base import Shape
from harness.systems.links import Broken

FAULT_S = 1.0
"""For a node to take a word at its fault port: it does nothing but remember it. A paused one takes it when it wakes."""
DELAY_S_MAX = 60.0
"""Longer than any patience in dkv: a link that is slower is cut."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")


def look(run_dir: RunDir) -> Broken:
    """What is cut and slowed now, by the word of the nodes that run; nothing where they have no fault ports."""
    awake = [
        node
        for node in ask(run_dir, "state")["nodes"]
        if node["fault"] and node["running"] and not is_paused(node["pid"])
    ]
    replies = get_all([(node["fault"], "/faults") for node in awake], FAULT_S)
    answers = [(node["name"], reply) for node, reply in zip(awake, replies, strict=True)]
    return links.understood({name: reply.body["links"] for name, reply in answers if reply and _took(reply)})


def stand(cluster: Cluster, *, detailed: bool = False) -> tuple[Survey, Broken]:
    """How everything stands, a node that is cut off counted as not there; and what is broken."""
    survey, broken = cluster.survey(detailed=detailed), look(cluster.run_dir)
    return replace(survey, cuts=broken.cuts), broken


def partition(cluster: Cluster, sides: str) -> list[str]:
    """``n1,n2/n3,n4,n5``: no side hears another one. A single side is cut off from the rest; what was cut is not."""
    groups = _groups(cluster, sides)
    cuts = links.between(groups)
    return _tell(cluster, Broken(cuts, look(cluster.run_dir).shapes), " | ".join(",".join(group) for group in groups))


def isolate(cluster: Cluster, selector: str) -> list[str]:
    """Each of these nodes is alone, besides what is cut already."""
    survey = cluster.survey()
    names = [member.name for member in cluster.choose(selector, lambda member: member.pid is not None, survey)]
    now = look(cluster.run_dir)
    return _tell(
        cluster, Broken(now.cuts | links.around(names, survey.names), now.shapes), f"isolated {','.join(names)}"
    )


def slow(cluster: Cluster, ends: Sequence[str], delay: str) -> list[str]:
    """Messages between two nodes, or all to and from the selected ones, take so much longer, each way."""
    delay_s, survey = parse_duration(delay), cluster.survey()
    chosen = [[member.name for member in cluster.choose(end, lambda _: True, survey)] for end in ends]
    slowed = links.both_ways(*chosen) if len(chosen) == 2 else links.around(chosen[0], survey.names)
    now = look(cluster.run_dir)
    shapes = {**now.shapes, **dict.fromkeys(slowed, Shape(delay_s=delay_s))}
    return _tell(
        cluster, Broken(now.cuts, shapes), f"{' ↔ '.join(map(','.join, chosen))}: {delay_s * 1000:g} ms each way"
    )


def heal(cluster: Cluster) -> list[str]:
    """Every fault of every node: links, clocks, disks, kill points."""
    failures = _each(cluster, lambda _: ("DELETE", "/faults", None))
    return ["every link is whole again, and every other fault is taken back", *failures]


def parse_duration(text: str) -> float:
    """``50ms``, ``1.5s`` → seconds. UsageError for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no duration: write 50ms or 1.5s")
    seconds = float(match[1]) * (0.001 if match[2] == "ms" else 1.0)
    if seconds > DELAY_S_MAX:
        raise UsageError(f"{text} is more than {DELAY_S_MAX:g} s: `partition` cuts")
    return seconds


def _groups(cluster: Cluster, sides: str) -> list[list[str]]:
    survey = cluster.survey()
    groups = [[member.name for member in cluster.choose(side, lambda _: True, survey)] for side in sides.split("/")]
    if len(groups) == 1:
        groups.append([name for name in survey.names if name not in groups[0]])
    named = [name for group in groups for name in group]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise UsageError(f"{', '.join(twice)} is on more than one side of {sides!r}")
    return groups


def _tell(cluster: Cluster, wanted: Broken, done: str) -> list[str]:
    names = [node["name"] for node in ask(cluster.run_dir, "state")["nodes"]]
    told = links.documents(names, wanted.cuts, wanted.shapes)
    return [done, *_each(cluster, lambda name: ("PUT", "/faults/links", told[name]))]


def _each(cluster: Cluster, request: Callable[[str], tuple[str, str, Any]]) -> list[str]:
    """Ask every node that runs. Returns a sentence for each that did not do it; Refused if none did."""
    running = [node for node in ask(cluster.run_dir, "state")["nodes"] if node["running"]]
    if deaf := [node["name"] for node in running if not node["fault"]]:
        raise Refused(f"{', '.join(deaf)} was started without a fault port (`up --no-fault-port`): nothing was done")
    replies = exchange_all([(node["fault"], *request(node["name"])) for node in running], FAULT_S)
    failures = [
        f"{node['name']} did not take it: {reply.error if reply else 'no answer at its fault port'}"
        for node, reply in zip(running, replies, strict=True)
        if not _took(reply)
    ]
    if len(failures) == len(running):
        raise Refused("; ".join(failures) or "no node runs: there is nobody to tell")
    return [f"WARNING: {failure}" for failure in failures]


def _took(reply: Reply | None) -> bool:
    return reply is not None and reply.status < 300
