"""The ports of a node that was given none: where it once listened it listens again, so that all nodes of a cluster can
be started anew at the same time and still find each other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from dkv.errors import StartupError
from dkv.files import OS_FILES, Files, replace_file

T = TypeVar("T")

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]

log = logging.getLogger(__name__)


class Ports(msgspec.Struct, frozen=True):
    """0: never listened."""

    rest: Port = 0
    raft: Port = 0
    gossip: Port = 0


def load_ports(path: Path) -> Ports:
    """What ``save_ports`` wrote; none if there is no such file, or an unreadable one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ports)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Ports()


def save_ports(path: Path, ports: Ports, files: Files = OS_FILES) -> None:
    """For the next start. A disk that will not take them costs a search, no more."""
    if load_ports(path) == ports:
        return
    try:
        replace_file(files, path, msgspec.json.encode(ports))
    except OSError as error:
        log.warning("%s could not be written, which matters little: %s", path, error)


def listen_again(wanted: int, before: int, listen: Callable[[int], T]) -> T:
    """``listen`` on port ``wanted``; 0 prefers ``before``, where that is still free. Raises ``StartupError``."""
    if not wanted and before:
        with suppress(StartupError):
            return listen(before)
    return listen(wanted)
