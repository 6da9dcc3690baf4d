"""What the testbed needs of a system under test; ``dkv`` and ``etcd`` are two of them.

A system starts and stops its processes, tells how its nodes stand, and gives clients. What it can suffer it says by
``abilities``; a fault that needs another one is never planned for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from harness.history.events import Event
from harness.history.records import NodeSample

Link = tuple[str, str]
"""A directed pair of nodes: from the sender to the receiver."""


class Ability(StrEnum):
    """What can be done to a system on this machine."""

    PROCESS = "process"
    """kill, stop, start, pause, resume."""
    CUT = "cut"
    """Silence directed links between nodes, by the kernel or by the fault port."""
    SHAPE = "shape"
    """Delay, jitter, loss, duplication, reordering, bandwidth on directed links."""
    CLOCK = "clock"
    DISK = "disk"
    """Full, failing, slow; unflushed writes lost; a torn last write."""
    POINTS = "points"
    """Kill at the k-th fsync or at a named point."""
    MEMBERS = "members"
    """Add, remove, leave, transfer."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a directed link does to messages. ``loss``, ``duplicate``, ``reorder``: probabilities."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    rate_bytes_s: float | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A key's value (None: absent) and the token by which a cas names it."""

    value: str | None
    token: int


class NotApplied(Exception):
    """It certainly did not happen. ``code``: the system's own word."""

    def __init__(self, code: str, node: str | None = None) -> None:
        super().__init__(code)
        self.code, self.node = code, node


class Mismatch(NotApplied):
    """A cas whose expected version was not there: an observation."""


class Unknown(Exception):
    """It may have happened, may still happen, or never will."""

    def __init__(self, code: str, node: str | None = None) -> None:
        super().__init__(code)
        self.code, self.node = code, node


class Client(Protocol):
    """One client at a time does one thing; ``node`` is who answered last. Every method may raise NotApplied or Unknown.

    Reads are linearizable. A client gives up after its own timeout, whatever the system does.
    """

    node: str | None

    async def read(self, key: str) -> Version: ...

    async def write(self, key: str, value: str) -> Version: ...

    async def cas(self, key: str, expected: Version, value: str) -> Version:
        """Write if the key is at ``expected`` (token 0: absent); else Mismatch."""
        ...

    async def delete(self, key: str) -> bool | None:
        """Whether it was there; None where the system does not tell."""
        ...

    async def close(self) -> None: ...


class System(Protocol):
    """A cluster of real processes under one run directory. Names are those of its nodes, n1, n2, …"""

    name: str
    abilities: frozenset[Ability]

    async def start(self) -> None:
        """From nothing to an acknowledged write and every node a voter. Raises HarnessError."""
        ...

    async def stop(self) -> None:
        """End every process that was started; never raises for one that is gone already."""
        ...

    @property
    def nodes(self) -> tuple[str, ...]:
        """Present members, alive or not."""
        ...

    def client(self, timeout_s: float) -> Client:
        """One that talks to all nodes, in an order of its own."""
        ...

    async def observe(self, *, digests: bool = False) -> Sequence[NodeSample]:
        """Every node now; ``time_s`` is filled in by the caller's clock (0 here). Takes at most about a second.

        ``digests``: of the applied state as well, which costs the nodes something.
        """
        ...

    # ---- Ability.PROCESS

    async def kill(self, names: Sequence[str]) -> None:
        """SIGKILL, all at once; returns when they are gone."""
        ...

    async def terminate(self, names: Sequence[str]) -> None:
        """SIGTERM, as an operator would; SIGKILL after a grace."""
        ...

    async def launch(self, names: Sequence[str]) -> None:
        """Start those that do not run, from their data; returns at once."""
        ...

    async def pause(self, names: Sequence[str]) -> None: ...

    async def resume(self, names: Sequence[str]) -> None: ...

    def crashes(self) -> Sequence[str]:
        """A sentence for every node that ended by itself or wrote an assertion, panic or traceback into its log."""
        ...


class Network(Protocol):
    """Ability.CUT and, where ``shape`` does not raise NotImplementedError, Ability.SHAPE. ``name``: kernel or hook."""

    name: str

    async def cut(self, links: Sequence[Link]) -> None:
        """Exactly these links are silent from now on: established connections too, nobody is told."""
        ...

    async def shape(self, shapes: Mapping[Link, Shape]) -> None:
        """Exactly these links are shaped from now on."""
        ...

    async def heal(self) -> None: ...

    async def passes(self, links: Sequence[Link]) -> Mapping[Link, bool | None]:
        """Whether anything gets over each link now: tried (kernel) or told by its ends (hook); None: nobody knows."""
        ...


class Members(Protocol):
    """Ability.MEMBERS. Each returns when the change is seen, raises Refused if it did not happen, else Undecided."""

    async def add(self) -> str:
        """A new node, until it votes. Returns its name."""
        ...

    async def leave(self, name: str) -> None:
        """It goes by itself, and its process ends."""
        ...

    async def remove(self, name: str) -> None:
        """Dead or alive; its process is stopped."""
        ...

    async def ask_removal(self, at: str, name: str) -> None:
        """Ask this one node to take another one out, whatever it may be able to do; returns when it has answered, or
        was patient enough. Never raises: nobody knows what comes of it."""
        ...

    async def transfer(self, name: str | None) -> None:
        """The leadership, to this node or to the follower that is furthest."""
        ...


class Gossip(Protocol):
    """Of a system whose nodes find one another by gossip."""

    async def views(self) -> Mapping[str, Mapping[str, str]]:
        """Who sees → whom → status (alive, leaving, left, failed), of the nodes that tell. Takes about a second."""
        ...


Record = Callable[[Event], None]
"""Takes the history's events, in the order of each process."""
