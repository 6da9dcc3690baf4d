"""Looking at a running cluster from outside: the supervisor's facts, each node's ``/status``, the kernel's counters."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from harness.control import ask
from harness.exchange import Reply, Unanswered, exchange, get_all
from harness.gossip import decisions, sightings
from harness.rundir import RunDir
from harness.survey import Member, State, Survey, Word

STATUS_S = 1.0
"""A node that runs answers within milliseconds; one that is paused never does."""
CPU_SAMPLE_S = 0.1
"""Over which the CPU share is measured, where it is asked for."""


def survey(run_dir: RunDir, *, detailed: bool = False) -> Survey:
    """Ask everybody, once. ``detailed``: how gossip sees them, memory and CPU as well (takes CPU_SAMPLE_S)."""
    facts = ask(run_dir, "state")["nodes"]
    running = [node for node in facts if node["running"]]
    paths = ("/status", "/nodes") if detailed else ("/status",)
    replies = get_all([(node["rest"], path) for path in paths for node in running], STATUS_S)
    words = {node["name"]: _word(node, reply) for node, reply in zip(running, replies, strict=False)}
    views = zip(running, replies[len(running) :], strict=False)
    bodies = {node["name"]: reply.body for node, reply in views if reply and words[node["name"]]}
    seen = sightings([node["name"] for node in facts], bodies)
    usage = _usage([node["pid"] for node in running]) if detailed else {}
    members = tuple(_member(node, words.get(node["name"]), usage) for node in facts)
    found = Survey(
        tuple(replace(member, gossip=seen.nodes.get(member.name, {})) for member in members), strangers=seen.strangers
    )
    return replace(found, autopilot=decisions(bodies.get(found.leader.name)) if found.leader else ())


def is_ours(node: dict[str, Any]) -> bool:
    """Whether the supervisor's child is who answers at the node's address: another process may have got its port."""
    try:
        return _is_from(exchange(node["rest"], "GET", "/status", timeout_s=STATUS_S), node)
    except Unanswered:
        return False


def _is_from(reply: Reply, node: dict[str, Any]) -> bool:
    return reply.status == 200 and isinstance(reply.body, dict) and reply.body.get("pid") == node["pid"]


def name_of(identity: str) -> str:
    """``n1.3f9a2c1b`` → ``n1``: names have no dot, so this is the identity without its incarnation."""
    return identity.partition(".")[0]


def _word(node: dict[str, Any], reply: Reply | None) -> Word | None:
    """None if it did not answer, or is still starting."""
    if reply is None or not _is_from(reply, node):
        return None
    body = reply.body
    try:
        return Word(
            role=str(body["role"]),
            term=int(body["term"]),
            commit=int(body["commit_index"]),
            applied=int(body["applied_index"]),
            voters=tuple(sorted(name_of(str(identity)) for identity in body.get("voters", ()))),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _member(node: dict[str, Any], word: Word | None, usage: dict[int, tuple[int, float]]) -> Member:
    memory_bytes, cpu_percent = usage.get(node["pid"], (None, None))
    return Member(
        name=node["name"],
        rest=node["rest"],
        state=_state(node),
        pid=node["pid"],
        exit_code=node["exit_code"],
        word=word,
        memory_bytes=memory_bytes,
        cpu_percent=cpu_percent,
        log_start=node["log_start"],
        gossip_rpc=node["gossip_rpc"],
    )


def _state(node: dict[str, Any]) -> State:
    if node["running"]:
        return State.PAUSED if is_paused(node["pid"]) else State.RUNNING
    if node["asked"] == "kill":
        return State.KILLED
    return State.STOPPED if node["asked"] in ("stop", "nothing") or node["exit_code"] == 0 else State.DEAD


def is_paused(pid: int) -> bool:
    """Whether the process stands still by SIGSTOP."""
    import psutil  # 60 ms of imports that nodes which are starting would rather have

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def _usage(pids: list[int]) -> dict[int, tuple[int, float]]:
    """Process id → (resident bytes, per cent of one core)."""
    import psutil

    found: dict[int, tuple[int, float]] = {}
    processes = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            process.cpu_percent()
            processes.append(process)
        except psutil.NoSuchProcess:
            continue
    time.sleep(CPU_SAMPLE_S)
    for process in processes:
        try:
            found[process.pid] = (process.memory_info().rss, process.cpu_percent())
        except psutil.NoSuchProcess:
            continue
    return found
