"""Who belongs to the cluster: the directory and the voters, changed together and one at a time, by the leader.

People (and joiners) ask for a change, or the autopilot decides on it (``pilot``); here it is carried out.
Law: a member comes in by its directory row first and its vote last, and goes by its vote first and its row last; so a
voter's address is always known. A removal never leaves fewer live voters than a majority of those that stay.
A change that a crash interrupts is finished by whoever asks again: each step may be repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from dkv.autopilot import Picture, refusal_to_remove
from dkv.clock import Clock
from dkv.directory import Directory, checked, encode, key_of, members_in, name_in
from dkv.errors import DkvError, MembershipRefused, RouteNotFound, Timeout, UnknownOutcome
from dkv.gossip.wire.internal_queries import Status
from dkv.joining import JoinAnswer, JoinRequest, MemberInfo
from dkv.kv.commands import Command, Op, Row
from dkv.kv.state_machine import KeyValue
from dkv.raft.contracts import NodeId
from dkv.raft.host import Host
from dkv.router import Router
from dkv.sightings import Gossip, Sighting, sightings

if TYPE_CHECKING:
    from dkv.raft.replica import Replica

LIVE_S = 2.0
"""A voter that answered the leader within this time counts as alive: longer than the leader's own patience (1.2 s)."""

FAREWELL_S = 10.0
"""For so long a former member's address is kept: it must still hear that it was removed."""

RETRY_S = 0.05
"""Between two attempts at something that another change, or an election, is in the way of."""

Call = Callable[[str, str, str, Any, float], Awaitable[Any]]
"""``call(rest, method, path, body, deadline)``: a request to another node's REST API; its errors are ``DkvError``s."""

log = logging.getLogger(__name__)


class Links(Protocol):
    """What the membership asks of the links to the other nodes."""

    def set_addresses(self, addresses: Mapping[NodeId, str]) -> None: ...
    def is_up(self, node: NodeId) -> bool: ...


class Membership:
    """One node's part in it. ``follow`` runs after each turn; the rest answers people and their tools."""

    def __init__(
        self,
        host: Host,
        replica: Replica[KeyValue],
        router: Router,
        directory: Directory,
        links: Links,
        gossip: Gossip,
        *,
        cluster: str,
        founder: NodeId,
        clock: Clock,
        call: Call,
        remember: Callable[[list[MemberInfo]], None],
    ) -> None:
        """``remember`` keeps the members for the next start."""
        self._host, self._replica, self._router = host, replica, router
        self._directory, self._links, self._gossip = directory, links, gossip
        self._cluster, self._founder = cluster, founder
        self._clock, self._call, self._remember = clock, call, remember
        self._group = replica.group
        self._change = asyncio.Lock()
        self._sightings: list[Sighting] = []
        self._strangers: set[NodeId] = set()
        self._rows: dict[str, Row] = {}
        self._addresses: dict[NodeId, str] = {}
        self._former: dict[NodeId, tuple[str, float]] = {}
        self._closed = False

    # ---- following what was decided

    def follow(self) -> None:
        """Take over what the directory's rows say by now; cheap where nothing changed."""
        if self._replica.machine.system != self._rows:
            self._rows = dict(self._replica.machine.system)
            self._directory.follow(members_in(self._rows), complete=False)
            self.refresh()

    def hear(self) -> None:
        """Gossip has news."""
        self._sightings = sightings(self._gossip.members())
        ours = [each.member for each in self._sightings if each.is_alive and each.cluster == self._cluster]
        if self._directory.hear(ours):
            self.refresh()
        self._notice([each for each in self._sightings if each.cluster not in ("", self._cluster)])

    def _notice(self, strangers: list[Sighting]) -> None:
        """A node that was wiped and started without --join is a cluster of its own now: somebody should know."""
        for each in strangers:
            if each.member.identity not in self._strangers:
                log.warning(
                    "%s, at %s, belongs to another cluster (%s, ours is %s): it shares our gossip and nothing else",
                    *(each.member.name, each.member.rest, each.cluster, self._cluster),
                )
        self._strangers = {each.member.identity for each in strangers}

    def caught_up(self) -> None:
        """This node's rows are as new as anybody's: hints have done their duty."""
        self._directory.follow(members_in(self._replica.machine.system), complete=True)
        self.refresh()

    def refresh(self) -> None:
        """Dial whom the directory names, and for a little longer whom it named before."""
        if self._closed:
            return
        now = self._clock.now()
        members = self._directory.members()
        named = {member.identity: member.raft for member in members}
        for identity in self._addresses.keys() - named.keys() - self._former.keys():
            self._former[identity] = (self._addresses[identity], now + FAREWELL_S)
            asyncio.get_running_loop().call_later(FAREWELL_S + RETRY_S, self.refresh)
        staying = {identity: (raft, until) for identity, (raft, until) in self._former.items() if until > now}
        self._former = staying
        self._addresses = {identity: raft for identity, (raft, _) in staying.items()} | named
        self._links.set_addresses(self._addresses)
        self._remember(members)

    def close(self) -> None:
        """The node ends: what timers and gossip still say finds neither links nor a thread that writes."""
        self._closed = True

    # ---- coming in

    async def join(self, request: JoinRequest, deadline: float) -> JoinAnswer:
        """The leader takes a joiner into the directory; the autopilot has the rest. Asking again changes nothing."""
        self._require_leader()
        joiner = checked(MemberInfo(request.identity, request.name, request.rest, request.raft))
        async with self._one_change(deadline):
            await self.write_me(deadline)  # the founder, before anybody can take the leadership from it
            for former in self._directory.named(joiner.name):
                if former.identity != joiner.identity:
                    await self._replace(former, deadline)
            if self._directory.row(joiner.identity) != joiner:
                await self._write_row(joiner, deadline)
                log.info("%s joins as %s", joiner.name, joiner.identity)
        return JoinAnswer(self._cluster, self._founder, self._replica.leader)

    async def write_me(self, deadline: float) -> None:
        """The founder, and a leader whose own addresses changed, write their own row."""
        if self._directory.row(self._directory.me.identity) != self._directory.me:
            await self._write_row(self._directory.me, deadline)

    async def _replace(self, former: MemberInfo, deadline: float) -> None:
        if former.identity == self._directory.me.identity or self._links.is_up(former.identity):
            raise MembershipRefused(
                f"A node named {former.name} is alive in this cluster, at {former.rest}. Nothing was changed; "
                "choose another name, or stop that node first."
            )
        log.warning("%s comes back without its data: its former identity %s goes", former.name, former.identity)
        await self._drop(former.identity, deadline)

    async def promote(self, identity: NodeId, deadline: float) -> None:
        """Give a member a vote, once it has caught up."""
        await self._host.add_voter(self._group, identity, deadline)
        if self._directory.row(identity) is None:  # it was removed while it was catching up
            await self._host.remove_voter(self._group, identity, deadline)

    # ---- going

    async def remove(self, name: str, deadline: float) -> None:
        """The leader takes ``name``'s vote away and forgets it."""
        self._require_leader()
        async with self._one_change(deadline):
            identities = {member.identity for member in self._directory.named(name)}
            identities |= {voter for voter in self._replica.status().voters if name_in(voter) == name}
            if not identities:
                raise RouteNotFound(f"No member is named {name}; GET /nodes lists them. Nothing was changed.")
            for identity in sorted(identities):
                await self._drop(identity, deadline)
            self._bury(identities)

    async def expel(self, identity: NodeId, deadline: float) -> None:
        """The same for one incarnation."""
        async with self._one_change(deadline):
            await self._drop(identity, deadline)
            self._bury({identity})

    async def leave(self, deadline: float) -> None:
        """This node gives its vote up, and first its leadership; when this returns it is no member any more."""
        me = self._directory.me
        refusal = refusal_to_remove(me.identity, self._replica.status().voters, self._live())
        if refusal is not None and self._replica.is_leader:
            raise MembershipRefused(refusal)
        while True:
            try:
                if self._replica.is_leader:
                    await self._host.transfer(self._group, None, deadline)
                leader = self._directory.hint(self._replica.leader)
                if leader is not None and leader.id != me.name:
                    await self._call(leader.rest, "DELETE", f"/nodes/{me.name}", None, deadline)
                    return
            except RouteNotFound:
                return  # an earlier attempt succeeded, though its answer did not arrive
            except DkvError as error:
                if not error.retryable and not isinstance(error, UnknownOutcome):
                    raise
                log.info("leaving takes another attempt: %s", error)
            if self._clock.now() + RETRY_S > deadline:
                raise Timeout("This node found no leader to let it go within its deadline; ask again.")
            await asyncio.sleep(RETRY_S)

    async def _drop(self, identity: NodeId, deadline: float) -> None:
        voters = self._replica.status().voters
        if identity in voters:
            if identity == self._replica.me and len(voters) > 1:
                text = "The leader cannot remove itself: POST /leave to it, or transfer its leadership first."
                raise MembershipRefused(f"{text} Nothing was changed.")
            refusal = refusal_to_remove(identity, voters, self._live())
            if refusal is not None:
                raise MembershipRefused(refusal)
            await self._host.remove_voter(self._group, identity, deadline)
        if self._directory.row(identity) is not None:
            await self._router.write([Command(Op.DELETE, key_of(identity))], deadline=deadline)
        log.info("%s is no member any more", identity)

    def _bury(self, identities: set[NodeId]) -> None:
        """Gossip need not try any longer to reach whom we have removed."""
        for each in self._sightings:
            if each.member.identity in identities and each.status is Status.FAILED:
                self._gossip.force_leave(each.member.name)

    # ---- shared

    @property
    def is_changing(self) -> bool:
        """Somebody's change is half done: a member whose vote is gone and whose row is not must not get a vote now."""
        return self._change.locked()

    def picture(self) -> Picture:
        """For the autopilot."""
        members = [member.identity for member in self._directory.members()]
        return Picture(
            me=self._replica.me,
            cluster=self._cluster,
            members=[identity for identity in members if self._directory.row(identity) is not None],
            voters=self._replica.status().voters,
            linked=[identity for identity in members if self._links.is_up(identity)],
            live=self._live(),
            sightings=self._sightings,
        )

    def _live(self) -> set[NodeId]:
        status = self._replica.status()
        answering = {node for node, peer in status.peers.items() if peer.last_contact_s < LIVE_S}
        return {status.me} | {node for node in answering if self._links.is_up(node)}

    async def _write_row(self, member: MemberInfo, deadline: float) -> None:
        row = Command(Op.SET, key_of(member.identity), encode(member))
        await self._router.write([row], deadline=deadline)

    def _require_leader(self) -> None:
        if not self._replica.is_leader:
            raise self._router.not_leader()

    @asynccontextmanager
    async def _one_change(self, deadline: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock.now())):
                await self._change.acquire()
        except TimeoutError:
            text = "Another change of the cluster's members is under way. Nothing was changed; try again."
            raise MembershipRefused(text) from None
        try:
            yield
        finally:
            self._change.release()
