"""What happens to a request between the HTTP edge and the log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dkv import router as router_module
from dkv.errors import Busy, LeadershipLost, NoLeader, NoSpace, NotLeader, Outcome, Timeout, TooLarge
from dkv.kv.commands import Code, Command, Op, Row, decode_batch
from dkv.levels import Level
from dkv.raft.status import Role
from dkv.raft.waiters import FutureTicket

Inside = Any
N2 = "n2.0000000a"


def put(key: str, value: str = "v", **more: Any) -> Command:
    return Command(Op.SET, key, value, **more)


async def write(inside: Inside, *commands: Command, seconds: float = 10.0) -> Any:
    return await inside.router.write(commands, deadline=inside.soon(seconds))


async def read(inside: Inside, *keys: str, level: Level = Level.LINEARIZABLE, **more: Any) -> Any:
    return await inside.router.read(keys, level, deadline=inside.soon(more.pop("seconds", 10.0)), **more)


@pytest.mark.asyncio
async def test_requests_of_a_turn_share_an_entry_and_get_their_own_results(inside: Inside) -> None:
    first, second = await asyncio.gather(
        write(inside, put("a"), put("b")), write(inside, Command(Op.DELETE, "none"), put("c"))
    )
    assert [result.code for result in first + second] == [Code.OK, Code.OK, Code.NOT_FOUND, Code.OK]
    assert len(inside.replica.payloads) == 1
    assert decode_batch(inside.replica.payloads[0]).time_ms == inside.wall_ms
    assert {first[0].revision, second[1].revision} == {inside.replica.last_index}


@pytest.mark.asyncio
async def test_a_turn_takes_a_bounded_number_of_commands_and_the_next_one_the_rest(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router_module, "TURN_COMMANDS_MAX", 3)
    sizes = [2, 1, 1, 5, 2]
    requests = [[put(f"{which}-{number}") for number in range(size)] for which, size in enumerate(sizes)]
    turns = inside.host.turns
    answers = await asyncio.gather(*(write(inside, *request) for request in requests))
    assert [len(answer) for answer in answers] == sizes
    assert [len(decode_batch(payload).commands) for payload in inside.replica.payloads] == [3, 1, 5, 2]
    assert inside.host.turns - turns >= 4
    assert inside.router.pending == 0


@pytest.mark.asyncio
async def test_two_writes_of_one_key_get_two_revisions(inside: Inside) -> None:
    first, second = await asyncio.gather(write(inside, put("a", "1")), write(inside, put("a", "2")))
    assert second[0].revision == first[0].revision + 1
    assert (await read(inside, "a")).rows == [Row("2", second[0].revision)]
    assert inside.router.pending == 0


@pytest.mark.asyncio
async def test_reads_of_a_turn_share_a_round(inside: Inside) -> None:
    await write(inside, put("a"))
    replies = await asyncio.gather(read(inside, "a", "b"), read(inside, "b"))
    assert inside.replica.rounds == 1
    assert [reply.rows for reply in replies] == [[Row("v", 2), None], [None]]
    assert {(reply.index, reply.level) for reply in replies} == {(2, Level.LINEARIZABLE)}


@pytest.mark.asyncio
async def test_a_strong_read_goes_through_the_log(inside: Inside) -> None:
    await write(inside, put("a"))
    reply = await read(inside, "a", "b", level=Level.STRONG)
    assert (reply.rows, reply.level) == ([Row("v", 2), None], Level.STRONG)
    assert len(inside.replica.payloads) == 2


@pytest.mark.parametrize(
    ("leader", "error", "says"),
    [(N2, NotLeader, "n2 at 127.0.0.1:30002 is"), (None, NoLeader, "No leader"), ("x.0", NoLeader, "No leader")],
)
@pytest.mark.asyncio
async def test_a_follower_says_who_leads(inside: Inside, leader: str | None, error: type[Exception], says: str) -> None:
    inside.replica.follow(leader)
    await inside.turn()
    for request in (write(inside, put("a")), read(inside, level=Level.WEAK), read(inside, level=Level.STRONG)):
        with pytest.raises(error, match=says) as refusal:
            await request
        assert refusal.value.outcome is Outcome.NOT_APPLIED
        assert (refusal.value.leader is None) == (error is NoLeader)
        assert (refusal.value.retry_after_s is None) == (error is NotLeader)
    assert (await read(inside, "a", level=Level.NONE)).rows == [None]
    assert (await read(inside, "a")).rows == [None]


@pytest.mark.asyncio
async def test_a_write_waits_for_the_end_of_an_election(inside: Inside) -> None:
    inside.replica.follow(None)
    waiting = asyncio.ensure_future(write(inside, put("a")))
    await inside.turn()
    assert not waiting.done()
    inside.replica.follow(N2)
    await inside.turn()
    with pytest.raises(NotLeader, match="n2 at"):
        await waiting
    inside.replica.follow(None)
    waiting = asyncio.ensure_future(write(inside, put("a")))
    await inside.turn()
    inside.replica.role, inside.replica.leader = Role.LEADER, inside.replica.me
    inside.host.wake()
    assert [result.code for result in await waiting] == [Code.OK]
    assert inside.router.pending == 0


@pytest.mark.asyncio
async def test_a_leader_deposed_before_the_append_names_its_successor(inside: Inside) -> None:
    waiting = asyncio.ensure_future(write(inside, put("a")))
    await asyncio.sleep(0)
    inside.replica.follow(N2)
    with pytest.raises(NotLeader) as refusal:
        await waiting
    assert refusal.value.leader.id == "n2"


@pytest.mark.asyncio
async def test_a_leader_deposed_after_the_append_does_not_know(inside: Inside) -> None:
    inside.replica.refusal = LeadershipLost("deposed")
    requests = await asyncio.gather(*(write(inside, put(key)) for key in "ab"), return_exceptions=True)
    assert [type(error) for error in requests] == [LeadershipLost, LeadershipLost]
    assert requests[0] is not requests[1]
    assert {error.outcome for error in requests} == {Outcome.UNKNOWN}
    assert inside.router.pending == 0


@pytest.mark.asyncio
async def test_deadlines(inside: Inside) -> None:
    inside.replica.hold = True
    with pytest.raises(Timeout) as late:
        await write(inside, put("a"), seconds=0.03)
    assert late.value.outcome is Outcome.UNKNOWN
    assert inside.router.pending == 1
    with pytest.raises(Timeout) as late:
        await read(inside, "a", seconds=0.03)
    assert late.value.outcome is Outcome.NOT_APPLIED
    inside.replica.hold = False
    await inside.turn()
    assert inside.router.pending == 0
    assert (await read(inside, "a")).rows == [Row("v", 2)]


@pytest.mark.asyncio
async def test_a_request_given_up_before_the_turn_is_never_appended(inside: Inside) -> None:
    future = FutureTicket(asyncio.get_running_loop())
    given_up = inside.router.begin_write([put("a")], future, deadline=float("inf"))
    assert given_up is not None
    given_up.done = True
    await write(inside, put("b"))
    assert [command.key for command in decode_batch(inside.replica.payloads[0]).commands] == ["b"]
    assert inside.router.pending == 0


@pytest.mark.asyncio
async def test_queues_are_bounded(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "REQUESTS_MAX", 2)
    outcomes = await asyncio.gather(*(write(inside, put(key)) for key in "abc"), return_exceptions=True)
    assert [isinstance(outcome, Busy) for outcome in outcomes] == [False, False, True]
    reads = await asyncio.gather(*(read(inside, key) for key in "abc"), return_exceptions=True)
    assert [isinstance(outcome, Busy) for outcome in reads] == [False, False, True]
    assert outcomes[2].retry_after_s == router_module.RETRY_AFTER_S
    monkeypatch.setattr(router_module, "WRITE_BYTES_MAX", 100)
    with pytest.raises(Busy):
        await write(inside, put("a", "v" * 100))
    assert inside.router.pending == 0


@pytest.mark.asyncio
async def test_a_batch_beyond_an_entry_is_refused(inside: Inside) -> None:
    with pytest.raises(TooLarge):
        await write(inside, *(put(f"k{number}", "v" * 1_000_000) for number in range(3)))
    assert inside.router.pending == 0


@pytest.mark.asyncio
async def test_a_nearly_full_disk_refuses_writes_only(inside: Inside) -> None:
    inside.storage.low = True
    with pytest.raises(NoSpace):
        await write(inside, put("a"))
    assert (await read(inside, "a")).rows == [None]


@pytest.mark.asyncio
async def test_what_waits_for_a_turn_is_refused_when_the_disk_is_full(inside: Inside) -> None:
    waiting = asyncio.ensure_future(write(inside, put("a")))
    await asyncio.sleep(0)
    inside.router.refuse(NoSpace("full"))
    with pytest.raises(NoSpace) as refusal:
        await waiting
    assert refusal.value.outcome is Outcome.NOT_APPLIED
    assert inside.router.pending == 0


@pytest.mark.parametrize("level", [Level.NONE, Level.WEAK, Level.LINEARIZABLE])
@pytest.mark.asyncio
async def test_read_your_writes(inside: Inside, level: Level) -> None:
    results = await write(inside, put("a"))
    assert (await read(inside, "a", level=level, min_index=results[0].revision)).index == 2
    with pytest.raises(Timeout, match="index 3") as late:
        await read(inside, "a", level=level, min_index=3, seconds=0.03)
    assert late.value.outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize(("leader", "contact_s", "fresh"), [(N2, 0.1, True), (N2, 0.6, False), (None, 0.1, False)])
@pytest.mark.asyncio
async def test_freshness(inside: Inside, leader: str | None, contact_s: float, fresh: bool) -> None:
    inside.replica.follow(leader)
    inside.replica.leader_contact_s = contact_s
    if fresh:
        assert (await read(inside, "a", level=Level.NONE, freshness_s=0.5)).rows == [None]
    else:
        with pytest.raises(Timeout, match=r"older than the 0\.5 s"):
            await read(inside, "a", level=Level.NONE, freshness_s=0.5)


@pytest.mark.asyncio
async def test_keys_expire_though_nobody_writes(inside: Inside) -> None:
    await write(inside, put("a", ttl_ms=100), put("b"))
    inside.wall_ms += 1000
    await inside.turn()
    await inside.turn()
    assert (await read(inside, "a", "b", level=Level.NONE)).rows == [None, Row("v", 2)]
    assert [command.op for command in decode_batch(inside.replica.payloads[-1]).commands] == [Op.CLOCK]
    turns, entries = inside.host.turns, len(inside.replica.payloads)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (inside.host.turns, len(inside.replica.payloads)) == (turns, entries)


@pytest.mark.asyncio
async def test_a_timer_wakes_for_the_next_expiry(inside: Inside) -> None:
    await write(inside, put("a", ttl_ms=100))
    assert 0.0 < inside.router.next_timer(inside.replica) - inside.clock.now() < 0.2
    inside.replica.follow(N2)
    await inside.turn()
    assert inside.router.next_timer(inside.replica) == float("inf")


@pytest.mark.asyncio
async def test_the_view(inside: Inside) -> None:
    view = inside.router.view()
    assert (view.node, view.leader.id, view.term, view.applied_index) == ("n1", "n1", 3, 1)
    inside.replica.follow(None)
    await inside.turn()
    assert inside.router.view().leader is None
