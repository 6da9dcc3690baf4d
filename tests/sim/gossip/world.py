"""A cluster under virtual time, on a network that loses, delays, doubles and divides; processes that pause and die.

All randomness comes from the seed. The watchmen count packets after every step: a machine answers, but never more than
it is asked, and what it says of itself is bounded by its profile.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from typing import Any

from dkv.gossip.memberlist.events import Event, MemberFailed, StreamRequest
from dkv.gossip.memberlist.members import described
from dkv.gossip.wire.packets import decode_packet
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import NodeState, State
from dkv.gossip.wire.streams import StreamMessage, decode_stream, encode_stream
from tests.sim.gossip.host import PACKET_BYTES_MAX, Host
from tests.sim.gossip.settings import Settings

RETRANSMISSION_S = 0.2
"""TCP's first; each further one takes twice as long."""

SEEDS_MAX = 20
"""In larger worlds there are no islands to bring together, and looking for them would take most of the time."""


class World:
    """``failures``: each ``(now, observer, subject, the subject was running)``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rng = random.Random(settings.seed)
        self.now = 0.0
        self.hosts: dict[Address, Host] = {}
        self.by_name: dict[str, Host] = {}
        self.failures: list[tuple[float, str, str, bool]] = []
        self.packets = self.packet_bytes = self.streams = self.stream_bytes = 0
        self.on_event: Callable[[Host, Event], None] = lambda host, event: None
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._ties = count()
        self._side: dict[Address, int] = {}
        self._addresses = count(1)
        for _ in range(settings.members):
            self.start()
        if settings.settled:
            self._introduce()

    # --- what happens to it ---------------------------------------------------------------------------------------

    def start(self, name: str = "", contact: Host | None = None) -> Host:
        """One more process; unless the world is settled it joins one that runs."""
        number = next(self._addresses)
        address = Address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 7946)
        return self._boot(name or f"m{number}", address, contact)

    def restart(self, host: Host) -> Host:
        """The same name and address, with nothing remembered."""
        assert not host.running, f"{host.name} still runs"
        return self._boot(host.name, host.address, None)

    def crash(self, host: Host) -> None:
        """From one moment to the next."""
        host.running = False

    def leave(self, host: Host, then_s: float = 5.0) -> None:
        """Politely; the process ends some seconds later."""
        host.gone = True
        host.swim.leave(self.now)
        self._settle(host)
        self.at(self.now + then_s, self.crash, host)

    def pause(self, host: Host, seconds: float) -> None:
        """As SIGSTOP, or a machine without time for it."""
        host.paused_until = max(host.paused_until, self.now + seconds)
        self.at(host.paused_until, self._wake, host, host.paused_until)

    def divide(self, *sides: Iterable[Host]) -> None:
        """Nothing gets from one side to another. Those of no side are one side."""
        self._side = {host.address: number for number, side in enumerate(sides, 1) for host in side}

    def heal(self) -> None:
        """One network again, and a good one: on one slower than its profile thinks, a cluster never comes to rest."""
        self._side = {}
        self.settings = replace(self.settings, loss=0.0, duplicate=0.0, delay_s=Settings.delay_s)

    def at(self, due: float, action: Callable[..., None], *arguments: Any) -> None:
        """Later."""
        heapq.heappush(self._queue, (due, next(self._ties), action, arguments))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """For so long, or until something is true (then True)."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action, arguments = heapq.heappop(self._queue)
            action(*arguments)
            if until():
                return True
        self.now = end
        return False

    # --- what is seen of it ---------------------------------------------------------------------------------------

    @property
    def running(self) -> list[Host]:
        """Those that have not crashed and do not leave."""
        return [host for host in self.by_name.values() if host.running and not host.gone]

    def assert_agreement(self) -> None:
        """Everybody believes the same, and it is the truth."""
        truth = {host.name for host in self.running}
        reference = self.running[0]
        for host in self.running:
            view = host.view()
            assert set(view) == truth, (
                f"{host.name} misses {sorted(truth - set(view))} and has {sorted(set(view) - truth)} too many"
            )
            assert view == reference.view(), f"{host.name} and {reference.name} believe different things"
            assert host.swim.suspected == 0, f"{host.name} suspects somebody although all is quiet"

    # --- how it works ---------------------------------------------------------------------------------------------

    def _boot(self, name: str, address: Address, contact: Host | None) -> Host:
        candidates = self.running
        seed = self.rng.getrandbits(64)
        host = Host(name, address, self.settings, random.Random(seed), self.now, self._observe, self._seed)
        self.hosts[address] = self.by_name[name] = host
        if (contact or candidates) and not (self.settings.settled and self.now == 0):
            host.swim.join((contact or self.rng.choice(candidates)).address, self.now)
        self._settle(host)
        return host

    def _seed(self, host: Host) -> Address | None:
        """Somebody who runs and is not believed to; all are everybody's seeds, and the network may be divided."""
        if host.gone or len(self.by_name) > SEEDS_MAX:
            return None
        view = host.view()
        unseen = [other.address for other in self.running if other.name not in view]
        return self.rng.choice(unseen) if unseen else None

    def _introduce(self) -> None:
        """Everybody's table, without a word said: 1,000 joins are 10 million messages."""
        entries = [
            NodeState(incarnation=1, node=host.name, address=host.address, state=State.ALIVE)
            for host in self.hosts.values()
        ]
        for host in self.hosts.values():
            for entry in self.rng.sample(entries, len(entries)):
                if entry.node != host.name:
                    host.swim.members.put(entry, self.now)
                    host.known[entry.node] = (described(entry), State.ALIVE)

    def _observe(self, host: Host, event: Event) -> None:
        if isinstance(event, MemberFailed):
            subject = self.by_name[event.member.name]
            self.failures.append((self.now, host.name, subject.name, subject.running))
        self.on_event(host, event)

    def _settle(self, host: Host, packets_max: int = 1) -> None:
        """What the shell does after every input; it may lead to so many packets at most."""
        host.take_events()
        packets = host.swim.packets_to_send(self.now)
        assert len(packets) <= packets_max, f"{host.name} sends {len(packets)} packets at once, not {packets_max}"
        for data, destination in packets:
            self._send(host, data, destination)
        for request in host.swim.streams_to_open(self.now):
            self._open(host, request)
        due = min(host.swim.next_timer(), host.reconnect_at)
        if due < host.wake_at:
            host.wake_at = due
            self.at(due, self._timer, host, due)

    def _timer(self, host: Host, due: float) -> None:
        if host.wake_at == due and host.running and self.now >= host.paused_until:
            self._fire(host)

    def _fire(self, host: Host) -> None:
        host.wake_at = float("inf")
        profile = self.settings.profile
        packets_max = profile.gossip_nodes + 1 + profile.indirect_checks + host.swim.relays
        host.swim.fire_timer(self.now)
        if self.now >= host.reconnect_at:
            host.reconnect(self.now)
        self._settle(host, packets_max)

    def _wake(self, host: Host, due: float) -> None:
        """After a pause: timers and packets wait."""
        if host.paused_until != due or not host.running:
            return
        if not self.settings.packets_first:
            self._fire(host)
        waiting, host.socket = host.socket, []
        for data, source in waiting:
            self._receive(host, data, source)
        self._fire(host)

    def _send(self, sender: Host, data: bytes, destination: Address) -> None:
        assert len(data) <= PACKET_BYTES_MAX, f"{sender.name} sends a packet of {len(data)} bytes"
        self.packets += 1
        self.packet_bytes += len(data)
        for _ in range(1 + (self.rng.random() < self.settings.duplicate)):
            if self.rng.random() >= self.settings.loss and self._connected(sender.address, destination):
                self.at(self.now + self._delay_s(), self._arrive, data, sender.address, destination)

    def _arrive(self, data: bytes, source: Address, destination: Address) -> None:
        host = self.hosts.get(destination)
        if host is None or not host.running:
            return
        if self.now < host.paused_until:
            if len(host.socket) < self.settings.socket_packets_max:
                host.socket.append((data, source))
            return
        self._receive(host, data, source)

    def _receive(self, host: Host, data: bytes, source: Address) -> None:
        host.swim.receive_packet(data, source, self.now)
        self._settle(host, len(decode_packet(data, self.settings.envelope).messages))

    def _open(self, dialler: Host, request: StreamRequest) -> None:
        """One exchange over TCP: there, an answer, and back."""
        if self.settings.tcp and self._connected(dialler.address, request.address):
            self.streams += 1
            message = self._over_tcp(request.request, dialling=True)
            self.at(self.now + self._stream_delay_s(), self._accept, dialler, request, message)

    def _accept(self, dialler: Host, request: StreamRequest, message: StreamMessage) -> None:
        host = self.hosts.get(request.address)
        if host is None or not host.running:
            self.at(self.now + self._delay_s(), self._refuse, dialler, request)
        elif self.now < host.paused_until:
            self.at(host.paused_until, self._accept, dialler, request, message)
        else:
            answer = host.swim.receive_stream(message, dialler.address, self.now)
            self._settle(host)
            if answer is not None and self._connected(dialler.address, request.address):
                answer = self._over_tcp(answer, dialling=False)
                self.at(self.now + self._stream_delay_s(), self._answer, dialler, request, answer)

    def _answer(self, dialler: Host, request: StreamRequest, answer: StreamMessage) -> None:
        if self.now < dialler.paused_until:
            self.at(dialler.paused_until, self._answer, dialler, request, answer)
        elif dialler.running:
            dialler.swim.stream_done(request.stream, answer, self.now)
            self._settle(dialler)

    def _refuse(self, dialler: Host, request: StreamRequest) -> None:
        if dialler.running:
            dialler.swim.stream_failed(request.stream, "connection refused", self.now)
            self._settle(dialler)

    def _over_tcp(self, message: StreamMessage, *, dialling: bool) -> StreamMessage:
        if not self.settings.stream_bytes:
            return message
        envelope = self.settings.envelope
        data = encode_stream(message, envelope, dialling=dialling, nonce=self.rng.randbytes(12))
        self.stream_bytes += len(data)
        return decode_stream(data, envelope, dialling=not dialling)

    def _connected(self, a: Address, b: Address) -> bool:
        return self._side.get(a, 0) == self._side.get(b, 0)

    def _delay_s(self) -> float:
        return self.rng.uniform(*self.settings.delay_s)

    def _stream_delay_s(self) -> float:
        """A lost segment costs time, not the connection."""
        delay_s, wait_s = self._delay_s(), RETRANSMISSION_S
        while self.rng.random() < self.settings.loss:
            delay_s += wait_s
            wait_s *= 2
        return delay_s
