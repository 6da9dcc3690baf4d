"""A real Serf agent on loopback understands what we write, and we what it writes: plain, uncompressed, encrypted.

The member here is a socket and a few lines around the codec; it takes part for some seconds, and leaves.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dkv.gossip.rpc import responses as rpc_responses
from dkv.gossip.rpc.requests import Ask, Handshake, Members, Request, RequestReader, Stats, Unsupported
from dkv.gossip.wire import messages, serf_messages
from dkv.gossip.wire.encryption import NONCE_BYTES, Keyring, key_as_text
from dkv.gossip.wire.internal_queries import Member as InternalMember
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.messages import Ack, Dead, ErrorReply, Message, Ping, User
from dkv.gossip.wire.packets import PLAIN, Envelope, decode_packet, encode_packet
from dkv.gossip.wire.particulars import OUR_VERSIONS, Address
from dkv.gossip.wire.push_pull import NodeState, PushPull, State
from dkv.gossip.wire.serf_messages import (
    RESPONSE_ACK,
    JoinIntent,
    LeaveIntent,
    Query,
    QueryFlag,
    QueryResponse,
    UserEvent,
)
from dkv.gossip.wire.serf_state import SerfState, decode_state, encode_state
from dkv.gossip.wire.streams import NOT_DECRYPTABLE, NOT_ENCRYPTED, StreamMessage, StreamReader, encode_stream
from dkv.gossip.wire.tags import decode_tags, encode_tags

SERF = shutil.which("serf")
KEY = bytes(range(32))
DEADLINE_S = 60.0
"""Of every wait: generous, the machine may be busy. An answer usually takes milliseconds."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SERF is None, reason="no `serf` on this machine (Debian: apt-get install serf)"),
]


class Agent:
    """A `serf agent` process."""

    def __init__(self, directory: Path, envelope: Envelope, *options: str) -> None:
        self.envelope = envelope
        self.address, self.rpc = free_address(), free_address()
        key = [f"-encrypt={key_as_text(envelope.keyring.primary)}"] if envelope.keyring else []
        assert SERF is not None
        self._log = (directory / "agent.log").open("wb")
        bind, rpc = (f"{address.host}:{address.port}" for address in (self.address, self.rpc))
        command = [SERF, "agent", "-node=agent", f"-bind={bind}", f"-rpc-addr={rpc}", "-profile=local", "-tag=role=db"]
        self._process = subprocess.Popen(
            [*command, *key, *options], stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )

    def command(self, *words: str) -> subprocess.Popen[str]:
        assert SERF is not None
        rpc = f"-rpc-addr={self.rpc.host}:{self.rpc.port}"
        return subprocess.Popen(
            [SERF, words[0], rpc, *words[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def ask(self, message: StreamMessage, written_in: Envelope | None = None) -> StreamMessage | None:
        """Over TCP; None: it closed the connection without an answer."""
        data = encode_stream(message, written_in or self.envelope, dialling=True, nonce=os.urandom(NONCE_BYTES))
        reader = StreamReader(self.envelope, dialling=True)
        with socket.create_connection(self.address, timeout=DEADLINE_S) as connection:
            connection.sendall(data)
            while data := connection.recv(65_536):
                if (answer := reader.feed(data)) is not None:
                    return answer
        return None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


class Member:
    """One that answers pings and queries, and remembers what it was told."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.address = Address(*self._socket.getsockname())
        self.heard: list[Message] = []
        self.events: list[UserEvent] = []

    def close(self) -> None:
        self._socket.close()

    def itself(self) -> NodeState:
        meta = encode_tags({"role": "codec", "rest": "127.0.0.1:8001"})
        return NodeState(incarnation=1, node="codec", address=self.address, state=State.ALIVE, meta=meta)

    def send(self, *said: Message, to: Address | None = None, envelope: Envelope | None = None) -> None:
        parts = [messages.encode(message) for message in said]
        data = encode_packet(
            parts, envelope or self._agent.envelope, nonce=os.urandom(NONCE_BYTES), checksum=True, compressed=True
        )
        self._socket.sendto(data, to or self._agent.address)

    def say(self, message: serf_messages.SerfMessage, to: Address | None = None) -> None:
        self.send(User(payload=serf_messages.encode(message)), to=to)

    def until(self, happened: Callable[[], object]) -> None:
        """Takes part until something has happened."""
        deadline = time.monotonic() + DEADLINE_S
        while not happened():
            assert time.monotonic() < deadline, f"in vain; heard {self.heard[-20:]}"
            try:
                data, _ = self._socket.recvfrom(65_536)
            except TimeoutError:
                continue
            packet = decode_packet(data, self._agent.envelope)
            assert packet.rejected == ()
            for message in packet.messages:
                self.heard.append(message)
                self._take(message)

    def _take(self, message: Message) -> None:
        match message:
            case Ping(node="codec" | "", sequence=sequence, source=source):
                self.send(Ack(sequence=sequence), to=source)
            case User(payload=payload):
                self._take_serf(serf_messages.decode(payload))

    def _take_serf(self, message: serf_messages.SerfMessage) -> None:
        match message:
            case UserEvent():
                self.events.append(message)
            case Query(ltime=ltime, id=id, flags=flags, name=name, address=asker):
                if flags & QueryFlag.ACK:
                    self.say(QueryResponse(ltime=ltime, id=id, from_node="codec", flags=RESPONSE_ACK), to=asker)
                answer = f"{name}: fine".encode()
                self.say(QueryResponse(ltime=ltime, id=id, from_node="codec", payload=answer), to=asker)

    def output_of(self, *words: str) -> str:
        """Of a `serf` command, while taking part."""
        with self._agent.command(*words) as process:
            self.until(lambda: process.poll() is not None)
            assert process.stdout is not None
            return process.stdout.read()

    def until_shown(self, *words: str) -> str:
        """Until `serf members` has a line about us with all these words."""
        found: list[str] = []

        def shown() -> bool:
            lines = [line for line in self.output_of("members", "-name=codec").splitlines() if line.startswith("codec")]
            found[:] = [line for line in lines if all(word in line for word in words)]
            return bool(found)

        self.until(shown)
        return found[0]


def free_address() -> Address:
    """Free for UDP and TCP a moment ago."""
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        stream.bind(("127.0.0.1", 0))
        datagrams.bind(stream.getsockname())
        return Address(*stream.getsockname())


KINDS = {
    "plain": (PLAIN, ()),
    "uncompressed": (PLAIN, ("-disable-compression",)),
    "encrypted": (Envelope(b"", Keyring(KEY)), ()),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    envelope, options = request.param
    agent = Agent(tmp_path, envelope, *options)
    try:
        until_it_listens(agent)
        yield agent
    finally:
        agent.close()


def until_it_listens(agent: Agent) -> None:
    deadline = time.monotonic() + DEADLINE_S
    for address in (agent.address, agent.rpc):
        while True:
            try:
                socket.create_connection(address, timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "the agent does not listen"
                time.sleep(0.05)


@pytest.fixture
def member(agent: Agent) -> Iterator[Member]:
    with ExitStack() as stack:
        member = Member(agent)
        stack.callback(member.close)
        yield member


def test_requests_over_tcp(agent: Agent) -> None:
    assert agent.ask(Ping(sequence=77, node="agent")) == Ack(sequence=77)
    assert agent.ask(Ping(sequence=78, node="another")) is None
    exchange = agent.ask(PushPull(join=False, nodes=()))
    assert isinstance(exchange, PushPull)
    (node,) = exchange.nodes
    assert (node.node, node.address, node.state, node.incarnation) == ("agent", agent.address, State.ALIVE, 1)
    assert node.versions == OUR_VERSIONS
    assert decode_tags(node.meta) == {"role": "db"}
    assert decode_state(exchange.user_state).status_ltimes == {"agent": 0}


def test_a_refusal_is_told(agent: Agent) -> None:
    """A request in the wrong envelope is answered in the right one."""
    encrypted = agent.envelope.keyring is not None
    wrong = PLAIN if encrypted else Envelope(b"", Keyring(KEY))
    answer = agent.ask(PushPull(join=False, nodes=()), written_in=wrong)
    assert answer == ErrorReply(error=NOT_ENCRYPTED if encrypted else NOT_DECRYPTABLE)


def test_a_ping_over_udp(agent: Agent, member: Member) -> None:
    if agent.envelope.keyring:
        member.send(Ping(sequence=1), envelope=PLAIN)
    member.send(Ping(sequence=2, node="agent", source=member.address, source_node="codec"))
    member.until(lambda: [message for message in member.heard if isinstance(message, Ack)])
    (ack,) = [message for message in member.heard if isinstance(message, Ack)]
    assert ack.sequence == 2
    assert ack.payload, "its coordinate, of which we make nothing"


def test_the_life_of_a_member(agent: Agent, member: Member) -> None:
    state = SerfState(ltime=1, event_ltime=1, query_ltime=1, status_ltimes={"codec": 0})
    answer = agent.ask(PushPull(join=True, nodes=(member.itself(),), user_state=encode_state(state)))
    assert isinstance(answer, PushPull)
    assert answer.join
    member.say(JoinIntent(ltime=2, node="codec"))
    line = member.until_shown("alive", "role=codec", "rest=127.0.0.1:8001")
    assert f"127.0.0.1:{member.address.port}" in line

    assert "dispatched" in member.output_of("event", "-coalesce=false", "deploy", "v1")
    member.until(lambda: member.events)
    assert (member.events[0].name, member.events[0].payload, member.events[0].coalesce) == ("deploy", b"v1", False)

    answered = member.output_of("query", "-timeout=3s", "-no-ack=false", "health")
    assert "Response from 'codec': health: fine" in answered

    member.say(LeaveIntent(ltime=50, node="codec"))
    member.until_shown("leaving")
    member.send(Dead(incarnation=1, node="codec", from_node="codec"))
    member.until_shown("left")


def serve_rpc(listener: socket.socket) -> list[Request]:
    """One connection of the `serf` command, served as a node would; its requests."""
    requests: list[Request] = []
    reader = RequestReader()
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(DEADLINE_S)
        while data := connection.recv(65_536):
            for request in reader.feed(data):
                requests.append(request)
                connection.sendall(rpc_answer(request))
    return requests


def rpc_answer(request: Request) -> bytes:
    head = rpc_responses.header(request.sequence)
    match request.command:
        case Members():
            tags = {"role": "dkv"}
            one = InternalMember(node="n1", address=Address("10.0.0.1", 7946), tags=tags, status=Status.LEAVING)
            return head + rpc_responses.members_body([one])
        case Stats():
            return head + rpc_responses.stats_body({"agent": {"name": "n1"}, "serf": {"members": "5"}})
        case Ask():
            records = [("ack", "n1", None), ("response", "n1", b"fine"), ("done", "", None)]
            return head + b"".join(head + rpc_responses.answer_record(*record) for record in records)
        case Unsupported():
            return rpc_responses.header(request.sequence, "Unsupported command")
    return head


COMMANDS = {
    "members": (("members", "-status=leaving"), ["n1", "10.0.0.1:7946", "leaving", "role=dkv"]),
    "info": (("info",), ["name = n1", "members = 5"]),
    "event": (("event", "deploy", "v1"), ["Event 'deploy' dispatched"]),
    "query": (("query", "health"), ["Query 'health' dispatched"]),
    "force-leave": (("force-leave", "n2"), []),
    "leave": (("leave",), ["Graceful leave complete"]),
}


@pytest.mark.parametrize(("words", "shown"), COMMANDS.values(), ids=COMMANDS)
def test_the_serf_command_against_us(words: tuple[str, ...], shown: list[str]) -> None:
    assert SERF is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)
        rpc = f"-rpc-addr=127.0.0.1:{listener.getsockname()[1]}"
        with subprocess.Popen([SERF, words[0], rpc, *words[1:]], stdout=subprocess.PIPE, text=True) as process:
            requests = serve_rpc(listener)
            output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, output
    assert all(word in output for word in shown), output
    assert requests[0].command == Handshake(1)
    assert not any(isinstance(request.command, Unsupported) for request in requests)
