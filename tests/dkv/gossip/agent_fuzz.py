"""Hostile bytes at every door of a running agent: datagrams, streams, RPC. ``python -m tests.dkv.gossip.agent_fuzz``.

What is sent are the golden vectors, whole, cut anywhere, with wrong bits and with lies about sizes, and bombs: nested
compounds, and what decompresses to far more than it is. Some of it is understood, and names members that do not exist;
nothing is sent to those, since their addresses are anybody's.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dkv.gossip.agent.dialling import NoAnswer
from dkv.gossip.wire import lzw, messages, packing
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.messages import MessageType
from dkv.gossip.wire.packets import compound, compress, decode_packet
from dkv.gossip.wire.particulars import Address
from tests.dkv.gossip.agents import QUICK, Ours, World, until, world
from tests.dkv.gossip.vectors import vectors

FLIPS_PER_VECTOR = 200
AT_ONCE = 32
"""Connections."""


@dataclass
class Report:
    """Of one door."""

    door: str
    cases: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    """Of what the kernel made of one."""
    lag_s: float = 0.0
    """For so long something else had to wait for the event loop, which this program burdens as well."""

    def __str__(self) -> str:
        rate = self.cases / self.seconds if self.seconds else 0.0
        return (
            f"{self.door}: {self.cases} cases, {rate:.0f}/s; the slowest took the kernel "
            f"{self.slowest_s * 1000:.1f} ms, the loop was late by {self.lag_s * 1000:.0f} ms at most"
        )


# --- cases ------------------------------------------------------------------------------------------------------------


def damaged(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Every prefix, and a sample of wrong bits and wrong lengths."""
    yield data
    for size in range(len(data)):
        yield data[:size]
    for _ in range(FLIPS_PER_VECTOR if data else 0):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        yield bytes(flipped)
    for _ in range(FLIPS_PER_VECTOR // 4 if len(data) > 4 else 0):
        at = rng.randrange(len(data) - 4)
        yield data[:at] + rng.choice(LIES) + data[at + 4 :]


LIES = tuple(first + b"\xff\xff\xff" for first in (b"\xff", b"\xdf", b"\xdd", b"\xdb", b"\xc6", b"\x7f"))
"""In the place of any four bytes: maps, arrays and texts of billions."""


def datagrams(rng: random.Random) -> Iterator[bytes]:
    for vector in vectors("udp"):
        yield from damaged(vector.data, rng)
        if vector.envelope.keyring or vector.envelope.label:
            for message in decode_packet(vector.data, vector.envelope).messages:
                yield from damaged(messages.encode(message), rng)
    for _ in range(500):
        yield rng.randbytes(rng.randrange(1500))


def bombs() -> Iterator[bytes]:
    """Each within the size of a datagram."""
    nack = messages.encode(messages.Nack(sequence=1))
    yield compound([nack] * 127)
    nested = nack
    for _ in range(8):
        nested = compound([nested] * min(127, 60_000 // len(nested)))
        yield nested
    for size in (60_000, 1_000_000):
        yield bytes((MessageType.COMPRESS,)) + compress(bytes(size))[1:60_000]
    twice = compress(compress(bytes(1_000_000)))
    yield twice[:60_000]
    yield bytes((MessageType.COMPRESS,)) + packing.fields(
        {"Algo": packing.integer(0), "Buf": packing.raw(b"\xff" * 60_000)}
    )


def compressed(data: bytes) -> bytes:
    """A message that says that it is."""
    return bytes((MessageType.COMPRESS,)) + packing.fields({"Algo": packing.integer(0), "Buf": packing.raw(data)})


def streams(rng: random.Random) -> Iterator[bytes]:
    for vector in vectors("tcp"):
        yield from damaged(vector.data, rng)


def stream_bombs() -> Iterator[bytes]:
    for size in (1_000_000, 8_000_000):
        yield compressed(lzw.compress(bytes(size)))
    yield bytes((MessageType.ENCRYPT,)) + struct.pack(">I", 2**32 - 1) + bytes(100_000)
    nodes = {"Nodes": packing.integer(2**31 - 1), "UserStateLen": packing.integer(0), "Join": packing.boolean(True)}
    yield bytes((MessageType.PUSH_PULL,)) + packing.fields(nodes) + bytes(500_000)
    large = packing.fields({"UserMsgLen": packing.integer(2_097_151)})
    yield bytes((MessageType.USER,)) + large + bytes(2_097_151)
    yield bytes(3_000_000)


def requests(rng: random.Random) -> Iterator[bytes]:
    handshake = next(vector.data for vector in vectors("rpc") if "handshake" in vector.name and not vector.dialling)
    for vector in vectors("rpc"):
        if "leave" in vector.name and "force" not in vector.name:
            continue  # it would be obeyed
        for data in damaged(vector.data, rng):
            yield data
            if rng.random() < 0.2:
                yield handshake + data
    yield handshake + b"\xdf\xff\xff\xff\xff" * 10_000
    yield b"\x91" * 1_000_000


# --- the doors --------------------------------------------------------------------------------------------------------


class Bout:
    """An agent under fire, and one that watches it."""

    def __init__(self, victim: Ours, watcher: Ours) -> None:
        self.victim, self.watcher = victim, watcher
        self._driver: Any = victim.agent._driver
        here = {victim.agent.address, watcher.agent.address}
        for ours in (victim, watcher):
            _confine(ours, here)

    @classmethod
    async def begin(cls, made: World) -> Bout:
        victim = await made.ours("victim", profile=QUICK)
        watcher = await made.ours("watcher", profile=QUICK, join=(victim.agent.address,))
        await until(lambda: victim.sees(victim=Status.ALIVE, watcher=Status.ALIVE), "both")
        return cls(victim, watcher)

    async def datagrams(self, cases: Iterable[bytes]) -> Report:
        """As fast as it takes them."""
        report, tally = Report("datagrams"), self.victim.agent._tally
        self._measure(self._driver._kernel, "receive_packet", report)
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            began = time.monotonic()
            for data in cases:
                received = tally.packets_received
                sock.sendto(data, self.victim.agent.address)
                report.cases += 1
                while tally.packets_received == received:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0)
            report.seconds = time.monotonic() - began
        return report

    async def connections(self, door: str, address: Address, cases: Iterable[bytes]) -> Report:
        """Some at the same time."""
        report, waiting = Report(door), iter(cases)
        if door == "streams":
            self._measure(self._driver._kernel, "receive_stream", report)

        async def client() -> None:
            for data in waiting:
                await _offer(address, data)
                report.cases += 1

        began = time.monotonic()
        lag = asyncio.create_task(_watch_lag(report))
        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
        lag.cancel()
        report.seconds = time.monotonic() - began
        return report

    async def is_unharmed(self) -> None:
        """Both still see each other, never lost sight of each other, and do their work."""
        both = (self.victim, self.watcher)
        await until(lambda: all(_sees_both(ours) for ours in both), "both alive")
        for ours in both:
            for name in ("victim", "watcher"):
                assert Status.FAILED not in ours.statuses[name], f"{ours.name} saw {name}: {ours.statuses[name]}"
        self.victim.agent.set_tags({"role": "survivor"})
        await until(lambda: self.watcher.tags("victim").get("role") == "survivor", "news spread")

    @staticmethod
    def _measure(place: Any, verb: str, report: Report) -> None:
        call = getattr(place, verb)

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                taken_s = time.perf_counter() - began
                report.slowest_s = max(report.slowest_s, taken_s)

        setattr(place, verb, timed)


def _confine(ours: Ours, here: set[Address]) -> None:
    """Nothing leaves for anywhere else: packets are lost, streams refused."""
    driver: Any = ours.agent._driver
    send: Callable[[bytes, Address], None] = driver._datagrams.send
    ask = driver._dialling.ask

    async def confined(request: Any, timeout_s: float) -> Any:
        if request.address not in here:
            raise NoAnswer("out of bounds")
        return await ask(request, timeout_s)

    driver._datagrams.send = lambda data, address: send(data, address) if address in here else None
    driver._dialling.ask = confined


async def _offer(address: Address, data: bytes) -> None:
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError:
        return
    try:
        writer.write(data)
        writer.write_eof()
        while await reader.read(65_536):
            pass
    except OSError:
        pass  # it was refused before it was whole
    finally:
        writer.transport.abort()


async def _watch_lag(report: Report) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0)
        report.lag_s = max(report.lag_s, time.perf_counter() - began)


def _sees_both(ours: Ours) -> bool:
    view = ours.view()
    return view["victim"] is view["watcher"] is Status.ALIVE


def sample(cases: Iterable[bytes], share: float, rng: random.Random) -> Iterator[bytes]:
    return (data for data in cases if rng.random() < share)


async def fuzz(directory: Path, seed: int, share: float) -> list[Report]:
    """``share`` of all cases, but of the bombs all."""
    rng = random.Random(seed)
    async with world(directory) as made:
        bout = await Bout.begin(made)
        victim = bout.victim
        reports = [
            await bout.datagrams([*bombs(), *sample(datagrams(rng), share, rng)]),
            await bout.connections(
                "streams", victim.agent.address, [*stream_bombs(), *sample(streams(rng), share, rng)]
            ),
            await bout.connections("rpc", victim.rpc, sample(requests(rng), share, rng)),
        ]
        await bout.is_unharmed()
        print(victim.agent.figures())
        return reports


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0)
    options = parser.parse_args()
    memory = psutil.Process().memory_info
    with tempfile.TemporaryDirectory() as directory:
        before = memory().rss
        for report in asyncio.run(fuzz(Path(directory), options.seed, options.share)):
            print(report)
        print(f"memory grew by {(memory().rss - before) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
