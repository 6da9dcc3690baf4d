"""One machine "a" on a bench: real bytes in and out, time by hand; and what others could say to it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TypeVar

from dkv.gossip.memberlist.events import (
    Event,
)
from dkv.gossip.memberlist.swim import Swim
from dkv.gossip.wire.messages import Ack, Alive, Dead, IndirectPing, Message, Nack, Ping, Suspect, User, encode
from dkv.gossip.wire.packets import PLAIN, Envelope, decode_packet, encode_packet
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import NodeState, State

A, B, C, D, STRANGER = (Address(f"10.0.0.{number}", 7946) for number in range(1, 6))
NODES = {"b": B, "c": C, "d": D}

M = TypeVar("M", Ping, IndirectPing, Ack, Nack, Suspect, Alive, Dead, User)


class Bench:
    """The machine "a", its clock, and what came out of it."""

    def __init__(self, *others: str, envelope: Envelope = PLAIN, **options: object) -> None:
        self.now = 0.0
        self.envelope = envelope
        self.extra: list[bytes] = []
        self.swim = Swim(
            "a",
            A,
            rng=random.Random(7),
            now=0.0,
            new_nonce=lambda: bytes(12),
            envelope=envelope,
            get_broadcasts=self.get_broadcasts,
            local_state=lambda join: b"serf's",
            ack_payload=lambda: b"coordinate",
            **options,  # type: ignore[arg-type]
        )
        for name in others:
            self.hear(alive(name))
        self.events()

    def get_broadcasts(self, overhead_bytes: int, limit_bytes: int) -> list[bytes]:
        taken, self.extra = self.extra, []
        assert all(overhead_bytes == 3 and len(payload) + 3 <= limit_bytes for payload in taken)
        return taken

    def hear(self, *messages: Message, source: Address = B) -> None:
        parts = [encode(message) for message in messages]
        self.swim.receive_packet(encode_packet(parts, self.envelope, nonce=bytes(12)), source, self.now)

    def events(self) -> list[Event]:
        return list(iter(self.swim.next_event, None))

    def sent(self) -> list[tuple[Message, Address]]:
        """All messages of all packets since the last time."""
        return [
            (message, address)
            for data, address in self.swim.packets_to_send(self.now)
            for message in decode_packet(data, self.envelope).messages
        ]

    def said(self, kind: type[M]) -> list[M]:
        return [message for message, _ in self.sent() if isinstance(message, kind)]

    def run(self, seconds: float) -> Iterator[tuple[Message, Address]]:
        """Alone for so long; gives what it sends, when it sends it."""
        end = self.now + seconds
        while self.swim.next_timer() <= end:
            self.now = self.swim.next_timer()
            self.swim.fire_timer(self.now)
            yield from self.sent()
        self.now = end

    def until(self, kind: type[M], seconds: float = 30.0) -> tuple[M, Address]:
        for message, address in self.run(seconds):
            if isinstance(message, kind):
                return message, address
        raise AssertionError(f"no {kind.__name__} in {seconds} s")


def alive(name: str, incarnation: int = 1, address: Address | None = None, meta: bytes = b"") -> Alive:
    return Alive(incarnation=incarnation, node=name, address=address or NODES.get(name, A), meta=meta)


def suspect(name: str, accuser: str, incarnation: int = 1) -> Suspect:
    return Suspect(incarnation=incarnation, node=name, from_node=accuser)


def dead(name: str, accuser: str, incarnation: int = 1) -> Dead:
    return Dead(incarnation=incarnation, node=name, from_node=accuser)


def entry(name: str, state: State, incarnation: int = 1, meta: bytes = b"") -> NodeState:
    return NodeState(incarnation=incarnation, node=name, address=NODES.get(name, A), state=state, meta=meta)
