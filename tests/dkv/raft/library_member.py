"""The real pysyncobj behind ``Library``, on a log in memory; whatever it does is kept in the order of its happening."""

from dataclasses import replace

from dkv.raft.library import Library
from dkv.raft.log import Log
from dkv.raft.messages import AppendEntries, AppendReply, Vote
from dkv.raft.options import Options
from tests.dkv.raft.doubles import A, B, C
from tests.sim.disk import Disk

OPTIONS = replace(Options(), append_bytes=250)


class Member:
    """A's library. ``on_send(node, message)`` looks in from within the library's own send loop."""

    def __init__(self, voters=(A, B, C), disk=None):
        self.time, self.events, self.joined, self.on_send = 100.0, [], [], lambda node, message: None
        self.disk = disk or Disk(voters)
        self.log = Log(self.disk, self.disk.load())
        self.library = None
        self.library = Library(
            me=A,
            log=self.log,
            options=OPTIONS,
            clock=self,
            send=self._sent,
            apply=self._apply,
            peer_joined=self.joined.append,
            role_changed=lambda old, new: self.events.append(("role", old, new, self.log.last_index)),
        )

    def now(self):
        return self.time

    def _sent(self, node, message):
        self.events.append(("sent", node, message))
        self.on_send(node, message)

    def _apply(self, index, command):
        before = None if self.library is None else self.library.applied_index
        self.events.append(("applied", index, command, before))
        return f"result {index}"

    def take(self, kind):
        """The events of this kind since the last look; all others are forgotten."""
        events, self.events = self.events, []
        return [event[1:] for event in events if event[0] == kind]

    def tick(self, *, after_s=0.0):
        self.time += after_s
        self.library.tick()

    def heartbeat(self):
        self.tick(after_s=OPTIONS.heartbeat_s * 1.1)

    def append(self, *entries, previous=(1, 0), term=1, commit=1, sender=B):
        self.library.deliver(sender, AppendEntries(term, *previous, commit, list(entries)))

    def acknowledge(self, sender, index=None):
        index = self.log.last_index if index is None else index
        self.library.deliver(sender, AppendReply(self.library.term, index + 1, success=True, reset=False))

    def propose(self, command):
        ends = []
        self.library.propose(command, lambda result, reason: ends.append((result, reason)))
        return ends


def leader(voters=(A, B, C), *, connected=(B, C), disk=None):
    """A leads with C's vote (or nobody's, if it is alone)."""
    member = Member(voters, disk)
    for node in connected:
        member.library.connected(node)
    member.library.campaign()
    member.tick()
    if len(voters) > 1:
        member.library.deliver(C, Vote(member.library.term))
    assert member.library.is_leader
    return member


def established(*args, **kwargs):
    """A leader whose no-op is applied."""
    member = leader(*args, **kwargs)
    for node in (B, C):
        if node in member.log.voters:
            member.acknowledge(node)
    member.tick()
    assert member.library.applied_index == member.log.last_index
    member.events.clear()
    return member
