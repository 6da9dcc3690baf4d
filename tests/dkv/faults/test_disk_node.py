"""A real node on a faulty disk, told through its fault port: full is answered, failing ends it, dying loses nothing."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

TIMEOUT_S = 60


class Process:
    """``dkv serve`` with a fault port; a cluster of its own."""

    def __init__(self, directory):
        command = [sys.executable, "-m", "dkv", "serve", "--id", "n1", "--data-dir", str(directory)]
        command += ["--rest", "127.0.0.1:0", "--raft", "127.0.0.1:0", "--gossip", "127.0.0.1:0", "--fault-port", "0"]
        self.errors = directory.with_suffix(".log").open("w+")
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        event = {}
        while event.get("event") != "ready":
            line = self.child.stdout.readline()
            assert line, self.complaint()
            event = json.loads(line)
        self.rest, self.fault_port = event["rest"], event["fault_port"]

    def command(self, *, within="30s", **command):
        return self.ask("POST", f"http://{self.rest}/", command, within)

    def fault(self, part, document):
        status, answer = self.ask("PUT", f"http://127.0.0.1:{self.fault_port}/faults/{part}", document)
        assert status == 200, answer
        return answer

    def heal(self):
        self.ask("DELETE", f"http://127.0.0.1:{self.fault_port}/faults")

    def ask(self, method, url, document=None, within="30s"):
        """(status, answer); (None, None) if the node died meanwhile."""
        body = None if document is None else json.dumps(document).encode()
        headers = {"content-type": "application/json", "X-DKV-Timeout": within}
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return None, None

    def complaint(self):
        self.errors.seek(0)
        return self.errors.read()

    def end(self):
        self.child.kill()
        self.child.wait(TIMEOUT_S)
        self.child.stdout.close()
        self.errors.close()


@pytest.fixture
def start(tmp_path):
    @contextmanager
    def start():
        process = Process(tmp_path / "n1")
        try:
            yield process
        finally:
            process.end()

    return start


def test_a_full_disk_is_answered_and_passes(start):
    with start() as node:
        assert node.command(cmd="set", key="a", val="1")[0] == 200
        node.fault("disk", {"full": True})
        # The one that the node took before it knew is stuck in its turn; from then on it refuses.
        assert node.command(within="1s", cmd="set", key="b", val="1")[0] in (504, 507)
        status, answer = node.command(cmd="set", key="b", val="1")
        assert (status, answer["code"], answer["outcome"]) == (507, "NO_SPACE", "not_applied")
        assert node.command(cmd="get", key="a", level="none")[1]["val"] == "1"
        node.heal()
        for _ in range(200):
            status, answer = node.command(cmd="set", key="b", val="2")
            if status != 507:
                break
            time.sleep(0.05)  # it looks again only so often
        assert status == 200, answer
        assert node.command(cmd="get", key="b")[1]["val"] == "2"


def test_a_failing_disk_ends_the_node_and_loses_nothing(start):
    with start() as node:
        assert node.command(cmd="set", key="a", val="1")[0] == 200
        node.fault("disk", {"io_error": True})
        assert node.command(cmd="set", key="b", val="1")[0] != 200
        assert node.child.wait(TIMEOUT_S) == 70
        assert "nobody knows what is on disk until it is read again" in node.complaint()
    with start() as node:
        assert node.command(cmd="get", key="a")[1]["val"] == "1"


def test_a_power_loss_in_the_midst_of_writes(start):
    with start() as node:
        node.fault("disk", {"volatile": True, "torn": True})
        node.fault("points", {"fsync": {"kill_at": 15}})
        acknowledged = 0
        while node.command(cmd="set", key=f"k{acknowledged}", val="1")[0] == 200:
            acknowledged += 1
            assert acknowledged < 20, "it should have died"
        assert node.child.wait(TIMEOUT_S) == -signal.SIGKILL
    with start() as node:
        assert acknowledged > 5
        for number in range(acknowledged):
            assert node.command(cmd="get", key=f"k{number}")[0] == 200
