"""Real nodes that find each other by gossip alone: as they start, after restarts, wiped, added, gone, and by a key."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable

import psutil
import pytest

from harness import growth
from harness.gossip import described
from harness.survey import Survey
from tests.system.testbed import PATIENCE_S, Testbed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def until(testbed: Testbed, condition: Callable[[Survey], bool], what: str) -> Survey:
    """The first look in detail that shows it."""
    return testbed.cluster.wait(lambda _: condition(testbed.cluster.survey(detailed=True)), PATIENCE_S, what)


def seen(survey: Survey) -> dict[str, str]:
    return {member.name: described(member.gossip) for member in survey.members}


def all_alive(testbed: Testbed, *names: str) -> None:
    testbed.healthy()
    until(testbed, lambda survey: seen(survey) == dict.fromkeys(names, "alive"), "everybody to see everybody alive")


def is_told_to_join(testbed: Testbed, name: str) -> bool:
    pid = testbed.survey().member(name).pid
    assert pid is not None, f"{name} does not run"
    return "--join" in psutil.Process(pid).cmdline()


def test_they_find_each_other_and_find_back(testbed: Testbed) -> None:
    names = ("n1", "n2", "n3", "n4", "n5")
    testbed.up(5)
    all_alive(testbed, *names)
    testbed.kill(["n2"])
    until(testbed, lambda survey: seen(survey)["n2"] == "failed", "n2 to be seen as failed")
    testbed.cluster.start_named(["n2"])
    all_alive(testbed, *names)
    testbed.kill(names)
    testbed.cluster.start_named(names)
    all_alive(testbed, *names)
    assert not any(is_told_to_join(testbed, name) for name in names)


def test_a_wiped_node_a_new_one_and_one_that_leaves(testbed: Testbed) -> None:
    testbed.up(3)
    testbed.kill(["n1"])
    shutil.rmtree(testbed.run_dir.data("n1"))
    testbed.cluster.start_named(["n1"])
    all_alive(testbed, "n1", "n2", "n3")
    assert is_told_to_join(testbed, "n1")
    testbed.verb("add")
    all_alive(testbed, "n1", "n2", "n3", "n4")
    (told,) = growth.leave(testbed.cluster, "n2")
    assert "gossip has it as left)" in told
    all_alive(testbed, "n1", "n3", "n4")
    assert not testbed.cluster.survey(detailed=True).strangers


def test_a_cut_holds_for_gossip_too_and_its_end_is_heard(testbed: Testbed) -> None:
    testbed.up(3)
    all_alive(testbed, "n1", "n2", "n3")
    testbed.verb("isolate", "n3")
    until(
        testbed,
        lambda survey: seen(survey) == {"n1": "alive 1, failed 1", "n2": "alive 1, failed 1", "n3": "failed"},
        "both sides to see each other as failed",
    )
    testbed.verb("heal")
    all_alive(testbed, "n1", "n2", "n3")


def test_by_a_key(testbed: Testbed) -> None:
    testbed.verb("up", "3", "-d", "--gossip-key")
    all_alive(testbed, "n1", "n2", "n3")
    testbed.cluster.kill("follower", signal.SIGKILL)
    testbed.cluster.restart("all")
    all_alive(testbed, "n1", "n2", "n3")


@pytest.mark.skipif(shutil.which("serf") is None, reason="no program serf (Debian: serf)")
def test_serf_looks_at_it_and_lets_a_node_leave(testbed: Testbed) -> None:
    testbed.up(3)
    all_alive(testbed, "n1", "n2", "n3")
    for member in testbed.survey().members:
        command = ["serf", "members", f"-rpc-addr={member.gossip_rpc}"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        assert [line.split()[0] for line in sorted(told)] == ["n1", "n2", "n3"]
        assert all(" alive " in line and "role=dkv" in line for line in told)
    address = testbed.survey().member("n3").gossip_rpc
    subprocess.run(["serf", "leave", f"-rpc-addr={address}"], capture_output=True, check=True)
    until(testbed, lambda survey: survey.voters == ("n1", "n2") and survey.member("n3").pid is None, "n3 to be gone")
    (done, *_) = growth.remove(testbed.cluster, "n3")
    assert done == "n3 was no member any more"
    all_alive(testbed, "n1", "n2")
