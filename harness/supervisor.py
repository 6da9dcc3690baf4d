"""The parent of all nodes of one run directory: starts, signals and reaps them, and nothing else.

It knows no HTTP and no Raft; verbs ask it over the run directory's unix socket (harness.control). Nodes die with it,
and in the foreground it dies with the command that started it, so that nothing outlives a ``kill -9`` of either. It is
a process of its own, with few imports, because nodes need one parent however many commands come and go.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from harness import ports, roster
from harness.command_lines import Home, command_line
from harness.control import LINE_BYTES_MAX
from harness.errors import HarnessError, Refused, describe_exit
from harness.process import Child, die_with_parent
from harness.roster import Roster
from harness.rundir import RunDir, find

GRACE_S = 10.0
"""Before SIGKILL: a node finishes what is in flight within 5 s (CONTRACT §2) and hands its leadership over."""
FOUNDER_LEAD_S = 0.7
"""A new cluster's other nodes can only wait for its founder. A node needs 0.7 s of processor time to start; on two
cores this lead brings five nodes' first write to about 2 s (0.5 s: 2.4 s), and the last voter, at 4.7 s, not later.
"""
KILL_WAIT_S = 10.0
"""Longest wait for the kernel to end a process that was sent SIGKILL."""

Request = dict[str, Any]
Verb = Callable[[Request], Awaitable[Request]]


class Supervisor:
    """Owns the children and the roster. ``origin``: the directory in which nodes run."""

    def __init__(self, run_dir: RunDir, cluster: Roster, origin: str) -> None:
        self._run_dir, self._roster, self._origin = run_dir, cluster, origin
        self._children = {name: self._child(name) for name in cluster.names}
        self._block = ports.claim(cluster.offset)
        self._reserved = [kept for node in cluster.nodes for kept in _reserve(node)]
        self._done = asyncio.Event()
        self._verbs: dict[str, Verb] = {
            "state": self._state,
            "start": self._start,
            "signal": self._signal,
            "stop": self._stop,
            "add": self._add,
            "drop": self._drop,
            "founded": self._founded,
            "down": self._down,
        }

    async def run(self) -> None:
        """Start every node, then serve verbs until ``down`` or SIGTERM."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._done.set)
        self._run_dir.control.unlink(missing_ok=True)  # of a supervisor that was killed; ours is the lock
        server = await asyncio.start_unix_server(self._serve, self._run_dir.control.name, limit=LINE_BYTES_MAX)
        try:
            await self._start_all()
            await self._done.wait()
        finally:
            await self._stop({"names": list(self._children), "grace_s": GRACE_S})
            self._run_dir.control.unlink(missing_ok=True)
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb = ""
        try:
            request = json.loads(await reader.readline())
            verb = request["verb"]
            writer.write(json.dumps(await self._answer(verb, request)).encode() + b"\n")
            await writer.drain()
        except (ValueError, KeyError, TypeError, OSError) as error:
            _say("a request was cut off or made no sense", verb=verb, error=str(error))
        finally:
            writer.close()
            if verb == "down":  # only now, so that whoever asked has the answer
                self._done.set()

    async def _answer(self, verb: str, request: Request) -> Request:
        if verb not in self._verbs:
            return {"ok": False, "error": f"the supervisor has no verb {verb!r}"}
        try:
            return {"ok": True, **await self._verbs[verb](request)}
        except (HarnessError, OSError) as error:
            return {"ok": False, "error": str(error)}

    async def _state(self, _: Request) -> Request:
        return {
            "pid": os.getpid(),
            "founded": self._roster.founded,
            "nodes": [self._facts(name) for name in self._roster.names],
        }

    async def _start_all(self) -> None:
        first, *others = self._roster.names
        await self._start({"names": [first]})
        if others and not self._roster.founded:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), FOUNDER_LEAD_S)
        if not self._done.is_set():
            await self._start({"names": others})

    async def _start(self, request: Request) -> Request:
        for name in request["names"]:
            child = self._known(name)
            if not child.running:
                self._launch(child)
        return {}

    async def _signal(self, request: Request) -> Request:
        """Send ``signal`` to ``names``; for SIGKILL wait until they are gone."""
        number, children = int(request["signal"]), [self._known(name) for name in request["names"]]
        for child in children:
            if number not in _HARMLESS:
                child.asked = "kill"
            child.signal(number)
        if number == signal.SIGKILL:
            waits = (asyncio.wait_for(child.ended.wait(), KILL_WAIT_S) for child in children)
            await asyncio.gather(*waits, return_exceptions=True)
        return {}

    async def _stop(self, request: Request) -> Request:
        """SIGTERM to ``names``, all at once. Answers who had to be killed after ``grace_s``."""
        children = [child for child in map(self._known, request["names"]) if child.running]
        willing = await asyncio.gather(*(child.stop(float(request["grace_s"])) for child in children))
        return {"killed": [child.name for child, by_itself in zip(children, willing, strict=True) if not by_itself]}

    async def _add(self, request: Request) -> Request:
        """Start a node of the next name on free ports, at ``host`` and by ``entry`` (harness.roster.Place) if given."""
        place = roster.Place(request.get("host", ports.HOST), tuple(request.get("entry", ())))
        offset = ports.choose_offset([self._roster.next_number], ports.is_free, first_offset=self._roster.offset)
        grown, node = roster.with_new_node(self._roster, offset, place)
        self._save(grown)
        self._reserved += _reserve(node)
        self._children[node.name] = self._child(node.name)
        self._launch(self._children[node.name])
        return {"name": node.name}

    async def _drop(self, request: Request) -> Request:
        """Forget a node that has ended; its files stay until ``clean``."""
        name = request["name"]
        if self._known(name).running:
            raise Refused(f"{name} still runs")
        self._save(roster.without_node(self._roster, name))
        del self._children[name]
        return {}

    async def _founded(self, _: Request) -> Request:
        self._save(replace(self._roster, founded=True))
        return {}

    async def _down(self, request: Request) -> Request:
        return await self._stop({"names": list(self._children), "grace_s": request["grace_s"]})

    def _known(self, name: str) -> Child:
        if name not in self._children:
            raise Refused(f"no node is called {name}: there are {', '.join(self._roster.names)}")
        return self._children[name]

    def _child(self, name: str) -> Child:
        return Child(name, self._run_dir.log(name), self._run_dir.out(name), self._origin)

    def _launch(self, child: Child) -> None:
        run_dir, name = self._run_dir, child.name
        if run_dir.is_empty(name):
            run_dir.out(name).unlink(missing_ok=True)  # what a wiped node had said is no longer true
        home = Home(str(run_dir.data(name)), str(run_dir.gossip_key), settled=run_dir.was_ready(name))
        child.start(command_line(self._roster, name, home), _say_ended)
        _say("started", node=child.name, pid=child.pid)

    def _save(self, changed: Roster) -> None:
        self._run_dir.save(changed)
        self._roster = changed

    def _facts(self, name: str) -> Request:
        node, child = self._roster.node(name), self._children[name]
        return {
            "name": name,
            "rest": node.rest,
            "raft": node.raft,
            "gossip": node.gossip,
            "gossip_rpc": node.gossip_rpc,
            "fault": node.fault,
            "entry": list(node.entry),
            "running": child.running,
            "pid": child.pid,
            "exit_code": child.exit_code,
            "asked": child.asked,
            "log_start": child.log_start,
        }


_HARMLESS = (signal.SIGSTOP, signal.SIGCONT)
"""Signals after which a node that ends has still ended by itself."""


def _reserve(node: roster.Node) -> list[socket.socket | None]:
    return [ports.reserve(address) for address in node.addresses]


def _say(event: str, **fields: object) -> None:
    print(json.dumps({"ts": round(time.time(), 3), "event": event, **fields}), file=sys.stderr, flush=True)


def _say_ended(child: Child) -> None:
    _say(
        "ended",
        node=child.name,
        how=describe_exit(child.exit_code),
        exit_code=child.exit_code,
        asked=child.asked,
        log_start=child.log_start,
        log_end=child.log_end,
    )


def main() -> None:
    """``python -m harness.supervisor --dir DIR [--parent PID]``: exits 1 if the directory has a supervisor already."""
    parser = argparse.ArgumentParser(prog="harness.supervisor")
    parser.add_argument("--dir", required=True)
    parser.add_argument("--parent", type=int, help="die with this process")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        die_with_parent(arguments.parent)()
    run_dir = find(arguments.dir)
    cluster = run_dir.load()
    if cluster is None or run_dir.take_lock() is None:
        sys.exit(f"{run_dir.path}: no cluster.json, or another supervisor is at work")
    origin = os.getcwd()
    os.chdir(run_dir.path)  # the socket is bound by a relative name: its address has room for 107 bytes
    asyncio.run(Supervisor(run_dir, cluster, origin).run())


if __name__ == "__main__":
    main()
