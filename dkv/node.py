"""One node, put together: the only place where all organs meet.

Order of start: storage, HTTP (``/livez`` answers from here on, the rest is refused), identity (from disk, by founding,
or by joining), recovery, links, requests. Order of stop: refuse, finish what is in flight, hand the leadership over,
close HTTP, links, turn, storage. Law: a data directory that names its cluster outweighs every flag.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import signal
import socket
import time
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any

import dkv
from dkv import identity as identities
from dkv.abort import die
from dkv.addresses import Address
from dkv.api.peer_calls import PeerCalls
from dkv.api.server import ApiServer, OnFollower
from dkv.clock import MonotonicClock
from dkv.config import Config
from dkv.directory import Directory, HintsFile, load_hints, save_hints
from dkv.errors import DkvError, StartupError
from dkv.gate import Gate
from dkv.identity import Identity
from dkv.joining import MemberInfo
from dkv.kv.blocks import BadBlocks
from dkv.kv.state_machine import KeyValue
from dkv.membership import Membership
from dkv.metrics import Metrics
from dkv.net.door import bind
from dkv.net.peers import Peers
from dkv.operations import NodeOperations, Organs, is_up
from dkv.raft.checkpoint import FileCheckpoints
from dkv.raft.contracts import CheckpointCorrupt, GroupId
from dkv.raft.host import Host
from dkv.raft.replica import Replica
from dkv.raft.status import Role
from dkv.raft.storage import Storage
from dkv.residence import REMOVED, Residence
from dkv.router import Router

DATA_GROUP: GroupId = 1
"""The only group today; 0 is kept for the placement of many."""

READY_PATIENCE_S = 2.0
"""A node that finds no leader says that it is ready without one, rather than not at all: its peers may come later."""

TRANSFER_S = 2.0
"""For the leadership to go over when the leader stops: an election takes at most 1.2 s."""

DRAIN_S = 1.0
"""For accepted writes to be committed before the leadership is given away; most take milliseconds."""

CLOSE_S = 3.0
"""For the links to the peers to close; they take a second at most, and whoever stops must not wait for a network."""

GC_THRESHOLD = 50_000
"""Allocations between two collections (the default is 700 to 2,000): what a request makes is freed by reference
counting; what recovery made is frozen. Collections only have to find the rare cycle of an exception's traceback."""

log = logging.getLogger(__name__)


class Node:
    """``run`` returns when the node was told to stop, with the process's exit code."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._hints = config.data_dir / "members.json"
        self._clock = MonotonicClock()
        self._rng = random.Random()
        self._metrics = Metrics(dkv.__version__)
        self._gate = Gate(config.id)
        self._operations = NodeOperations(config, dkv.__version__, self._clock, self.stop)
        self._metrics.watch(self._operations.figures)
        self._calls = PeerCalls(self._clock)
        self._server = ApiServer(
            self._gate,
            self._operations,
            self._metrics,
            on_fatal=die,
            on_follower=OnFollower(config.on_follower),
            clock=self._clock,
        )
        self._stopped: asyncio.Future[str]
        self._organs: Organs | None = None
        self._group: asyncio.TaskGroup
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self, why: str) -> None:
        """End in order; a second call changes nothing."""
        if not self._stopped.done():
            log.info("stopping: %s", why)
            self._stopped.set_result(why)

    async def run(self) -> None:
        """Start, serve until ``stop``, end in order. ``StartupError`` comes alone, or in an exception group."""
        self._stopped = asyncio.get_running_loop().create_future()
        self._handle_signals()
        try:
            self._config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartupError(f"--data-dir {self._config.data_dir}: {error.strerror}.") from None
        storage = Storage(self._config.data_dir / "log.db")
        try:
            async with asyncio.TaskGroup() as self._group:
                self._spawn(self._live(storage))
                await self._stopped
                await self._end()
        finally:
            await self._calls.close()
            storage.close()
        log.info("stopped")

    # ---- start

    async def _live(self, storage: Storage) -> None:
        config = self._config
        hints = load_hints(self._hints)
        stored = storage.identity
        identity = None if stored is None else identities.decode(stored, config.id, config.data_dir)
        before = next((hint for hint in hints if identity and hint.identity == identity.identity), None)
        listener = _bind_again(config.raft, before.raft if before else "")
        raft = Address(config.raft.host, listener.getsockname()[1])
        rest = Address(config.rest.host, await self._listen(before.rest if before else ""))
        me_identity = identity.identity if identity else identities.draw(config.id)
        me = MemberInfo(me_identity, config.id, str(rest), str(raft))
        residence = Residence(me, config.join, self._calls.call, self._clock)
        if identity is None:
            identity, hints = await residence.found_or_join()
            save_hints(self._hints, hints)
            storage.write_identity(identities.encode(identity))
        if DATA_GROUP not in storage.groups:
            storage.found_group(DATA_GROUP, (identity.founder,))
        organs = await self._assemble(storage, identity, Directory(me, hints))
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        await organs.peers.start(listener)
        self._open(organs)
        settled = asyncio.Event()
        self._spawn(residence.reside(organs, settled, self.stop))
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_PATIENCE_S):
                await settled.wait()
        self._announce(organs)
        await self._sample_round_trips(organs.peers)

    async def _listen(self, before: str) -> int:
        # A node that was given no port keeps the one that the others know it by, where that is still free.
        host, port = self._config.rest
        if not port and before:
            with suppress(StartupError):
                return await self._server.start(host, int(before.rpartition(":")[2]))
        return await self._server.start(host, port)

    async def _assemble(self, storage: Storage, identity: Identity, directory: Directory) -> Organs:
        config, clock = self._config, self._clock
        host = Host(
            storage=storage,
            send=lambda node, frames: peers.send(node, frames),
            clock=clock,
            metrics=self._metrics,
            die=die,
        )
        peers = Peers(
            identity.identity,
            identity.cluster,
            config.secret,
            on_frame=host.deliver,
            on_up=host.peer_up,
            on_down=host.peer_down,
            on_inbound_lost=host.peer_lost,
            clock=clock,
            rng=self._rng,
            bind_host=config.raft.host,
        )
        # Recovery blocks: in a thread, so that /livez answers meanwhile.
        replica = await asyncio.to_thread(self._recover, storage, identity, host)
        router = Router(
            host,
            replica,
            directory,
            clock=clock,
            commit_duration=self._metrics.commit_duration,
            wall_ms=lambda: time.time_ns() // 1_000_000,
            ready=lambda: not self._stopped.done(),
        )
        membership = Membership(
            host,
            replica,
            router,
            directory,
            _Links(peers),
            cluster=identity.cluster,
            founder=identity.founder,
            clock=clock,
            spawn=self._spawn,
            call=self._calls.call,
            remember=HintsFile(self._hints, host.background).remember,
        )
        return Organs(identity.cluster, host, replica, router, directory, membership, peers)

    def _recover(self, storage: Storage, identity: Identity, host: Host) -> Replica[KeyValue]:
        return Replica(
            cluster=identity.cluster,
            group=DATA_GROUP,
            me=identity.identity,
            log=storage.group(DATA_GROUP),
            checkpoints=FileCheckpoints(self._config.data_dir, identity.cluster, DATA_GROUP),
            new_machine=KeyValue,
            load_machine=_load_machine,
            clock=self._clock,
            rng=self._rng,
            options=self._config.raft_options,
            background=host.background,
        )

    def _open(self, organs: Organs) -> None:
        self._organs = organs
        organs.membership.refresh()
        organs.membership.follow()
        organs.host.after_turn += [organs.membership.follow, self._operations.follow, self._follow_role]
        self._operations.open(organs)
        organs.host.add(organs.replica, organs.router)
        self._gate.open(organs.router)

    def _announce(self, organs: Organs) -> None:
        me, leader = organs.directory.me, self._operations.leader()
        event = {
            "event": "ready",
            "id": me.name,
            "identity": me.identity,
            "cluster": organs.cluster,
            "rest": me.rest,
            "raft": me.raft,
            "pid": os.getpid(),
            "leader": None if leader is None else leader.id,
        }
        print(json.dumps(event), flush=True)
        log.info("ready", extra={"leader": event["leader"], "config": self._config.effective()})

    # ---- while it runs

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _follow_role(self) -> None:
        assert self._organs is not None, "a turn before the node was put together"
        if self._organs.replica.role() is Role.REMOVED:
            self.stop(REMOVED)

    async def _sample_round_trips(self, peers: Peers) -> None:
        while True:
            await asyncio.sleep(1.0)
            for peer in peers.status().values():
                if peer.rtt_s is not None and peer.address is not None:
                    self._metrics.peer_round_trip(peer.address).observe(peer.rtt_s)

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
        for task in self._tasks:
            task.cancel()
        if organs is not None:
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


class _Links:
    """``Peers`` as the membership sees it."""

    def __init__(self, peers: Peers) -> None:
        self.set_addresses = peers.set_addresses
        self._peers = peers

    def is_up(self, node: str) -> bool:
        return is_up(self._peers, node)


def _bind_again(wanted: Address, before: str) -> socket.socket:
    """``wanted``, where port 0 prefers the port that the others know."""
    if not wanted.port and before:
        with suppress(StartupError):
            return bind(wanted.host, int(before.rpartition(":")[2]))
    return bind(*wanted)


def _load_machine(blocks: Iterator[bytes]) -> KeyValue:
    # kv and raft are strangers: each has its own word for a state that cannot be read.
    try:
        return KeyValue.load(blocks)
    except BadBlocks as error:
        raise CheckpointCorrupt(str(error)) from error
