"""Links that are told to behave badly, on real loopback sockets."""

import asyncio
import random
from types import SimpleNamespace

import pytest
import uvloop

from dkv.clock import MonotonicClock
from dkv.faults.links import LinkFaults
from dkv.net.options import Options
from dkv.net.peers import Peers
from dkv.net.shaped import ShapedOutbound

N1, N2 = "n1.00000001", "n2.00000002"

PATIENT = Options(silent_pings_max=10_000)
"""No link is given up for silence, however slow the machine."""

HASTY = Options(
    ping_interval_s=0.02,
    silent_pings_max=5,
    connect_deadline_s=0.2,
    handshake_deadline_s=0.2,
    backoff_min_s=0.01,
    backoff_max_s=0.02,
)

CUT = {"cut": True}
SILENCE = {"send": CUT, "receive": CUT}


def numbered(count, start=0):
    return [(1, b"%d" % number) for number in range(start, start + count)]


def bodies(count, start=0):
    return [body for _, body in numbered(count, start)]


class Pair:
    """n1, which has faults, and n2, which knows of none."""

    def __init__(self, net, one, other, faults):
        self.net, self.one, self.other, self.faults = net, one, other, faults

    async def up(self):
        self.net.introduce(self.one, self.other)
        await self.net.all_up(self.one, self.other)
        await self.net.until(lambda: N1 in self.other.peers._door.inbound and N2 in self.one.peers._door.inbound)

    async def both_ways(self):
        """Something that is sent now arrives, in both directions."""
        for sender, receiver in ((self.one, self.other), (self.other, self.one)):
            before = len(receiver.frames)
            sender.peers.send(receiver.me, [(1, b"both ways")])
            await self.net.until(lambda receiver=receiver, before=before: len(receiver.frames) > before)


@pytest.fixture
def pair(net):
    async def make(options=PATIENT, other_options=None):
        faults = LinkFaults(random.Random(1))
        one = await net.node(N1, options=options, faults=faults)
        return Pair(net, one, await net.node(N2, options=other_options or options), faults)

    return make


async def passes(seconds):
    """Time in which something must *not* happen; too little of it can only hide a failure."""
    await asyncio.sleep(seconds)


@pytest.mark.asyncio
async def test_without_rules_nothing_is_different(pair) -> None:
    pair = await pair()
    await pair.up()
    pair.one.peers.send(N2, numbered(500))
    pair.other.peers.send(N1, numbered(500))
    await pair.net.until(lambda: len(pair.one.frames) == len(pair.other.frames) == 500)
    assert pair.one.bodies_from(N2) == pair.other.bodies_from(N1) == bodies(500)
    assert pair.faults.effects() == {}


@pytest.mark.asyncio
async def test_a_short_cut_delivers_all_in_order_once_it_is_healed_and_nobody_is_told(pair) -> None:
    pair = await pair()
    await pair.up()
    pair.faults.set({"n2": SILENCE})
    pair.one.peers.send(N2, numbered(100))
    pair.other.peers.send(N1, numbered(100))
    await passes(0.2)
    assert pair.one.frames == pair.other.frames == []
    assert pair.one.peers.status()[N2].queued_bytes > 0
    pair.faults.heal()
    pair.one.peers.send(N2, numbered(100, 100))
    await pair.net.until(lambda: len(pair.other.frames) == 200 and len(pair.one.frames) == 100)
    assert pair.other.bodies_from(N1) == bodies(200)
    assert pair.one.bodies_from(N2) == bodies(100)
    assert pair.one.events == [("up", N2)]
    assert pair.other.events == [("up", N1)]
    assert pair.faults.effects()["n2"]["send held"] >= 100


@pytest.mark.asyncio
@pytest.mark.parametrize("direction", ["send", "receive"])
async def test_a_cut_of_one_direction_lets_the_other_pass(pair, direction) -> None:
    pair = await pair()
    await pair.up()
    pair.faults.set({"n2": {direction: CUT}, "n3": SILENCE})
    pair.one.peers.send(N2, numbered(10))
    pair.other.peers.send(N1, numbered(10))
    deaf, hearing = (pair.other, pair.one) if direction == "send" else (pair.one, pair.other)
    await pair.net.until(lambda: len(hearing.frames) == 10)
    await passes(0.1)
    assert deaf.frames == []
    pair.faults.heal()
    await pair.net.until(lambda: len(deaf.frames) == 10)


@pytest.mark.asyncio
async def test_a_long_cut_costs_the_links_in_silence_and_no_new_ones_come_about(pair) -> None:
    pair = await pair(HASTY)
    await pair.up()
    pair.faults.set({"n2": SILENCE})
    await pair.net.until(lambda: ("down", N2, False) in pair.one.events and ("down", N1, False) in pair.other.events)
    await pair.net.until(lambda: "no connection within" in (pair.one.peers.status()[N2].last_error or ""))
    await pair.net.until(lambda: "handshake was not complete" in (pair.other.peers.status()[N1].last_error or ""))
    assert pair.one.events == [("up", N2), ("down", N2, False)]
    assert pair.other.events == [("up", N1), ("down", N1, False)], "no reset, and no end of an inbound link"
    pair.faults.heal()
    await pair.net.all_up(pair.one, pair.other)
    await pair.both_ways()


@pytest.mark.asyncio
async def test_a_peer_that_dies_beyond_a_cut_is_not_missed_before_the_heal(pair) -> None:
    pair = await pair()
    await pair.up()
    pair.faults.set({"n2": SILENCE})
    await pair.other.peers.close()
    await passes(0.2)
    assert pair.one.events == [("up", N2)]
    pair.faults.heal()
    await pair.net.until(lambda: {("down", N2, True), ("inbound lost", N2)} <= {*pair.one.events})


@pytest.mark.asyncio
async def test_a_full_queue_behind_a_cut_costs_the_link_without_a_word(pair) -> None:
    pair = await pair(Options(silent_pings_max=10_000, send_queue_bytes_max=100_000, connect_deadline_s=0.2))
    await pair.up()
    pair.faults.set({"n2": SILENCE})
    for _ in range(20):
        pair.one.peers.send(N2, [(1, bytes(10_000))])
        assert pair.one.peers.status()[N2].queued_bytes <= 100_000
    await pair.net.until(lambda: pair.one.events == [("up", N2), ("down", N2, False)])
    await passes(0.1)
    assert pair.other.frames == []
    assert pair.other.events == [("up", N1)]
    pair.faults.heal()
    await pair.net.all_up(pair.one, pair.other)
    await pair.both_ways()
    assert pair.other.bodies_from(N1) == [b"both ways"], "what was held on the lost link is lost"


@pytest.mark.asyncio
async def test_links_that_begin_under_a_cut_come_up_with_the_heal(pair) -> None:
    pair = await pair()
    pair.faults.set({"n2": SILENCE})
    pair.net.introduce(pair.one, pair.other)
    await passes(0.2)
    assert pair.one.events == pair.other.events == []
    pair.faults.heal()
    await pair.net.all_up(pair.one, pair.other)
    await pair.both_ways()


@pytest.mark.asyncio
async def test_delay_is_seen_in_the_round_trip(pair) -> None:
    pair = await pair(Options(ping_interval_s=0.02))
    await pair.up()
    pair.faults.set({"n2": {"send": {"delay_s": 0.05}, "receive": {"delay_s": 0.05}}})
    while (pair.one.peers.status()[N2].rtt_s or 0) < 0.05:
        await pair.both_ways()
    before = len(pair.other.frames)
    loop = asyncio.get_running_loop()
    sent_at = loop.time()
    pair.one.peers.send(N2, numbered(3))
    await pair.net.until(lambda: len(pair.other.frames) == before + 3)
    assert loop.time() - sent_at > 0.04
    assert pair.other.bodies_from(N1)[before:] == bodies(3)
    assert pair.one.events == [("up", N2)]


@pytest.mark.asyncio
@pytest.mark.parametrize("direction", ["send", "receive"])
async def test_lost_doubled_and_overtaken(pair, direction) -> None:
    pair = await pair(Options(ping_interval_s=0.02, silent_pings_max=1000))
    await pair.up()
    sender, receiver = (pair.one, pair.other) if direction == "send" else (pair.other, pair.one)
    pair.faults.set({"n2": {direction: {"loss": 0.2, "duplicate": 0.2, "reorder": 0.2}}})
    for start in range(0, 500, 10):
        sender.peers.send(receiver.me, numbered(10, start))
    await pair.net.until(lambda: pair.faults.effects().get("n2", {}).get(f"{direction} lost", 0) > 50)
    pair.faults.heal()
    sender.peers.send(receiver.me, [(1, b"end")])
    await pair.net.until(lambda: b"end" in receiver.bodies_from(sender.me))
    got = [int(body) for body in receiver.bodies_from(sender.me)[:-1]]
    assert receiver.bodies_from(sender.me)[-1] == b"end", "what was under way at the heal comes first"
    assert len(set(got)) < 500
    assert len(got) > len(set(got))
    assert got != sorted(got)
    assert sender.events[0][0] == "up"
    assert len(sender.events) == 1, "the link itself survives, pings and acknowledgements get through often enough"


@pytest.mark.asyncio
async def test_all_lost_is_as_good_as_cut(pair) -> None:
    pair = await pair(HASTY)
    await pair.up()
    pair.faults.set({"n2": {"send": {"loss": 1.0}}})
    await pair.net.until(lambda: ("down", N2, False) in pair.one.events)
    pair.faults.heal()
    await pair.net.all_up(pair.one, pair.other)
    await pair.both_ways()


@pytest.mark.asyncio
@pytest.mark.parametrize("direction", ["send", "receive"])
async def test_a_rate(pair, direction) -> None:
    pair = await pair()
    await pair.up()
    sender, receiver = (pair.one, pair.other) if direction == "send" else (pair.other, pair.one)
    pair.faults.set({"n2": {direction: {"rate_bytes_s": 1_000_000}}})
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    sender.peers.send(receiver.me, [(1, bytes(20_000))] * 10)
    await pair.net.until(lambda: len(receiver.frames) == 10)
    assert loop.time() - began_at > 0.18
    assert sender.events == [("up", receiver.me)]


@pytest.mark.asyncio
async def test_a_slow_receiver_holds_a_bounded_amount(pair, monkeypatch) -> None:
    monkeypatch.setattr("dkv.net.shaped.READ_AHEAD_BYTES", 300_000)
    pair = await pair()
    await pair.up()
    pair.faults.set({"n2": {"receive": {"rate_bytes_s": 5e6}}})
    pair.other.peers.send(N1, [(1, bytes(50_000))] * 60)
    link = pair.one.peers._door.inbound[N2]
    await pair.net.until(lambda: len(pair.one.frames) > 3)
    assert 0 < link._lanes.receive.waiting_bytes < 1_000_000
    await pair.net.until(lambda: len(pair.one.frames) == 60)
    pair.other.peers.send(N1, [(1, bytes(50_000))] * 60)
    pair.faults.heal()
    await pair.net.until(lambda: len(pair.one.frames) == 120)


@pytest.mark.asyncio
async def test_a_node_that_closes_lets_out_what_is_under_way(pair) -> None:
    pair = await pair()
    await pair.up()
    pair.faults.set({"n2": {"send": {"delay_s": 0.1}}})
    pair.one.peers.send(N2, numbered(20))
    await pair.one.peers.close()
    await pair.net.until(lambda: ("inbound lost", N1) in pair.other.events)
    assert pair.other.bodies_from(N1) == bodies(20)


@pytest.mark.asyncio
async def test_what_a_peer_said_before_it_closed_arrives_before_its_end(pair) -> None:
    pair = await pair()
    await pair.up()
    pair.faults.set({"n2": {"receive": {"delay_s": 0.1}}})
    pair.other.peers.send(N1, numbered(20))
    await pair.other.peers.close()
    await pair.net.until(lambda: ("inbound lost", N2) in pair.one.events)
    assert pair.one.bodies_from(N2) == bodies(20)


@pytest.mark.asyncio
async def test_rules_go_by_name_and_so_survive_a_new_incarnation(pair) -> None:
    pair = await pair()
    await pair.up()
    pair.faults.set({"n2": SILENCE})
    again = "n2.0000000b"
    other = await pair.net.node(again, options=PATIENT)
    pair.one.peers.set_addresses({again: other.peers.address})
    other.peers.set_addresses({N1: pair.one.peers.address})
    await passes(0.2)
    assert ("up", again) not in pair.one.events
    assert other.events == []
    pair.faults.heal()
    await pair.net.all_up(pair.one, other)


@pytest.mark.asyncio
async def test_closing_under_a_cut_leaves_nothing_behind(pair) -> None:
    # n2 does not dial again: asyncio leaks a connection that it accepts while its server closes.
    pair = await pair(HASTY, PATIENT)
    await pair.up()
    pair.faults.set({"n2": SILENCE})
    await pair.net.until(lambda: pair.one.events[1:])
    pair.one.peers.send(N2, numbered(3))
    await pair.one.peers.close()
    assert pair.faults._lanes == {}
    assert pair.faults._watchers == {}
    assert not pair.faults._buried


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_both_loops_cut_and_heal(run) -> None:
    async def scenario() -> list[bytes]:
        got, notes = [], []
        faults = {N1: LinkFaults(random.Random(0)), N2: LinkFaults(random.Random(1))}
        changed = asyncio.Event()

        def note(notes, what):
            notes.append(what)
            changed.set()

        def peers(me):
            return Peers(
                me, "c1", None,
                on_frame=lambda node, group, body: note(got, body),
                on_up=lambda node: note(notes, ("up", node)),
                on_down=lambda node, *, reset: note(notes, ("down", node)),
                on_inbound_lost=lambda node: note(notes, node),
                clock=MonotonicClock(), rng=random.Random(0), options=HASTY, faults=faults[me],
            )  # fmt: skip

        async def until(fact):
            while not fact():
                changed.clear()
                await changed.wait()

        one, other = peers(N1), peers(N2)
        async with asyncio.timeout(30):
            await one.start()
            await other.start()
            one.set_addresses({N2: other.address})
            other.set_addresses({N1: one.address})
            await until(lambda: {("up", N1), ("up", N2)} <= {*notes})
            faults[N1].set({"n2": SILENCE})
            faults[N2].set({"n1": SILENCE})
            one.send(N2, numbered(10))
            await until(lambda: {("down", N1), ("down", N2)} <= {*notes})
            assert got == []
            assert N1 not in notes
            assert N2 not in notes
            notes.clear()
            faults[N1].heal()
            faults[N2].heal()
            await until(lambda: {("up", N1), ("up", N2)} <= {*notes})
            one.send(N2, numbered(10, 10))
            await until(lambda: len(got) == 10)
            await one.close()
            await other.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return got

    assert run(scenario()) == bodies(10, 10)


@pytest.mark.asyncio
async def test_a_loopback_address_of_its_own_is_the_source_of_what_a_node_dials(net) -> None:
    one = await net.node(N1, bind_host="127.0.0.2")
    other = await net.node(N2)
    net.introduce(one, other)
    await net.all_up(one, other)
    await net.until(lambda: N1 in other.peers._door.inbound and N2 in one.peers._door.inbound)
    assert other.peers._door.inbound[N1].remote.startswith("127.0.0.2:")
    assert one.peers._door.inbound[N2].remote.startswith("127.0.0.1:")


def test_what_the_end_of_a_link_overtook_is_not_written_after_it() -> None:
    written: list[bytes] = []
    link = object.__new__(ShapedOutbound)
    link._transport = SimpleNamespace(is_closing=lambda: False, write=written.append)  # type: ignore[assignment]
    link._wire(b"before")
    link._finished = True
    link._wire(b"after")
    assert written == [b"before"]
