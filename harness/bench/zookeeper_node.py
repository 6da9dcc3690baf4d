"""A ZooKeeper server as a process: writes its configuration, then becomes Java (same process id).

``python -m harness.bench.zookeeper_node``. Defaults throughout, forceSync (fsync before the acknowledgement) among
them; ticks and limits are those of the sample configuration, and the heap is the one of ``zkServer.sh``.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

ARCHIVE = "/usr/share/java/zookeeper.jar"
"""Debian's (libzookeeper-java), whose manifest names all that it needs."""
LOGGING = "/usr/share/java/slf4j-simple.jar"
"""Warnings to standard error, so that a server that ends says why; without it ZooKeeper is silent."""
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
HEAP = "-Xmx1000m"


def configuration(rest: str, peers: str, data_dir: Path) -> str:
    """The text of ``zoo.cfg``. ``peers``: ``n1=host:quorum port:election port,…``."""
    host, _, port = rest.rpartition(":")
    lines = [
        *("tickTime=2000", "initLimit=10", "syncLimit=5", "maxClientCnxns=0", "admin.enableServer=false"),
        *(f"dataDir={data_dir}", f"clientPort={port}", f"clientPortAddress={host}"),
    ]
    for peer in peers.split(","):
        name, place = peer.split("=", 1)
        lines.append(f"server.{number(name)}={place}")
    return "\n".join(lines) + "\n"


def number(name: str) -> int:
    """n3 is server 3."""
    return int(name.removeprefix("n"))


def main() -> None:
    """Does not return."""
    parser = argparse.ArgumentParser(prog="harness.bench.zookeeper_node")
    for flag in ("--name", "--rest", "--peers", "--data-dir"):
        parser.add_argument(flag, required=True)
    told = parser.parse_args()
    data_dir = Path(told.data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "myid").write_text(f"{number(told.name)}\n")
    settings = data_dir / "zoo.cfg"
    settings.write_text(configuration(told.rest, told.peers, data_dir))
    os.execvp(
        "java",
        [
            "java",
            HEAP,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{ARCHIVE}:{LOGGING}",
            MAIN,
            str(settings),
        ],
    )


if __name__ == "__main__":
    main()
