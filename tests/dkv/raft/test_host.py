"""The turn: its order, what shares it, and what happens when the disk does not play along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from dkv.clock import MonotonicClock
from dkv.errors import DkvError, FatalError, NoSpace, Outcome, ShuttingDown, Timeout
from dkv.metrics import Metrics
from dkv.raft import host as host_module
from dkv.raft import space
from dkv.raft.contracts import DiskFull, NodeId
from dkv.raft.host import Host, Phase
from dkv.raft.messages import HigherTerm, Message, Vote, encode

GROUP = 1


class FakeReplica:
    """One group whose every call is written down; proposals succeed in the turn that takes them."""

    def __init__(self, diary: list[str]) -> None:
        self.group = GROUP
        self.me = "n1.aa"
        self.diary = diary
        self.outbox: list[tuple[NodeId, Message]] = []
        self.early: list[tuple[NodeId, Message]] = []
        self.tickets: list[tuple[Any, Any]] = []
        self.busy_turns = 0
        self.timer = float("inf")
        self.answers = True
        self.broken: BaseException | None = None

    def peer_up(self, node: NodeId) -> None:
        self.diary.append(f"up {node}")

    def peer_down(self, node: NodeId, *, reset: bool) -> None:
        self.diary.append(f"down {node} {reset}")

    def peer_lost(self, node: NodeId) -> None:
        self.diary.append(f"lost {node}")

    def receive(self, sender: NodeId, message: Message) -> None:
        self.diary.append(f"receive {sender}")
        self.outbox.append((sender, Vote(term=1)))

    def can_wait(self, sender: NodeId, message: Message) -> bool:
        return False

    def add_voter(self, node: NodeId, ticket: Any) -> None:
        self.diary.append(f"add {node}")
        self.tickets.append((ticket, None))

    def wait_applied(self, index: int, ticket: Any) -> None:
        self.tickets.append((ticket, index))

    def tick(self) -> None:
        self.diary.append("tick")
        if self.broken is not None:
            raise self.broken

    def take_early_messages(self) -> list[tuple[NodeId, Message]]:
        early, self.early = self.early, []
        return early

    def take_messages(self) -> list[tuple[NodeId, Message]]:
        outbox, self.outbox = self.outbox, []
        return outbox

    def settle(self) -> None:
        self.diary.append("settle")
        if self.answers:
            tickets, self.tickets = self.tickets, []
            for ticket, value in tickets:
                ticket.complete(value)

    def more_to_do(self) -> bool:
        self.busy_turns -= 1
        return self.busy_turns >= 0

    def next_timer(self) -> float:
        timer, self.timer = self.timer, float("inf")
        return timer


class FakeStorage:
    """A disk that can be full, or break its word."""

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary
        self.errors: list[BaseException] = []
        self.low = False

    def commit(self) -> None:
        self.diary.append("commit")
        if self.errors:
            raise self.errors.pop(0)

    def low_on_space(self) -> bool:
        return self.low


class FakeSource:
    """A router with nothing of its own."""

    def __init__(self) -> None:
        self.refused: list[DkvError] = []

    def hand_over(self, replica: FakeReplica) -> None:
        replica.diary.append("hand over")

    def refuse(self, error: DkvError) -> None:
        self.refused.append(error)

    def next_timer(self, replica: FakeReplica) -> float:
        return float("inf")


class Scene:
    """A host with one fake group, and the diary of all that was called."""

    def __init__(self, *, with_points: bool = False) -> None:
        self.diary: list[str] = []
        points = SimpleNamespace(hit=lambda name: self.diary.append(f"point {name}"))
        self.replica = FakeReplica(self.diary)
        self.storage = FakeStorage(self.diary)
        self.source = FakeSource()
        self.metrics = Metrics("0")
        self.dead: list[BaseException] = []
        self.host = Host(
            storage=self.storage,
            send=lambda node, frames: self.diary.append(f"send {node} {len(frames)}"),
            clock=MonotonicClock(),
            metrics=self.metrics,
            die=self.dead.append,  # type: ignore[arg-type]
            faults=SimpleNamespace(points=points) if with_points else None,  # type: ignore[arg-type]
        )
        self.host.add(self.replica, self.source)  # type: ignore[arg-type]

    async def wait(self, condition: Callable[[], Any]) -> None:
        for _ in range(10_000):
            if condition():
                return
            await asyncio.sleep(0.001)
        raise AssertionError(f"waited in vain; {self.diary}")

    async def fresh(self) -> None:
        """Wait for the first turn and forget it."""
        await self.wait(lambda: self.host.turns == 1)
        self.diary.clear()


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    await scene.fresh()
    yield scene
    await scene.host.stop()


def soon() -> float:
    return MonotonicClock().now() + 10.0


TURN = ["hand over", "tick", "commit"]


@pytest.mark.asyncio
async def test_nothing_leaves_before_the_commit(scene: Scene) -> None:
    scene.host.deliver("n2.bb", GROUP, encode(HigherTerm(term=3)))
    await scene.wait(lambda: scene.host.turns == 2)
    assert scene.diary == ["receive n2.bb", *TURN, "send n2.bb 1", "settle"]


@pytest.mark.asyncio
async def test_what_promises_nothing_leaves_while_the_disk_writes(scene: Scene) -> None:
    scene.replica.early.append(("n3.cc", HigherTerm(term=3)))
    scene.host.deliver("n2.bb", GROUP, encode(HigherTerm(term=3)))
    await scene.wait(lambda: scene.host.turns == 2)
    assert scene.diary == ["receive n2.bb", "hand over", "tick", "send n3.cc 1", "commit", "send n2.bb 1", "settle"]


@pytest.mark.asyncio
async def test_the_points_of_a_turn() -> None:
    scene = Scene(with_points=True)
    await scene.fresh()
    scene.host.deliver("n2.bb", GROUP, encode(HigherTerm(term=3)))
    await scene.wait(lambda: scene.host.turns == 2)
    send = ["point send.before", "send n2.bb 1", "point send.after"]
    assert scene.diary == ["receive n2.bb", *TURN, *send, "point answer.before", "settle"]
    await scene.host.stop()


@pytest.mark.asyncio
async def test_what_arrives_before_a_turn_shares_it_in_order(scene: Scene) -> None:
    async def links() -> None:
        scene.host.peer_up("n2.bb")
        scene.host.deliver("n2.bb", GROUP, encode(HigherTerm(term=3)))
        scene.host.peer_down("n2.bb", reset=True)
        scene.host.peer_lost("n2.bb")

    changes = [scene.host.add_voter(GROUP, node, soon()) for node in ("n3.cc", "n4.dd")]
    await asyncio.gather(links(), *changes)
    assert scene.diary[:4] == ["up n2.bb", "receive n2.bb", "down n2.bb True", "lost n2.bb"]
    assert scene.diary[4:6] == ["add n3.cc", "add n4.dd"]
    assert scene.diary.count("commit") == 1


@pytest.mark.asyncio
async def test_a_turn_follows_while_there_is_more_to_do(scene: Scene) -> None:
    scene.replica.busy_turns = 3
    scene.host.wake()
    await scene.wait(lambda: scene.host.turns == 5)
    await asyncio.sleep(0.01)
    assert scene.host.turns == 5


@pytest.mark.asyncio
async def test_a_timer_brings_a_turn(scene: Scene) -> None:
    scene.replica.timer = MonotonicClock().now() + 0.02
    scene.host.wake()
    await scene.wait(lambda: scene.host.turns == 2)
    scene.replica.timer = float("-inf")  # due when the timer asks again
    await scene.wait(lambda: scene.host.turns == 3)
    assert scene.diary == [*TURN, "settle"] * 2


@pytest.mark.asyncio
async def test_garbage_is_refused_and_counted(scene: Scene) -> None:
    for _ in range(2):
        scene.host.deliver("n2.bb", GROUP, b"\x80\x04K\x01.")
    scene.host.deliver("n2.bb", 99, encode(HigherTerm(term=3)))
    assert scene.host.refused_frames == {"bad_message": 2, "unknown_group": 1}
    assert scene.host.turns == 1


@pytest.mark.asyncio
async def test_a_full_inbox_drops_frames(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = encode(HigherTerm(term=3))
    monkeypatch.setattr(host_module, "INBOX_BYTES_MAX", 2 * len(frame))
    for _ in range(3):
        scene.host.deliver("n2.bb", GROUP, frame)
    await scene.wait(lambda: scene.host.turns == 2)
    assert scene.diary.count("receive n2.bb") == 2
    assert scene.host.refused_frames == {"inbox_full": 1}
    scene.host.deliver("n2.bb", GROUP, frame)
    assert scene.host.refused_frames == {"inbox_full": 1}


@pytest.mark.asyncio
async def test_a_full_disk_stalls_and_then_goes_on(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "STALL_RETRY_S", 0.02)
    scene.storage.errors = [DiskFull("full")] * 3
    write = asyncio.ensure_future(scene.host.add_voter(GROUP, "n3.cc", soon()))
    await scene.wait(lambda: scene.host.phase is Phase.STALLED)
    assert [error.code for error in scene.source.refused] == ["NO_SPACE"]
    with pytest.raises(NoSpace) as refusal:
        scene.host.space.check()
    assert refusal.value.outcome is Outcome.NOT_APPLIED
    scene.host.deliver("n2.bb", GROUP, encode(HigherTerm(term=3)))
    assert not write.done()
    await write
    await scene.wait(lambda: "send n2.bb 1" in scene.diary)
    assert scene.diary[:7] == ["add n3.cc", "hand over", "tick", "commit", "commit", "commit", "commit"]
    assert scene.diary[7:] == ["settle", "receive n2.bb", *TURN, "send n2.bb 1", "settle"]


async def applied(scene: Scene, index: int, deadline: float) -> None:
    await scene.host.waiters.outcome(lambda ticket: scene.host.begin_wait_applied(GROUP, index, deadline, ticket))


@pytest.mark.asyncio
async def test_a_nearly_full_disk_refuses_writes_but_not_reads(scene: Scene) -> None:
    scene.storage.low = True
    with pytest.raises(NoSpace):
        scene.host.space.check()
    await applied(scene, 7, soon())


@pytest.mark.asyncio
async def test_the_room_is_looked_at_again_after_so_many_bytes(scene: Scene) -> None:
    scene.host.space.check()
    scene.storage.low = True
    scene.host.space.check(space.CHECK_BYTES)
    with pytest.raises(NoSpace):
        scene.host.space.check(1)


@pytest.mark.parametrize("error", [FatalError("fsync lied"), AssertionError("two leaders"), KeyError("bug")])
@pytest.mark.parametrize("where", ["tick", "commit"])
@pytest.mark.asyncio
async def test_a_broken_node_dies_in_silence(scene: Scene, error: Exception, where: str) -> None:
    if where == "tick":
        scene.replica.broken = error
    else:
        scene.storage.errors = [error]
    scene.host.deliver("n2.bb", GROUP, encode(HigherTerm(term=3)))
    await scene.wait(lambda: scene.dead)
    scene.host.wake()
    await asyncio.sleep(0.01)
    assert scene.dead == [error]
    assert not {"send n2.bb 1", "settle"} & set(scene.diary)
    assert scene.host.phase is Phase.ENDED


@pytest.mark.asyncio
async def test_deadlines_tell_whether_it_may_have_happened(scene: Scene) -> None:
    scene.replica.answers = False
    now = MonotonicClock().now()
    with pytest.raises(Timeout) as write:
        await scene.host.add_voter(GROUP, "n3.cc", now + 0.03)
    with pytest.raises(Timeout) as read:
        await applied(scene, 7, now + 0.06)
    assert (write.value.outcome, read.value.outcome) == (Outcome.UNKNOWN, Outcome.NOT_APPLIED)
    scene.replica.answers = True
    await scene.host.add_voter(GROUP, "n4.dd", soon())


@pytest.mark.asyncio
async def test_what_was_never_appended_times_out_as_not_applied(scene: Scene) -> None:
    scene.storage.errors = [DiskFull("full")] * 10_000
    scene.host.wake()
    await scene.wait(lambda: scene.host.phase is Phase.STALLED)
    with pytest.raises(Timeout) as late:
        await applied(scene, 9, MonotonicClock().now() + 0.03)
    assert late.value.outcome is Outcome.NOT_APPLIED


@pytest.mark.asyncio
async def test_background_work_is_delivered_in_a_turn(scene: Scene) -> None:
    def fail() -> None:
        raise OSError("no")

    def note(outcome: object) -> None:
        scene.diary.append(f"done {outcome!r}")

    scene.host.background(lambda: 42, note)
    await scene.wait(lambda: "done 42" in scene.diary)
    assert scene.diary[:2] == ["done 42", "hand over"]
    scene.host.background(fail, note)
    await scene.wait(lambda: "done OSError('no')" in scene.diary)


@pytest.mark.asyncio
async def test_stop_leaves_nobody_waiting(scene: Scene) -> None:
    scene.replica.answers = False
    write = asyncio.ensure_future(scene.host.add_voter(GROUP, "n3.cc", soon()))
    await scene.wait(lambda: scene.host.turns == 2)
    await scene.host.stop()
    with pytest.raises(ShuttingDown) as ended:
        await write
    assert ended.value.outcome is Outcome.UNKNOWN
    turns = scene.host.turns
    scene.host.wake()
    await asyncio.sleep(0)
    assert scene.host.turns == turns


@pytest.mark.asyncio
async def test_those_who_follow_a_turn_are_called_after_it_settled(scene: Scene) -> None:
    scene.host.after_turn.append(lambda: scene.diary.append("after"))
    scene.host.wake()
    await scene.wait(lambda: "after" in scene.diary)
    assert scene.diary == [*TURN, "settle", "after"]
