"""pysyncobj's dictionaries and our messages: the same words in two spellings. It does not name the library."""

from __future__ import annotations

from typing import Any

from dkv.raft.messages import AppendEntries, AppendReply, RequestVote, SnapshotNotice, TimeoutNow, Vote

LibraryMessage = AppendEntries | AppendReply | RequestVote | Vote | TimeoutNow | SnapshotNotice
"""Those of our messages that the library itself knows."""


def from_library(message: dict[str, Any], term: int) -> LibraryMessage | None:
    """The library's → ours, or None for what is not to be sent. ``term``: stamped on replies, at their creation."""
    kind = message["type"]
    if kind == "append_entries":
        if "prevLogIdx" not in message:
            return SnapshotNotice(message["term"])
        if "transmission" in message or message["prevLogIdx"] is None:
            return None
        return AppendEntries(
            message["term"],
            message["prevLogIdx"],
            message["prevLogTerm"],
            message["commit_index"],
            message["entries"],
        )
    if kind == "next_node_idx":
        return AppendReply(term, message["next_node_idx"], message["success"], message["reset"])
    if kind == "request_vote":
        return RequestVote(message["term"], message["last_log_index"], message["last_log_term"], transfer=False)
    if kind == "response_vote":
        return Vote(message["term"])
    if kind == "timeout_now":
        return TimeoutNow(message["term"])
    # apply_command and its response: the library's forwarding can acknowledge what never reached a log. Only leaders
    # propose here, so there is nothing to forward.
    return None


def to_library(message: LibraryMessage) -> dict[str, Any]:
    """Ours → the library's."""
    match message:
        case AppendEntries():
            return {
                "type": "append_entries",
                "term": message.term,
                "commit_index": message.commit_index,
                "entries": message.entries,
                "prevLogIdx": message.previous_index,
                "prevLogTerm": message.previous_term,
            }
        case SnapshotNotice():
            # Registers the leader; commit_index 0 because a notice proves nothing about our log.
            return {"type": "append_entries", "term": message.term, "commit_index": 0, "serialized": None}
        case AppendReply():
            return {
                "type": "next_node_idx",
                "next_node_idx": message.next_index,
                "success": message.success,
                "reset": message.reset,
            }
        case RequestVote():
            return {
                "type": "request_vote",
                "term": message.term,
                "last_log_index": message.last_index,
                "last_log_term": message.last_term,
            }
        case Vote():
            return {"type": "response_vote", "term": message.term}
        case TimeoutNow():
            return {"type": "timeout_now", "term": message.term}
