"""Five real nodes, broken in every way that a kill, a pause and a change of members allow, under load.

At the end of each: nothing acknowledged is gone, no read was stale, the nodes agree, nobody complained.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress

import pytest

from dkv.client import DkvError
from harness import growth
from harness.survey import Member
from tests.system.load import SHARED, Load
from tests.system.testbed import PATIENCE_S, Testbed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = 10
PAUSES_S = (2.0, 4.5, 2.0, 4.5)
"""All beyond the longest election timeout (1.2 s). After the shorter ones the new leader's word lies in the sleeper's
sockets; after the longer ones its peers have closed their links (3 s), so that it wakes up knowing nothing."""
READS_AT_ONCE = 20


def assert_nothing_lost(testbed: Testbed, load: Load) -> None:
    verdict = testbed.verdict(load)
    assert not verdict.violations, str(verdict)
    assert verdict.acknowledged > 100, str(verdict)
    assert verdict.reads > 100, str(verdict)
    print(verdict)
    testbed.down()
    assert not (damage := testbed.damage()), "\n".join(damage)


def test_kill_9_of_the_leader_ten_times_then_of_all_at_once(testbed: Testbed) -> None:
    testbed.up(5)
    with Load(testbed.addresses) as load:
        for number in range(KILLS):
            leader = testbed.healthy()
            killed_s = testbed.kill([leader.name])
            if number % 2:  # else it comes back in the middle of the election
                load.wait_progress(killed_s, PATIENCE_S, not_by=leader.rest)
            testbed.cluster.start_named([leader.name])
        testbed.healthy()
        names = testbed.survey().names
        killed_s = testbed.kill(names)
        testbed.cluster.start_named(names)
        load.wait_progress(time.monotonic(), PATIENCE_S, by_all=True)
    assert_nothing_lost(testbed, load)


def test_a_leader_that_wakes_up_deposed_never_answers_from_the_past(testbed: Testbed) -> None:
    testbed.up(5)
    with Load(testbed.addresses) as load:
        for pause_s in PAUSES_S:
            leader = testbed.healthy()
            others = [address for address in testbed.addresses if address != leader.rest]
            readers = [Impatient(load, leader, key) for key in SHARED]
            testbed.signal(leader.name, signal.SIGSTOP)
            paused_s = time.monotonic()
            load.wait_progress(paused_s, PATIENCE_S, not_by=leader.rest)
            time.sleep(max(0.0, paused_s + pause_s - time.monotonic()))
            with load.client(others) as client:
                for key in SHARED:
                    client.set(key, f"{client.process}-{key}")
            for reader in readers:
                reader.begin()
            time.sleep(0.05)  # their requests lie in its sockets when it wakes, beside the first word of its successor
            testbed.signal(leader.name, signal.SIGCONT)
            assert all(reader.answered() for reader in readers), "it must serve again at once"
    assert_nothing_lost(testbed, load)


class Impatient:
    """Reads one key at one node, again and again, on a connection that was there before."""

    def __init__(self, load: Load, node: Member, key: str) -> None:
        self._client, self._key, self._answered = load.client([node.rest], PATIENCE_S), key, 0
        self._client.get_row(key)
        self._thread = threading.Thread(target=self._read)

    def begin(self) -> None:
        self._thread.start()

    def _read(self) -> None:
        with self._client as client:
            for _ in range(READS_AT_ONCE):
                with suppress(DkvError):
                    client.get_row(self._key)
                    self._answered += 1

    def answered(self) -> bool:
        self._thread.join()
        return self._answered == READS_AT_ONCE


def test_two_nodes_come_and_two_go_while_clients_write(testbed: Testbed) -> None:
    testbed.up(5)
    with Load(testbed.addresses) as load:
        for gone in ("leave", "remove"):
            known = testbed.survey().names
            testbed.verb("add")
            (new,) = (member for member in testbed.survey().members if member.name not in known)
            readers = [Impatient(load, new, key) for key in SHARED]
            for reader in readers:
                reader.begin()
            assert all(reader.answered() for reader in readers)
            leader = testbed.healthy()
            if gone == "leave":
                growth.leave(testbed.cluster, "leader")
                left = leader.name
            else:
                left = next(name for name in known if name != leader.name)
                growth.remove(testbed.cluster, left)
            testbed.healthy()
            assert left not in testbed.survey().voters
            load.wait_progress(time.monotonic(), PATIENCE_S, by_all=True)
    assert len(testbed.survey().voters) == 5
    assert_nothing_lost(testbed, load)
