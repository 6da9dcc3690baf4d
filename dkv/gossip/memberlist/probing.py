"""Failure detection: one member after another is pinged; if it does not answer, others are asked to ping it, and it is
pinged over TCP; if nothing of it helps until the deadline, it is suspected.

    tick ── ping ──(probe timeout)── indirect pings, TCP ping ──(deadline: probe interval * awareness)── suspect
             └── ack ──────────────────── ack ──── (our awareness score falls)     (it rises, but for nacks)

A suspect is told so together with the ping, so that it can object at once (Lifeguard's "buddy system").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dkv.gossip.memberlist.awareness import Awareness
from dkv.gossip.memberlist.events import AckReceived, Event
from dkv.gossip.memberlist.members import Members, described
from dkv.gossip.memberlist.outbox import Outbox
from dkv.gossip.memberlist.profiles import Profile
from dkv.gossip.memberlist.requests import Requests
from dkv.gossip.memberlist.timers import Timer, Timers
from dkv.gossip.wire.messages import IndirectPing, Ping, Suspect
from dkv.gossip.wire.push_pull import NodeState, State

_TCP_PINGS_SINCE, _NACKS_SINCE = 3, 4
"""memberlist protocols."""


@dataclass(slots=True)
class _Probe:
    target: NodeState
    ping: Ping
    began: float
    deadline: float
    nacks_wanted: int = 0
    nacks: int = 0
    others_asked: bool = False
    reached_over_tcp: bool = False


class Prober:
    """One probe at a time. ``suspect`` is called with what it finds."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        members: Members,
        timers: Timers,
        outbox: Outbox,
        requests: Requests,
        awareness: Awareness,
        our_ping: Callable[[str], Ping],
        suspect: Callable[[Suspect, float], None],
        emit: Callable[[Event], None],
    ) -> None:
        self._name, self._profile = name, profile
        self._members, self._timers, self._outbox, self._requests = members, timers, outbox, requests
        self._awareness, self._our_ping, self._suspect, self._emit = awareness, our_ping, suspect, emit
        self._probe: _Probe | None = None
        self._overdue = False
        self.failures = 0
        """Probes that ended in a suspicion, since the start."""

    def tick(self, now: float) -> None:
        """The next member's turn; if the last probe still waits, as soon as it is over."""
        self._timers.set(Timer.PROBE, now + self._profile.probe_interval_s)
        self._overdue = self._probe is not None
        if self._overdue:
            return
        target = self._members.next_to_probe(self._name, self._profile.gossip_to_the_dead_s, now)
        if target is None:
            return
        deadline = now + self._awareness.scale_s(self._profile.probe_interval_s)
        self._probe = _Probe(target, self._our_ping(target.node), now, deadline)
        if target.state is State.SUSPECT:
            self._outbox.send_to(target, self._probe.ping, self._accusation(target))
        else:
            self._outbox.send_to(target, self._probe.ping)
        self._timers.set(Timer.PROBE_TIMEOUT, now + self._profile.probe_timeout_s)

    def ask_others(self, now: float) -> None:
        """The probe timeout: no ack came directly. If we are late ourselves, the others get their time nevertheless."""
        probe = self._running()
        probe.others_asked = True
        probe.deadline += now - (probe.began + self._profile.probe_timeout_s)
        target = probe.target
        for helper in self._members.pick(self._profile.indirect_checks, self._can_help(target.node)):
            nacks = helper.versions is not None and helper.versions.protocol_max >= _NACKS_SINCE
            probe.nacks_wanted += nacks
            self._outbox.send_to(helper, self._indirectly(probe.ping, target, nack=nacks))
        if target.versions is not None and target.versions.protocol_max >= _TCP_PINGS_SINCE:
            self._requests.ping(target.address, probe.ping, probe.deadline, self._reached_over_tcp)
        self._timers.set(Timer.PROBE_DEADLINE, probe.deadline)

    def conclude(self, now: float) -> None:
        """The deadline: no ack came at all."""
        probe = self._running()
        self._end(now)
        if probe.reached_over_tcp:  # somebody's UDP is wrong, but nobody is dead
            self._awareness.change(-1)
            return
        self._awareness.change(probe.nacks_wanted - probe.nacks if probe.nacks_wanted else 1)
        self.failures += 1
        self._suspect(self._accusation(probe.target), now)

    def acked(self, sequence: int, payload: bytes, now: float) -> bool:
        """Was it an ack for the running probe? Whoever sent it: over others it comes from them."""
        probe = self._probe
        if probe is None or probe.ping.sequence != sequence:
            return False
        self._end(now)
        self._awareness.change(-1)
        if payload and not probe.others_asked:
            self._emit(AckReceived(described(probe.target), now - probe.began, payload))
        return True

    def nacked(self, sequence: int) -> None:
        """One of those that were asked did not reach the target either, but us."""
        probe = self._probe
        if probe is not None and probe.ping.sequence == sequence and probe.nacks < probe.nacks_wanted:
            probe.nacks += 1

    def _end(self, now: float) -> None:
        self._probe = None
        self._timers.cancel(Timer.PROBE_TIMEOUT)
        self._timers.cancel(Timer.PROBE_DEADLINE)
        if self._overdue:
            self._timers.set(Timer.PROBE, now)

    def _running(self) -> _Probe:
        assert self._probe is not None, "a probe's timer without a probe"
        return self._probe

    def _reached_over_tcp(self, sequence: int) -> None:
        if self._probe is not None and self._probe.ping.sequence == sequence:
            self._probe.reached_over_tcp = True

    def _accusation(self, target: NodeState) -> Suspect:
        return Suspect(incarnation=target.incarnation, node=target.node, from_node=self._name)

    def _indirectly(self, ping: Ping, target: NodeState, *, nack: bool) -> IndirectPing:
        return IndirectPing(
            sequence=ping.sequence,
            node=target.node,
            target=target.address,
            nack=nack,
            source=ping.source,
            source_node=ping.source_node,
        )

    def _can_help(self, target: str) -> Callable[[NodeState], bool]:
        return lambda node: node.state is State.ALIVE and node.node not in (target, self._name)
