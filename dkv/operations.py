"""The node and its cluster, for people and their tools: the ``Operations`` that the HTTP edge serves.

Law: it only looks, and passes on what changes something. Until the node is ``open``ed (it recovers, or waits to be
let into a cluster) everything but ``status`` is refused.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dkv.addresses import Address
from dkv.clock import Clock
from dkv.config import Config
from dkv.directory import Directory, name_in
from dkv.errors import DkvError, LeaderHint, MembershipRefused, NoLeader, NotReady
from dkv.gossip.agent.views import MemberView
from dkv.joining import JoinAnswer, JoinRequest, MemberInfo
from dkv.kv.state_machine import KeyValue
from dkv.levels import Level
from dkv.membership import Membership
from dkv.metrics import Figures
from dkv.raft.contracts import NodeId
from dkv.raft.host import Host
from dkv.raft.status import ReplicaStatus, Role
from dkv.router import Router
from dkv.sightings import sighting

if TYPE_CHECKING:
    from dkv.herald import Herald
    from dkv.net.peers import Peers
    from dkv.pilot import Pilot
    from dkv.raft.replica import Replica


@dataclass(frozen=True, slots=True)
class Organs:
    """A node's inside, once it is put together."""

    cluster: str
    host: Host
    replica: Replica[KeyValue]
    router: Router
    directory: Directory
    membership: Membership
    pilot: Pilot
    peers: Peers


class NodeOperations:
    """See ``dkv.api.services.Operations``."""

    def __init__(self, config: Config, version: str, clock: Clock, stop: Callable[[str], None]) -> None:
        """``stop`` ends the node in order; it is told why."""
        self._config, self._version, self._clock, self._stop = config, version, clock, stop
        self._started = clock.now()
        self._herald: Herald | None = None
        self._organs: Organs | None = None
        self._leader: NodeId | None = None
        self._leader_changes = 0

    def hear(self, herald: Herald) -> None:
        """The node gossips."""
        self._herald = herald

    def open(self, organs: Organs) -> None:
        """The node is put together."""
        self._organs = organs

    def follow(self) -> None:
        """After each turn."""
        leader = self._inside().replica.leader
        if leader is not None and leader != self._leader:
            self._leader_changes += 1
            self._leader = leader

    def _inside(self) -> Organs:
        if self._organs is None:
            raise NotReady("This node is still starting. Nothing was done; ask again in a moment.", retry_after_s=1.0)
        return self._organs

    # ---- looking

    def leader(self) -> LeaderHint | None:
        organs = self._inside()
        return organs.directory.hint(organs.replica.leader)

    def hashkv(self) -> dict[str, Any]:
        """Equal index must mean equal digest, on any two nodes."""
        organs = self._inside()
        return {
            "node": self._config.id,
            "index": organs.replica.applied_index,
            "digest": organs.replica.machine.digest(),
        }

    def status(self) -> dict[str, Any]:
        """Everything about this node that it knows by itself."""
        about = {
            "id": self._config.id,
            "version": self._version,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "uptime_s": round(self._clock.now() - self._started, 3),
            "config": self._config.effective(),
        }
        if self._herald is not None:
            about["gossip"] = {"address": self._herald.address, **asdict(self._herald.figures())}
        if self._organs is None:
            return {**about, "phase": "starting"}
        organs, status = self._organs, self._organs.replica.status()
        leader = organs.directory.hint(status.leader)
        return {
            **about,
            "identity": status.me,
            "cluster": organs.cluster,
            "rest": organs.directory.me.rest,
            "raft": organs.directory.me.raft,
            "phase": organs.host.phase,
            "role": status.role,
            "term": status.term,
            "leader": None if leader is None else {"id": leader.id, "rest": leader.rest},
            "leader_contact_s": round(status.leader_contact_s, 3),
            "vote": None if status.vote is None else name_in(status.vote),
            "first_index": status.first_index,
            "last_index": status.last_index,
            "commit_index": status.commit_index,
            "applied_index": status.applied_index,
            "checkpoint_index": status.checkpoint_index,
            "log_entries": status.last_index - status.first_index + 1,
            "log_bytes": status.log_bytes,
            "keys": organs.replica.machine.count,
            "state_bytes": organs.replica.machine.size_bytes,
            "voters": [name_in(voter) for voter in status.voters],
            "learners": [name_in(learner) for learner in status.learners],
            "peers": self._peers(organs, status),
            "turns": organs.host.turns,
            "writes_pending": organs.router.pending,
            "refused_frames": organs.host.refused_frames,
            "refused_connections": organs.peers.refused_connections,
        }

    def _peers(self, organs: Organs, status: ReplicaStatus) -> dict[str, dict[str, Any]]:
        links = organs.peers.status()
        shown: dict[str, dict[str, Any]] = {}
        for node in sorted({*links, *status.peers}):
            link, progress = links.get(node), status.peers.get(node)
            shown[node] = {
                "name": name_in(node),
                "match_index": None if progress is None else progress.match_index,
                "last_contact_s": None if progress is None else round(progress.last_contact_s, 3),
                "link": None if link is None else link.state,
                "inbound": link is not None and link.inbound,
                "address": None if link is None else link.address,
                "rtt_s": None if link is None else link.rtt_s,
                "dropped_frames": 0 if link is None else link.frames_dropped,
                "last_error": None if link is None else link.last_error,
            }
        return shown

    def nodes(self) -> dict[str, Any]:
        """This node's view of the members (the directory), of the voters (Raft), and gossip's beside it.

        ``others``: whom gossip knows and the directory does not: plain agents, newcomers, who left or was wiped.
        """
        organs = self._inside()
        status = organs.replica.status()
        members = {member.identity: member for member in organs.directory.members()}
        unknown = [voter for voter in status.voters if voter not in members]
        shown = [*members.values(), *(MemberInfo(voter, name_in(voter), "", "") for voter in unknown)]
        views = [] if self._herald is None else self._herald.members()
        seen = {each.member.identity: view for view in views if (each := sighting(view)) is not None}
        named = {seen[member.identity].name for member in shown if member.identity in seen}
        voters = len(status.voters)
        return {
            "node": self._config.id,
            "cluster": organs.cluster,
            "term": status.term,
            "members": [self._shown(organs, status, member, seen.get(member.identity)) for member in shown],
            "others": [_other(view) for view in views if view.name not in named],
            "voters": [name_in(voter) for voter in status.voters],
            "can_lose": (voters - 1) // 2,
            "autopilot": organs.pilot.decisions(),
        }

    def _shown(
        self, organs: Organs, status: ReplicaStatus, member: MemberInfo, view: MemberView | None
    ) -> dict[str, Any]:
        me = member.identity == status.me
        return {
            "id": member.name,
            "identity": member.identity,
            "rest": member.rest,
            "raft": member.raft,
            "voter": member.identity in status.voters,
            "leader": member.identity == status.leader,
            "reachable": me or organs.peers.is_up(member.identity),
            "gossip": None
            if view is None
            else {
                "status": view.status.name.lower(),
                "since_s": round(self._clock.now() - view.since, 3),
                "address": str(Address(*view.address)),
            },
        }

    async def readiness(self, deadline: float) -> dict[str, str]:
        """Leader known, a real linearizable read, room on the disk, a vote."""
        if self._organs is None:
            return {"started": "this node recovers its data, or waits to be let into the cluster"}
        organs = self._organs
        checks = {"leader": "ok", "read": "ok", "disk": "ok", "member": "ok"}
        if self.leader() is None:
            checks["leader"] = "no leader is known"
        if (role := organs.replica.role()) in (Role.LEARNER, Role.REMOVED):
            checks["member"] = f"this node is a {role}: it has no vote"
        for check, probe in (("disk", organs.host.space.check), ("read", None)):
            try:
                if probe is not None:
                    probe()
                else:
                    await organs.router.read([], Level.LINEARIZABLE, deadline=deadline)
            except DkvError as error:
                checks[check] = error.message
        return checks

    def figures(self) -> Figures:
        """For a scrape."""
        gossip = None if self._herald is None else self._herald.figures()
        if self._organs is None:
            return Figures(gossip=gossip)
        organs, status = self._organs, self._organs.replica.status()
        return Figures(
            has_leader=status.leader is not None,
            is_leader=status.role is Role.LEADER,
            leader_changes_seen=self._leader_changes,
            proposals_committed=organs.router.committed_count,
            proposals_applied=organs.router.committed_count,
            proposals_failed=organs.router.failed_count,
            proposals_pending=organs.router.pending,
            term=status.term,
            commit_index=status.commit_index,
            applied_index=status.applied_index,
            log_entries=status.last_index - status.first_index + 1,
            keys=organs.replica.machine.count,
            peer_match_index={name_in(node): peer.match_index for node, peer in status.peers.items()},
            gossip=gossip,
        )

    # ---- changing

    async def transfer(self, target: str | None, deadline: float) -> LeaderHint:
        """Hand the leadership to the voter named ``target``, or to whoever is furthest."""
        organs = self._inside()
        if not organs.replica.is_leader:
            raise organs.router.not_leader()
        voters = [voter for voter in organs.replica.status().voters if name_in(voter) == target]
        if target is not None and not voters:
            raise MembershipRefused(f"{target} is not a voter, so it cannot lead. Nothing was changed.")
        await organs.host.transfer(organs.replica.group, voters[-1] if voters else None, deadline)
        leader = self.leader()
        if leader is None:
            raise NoLeader("The leadership was given away, and the new leader is not known yet.", retry_after_s=1.0)
        return leader

    async def join(self, request: JoinRequest, deadline: float) -> JoinAnswer:
        return await self._inside().membership.join(request, deadline)

    async def remove(self, name: str, deadline: float) -> None:
        await self._inside().membership.remove(name, deadline)

    async def leave(self, deadline: float) -> None:
        """When the cluster has let this node go, it stops."""
        await self._inside().membership.leave(deadline)
        self._stop("left the cluster")


def _other(view: MemberView) -> dict[str, Any]:
    return {
        "name": view.name,
        "address": str(Address(*view.address)),
        "status": view.status.name.lower(),
        "tags": dict(view.tags),
    }
