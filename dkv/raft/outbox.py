"""What one turn sends, held until the turn is durable; appends to one peer become few and large messages."""

from __future__ import annotations

from dkv.raft.contracts import NodeId
from dkv.raft.messages import EARLY, AppendEntries, Message, SnapshotNotice
from dkv.raft.options import Options
from dkv.raft.outflow import Outflow, merged


class Outbox:
    """Messages in order, and per peer what is under way."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._messages: list[tuple[NodeId, Message]] = []
        self._last_append: dict[NodeId, int] = {}
        self._flows: dict[NodeId, Outflow] = {}
        self.holds_news = False
        """News of a commit waits for the next turn, which should follow at once."""

    def put(self, node: NodeId, message: Message) -> None:
        """Anything but an append; it keeps its place behind the appends before it."""
        self._last_append.pop(node, None)
        self._messages.append((node, message))

    def append(self, node: NodeId, message: AppendEntries | SnapshotNotice, now: float) -> bool:
        """Queue what of ``message`` is not under way yet; True: the peer's window is full, the sender should pause."""
        position = self._last_append.get(node)
        previous = self._messages[position][1] if position is not None else None
        if isinstance(previous, SnapshotNotice):
            return False  # one notice a turn, and nothing behind it: the peer cannot use it
        if isinstance(message, SnapshotNotice):
            self._place(node, message)
            return False
        flow = self._flow(node)
        message = flow.admit(message)
        whole = merged(previous, message, self._options.append_bytes) if isinstance(previous, AppendEntries) else None
        if whole is not None:
            assert position is not None, "merged with the message there"
            self._messages[position] = (node, whole)
        else:
            self._place(node, message)
        if flow.is_full and flow.paused_until is None:
            flow.paused_until = now + self._options.heartbeat_s
            return True
        return False

    def replied(self, node: NodeId, *, lost: bool) -> bool:
        """``node`` answered an append (``lost``: it lacks what was sent); True: it was paused and may go on."""
        flow = self._flow(node)
        flow.acknowledged()
        if lost:
            flow.forget()
        paused, flow.paused_until = flow.paused_until is not None, None
        return paused

    def is_paused(self, node: NodeId) -> bool:
        """Its window was full: the sender waits for a reply."""
        flow = self._flows.get(node)
        return flow is not None and flow.paused_until is not None

    def take_resumed(self, now: float) -> list[NodeId]:
        """Peers whose pause is over without an answer: replies may have been lost."""
        resumed = [
            node for node, flow in self._flows.items() if flow.paused_until is not None and flow.paused_until <= now
        ]
        for node in resumed:
            self._flows[node].paused_until = None
        return resumed

    def take_early(self, durable_term: int) -> list[tuple[NodeId, Message]]:
        """What may leave before the turn's commit; the rest stays, in order.

        Only in a term that is on disk: a node that forgot it could lead it a second time, with other entries.
        """
        early = [
            item
            for item in self._messages
            if isinstance(item[1], EARLY)
            and item[1].term == durable_term
            and (self.holds_news or not _is_news(item[1]))
        ]
        if early:
            taken = set(map(id, early))
            self._messages = [item for item in self._messages if id(item) not in taken]
            self._last_append = {}
        return early

    def take(self) -> list[tuple[NodeId, Message]]:
        """All of it, in order, but for news of commits: each waits for one turn.

        Whoever was just answered often writes again at once, and then it rides with those entries.
        """
        messages, self._messages, self._last_append = self._messages, [], {}
        if not self.holds_news:
            self._messages = [item for item in messages if _is_news(item[1])]
            self._last_append = {node: position for position, (node, _) in enumerate(self._messages)}
        self.holds_news = bool(self._messages)
        return [item for item in messages if not _is_news(item[1])] if self.holds_news else messages

    def link_up(self, node: NodeId) -> None:
        """A new link carries nothing."""
        self._flows[node] = Outflow(self._options.window_bytes)

    def link_down(self, node: NodeId) -> None:
        """Messages to ``node`` have nowhere to go."""
        self._flows.pop(node, None)
        self._messages = [(other, message) for other, message in self._messages if other != node]
        self._last_append = {}

    def forget_sent(self) -> None:
        """A new leadership: nothing of it is under way."""
        for flow in self._flows.values():
            flow.forget()

    def _place(self, node: NodeId, message: Message) -> None:
        self._last_append[node] = len(self._messages)
        self._messages.append((node, message))

    def _flow(self, node: NodeId) -> Outflow:
        flow = self._flows.get(node)
        if flow is None:
            flow = self._flows[node] = Outflow(self._options.window_bytes)
        return flow


def _is_news(message: Message) -> bool:
    return isinstance(message, AppendEntries) and message.quiet
