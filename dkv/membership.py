"""Who belongs to the cluster: the directory and the voters, changed together and one at a time, by the leader.

Law: a member comes in by its directory row first and its vote last, and goes by its vote first and its row last; so a
voter's address is always known. A removal never leaves fewer live voters than a majority of those that stay.
A change that a crash interrupts is finished by whoever asks again: each step may be repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from dkv.addresses import parse_address
from dkv.clock import Clock
from dkv.directory import Directory, encode, key_of, members_in, name_in
from dkv.errors import (
    BadRequest,
    DkvError,
    MembershipRefused,
    RouteNotFound,
    Timeout,
    UnknownOutcome,
)
from dkv.joining import JoinAnswer, JoinRequest, MemberInfo
from dkv.kv.commands import Command, Op, Row
from dkv.kv.state_machine import KeyValue
from dkv.raft.configuration import NODE_ID
from dkv.raft.contracts import NodeId
from dkv.raft.host import Host
from dkv.router import Router

if TYPE_CHECKING:
    from dkv.raft.replica import Replica

LIVE_S = 2.0
"""A voter that answered the leader within this time counts as alive: longer than the leader's own patience (1.2 s)."""

FAREWELL_S = 10.0
"""For so long a former member's address is kept: it must still hear that it was removed."""

ADMISSION_S = 600.0
"""For so long the leader tries to make a joiner a voter; a large snapshot takes minutes. The joiner asks again."""

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
        *,
        cluster: str,
        founder: NodeId,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        call: Call,
        remember: Callable[[list[MemberInfo]], None],
    ) -> None:
        """``spawn`` starts a task; ``remember`` keeps the members for the next start."""
        self._host, self._replica, self._router = host, replica, router
        self._directory, self._links = directory, links
        self._cluster, self._founder = cluster, founder
        self._clock, self._spawn, self._call, self._remember = clock, spawn, call, remember
        self._group = replica.group
        self._change, self._adding = asyncio.Lock(), asyncio.Lock()
        self._admitting: set[NodeId] = set()
        self._rows: dict[str, Row] = {}
        self._addresses: dict[NodeId, str] = {}
        self._former: dict[NodeId, tuple[str, float]] = {}

    # ---- following what was decided

    def follow(self) -> None:
        """Take over what the directory's rows say by now; cheap where nothing changed."""
        if self._replica.machine.system != self._rows:
            self._rows = dict(self._replica.machine.system)
            self._directory.follow(members_in(self._rows), complete=False)
            self.refresh()

    def caught_up(self) -> None:
        """This node's rows are as new as anybody's: hints have done their duty."""
        self._directory.follow(members_in(self._replica.machine.system), complete=True)
        self.refresh()

    def refresh(self) -> None:
        """Dial whom the directory names, and for a little longer whom it named before."""
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

    # ---- coming in

    async def join(self, request: JoinRequest, deadline: float) -> JoinAnswer:
        """The leader takes a joiner into the directory and begins to make it a voter. Asking again changes nothing."""
        self._require_leader()
        joiner = validated(request)
        async with self._one_change(deadline):
            await self.write_me(deadline)  # the founder, before anybody can take the leadership from it
            for former in self._directory.named(joiner.name):
                if former.identity != joiner.identity:
                    await self._replace(former, deadline)
            if self._directory.row(joiner.identity) != joiner:
                await self._write_row(joiner, deadline)
                log.info("%s joins as %s", joiner.name, joiner.identity)
        if joiner.identity not in self._admitting:
            self._admitting.add(joiner.identity)
            self._spawn(self._admit(joiner.identity))
        return JoinAnswer(self._cluster, self._founder, self._directory.members(), self._replica.leader)

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

    async def _admit(self, identity: NodeId) -> None:
        # A dead joiner must not block other changes, so its vote is not asked for before it can be reached.
        deadline = self._clock.now() + ADMISSION_S
        try:
            while self._replica.is_leader and self._directory.row(identity) and self._clock.now() < deadline:
                if self._links.is_up(identity) and await self._try_to_add(identity, deadline):
                    return
                await asyncio.sleep(RETRY_S)
        finally:
            self._admitting.discard(identity)

    async def _try_to_add(self, identity: NodeId, deadline: float) -> bool:
        try:
            async with self._adding:  # several joiners: the next one begins as soon as this one is done
                await self._host.add_voter(self._group, identity, deadline)
            if self._directory.row(identity) is None:  # it was removed while it was catching up
                await self._host.remove_voter(self._group, identity, deadline)
        except DkvError as error:
            log.info("%s is not a voter yet: %s", identity, error)
            return False
        log.info("%s is a voter", identity)
        return True

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

    # ---- shared

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


def validated(request: JoinRequest) -> MemberInfo:
    """The directory row that the request asks for. Raises ``BadRequest``."""
    if not NODE_ID.fullmatch(request.identity) or name_in(request.identity) != request.name:
        raise BadRequest(
            f"{request.identity!r} is no identity of {request.name!r}: expected NAME.INCARNATION, the name of 1 to 64 "
            "letters, digits, '_' or '-' and the incarnation of 8 hexadecimal digits."
        )
    for address in (request.rest, request.raft):
        try:
            if not parse_address(address).port:
                raise BadRequest(f"{address!r} has port 0: others could not dial it.")
        except ValueError as error:
            raise BadRequest(str(error)) from None
    return MemberInfo(request.identity, request.name, request.rest, request.raft)


def refusal_to_remove(leaver: NodeId, voters: Sequence[NodeId], live: Collection[NodeId]) -> str | None:
    """Why ``leaver``'s vote must not be taken away, or None. ``live``: as the leader sees it, itself included."""
    staying = [voter for voter in voters if voter != leaver]
    if not staying:
        return (
            f"{name_in(leaver)} is the last voter: without it the data would have no keeper. Nothing was changed; "
            "add another node first, or just stop this one."
        )
    needed = len(staying) // 2 + 1
    alive = sorted(name_in(voter) for voter in staying if voter in live)
    if len(alive) >= needed:
        return None
    return (
        f"Without {name_in(leaver)} there would be {len(staying)} voters, of which {needed} must be alive, but only "
        f"{len(alive)} are ({', '.join(alive) or 'none'}). Nothing was changed; bring the others back first."
    )
