"""A whole member of a Serf cluster without input and output: SWIM below, Serf above, and their conversation.

The shell moves bytes and time, and takes what happened (``next_event``); everything that the layers ask of each other
is done in here. ``Rekey`` comes out as well: the new keyring is in use already, but wants to be kept on disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkv.gossip.memberlist.events import AckReceived, JoinFinished, Refuted, StreamRequest
from dkv.gossip.memberlist.profiles import LAN, Profile
from dkv.gossip.memberlist.swim import Swim
from dkv.gossip.serf.events import (
    Advertise,
    JoinSettled,
    LeaveSwim,
    Reconnect,
    Rekey,
    SendUserMessage,
    SerfEvent,
)
from dkv.gossip.serf.serf import Serf
from dkv.gossip.serf.snapshot_file import Clocks
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.packets import Envelope
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.streams import StreamMessage
from dkv.gossip.wire.tags import encode_tags

if TYPE_CHECKING:
    import random

KernelEvent = SerfEvent | JoinSettled | Refuted | AckReceived


@dataclass(slots=True)
class _Join:
    """One that is under way."""

    number: int
    replay: bool
    waiting: set[Address]
    joined: int = 0
    refusals: dict[Address, str] = field(default_factory=dict)


class Kernel:
    """One member. It is alive, and alone, from the start."""

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        rng: random.Random,
        now: float,
        tags: Mapping[str, str],
        new_nonce: Callable[[], bytes],
        profile: Profile = LAN,
        label: bytes = b"",
        keyring: Keyring | None = None,
        recovered: Clocks | None = None,
        ack_payload: Callable[[], bytes] = lambda: b"",
    ) -> None:
        """``address``: where others reach us. ``new_nonce``: 12 fresh random bytes. ``recovered``: of the snapshot.

        Raises ``limits.TooLarge`` for the tags.
        """
        self.serf = Serf(name, address, rng=rng, now=now, profile=profile, keyring=keyring, recovered=recovered)
        self.swim = Swim(
            name,
            address,
            rng=rng,
            now=now,
            new_nonce=new_nonce,
            meta=encode_tags(tags),
            profile=profile,
            envelope=Envelope(label, keyring),
            get_broadcasts=self.serf.get_broadcasts,
            local_state=self.serf.local_state,
            ack_payload=ack_payload,
        )
        self._events: deque[KernelEvent] = deque()
        self._joins: list[_Join] = []
        self._joins_begun = 0
        self._settle(now)

    # --- the machine --------------------------------------------------------------------------------------------------

    def receive_packet(self, data: bytes, source: Address, now: float) -> None:
        """A datagram."""
        self.swim.receive_packet(data, source, now)
        self._settle(now)

    def packets_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Datagrams, in this order, each with its destination."""
        return self.swim.packets_to_send(now)

    def receive_stream(self, request: StreamMessage, source: Address, now: float) -> StreamMessage | None:
        """A request over TCP → the answer; None: close without one."""
        answer = self.swim.receive_stream(request, source, now)
        self._settle(now)
        return answer

    def streams_to_open(self, now: float) -> list[StreamRequest]:
        """Requests to make over TCP, all at the same time; each to be reported once."""
        return self.swim.streams_to_open(now)

    def stream_done(self, stream: int, answer: StreamMessage, now: float) -> None:
        """The answer to one of them."""
        self.swim.stream_done(stream, answer, now)
        self._settle(now)

    def stream_failed(self, stream: int, reason: str, now: float) -> None:
        """There is none. ``reason``: for people."""
        self.swim.stream_failed(stream, reason, now)
        self._settle(now)

    def next_timer(self) -> float:
        """When ``fire_timer`` is due."""
        return min(self.swim.next_timer(), self.serf.next_timer())

    def fire_timer(self, now: float) -> None:
        """All that is due."""
        self.swim.fire_timer(now)
        if self.serf.next_timer() <= now:
            self.serf.fire_timer(now)
        self._settle(now)

    def next_event(self, now: float) -> KernelEvent | None:
        """The oldest that was not taken yet, after all that ``serf`` was asked for since."""
        self._settle(now)
        return self._events.popleft() if self._events else None

    # --- what users want ----------------------------------------------------------------------------------------------

    def join(self, addresses: Iterable[Address], now: float, *, replay: bool = False) -> int:
        """Exchange states with all of them; ``JoinSettled`` with the number given here tells the outcome.

        ``replay``: deliver the user events of before. Raises ``serf.Leaving``.
        """
        self.serf.begin_join(replay=replay)
        self._joins_begun += 1
        join = _Join(self._joins_begun, replay, set(addresses))
        self._joins.append(join)
        for address in sorted(join.waiting):
            self.swim.join(address, now)
        self._close_joins(now)
        return join.number

    def exchange(self, now: float) -> None:
        """A push/pull with any living member, out of turn."""
        self.swim.exchange(now)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Until neither layer has anything to say to the other."""
        while self._from_swim(now) or self._from_serf(now):
            pass

    def _from_swim(self, now: float) -> bool:
        event = self.swim.next_event()
        if event is None:
            return False
        match event:
            case JoinFinished():
                self._count(event)
                self._close_joins(now)
            case Refuted() | AckReceived():
                self._events.append(event)
            case _:
                self.serf.receive(event, now)
        return True

    def _from_serf(self, now: float) -> bool:
        self.serf.advance_departure(now, death_is_told=self.swim.leave_is_told)
        event = self.serf.next_event()
        if event is None:
            return False
        match event:
            case SendUserMessage():
                self.swim.send_user_message(event.payload, event.address, now)
            case Reconnect():
                self.swim.join(event.address, now)
            case Advertise():
                self.swim.update_meta(event.meta, now)
            case LeaveSwim():
                self.swim.leave(now)
            case Rekey():
                self.swim.envelope = Envelope(self.swim.envelope.label, event.keyring)
                self._events.append(event)
            case _:
                self._events.append(event)
        return True

    def _count(self, finished: JoinFinished) -> None:
        for join in self._joins:
            if finished.address in join.waiting:
                join.waiting.discard(finished.address)
                join.joined += not finished.refusal
                if finished.refusal:
                    join.refusals[finished.address] = finished.refusal

    def _close_joins(self, now: float) -> None:
        for join in [join for join in self._joins if not join.waiting]:
            self._joins.remove(join)
            self.serf.end_join(join.joined, now, replay=join.replay)
            self._events.append(JoinSettled(join.number, join.joined, join.refusals))
