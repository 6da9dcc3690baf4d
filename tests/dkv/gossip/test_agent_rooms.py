"""The agent's rooms by themselves: whom to call, what to remember, what to tell, where a place is."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
from pathlib import Path

import pytest

from dkv.errors import StartupError
from dkv.files import OS_FILES, OsFiles, Writable
from dkv.gossip.agent.contacts import ALONE_PAUSE_S_MAX, CALLED_MAX, EARLY_ROUNDS, KNOWN_FOR_S, PAUSE_S_MAX, Contacts
from dkv.gossip.agent.journal import BURST_LINES, Journal
from dkv.gossip.agent.lookup import NotFound, look_up, read_place
from dkv.gossip.agent.memory import Memory
from dkv.gossip.agent.views import Views
from dkv.gossip.rpc.log_tail import LogLine
from dkv.gossip.serf.events import Level, MemberChange, MemberEvent
from dkv.gossip.serf.snapshot_file import Clocks
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.internal_queries import Member, Status
from dkv.gossip.wire.particulars import Address

HERE, A, B, C = (Address("127.0.0.1", port) for port in (1, 2, 3, 4))


def contacts(**known: Address) -> Contacts:
    return Contacts(known, random.Random(1), 0.0)


# --- whom to call -----------------------------------------------------------------------------------------------------


def test_seeds_and_known_are_called_until_they_are_with_us() -> None:
    calls = contacts(b=B, c=C)
    assert set(calls.choose([A, HERE], {HERE}, {"n1"}, 0.0)) == {A, B, C}
    assert set(calls.choose([A], {HERE, A}, {"n1", "b"}, 1.0)) == {C}  # b is known of; Serf itself calls the failed
    assert calls.choose([A], {HERE}, {"n1", "a", "b", "c"}, 2.0) == [A]  # a seed that failed
    assert calls.known == {}


def test_the_known_are_forgotten_after_a_day_and_called_in_bounds() -> None:
    calls = contacts(**{f"m{i}": Address("10.0.0.1", i + 1) for i in range(100)})
    assert len(calls.choose([], {HERE}, (), 0.0)) == CALLED_MAX
    assert calls.choose([], {HERE}, (), KNOWN_FOR_S + 1) == []


def test_pauses_grow_and_begin_anew_when_company_comes_or_goes() -> None:
    calls = contacts()
    alone = [calls.pause_s(alone=True) for _ in range(12)]
    assert alone[0] < 0.3
    assert ALONE_PAUSE_S_MAX * 0.7 < alone[-1] < ALONE_PAUSE_S_MAX * 1.3
    company, early = [], []
    for _ in range(12):
        company.append(calls.pause_s(alone=False))
        early.append(calls.is_early(5))
    assert company[0] < 0.3
    assert PAUSE_S_MAX * 0.7 < company[-1] < PAUSE_S_MAX * 1.3
    assert sum(early) == EARLY_ROUNDS
    assert not calls.is_early(5)
    calls.pause_s(alone=True)
    calls.pause_s(alone=False)
    assert calls.is_early(5)
    assert not calls.is_early(1000)


def test_that_nobody_answers_is_said_now_and_then() -> None:
    calls, why = contacts(), {"127.0.0.1:2": "Connection refused"}
    said = [now for now in range(600) if calls.complaint(why, float(now))]
    assert said[0] == 5
    assert len(said) < 20
    assert "127.0.0.1:2: Connection refused" in contacts().complaint(why, 5.0)
    assert contacts().complaint({}, 5.0) == ""


# --- what to remember -------------------------------------------------------------------------------------------------


def joined(name: str, address: Address) -> MemberEvent:
    return MemberEvent(MemberChange.JOIN, Member(node=name, address=address, tags={}))


class FullDisk(OsFiles):
    full = False

    def create(self, path: Path) -> Writable:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(path)


@pytest.mark.asyncio
async def test_what_is_noted_is_there_after_a_restart(tmp_path: Path) -> None:
    memory = Memory(tmp_path, OS_FILES, lambda: Clocks(5, 6, 7), print)
    snapshot, keyring = await memory.recall()
    assert (snapshot.alive, keyring) == ({}, None)
    memory.note(joined("a b", A))
    assert await memory.flush()
    memory.note(joined("c", C))
    memory.note_keyring(Keyring(bytes(16)))
    assert await memory.flush()
    again, ring = await (second := Memory(tmp_path, OS_FILES, Clocks, print)).recall()
    assert again.alive == {"a b": A, "c": C}
    assert again.clocks == Clocks(5, 6, 7)
    assert ring == Keyring(bytes(16))
    await second.close()


@pytest.mark.asyncio
async def test_after_our_own_leave_nobody_is_remembered(tmp_path: Path) -> None:
    memory = Memory(tmp_path, OS_FILES, lambda: Clocks(5, 6, 7), print)
    await memory.recall()
    memory.note(joined("a", A))
    assert await memory.flush()
    memory.note_leave()
    memory.note(joined("b", B))
    await memory.close()
    assert (tmp_path / "serf.snapshot").read_text().endswith("leave\n")
    snapshot, _ = await (second := Memory(tmp_path, OS_FILES, Clocks, print)).recall()
    assert (snapshot.alive, snapshot.clocks) == ({}, Clocks())
    await second.close()


@pytest.mark.asyncio
async def test_a_full_disk_is_complained_of_and_written_anew_later(tmp_path: Path) -> None:
    files, complaints = FullDisk(), list[str]()
    memory = Memory(tmp_path, files, Clocks, complaints.append)
    await memory.recall()
    files.full = True
    memory.note(joined("a", A))
    memory.note_keyring(Keyring(bytes(16)))
    assert not await memory.flush()
    assert "No space left on device" in complaints[0]
    files.full = False
    memory.note(joined("b", B))
    assert await memory.flush()
    await memory.close()
    assert "alive: a 127.0.0.1:2\nalive: b 127.0.0.1:3\n" in (tmp_path / "serf.snapshot").read_text()
    assert (tmp_path / "keyring.json").exists()


@pytest.mark.asyncio
async def test_a_keyring_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "keyring.json").write_text("{}")
    memory = Memory(tmp_path, OS_FILES, Clocks, print)
    with pytest.raises(StartupError, match="not a list of keys"):
        await memory.recall()
    await memory.close()


# --- what to tell -----------------------------------------------------------------------------------------------------


@pytest.fixture(name="times")
def _times() -> list[float]:
    return [0.0]


def test_lines_are_limited_and_the_missing_are_counted(times: list[float], caplog: pytest.LogCaptureFixture) -> None:
    shown = list[LogLine]()
    journal = Journal(lambda: times[0], lambda: 1_000_000_000.0, shown.append)
    with caplog.at_level(logging.DEBUG, "dkv.gossip"):
        for number in range(BURST_LINES + 50):
            journal.write(Level.INFO, f"line {number}")
        assert len(shown) == BURST_LINES
        assert shown[0].text == "2001/09/09 01:46:40 [INFO] agent: line 0"
        times[0] += 1.0
        journal.member(joined("n9", A))
    assert shown[-1].text == "2001/09/09 01:46:40 [INFO] serf: EventMemberJoin: n9 127.0.0.1"
    assert vars(caplog.records[-1])["missing_lines"] == 50
    assert vars(caplog.records[-1])["member"] == "n9"
    assert journal.tail.since("INFO") == shown


def test_strangers_get_a_line_every_few_seconds(times: list[float]) -> None:
    shown = list[LogLine]()
    journal = Journal(lambda: times[0], lambda: 0.0, shown.append)
    for _ in range(1000):
        journal.refused("label", A, "the label of another cluster")
        times[0] += 0.01
    assert len(shown) == 2


# --- where a place is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("db", ("db", 7946)),
        ("db:1", ("db", 1)),
        ("[::1]:5", ("::1", 5)),
        ("[::1]", ("::1", 7946)),
        ("::1", ("::1", 7946)),
    ],
)
def test_places(place: str, address: tuple[str, int]) -> None:
    assert read_place(place, 7946) == address


@pytest.mark.parametrize("place", ["", ":80", "db:", "db:x", "db:0", "db:70000", "[::1]x", "[]"])
def test_no_places(place: str) -> None:
    with pytest.raises(NotFound):
        read_place(place, 7946)


def test_names_are_looked_up() -> None:
    assert asyncio.run(look_up("localhost:80", 1)).port == 80
    for nowhere in ("nowhere.invalid", "a" * 300, "\udc80", "x..y"):
        with pytest.raises(NotFound, match="no such host"):
            asyncio.run(look_up(nowhere, 1))


# --- what the node sees -----------------------------------------------------------------------------------------------


def test_a_view_remembers_since_when_a_status_is_so() -> None:
    def member(name: str, status: Status, **tags: str) -> Member:
        return Member(node=name, address=A, tags=tags, status=status)

    views = Views()
    views.update([member("b", Status.ALIVE), member("a", Status.ALIVE)], 1.0)
    views.update([member("b", Status.FAILED), member("a", Status.ALIVE, rack="7")], 2.0)
    assert [(view.name, view.since) for view in views.all()] == [("a", 1.0), ("b", 2.0)]
    assert views.all()[0].tags == {"rack": "7"}
    views.update([member("a", Status.ALIVE)], 3.0)
    views.update([member("a", Status.ALIVE), member("b", Status.FAILED)], 4.0)
    assert [(view.name, view.since) for view in views.all()] == [("a", 1.0), ("b", 4.0)]
