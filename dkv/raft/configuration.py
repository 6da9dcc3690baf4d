"""Who votes: the configuration entries, their bytes, and what they add up to.

pysyncobj unpickles a configuration entry's command on every node. So there is exactly one encoding per
change, built from a template here, byte for byte what ``pickle.dumps(["add", "n1.3f9a2c1b"], 2)`` gives;
anything else is refused before the library sees it (law: pickle bytes that are not spelt out here are never
unpickled).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from dkv.raft.contracts import Entry, NodeId
from dkv.raft.messages import CONFIGURATION

ChangeOp = Literal["add", "rem"]
OPS: tuple[ChangeOp, ...] = ("add", "rem")
NODE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\.[0-9a-f]{8}")

# Protocol 2: PROTO 2, EMPTY_LIST memo 0, MARK, BINUNICODE (4-byte length) memo 1, BINUNICODE memo 2, APPENDS,
# STOP.
_HEAD = bytes([CONFIGURATION]) + b"\x80\x02]q\x00(X\x03\x00\x00\x00"
_MIDDLE = b"q\x01X"
_TAIL = b"q\x02e."
_OP_AT = slice(len(_HEAD), len(_HEAD) + 3)
_NODE_AT = slice(len(_HEAD) + 3 + len(_MIDDLE) + 4, -len(_TAIL))


def encode_change(op: ChangeOp, node: NodeId) -> bytes:
    """The command of the entry that adds or removes a voter. ``ValueError`` for names that cannot be."""
    if op not in OPS or not NODE_ID.fullmatch(node):
        raise ValueError(f"not a change of voters: {op!r} {node!r}")
    name = node.encode("ascii")
    return _HEAD + op.encode("ascii") + _MIDDLE + len(name).to_bytes(4, "little") + name + _TAIL


def decode_change(command: bytes) -> tuple[ChangeOp, NodeId]:
    """The one inverse of ``encode_change``; ``ValueError`` for every other command."""
    text, node = command[_OP_AT], command[_NODE_AT].decode("ascii", "replace")
    for op in OPS:
        if text == op.encode("ascii") and NODE_ID.fullmatch(node) and command == encode_change(op, node):
            return op, node
    raise ValueError(f"not a canonical change of voters ({len(command)} bytes)")


def is_change(command: bytes) -> bool:
    """Whether a command claims to be a change of voters; ``decode_change`` says whether it is one."""
    return command[:1] == _HEAD[:1]


def fold(base_voters: Sequence[NodeId], entries: Iterable[Entry]) -> tuple[NodeId, ...]:
    """The voters after ``entries``, in the order in which they came.

    Repeating a change changes nothing: the log's base entries may be configuration entries whose effect
    ``base_voters`` already has.
    """
    voters = dict.fromkeys(base_voters)
    for entry in entries:
        if not is_change(entry.command):
            continue
        op, node = decode_change(entry.command)
        if op == "add":
            voters.setdefault(node)
        else:
            voters.pop(node, None)
    return tuple(voters)


def voters_at(base_voters: Sequence[NodeId], entries: Sequence[Entry], upto_index: int) -> tuple[NodeId, ...]:
    """The voters as of ``upto_index``; ``entries`` have no gaps, and ``base_voters`` are those just before them."""
    first_index = entries[0].index
    assert upto_index >= first_index - 1, f"the voters at {upto_index} are forgotten, the log begins at {first_index}"
    return fold(base_voters, entries[: upto_index - first_index + 1])
