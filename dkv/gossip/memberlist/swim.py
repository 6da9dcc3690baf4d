"""A member of a memberlist cluster, as a machine without input and output: bytes and time in, bytes and events out.

Five verbs, as in aioquic: ``receive_packet``, ``packets_to_send``, ``next_timer``, ``fire_timer``, ``next_event``; and
their likes for TCP, whose exchanges the shell performs as values. After whatever it does to this machine the shell
takes packets, streams and events, until there are none, and sets its timer anew. After a pause it should hand in what
waits in its sockets before it fires timers: there are the answers for which the timers waited.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkv.gossip.memberlist.awareness import Awareness
from dkv.gossip.memberlist.broadcasts import Broadcasts
from dkv.gossip.memberlist.claims import Claims
from dkv.gossip.memberlist.events import Event, Member, StreamRequest, UserMessage
from dkv.gossip.memberlist.exchanges import Exchanges
from dkv.gossip.memberlist.members import Members, described
from dkv.gossip.memberlist.outbox import GetBroadcasts, Outbox
from dkv.gossip.memberlist.probing import Prober
from dkv.gossip.memberlist.profiles import LAN, Profile
from dkv.gossip.memberlist.relays import Relays
from dkv.gossip.memberlist.requests import Requests
from dkv.gossip.memberlist.rules import GONE
from dkv.gossip.memberlist.timers import Timer, Timers
from dkv.gossip.wire.limits import META_BYTES_MAX, BadPacket
from dkv.gossip.wire.messages import Ack, Alive, Dead, IndirectPing, Message, Nack, Ping, Suspect, User
from dkv.gossip.wire.packets import PLAIN, Envelope, decode_packet
from dkv.gossip.wire.particulars import OUR_VERSIONS, U32_MAX, Address, Versions
from dkv.gossip.wire.push_pull import NodeState, PushPull, State
from dkv.gossip.wire.streams import StreamMessage

if TYPE_CHECKING:
    import random


@dataclass(slots=True)
class Counters:
    """Since the start, for metrics. ``last_refusal``: why the last packet, or part of one, was not understood.

    ``refused``: kind of ``BadPacket``, or ``part``, → how many.
    """

    packets_received: int = 0
    packets_refused: int = 0
    parts_refused: int = 0
    last_refusal: str = ""
    refused: Counter[str] = field(default_factory=Counter)


class Swim:
    """One member. It is alive, and alone, from the start."""

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        rng: random.Random,
        now: float,
        new_nonce: Callable[[], bytes] = lambda: b"",
        meta: bytes = b"",
        versions: Versions = OUR_VERSIONS,
        profile: Profile = LAN,
        envelope: Envelope = PLAIN,
        compressed: bool = False,
        get_broadcasts: GetBroadcasts = lambda overhead_bytes, limit_bytes: [],
        local_state: Callable[[bool], bytes] = lambda join: b"",
        ack_payload: Callable[[], bytes] = lambda: b"",
    ) -> None:
        """``address``: where others reach us. ``new_nonce``: 12 fresh random bytes, needed with a keyring.

        Of the layer above: ``get_broadcasts(overhead_bytes, limit_bytes)`` gives payloads to gossip, each of which
        costs its size and the overhead; ``local_state(join)`` its part of a push/pull; ``ack_payload()`` what goes
        with our acks (a coordinate).
        """
        assert address.port, "members are told a port of 0 as their own"
        _check_meta(meta)
        self.counters = Counters()
        self.awareness = Awareness(profile.awareness_max_multiplier)
        self._profile, self._rng, self._name, self._address = profile, rng, name, address
        self._ack_payload = ack_payload
        self._events: deque[Event] = deque()
        self._sequence = rng.getrandbits(31)
        self._timers, self._members, self._broadcasts = Timers(), Members(rng), Broadcasts()
        self._requests = Requests(self._timers)
        self._outbox = Outbox(
            envelope, self._broadcasts, get_broadcasts, new_nonce, self._transmits_max, compressed=compressed
        )
        ourselves = NodeState(
            incarnation=1, node=name, address=address, state=State.ALIVE, meta=meta, versions=versions
        )
        self._compose(ourselves, local_state, now)
        self._stagger(now)

    # --- datagrams ------------------------------------------------------------------------------------------------

    def receive_packet(self, data: bytes, source: Address, now: float) -> None:
        """A datagram. What nobody could understand is counted and ignored."""
        self.counters.packets_received += 1
        try:
            packet = decode_packet(data, self._outbox.envelope)
        except BadPacket as bad:
            self.counters.packets_refused += 1
            self.counters.refused[bad.kind] += 1
            self.counters.last_refusal = str(bad)
            return
        if packet.rejected:
            self.counters.parts_refused += len(packet.rejected)
            self.counters.refused["part"] += len(packet.rejected)
            self.counters.last_refusal = packet.rejected[-1]
        for message in packet.messages:
            self._receive(message, source, now)

    def packets_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Datagrams, in this order, each with its destination."""
        return self._outbox.drain()

    def send_user_message(self, payload: bytes, address: Address, now: float) -> None:
        """One payload to one member (or ourselves), directly, once, and with nothing beside it."""
        self._outbox.send_alone(User(payload=payload), address)

    # --- streams --------------------------------------------------------------------------------------------------

    def receive_stream(self, request: StreamMessage, source: Address, now: float) -> StreamMessage | None:
        """A request that somebody made over TCP → the answer; None: close without one."""
        if isinstance(request, PushPull):
            answer = self.push_pull_state(request.join, now)  # before the merge: as agents do
            self.merge(request, source, now)
            return answer
        if isinstance(request, Ping):
            return Ack(sequence=request.sequence) if request.node in ("", self._name) else None
        if isinstance(request, User):
            self._events.append(UserMessage(request.payload))
        return None

    def push_pull_state(self, join: bool, now: float) -> PushPull:
        """All that we know."""
        return self._exchanges.state(join)

    def merge(self, theirs: PushPull, source: Address, now: float) -> str:
        """Take all that another one knows. A text: why nothing of it was taken; empty if it was."""
        return self._exchanges.merge(theirs, now)

    def streams_to_open(self, now: float) -> list[StreamRequest]:
        """Requests to make over TCP, all at the same time; each to be reported once."""
        return self._requests.drain()

    def stream_done(self, stream: int, answer: StreamMessage, now: float) -> None:
        """The answer to one of ``streams_to_open``."""
        self._requests.finish(stream, answer, "it did not answer with its state", now)

    def stream_failed(self, stream: int, reason: str, now: float) -> None:
        """There is no answer. ``reason``: for people."""
        self._requests.finish(stream, None, reason, now)

    # --- time and events ------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """When ``fire_timer`` is due, at the latest after the next gossip interval."""
        return self._timers.next_due()

    def fire_timer(self, now: float) -> None:
        """All that is due."""
        while (key := self._timers.pop(now)) is not None:
            self._fire(*key, now)

    def next_event(self) -> Event | None:
        """The oldest that was not taken yet."""
        return self._events.popleft() if self._events else None

    # --- what we do of ourselves ----------------------------------------------------------------------------------

    def join(self, address: Address, now: float) -> None:
        """Exchange states with whoever is there; ``JoinFinished`` tells the outcome."""
        self._exchanges.join(address, now)

    def exchange(self, now: float) -> None:
        """A push/pull with a random living member out of turn, if there is one; the next regular one counts from it."""
        self._exchanges.tick(now)

    def update_meta(self, meta: bytes, now: float) -> None:
        """Tell everybody our new tags, encoded."""
        _check_meta(meta)
        assert not self._claims.leaving, "who leaves has nothing more to say of itself"
        self._claims.restate(meta, now)

    def leave(self, now: float) -> None:
        """Tell everybody that we go. Keep the machine running until ``leave_is_told``, and a while to answer pings."""
        if not self._claims.leaving:
            self._claims.leave(now)

    @property
    def leave_is_told(self) -> bool:
        """Our leave was gossiped as often as any news, or there is nobody to tell it to."""
        nobody = not any(node.state not in GONE for node in self._members)
        return self._claims.leaving and (nobody or self._name not in self._broadcasts)

    # --- what we know ---------------------------------------------------------------------------------------------

    @property
    def ourselves(self) -> Member:
        """What we say of ourselves now."""
        return described(self._claims.ourselves)

    @property
    def members(self) -> Members:
        """The table, for reading."""
        return self._members

    @property
    def suspected(self) -> int:
        """How many members are suspected now."""
        return self._claims.suspected

    @property
    def suspicions(self) -> int:
        """How many there have been, others' among them."""
        return self._claims.suspicions

    @property
    def refutations(self) -> int:
        """How often we had to object to what was said of us."""
        return self._claims.refutations

    @property
    def probe_failures(self) -> int:
        """How many of our probes nobody answered."""
        return self._prober.failures

    @property
    def broadcasts_queued(self) -> int:
        """News of members still to be told; the layer above has its own."""
        return len(self._broadcasts)

    @property
    def relays(self) -> int:
        """How many pings we made for others are not answered yet."""
        return len(self._relays)

    @property
    def turned_away(self) -> int:
        """Claims about members for whom the table has no room."""
        return self._claims.turned_away

    @property
    def envelope(self) -> Envelope:
        """Label and keys. Settable: keys rotate."""
        return self._outbox.envelope

    @envelope.setter
    def envelope(self, envelope: Envelope) -> None:
        self._outbox.envelope = envelope

    # --- inside ---------------------------------------------------------------------------------------------------

    def _compose(self, ourselves: NodeState, local_state: Callable[[bool], bytes], now: float) -> None:
        profile, members, timers, emit = self._profile, self._members, self._timers, self._events.append
        self._claims = Claims(ourselves, profile, members, self._broadcasts, timers, self.awareness, emit, now)
        self._exchanges = Exchanges(profile, members, self._claims, self._requests, timers, local_state, emit)
        self._relays = Relays(profile, timers, self._outbox, self._our_ping)
        self._prober = Prober(
            self._name,
            profile,
            members,
            timers,
            self._outbox,
            self._requests,
            self.awareness,
            self._our_ping,
            self._claims.suspect,
            emit,
        )

    def _stagger(self, now: float) -> None:
        """So that members that start together do not act together for ever."""
        intervals = {
            Timer.GOSSIP: self._profile.gossip_interval_s,
            Timer.PROBE: self._profile.probe_interval_s,
            Timer.PUSH_PULL: self._profile.push_pull_interval_s,
        }
        for timer, interval_s in intervals.items():
            self._timers.set(timer, now + interval_s * (1 + self._rng.random()))

    def _receive(self, message: Message, source: Address, now: float) -> None:
        match message:
            case Alive():
                self._claims.alive(message, now)
            case Suspect():
                self._claims.suspect(message, now)
            case Dead():
                self._claims.dead(message, now)
            case User():
                self._events.append(UserMessage(message.payload))
            case Ping() if message.node in ("", self._name):
                ack = Ack(sequence=message.sequence, payload=self._ack_payload())
                self._outbox.send(ack, address=message.source or source)
            case Ack():
                if not self._prober.acked(message.sequence, message.payload, now):
                    self._relays.acked(message.sequence)
            case Nack():
                self._prober.nacked(message.sequence)
            case IndirectPing():
                self._relays.begin(message, self._claims.completed(message.target), source, now)

    def _fire(self, timer: Timer, subject: str | int, now: float) -> None:
        match timer, subject:
            case Timer.GOSSIP, _:
                self._gossip(now)
            case Timer.PROBE, _:
                self._prober.tick(now)
            case Timer.PROBE_TIMEOUT, _:
                self._prober.ask_others(now)
            case Timer.PROBE_DEADLINE, _:
                self._prober.conclude(now)
            case Timer.PUSH_PULL, _:
                self._exchanges.tick(now)
            case Timer.SUSPICION, str(name):
                self._claims.suspicion_is_over(name, now)
            case Timer.RELAY, int(sequence):
                self._relays.is_over(sequence)
            case Timer.STREAM, int(stream):
                self._requests.finish(stream, None, "no answer in time", now)

    def _gossip(self, now: float) -> None:
        """To a few members at random, the lately dead among them: they may be alive, and then object."""
        self._timers.set(Timer.GOSSIP, now + self._profile.gossip_interval_s)

        def listens(node: NodeState) -> bool:
            if node.node == self._name or node.state is State.LEFT:
                return False
            return self._members.gone_for_s(node.node, now) <= self._profile.gossip_to_the_dead_s

        for node in self._members.pick(self._profile.gossip_nodes, listens):
            if not self._outbox.gossip_to(node):
                break

    def _our_ping(self, target: str) -> Ping:
        self._sequence = (self._sequence + 1) & U32_MAX
        return Ping(sequence=self._sequence, node=target, source=self._address, source_node=self._name)

    def _transmits_max(self) -> int:
        return self._profile.retransmit_limit(len(self._members))


def _check_meta(meta: bytes) -> None:
    assert len(meta) <= META_BYTES_MAX, f"tags of {len(meta)} bytes, members are limited to {META_BYTES_MAX}"
