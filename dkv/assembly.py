"""A node's organs, made and tied to each other: what each is given, and in which order they come to be."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dkv.abort import die
from dkv.autopilot import Autopilot
from dkv.clock import Clock
from dkv.config import Config
from dkv.directory import Directory, HintsFile
from dkv.faults.points import with_apply_points
from dkv.faults.state import Faults, files_of
from dkv.identity import Identity
from dkv.kv.blocks import BadBlocks
from dkv.kv.state_machine import KeyValue
from dkv.membership import Call, Membership
from dkv.metrics import Metrics
from dkv.net.peers import Peers
from dkv.operations import Organs
from dkv.pilot import Pilot
from dkv.raft.checkpoint import FileCheckpoints
from dkv.raft.contracts import CheckpointCorrupt, GroupId
from dkv.raft.host import Host
from dkv.raft.replica import Replica
from dkv.raft.storage import Storage
from dkv.router import Router
from dkv.sightings import Gossip

DATA_GROUP: GroupId = 1
"""The only group today; 0 is kept for the placement of many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What all organs share."""

    config: Config
    clock: Clock
    rng: random.Random
    metrics: Metrics
    faults: Faults | None
    hints: Path
    call: Call
    gossip: Gossip

    async def assemble(self, storage: Storage, identity: Identity, directory: Directory) -> Organs:
        """Recovers the replica; nothing runs yet."""
        host, peers = self._host_and_peers(storage, identity)
        # Recovery blocks: in a thread, so that /livez answers meanwhile.
        replica = await asyncio.to_thread(self._recover, storage, identity, host)
        router = Router(
            host,
            replica,
            directory,
            clock=self.clock,
            commit_duration=self.metrics.commit_duration,
            wall_ms=self._wall_ms,
        )
        membership = Membership(
            host,
            replica,
            router,
            directory,
            peers,
            self.gossip,
            cluster=identity.cluster,
            founder=identity.founder,
            clock=self.clock,
            call=self.call,
            remember=HintsFile(self.hints, host.background, files=files_of(self.faults)).remember,
        )
        pilot = Pilot(membership, replica, self._new_autopilot, clock=self.clock, wall_ms=self._wall_ms)
        return Organs(identity.cluster, host, replica, router, directory, membership, pilot, peers)

    @property
    def _wall_ms(self) -> Callable[[], int]:
        return _wall_ms if self.faults is None else self.faults.clock.wall_ms

    def _new_autopilot(self) -> Autopilot:
        return Autopilot(self.config.stabilization_s, self.config.autopilot.remove_failed_after_s)

    def _host_and_peers(self, storage: Storage, identity: Identity) -> tuple[Host, Peers]:
        host = Host(
            storage=storage,
            send=lambda node, frames: peers.send(node, frames),
            clock=self.clock,
            metrics=self.metrics,
            die=die,
            faults=self.faults,
        )
        peers = Peers(
            identity.identity,
            identity.cluster,
            self.config.secret,
            on_frame=host.deliver,
            on_up=host.peer_up,
            on_down=host.peer_down,
            on_inbound_lost=host.peer_lost,
            clock=self.clock,
            rng=self.rng,
            bind_host=self.config.raft.host,
            faults=None if self.faults is None else self.faults.links,
        )
        if self.faults is not None:
            self.faults.clock.on_change.append(host.clock_changed)
        return host, peers

    def _recover(self, storage: Storage, identity: Identity, host: Host) -> Replica[KeyValue]:
        machine = KeyValue if self.faults is None else with_apply_points(KeyValue, self.faults.points)

        def load(blocks: Iterator[bytes]) -> KeyValue:
            # kv and raft are strangers: each has its own word for a state that cannot be read.
            try:
                return machine.load(blocks)
            except BadBlocks as error:
                raise CheckpointCorrupt(str(error)) from error

        return Replica(
            cluster=identity.cluster,
            group=DATA_GROUP,
            me=identity.identity,
            log=storage.group(DATA_GROUP),
            checkpoints=FileCheckpoints(self.config.data_dir, identity.cluster, DATA_GROUP, faults=self.faults),
            new_machine=machine,
            load_machine=load,
            clock=self.clock,
            rng=self.rng,
            options=self.config.raft_options,
            background=host.background,
        )


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
