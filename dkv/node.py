"""One node's life, from its first flag to its last word; ``assembly`` makes the organs that it lives by.

Order of start: the fault port (where one is asked for), storage, HTTP (``/livez`` answers from here on, the rest is
refused), gossip, identity (from disk, by founding, or by joining), recovery, links, requests. Order of stop: refuse,
finish what is in flight, hand the leadership over, close HTTP, gossip (with a farewell if we do not come back), links,
turn, storage. Law: a data directory that names its cluster outweighs every flag.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import logging
import os
import random
import signal
import socket
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import dkv
from dkv import identity as identities
from dkv.abort import die
from dkv.addresses import Address, loopback_source, parse_address
from dkv.api.egress import Egress
from dkv.api.fault_port import FaultPort
from dkv.api.handling import OnFollower
from dkv.api.peer_calls import PeerCalls
from dkv.api.server import ApiServer
from dkv.assembly import DATA_GROUP, Assembly
from dkv.clock import Clock, MonotonicClock
from dkv.config import Config
from dkv.directory import Directory, load_hints, name_in
from dkv.errors import DkvError, FatalError, StartupError
from dkv.faults.state import Faults, files_of
from dkv.gate import Gate
from dkv.gossip.agent.sockets import Sockets
from dkv.gossip.agent.sockets import bind as bind_gossip
from dkv.gossip.wire.particulars import Address as GossipAddress
from dkv.herald import Herald
from dkv.identity import Identity
from dkv.joining import MemberInfo, recall_targets
from dkv.metrics import Metrics
from dkv.net.door import bind
from dkv.net.peers import Peers
from dkv.operations import NodeOperations, Organs
from dkv.ports import Ports, listen_again, load_ports, save_ports
from dkv.raft.status import Role
from dkv.raft.storage import Storage
from dkv.residence import REMOVED, Residence
from dkv.sightings import sightings

READY_PATIENCE_S = 2.0
"""A node that finds no leader says that it is ready without one, rather than not at all: its peers may come later."""

TRANSFER_S = 2.0
"""For the leadership to go over when the leader stops: an election takes at most 1.2 s."""

DRAIN_S = 1.0
"""For accepted writes to be committed before the leadership is given away; most take milliseconds."""

DEPART_S = 10.0
"""For the cluster to let us go after an operator sent us away."""

CLOSE_S = 3.0
"""For the links to the peers to close; they take a second at most, and whoever stops must not wait for a network."""

GC_THRESHOLD = 50_000
"""Allocations between two collections (the default is 700 to 2,000): what a request makes is freed by reference
counting; what recovery made is frozen. Collections only have to find the rare cycle of an exception's traceback."""

log = logging.getLogger(__name__)


class _Doors(NamedTuple):
    """Where a node listens. REST's is open already."""

    rest: Address
    raft: Address
    listener: socket.socket
    gossip: Sockets


class Node:
    """``run`` returns when the node was told to stop, with the process's exit code."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._hints, self._ports = config.data_dir / "members.json", config.data_dir / "ports.json"
        self._rng = random.Random()
        self._faults = None if config.fault_port is None else Faults(self._rng)
        self._clock: Clock = MonotonicClock() if self._faults is None else self._faults.clock.monotonic
        self._metrics = Metrics(dkv.__version__)
        self._gate = Gate(config.id)
        self._operations = NodeOperations(config, dkv.__version__, self._clock, self.stop_for_good)
        self._metrics.watch(self._operations.figures)
        egress = Egress(loopback_source(config.rest.host), None if self._faults is None else self._passage)
        self._calls = PeerCalls(self._clock, egress)
        self._server = ApiServer(
            self._gate,
            self._operations,
            self._metrics,
            on_fatal=die,
            on_follower=OnFollower(config.on_follower),
            clock=self._clock,
            egress=egress,
        )
        self._fault_port = None if self._faults is None else FaultPort(self._faults)
        self._stopped: asyncio.Future[str]
        self._faults_at: int | None = None
        self._herald: Herald | None = None
        self._is_leaving = False
        self._organs: Organs | None = None
        self._group: asyncio.TaskGroup
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self, why: str) -> None:
        """End in order; a second call changes nothing."""
        if not self._stopped.done():
            log.info("stopping: %s", why)
            self._stopped.set_result(why)

    def stop_for_good(self, why: str) -> None:
        """The same for a node that is no member any more: the others must not wait for it."""
        self._is_leaving = True
        self.stop(why)

    async def run(self) -> None:
        """Start, serve until ``stop``, end in order. ``StartupError`` comes alone, or in an exception group."""
        self._stopped = asyncio.get_running_loop().create_future()
        self._handle_signals()
        try:
            await self._open_fault_port()
            await self._reside()
        finally:
            if self._fault_port is not None:
                await self._fault_port.stop()
        log.info("stopped")

    async def _reside(self) -> None:
        try:
            self._config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartupError(f"--data-dir {self._config.data_dir}: {error.strerror}.") from None
        storage = Storage(self._config.data_dir / "log.db", faults=self._faults)
        try:
            async with asyncio.TaskGroup() as self._group:
                self._spawn(self._live(storage))
                await self._stopped
                await self._end()
        finally:
            await self._calls.close()
            storage.close()

    # ---- start

    async def _open_fault_port(self) -> None:
        # Before all else, and announced at once: whoever torments a start needs it before the node is ready.
        if self._fault_port is not None:
            self._faults_at = await self._fault_port.start(self._config.fault_port or 0)
            print(json.dumps({"event": "fault_port", "port": self._faults_at}), flush=True)

    async def _live(self, storage: Storage) -> None:
        config, stored = self._config, storage.identity
        identity = None if stored is None else identities.decode(stored, config.id, config.data_dir)
        if identity is None:
            config = self._config = self._newcomers_config()
        hints, doors = load_hints(self._hints), await self._listen()
        me_identity = identity.identity if identity else identities.draw(config.id)
        me = MemberInfo(me_identity, config.id, str(doors.rest), str(doors.raft))
        herald = await self._gossip(me, identity, doors.gossip)
        residence = Residence(me, config.join, herald, self._calls.call, self._clock)
        if identity is None:
            identity = await residence.found_or_join()
            storage.write_identity(identities.encode(identity))
            herald.belong(identity.cluster)
        if DATA_GROUP not in storage.groups:
            storage.found_group(DATA_GROUP, (identity.founder,))
        organs = await self._assembly(herald).assemble(storage, identity, Directory(me, hints))
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        await organs.peers.start(doors.listener)
        self._open(organs)
        settled = asyncio.Event()
        self._spawn(residence.reside(organs, settled, self.stop_for_good))
        self._spawn(organs.pilot.run())
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_PATIENCE_S + (0 if stored else config.stabilization_s)):
                await settled.wait()
        self._announce(organs, herald)
        await self._sample_round_trips(organs.peers)

    def _newcomers_config(self) -> Config:
        targets = recall_targets(
            self._config.data_dir / "join.json", list(map(str, self._config.join)), files_of(self._faults)
        )
        return dataclasses.replace(self._config, join=tuple(map(parse_address, targets)))

    async def _listen(self) -> _Doors:
        config, before = self._config, load_ports(self._ports)
        listener = listen_again(config.raft.port, before.raft, partial(bind, config.raft.host))
        raft = Address(config.raft.host, listener.getsockname()[1])
        rest = Address(config.rest.host, await self._serve(before.rest))
        gossip = listen_again(
            config.gossip.port, before.gossip, lambda port: bind_gossip(GossipAddress(config.gossip.host, port))
        )
        save_ports(self._ports, Ports(rest.port, raft.port, gossip.address.port), files_of(self._faults))
        return _Doors(rest, raft, listener, gossip)

    async def _serve(self, before: int) -> int:
        host, port = self._config.rest
        if not port and before:
            with suppress(StartupError):
                return await self._server.start(host, before)
        return await self._server.start(host, port)

    async def _gossip(self, me: MemberInfo, identity: Identity | None, sockets: Sockets) -> Herald:
        herald = self._herald = Herald(
            self._config,
            me,
            identity.cluster if identity else "",
            sockets.address,
            clock=self._clock,
            rng=self._rng,
            spawn=self._spawn,
            on_change=self._hear,
            on_departed=lambda: self._spawn(self._depart()),
            faults=self._faults,
        )
        await herald.start(sockets)
        self._operations.hear(herald)
        return herald

    def _assembly(self, herald: Herald) -> Assembly:
        return Assembly(
            config=self._config,
            clock=self._clock,
            rng=self._rng,
            metrics=self._metrics,
            faults=self._faults,
            hints=self._hints,
            call=self._calls.call,
            gossip=herald,
        )

    def _open(self, organs: Organs) -> None:
        self._organs = organs
        organs.membership.refresh()
        organs.membership.follow()
        organs.membership.hear()
        organs.host.after_turn += [organs.membership.follow, self._operations.follow, self._follow_role]
        self._operations.open(organs)
        organs.host.add(organs.replica, organs.router)
        self._gate.open(organs.router)

    def _announce(self, organs: Organs, herald: Herald) -> None:
        me, leader = organs.directory.me, self._operations.leader()
        event = {
            "event": "ready",
            "id": me.name,
            "identity": me.identity,
            "cluster": organs.cluster,
            "rest": me.rest,
            "gossip": herald.address,
            "raft": me.raft,
            "pid": os.getpid(),
            "leader": None if leader is None else leader.id,
        }
        if self._faults_at is not None:
            event["fault_port"] = self._faults_at
        if herald.rpc_address is not None:
            event["gossip_rpc"] = herald.rpc_address
        print(json.dumps(event), flush=True)
        log.info("ready", extra={"leader": event["leader"], "config": self._config.effective()})

    # ---- while it runs

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(_sound(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _follow_role(self) -> None:
        assert self._organs is not None, "a turn before the node was put together"
        if self._organs.replica.role() is Role.REMOVED:
            self.stop_for_good(REMOVED)

    def _hear(self) -> None:
        if self._organs is not None:
            self._organs.membership.hear()

    async def _depart(self) -> None:
        """An operator let us leave gossip: we leave the cluster as well."""
        if self._organs is not None:
            try:
                await self._organs.membership.leave(self._clock.now() + DEPART_S)
            except DkvError as error:
                log.warning("this node was told to leave, and stops, but it keeps its vote: %s", error)
        self.stop("told to leave by an operator of gossip")

    async def _sample_round_trips(self, peers: Peers) -> None:
        sampled: set[str] = set()
        while True:
            await asyncio.sleep(1.0)
            status = peers.status()
            names = {name_in(node) for node in status}
            for gone in sampled - names:
                self._metrics.forget_peer(gone)
            sampled &= names
            for node, peer in status.items():
                if peer.rtt_s is not None:
                    sampled.add(name_in(node))
                    self._metrics.peer_round_trip(name_in(node)).observe(peer.rtt_s)

    async def _passage(self, rest: str) -> None:
        """Wait while the node at ``rest`` is cut off by a fault. Of an address that is nobody's nothing is known."""
        organs, herald = self._organs, self._herald
        known = organs.directory.members() if organs is not None else load_hints(self._hints)
        known = [*known, *(seen.member for seen in sightings(herald.members() if herald is not None else ()))]
        for name in {member.name for member in known if member.rest == rest}:
            assert self._faults is not None, "a way that nobody can cut"
            await self._faults.links.passage(name)

    # ---- stop

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def told(name: str) -> None:
            if self._stopped.done() and name == "SIGINT":
                os._exit(130)  # twice means now
            self.stop(name)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told, number.name)

    async def _end(self) -> None:
        self._server.drain()
        organs = self._organs
        if organs is not None and organs.replica.is_leader:
            await self._hand_over(organs)
        await self._server.stop()
        if self._herald is not None:
            if self._is_leaving:
                await self._herald.leave()
            await self._herald.stop()
        for task in self._tasks:
            task.cancel()
        if organs is not None:
            organs.membership.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await organs.peers.close()
            await organs.host.stop()

    async def _hand_over(self, organs: Organs) -> None:
        give_up = self._clock.now() + DRAIN_S
        while organs.router.pending and self._clock.now() < give_up:  # noqa: ASYNC110 - bounded, and only once
            await asyncio.sleep(0.005)
        if len(organs.replica.status().voters) > 1:
            try:
                await organs.host.transfer(DATA_GROUP, None, self._clock.now() + TRANSFER_S)
            except DkvError as error:
                log.warning("nobody took the leadership over: %s", error)


async def _sound(work: Coroutine[Any, Any, None]) -> None:
    """``work``; if its invariants or its disk are broken the node ends there and then, also while it starts."""
    try:
        await work
    except (FatalError, AssertionError) as error:
        die(error)
